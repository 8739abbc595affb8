package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Read reads a file, to the end of r, and trusts nothing in it: whatever departs from the format is an error
// that says what and where. The tensors come in the order of their elements in the file. Memory stays within a
// small multiple of the bytes that r really delivers, whatever the header claims. Elements may be NaN or
// infinite; integers beyond ±2⁵³ are an error, and so are tensors of the 4-, 6- and 8-bit floating-point and
// the complex types.
func Read(r io.Reader) (*File, error) {
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
	f := &File{Metadata: metadata, Tensors: make([]Tensor, len(entries))}
	for i, e := range entries {
		if e.Data, err = in.elements(e); err != nil {
			return nil, inTensor(e.Name, err)
		}
		f.Tensors[i] = e.Tensor
	}
	if n, err := io.ReadFull(r, in.buf[:1]); n > 0 {
		return nil, fmt.Errorf("safetensors: the file goes on after byte %d, the end of its last tensor", in.at)
	} else if err != io.EOF {
		return nil, fmt.Errorf("safetensors: reading failed after byte %d: %w", in.at, err)
	}
	return f, nil
}

// layOut sorts the entries by their place in the file and checks each on its own, and that together they tile
// the file: the first begins at 0, every other where the one before it ends.
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
				e.begin, quote(entries[i-1].Name), at))
		}
		at = e.end
	}
	return nil
}

// check compares the size that type and shape ask for with what lies between the offsets.
func (e *entry) check() error {
	k := rank(e.Type)
	if k < 0 {
		return fmt.Errorf("unknown type %s", quote(e.Type))
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

// An input reads in pieces of at most len(buf), so that nothing is allocated for bytes that never come.
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
	b, err := in.next(8)
	if err != nil {
		return "", fmt.Errorf("safetensors: header length: %w", err)
	}
	length := binary.LittleEndian.Uint64(b)
	if length < 2 || length > maxHeader {
		return "", fmt.Errorf("safetensors: header length %d, expected 2 to %d", length, maxHeader)
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

// elements reads the elements of e. Their memory doubles as they arrive, up to what e needs.
func (in *input) elements(e entry) ([]float64, error) {
	d := dtypes[rank(e.Type)]
	count := (e.end - e.begin) / d.size
	var data []float64
	for len(data) < count {
		b, err := in.next((count - len(data)) * d.size)
		if err != nil {
			return nil, err
		}
		if need := len(data) + len(b)/d.size; need > cap(data) {
			data = append(make([]float64, 0, min(count, max(need, 2*len(data)))), data...)
		}
		for ; len(b) > 0; b = b[d.size:] {
			var word [8]byte
			copy(word[:], b[:d.size])
			u := binary.LittleEndian.Uint64(word[:])
			v, ok := d.decode(u)
			if !ok {
				return nil, fmt.Errorf("element %d: bits %#x of type %s are not a value that float64 holds exactly", len(data), u, e.Type)
			}
			data = append(data, v)
		}
	}
	return data, nil
}
