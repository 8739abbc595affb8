package backprop_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	. "example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// ─── Saving and loading ──────────────────────────────────────────────────────

var everyActivation = []Activation{
	nil, Identity, Sigmoid, Tanh, ReLU, GELU, SiLU, SELU, Softplus, Softmax,
	LeakyReLU{}, LeakyReLU{Slope: 0.2}, LeakyReLU{Slope: -1.5}, LeakyReLU{Slope: 1e-300}, LeakyReLU{Slope: 1.0 / 3},
	ELU{}, ELU{Alpha: 0.3}, ELU{Alpha: 1234567}, ELU{Alpha: math.Pi},
}

func TestEveryActivationComesBack(t *testing.T) {
	x := pattern(50, 3)
	for _, f := range everyActivation {
		mustComeBack(t, newNetwork(t, 3, Dense{Units: 4, Activation: f}, BatchNorm{Activation: f}, Dense{Units: 2, Activation: f}), x)
	}
}

func TestEveryLayerComesBack(t *testing.T) {
	x, y := scaledMatrix(pattern(50, 3), 20), pattern(50, 2)
	for _, layers := range [][]Layer{
		{Dense{Units: 2}},
		{Dense{Units: 2, NoBias: true}},
		{Dense{Units: 5, NoBias: true, Activation: Tanh}, BatchNorm{}, Dense{Units: 2}},
		{Dense{Units: 2}, BatchNorm{Momentum: 0.3, Epsilon: 1e-3, Activation: Sigmoid}},
		{BatchNorm{}, BatchNorm{Momentum: 1}, Dense{Units: 2}},
		{Dropout{}, Dense{Units: 5}, Dropout{Rate: 0.125}, Dropout{Rate: 0.9}, Dense{Units: 2}},
		{Standardize{}, Dense{Units: 2}},
		{Standardize{}, Dropout{Rate: 0.1}, BatchNorm{Activation: ReLU}, Dense{Units: 2, Init: Orthogonal}},
	} {
		net := newNetwork(t, 3, layers...)
		mustComeBack(t, net, x)
		_, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-5, Epochs: 3, BatchSize: 8, Loss: MSE})
		noError(t, err)
		mustComeBack(t, net, x) // with what it has learnt
	}
}

func TestEveryInitializerComesBack(t *testing.T) {
	for i := Initializer(0); i <= Orthogonal; i++ {
		net := newNetwork(t, 3, Dense{Units: 4, Init: i}, Dense{Units: 2})
		loaded := mustComeBack(t, net, pattern(3, 3))
		net.Init(7)
		loaded.Init(7)
		stateOf(net).mustEqual(t, loaded)
	}
}

// Saved before or after its first training, a network goes on as it would have.
func TestTrainingGoesOnAfterLoading(t *testing.T) {
	x, y := scaledMatrix(pattern(40, 3), 5), classes(40, 3)
	config := TrainConfig{LearningRate: 0.1, Epochs: 2, BatchSize: 8}
	net := newNetwork(t, 3, Standardize{}, Dense{Units: 6}, BatchNorm{Activation: Tanh}, Dropout{}, Dense{Units: 3, Activation: Softmax})
	for range 3 {
		loaded := mustComeBack(t, net, x)
		_, err := net.Train(t.Context(), x, y, config)
		noError(t, err)
		_, err = loaded.Train(t.Context(), x, y, config)
		noError(t, err)
		stateOf(net).mustEqual(t, loaded)
		x = scaledMatrix(x, 3) // Standardize keeps to the first
	}
}

// The header is written out: its length, keys, order and padding.
func TestSaveWritesAStandardFile(t *testing.T) {
	net := newNetwork(t, 1, Standardize{}, Dense{Units: 1, Activation: LeakyReLU{}}, BatchNorm{}, Dropout{}, Dense{Units: 2, NoBias: true})
	header := `{"__metadata__":{"backprop.network":"{\"inputs\":1,\"layers\":[{\"type\":\"Standardize\"},` +
		`{\"type\":\"Dense\",\"units\":1,\"activation\":\"LeakyReLU(0.01)\"},{\"type\":\"BatchNorm\"},{\"type\":\"Dropout\"},` +
		`{\"type\":\"Dense\",\"units\":2,\"no_bias\":true}]}","backprop.version":"1"},` +
		`"0.running_mean":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},` +
		`"0.running_var":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},` +
		`"1.bias":{"dtype":"F64","shape":[1],"data_offsets":[16,24]},` +
		`"1.weight":{"dtype":"F64","shape":[1,1],"data_offsets":[24,32]},` +
		`"3.bias":{"dtype":"F64","shape":[1],"data_offsets":[32,40]},` +
		`"3.running_mean":{"dtype":"F64","shape":[1],"data_offsets":[40,48]},` +
		`"3.running_var":{"dtype":"F64","shape":[1],"data_offsets":[48,56]},` +
		`"3.weight":{"dtype":"F64","shape":[1],"data_offsets":[56,64]},` +
		`"5.weight":{"dtype":"F64","shape":[2,1],"data_offsets":[64,80]}}`
	header += "        "[:(8-len(header)%8)%8]
	w := net.Params()
	want := rawFile(header, 0, 1, 0, w[0], 0, 0, 1, 1, w[len(w)-2], w[len(w)-1])
	if got := bytesOf(t, net); string(got) != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// Tensors as another program writes them: F32, in any order, with the counts
// that PyTorch keeps beside the running statistics.
func TestReadTakesOtherProgramsFiles(t *testing.T) {
	const description = ` { "layers" : [ {"type":"Standardize"}, {"type":"Dense", "units":2, "activation":"ELU(2.0)"}, {"type":"BatchNorm"} ],
		"fitted":true, "inputs":2 } `
	tensors := func(dtype string) []rawTensor {
		return []rawTensor{
			{"3.weight", dtype, []int{2}, []float64{1, 2}}, {"3.bias", dtype, []int{2}, []float64{-1, 0}},
			{"3.running_mean", dtype, []int{2}, []float64{0.5, 1}}, {"3.running_var", dtype, []int{2}, []float64{2, 0}},
			{"0.running_mean", dtype, []int{2}, []float64{10, 20}}, {"0.running_var", dtype, []int{2}, []float64{4, 0.25}},
			{"1.weight", dtype, []int{2, 2}, []float64{1, -0.5, 0.25, 3}}, {"1.bias", dtype, []int{2}, []float64{0, 8}},
		}
	}
	var predictions [][]float64
	for _, file := range []string{
		networkFile(description, tensors("F64")...),
		networkFile(description, tensors("F32")...),
		networkFile(description, append(tensors("F32"), rawTensor{"3.num_batches_tracked", "I64", nil, []float64{7}})...),
	} {
		net, err := Read(strings.NewReader(file))
		noError(t, err)
		predictions = append(predictions, predict(t, net, mat.NewDense(2, 2, []float64{11, 20.5, 4, 1})))
		mustComeBack(t, net, pattern(5, 2))
	}
	// The first row by hand: standardized (0.5, 1), z = (0, 11.125), a = z, and
	// batch norm's ((0−0.5)/√(2+1e-5) − 1, 2·(11.125−1)/√1e-5).
	equalTo(t, "predictions", predictions[0][:2], []float64{-0.5/math.Sqrt(2+1e-5) - 1, 20.25 / math.Sqrt(1e-5)}, fewUlps)
	sameBits(t, "F32", predictions[1], predictions[0])
	sameBits(t, "with counts", predictions[2], predictions[0])
}

func TestReadTakesAnyReader(t *testing.T) {
	file := bytesOf(t, newNetwork(t, 2, Dense{Units: 1}))
	for _, r := range []io.Reader{
		iotest.OneByteReader(bytes.NewReader(file)), iotest.DataErrReader(bytes.NewReader(file)), iotest.HalfReader(bytes.NewReader(file)),
	} {
		net, err := Read(r)
		noError(t, err)
		if !bytes.Equal(bytesOf(t, net), file) {
			t.Error("another network")
		}
	}
	_, err := Read(io.MultiReader(bytes.NewReader(file[:20]), iotest.ErrReader(errors.New("gone"))))
	fails(t, err, "backprop: Read: safetensors: header: reading failed after byte 20: gone")
}

// mustComeBack saves and loads the network both ways.
func mustComeBack(t *testing.T, net *Network, x mat.Matrix) *Network {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net")
	noError(t, net.Save(path))
	saved, err := os.ReadFile(path)
	noError(t, err)
	if !bytes.Equal(saved, bytesOf(t, net)) {
		t.Error("Save and WriteTo write different bytes")
	}
	loaded, err := Load(path)
	noError(t, err)
	stateOf(net).mustEqual(t, loaded)
	sameBits(t, "predictions", predict(t, loaded, x), predict(t, net, x))
	if loaded.String() != net.String() {
		t.Errorf("saved\n%v, loaded\n%v", net, loaded)
	}
	if !bytes.Equal(bytesOf(t, loaded), saved) {
		t.Errorf("saving again gives other bytes")
	}
	return loaded
}

func TestUserMadeActivationComesBackByItsName(t *testing.T) {
	f := sine{"saved sine"}
	net := newNetwork(t, 2, Dense{Units: 3}, Dense{Units: 1, Activation: f})
	_, err := Read(bytes.NewReader(bytesOf(t, net)))
	fails(t, err, `backprop: Read: backprop.network: layer 1: activation "saved sine" is not known; register it with RegisterActivation`)
	noError(t, RegisterActivation(f))
	mustComeBack(t, net, pattern(5, 2))
}

func TestSaveRefusesWhatCouldNotBeLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net")
	noError(t, newNetwork(t, 1, Dense{Units: 1}).Save(path))
	old, err := os.ReadFile(path)
	noError(t, err)
	activated := func(name string) *Network {
		return newNetwork(t, 1, Dense{Units: 1}, Dense{Units: 1, Activation: named(name)})
	}
	broken := func(i int, v float64) *Network {
		net := newNetwork(t, 2, Dense{Units: 1}, BatchNorm{})
		net.Params()[i] = v
		return net
	}
	for _, c := range []struct {
		net  *Network
		want string
	}{
		{activated("ReLU"), `layer 1: the name "ReLU" of its backprop_test.named is that of a backprop.relu`},
		{activated("ELU(2)"), `layer 1: the name "ELU(2)" of its backprop_test.named is that of a backprop.ELU`},
		{activated(""), `layer 1: the activation's name "" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{activated("\xff"), `layer 1: the activation's name "\xff" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{activated(strings.Repeat("n", 201)), `layer 1: the activation's name "` + strings.Repeat("n", 50) + `" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{broken(0, math.NaN()), `tensor "0.weight" has an element that is not finite`},
		{broken(2, math.Inf(1)), `tensor "0.bias" has an element that is not finite`},
		{broken(3, math.Inf(-1)), `tensor "1.weight" has an element that is not finite`},
		{new(Network), "the network has no layers; New makes one"},
		{nil, "the network has no layers; New makes one"},
	} {
		fails(t, c.net.Save(path), "backprop: Save: "+c.want)
		var b bytes.Buffer
		n, err := c.net.WriteTo(&b)
		fails(t, err, "backprop: WriteTo: "+c.want)
		if n != 0 || b.Len() != 0 {
			t.Errorf("%d bytes, %d written", n, b.Len())
		}
		mustHold(t, path, old)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	folder := t.TempDir()
	_, err := Load(filepath.Join(folder, "missing"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "backprop: Load: open "+folder) {
		t.Error(err)
	}
	path := filepath.Join(folder, "empty")
	noError(t, os.WriteFile(path, nil, 0o666))
	_, err = Load(path)
	fails(t, err, "backprop: Load: "+path+": safetensors: header length: the file ends at byte 0, 8 bytes too early: unexpected EOF")
	if _, err = Load(folder); err == nil {
		t.Error("a folder is loaded")
	}
}

// ─── Hostile files ───────────────────────────────────────────────────────────

const oneDense = `{"inputs":1,"layers":[{"type":"Dense","units":1}]}`

var (
	weight = rawTensor{"0.weight", "F64", []int{1, 1}, []float64{2}}
	bias   = rawTensor{"0.bias", "F64", []int{1}, []float64{3}}
	mean   = rawTensor{"0.running_mean", "F64", []int{1}, []float64{0}}
)

// hostileFiles are not to be read, with the error that says why.
var hostileFiles = []struct{ file, want string }{
	// The header's length.
	{"", "safetensors: header length: the file ends at byte 0, 8 bytes too early: unexpected EOF"},
	{"\x00\x00\x00\x00\x00\x00\x00\x00", "safetensors: header length 0, expected 2 to 100000000"},
	{"\xff\xff\xff\xff\xff\xff\xff\xff{}", "safetensors: header length 18446744073709551615, expected 2 to 100000000"},
	{"\xff\xff\xff\x00\x00\x00\x00\x00{}", "safetensors: header: the file ends at byte 10, 16777213 bytes too early: unexpected EOF"},
	// The header.
	{rawFile(`{"a":{},"a":{}}`), `safetensors: byte 14: tensor "a": missing key "dtype"`},
	{rawFile(`{"__metadata__":{"k":"","k":""}}`), `safetensors: byte 32: __metadata__: duplicate key "k"`},
	{rawFile(`{"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"a":{"dtype":"F64","shape":[],"data_offsets":[8,16]}}`, 1, 2),
		`safetensors: byte 61: duplicate key "a"`},
	{rawFile(`{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"b":{"dtype":"F64","shape":[2],"data_offsets":[8,24]}}`, 1, 2, 3),
		`safetensors: tensor "b": begins at offset 8, within tensor "a", which ends at 16`},
	{rawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, 1),
		`safetensors: tensor "b": begins at offset 0, within tensor "a", which ends at 8`},
	{rawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}`, 1, 2), `safetensors: tensor "a": begins at offset 8, leaving a hole after 0`},
	{rawFile(`{"a":{"dtype":"F64","shape":[-1],"data_offsets":[0,8]}}`, 1), `safetensors: byte 37: tensor "a": expected a non-negative integer, got -1`},
	{rawFile(`{"a":{"dtype":"F64","shape":[1.5],"data_offsets":[0,8]}}`, 1), `safetensors: byte 37: tensor "a": expected a non-negative integer, got 1.5`},
	{rawFile(`{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, 1),
		`safetensors: tensor "a": shape [4294967296 4294967296] has too many elements`},
	{rawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,0]}}`, 1), `safetensors: tensor "a": begins at offset 8, after its end at 0`},
	{rawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,99999999999999999999]}}`, 1), `safetensors: byte 58: tensor "a": 99999999999999999999 is too large`},
	{rawFile(`{"a":{"dtype":"F63","shape":[1],"data_offsets":[0,8]}}`, 1), `safetensors: tensor "a": unknown type "F63"`},
	{rawFile(`{"a":` + strings.Repeat("[", 100000)), `safetensors: byte 13: tensor "a": expected {, got [`},
	{networkFile(oneDense, weight, bias) + "\x00", "safetensors: the file goes on after byte 268, the end of its last tensor"},
	{rawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`), `safetensors: tensor "a": the file ends at byte 62, 8 bytes too early: unexpected EOF`},
	// The metadata.
	{rawFile(`{}`), `the metadata has no "backprop.version"; this is not a file of a network`},
	{rawFile(`{"__metadata__":{"format":"pt"}}`), `the metadata has no "backprop.version"; this is not a file of a network`},
	{rawFile(`{"__metadata__":{"backprop.version":"2"}}`), `backprop.version is "2", want "1"`},
	{rawFile(`{"__metadata__":{"backprop.version":"1"}}`), `backprop.network: EOF`},
	{networkFile(`null`), `backprop.network: 0 inputs, want 1 to 1073741824`},
	{networkFile(`[]`), `backprop.network: json: cannot unmarshal array into Go value of type backprop.networkJSON`},
	{networkFile(oneDense+`{}`, weight, bias), `backprop.network: something follows the JSON`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1}],"more":0}`), `backprop.network: json: unknown field "more"`},
	{networkFile(`{"inputs":1,"layers":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`), `backprop.network: invalid character '[' exceeded max depth`},
	{networkFile(`{"inputs":1,"layers":[` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `]}`),
		`backprop.network: layer 0: json: cannot unmarshal array into Go value of type backprop.layerJSON`},
	{networkFile(`{"inputs":1.5,"layers":[]}`), `backprop.network: json: cannot unmarshal number 1.5 into Go struct field networkJSON.inputs of type int`},
	{networkFile(`{"inputs":1e400,"layers":[]}`), `backprop.network: json: cannot unmarshal number 1e400 into Go struct field networkJSON.inputs of type int`},
	{networkFile(`{"inputs":-1,"layers":[]}`), `backprop.network: -1 inputs, want 1 to 1073741824`},
	{networkFile(`{"inputs":1,"layers":[]}`), `backprop.network: no layers, want at least one`},
	{networkFile(`{"inputs":1,"layers":{}}`), `backprop.network: layers is not an array`},
	{networkFile(`{"inputs":1,"layers":[` + strings.Repeat("{},", 100000) + `{}]}`), `backprop.network: layer 0: layer type "" is not known`},
	{networkFile(`{"inputs":1,"layers":[` + strings.Repeat(`{"type":"Dropout"},`, 1<<14) + `{"type":"Dense","units":1}]}`),
		`backprop.network: more than 16384 layers`},
	{networkFile(`{"inputs":1,"layers":[` + strings.Repeat(`{"type":"Dropout"},`, 5000) + `{"type":"Dropout"}]}`),
		`backprop.network: layer 5000: a Dropout cannot be the last layer, want a Dense or a BatchNorm`},
	// Layers.
	{networkFile(`{"inputs":1,"layers":[{"type":"Conv","units":1}]}`), `backprop.network: layer 0: layer type "Conv" is not known`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"rank":1}]}`), `backprop.network: layer 0: json: unknown field "rank"`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense"}]}`), `backprop.network: layer 0: Dense Units is 0, want 1 to 1073741824`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":-3}]}`), `backprop.network: layer 0: Dense Units is -3, want 1 to 1073741824`},
	{networkFile(`{"inputs":4611686018427387904,"layers":[{"type":"Dense","units":1}]}`), `backprop.network: 4611686018427387904 inputs, want 1 to 1073741824`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":4611686018427387904}]}`),
		`backprop.network: layer 0: Dense Units is 4611686018427387904, want 1 to 1073741824`},
	{networkFile(`{"inputs":1073741824,"layers":[{"type":"Dense","units":1073741824}]}`), // 2⁶⁰ weights, and in four such layers 2⁶²
		`backprop.network: layer 0: 1073741824×1073741824 weights take the network over 1073741824 parameters`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"init":"Zero"}]}`), `backprop.network: layer 0: initializer "Zero" is not known`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"Step"}]}`),
		`backprop.network: layer 0: activation "Step" is not known; register it with RegisterActivation`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"ELU(-1)"}]}`),
		`backprop.network: layer 0: activation "ELU(-1)" is not known; register it with RegisterActivation`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"LeakyReLU(0)"}]}`),
		`backprop.network: layer 0: activation "LeakyReLU(0)" is not known; register it with RegisterActivation`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"LeakyReLU(NaN)"}]}`),
		`backprop.network: layer 0: activation "LeakyReLU(NaN)" is not known; register it with RegisterActivation`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"LeakyReLU(1"}]}`),
		`backprop.network: layer 0: activation "LeakyReLU(1" is not known; register it with RegisterActivation`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"Softmax"}]}`),
		`backprop.network: layer 0: a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid`},
	{networkFile(`{"inputs":1,"layers":[{"type":"BatchNorm","momentum":2}]}`), `backprop.network: layer 0: BatchNorm Momentum is 2, want 0 to 1`},
	{networkFile(`{"inputs":1,"layers":[{"type":"BatchNorm","epsilon":-1}]}`), `backprop.network: layer 0: BatchNorm Epsilon is -1, want a finite number above 0`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dropout","rate":1},{"type":"Dense","units":1}]}`),
		`backprop.network: layer 0: Dropout Rate is 1, want 0 to 1, 1 not included`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1},{"type":"Standardize"},{"type":"Dense","units":1}]}`),
		`backprop.network: layer 1: a Standardize stands behind another layer, want it first`},
	// Tensors that contradict the metadata.
	{networkFile(oneDense), `there is no tensor "0.weight"`},
	{networkFile(oneDense, weight), `there is no tensor "0.bias"`},
	{networkFile(`{"inputs":32768,"layers":[{"type":"Dense","units":32767}]}`, weight, bias), `tensor "0.weight" has shape [1 1], want [32767 32768]`},
	{networkFile(oneDense, weight, bias, mean), `tensor "0.running_mean" belongs to no layer`},
	{networkFile(oneDense, weight, bias, rawTensor{"0.num_batches_tracked", "I64", nil, []float64{1}}), `tensor "0.num_batches_tracked" belongs to no layer`},
	{networkFile(oneDense, weight, bias, rawTensor{"checkpoint.history", "F64", []int{0}, nil}), `tensor "checkpoint.history" belongs to no layer`},
	{networkFile(oneDense, rawTensor{"0.weight", "F64", []int{1}, []float64{2}}, bias), `tensor "0.weight" has shape [1], want [1 1]`},
	{networkFile(oneDense, weight, rawTensor{"0.bias", "F64", []int{2}, []float64{2, 3}}), `tensor "0.bias" has shape [2], want [1]`},
	{networkFile(oneDense, weight, rawTensor{"0.bias", "I64", []int{1}, []float64{2}}), `tensor "0.bias" is of type I64, want F64 or F32`},
	{networkFile(oneDense, weight, rawTensor{"0.bias", "F64", []int{1}, []float64{math.NaN()}}), `tensor "0.bias" has NaN at index 0, want finite numbers`},
	{networkFile(oneDense, weight, rawTensor{"0.bias", "F32", []int{1}, []float64{math.Inf(-1)}}), `tensor "0.bias" has -Inf at index 0, want finite numbers`},
	{networkFile(`{"inputs":1,"layers":[{"type":"BatchNorm"}]}`, rawTensor{"0.weight", "F64", []int{1}, []float64{1}}, bias, mean,
		rawTensor{"0.running_var", "F64", []int{1}, []float64{-1e-300}}), `tensor "0.running_var" has -1e-300 at index 0, which cannot be a variance`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Standardize"},{"type":"Dense","units":1}]}`, mean, rawTensor{"0.running_var", "F64", []int{1}, []float64{0}},
		rawTensor{"1.weight", "F64", []int{1, 1}, []float64{1}}, rawTensor{"1.bias", "F64", []int{1}, []float64{1}}),
		`tensor "0.running_var" has 0 at index 0, which cannot be a variance`},
}

func TestReadRefusesHostileFiles(t *testing.T) {
	for _, c := range hostileFiles {
		net, err := Read(strings.NewReader(c.file))
		fails(t, err, "backprop: Read: "+c.want)
		if net != nil {
			t.Error("a network beside the error")
		}
	}
}

func TestReadRefusesAFileCutAtAnyByte(t *testing.T) {
	file := bytesOf(t, newNetwork(t, 2, Standardize{}, Dense{Units: 2, Activation: Softmax}))
	for n := range file {
		if _, err := Read(bytes.NewReader(file[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

// Bits of every byte of a file are turned over. Most make it unreadable, some another
// network; none panics, and what is read is a network.
func TestReadOutlivesFlippedBits(t *testing.T) {
	file := bytesOf(t, newNetwork(t, 2, Standardize{}, Dense{Units: 2, Activation: LeakyReLU{}}, BatchNorm{}, Dropout{}, Dense{Units: 1}))
	for i := range file {
		for bit := i % 3; bit < 8; bit += 3 {
			damaged := bytes.Clone(file)
			damaged[i] ^= 1 << bit
			if net, err := Read(bytes.NewReader(damaged)); err == nil {
				bytesOf(t, net)
			}
		}
	}
}

// Memory is counted with all garbage. A file may claim anything.
func TestReadAllocatesInProportionToTheFile(t *testing.T) {
	layers := func(layer string, n int) string {
		return networkFile(`{"inputs":1,"layers":[` + strings.Repeat(layer+",", n-1) + layer + `]}`)
	}
	u8 := rawTensor{"a", "U8", []int{1 << 20}, make([]float64, 1<<20)}
	files := []string{
		layers("{}", 1<<20), layers(`{"type":"Dropout"}`, 1<<14), layers(`{"type":"Dropout"}`, 1<<18),
		layers(`{"type":"Dense","units":1}`, 1<<14), layers(`{"type":"Dense","units":65536}`, 1<<14), layers(`{"type":"BatchNorm"}`, 1<<14),
		networkFile(`{"inputs":1073741824,"layers":[{"type":"BatchNorm"}]}`),
		networkFile(`{"inputs":1073741823,"layers":[{"type":"Dense","units":1}]}`, weight, bias),
		networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"` + strings.Repeat("x", 1<<20) + `"}]}`),
		networkFile(strings.Repeat("[", 1<<20)), networkFile(strings.Repeat(" ", 1<<20)), networkFile(oneDense, weight, bias, u8),
		string(bytesOf(t, newNetwork(t, 1<<10, Dense{Units: 1 << 8}))),
	}
	for _, c := range hostileFiles {
		files = append(files, c.file)
	}
	for _, file := range files {
		const factor, constant = 64, 256 << 10
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(strings.NewReader(file))
		runtime.ReadMemStats(&after)
		total := after.TotalAlloc - before.TotalAlloc
		if total > uint64(factor*len(file)+constant) {
			t.Errorf("%d bytes allocated for a file of %d, %v", total, len(file), err)
		}
		if len(file) > constant {
			t.Logf("%d bytes allocated for %d, %.1f: %v", total, len(file), float64(total)/float64(len(file)), err)
		}
	}
}

// Whatever is read is a network that predicts or says why not, and saves as it
// was read.
func FuzzRead(f *testing.F) {
	for _, c := range hostileFiles {
		if len(c.file) < 1<<12 {
			f.Add([]byte(c.file))
		}
	}
	for _, layers := range [][]Layer{
		{Dense{Units: 1}}, {Standardize{}, Dense{Units: 2, Activation: ELU{Alpha: 2}}, Dropout{Rate: 0.25}, BatchNorm{Activation: Softmax, Momentum: 0.5}},
	} {
		f.Add(bytesOf(f, newNetwork(f, 2, layers...)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		net, err := Read(bytes.NewReader(file))
		if err != nil {
			if net != nil || !strings.HasPrefix(err.Error(), "backprop: Read: ") || len(err.Error()) > 1000 {
				t.Fatal(net, err)
			}
			return
		}
		s := stateOf(net)
		noNaN(t, "parameters", s.params)
		noNaN(t, "statistics", s.statistics)
		again, err := Read(bytes.NewReader(bytesOf(t, net)))
		noError(t, err)
		s.mustEqual(t, again)
		x := mat.NewDense(1, inputsOf(t, net), nil)
		p, err := net.Predict(x)
		q, err2 := again.Predict(x)
		if fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatal(err, err2)
		}
		if err == nil {
			sameBits(t, "prediction", q.RawMatrix().Data, p.RawMatrix().Data)
		}
	})
}

// ─── Writing is atomic ───────────────────────────────────────────────────────

func TestWriteToReturnsTheWritersError(t *testing.T) {
	net := newNetwork(t, 2, Standardize{}, Dense{Units: 2, Activation: Softmax})
	whole, full := bytesOf(t, net), errors.New("disk full")
	for left := range whole {
		w := &limited{left: left, err: full}
		n, err := net.WriteTo(w)
		fails(t, err, fmt.Sprintf("backprop: WriteTo: safetensors: writing failed after byte %d: disk full", left))
		if !errors.Is(err, full) || n != int64(left) || !bytes.Equal(w.Bytes(), whole[:left]) {
			t.Fatalf("%d bytes of %d, error %v", n, left, err)
		}
	}
}

func TestSaveOnAFullDiskKeepsTheOldFile(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS != "linux" {
		t.Skip("no shell that limits the size of files")
	}
	path, old := oldFile(t)
	limit := exec.Command("sh", "-c", `ulimit -f 16 && exec "$0" "$@"`)
	out, err := child(t, limit, "save once", path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "backprop: Save: safetensors: writing failed after byte") || !strings.Contains(string(out), "file too large") {
		t.Errorf("%v: %s", err, out)
	}
	mustHold(t, path, old)
}

func TestSaveWhereNothingCanBeWritten(t *testing.T) {
	path, old := oldFile(t)
	net := newNetwork(t, 1, Dense{Units: 1})
	below, gone := filepath.Join(path, "below"), filepath.Join(filepath.Dir(path), "gone", "net")
	for _, p := range []string{below, gone, ""} {
		if err := net.Save(p); err == nil || !strings.HasPrefix(err.Error(), "backprop: Save: ") {
			t.Errorf("%q: %v", p, err)
		}
	}
	mustHold(t, path, old)
	folder := filepath.Join(t.TempDir(), "folder")
	noError(t, os.Mkdir(folder, 0o777))
	fails(t, net.Save(folder), "backprop: Save: "+folder+" is not a regular file")
	inside := filepath.Join(folder, "net")
	noError(t, net.Save(inside))
	old = value(os.ReadFile(inside))(t)
	noError(t, os.Chmod(folder, 0o555))
	defer os.Chmod(folder, 0o777)
	if probe := os.WriteFile(filepath.Join(folder, "probe"), nil, 0o666); probe == nil {
		os.Remove(filepath.Join(folder, "probe"))
		t.Skip("this user may write everywhere")
	}
	if err := newNetwork(t, 2, Dense{Units: 1}).Save(inside); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	mustHold(t, inside, old)
}

func TestSaveFollowsALinkToItsFile(t *testing.T) {
	path, _ := oldFile(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	net := newNetwork(t, 3, Dense{Units: 1})
	noError(t, net.Save(link))
	if info := value(os.Lstat(link))(t); info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link is gone")
	}
	mustHold(t, path, bytesOf(t, net))
}

// A temporary file that a killed process or somebody else has left is no way in.
func TestSaveDoesNotWriteThroughWhatStandsInItsWay(t *testing.T) {
	path, old := oldFile(t)
	link := filepath.Join(t.TempDir(), "net")
	noError(t, os.WriteFile(link+".tmp", []byte("left by a killed process"), 0o666))
	net := newNetwork(t, 3, Dense{Units: 1})
	noError(t, net.Save(link))
	mustHold(t, link, bytesOf(t, net))
	if err := os.Symlink(path, link+".tmp"); err != nil {
		t.Skip(err)
	}
	noError(t, net.Save(link))
	mustHold(t, link, bytesOf(t, net))
	mustHold(t, path, old)
}

func TestConcurrentSavesLeaveAWholeFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be replaced")
	}
	path, _ := oldFile(t)
	nets := [2]*Network{}
	whole := [][]byte{}
	for i := range nets {
		nets[i] = newNetwork(t, 50+i, Dense{Units: 50})
		whole = append(whole, bytesOf(t, nets[i]))
	}
	noError(t, nets[0].Save(path))
	var savers sync.WaitGroup
	for i := range 4 {
		savers.Go(func() {
			for range 10 {
				if err := nets[i%2].Save(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { savers.Wait(); close(done) }()
	for more := true; more; {
		select {
		case <-done:
			more = false
		default:
		}
		if got := value(os.ReadFile(path))(t); !bytes.Equal(got, whole[0]) && !bytes.Equal(got, whole[1]) {
			t.Fatalf("%d bytes that are neither network", len(got))
		}
	}
}

func TestAKilledSaveLeavesAWholeFile(t *testing.T) {
	path, old := oldFile(t)
	whole := [][]byte{old, bytesOf(t, large(t, 0)), bytesOf(t, large(t, 1))}
	rng := rand.New(rand.NewPCG(1, 1))
	for range kills() / 2 {
		killed := exec.Command(os.Args[0])
		if !kill(t, child(t, killed, "save", path), 1+rng.IntN(3), rng.IntN(20000)) {
			t.Fatal("the child has ended by itself")
		}
		got := value(os.ReadFile(path))(t)
		if !slices.ContainsFunc(whole, func(w []byte) bool { return bytes.Equal(got, w) }) {
			t.Fatalf("%d bytes that are neither network", len(got))
		}
		whole = whole[len(whole)-2:] // it has saved at least once
	}
}

// ─── Checkpoints ─────────────────────────────────────────────────────────────

// trainings are what a checkpoint has to be able to take up, each with all that
// keeps something between epochs.
var trainings = []func() TrainConfig{
	func() TrainConfig { return TrainConfig{} },
	func() TrainConfig { return TrainConfig{Optimizer: &Momentum{}, Schedule: StepDecay{Every: 3}} },
	func() TrainConfig { return TrainConfig{Optimizer: &Momentum{Nesterov: true}, KeepOrder: true, L2: 0.1} },
	func() TrainConfig {
		return TrainConfig{Optimizer: &RMSProp{}, Schedule: CosineDecay{Epochs: 8}, Patience: 5}
	},
	func() TrainConfig {
		return TrainConfig{Optimizer: &RMSProp{Centered: true, Momentum: 0.5}, WeightDecay: 0.1, ClipValue: 0.1}
	},
	func() TrainConfig {
		return TrainConfig{Optimizer: &Adam{}, Schedule: Warmup{Epochs: 3, Then: ReduceOnPlateau{Patience: 1}}, Patience: 3, Seed: 5}
	},
	func() TrainConfig { return TrainConfig{Optimizer: &AdaGrad{}, ClipNorm: 0.1, TargetLoss: 1.02} },
	func() TrainConfig { return TrainConfig{Optimizer: &heavyBall{Mu: 0.5}, Patience: 2, Loss: wide()} },
	func() TrainConfig {
		rate := func(base float64, history []Epoch) float64 { return base / float64(1+len(history)) }
		return TrainConfig{Optimizer: &Adam{Beta1: 0.5}, Schedule: ScheduleFunc(rate), BatchSize: 50}
	},
}

const checkpointEpochs = 12

// training is training i on a fresh network.
func training(t testing.TB, i int) (net *Network, x, y *mat.Dense, c TrainConfig) {
	net = newNetwork(t, 5, Standardize{}, Dense{Units: 6, Activation: LeakyReLU{}}, Dropout{Rate: 0.2},
		Dense{Units: 5, NoBias: true}, BatchNorm{Activation: Tanh}, Dense{Units: 3, Activation: Softmax})
	x, y = scaledMatrix(pattern(41, 5), 3), classes(41, 3) // the 41st sample joins the last batch
	c = trainings[i]()
	c.LearningRate, c.Epochs, c.BatchSize, c.Validation = 0.02, checkpointEpochs, cmp.Or(c.BatchSize, 8), Data{X: pattern(20, 5), Y: classes(20, 3)}
	return net, x, y, c
}

// unbroken is how training i ends without a checkpoint.
func unbroken(t testing.TB, i, epochs int) (file []byte, h *History) {
	net, x, y, c := training(t, i)
	c.Epochs = epochs
	h, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	return bytesOf(t, net), h
}

func TestAResumedTrainingEndsWithTheSameBits(t *testing.T) {
	for i := range trainings {
		want, wantHistory := unbroken(t, i, checkpointEpochs)
		for _, batches := range []int{8, 1000} { // until it is cancelled, amid an epoch of 5 or not at all
			for _, anew := range []bool{true, false} { // a new program, or the same network and optimizer again
				path := filepath.Join(t.TempDir(), "checkpoint")
				net, x, y, c := training(t, i)
				for tries := 0; ; tries++ {
					if tries > checkpointEpochs {
						t.Fatal("it does not get on")
					}
					c.Checkpoint = path
					h, err := net.Train(&countdown{t.Context(), batches}, x, y, c)
					if errors.Is(err, context.Canceled) {
						if h.Stopped != StopCancelled {
							t.Error(h.Stopped)
						}
						if anew {
							net, x, y, c = training(t, i)
						}
						continue
					}
					noError(t, err)
					sameHistory(t, h, wantHistory)
					break
				}
				if !bytes.Equal(bytesOf(t, net), want) {
					t.Errorf("training %d, %d batches a time: other bits", i, batches)
				}
				if matches := value(filepath.Glob(path + "?*"))(t); len(matches) > 0 {
					t.Error(matches)
				}
			}
		}
	}
}

// Resumed in the same program and then in a new one.
func TestATrainingIsTakenUpAcrossPrograms(t *testing.T) {
	want, _ := unbroken(t, 5, checkpointEpochs)
	net, x, y, c := training(t, 5)
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	for _, batches := range []int{10, 7} { // at the end of an epoch, and in another
		_, err := net.Train(&countdown{t.Context(), batches}, x, y, c)
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	again, _, _, d := training(t, 5)
	d.Checkpoint = c.Checkpoint
	_, err := again.Train(t.Context(), x, y, d)
	noError(t, err)
	if !bytes.Equal(bytesOf(t, again), want) {
		t.Error("other bits")
	}
}

func TestAKilledTrainingEndsWithTheSameBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	trials := []int{0, 5, 7}
	for _, i := range trials {
		want, _ := unbroken(t, i, childEpochs)
		path := filepath.Join(t.TempDir(), "checkpoint")
		killed := 0
		for range max(2, kills()/len(trials)) {
			c := child(t, exec.Command(os.Args[0]), fmt.Sprint("train ", i), path)
			if kill(t, c, 1+rng.IntN(3), rng.IntN(5000)) {
				killed++
			}
			if _, err := Load(path); err != nil {
				t.Fatal(err)
			}
		}
		out, err := child(t, exec.Command(os.Args[0]), fmt.Sprint("train ", i), path).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := value(os.ReadFile(path + ".done"))(t); !bytes.Equal(got, want) {
			t.Errorf("training %d: other bits after %d kills", i, killed)
		}
		if killed < 2 {
			t.Errorf("only %d kills", killed)
		}
	}
}

func TestAFinishedTrainingReturnsAtOnce(t *testing.T) {
	for i := range trainings {
		net, x, y, c := training(t, i)
		c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
		first, err := net.Train(t.Context(), x, y, c)
		noError(t, err)
		file := value(os.ReadFile(c.Checkpoint))(t)
		again, x, y, d := training(t, i)
		d.Checkpoint = c.Checkpoint
		d.OnEpoch = func(Epoch) error { t.Error("an epoch"); return nil }
		h, err := again.Train(t.Context(), x, y, d)
		noError(t, err)
		sameHistory(t, h, first)
		stateOf(net).mustEqual(t, again)
		mustHold(t, c.Checkpoint, file)
	}
}

func TestRaisingEpochsGoesOn(t *testing.T) {
	for i := range trainings {
		want, wantHistory := unbroken(t, i, checkpointEpochs)
		path := filepath.Join(t.TempDir(), "checkpoint")
		for _, epochs := range []int{1, 4, checkpointEpochs} {
			net, x, y, c := training(t, i)
			c.Epochs, c.Checkpoint = epochs, path
			h, err := net.Train(t.Context(), x, y, c)
			noError(t, err)
			if epochs == checkpointEpochs {
				sameHistory(t, h, wantHistory)
				if !bytes.Equal(bytesOf(t, net), want) {
					t.Errorf("training %d: other bits", i)
				}
			}
		}
	}
	net, x, y, c := training(t, 0)
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	_, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	c.Epochs = 3
	_, err = net.Train(t.Context(), x, y, c)
	fails(t, err, "backprop: Train: Checkpoint "+c.Checkpoint+": it has 12 epochs, Epochs is 3")
}

// However OnEpoch ends a training, it is taken up where it was.
func TestOnEpochAndCheckpoints(t *testing.T) {
	want, wantHistory := unbroken(t, 6, checkpointEpochs)
	path, no := filepath.Join(t.TempDir(), "checkpoint"), errors.New("no")
	for n := range wantHistory.Epochs { // each epoch fails, the last one too
		net, x, y, c := training(t, 6)
		c.Checkpoint, c.OnEpoch = path, func(e Epoch) error {
			if e.N != n {
				t.Errorf("epoch %d, want %d", e.N, n)
			}
			return no
		}
		h, err := net.Train(t.Context(), x, y, c)
		if !errors.Is(err, no) || h.Stopped != StopOnEpoch {
			t.Fatal(h, err)
		}
	}
	net, x, y, c := training(t, 6)
	c.Checkpoint = path
	h, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	sameHistory(t, h, wantHistory)
	if !bytes.Equal(bytesOf(t, net), want) {
		t.Error("other bits")
	}
	c.Checkpoint = filepath.Join(t.TempDir(), "stopped")
	c.OnEpoch = func(Epoch) error { return ErrStop }
	net, _, _, _ = training(t, 6)
	for range 2 { // a training that was stopped has ended
		h, err = net.Train(t.Context(), x, y, c)
		noError(t, err)
		if h.Stopped != StopOnEpoch || len(h.Epochs) != 1 {
			t.Error(h)
		}
	}
}

func TestACancelledFirstEpochLeavesACheckpoint(t *testing.T) {
	for _, batches := range []int{0, 2} {
		net, x, y, c := training(t, 5)
		c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
		_, err := net.Train(&countdown{t.Context(), batches}, x, y, c)
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := Load(c.Checkpoint); err != nil {
			t.Error(err)
		}
	}
}

func TestACheckpointIsANetworkToo(t *testing.T) {
	net, x, y, c := training(t, 5)
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	c.Patience = 0 // which would restore the best
	_, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	loaded, err := Load(c.Checkpoint)
	noError(t, err)
	stateOf(net).mustEqual(t, loaded)
}

// otherConfigurations are not that of training 5.
var otherConfigurations = []struct {
	change func(*TrainConfig)
	want   string
}{
	{func(c *TrainConfig) { c.LearningRate = 0.03 }, `its LearningRate is "0.02", want "0.03"`},
	{func(c *TrainConfig) { c.BatchSize = 9 }, `its BatchSize is "8", want "9"`},
	{func(c *TrainConfig) { c.KeepOrder = true }, `its KeepOrder is "false", want "true"`},
	{func(c *TrainConfig) { c.Loss = MSE }, `its Loss is "backprop.crossEntropy{}", want "backprop.mse{}"`},
	{func(c *TrainConfig) { c.Optimizer = nil }, `its Optimizer is "backprop.Adam{Beta1:0 Beta2:0 Epsilon:0}", want "none"`},
	{func(c *TrainConfig) { c.Optimizer = &Adam{Beta1: 0.8} },
		`its Optimizer is "backprop.Adam{Beta1:0 Beta2:0 Epsilon:0}", want "backprop.Adam{Beta1:0.8 Beta2:0 Epsilon:0}"`},
	{func(c *TrainConfig) { c.Schedule = ExponentialDecay{} }, `its Schedule is "backprop.Warmup{Epochs:3 Start:0 ` +
		`Then:backprop.ReduceOnPlateau{Factor:0 Patience:1 Threshold:0 Cooldown:0 Min:0}}", want "backprop.ExponentialDecay{Factor:0}"`},
	{func(c *TrainConfig) { c.Seed = 6 }, `its Seed is "5", want "6"`},
	{func(c *TrainConfig) { c.L2 = 1 }, `its L2 is "0", want "1"`},
	{func(c *TrainConfig) { c.WeightDecay = 1 }, `its WeightDecay is "0", want "1"`},
	{func(c *TrainConfig) { c.ClipNorm = 1 }, `its ClipNorm is "0", want "1"`},
	{func(c *TrainConfig) { c.ClipValue = 1 }, `its ClipValue is "0", want "1"`},
	{func(c *TrainConfig) { c.Patience = 1 }, `its Patience is "3", want "1"`},
	{func(c *TrainConfig) { c.TargetLoss = 1e-5 }, `its TargetLoss is "0", want "1e-05"`},
}

func TestACheckpointOfAnotherTrainingIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	start := func() (*Network, *mat.Dense, *mat.Dense, TrainConfig) {
		net, x, y, c := training(t, 5)
		c.Checkpoint = path
		return net, x, y, c
	}
	net, x, y, c := start()
	_, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	file := value(os.ReadFile(path))(t)
	refused := func(net *Network, x, y mat.Matrix, c TrainConfig, want string) {
		t.Helper()
		before := stateOf(net)
		h, err := net.Train(t.Context(), x, y, c)
		fails(t, err, "backprop: Train: Checkpoint "+path+": it belongs to "+want)
		if h != nil {
			t.Error("a history beside the error")
		}
		before.mustEqual(t, net)
		mustHold(t, path, file)
	}
	for _, m := range otherConfigurations {
		net, x, y, c := start()
		m.change(&c)
		refused(net, x, y, c, "another configuration: "+m.want)
	}
	_, x, y, c = start()
	refused(newNetwork(t, 5, Dense{Units: 3}), x, y, c, `another network, {"inputs":5,"layers":[{"type":"Standardize"},`+
		`{"type":"Dense","units":6,"activation":"LeakyReLU(0.01)"},{"type":"Dropout","rate":0.2},{"type":"Dense","units":5,"no_bias":true},`+
		`{"type":"BatchNorm","activation":"Tanh"},{"type":"Dense","units":3,"activation":"Softmax"}]}, `+
		`want {"inputs":5,"layers":[{"type":"Dense","units":3}]}`)
	for i := range 4 {
		net, x, y, c = start()
		m := []mat.Matrix{x, y, c.Validation.X, c.Validation.Y}[i].(*mat.Dense)
		m.Set(3, 1, 1-m.At(3, 1))
		m.Set(3, 0, 1-m.At(3, 0)) // a target is a distribution still
		refused(net, x, y, c, "other data")
	}
	net, x, y, c = start()
	net.Params()[7] += 0x1p-50
	refused(net, x, y, c, "a training that began with other parameters")
}

// What a configuration's values hold is compared, not where they lie; functions
// are not compared.
func TestConfigurationsAreComparedByTheirValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	train := func(l Loss) error {
		net, x, y, c := training(t, 7)
		c.Checkpoint, c.Loss, c.Epochs = path, l, 2
		_, err := net.Train(t.Context(), x, y, c)
		return err
	}
	noError(t, train(wide()))
	noError(t, train(wide()))
	for _, change := range []func(*wideLoss){
		func(l *wideLoss) { l.Weights[1] = 7 }, func(l *wideLoss) { l.Inner.Kind = 7 }, func(l *wideLoss) { l.Any = &Huber{Delta: 7} },
		func(l *wideLoss) { l.Kind = 7 }, func(l *wideLoss) { l.Text = "7" }, func(l *wideLoss) { l.Any = nil },
	} {
		l := wide()
		change(l)
		if err := train(l); err == nil || !strings.Contains(err.Error(), "7") && !strings.Contains(err.Error(), "Any:none") {
			t.Error(err)
		}
	}
	l := wide()
	l.hidden, l.F, l.Map = 7, func() {}, nil
	noError(t, train(l))
}

// damages are done to a finished checkpoint.
var damages = []struct {
	name   string
	change func(metadata map[string]string, tensors map[string]*rawTensor)
	want   string
}{
	{"no checkpoint", func(m map[string]string, _ map[string]*rawTensor) { delete(m, "backprop.checkpoint") },
		`tensor "checkpoint.best_params" belongs to no layer`},
	{"JSON", func(m map[string]string, _ map[string]*rawTensor) { m["backprop.checkpoint"] = "{" }, "backprop.checkpoint: unexpected EOF"},
	{"no history", func(_ map[string]string, s map[string]*rawTensor) { delete(s, "checkpoint.history") }, "its best epoch is damaged"},
	{"short history", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.history"].cut() }, "its history is damaged"},
	{"NaN in the history", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.history"].data[1] = math.NaN() },
		"its history is damaged"},
	{"wrong epoch", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.history"].data[0] = 1 }, "its history is damaged"},
	{"best beyond", func(m map[string]string, _ map[string]*rawTensor) { edit(m, `"best":`, `"best":5`) }, "its best epoch is damaged"},
	{"best before", func(m map[string]string, _ map[string]*rawTensor) { edit(m, `"best":`, `"best":-`) }, "its best epoch is damaged"},
	{"no best", func(_ map[string]string, s map[string]*rawTensor) { delete(s, "checkpoint.best_params") }, "its best epoch is damaged"},
	{"no best statistics", func(_ map[string]string, s map[string]*rawTensor) { delete(s, "checkpoint.best_statistics") }, "its best epoch is damaged"},
	{"NaN in the best", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.best_params"].data[3] = math.NaN() }, "its best epoch is damaged"},
	{"infinite best statistics", func(_ map[string]string, s map[string]*rawTensor) {
		s["checkpoint.best_statistics"].data[3] = math.Inf(1)
	}, "its best epoch is damaged"},
	{"short state", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.optimizer"].cut() },
		"the optimizer remembers 187 values of another training, want 188 for 94 parameters"},
	{"only the steps", func(_ map[string]string, s map[string]*rawTensor) {
		s["checkpoint.optimizer"].data, s["checkpoint.optimizer"].shape = []float64{3}, []int{1}
	}, "backprop: SetState: this is not the state of an optimizer"},
	{"half a step", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.optimizer"].data[0] = 0.5 },
		"backprop: SetState: this is not the state of an optimizer"},
	{"endless steps", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.optimizer"].data[0] = math.Inf(1) },
		"backprop: SetState: this is not the state of an optimizer"},
	{"NaN in the state", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.optimizer"].data[7] = math.NaN() },
		"backprop: SetState: this is not the state of an optimizer"},
	{"NaN in the network", func(_ map[string]string, s map[string]*rawTensor) { s["1.weight"].data[2] = math.NaN() },
		`tensor "1.weight" has NaN at index 2, want finite numbers`},
}

func TestDamagedCheckpointsAreRefused(t *testing.T) {
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			net, x, y, config := training(t, 5)
			config.Checkpoint, config.Epochs = filepath.Join(t.TempDir(), "checkpoint"), 3
			_, err := net.Train(t.Context(), x, y, config)
			noError(t, err)
			metadata, tensors := decodeRaw(t, value(os.ReadFile(config.Checkpoint))(t))
			c.change(metadata, tensors)
			var list []rawTensor
			for _, name := range slices.Sorted(maps.Keys(tensors)) {
				list = append(list, *tensors[name])
			}
			file := []byte(encodeRaw(metadata, list...))
			noError(t, os.WriteFile(config.Checkpoint, file, 0o666))
			net, x, y, again := training(t, 5)
			again.Checkpoint, again.Epochs = config.Checkpoint, 5
			before := stateOf(net)
			_, err = net.Train(t.Context(), x, y, again)
			fails(t, err, "backprop: Train: Checkpoint "+config.Checkpoint+": "+c.want)
			before.mustEqual(t, net)
			mustHold(t, config.Checkpoint, file)
		})
	}
}

// Cut or flipped anywhere, a checkpoint is refused and kept, or another whole
// one; nothing of it makes training panic or gives a network with a NaN.
func TestTrainOutlivesEveryDamageToItsCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	train := func(epochs int) (*Network, error) {
		net, x, y, c := training(t, 5)
		c.Checkpoint, c.Epochs = path, epochs
		_, err := net.Train(t.Context(), x, y, c)
		return net, err
	}
	_, err := train(2)
	noError(t, err)
	whole := value(os.ReadFile(path))(t)
	step := 97 // coprime to 8, so that every bit of a byte has its turn
	if testing.Short() {
		step = 997
	}
	for bit := 0; bit < 8*len(whole); bit += step {
		damaged := bytes.Clone(whole)
		if damaged[bit/8] ^= 1 << (bit % 8); bit%2 == 0 {
			damaged = whole[:bit/8]
		}
		noError(t, os.WriteFile(path, damaged, 0o666))
		net, err := train(2)
		if bit%2 == 0 && err == nil {
			t.Fatalf("cut to %d bytes, it is taken", bit/8)
		}
		if err != nil {
			mustHold(t, path, damaged)
		}
		s := stateOf(net)
		noNaN(t, "parameters", s.params)
		noNaN(t, "statistics", s.statistics)
	}
}

func TestACheckpointNeedsAnOptimizerWithState(t *testing.T) {
	net, x, y, c := training(t, 0)
	c.Checkpoint, c.Optimizer = filepath.Join(t.TempDir(), "checkpoint"), stepFunc(func(params, grad []float64, eta float64) {})
	_, err := net.Train(t.Context(), x, y, c)
	fails(t, err, "backprop: Train: Optimizer is a backprop_test.stepFunc, want one with State and SetState for a Checkpoint")
}

func TestACheckpointThatCannotBeWrittenIsFoundBeforeTheFirstStep(t *testing.T) {
	net, x, y, c := training(t, 5)
	folder := filepath.Join(t.TempDir(), "folder")
	c.Checkpoint = filepath.Join(folder, "checkpoint")
	before := net.String() + fmt.Sprint(net.Params())
	h, err := net.Train(t.Context(), x, y, c)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "backprop: Train: Checkpoint "+c.Checkpoint+": ") || h.Stopped != StopFailed {
		t.Error(h, err)
	}
	if net.String()+fmt.Sprint(net.Params()) != before {
		t.Error("it has trained")
	}
}

// The folder goes while training: an error, and the network is whole, and goes
// on once there is a folder again, in the same program.
func TestAFailingCheckpointLeavesTheNetwork(t *testing.T) {
	want, wantHistory := unbroken(t, 5, checkpointEpochs)
	net, x, y, c := training(t, 5)
	folder := filepath.Join(t.TempDir(), "folder")
	noError(t, os.Mkdir(folder, 0o777))
	c.Checkpoint = filepath.Join(folder, "checkpoint")
	aside := folder + " aside"
	c.OnEpoch = func(e Epoch) error {
		if e.N == 0 {
			return os.Rename(folder, aside)
		}
		return nil
	}
	_, err := net.Train(&countdown{t.Context(), 8}, x, y, c)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "backprop: Train: Checkpoint "+c.Checkpoint+": ") {
		t.Fatal(err)
	}
	mustComeBack(t, net, x)
	noError(t, os.Rename(aside, folder))
	c.OnEpoch = nil
	h, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	sameHistory(t, h, wantHistory)
	if !bytes.Equal(bytesOf(t, net), want) {
		t.Error("other bits")
	}
}

func TestACheckpointIsAFileThatCanBeRead(t *testing.T) {
	path, old := oldFile(t)
	for _, checkpoint := range []string{filepath.Join(path, "below"), filepath.Dir(path), path} {
		net, x, y, c := training(t, 5)
		c.Checkpoint = checkpoint
		before := stateOf(net)
		h, err := net.Train(t.Context(), x, y, c)
		if err == nil || !strings.HasPrefix(err.Error(), "backprop: Train: Checkpoint "+checkpoint+": ") || h != nil {
			t.Error(h, err)
		}
		before.mustEqual(t, net)
	}
	mustHold(t, path, old)
}

// What Save refuses is found when training begins.
func TestACheckpointOfWhatCannotBeSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	train := func(f Activation, onEpoch func(*Network) error) error {
		net := newNetwork(t, 2, Dense{Units: 1}, Dense{Units: 1, Activation: f})
		_, err := net.Train(t.Context(), pattern(4, 2), pattern(4, 1), TrainConfig{
			LearningRate: 0.1, Epochs: 2, Checkpoint: path, OnEpoch: func(Epoch) error { return onEpoch(net) },
		})
		return err
	}
	no := func(*Network) error { t.Error("an epoch"); return nil }
	const name = `layer 1: the name "ReLU" of its backprop_test.named is that of a backprop.relu`
	fails(t, train(named("ReLU"), no), "backprop: Train: Checkpoint "+path+": "+name)
	err := train(Tanh, func(net *Network) error { net.Params()[0] = math.NaN(); return ErrStop })
	fails(t, err, "backprop: Train: Checkpoint "+path+`: tensor "0.weight" has an element that is not finite`)
	mustHold(t, path, value(os.ReadFile(path))(t))
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
	fails(t, train(named("ReLU"), no), "backprop: Train: Checkpoint "+path+": "+name)
}

// A step breaks the parameters, and training is cancelled before the loss shows it.
func TestCancellationBehindABrokenStepKeepsTheLastFiniteParameters(t *testing.T) {
	net := newNetwork(t, 2, Dense{Units: 1})
	before := stateOf(net)
	broken := stepFunc(func(params, grad []float64, eta float64) { params[1] = math.NaN() })
	_, err := net.Train(&countdown{t.Context(), 1}, pattern(4, 2), pattern(4, 1), TrainConfig{LearningRate: 0.1, Epochs: 1, BatchSize: 1, Optimizer: broken})
	fails(t, err, "backprop: Train: cancelled in epoch 0: context canceled")
	before.mustEqual(t, net)
}

func TestNewBoundsTheLayers(t *testing.T) {
	_, err := New(1, slices.Repeat([]Layer{Dense{Units: 1}}, 1<<14+1)...)
	fails(t, err, "backprop: New: 16385 layers, want at most 16384")
	_, err = Read(bytes.NewReader(bytesOf(t, newNetwork(t, 1, slices.Repeat([]Layer{Dense{Units: 1}}, 1<<14)...))))
	noError(t, err)
}

// A gradient whose square overflows leaves an infinity in the optimizer, of
// which the parameters know nothing.
func TestAnInfiniteStateIsTakenUp(t *testing.T) {
	train := func(path string, epochs int) []byte {
		net := newNetwork(t, 1, Dense{Units: 1})
		x, y := mat.NewDense(1, 1, []float64{1e155}), mat.NewDense(1, 1, []float64{1})
		copy(net.Params(), []float64{1, 0})
		_, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: epochs, Optimizer: &AdaGrad{}, Loss: MAE, Checkpoint: path})
		noError(t, err)
		return bytesOf(t, net)
	}
	path := filepath.Join(t.TempDir(), "checkpoint")
	train(path, 2)
	_, tensors := decodeRaw(t, value(os.ReadFile(path))(t))
	if !slices.Contains(tensors["checkpoint.optimizer"].data, math.Inf(1)) {
		t.Fatal("the state is finite")
	}
	if !bytes.Equal(train(path, 4), train("", 4)) {
		t.Error("other bits")
	}
}

// A running variance overflows where the loss stays finite.
func TestAnInfiniteRunningVarianceIsDivergence(t *testing.T) {
	net := newNetwork(t, 1, BatchNorm{}, Dense{Units: 1})
	before := stateOf(net)
	_, err := net.Train(t.Context(), scaledMatrix(pattern(4, 1), 1e160), pattern(4, 1), TrainConfig{LearningRate: 0.1, Epochs: 2})
	if !errors.Is(err, ErrDiverged) {
		t.Error(err)
	}
	before.mustEqual(t, net)
}

// ─── A good guest ────────────────────────────────────────────────────────────

// The library never prints of its own accord, exits, recovers a panic, draws
// from a source that is not seeded or changes gonum's BLAS. Its text is looked
// through for the names of what would.
func TestTheLibraryNeverUsesWhatAGuestDoesNot(t *testing.T) {
	seeded := map[string]bool{"New": true, "NewPCG": true, "Rand": true, "PCG": true}
	forbidden := func(of, name string) bool {
		switch of {
		case "":
			return name == "recover" || name == "print" || name == "println"
		case "os":
			return name == "Exit" || name == "Stdout" || name == "Stderr"
		case "fmt":
			return strings.HasPrefix(name, "Print")
		case "rand":
			return !seeded[name]
		case "blas64", "lapack64":
			return name == "Use"
		}
		return of == "log" || of == "slog"
	}
	files := slices.Concat(value(filepath.Glob("*.go"))(t), value(filepath.Glob("internal/*/*.go"))(t))
	looked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		looked++
		tree := value(parser.ParseFile(token.NewFileSet(), file, nil, 0))(t)
		ast.Inspect(tree, func(n ast.Node) bool {
			of, name := "", ""
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok {
					of, name = x.Name, n.Sel.Name
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok {
					name = f.Name
				}
			}
			if forbidden(of, name) {
				t.Errorf("%s uses %s.%s", file, of, name)
			}
			return true
		})
	}
	if looked < 6 {
		t.Errorf("only %d files", looked)
	}
}

// The panic of a caller's own code comes out as it is, and leaves nothing running.
func TestPanicsOfTheCallersCodeAreNotRecovered(t *testing.T) {
	net := newNetwork(t, 64, Dense{Units: 256}, Dense{Units: 1})
	x, y := pattern(256, 64), pattern(256, 1)
	before := runtime.NumGoroutine()
	mine := &counting{Loss: MSE, every: func() { panic("mine") }}
	panics(t, "mine", func() { net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1, Epochs: 1, Loss: mine}) })
	panics(t, "mine", func() { net.Loss(x, y, mine) })
	panics(t, "mine", func() { net.Predict(panicking{x}) })
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, were %d", n, before)
	}
	if _, err := net.Predict(x); err != nil {
		t.Error(err)
	}
}

// ─── A long run ──────────────────────────────────────────────────────────────

// Everything that a server does with networks, again and again: memory stays
// flat, and no goroutine and no file is left. BACKPROP_LONG is for how long, as
// "10m"; without it some rounds are made.
func TestALongRunStaysFlat(t *testing.T) {
	long, _ := time.ParseDuration(os.Getenv("BACKPROP_LONG"))
	rounds, start := 18, time.Now()
	if testing.Short() {
		rounds = 9
	}
	folder := t.TempDir()
	round := func(i int) {
		net, x, y, c := training(t, i%len(trainings))
		c.Checkpoint = filepath.Join(folder, "checkpoint")
		_, err := net.Train(&countdown{t.Context(), 9}, x, y, c)
		if !errors.Is(err, context.Canceled) && i%len(trainings) != len(trainings)-1 { // whose epochs are of one batch
			t.Fatal(err)
		}
		_, err = net.Train(t.Context(), x, y, c)
		noError(t, err)
		noError(t, net.Save(c.Checkpoint+".done"))
		_, err = Load(c.Checkpoint + ".done")
		noError(t, err)
		_, err = Read(strings.NewReader(hostileFiles[i%len(hostileFiles)].file))
		if err == nil {
			t.Error("read")
		}
		wideNet := newNetwork(t, 64, Dense{Units: 256, Activation: ReLU}, Dense{Units: 64}) // large enough for goroutines
		wideX, wideY := pattern(128, 64), pattern(128, 64)
		_, err = wideNet.Train(t.Context(), wideX, wideY, TrainConfig{LearningRate: 1e-3, Epochs: 2, BatchSize: 64})
		noError(t, err)
		noError(t, os.Remove(c.Checkpoint))
	}
	for i := range 2 * len(trainings) {
		round(i) // pools and lazily made things
	}
	memory, goroutines, files := usage()
	n := 0
	for ; n < rounds || time.Since(start) < long; n++ {
		round(n)
	}
	memory2, goroutines2, files2 := usage()
	t.Logf("%d rounds in %v: %d → %d bytes of heap, %d → %d goroutines, %d → %d files",
		n, time.Since(start).Round(time.Second), memory, memory2, goroutines, goroutines2, files, files2)
	if memory2 > memory+1<<20 || goroutines2 > goroutines || files2 > files {
		t.Error("something is left")
	}
}

// usage is the live heap, the goroutines and, where that can be seen, the open files.
func usage() (heap uint64, goroutines, files int) {
	runtime.GC()
	runtime.GC() // for the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, _ := os.ReadDir("/proc/self/fd")
	return m.HeapAlloc, runtime.NumGoroutine(), len(open)
}

// ─── Anything at all ─────────────────────────────────────────────────────────

// Random networks, data and configurations out of the fuzzer's bytes. Every call
// works or returns an error; no parameter becomes NaN or infinite; whatever
// trains also saves, loads and predicts the same.
func FuzzTrain(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		seed := make([]byte, 60)
		for i := range seed {
			seed[i] = byte(rng.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &dice{data}
		inputs := d.roll(4)
		net, err := New(inputs, d.layers()...)
		if err != nil {
			if net != nil || !strings.HasPrefix(err.Error(), "backprop: New: ") {
				t.Fatal(net, err)
			}
			return
		}
		outputs := len(predict(t, net, mat.NewDense(1, inputs, nil)))
		if i := d.roll(100); i < len(net.Params()) {
			net.Params()[i] = d.finite()
		}
		x, y := d.matrix(d.roll(9), inputs), d.targets(outputs)
		if rowsOf(y) > rowsOf(x) {
			y = y.Slice(0, rowsOf(x), 0, outputs).(*mat.Dense)
		} else {
			y = y.Grow(rowsOf(x)-rowsOf(y), 0).(*mat.Dense)
		}
		config := d.config(x, y)
		started, untrained := mustReadBack(t, net), mustReadBack(t, net)
		h, err := trainAny(t, net, x, y, config)
		if err == nil {
			again := config
			again.Optimizer = fresh(config.Optimizer)
			h2, err := trainAny(t, started, x, y, again) // the same bits once more, after loading
			noError(t, err)
			sameHistory(t, h2, h)
			stateOf(net).mustEqual(t, started)
		}
		if _, stateful := config.Optimizer.(Stateful); err == nil && stateful && d.roll(32) == 32 {
			mustResume(t, untrained, net, x, y, config)
		}
		mustReadBack(t, net)
		mustPredict(t, net, mustReadBack(t, net), x, y, config.Loss)
	})
}

// trainAny trains and holds Train to its promises.
func trainAny(t *testing.T, net *Network, x, y *mat.Dense, c TrainConfig) (*History, error) {
	t.Helper()
	xBefore, yBefore := mat.DenseCopyOf(x), mat.DenseCopyOf(y)
	h, err := net.Train(t.Context(), x, y, c)
	sameBits(t, "x", x.RawMatrix().Data, xBefore.RawMatrix().Data)
	sameBits(t, "y", y.RawMatrix().Data, yBefore.RawMatrix().Data)
	s := stateOf(net)
	noNaN(t, "parameters", s.params)
	noNaN(t, "statistics", s.statistics)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "backprop: Train: ") {
			t.Fatal(err)
		}
		return h, err
	}
	if len(h.Epochs) == 0 || h.Stopped == "" || h.Best < 0 || h.Best >= len(h.Epochs) {
		t.Fatal(h)
	}
	for _, e := range h.Epochs {
		noNaN(t, "epoch", []float64{e.Loss, e.ValidationLoss, e.LearningRate, e.GradNorm})
	}
	return h, err
}

// mustResume trains with interruptions.
func mustResume(t *testing.T, net, want *Network, x, y *mat.Dense, c TrainConfig) {
	t.Helper()
	c.Optimizer, c.Checkpoint = fresh(c.Optimizer), filepath.Join(t.TempDir(), "checkpoint")
	for tries := 0; ; tries++ {
		_, err := net.Train(&countdown{t.Context(), rowsOf(x) + 1}, x, y, c)
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || tries > c.Epochs {
			t.Fatal(err)
		}
	}
	stateOf(want).mustEqual(t, net)
}

// mustReadBack is mustComeBack in memory.
func mustReadBack(t *testing.T, net *Network) *Network {
	t.Helper()
	file := bytesOf(t, net)
	loaded, err := Read(bytes.NewReader(file))
	noError(t, err)
	stateOf(net).mustEqual(t, loaded)
	if !bytes.Equal(bytesOf(t, loaded), file) {
		t.Error("saving again gives other bytes")
	}
	return loaded
}

// mustPredict holds the other calls to their promises, on a network and its copy.
func mustPredict(t *testing.T, net, same *Network, x, y *mat.Dense, l Loss) {
	p, err := net.Predict(x)
	q, err2 := same.Predict(x)
	if fmt.Sprint(err) != fmt.Sprint(err2) {
		t.Fatal(err, err2)
	}
	if err == nil {
		noNaN(t, "prediction", p.RawMatrix().Data)
		sameBits(t, "prediction", q.RawMatrix().Data, p.RawMatrix().Data)
		into := mat.NewDense(rowsOf(p), cols(p), nil)
		noError(t, net.PredictTo(into, x))
		sameBits(t, "PredictTo", into.RawMatrix().Data, p.RawMatrix().Data)
	}
	if v, err := net.Loss(x, y, l); err == nil {
		noNaN(t, "loss", []float64{v})
	}
	if v, g, err := net.Gradient(nil, x, y, l); err == nil {
		noNaN(t, "loss", []float64{v})
		noNaN(t, "gradient", g)
		before := stateOf(net)
		if _, err := net.CheckGradient(x, y, l); err != nil {
			t.Error(err)
		}
		before.mustEqual(t, net)
	}
}

// dice gives what the fuzzer's bytes say; behind their end, zeros.
type dice struct{ data []byte }

// roll is 1 to n.
func (d *dice) roll(n int) int {
	if len(d.data) == 0 {
		return 1
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b)%n + 1
}

// finite is mostly harmless.
func (d *dice) finite() float64 {
	switch i := d.roll(64); i {
	case 1, 2, 3:
		return []float64{0, 1, -1}[i-1]
	case 4, 5, 6, 7, 8, 9, 10, 11:
		return []float64{1e-310, 1e-160, 1e-9, 1e9, 1e155, -1e160, 1e300, -math.MaxFloat64}[i-4]
	default:
		return float64(i-37) / 16
	}
}

// number may be anything.
func (d *dice) number() float64 {
	if i := d.roll(256); i <= 4 {
		return []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}[i-1]
	}
	return d.finite()
}

// option is mostly 0, and mostly valid.
func (d *dice) option() float64 {
	switch i := d.roll(16); i {
	case 1:
		return d.number()
	case 2, 3, 4:
		return []float64{0.001, 0.1, 0.9}[i-2]
	}
	return 0
}

func (d *dice) activation() Activation {
	switch i := d.roll(len(everyActivation) + 2); i {
	case len(everyActivation) + 1:
		return LeakyReLU{Slope: d.option()}
	case len(everyActivation) + 2:
		return ELU{Alpha: d.option()}
	default:
		return everyActivation[i-1]
	}
}

func (d *dice) layers() (layers []Layer) {
	for range d.roll(5) - 1 {
		switch d.roll(9) {
		case 1:
			layers = append(layers, Dropout{Rate: d.option()})
		case 2:
			layers = append(layers, BatchNorm{Activation: d.activation(), Momentum: d.option(), Epsilon: d.option()})
		case 3:
			layers = append([]Layer{Standardize{}}, layers...)
		case 4:
			layers = append(layers, nil)
		default:
			layers = append(layers, Dense{Units: d.roll(6) - d.roll(16)/16, Activation: d.activation(), Init: Initializer(d.roll(8) - 1), NoBias: d.roll(4) == 1})
		}
	}
	return append(layers, Dense{Units: d.roll(3), Activation: d.activation()})
}

func (d *dice) matrix(rows, cols int) *mat.Dense {
	m := mat.NewDense(rows, cols, nil)
	m.Apply(func(i, j int, _ float64) float64 { return d.number() }, m)
	return m
}

// targets suit every loss, mostly.
func (d *dice) targets(cols int) *mat.Dense {
	if d.roll(4) == 1 {
		return d.matrix(1, cols)
	}
	return classes(d.roll(9), cols)
}

func (d *dice) config(x, y *mat.Dense) TrainConfig {
	c := TrainConfig{
		LearningRate: math.Abs(d.finite()), Epochs: d.roll(4), BatchSize: d.roll(5) - 1, KeepOrder: d.roll(2) == 1, Seed: uint64(d.roll(256)),
		L2: d.option(), WeightDecay: d.option(), ClipNorm: d.option(), ClipValue: d.option(), TargetLoss: d.option(),
		Loss:      []Loss{nil, MSE, MAE, Huber{}, BinaryCrossEntropy, CrossEntropy, Huber{Delta: d.option()}}[d.roll(7)-1],
		Optimizer: append(slices.Clone(optimizers), nil, &Momentum{}, &Adam{Epsilon: d.option()}, &RMSProp{Alpha: d.option()})[d.roll(8)-1],
		Schedule: []Schedule{nil, nil, StepDecay{Every: d.roll(3) - 1}, ExponentialDecay{Factor: d.option()}, CosineDecay{Epochs: 2, Min: d.option()},
			Warmup{Epochs: 2, Start: d.option()}, ReduceOnPlateau{Factor: d.option()}}[d.roll(7)-1],
	}
	c.Optimizer = fresh(c.Optimizer)
	if d.roll(3) == 1 {
		c.Validation, c.Patience = Data{X: x, Y: y}, d.roll(3)-1
	}
	return c
}

// ─── Helpers ─────────────────────────────────────────────────────────────────

func bytesOf(t testing.TB, net *Network) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := net.WriteTo(&b)
	noError(t, err)
	if n != int64(b.Len()) {
		t.Errorf("WriteTo returns %d, wrote %d", n, b.Len())
	}
	return b.Bytes()
}

func predict(t testing.TB, net *Network, x mat.Matrix) []float64 {
	t.Helper()
	p, err := net.Predict(x)
	noError(t, err)
	return p.RawMatrix().Data
}

func rowsOf(m mat.Matrix) int {
	r, _ := m.Dims()
	return r
}

// inputsOf is in the network's table.
func inputsOf(t testing.TB, net *Network) (n int) {
	_, err := fmt.Sscanf(strings.Split(net.String(), "\n")[1], " input %d", &n)
	noError(t, err)
	return n
}

// mustHold checks that a file is as it was, and alone in its folder but for others of its kind.
func mustHold(t testing.TB, path string, want []byte) {
	t.Helper()
	if got := value(os.ReadFile(path))(t); !bytes.Equal(got, want) {
		t.Errorf("the file has changed: %d bytes, were %d", len(got), len(want))
	}
	if _, err := os.Lstat(path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a temporary file is left: %v", err)
	}
}

// oldFile is a file with a network in it.
func oldFile(t *testing.T) (path string, content []byte) {
	path = filepath.Join(t.TempDir(), "net")
	net := newNetwork(t, 7, Dense{Units: 1})
	noError(t, net.Save(path))
	return path, bytesOf(t, net)
}

func sameHistory(t testing.TB, got, want *History) {
	t.Helper()
	epochs := func(h *History) (list []Epoch) {
		for _, e := range h.Epochs {
			e.Elapsed = 0
			list = append(list, e)
		}
		return list
	}
	if !slices.Equal(epochs(got), epochs(want)) || got.Best != want.Best || got.Stopped != want.Stopped {
		t.Errorf("the history is\n\t%v, want\n\t%v", got, want)
	}
}

// A rawTensor is a tensor as it stands in a file.
type rawTensor struct {
	name, dtype string
	shape       []int
	data        []float64
}

// cut takes the last row off.
func (r *rawTensor) cut() {
	r.shape, r.data = []int{len(r.data) - 1}, r.data[:len(r.data)-1]
}

// rawFile is a file of a header and F64 elements.
func rawFile(header string, data ...float64) string {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(file, header...)
	for _, v := range data {
		file = binary.LittleEndian.AppendUint64(file, math.Float64bits(v))
	}
	return string(file)
}

// networkFile is a file with a network's description, and tensors.
func networkFile(description string, tensors ...rawTensor) string {
	return encodeRaw(map[string]string{"backprop.version": "1", "backprop.network": description}, tensors...)
}

type rawHeader struct {
	Type    string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

func encodeRaw(metadata map[string]string, tensors ...rawTensor) string {
	header, data := map[string]any{"__metadata__": metadata}, []byte{}
	for _, s := range tensors {
		begin := len(data)
		for _, v := range s.data {
			switch s.dtype {
			case "F64":
				data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
			case "F32":
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
			case "I64":
				data = binary.LittleEndian.AppendUint64(data, uint64(v))
			case "U8":
				data = append(data, byte(v))
			}
		}
		header[s.name] = rawHeader{s.dtype, append([]int{}, s.shape...), [2]int{begin, len(data)}}
	}
	text, _ := json.Marshal(header)
	return rawFile(string(text)) + string(data)
}

// decodeRaw takes a file of F64 tensors apart.
func decodeRaw(t *testing.T, file []byte) (metadata map[string]string, tensors map[string]*rawTensor) {
	n := 8 + binary.LittleEndian.Uint64(file)
	var header map[string]json.RawMessage
	noError(t, json.Unmarshal(file[8:n], &header))
	noError(t, json.Unmarshal(header["__metadata__"], &metadata))
	delete(header, "__metadata__")
	tensors = map[string]*rawTensor{}
	for name, text := range header {
		var h rawHeader
		noError(t, json.Unmarshal(text, &h))
		s := &rawTensor{name: name, dtype: h.Type, shape: h.Shape}
		for b := file[n:][h.Offsets[0]:h.Offsets[1]]; len(b) > 0; b = b[8:] {
			s.data = append(s.data, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
		tensors[name] = s
	}
	return metadata, tensors
}

// edit replaces text in a checkpoint's JSON.
func edit(metadata map[string]string, old, to string) {
	metadata["backprop.checkpoint"] = strings.Replace(metadata["backprop.checkpoint"], old, to, 1)
}

// limited fails after so many bytes.
type limited struct {
	bytes.Buffer
	left int
	err  error
}

func (w *limited) Write(p []byte) (int, error) {
	n, _ := w.Buffer.Write(p[:min(len(p), w.left)])
	if w.left -= n; n < len(p) {
		return n, w.err
	}
	return n, nil
}

// countdown is a context that is cancelled when it has been asked so often.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// heavyBall is momentum as a user writes it, with a state to be saved.
type heavyBall struct {
	Mu float64
	v  []float64
}

func (o *heavyBall) Step(params, grad []float64, eta float64) {
	if o.v == nil {
		o.v = make([]float64, len(params))
	}
	for i, g := range grad {
		o.v[i] = o.Mu*o.v[i] - eta*g
		params[i] += o.v[i]
	}
}

func (o *heavyBall) State() []float64 { return slices.Clone(o.v) }

func (o *heavyBall) SetState(state []float64) error {
	o.v = nil
	if len(state) > 0 {
		o.v = slices.Clone(state)
	}
	return nil
}

// panicking is a matrix that panics when it is read.
type panicking struct{ mat.Matrix }

func (panicking) At(i, j int) float64 { panic("mine") }

// wideLoss has fields of many kinds, and leads to itself.
type wideLoss struct {
	squared
	Weights []float64
	Inner   *struct{ Kind kind }
	Any     any
	Kind    kind
	Text    string
	Self    *wideLoss
	F       func()
	Map     map[string]int
	hidden  int
}

type kind int

func wide() *wideLoss {
	l := &wideLoss{Weights: []float64{1, 2}, Inner: &struct{ Kind kind }{3}, Any: Huber{}, Text: "t", Map: map[string]int{"a": 1}}
	l.Self = l
	return l
}

// large is one of two networks that take a while to be written.
func large(t testing.TB, i int) *Network { return newNetwork(t, 100+i, Dense{Units: 200}) }

// kills is how many processes a test kills.
func kills() int {
	if testing.Short() {
		return 6
	}
	return 30
}

// child makes the command of this test binary do a job of TestChild.
func child(t *testing.T, c *exec.Cmd, job, path string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no processes")
	}
	if c.Path != os.Args[0] {
		c.Args = append(c.Args, os.Args[0])
	}
	c.Args = append(c.Args, "-test.run=^TestChild$")
	c.Env = append(os.Environ(), "BACKPROP_CHILD="+job, "BACKPROP_PATH="+path)
	return c
}

// kill starts a command and kills it after it has written so many lines and
// some more time has gone. It tells whether the command was still at work.
func kill(t *testing.T, c *exec.Cmd, lines, spin int) bool {
	t.Helper()
	out := value(c.StdoutPipe())(t)
	noError(t, c.Start())
	scanner := bufio.NewScanner(out)
	for range lines {
		if !scanner.Scan() || scanner.Text() == "PASS" {
			break
		}
	}
	for range spin {
		runtime.Gosched()
	}
	c.Process.Kill()
	err := c.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.Exited()) {
		t.Fatal(err)
	}
	return err != nil
}

const childEpochs = 120

// TestChild is what the processes do that other tests start.
func TestChild(t *testing.T) {
	path := os.Getenv("BACKPROP_PATH")
	var i int
	switch job := os.Getenv("BACKPROP_CHILD"); {
	case job == "save once":
		signal.Ignore(syscall.Signal(25)) // SIGXFSZ, so that writing fails instead
		noError(t, large(t, 0).Save(path))
	case job == "save":
		for i := 0; ; i++ {
			noError(t, large(t, i%2).Save(path))
			fmt.Println("saved")
		}
	case strings.HasPrefix(job, "train "):
		fmt.Sscanf(job, "train %d", &i)
		net, x, y, c := training(t, i)
		c.Epochs, c.Checkpoint = childEpochs, path
		c.OnEpoch = func(e Epoch) error { fmt.Println(e.N); return nil }
		_, err := net.Train(t.Context(), x, y, c)
		noError(t, err)
		noError(t, net.Save(path+".done"))
	default:
		t.Skip("only for other tests' processes")
	}
}
