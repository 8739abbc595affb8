// Package checkpoint keeps what a training was at the end of an epoch, beside its network in one
// file.
package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"example.com/backprop/internal/kernel"
)

// A Fingerprint tells trainings apart.
type Fingerprint struct {
	Config  map[string]string `json:"config"`  // what decides where training leads, as Describe says it
	Data    string            `json:"data"`    // Digest of all samples
	Initial string            `json:"initial"` // Digest of the parameters and statistics at the beginning
}

// check returns an error if kept belongs to another configuration or other data. Where training
// began is the caller's to compare.
func (kept Fingerprint) check(wanted Fingerprint) error {
	names := map[string]string{}
	maps.Copy(names, kept.Config)
	maps.Copy(names, wanted.Config)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if got, want := kept.Config[name], wanted.Config[name]; got != want {
			return Another("another configuration: its %.50s is %.1000q, want %.1000q", name, got, want)
		}
	}
	if kept.Data != wanted.Data {
		return Another("other data")
	}
	return nil
}

// Describe returns the values of the exported fields of a struct, by name, but for those excepted.
// So a field that is added later cannot be forgotten. Functions, channels and maps are described by
// their type only. An exception that is not a field panics.
func Describe(config any, except ...string) map[string]string {
	r := reflect.ValueOf(config)
	fields := map[string]string{}
	for i := range r.NumField() {
		if f := r.Type().Field(i); f.IsExported() && !slices.Contains(except, f.Name) {
			fields[f.Name] = describe(r.Field(i), 8)
		}
	}
	for _, name := range except {
		if _, ok := r.Type().FieldByName(name); !ok {
			panic(fmt.Sprintf("checkpoint: %v has no field %s", r.Type(), name))
		}
	}
	return fields
}

// describe returns a value's type and exported fields, without addresses. It goes no deeper than
// depth, since a value may lead to itself.
func describe(r reflect.Value, depth int) string {
	for ; depth > 0 && (r.Kind() == reflect.Pointer || r.Kind() == reflect.Interface); depth-- {
		r = r.Elem()
	}
	var parts []string
	switch k := r.Kind(); {
	case k == reflect.Invalid:
		return "none"
	case depth <= 0 || k == reflect.Func || k == reflect.Chan || k == reflect.Map || k == reflect.UnsafePointer:
		return r.Type().String()
	case k == reflect.Struct:
		for i := range r.NumField() {
			if f := r.Type().Field(i); f.IsExported() {
				parts = append(parts, f.Name+":"+describe(r.Field(i), depth-1))
			}
		}
	case k == reflect.Slice || k == reflect.Array:
		for i := range r.Len() {
			parts = append(parts, describe(r.Index(i), depth-1))
		}
	case r.Type().PkgPath() == "": // a plain number or string
		return fmt.Sprint(r)
	default:
		parts = append(parts, fmt.Sprint(r))
	}
	return r.Type().String() + "{" + strings.Join(parts, " ") + "}"
}

// Digest returns the SHA-256 of the shapes and elements of matrices.
func Digest(matrices ...*kernel.Matrix) string {
	h := sha256.New()
	var buf []byte
	for _, m := range matrices {
		buf = fmt.Appendf(buf[:0], "%d×%d\n", m.Rows, m.Cols)
		for i := range m.Rows {
			for _, v := range m.Data[i*m.Stride : i*m.Stride+m.Cols] {
				buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(v))
			}
			h.Write(buf)
			buf = buf[:0]
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
