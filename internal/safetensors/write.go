package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"example.com/backprop/internal/strictjson"
)

// WriteTo writes the file to w and returns the number of bytes written. Tensors are of type F64,
// which keeps every bit of their elements, or I64, whose elements are integers within ±2⁵³. Nothing
// is written if the file is invalid. Tensors are laid out as the reference implementation does it:
// by type, I64 first, then by name; so the same content always gives the same bytes, in whatever
// order f holds it.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	tensors := slices.Clone(f.Tensors)
	slices.SortStableFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(rank(b.Type), rank(a.Type)), cmp.Compare(a.Name, b.Name))
	})
	buf, err := encodeHeader(f.Metadata, tensors)
	if err != nil {
		return 0, err
	}
	var written int64
	flush := func() error {
		n, err := w.Write(buf)
		written += int64(n)
		if err == nil && n != len(buf) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return fmt.Errorf("safetensors: writing failed after byte %d: %w", written, err)
		}
		buf = buf[:0]
		return nil
	}
	for _, t := range tensors {
		for _, v := range t.Data {
			buf = binary.LittleEndian.AppendUint64(buf, encode(t.Type, v))
			if len(buf) < chunkSize {
				continue
			}
			if err := flush(); err != nil {
				return written, err
			}
		}
	}
	return written, flush()
}

func encode(typ string, v float64) uint64 {
	if typ == "I64" {
		return uint64(int64(v))
	}
	return math.Float64bits(v)
}

// encodeHeader checks all that is to be written and returns the bytes that stand before the
// elements.
func encodeHeader(metadata map[string]string, tensors []Tensor) ([]byte, error) {
	for key, value := range metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, fmt.Errorf("safetensors: metadata %s is not valid UTF-8", strictjson.Quote(key))
		}
	}
	var members [][]byte
	if len(metadata) > 0 {
		members = append(members, member(metadataKey, metadata))
	}
	seen, offset := make(map[string]bool), 0
	for _, t := range tensors {
		err := t.check()
		if seen[t.Name] {
			err = errors.New("the name is used twice")
		}
		if err != nil {
			return nil, inTensor(t.Name, err)
		}
		seen[t.Name] = true
		end := offset + 8*len(t.Data)
		members = append(members, member(t.Name, struct {
			Type    string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{t.Type, append([]int{}, t.Shape...), [2]int{offset, end}}))
		offset = end
	}
	header := slices.Concat([]byte("{"), bytes.Join(members, []byte(",")), []byte("}"))
	header = append(header, "       "[:-len(header)&7]...) // to a multiple of 8
	if len(header) > maxHeader {
		return nil, fmt.Errorf("safetensors: the header's %d bytes are over the format's limit of %d", len(header), maxHeader)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), nil
}

// member returns "key":value, map keys sorted, without the escapes that only HTML needs.
func member(key string, value any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(key) // strings and integers into a buffer: neither call can fail
	b.Truncate(b.Len() - len("\n"))
	b.WriteByte(':')
	e.Encode(value)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// check reports why t cannot be written.
func (t *Tensor) check() error {
	if !utf8.ValidString(t.Name) {
		return errors.New("the name is not valid UTF-8")
	}
	if t.Name == metadataKey {
		return errors.New("the name is reserved")
	}
	if t.Type != "F64" && t.Type != "I64" {
		return fmt.Errorf("type %s cannot be written, only F64 and I64", strictjson.Quote(t.Type))
	}
	n, err := elements(t.Shape)
	if err != nil {
		return err
	}
	if n != len(t.Data) {
		return fmt.Errorf("shape %s has %d elements, the data %d", showShape(t.Shape), n, len(t.Data))
	}
	if t.Type == "F64" {
		return nil
	}
	for i, v := range t.Data {
		if v != math.Trunc(v) || math.Abs(v) > maxExact { // NaN differs from itself
			return fmt.Errorf("element %d: %v is not an integer within ±2^53", i, v)
		}
	}
	return nil
}
