package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/backprop/internal/strictjson"
)

// A Reader reads a file in steps, so that nothing is read or kept that was not asked for: its
// header, then what that says of some tensors, then their elements. Nothing in the file is trusted:
// whatever departs from the format is an error that says what and where. Memory stays within twice
// the bytes of the header that really come, and what is kept of the tensors that are wanted; that
// of the elements is the caller's.
type Reader struct {
	Metadata map[string]string // those that were asked for

	header  header
	tensors []Tensor // in the order of their elements in the file
	in      *input
}

// NewReader reads the header and checks it, but for where the tensors lie. Keys are those of the
// metadata that are wanted; others are passed over. Tensors of the 4-, 6- and 8-bit floating-point
// and the complex types are an error.
func NewReader(r io.Reader, keys ...string) (*Reader, error) {
	in := newInput(r)
	header, err := in.header()
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	metadata, err := header.metadata(keys)
	if err != nil {
		return nil, err
	}
	return &Reader{Metadata: metadata, header: header, in: in}, nil
}

// Tensors returns all tensors, in the order of their elements in the file and with Data nil. It
// returns an error if there is one whose name is not wanted, and if they do not tile the file. It
// must be called before Read.
func (r *Reader) Tensors(wanted func(name string) bool) ([]Tensor, error) {
	entries, err := r.header.entries(wanted)
	if err != nil {
		return nil, err
	}
	size, err := layOut(entries)
	if err != nil {
		return nil, err
	}
	if err := r.in.checkSize(size); err != nil {
		return nil, err
	}
	r.tensors = make([]Tensor, len(entries))
	for i, e := range entries {
		r.tensors[i] = e.Tensor
	}
	return r.tensors, nil
}

// Read reads the elements of the tensors, in their order, and checks that the file ends there. It
// can be called once. Into returns where a tensor's elements go, memory of just their number, or
// nil for a tensor whose elements are passed over. Elements may be NaN or infinite; integers beyond
// ±2⁵³ are an error.
func (r *Reader) Read(into func(Tensor) []float64) error {
	for _, t := range r.tensors {
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
		return goesOn(r.in.at)
	} else if err != io.EOF {
		return fmt.Errorf("safetensors: reading failed after byte %d: %w", r.in.at, err)
	}
	return nil
}

// layOut sorts the entries by their place in the file, and checks that together they tile it: the
// first begins at 0, every other where the one before it ends. It returns the end of the last one.
func layOut(entries []entry) (end int, err error) {
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	for i, e := range entries {
		if e.begin > end {
			return 0, inTensor(e.Name, fmt.Errorf("begins at offset %d, leaving a hole after %d", e.begin, end))
		}
		if e.begin < end {
			return 0, inTensor(e.Name, fmt.Errorf("begins at offset %d, within tensor %s, which ends at %d",
				e.begin, strictjson.Quote(entries[i-1].Name), end))
		}
		end = e.end
	}
	return end, nil
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
	r    io.Reader
	at   int64 // bytes read so far
	size int64 // of the whole file; −1 if that is not known
	buf  []byte
}

// newInput returns the input from r, whose size is known if it is a regular file.
func newInput(r io.Reader) *input {
	in := &input{r: r, size: -1, buf: make([]byte, chunkSize)}
	if file, ok := r.(*os.File); ok {
		info, err := file.Stat()
		at, err2 := file.Seek(0, io.SeekCurrent)
		if err == nil && err2 == nil && info.Mode().IsRegular() {
			in.size = info.Size() - at
		}
	}
	return in
}

// next returns the next bytes of a part of the file of which left bytes are still to come.
func (in *input) next(left int) ([]byte, error) {
	b := in.buf[:min(left, len(in.buf))]
	n, err := io.ReadFull(in.r, b)
	in.at += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, endsEarly(in.at, int64(left-n))
	}
	if err != nil {
		return nil, fmt.Errorf("reading failed after byte %d: %w", in.at, err)
	}
	return b, nil
}

func endsEarly(at, left int64) error {
	return fmt.Errorf("the file ends at byte %d, %d bytes too early: %w", at, left, io.ErrUnexpectedEOF)
}

func goesOn(at int64) error {
	return fmt.Errorf("safetensors: the file goes on after byte %d, the end of its last tensor", at)
}

// checkSize returns an error if the file is known not to end after so many bytes more.
func (in *input) checkSize(left int) error {
	switch end := in.at + int64(left); {
	case in.size < 0 || in.size == end:
		return nil
	case in.size < end || end < in.at: // more than there are numbers
		return fmt.Errorf("safetensors: %w", endsEarly(in.size, end-in.size))
	default:
		return goesOn(end)
	}
}

// header reads all that stands before the elements.
func (in *input) header() (header, error) {
	const other = "this is not a safetensors file"
	b, err := in.next(lengthSize)
	if err != nil {
		return "", fmt.Errorf(other+", or only the beginning of one: %w", err)
	}
	length := binary.LittleEndian.Uint64(b)
	if length < 2 || length > maxHeader {
		return "", fmt.Errorf(other+": it begins with %q, which is no length of a header", b)
	}
	whole := new(strings.Builder)
	whole.Grow(int(min(int64(length), max(in.size, 0))))
	for whole.Len() < int(length) {
		b, err := in.next(int(length) - whole.Len())
		if err != nil {
			return "", fmt.Errorf("header: %w", err)
		}
		if whole.Len()+len(b) > whole.Cap() {
			old := whole.String()
			whole = new(strings.Builder)
			whole.Grow(min(int(length), 2*(len(old)+len(b))))
			whole.WriteString(old)
		}
		whole.Write(b)
		if first := whole.String()[:1]; first != "{" { // not even space
			return "", fmt.Errorf("the header begins with %q, not with '{'; "+other, first)
		}
	}
	if !utf8.ValidString(whole.String()) {
		return "", errors.New("the header is not valid UTF-8")
	}
	return header(whole.String()), nil
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

// skip passes over so many bytes, which are there if the size is known.
func (in *input) skip(left int) error {
	if in.size >= 0 {
		in.at += int64(left)
		_, err := in.r.(io.Seeker).Seek(int64(left), io.SeekCurrent)
		return err
	}
	for left > 0 {
		b, err := in.next(left)
		if err != nil {
			return err
		}
		left -= len(b)
	}
	return nil
}
