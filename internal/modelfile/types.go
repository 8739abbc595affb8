// Package modelfile keeps a network in a safetensors file: its description as JSON in the metadata,
// its parameters and statistics as named tensors. It knows nothing of what they mean.
package modelfile

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Types are the types of layers that a file may name. L is the interface type of a layer, F that of
// an activation. What is kept of a layer are its exported fields: booleans, numbers, strings,
// activations, layers, values with MarshalText and UnmarshalText, and structs, slices and arrays of
// these. A layer may also be a slice of layers. All methods may be called concurrently.
type Types[L, F any] struct {
	name func(F) (string, error)
	find func(string) (F, error)

	mu     sync.RWMutex
	values map[string]reflect.Value // the defaults, by name
	names  map[reflect.Type]string
}

// NewTypes returns Types without any. Name is an activation's name in files, or "" for one that is
// left out, as if it were nil; find is the activation of a name.
func NewTypes[L, F any](name func(F) (string, error), find func(string) (F, error)) *Types[L, F] {
	return &Types[L, F]{name: name, find: find, values: map[string]reflect.Value{}, names: map[reflect.Type]string{}}
}

// Register lets files name the type of defaults, whose fields are what a field means that a file
// leaves out. It returns an error if the name is taken by another type or by other defaults, if the
// type has another name, or if a layer of the type cannot be kept.
func (t *Types[L, F]) Register(name string, defaults L) error {
	v := reflect.ValueOf(defaults)
	if !v.IsValid() {
		return errors.New("the layer is nil")
	}
	if name == "" || len(name) > 50 || !utf8.ValidString(name) {
		return fmt.Errorf("the name %.50q cannot be used, want 1 to 50 bytes of UTF-8", name)
	}
	if v.Kind() != reflect.Struct && !t.isList(v.Type()) {
		return fmt.Errorf("a layer of type %v cannot be saved, want a struct or a slice of layers", v.Type())
	}
	if err := t.check(v.Type(), map[reflect.Type]bool{}); err != nil {
		return fmt.Errorf("a layer of type %v cannot be saved: %w", v.Type(), err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.values[name]; ok && old.Type() != v.Type() {
		return fmt.Errorf("the name %q is taken by %v", name, old.Type())
	} else if ok && !reflect.DeepEqual(old.Interface(), v.Interface()) {
		return fmt.Errorf("%v is registered with other defaults", v.Type())
	}
	if old, ok := t.names[v.Type()]; ok && old != name {
		return fmt.Errorf("%v is registered as %q", v.Type(), old)
	}
	t.values[name], t.names[v.Type()] = v, name
	return nil
}

// With registers layers by their names, which must be fine, and returns t.
func (t *Types[L, F]) With(layers map[string]L) *Types[L, F] {
	for name, defaults := range layers {
		if err := t.Register(name, defaults); err != nil {
			panic(err)
		}
	}
	return t
}

// defaults returns the registered value of a name, and whether there is one.
func (t *Types[L, F]) defaults(name string) (reflect.Value, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.values[name]
	return v, ok
}

// isLayer and isActivation tell whether a field of the type r holds one, isList whether it is a
// layer that consists of layers.
func (t *Types[L, F]) isLayer(r reflect.Type) bool      { return r == reflect.TypeFor[L]() }
func (t *Types[L, F]) isActivation(r reflect.Type) bool { return r == reflect.TypeFor[F]() }
func (t *Types[L, F]) isList(r reflect.Type) bool {
	return r.Kind() == reflect.Slice && t.isLayer(r.Elem())
}

// isText tells whether values of type r are kept as a text of their own.
func isText(r reflect.Type) bool {
	return r.Implements(reflect.TypeFor[encoding.TextMarshaler]()) &&
		reflect.PointerTo(r).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// check returns an error if values of type r cannot be kept. Seen are the types being checked.
func (t *Types[L, F]) check(r reflect.Type, seen map[reflect.Type]bool) error {
	if seen[r] || t.isLayer(r) || t.isActivation(r) || isText(r) {
		return nil
	}
	seen[r] = true
	switch k := r.Kind(); k {
	case reflect.Slice, reflect.Array:
		return t.check(r.Elem(), seen)
	case reflect.Struct:
		keys := map[string]bool{typeKey: true}
		for key, i := range fields(r) {
			if keys[key] {
				return fmt.Errorf("the key %q of %s is taken", key, r.Field(i).Name)
			}
			keys[key] = true
			if err := t.check(r.Field(i).Type, seen); err != nil {
				return fmt.Errorf("%s: %w", r.Field(i).Name, err)
			}
		}
		return nil
	default:
		if k == reflect.Bool || k == reflect.String || k >= reflect.Int && k <= reflect.Float64 && k != reflect.Uintptr {
			return nil
		}
		return fmt.Errorf("type %v has no form in a file", r)
	}
}

// typeKey is the key of a layer's type, layersKey that of the layers of a network or of a layer
// that is a slice of them.
const typeKey, layersKey = "type", "layers"

// fields yields the key and the index of each exported field of a struct type.
func fields(r reflect.Type) func(yield func(key string, i int) bool) {
	return func(yield func(string, int) bool) {
		for i := range r.NumField() {
			if f := r.Field(i); f.IsExported() && !yield(snake(f.Name), i) {
				return
			}
		}
	}
}

// snake returns a field's key: "no_bias" of NoBias, "id" of ID, "l2_norm" of L2Norm.
func snake(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		begins := i > 0 && unicode.IsUpper(r) &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if begins && runes[i-1] != '_' {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
