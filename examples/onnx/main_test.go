package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/backprop"
	"example.com/backprop/examples/internal/columns"
	"gonum.org/v1/gonum/mat"
)

// networks are every layer, and every activation alone, between other layers and at the end.
func networks() map[string][]backprop.Layer {
	list := map[string][]backprop.Layer{
		"all layers": {
			backprop.Standardize{},
			table,
			backprop.Dense{Units: 20, NoBias: true},
			backprop.BatchNorm{Activation: backprop.Tanh},
			backprop.Dropout{Rate: 0.4},
			backprop.Sequential{
				backprop.Dense{Units: 10, Activation: backprop.SiLU},
				backprop.Sequential{backprop.BatchNorm{Epsilon: 0.1}, backprop.Dense{Units: 4}},
				backprop.Activate{F: backprop.ReLU},
			},
			backprop.Dense{Units: 3},
			backprop.Unstandardize{},
		},
		"nothing": {backprop.Activate{}},
	}
	for _, f := range []backprop.Activation{
		backprop.Identity, backprop.Sigmoid, backprop.Tanh, backprop.ReLU, backprop.GELU, backprop.SiLU,
		backprop.SELU, backprop.Softplus, backprop.Softmax, backprop.ELU{}, backprop.ELU{Alpha: 0.3},
		backprop.LeakyReLU{}, backprop.LeakyReLU{Slope: -0.2},
	} {
		list[fmt.Sprint(f)] = []backprop.Layer{backprop.Activate{F: f}}
		list[fmt.Sprint(f, " within")] = []backprop.Layer{
			backprop.Dense{Units: 16, Activation: f}, backprop.BatchNorm{Activation: f}, backprop.Dense{Units: 3},
		}
		list[fmt.Sprint(f, " at the end")] = []backprop.Layer{backprop.Dense{Units: 7, Activation: f}}
	}
	return list
}

var table = columns.Table{
	Inputs: []columns.Column{{Name: "length"}, {Name: "sort", Categories: []string{"a", "b", "c", "d"}}},
	Target: columns.Column{Name: "price"},
}

const inputs = 5

// trained is a network whose parameters and statistics are no longer those of the beginning.
func trained(tb testing.TB, layers ...backprop.Layer) *backprop.Network {
	tb.Helper()
	net, err := backprop.New(inputs, layers...)
	if err != nil {
		tb.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := normal(rng, 50, inputs, 3), normal(rng, 50, net.Outputs(), 7)
	_, err = net.Train(context.Background(), x, y, backprop.TrainConfig{
		Loss: backprop.MSE, LearningRate: 1e-3, Optimizer: &backprop.Adam{}, Epochs: 20, BatchSize: 10,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return net
}

// normal is a matrix of normally distributed numbers that float can hold.
func normal(rng *rand.Rand, rows, columns int, deviation float64) *mat.Dense {
	m := mat.NewDense(rows, columns, nil)
	m.Apply(func(int, int, float64) float64 { return float64(float32(deviation * rng.NormFloat64())) }, m)
	return m
}

// A decoded message is its fields by their numbers, each an int or bytes.
type decoded map[int][]any

func decode(t *testing.T, m []byte) decoded {
	t.Helper()
	fields := make(decoded)
	for len(m) > 0 {
		tag, n := binary.Uvarint(m)
		v, k := binary.Uvarint(m[n:])
		if n <= 0 || k <= 0 || tag&7 == 2 && v > uint64(len(m)-n-k) {
			t.Fatalf("% x is not a field", m[:min(len(m), 20)])
		}
		m = m[n+k:]
		var value any = int(v)
		switch tag & 7 {
		case 2:
			value, m = m[:v], m[v:]
		case 0:
		default:
			t.Fatalf("wire type %d", tag&7)
		}
		fields[int(tag>>3)] = append(fields[int(tag>>3)], value)
	}
	return fields
}

func (d decoded) text(field int) string { return string(d[field][0].([]byte)) }

func (d decoded) messages(t *testing.T, field int) (list []decoded) {
	for _, m := range d[field] {
		list = append(list, decode(t, m.([]byte)))
	}
	return list
}

func TestTheFileHasWhatOnnxProtoAsksFor(t *testing.T) {
	net := trained(t, networks()["all layers"]...)
	file, err := encode(net, double)
	if err != nil {
		t.Fatal(err)
	}
	model := decode(t, file)
	if version, opset := model[1][0], model.messages(t, 8)[0][2][0]; version != 8 || opset != 17 {
		t.Errorf("IR version %v, operators of version %v, want 8 and 17", version, opset)
	}
	if model.text(2) != "backprop" {
		t.Errorf("the producer is %s", model.text(2))
	}
	graph := model.messages(t, 7)[0]
	for field, want := range map[int]string{11: "x 11 N×5", 12: "y 11 N×3"} {
		value := graph.messages(t, field)[0]
		matrix := value.messages(t, 2)[0].messages(t, 1)[0]
		dims := matrix.messages(t, 2)[0].messages(t, 1)
		got := fmt.Sprintf("%s %d %s×%d", value.text(1), matrix[1][0], dims[0].text(2), dims[1][1][0])
		if got != want || len(dims) != 2 {
			t.Errorf("a graph from or to %s, want %s", got, want)
		}
	}
}

// Tensors have their names and their bits, and each node takes what stands before it.
func TestTheGraphIsThatOfTheNetwork(t *testing.T) {
	net := trained(t, networks()["all layers"]...)
	file, err := encode(net, double)
	if err != nil {
		t.Fatal(err)
	}
	graph := decode(t, file).messages(t, 7)[0]
	constants := map[string]decoded{}
	known := map[string]bool{"x": true}
	for _, c := range graph.messages(t, 5) {
		if known[c.text(8)] {
			t.Errorf("%s is there twice", c.text(8))
		}
		known[c.text(8)], constants[c.text(8)] = true, c
	}
	shape, err := backprop.Sequential(net.Layers()).Shape(inputs)
	if err != nil {
		t.Fatal(err)
	}
	params := net.Params()
	for _, p := range shape.Params {
		size, dims := 1, []any{}
		for _, d := range p.Shape {
			size, dims = size*d, append(dims, d)
		}
		var raw []byte
		for _, v := range params[:size] {
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
		}
		params = params[size:]
		if c := constants[p.Name]; c == nil || !slices.Equal(c[1], dims) || !bytes.Equal(c[9][0].([]byte), raw) {
			t.Errorf("%s is %v", p.Name, c)
		}
	}
	for _, s := range shape.Statistics {
		if constants[s.Name] == nil {
			t.Errorf("there is no %s", s.Name)
		}
	}
	for _, n := range graph.messages(t, 1) {
		for _, in := range n[1] {
			if !known[string(in.([]byte))] {
				t.Errorf("%s takes %s, which is not there yet", n.text(3), in)
			}
		}
		if known[n.text(2)] {
			t.Errorf("two are %s", n.text(2))
		}
		known[n.text(2)] = true
	}
	if !known["y"] {
		t.Error("nothing makes y")
	}
}

func TestTheMetadataAreThoseOfTheNetworksFile(t *testing.T) {
	file, err := encode(trained(t, networks()["all layers"]...), double)
	if err != nil {
		t.Fatal(err)
	}
	metadata := map[string]string{}
	for _, m := range decode(t, file).messages(t, 14) {
		metadata[m.text(1)] = m.text(2)
	}
	for _, want := range []string{`"length"`, `"price"`, `["a","b","c","d"]`, `"type":"Unstandardize"`} {
		if !strings.Contains(metadata["backprop.network"], want) {
			t.Errorf("no %s in %q", want, metadata)
		}
	}
	if metadata["backprop.version"] != "1" {
		t.Errorf("the version is %q", metadata["backprop.version"])
	}
}

// A network of every kind passes the checker of ONNX's own package, with its inference of shapes.
func TestTheONNXCheckerAcceptsTheFile(t *testing.T) {
	python := pythonWith("onnx")
	if python == "" {
		t.Skip("there is no python3 with the package onnx")
	}
	dir := t.TempDir()
	for name, layers := range networks() {
		net := trained(t, layers...)
		for _, numbers := range []numberType{double, float} {
			file, err := encode(net, numbers)
			if err != nil {
				t.Fatal(name, err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s %d.onnx", name, numbers)), file, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := exec.Command(python, "-c", `
import onnx, pathlib, sys
files = list(pathlib.Path(sys.argv[1]).iterdir())
for path in files:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    types = {i.data_type for i in model.graph.initializer} | {v.type.tensor_type.elem_type for v in model.graph.input}
    assert types == {int(path.stem.split()[-1])}, (path, types)
print(len(files))
`, dir).CombinedOutput()
	if want := fmt.Sprintln(2 * len(networks())); err != nil || string(out) != want {
		t.Errorf("%v: %s", err, out)
	}
}

// pythonWith is a Python that has a package, or "".
func pythonWith(name string) string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import "+name).Run() == nil {
			return python
		}
	}
	return ""
}

// own is a layer and an activation of somebody else's.
type own struct{ backprop.Activation }

func (own) Shape(inputs int) (backprop.Shape, error) { return backprop.Shape{Outputs: inputs}, nil }
func (own) Reset(backprop.Place)                     {}
func (own) Stage(at backprop.Place) backprop.Stage   { return backprop.Activate{}.Stage(at) }
func (own) String() string                           { return "Own" }

func TestWhatIsNotTheLibrarysIsNamed(t *testing.T) {
	if err := backprop.RegisterLayer("own", own{}); err != nil {
		t.Fatal(err)
	}
	activation := own{backprop.Tanh}
	if err := backprop.RegisterActivation(activation); err != nil {
		t.Fatal(err)
	}
	for want, layer := range map[string]backprop.Layer{
		"layer 1: layer 0: a main.own is not one of the library's layers":   backprop.Sequential{own{}},
		"layer 1: Own, a main.own, is not one of the library's activations": backprop.Dense{Units: 1, Activation: activation},
	} {
		net, err := backprop.New(inputs, backprop.Dense{Units: 2}, layer)
		if err != nil {
			t.Fatal(err)
		}
		if file, err := encode(net, double); err == nil || !strings.Contains(err.Error(), want) || file != nil {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestNumbersBeyondFloatAreAnErrorThatNamesThem(t *testing.T) {
	net := trained(t, backprop.Standardize{}, backprop.Dense{Units: 2})
	_, variance := net.Statistics(0)
	for _, c := range []struct {
		where *float64
		value float64
		want  string
	}{
		{&net.Params()[3], -1e39, "1.weight has an element of -1e+39"},
		{&variance[1], 1e-50, "0.running_var has an element of 1e-50"},
		{&net.Params()[3], 1e-50, ""}, // as good as 0
	} {
		before := *c.where
		*c.where = c.value
		if _, err := encode(net, double); err != nil {
			t.Errorf("double: %v", err)
		}
		if _, err := encode(net, float); !strings.Contains(fmt.Sprint(err), c.want) || (err == nil) != (c.want == "") {
			t.Errorf("float: %v, want %q", err, c.want)
		}
		*c.where = before
	}
}

func TestTheCommandWritesTheFileWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	model, out := filepath.Join(dir, "net.safetensors"), filepath.Join(dir, "net.onnx")
	net := trained(t, backprop.Dense{Units: 2})
	if err := net.Save(model); err != nil {
		t.Fatal(err)
	}
	if err := convert(io.Discard, model, out, double); err != nil {
		t.Fatal(err)
	}
	want, err := encode(net, double)
	if err != nil {
		t.Fatal(err)
	}
	net.Weights(0).Set(0, 0, 1e300)
	if err := net.Save(model); err != nil {
		t.Fatal(err)
	}
	if err := convert(io.Discard, model, out, float); err == nil || !strings.Contains(err.Error(), model) {
		t.Errorf("1e300 as float: %v, want an error with the file's name", err)
	}
	if err := convert(io.Discard, model, filepath.Join(dir, "none", "net.onnx"), double); err == nil {
		t.Error("no error in a folder that is not there")
	}
	if err := convert(io.Discard, model, dir, double); err == nil {
		t.Error("no error for a folder's name")
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, or the file has changed", err)
	}
	if files, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*", "*")); err != nil || len(files) != 2 {
		t.Errorf("%v, %v, want two files", files, err)
	}
}
