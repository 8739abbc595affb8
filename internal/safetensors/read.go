package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"example.com/backprop/internal/strictjson"
)

// A Reader reads a file in two steps, so that nothing is read that was not asked for: its header,
// then the elements of some tensors. Nothing in the file is trusted: whatever departs from the
// format is an error that says what and where. Memory stays within a small multiple of the bytes of
// the header that really come; that of the elements is the caller's.
type Reader struct {
	Metadata map[string]string
	Tensors  []Tensor // in the order of their elements in the file, Data nil

	in *input
}

// NewReader reads the header, and checks all of it. Tensors of the 4-, 6- and 8-bit floating-point
// and the complex types are an error.
func NewReader(r io.Reader) (*Reader, error) {
	in := &input{r: r, buf: make([]byte, chunkSize)}
	header, err := in.header()
	if err != nil {
		return nil, err
	}
	metadata, entries, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	if err := layOut(entries); err != nil {
		return nil, err
	}
	tensors := make([]Tensor, len(entries))
	for i, e := range entries {
		tensors[i] = e.Tensor
	}
	return &Reader{Metadata: metadata, Tensors: tensors, in: in}, nil
}

// Read reads the elements of the tensors, in their order, and checks that the file ends there. It
// can be called once. Into returns where a tensor's elements go, memory of just their number, or
// nil for a tensor whose elements are passed over. Elements may be NaN or infinite; integers beyond
// ±2⁵³ are an error.
func (r *Reader) Read(into func(Tensor) []float64) error {
	for _, t := range r.Tensors {
		count, _ := elements(t.Shape)
		d := dtypes[rank(t.Type)]
		data := into(t)
		err := error(nil)
		if data == nil {
			err = r.in.skip(count * d.size)
		} else if len(data) != count {
			panic(fmt.Sprintf("safetensors: memory for %d elements, tensor %q has %d", len(data), t.Name, count))
		} else {
			err = r.in.elements(data, d)
		}
		if err != nil {
			return inTensor(t.Name, err)
		}
	}
	if n, err := io.ReadFull(r.in.r, r.in.buf[:1]); n > 0 {
		return fmt.Errorf("safetensors: the file goes on after byte %d, the end of its last tensor", r.in.at)
	} else if err != io.EOF {
		return fmt.Errorf("safetensors: reading failed after byte %d: %w", r.in.at, err)
	}
	return nil
}

// layOut sorts the entries by their place in the file and checks each on its own, and that together
// they tile the file: the first begins at 0, every other where the one before it ends.
func layOut(entries []entry) error {
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := 0
	for i, e := range entries {
		if err := e.check(); err != nil {
			return inTensor(e.Name, err)
		}
		if e.begin > at {
			return inTensor(e.Name, fmt.Errorf("begins at offset %d, leaving a hole after %d", e.begin, at))
		}
		if e.begin < at {
			return inTensor(e.Name, fmt.Errorf("begins at offset %d, within tensor %s, which ends at %d",
				e.begin, strictjson.Quote(entries[i-1].Name), at))
		}
		at = e.end
	}
	return nil
}

// check compares the size that type and shape ask for with what lies between the offsets.
func (e *entry) check() error {
	k := rank(e.Type)
	if k < 0 {
		return fmt.Errorf("unknown type %s", strictjson.Quote(e.Type))
	}
	size := dtypes[k].size
	if size == 0 {
		return fmt.Errorf("type %s cannot be read", e.Type)
	}
	if e.begin > e.end {
		return fmt.Errorf("begins at offset %d, after its end at %d", e.begin, e.end)
	}
	n, err := elements(e.Shape)
	if err != nil {
		return err
	}
	if n > math.MaxInt/size || n*size != e.end-e.begin {
		return fmt.Errorf("shape %s of type %s, %d bytes each, does not fit the %d bytes from offset %d to %d",
			showShape(e.Shape), e.Type, size, e.end-e.begin, e.begin, e.end)
	}
	return nil
}

// An input reads in pieces of at most len(buf), so that nothing is allocated for bytes that never
// come.
type input struct {
	r   io.Reader
	at  int64 // bytes read so far
	buf []byte
}

// next returns the next bytes of a part of the file of which left bytes are still to come.
func (in *input) next(left int) ([]byte, error) {
	b := in.buf[:min(left, len(in.buf))]
	n, err := io.ReadFull(in.r, b)
	in.at += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("the file ends at byte %d, %d bytes too early: %w", in.at, left-n, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, fmt.Errorf("reading failed after byte %d: %w", in.at, err)
	}
	return b, nil
}

func (in *input) header() (string, error) {
	b, err := in.next(lengthSize)
	if err != nil {
		return "", fmt.Errorf("safetensors: header length: %w", err)
	}
	length := binary.LittleEndian.Uint64(b)
	if length < 2 || length > maxHeader {
		return "", fmt.Errorf("safetensors: header length %d, expected 2 to %d; this is not a safetensors file", length, maxHeader)
	}
	var header strings.Builder
	for header.Len() < int(length) {
		b, err := in.next(int(length) - header.Len())
		if err != nil {
			return "", fmt.Errorf("safetensors: header: %w", err)
		}
		header.Write(b)
	}
	return header.String(), nil
}

// elements fills data with elements of type d.
func (in *input) elements(data []float64, d dtype) error {
	for i := 0; i < len(data); {
		b, err := in.next((len(data) - i) * d.size)
		if err != nil {
			return err
		}
		for ; len(b) > 0; b = b[d.size:] {
			var word [8]byte
			copy(word[:], b[:d.size])
			u := binary.LittleEndian.Uint64(word[:])
			v, ok := d.decode(u)
			if !ok {
				return fmt.Errorf("element %d: bits %#x of type %s are not a value that float64 holds exactly", i, u, d.name)
			}
			data[i] = v
			i++
		}
	}
	return nil
}

// skip passes over so many bytes.
func (in *input) skip(left int) error {
	for left > 0 {
		b, err := in.next(left)
		if err != nil {
			return err
		}
		left -= len(b)
	}
	return nil
}
