package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// Writing.

func TestWriteToGivesTheBytesOfTheFormat(t *testing.T) {
	f := &File{
		Metadata: map[string]string{"z": `<a href="&">`, "k": "é\n"},
		Tensors: []Tensor{
			{Name: "b", Type: "F64", Shape: []int{1, 2}, Data: []float64{1, -0.5}},
			{Name: "a", Type: "F64", Shape: []int{0, 3}},
			{Name: "n", Type: "I64", Data: []float64{-2}},
		},
	}
	header := `{"__metadata__":{"k":"é\n","z":"<a href=\"&\">"},` +
		`"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},` +
		`"a":{"dtype":"F64","shape":[0,3],"data_offsets":[8,8]},` +
		`"b":{"dtype":"F64","shape":[1,2],"data_offsets":[8,24]}}` +
		"   " // 213 bytes, é being two, and 3 spaces
	want := "\xd8\x00\x00\x00\x00\x00\x00\x00" + header +
		"\xfe\xff\xff\xff\xff\xff\xff\xff" + // −2 in two's complement
		"\x00\x00\x00\x00\x00\x00\xf0\x3f" + // 1: biased exponent 1023
		"\x00\x00\x00\x00\x00\x00\xe0\xbf" // −0.5: sign, biased exponent 1022
	if got := string(write(t, f)); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	if got := string(write(t, &File{})); got != "\x08\x00\x00\x00\x00\x00\x00\x00{}      " {
		t.Errorf("an empty file is %q", got)
	}
}

func TestWriteToGivesTheSameBytesInAnyOrder(t *testing.T) {
	f := &File{Metadata: map[string]string{}}
	for i := range 40 {
		f.Metadata[fmt.Sprint(i)] = "v"
		f.Tensors = append(f.Tensors, Tensor{Name: fmt.Sprint(i), Type: []string{"F64", "I64"}[i%2], Data: []float64{float64(i)}})
	}
	want := write(t, f)
	if !bytes.Equal(write(t, f), want) || f.Tensors[0].Name != "0" { // "1" is the first in the file
		t.Error("writing changed the file")
	}
	slices.Reverse(f.Tensors)
	if !bytes.Equal(write(t, f), want) {
		t.Error("the order of the tensors shows in the bytes")
	}
}

func TestReadReturnsWhatWasWritten(t *testing.T) {
	special := []float64{0, math.Copysign(0, -1), 1, -1, math.Pi, math.MaxFloat64, math.SmallestNonzeroFloat64, -0x1p-1030,
		math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(0x7ff0_0000_0000_0001), math.Float64frombits(0xfff8_dead_beef_0001)}
	big := make([]float64, 3*chunkSize/8+5) // many pieces
	for i := range big {
		big[i] = math.Float64frombits(uint64(i) * 0x9e37_79b9_7f4a_7c15)
	}
	f := &File{
		Metadata: map[string]string{"": "", allEscapes: "<&>", "json": `{"a":[1]}`},
		Tensors: []Tensor{
			{Name: "special", Type: "F64", Shape: []int{len(special)}, Data: special},
			{Name: "", Type: "F64", Shape: []int{5, 0, 2}},
			{Name: "a scalar", Type: "F64", Data: []float64{42}},
			{Name: "\"\\\n\x00😀\ufffd", Type: "F64", Shape: []int{1, 1, 1}, Data: []float64{7}},
			{Name: "__metadata__ ", Type: "I64", Shape: []int{5}, Data: []float64{0, -1, 1 << 53, -1 << 53, 1<<53 - 1}},
			{Name: "big", Type: "F64", Shape: []int{len(big)}, Data: big},
		},
	}
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"whole":    func(r io.Reader) io.Reader { return r },
		"bytewise": iotest.OneByteReader,
		"dataErr":  iotest.DataErrReader,
	} {
		got, err := read(reader(bytes.NewReader(write(t, f))))
		if err != nil {
			t.Fatal(name, err)
		}
		compare(t, got, f)
	}
}

func TestWriteToRefusesBeforeTheFirstByte(t *testing.T) {
	one := Tensor{Name: "a", Type: "F64", Shape: []int{1}, Data: []float64{1}}
	i64 := func(v float64) *File { return &File{Tensors: []Tensor{{Name: "a", Type: "I64", Data: []float64{v}}}} }
	shaped := func(shape ...int) *File { return &File{Tensors: []Tensor{{Name: "a", Type: "F64", Shape: shape}}} }
	for _, c := range []struct {
		file *File
		want string
	}{
		{&File{Tensors: []Tensor{one, one}}, `safetensors: tensor "a": the name is used twice`},
		{&File{Tensors: []Tensor{{Name: "__metadata__", Type: "F64"}}}, `safetensors: tensor "__metadata__": the name is reserved`},
		{&File{Tensors: []Tensor{{Name: "a\xff", Type: "F64"}}}, `safetensors: tensor "a\xff": the name is not valid UTF-8`},
		{&File{Metadata: map[string]string{"k": "\xff"}}, `safetensors: metadata "k" is not valid UTF-8`},
		{&File{Metadata: map[string]string{"\xc0": ""}}, `safetensors: metadata "\xc0" is not valid UTF-8`},
		{&File{Tensors: []Tensor{{Name: "a", Type: "F32"}}}, `safetensors: tensor "a": type "F32" cannot be written, only F64 and I64`},
		{&File{Tensors: []Tensor{{Name: "a"}}}, `safetensors: tensor "a": type "" cannot be written, only F64 and I64`},
		{shaped(), `safetensors: tensor "a": shape [] has 1 elements, the data 0`},
		{shaped(2, 3), `safetensors: tensor "a": shape [2 3] has 6 elements, the data 0`},
		{shaped(-1), `safetensors: tensor "a": shape [-1] has a negative dimension`},
		{shaped(0, -1), `safetensors: tensor "a": shape [0 -1] has a negative dimension`},
		{shaped(math.MaxInt, 2), fmt.Sprintf(`safetensors: tensor "a": shape [%d 2] has too many elements`, math.MaxInt)},
		{i64(0.5), `safetensors: tensor "a": element 0: 0.5 is not an integer within ±2^53`},
		{i64(1<<53 + 2), `safetensors: tensor "a": element 0: 9.007199254740994e+15 is not an integer within ±2^53`},
		{i64(math.NaN()), `safetensors: tensor "a": element 0: NaN is not an integer within ±2^53`},
		{i64(math.Inf(-1)), `safetensors: tensor "a": element 0: -Inf is not an integer within ±2^53`},
		{&File{Metadata: map[string]string{"": strings.Repeat("x", maxHeader)}},
			`safetensors: the header's 100000024 bytes are over the format's limit of 100000000`}, // {"__metadata__":{"":"…"}} is 23 more, then to a multiple of 8
	} {
		var b bytes.Buffer
		n, err := c.file.WriteTo(&b)
		if n != 0 || b.Len() != 0 || err == nil || err.Error() != c.want {
			t.Errorf("%d bytes and error\n%v, want\n%v", b.Len(), err, c.want)
		}
	}
}

func TestWriteToReturnsTheWritersError(t *testing.T) {
	full := errors.New("disk full")
	long := &File{Tensors: []Tensor{{Name: "a", Type: "F64", Shape: []int{20000}, Data: make([]float64, 20000)}}}
	for _, c := range []struct {
		file *File
		step int
	}{{small(), 1}, {long, 1021}} { // every byte, and every part of a file of three pieces
		whole := write(t, c.file)
		for k := 0; k < len(whole); k += c.step {
			for _, want := range []error{full, io.ErrShortWrite} {
				w := &failingWriter{left: k}
				if want == full {
					w.err = full
				}
				n, err := c.file.WriteTo(w)
				text := fmt.Sprintf("safetensors: writing failed after byte %d: %v", k, want)
				if !errors.Is(err, want) || err.Error() != text || n != int64(k) || !bytes.Equal(w.Bytes(), whole[:k]) {
					t.Fatalf("writer of %d bytes: %d bytes and error %v, want %s", k, n, err, text)
				}
			}
		}
	}
}

// Reading.

func TestReadDecodesEveryReadableType(t *testing.T) {
	nan, inf, negZero := math.NaN(), math.Inf(1), math.Copysign(0, -1)
	for _, c := range []struct {
		dtype, data string
		want        []float64
	}{
		{"BOOL", "\x00\x01", []float64{0, 1}},
		{"U8", "\x00\xff", []float64{0, 255}},
		{"I8", "\x7f\x80", []float64{127, -128}},
		{"U16", "\x01\x00\xff\xff", []float64{1, 65535}},
		{"I16", "\xff\x7f\x00\x80", []float64{32767, -32768}},
		{"F16", "\x00\x3c\x00\xc0\x00\x80\x01\x00\xff\x7b\x00\x7c\x00\xfe", []float64{1, -2, negZero, 0x1p-24, 65504, inf, nan}},
		{"BF16", "\x80\x3f\x00\xc0\x00\x80\x01\x00\x80\xff\xc0\x7f", []float64{1, -2, negZero, 0x1p-133, -inf, nan}},
		{"U32", "\x01\x00\x00\x00\xff\xff\xff\xff", []float64{1, 1<<32 - 1}},
		{"I32", "\xff\xff\xff\x7f\x00\x00\x00\x80", []float64{1<<31 - 1, -1 << 31}},
		{"F32", "\x00\x00\x80\x3f\x01\x00\x00\x00\x00\x00\x80\xff", []float64{1, 0x1p-149, -inf}},
		{"F64", "\x00\x00\x00\x00\x00\x00\xf0\x3f", []float64{1}},
		{"I64", "\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\xe0\xff", []float64{-1, -1 << 53}},
		{"U64", "\x00\x00\x00\x00\x00\x00\x20\x00", []float64{1 << 53}},
	} {
		f, err := read(strings.NewReader(one(c.dtype, fmt.Sprintf("[%d]", len(c.want)), int64(len(c.data))) + c.data))
		if err != nil {
			t.Error(err)
			continue
		}
		for i, v := range f.Tensors[0].Data {
			if v != c.want[i] && !(v != v && c.want[i] != c.want[i]) || v == 0 && math.Signbit(v) != math.Signbit(c.want[i]) {
				t.Errorf("%s element %d is %v, want %v", c.dtype, i, v, c.want[i])
			}
		}
	}
}

func TestHalfIsItsFormulaForEveryValue(t *testing.T) {
	for h := range uint64(1 << 16) {
		exp, frac := int(h>>10&31), float64(h&1023)
		want := math.Ldexp(1+frac/1024, exp-15)
		switch {
		case exp == 0:
			want = math.Ldexp(frac/1024, -14)
		case exp == 31 && frac == 0:
			want = math.Inf(1)
		case exp == 31:
			want = math.NaN()
		}
		if h>>15 == 1 {
			want = -want
		}
		if got := half(h); got != want && !(got != got && want != want) || math.Signbit(got) != (h>>15 == 1) {
			t.Fatalf("half(%#x) = %v, want %v", h, got, want)
		}
	}
}

func TestReadTakesWhatTheFormatAllows(t *testing.T) {
	for header, data := range map[string]string{
		"{}":                                  "",
		"{}\r \t\n":                           "", // the reference implementation takes any JSON space as padding
		"{  }       ":                         "",
		`{"__metadata__":{}}`:                 "",
		`{"__metadata__":{"framework":"pt"}}`: "",
		"{ \"a\" : {\n\"shape\" :\t[ 2 , 1 ] , \"data_offsets\" : [ 0 , 2 ],\r\"dtype\": \"U8\" } }": "ab",
		`{"test":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}`:                                   "\x00\x00\x00\x00",
		`{"test":{"dtype":"I32","shape":[2,0],"data_offsets":[0,0]}}`:                                "",
		`{"x":{"dtype":"F16","shape":[1,16,256],"data_offsets":[0,8192]}}`:                           strings.Repeat("\x00", 8192),
		`{"a":{"dtype":"U8","shape":[1],"data_offsets":[3,4]},"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},` +
			`"__metadata__":{},"c":{"dtype":"F64","shape":[0],"data_offsets":[3,3]}}`: "abcd",
		`{"\u0061\ud83d\ude00\/":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`: "a",
	} {
		if _, err := read(strings.NewReader(file(header, data))); err != nil {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestReadOrdersTensorsAsTheFileDoes(t *testing.T) {
	f, err := read(strings.NewReader(file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},`+
		`"__metadata__":{"k":"v"},"b":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, "\x05\x06")))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, f, &File{Metadata: map[string]string{"k": "v"}, Tensors: []Tensor{
		{Name: "b", Type: "U8", Data: []float64{5}}, {Name: "a", Type: "U8", Shape: []int{1}, Data: []float64{6}}}})
	if f.Tensors[0].Name != "b" {
		t.Error("tensors come in the order of the header")
	}
}

// hostile holds files that are not to be read, with the error that says why.
var hostile = []struct{ file, want string }{
	// The header's length.
	{"", "safetensors: this is not a safetensors file, or only the beginning of one: the file ends at byte 0, 8 bytes too early: unexpected EOF"},
	{"\x02\x00\x00\x00\x00\x00\x00", "safetensors: this is not a safetensors file, or only the beginning of one: the file ends at byte 7, 1 bytes too early: unexpected EOF"},
	{length(0), `safetensors: this is not a safetensors file: it begins with "\x00\x00\x00\x00\x00\x00\x00\x00", which is no length of a header`},
	{length(1) + "{", `safetensors: this is not a safetensors file: it begins with "\x01\x00\x00\x00\x00\x00\x00\x00", which is no length of a header`},
	{length(2), "safetensors: header: the file ends at byte 8, 2 bytes too early: unexpected EOF"},
	{length(3) + "{}", "safetensors: header: the file ends at byte 10, 1 bytes too early: unexpected EOF"},
	{length(100_000_000) + "{}", "safetensors: header: the file ends at byte 10, 99999998 bytes too early: unexpected EOF"},
	{length(100_000_001) + "{}", `safetensors: this is not a safetensors file: it begins with "\x01\xe1\xf5\x05\x00\x00\x00\x00", which is no length of a header`},
	{length(1<<63) + "{}", `safetensors: this is not a safetensors file: it begins with "\x00\x00\x00\x00\x00\x00\x00\x80", which is no length of a header`},
	{length(1<<64-1) + "{}", `safetensors: this is not a safetensors file: it begins with "\xff\xff\xff\xff\xff\xff\xff\xff", which is no length of a header`},
	{"a,b,c\n1,2,3\n", `safetensors: this is not a safetensors file: it begins with "a,b,c\n1,", which is no length of a header`},
	// The header's JSON.
	{file(" {}", ""), `safetensors: the header begins with " ", not with '{'; this is not a safetensors file`},
	{file("\ufeff{}", ""), `safetensors: the header begins with "\xef", not with '{'; this is not a safetensors file`},
	{file("[]", ""), `safetensors: the header begins with "[", not with '{'; this is not a safetensors file`},
	{file("null", ""), `safetensors: the header begins with "n", not with '{'; this is not a safetensors file`},
	{file("  ", ""), `safetensors: the header begins with " ", not with '{'; this is not a safetensors file`},
	{file("{\"a\xff\":1}", ""), "safetensors: the header is not valid UTF-8"},
	{file("{\"\xed\xa0\x80\":1}", ""), "safetensors: the header is not valid UTF-8"},
	{file("{ ", ""), `safetensors: byte 10: expected a string, got the end`},
	{file(`{"a`, ""), `safetensors: byte 9: invalid string "a`},
	{file(`{"a":`, ""), `safetensors: byte 13: tensor "a": expected {, got the end`},
	{file(`{"a" 1}`, ""), `safetensors: byte 13: expected :, got 1`},
	{file("{]", ""), `safetensors: byte 9: expected a string, got ]`},
	{file("{},", ""), `safetensors: byte 10: expected the end, got ,`},
	{file("{}{}", ""), `safetensors: byte 10: expected the end, got {`},
	{file("{}\x00", ""), `safetensors: byte 10: expected the end, got "\x00"`},
	{file("{'a':1}", ""), `safetensors: byte 9: expected a string, got 'a'`},
	{file("{\"a\nb\":1}", ""), `safetensors: byte 9: invalid string "\"a\nb\""`},
	{file(`{"a\x":1}`, ""), `safetensors: byte 9: invalid string "a\x"`},
	{file(`{"\ud83d":1}`, ""), `safetensors: byte 9: invalid string "\ud83d"`},
	{file(`{"\ude00\ud83d":1}`, ""), `safetensors: byte 9: invalid string "\ude00\ud83d"`},
	{file(`{"\ud83da":1}`, ""), `safetensors: byte 9: invalid string "\ud83da"`},
	{file(`{"\u00g0":1}`, ""), `safetensors: byte 9: invalid string "\u00g0"`},
	{file(`{"a\`, ""), `safetensors: byte 9: invalid string "a\`},
	{file(`{"a\"`, ""), `safetensors: byte 9: invalid string "a\"`},
	{file(`{"`, ""), `safetensors: byte 9: invalid string "`},
	{file(`{,}`, ""), `safetensors: byte 9: expected a string, got ,`},
	{file(`{"__metadata__":{},}`, ""), `safetensors: byte 27: expected a string, got }`},
	{file(`{"__metadata__":{}"a":{}}`, ""), `safetensors: byte 26: expected ,, got "a"`},
	{file(`{1:2}`, ""), `safetensors: byte 9: expected a string, got 1`},
	{file(`{"a":1}`, ""), `safetensors: byte 13: tensor "a": expected {, got 1`},
	{file(`{"a":null}`, ""), `safetensors: byte 13: tensor "a": expected {, got null`},
	{file(`{"a":[]}`, ""), `safetensors: byte 13: tensor "a": expected {, got [`},
	{file(`{"a":`+strings.Repeat(`[`, 10_000)+`}`, ""), `safetensors: byte 13: tensor "a": expected {, got [`},
	{file(strings.Repeat(`{"a":`, 10_000), ""), `safetensors: byte 17: tensor "a": unknown key "a"`},
	{file(`{"__metadata__":{"a":`+strings.Repeat(`[`, 10_000), ""), `safetensors: byte 29: __metadata__: expected a string, got [`},
	// Metadata.
	{file(`{"__metadata__":null}`, ""), `safetensors: byte 24: __metadata__: expected {, got null`},
	{file(`{"__metadata__":"a"}`, ""), `safetensors: byte 24: __metadata__: expected {, got "a"`},
	{file(`{"__metadata__":{"a":1}}`, ""), `safetensors: byte 29: __metadata__: expected a string, got 1`},
	{file(`{"__metadata__":{"a":null}}`, ""), `safetensors: byte 29: __metadata__: expected a string, got null`},
	{file(`{"__metadata__":{"a":{"b":"c"}}}`, ""), `safetensors: byte 29: __metadata__: expected a string, got {`},
	{file(`{"__metadata__":{"a":"b","\u0061":"c"}}`, ""), `safetensors: byte 33: __metadata__: duplicate key "a"`},
	{file(`{"__metadata__":{},"__metadata__":{}}`, ""), `safetensors: byte 27: duplicate key "__metadata__"`},
	// A tensor's object.
	{file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, ""),
		`safetensors: byte 61: duplicate key "a"`},
	{file(`{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, ""), `safetensors: byte 27: tensor "a": duplicate key "dtype"`},
	{file(`{"a":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}}`, ""), `safetensors: byte 39: tensor "a": duplicate key "shape"`},
	{file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"data_offsets":[0,0]}}`, ""), `safetensors: byte 60: tensor "a": duplicate key "data_offsets"`},
	{file(`{"a":{"dtype":"U8","shape":[0],"offsets":[0,0]}}`, ""), `safetensors: byte 48: tensor "a": unknown key "offsets"`},
	{file(`{"a":{"Dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, ""), `safetensors: byte 21: tensor "a": unknown key "Dtype"`},
	{file(`{"a":{}}`, ""), `safetensors: byte 14: tensor "a": missing key "dtype"`},
	{file(`{"a":{"dtype":"U8","data_offsets":[0,0]}}`, ""), `safetensors: byte 47: tensor "a": missing key "shape"`},
	{file(`{"a":{"dtype":"U8","shape":[0]}}`, ""), `safetensors: byte 38: tensor "a": missing key "data_offsets"`},
	{file(`{"a":{"dtype":8,"shape":[0],"data_offsets":[0,0]}}`, ""), `safetensors: byte 22: tensor "a": expected a string, got 8`},
	{one("F128", "[0]", 0), `safetensors: tensor "a": unknown type "F128"`},
	{one("f64", "[0]", 0), `safetensors: tensor "a": unknown type "f64"`},
	{one("", "[0]", 0), `safetensors: tensor "a": unknown type ""`},
	{one("F8_E4M3", "[1]", 1) + "\x00", `safetensors: tensor "a": type F8_E4M3 cannot be read`},
	{one("F4", "[2]", 1) + "\x00", `safetensors: tensor "a": type F4 cannot be read`},
	{one("C64", "[1]", 8) + "12345678", `safetensors: tensor "a": type C64 cannot be read`},
	// Numbers.
	{one("U8", "1", 1) + "\x00", `safetensors: byte 35: tensor "a": expected [, got 1`},
	{one("U8", "null", 1) + "\x00", `safetensors: byte 35: tensor "a": expected [, got null`},
	{one("U8", "[-1]", 1) + "\x00", `safetensors: byte 36: tensor "a": expected a non-negative integer, got -1`},
	{one("U8", "[-0]", 0), `safetensors: byte 36: tensor "a": expected a non-negative integer, got -0`},
	{one("U8", "[1.0]", 1) + "\x00", `safetensors: byte 36: tensor "a": expected a non-negative integer, got 1.0`},
	{one("U8", "[1e0]", 1) + "\x00", `safetensors: byte 36: tensor "a": expected a non-negative integer, got 1e0`},
	{one("U8", `["1"]`, 1) + "\x00", `safetensors: byte 36: tensor "a": expected a non-negative integer, got "1"`},
	{one("U8", "[null]", 1) + "\x00", `safetensors: byte 36: tensor "a": expected a non-negative integer, got null`},
	{one("U8", "[true]", 1) + "\x00", `safetensors: byte 36: tensor "a": expected a non-negative integer, got true`},
	{one("U8", "[[1]]", 1) + "\x00", `safetensors: byte 36: tensor "a": expected a non-negative integer, got [`},
	{one("U8", "[01]", 1) + "\x00", `safetensors: byte 36: tensor "a": expected a non-negative integer, got 01`},
	{one("U8", "[1,]", 1) + "\x00", `safetensors: byte 38: tensor "a": expected a non-negative integer, got ]`},
	{one("U8", "[1}", 1) + "\x00", `safetensors: byte 37: tensor "a": expected ,, got }`},
	{one("U8", "[18446744073709551616]", 1) + "\x00", `safetensors: byte 36: tensor "a": 18446744073709551616 is too large`},
	{one("U8", "[9223372036854775808]", 1) + "\x00", `safetensors: byte 36: tensor "a": 9223372036854775808 is too large`},
	{one("U8", "["+strings.Repeat("9", 1000)+"]", 1), `safetensors: byte 36: tensor "a": ` + strings.Repeat("9", 64) + "… is too large"},
	{file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}}`, ""), `safetensors: byte 56: tensor "a": expected 2 data_offsets, got 1`},
	{file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}}`, ""), `safetensors: byte 60: tensor "a": expected 2 data_offsets, got 3`},
	{file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}`, ""), `safetensors: byte 55: tensor "a": expected a non-negative integer, got -1`},
	{file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.5]}}`, ""), `safetensors: byte 57: tensor "a": expected a non-negative integer, got 1.5`},
	{file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1e1]}}`, ""), `safetensors: byte 57: tensor "a": expected a non-negative integer, got 1e1`},
	// Sizes.
	{file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, ""), `safetensors: tensor "a": begins at offset 1, after its end at 0`},
	{one("I32", "[2,2]", 4) + "abcd", `safetensors: tensor "a": shape [2 2] of type I32, 4 bytes each, does not fit the 4 bytes from offset 0 to 4`},
	{one("U8", "[]", 0), `safetensors: tensor "a": shape [] of type U8, 1 bytes each, does not fit the 0 bytes from offset 0 to 0`},
	{one("U8", "[0]", 1) + "a", `safetensors: tensor "a": shape [0] of type U8, 1 bytes each, does not fit the 1 bytes from offset 0 to 1`},
	{one("U8", "["+strings.Repeat("2,", 64)+"2]", 0), `safetensors: tensor "a": shape [` + strings.Repeat("2 ", 31) + "2… has more than 64 dimensions"},
	{one("U8", "["+strings.Repeat("2,", 63)+"2]", 0), `safetensors: tensor "a": shape [` + strings.Repeat("2 ", 31) + "2… has too many elements"},
	{one("F64", "[2]", 16) + "12345678", `safetensors: tensor "a": the file ends at byte 71, 8 bytes too early: unexpected EOF`},
	{one("U8", "[2]", 2) + "123", `safetensors: the file goes on after byte 63, the end of its last tensor`},
	{file("{}", "\x00"), "safetensors: the file goes on after byte 10, the end of its last tensor"},
	// Places: holes, overlaps, aliases.
	{file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, "12"), `safetensors: tensor "a": begins at offset 1, leaving a hole after 0`},
	{two(0, 2, 3, 4) + "1234", `safetensors: tensor "b": begins at offset 3, leaving a hole after 2`},
	{two(3, 4, 0, 2) + "1234", `safetensors: tensor "a": begins at offset 3, leaving a hole after 2`},
	{two(0, 2, 1, 3) + "123", `safetensors: tensor "b": begins at offset 1, within tensor "a", which ends at 2`},
	{two(1, 3, 0, 2) + "123", `safetensors: tensor "a": begins at offset 1, within tensor "b", which ends at 2`},
	{two(0, 2, 0, 2) + "12", `safetensors: tensor "b": begins at offset 0, within tensor "a", which ends at 2`},
	{two(0, 4, 1, 2) + "1234", `safetensors: tensor "b": begins at offset 1, within tensor "a", which ends at 4`},
	{two(0, 4, 2, 2) + "1234", `safetensors: tensor "b": begins at offset 2, within tensor "a", which ends at 4`},
	{two(0, 2, 3, 3) + "12", `safetensors: tensor "b": begins at offset 3, leaving a hole after 2`},
	// Elements.
	{one("BOOL", "[2]", 2) + "\x01\x02", `safetensors: tensor "a": element 1: bits 0x2 of type BOOL are not a value that float64 holds exactly`},
	{one("I64", "[]", 8) + "\x01\x00\x00\x00\x00\x00\x20\x00", `safetensors: tensor "a": element 0: bits 0x20000000000001 of type I64 are not a value that float64 holds exactly`},
	{one("I64", "[]", 8) + "\xff\xff\xff\xff\xff\xff\xdf\xff", `safetensors: tensor "a": element 0: bits 0xffdfffffffffffff of type I64 are not a value that float64 holds exactly`},
	{one("U64", "[]", 8) + "\x01\x00\x00\x00\x00\x00\x20\x00", `safetensors: tensor "a": element 0: bits 0x20000000000001 of type U64 are not a value that float64 holds exactly`},
	// Names that would flood an error.
	{file(`{"`+strings.Repeat("é", 1000)+`":1}`, ""), `safetensors: byte 2012: tensor "` + strings.Repeat("é", 32) + `…": expected {, got 1`},
	{file(`{"a`+strings.Repeat("é", 1000)+`":1}`, ""), `safetensors: byte 2013: tensor "a` + strings.Repeat("é", 31) + `…": expected {, got 1`},
}

// wide holds hostile files whose numbers do not fit an int of 32 bits, with the error where it has
// 64.
var wide = []struct{ file, want string }{
	{one("U8", "[2,9223372036854775807]", 1), `safetensors: tensor "a": shape [2 9223372036854775807] has too many elements`},
	{one("U8", "[4294967296,4294967296]", 0), `safetensors: tensor "a": shape [4294967296 4294967296] has too many elements`},
	{one("U8", "[4294967296,4294967296,0]", 0), `safetensors: tensor "a": shape [4294967296 4294967296 0] has too many elements`},
	{one("F64", "[2305843009213693952]", 0), `safetensors: tensor "a": shape [2305843009213693952] of type F64, 8 bytes each, does not fit the 0 bytes from offset 0 to 0`},
	{one("U8", "[9223372036854775807]", math.MaxInt64), `safetensors: tensor "a": the file ends at byte 97, 9223372036854775807 bytes too early: unexpected EOF`},
	{one("F64", "[576460752303423488]", 1<<62), `safetensors: tensor "a": the file ends at byte 97, 4611686018427387904 bytes too early: unexpected EOF`},
}

func TestReadRefusesHostileFiles(t *testing.T) {
	for _, c := range hostile {
		f, err := read(strings.NewReader(c.file))
		if f != nil || err == nil || err.Error() != c.want {
			t.Errorf("%.200q:\n got %v\nwant %v", c.file, err, c.want)
		}
	}
	for _, c := range wide {
		want := c.want
		if strconv.IntSize == 32 {
			want = " is too large"
		}
		f, err := read(strings.NewReader(c.file))
		if f != nil || err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%.200q:\n got %v\nwant %v", c.file, err, want)
		}
	}
}

func TestReadRefusesAFileCutAtAnyByte(t *testing.T) {
	whole := write(t, small())
	for k := range whole {
		f, err := read(bytes.NewReader(whole[:k]))
		if f != nil || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), fmt.Sprintf("the file ends at byte %d, ", k)) {
			t.Errorf("cut at byte %d: %v", k, err)
		}
	}
}

func TestReadReturnsTheReadersError(t *testing.T) {
	whole := write(t, small())
	broken := errors.New("broken disk")
	for k := range len(whole) + 1 {
		f, err := read(io.MultiReader(bytes.NewReader(whole[:k]), iotest.ErrReader(broken)))
		if f != nil || !errors.Is(err, broken) || !strings.HasSuffix(err.Error(), fmt.Sprintf("reading failed after byte %d: broken disk", k)) {
			t.Errorf("reader broken after byte %d: %v", k, err)
		}
	}
}

// What is passed over is not looked at, but must be there.
func TestReadPassesOverWhatIsNotAskedFor(t *testing.T) {
	header := `{"a":{"dtype":"BOOL","shape":[70000],"data_offsets":[0,70000]},"b":{"dtype":"U8","shape":[1],"data_offsets":[70000,70001]}}`
	whole := file(header, strings.Repeat("\x07", 70001))
	for cut := range 3 {
		r, err := NewReader(strings.NewReader(whole[:len(whole)-cut]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Tensors(anyName); err != nil {
			t.Fatal(err)
		}
		b := make([]float64, 1)
		err = r.Read(func(t Tensor) []float64 {
			if t.Name == "a" {
				return nil
			}
			return b
		})
		want := []string{"", `tensor "b": the file ends at byte %d, 1 bytes`, `tensor "a": the file ends at byte %d, 1 bytes`}[cut]
		if cut == 0 && (err != nil || b[0] != 7) {
			t.Error(b, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), fmt.Sprintf(want, len(whole)-cut))) {
			t.Error(err)
		}
	}
}

func TestATensorThatIsNotWantedIsRefused(t *testing.T) {
	r, err := NewReader(strings.NewReader(two(0, 1, 1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Tensors(func(name string) bool { return name == "a" })
	if want := `safetensors: tensor "b": is not wanted`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestReadPanicsIfItIsGivenOtherMemory(t *testing.T) {
	defer func() {
		if got := recover(); got != `safetensors: memory for 1 elements, tensor "n" has 0` {
			t.Error(got)
		}
	}()
	r, err := NewReader(strings.NewReader(file(`{"n":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, "")))
	if err == nil {
		_, err = r.Tensors(anyName)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.Read(func(Tensor) []float64 { return make([]float64, 1) })
}

func TestReadAllocatesInProportionToTheHeader(t *testing.T) {
	list := func(n int, f func(i int) string) string {
		var items []string
		for i := range n {
			items = append(items, f(i))
		}
		return strings.Join(items, ",")
	}
	for name, in := range map[string]string{
		"header claims 100 MB":  length(maxHeader) + "{}",
		"tensor claims 2^62":    one("F64", "[576460752303423488]", 1<<62),
		"and brings some":       one("F64", "[576460752303423488]", 1<<62) + strings.Repeat("1", 1<<20),
		"tensor claims 2^63-1":  one("U8", "[9223372036854775807]", math.MaxInt64) + "1",
		"bytes":                 one("U8", "[1048577]", 1<<20+1) + strings.Repeat("1", 1<<20+1),
		"floats":                one("F64", "[131073]", 1<<20+8) + strings.Repeat("1", 1<<20+8),
		"deep":                  file(`{"a":`+strings.Repeat("[", 1<<20), ""),
		"a long name":           file(`{"`+strings.Repeat("a", 1<<20)+`":0}`, ""),
		"a name of escapes":     file(`{"`+strings.Repeat(`\u0061`, 1<<18)+`":0}`, ""),
		"a long number":         one("U8", "["+strings.Repeat("9", 1<<20)+"]", 0),
		"a long shape":          one("U8", "["+strings.Repeat("1,", 1<<19)+"1]", 1) + "1",
		"a long and huge shape": one("U8", "["+strings.Repeat("2,", 1<<19)+"1]", 1) + "1",
		"much metadata":         file(`{"__metadata__":{`+list(1<<16, func(i int) string { return fmt.Sprintf(`"%x":""`, i) })+"}}", ""),
		"many tensors": file("{"+list(1<<14, func(i int) string {
			return fmt.Sprintf(`"%x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
		})+"}", ""),
		"padding": file("{}"+strings.Repeat(" ", 1<<20), ""),
	} {
		const factor, constant = 4, 128 << 10
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if r, err := NewReader(strings.NewReader(in), metadataKeys...); err == nil {
			if _, err := r.Tensors(func(name string) bool { return name == "a" }); err == nil {
				r.Read(passOver)
			}
		}
		runtime.ReadMemStats(&after)
		total := after.TotalAlloc - before.TotalAlloc // garbage included
		t.Logf("%s: %d bytes for %d, %.1f", name, total, len(in), float64(total)/float64(len(in)))
		if total > uint64(factor*len(in)+constant) {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, total, len(in))
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range hostile {
		f.Add([]byte(c.file))
	}
	var b bytes.Buffer
	small().WriteTo(&b)
	f.Add(b.Bytes())
	for _, d := range dtypes {
		f.Add([]byte(one(d.name, "[1]", int64(d.size)) + "12345678"[:d.size]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := read(bytes.NewReader(data))
		if err != nil {
			if got != nil || !strings.HasPrefix(err.Error(), "safetensors: ") || len(err.Error()) > 600 {
				t.Fatalf("file %v and error %v", got, err)
			}
			return
		}
		for i := range got.Tensors {
			if got.Tensors[i].Type != "I64" {
				got.Tensors[i].Type = "F64" // every value of every type is one of these
			}
		}
		again, err := read(bytes.NewReader(write(t, got)))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, again, got)
	})
}

// Helpers.

// read reads all of a file, but for the elements of tensors larger than any here, which are passed
// over, and for metadata whose keys are none of those here.
func read(r io.Reader) (*File, error) {
	in, err := NewReader(r, metadataKeys...)
	if err != nil {
		return nil, err
	}
	if _, err := in.Tensors(anyName); err != nil {
		return nil, err
	}
	f := &File{Metadata: in.Metadata}
	err = in.Read(func(t Tensor) []float64 {
		n, err := elements(t.Shape)
		if err != nil || n > 1<<24 {
			return nil
		}
		t.Data = make([]float64, n)
		f.Tensors = append(f.Tensors, t)
		return t.Data
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

var metadataKeys = []string{"", "a", "k", "json", "framework", allEscapes}

const allEscapes = "a\"\\/\b\f\n\r\t\x00\x7f\u2028😀\ufffd"

func anyName(string) bool { return true }

func passOver(Tensor) []float64 { return nil }

// length is the first 8 bytes of a file.
func length(n uint64) string {
	return string(binary.LittleEndian.AppendUint64(nil, n))
}

func file(header, data string) string { return length(uint64(len(header))) + header + data }

// one is a file up to its data, those of one tensor a.
func one(dtype, shape string, size int64) string {
	return file(fmt.Sprintf(`{"a":{"dtype":"%s","shape":%s,"data_offsets":[0,%d]}}`, dtype, shape, size), "")
}

// two is a file up to its data, those of two tensors a and b of bytes.
func two(beginA, endA, beginB, endB int) string {
	const object = `{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}`
	return file(fmt.Sprintf(`{"a":`+object+`,"b":`+object+"}", endA-beginA, beginA, endA, endB-beginB, beginB, endB), "")
}

func small() *File {
	return &File{Metadata: map[string]string{"k": "v"}, Tensors: []Tensor{
		{Name: "x", Type: "F64", Shape: []int{2}, Data: []float64{1, 2}},
		{Name: "n", Type: "I64", Data: []float64{3}},
	}}
}

func write(t *testing.T, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := f.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("%d of %d bytes, error %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// compare compares bit by bit, but for the order of the tensors.
func compare(t *testing.T, got, want *File) {
	t.Helper()
	if !maps.Equal(got.Metadata, want.Metadata) {
		t.Errorf("metadata %q, want %q", got.Metadata, want.Metadata)
	}
	if len(got.Tensors) != len(want.Tensors) {
		t.Fatalf("%d tensors, want %d", len(got.Tensors), len(want.Tensors))
	}
	for _, w := range want.Tensors {
		i := slices.IndexFunc(got.Tensors, func(g Tensor) bool { return g.Name == w.Name })
		if i < 0 {
			t.Fatalf("tensor %q is missing", w.Name)
		}
		g := got.Tensors[i]
		sameBits := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
		if g.Type != w.Type || !slices.Equal(g.Shape, w.Shape) || !slices.EqualFunc(g.Data, w.Data, sameBits) {
			t.Fatalf("tensor %q is not what it was", w.Name)
		}
	}
}

// A failingWriter takes some bytes and then fails with err, or falls short without one.
type failingWriter struct {
	bytes.Buffer
	left int
	err  error
}

func (w *failingWriter) Write(p []byte) (int, error) {
	if len(p) <= w.left {
		w.left -= len(p)
		return w.Buffer.Write(p)
	}
	n, _ := w.Buffer.Write(p[:w.left])
	w.left = 0
	return n, w.err
}
