// Package safetensors reads and writes the safetensors file format
// (https://github.com/huggingface/safetensors): named arrays of numbers, and nothing that could
// run.
//
// A file is, without gaps:
//
//	8 bytes  N, the header's length, little-endian
//	N bytes  the header, a JSON object, padded with spaces
//	rest     the tensors' elements, little-endian and row-major
//
// The header maps each tensor's name to its type, its shape and the begin and end of its elements
// in the rest of the file, and the reserved name __metadata__ to an object of strings:
//
//	{"__metadata__":{"format":"pt"},"0.weight":{"dtype":"F64","shape":[8,2],"data_offsets":[0,128]}}
package safetensors

import (
	"fmt"
	"math"
	"slices"

	"example.com/backprop/internal/strictjson"
)

// A File is the content of a safetensors file.
type File struct {
	Metadata map[string]string
	Tensors  []Tensor
}

// A Tensor is one named array.
type Tensor struct {
	Name  string
	Type  string    // of the elements in the file: "F64", "F32", "I64", …
	Shape []int     // empty for a scalar; a dimension of 0 makes an empty tensor
	Data  []float64 // the elements in row-major order, whatever their type in the file
}

const (
	metadataKey = "__metadata__"
	lengthSize  = 8           // bytes, of the header's length
	maxHeader   = 100_000_000 // bytes, the reference implementation's limit
	maxExact    = 1 << 53     // float64 holds every integer up to this magnitude
	chunkSize   = 1 << 16     // bytes moved at a time, a multiple of every element's size

	maxDimensions = 64 // of a tensor; NumPy's and PyTorch's limit
)

// A dtype is a type of elements. Decode turns the bits of an element into its value and reports
// whether that is the exact one; types without it are recognized but not read.
type dtype struct {
	name   string
	size   int // bytes
	decode func(u uint64) (v float64, ok bool)
}

// dtypes lists the format's types in the reference implementation's order, that of increasing
// alignment.
var dtypes = []dtype{
	{"BOOL", 1, func(u uint64) (float64, bool) { return float64(u), u <= 1 }},
	{name: "F4"},
	{name: "F6_E2M3"},
	{name: "F6_E3M2"},
	{"U8", 1, unsigned},
	{"I8", 1, func(u uint64) (float64, bool) { return float64(int8(u)), true }},
	{name: "F8_E5M2"},
	{name: "F8_E4M3"},
	{name: "F8_E8M0"},
	{name: "F8_E4M3FNUZ"},
	{name: "F8_E5M2FNUZ"},
	{"I16", 2, func(u uint64) (float64, bool) { return float64(int16(u)), true }},
	{"U16", 2, unsigned},
	{"F16", 2, func(u uint64) (float64, bool) { return half(u), true }},
	{"BF16", 2, func(u uint64) (float64, bool) { return float64(math.Float32frombits(uint32(u) << 16)), true }},
	{"I32", 4, func(u uint64) (float64, bool) { return float64(int32(u)), true }},
	{"U32", 4, unsigned},
	{"F32", 4, func(u uint64) (float64, bool) { return float64(math.Float32frombits(uint32(u))), true }},
	{name: "C64"},
	{"F64", 8, func(u uint64) (float64, bool) { return math.Float64frombits(u), true }},
	{"I64", 8, func(u uint64) (float64, bool) { v := int64(u); return float64(v), -maxExact <= v && v <= maxExact }},
	{"U64", 8, unsigned},
}

func unsigned(u uint64) (float64, bool) { return float64(u), u <= maxExact }

// half converts IEEE 754 binary16: 1 bit sign, 5 bits exponent of bias 15, 10 bits fraction.
func half(h uint64) float64 {
	sign, exp, frac := h>>15, h>>10&31, h&1023
	var abs uint64
	switch exp {
	case 0: // zero and subnormals
		abs = math.Float64bits(float64(frac) * 0x1p-24)
	case 31: // infinity and NaN
		abs = 0x7ff<<52 | frac<<42
	default:
		abs = (exp-15+1023)<<52 | frac<<42
	}
	return math.Float64frombits(sign<<63 | abs)
}

// rank returns the place of a type in dtypes, or −1.
func rank(name string) int {
	return slices.IndexFunc(dtypes, func(d dtype) bool { return d.name == name })
}

// elements returns the product of the dimensions. As in the reference implementation a product that
// overflows is an error even if a later dimension is 0.
func elements(shape []int) (int, error) {
	if len(shape) > maxDimensions {
		return 0, fmt.Errorf("shape %s has more than %d dimensions", showShape(shape), maxDimensions)
	}
	n := 1
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %s has a negative dimension", showShape(shape))
		}
		if d > 0 && n > math.MaxInt/d {
			return 0, fmt.Errorf("shape %s has too many elements", showShape(shape))
		}
		n *= d
	}
	return n, nil
}

func showShape(shape []int) string {
	return strictjson.Abbreviate(fmt.Sprint(shape[:min(len(shape), 64)])) // each dimension takes two bytes or more
}

// inTensor says in which tensor an error arose.
func inTensor(name string, err error) error {
	return fmt.Errorf("safetensors: tensor %s: %w", strictjson.Quote(name), err)
}
