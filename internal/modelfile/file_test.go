package modelfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"example.com/backprop/internal/safetensors"
)

func network() []Tensor {
	return []Tensor{
		{"0.weight", []int{2, 1}, []float64{1, -2}, nil},
		{"1.running_mean", []int{1}, []float64{0}, nil},
		{"1.running_var", []int{1}, []float64{0.5}, new(float64)},
	}
}

// empty returns tensors with memory for theirs, but NaN in it.
func empty(tensors []Tensor) []Tensor {
	tensors = slices.Clone(tensors)
	for i, t := range tensors {
		tensors[i].Data = slices.Repeat([]float64{math.NaN()}, len(t.Data))
	}
	return tensors
}

func fileOf(t testing.TB, change func(f *safetensors.File)) []byte {
	t.Helper()
	f, err := Encode("a network", network())
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(f)
	}
	var b bytes.Buffer
	if _, err := f.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func add(tensors ...safetensors.Tensor) func(f *safetensors.File) {
	return func(f *safetensors.File) { f.Tensors = append(f.Tensors, tensors...) }
}

func TestAFileIsReadAsItWasWritten(t *testing.T) {
	r, err := NewReader(iotest.OneByteReader(bytes.NewReader(fileOf(t, nil))))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(network()); err != nil {
		t.Fatal(err)
	}
	if r.Description != "a network" || r.Checkpoint != "" || !slices.Equal(r.Shape("0.weight"), []int{2, 1}) || r.Shape("0.bias") != nil {
		t.Error(r)
	}
	got := empty(network())
	if err := r.Read(got); err != nil {
		t.Fatal(err)
	}
	for i, want := range network() {
		if !slices.Equal(got[i].Data, want.Data) {
			t.Error(got[i])
		}
	}
}

// PyTorch counts the batches that a running mean has seen.
func TestACountOfBatchesMayStandBesideARunningMean(t *testing.T) {
	count := safetensors.Tensor{Name: "1.num_batches_tracked", Type: "I64", Data: []float64{3}}
	if err := readAll(bytes.NewReader(fileOf(t, add(count)))); err != nil {
		t.Error(err)
	}
}

func TestTheTensorsOfACheckpointMayHoldAnything(t *testing.T) {
	file := fileOf(t, func(f *safetensors.File) {
		f.Metadata[CheckpointKey] = "{}"
		add(safetensors.Tensor{Name: "checkpoint.a", Type: "F64", Shape: []int{2}, Data: []float64{math.NaN(), math.Inf(1)}},
			safetensors.Tensor{Name: "checkpoint.b", Type: "I64", Data: []float64{1}})(f)
	})
	for _, more := range [][]Tensor{nil, {{"checkpoint.a", []int{2}, make([]float64, 2), nil}}} {
		r, err := NewReader(bytes.NewReader(file))
		if err == nil {
			err = errors.Join(r.Check(network()), r.Read(slices.Concat(empty(network()), more)))
		}
		if err != nil || r.Checkpoint != "{}" {
			t.Error(r.Checkpoint, err)
		}
		if more != nil && !(math.IsNaN(more[0].Data[0]) && math.IsInf(more[0].Data[1], 1)) {
			t.Error(more)
		}
	}
}

func TestEncodeRefusesWhatIsNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		f, err := Encode("", []Tensor{{"a", []int{1}, []float64{1}, nil}, {"b", []int{1}, []float64{v}, nil}})
		if f != nil || err == nil || err.Error() != `tensor "b" has an element that is not finite` {
			t.Error(f, err)
		}
	}
}

var hostile = []struct {
	change func(f *safetensors.File)
	want   string
}{
	{func(f *safetensors.File) { f.Metadata = nil }, `the metadata has no "backprop.version"; this is not a file of a network`},
	{func(f *safetensors.File) { f.Metadata[versionKey] = strings.Repeat("2", 99) }, `backprop.version is "22222222222222222222", want "1"`},
	{func(f *safetensors.File) { f.Tensors = f.Tensors[1:] }, `there is no tensor "0.weight"`},
	{func(f *safetensors.File) { f.Tensors[0].Shape = []int{2} }, `tensor "0.weight" has shape [2], want [2 1]`},
	{func(f *safetensors.File) { f.Tensors[0].Type = "I64" }, `tensor "0.weight" is of type I64, want F64 or F32`},
	{add(safetensors.Tensor{Name: "0.num_batches_tracked", Type: "I64", Data: []float64{1}}), `tensor "0.num_batches_tracked" belongs to no layer`},
	{add(safetensors.Tensor{Name: "checkpoint.a", Type: "F64", Data: []float64{1}}), `tensor "checkpoint.a" belongs to no layer`},
	{add(safetensors.Tensor{Name: strings.Repeat("é", 99), Type: "F64", Data: []float64{1}}),
		`tensor "` + strings.Repeat("é", 50) + `" belongs to no layer`},
	{func(f *safetensors.File) {
		f.Metadata[CheckpointKey] = "{}"
		for i := range maxCheckpoint + 1 {
			add(safetensors.Tensor{Name: fmt.Sprint(CheckpointPrefix, i), Type: "F64", Shape: []int{0}})(f)
		}
	}, "it has more than 64 tensors of a checkpoint"},
	{func(f *safetensors.File) { f.Tensors[0].Data[1] = math.NaN() }, `tensor "0.weight" has NaN at index 1, want finite numbers`},
	{func(f *safetensors.File) { f.Tensors[1].Data[0] = math.Inf(-1) }, `tensor "1.running_mean" has -Inf at index 0, want finite numbers`},
	{func(f *safetensors.File) { f.Tensors[2].Data[0] = -1e-300 }, `tensor "1.running_var" has -1e-300 at index 0, which cannot be a variance`},
}

// The elements, of two bytes each, are not looked at.
func TestHalfPrecisionIsRefusedWithItsRemedy(t *testing.T) {
	whole := fileOf(t, func(f *safetensors.File) { f.Tensors[0].Shape, f.Tensors[0].Data = []int{2, 4}, make([]float64, 8) })
	for _, kind := range []string{"BF16", "F16"} {
		half := bytes.Replace(whole, []byte(`"dtype":"F64","shape":[2,4]`), fmt.Appendf(nil, `"dtype":%q,"shape":[2,16]`, kind), 1)
		half[0] += byte(len(half) - len(whole))
		in, err := NewReader(bytes.NewReader(half))
		if err != nil {
			t.Fatal(err)
		}
		tensors := network()
		tensors[0].Shape = []int{2, 16}
		want := `tensor "0.weight" is of type ` + kind + `, want F64 or F32; save it after model.double() in PyTorch`
		if err := in.Check(tensors); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func readAll(r io.Reader) error {
	in, err := NewReader(r)
	if err != nil {
		return err
	}
	if err := in.Check(network()); err != nil {
		return err
	}
	return in.Read(empty(network()))
}

func TestAHostileFileIsRefused(t *testing.T) {
	for _, c := range hostile {
		if err := readAll(bytes.NewReader(fileOf(t, c.change))); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestAFileCutAtAnyByteIsRefused(t *testing.T) {
	whole := fileOf(t, nil)
	for n := range whole {
		if err := readAll(bytes.NewReader(whole[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// A file may claim tensors of any size: they are refused before there is memory for them.
func TestCheckNeedsNoMemory(t *testing.T) {
	header, err := json.Marshal(map[string]any{
		"__metadata__": map[string]string{versionKey: "1"},
		"a":            map[string]any{"dtype": "F32", "shape": []int{1 << 28}, "data_offsets": []int{0, 1 << 30}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...)
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check([]Tensor{{Name: "a", Shape: []int{1 << 28}}}); err != nil {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a tensor without memory is passed over")
		}
	}()
	r.Read([]Tensor{{Name: "a", Shape: []int{1 << 28}}})
}

// Whatever is read has the metadata and finite tensors that it says.
func FuzzReader(f *testing.F) {
	for _, c := range hostile {
		f.Add(fileOf(f, c.change))
	}
	f.Add(fileOf(f, nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file))
		if err != nil {
			return
		}
		tensors := empty(network())
		if r.Check(tensors) != nil || r.Read(tensors) != nil {
			return
		}
		again, err := Encode(r.Description, tensors)
		if err != nil || !maps.Equal(again.Metadata, map[string]string{versionKey: "1", NetworkKey: r.Description}) || tensors[2].Data[0] < 0 {
			t.Fatal(again, err)
		}
	})
}
