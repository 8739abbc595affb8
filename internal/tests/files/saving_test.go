// Package files_test holds that what is saved comes back bit for bit, that a hostile file is
// refused, and that there is always a whole file, even if saving fails or its process is killed.
package files_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

func TestEveryActivationComesBack(t *testing.T) {
	x := Pattern(50, 3)
	for _, f := range EveryActivation {
		MustComeBack(t, NewNetwork(t, 3, Dense{Units: 4, Activation: f}, BatchNorm{Activation: f}, Dense{Units: 2, Activation: f}), x)
	}
}

func TestEveryLayerComesBack(t *testing.T) {
	x, y := ScaledMatrix(Pattern(50, 3), 20), Pattern(50, 2)
	for _, layers := range [][]Layer{
		{Dense{Units: 2}},
		{Dense{Units: 2, NoBias: true}},
		{Dense{Units: 5, NoBias: true, Activation: Tanh}, BatchNorm{}, Dense{Units: 2}},
		{Dense{Units: 2}, BatchNorm{Momentum: 0.3, Epsilon: 1e-3, Activation: Sigmoid}},
		{BatchNorm{}, BatchNorm{Momentum: 1}, Dense{Units: 2}},
		{Dropout{}, Dense{Units: 5}, Dropout{Rate: 0.5}, Dropout{Rate: 0.125}, Dropout{Rate: 0.9}, Dense{Units: 2}},
		{Standardize{}, Dense{Units: 2}},
		{Standardize{}, Dropout{Rate: 0.1}, BatchNorm{Activation: ReLU}, Dense{Units: 2, Init: Orthogonal}},
	} {
		net := NewNetwork(t, 3, layers...)
		MustComeBack(t, net, x)
		_, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-5, Epochs: 3, BatchSize: 8, Loss: MSE})
		NoError(t, err)
		MustComeBack(t, net, x) // with what it has learnt
	}
}

func TestEveryInitializerComesBack(t *testing.T) {
	for i := Initializer(0); i <= Orthogonal; i++ {
		net := NewNetwork(t, 3, Dense{Units: 4, Init: i}, Dense{Units: 2})
		loaded := MustComeBack(t, net, Pattern(3, 3))
		net.Init(7)
		loaded.Init(7)
		StateOf(net).MustEqual(t, loaded)
	}
}

// Saved before or after its first training, a network goes on as it would have.
func TestTrainingGoesOnAfterLoading(t *testing.T) {
	x, y := ScaledMatrix(Pattern(40, 3), 5), ClassTargets(40, 3)
	config := TrainConfig{LearningRate: 0.1, Epochs: 2, BatchSize: 8}
	net := NewNetwork(t, 3, Standardize{}, Dense{Units: 6}, BatchNorm{Activation: Tanh}, Dropout{Rate: 0.5}, Dense{Units: 3, Activation: Softmax})
	for range 3 {
		loaded := MustComeBack(t, net, x)
		_, err := net.Train(t.Context(), x, y, config)
		NoError(t, err)
		_, err = loaded.Train(t.Context(), x, y, config)
		NoError(t, err)
		StateOf(net).MustEqual(t, loaded)
		x = ScaledMatrix(x, 3) // Standardize keeps to the first
	}
}

// The header is written out: its length, keys, order and padding.
func TestSaveWritesAStandardFile(t *testing.T) {
	net := NewNetwork(t, 1, Standardize{}, Dense{Units: 1, Activation: LeakyReLU{}}, BatchNorm{}, Dropout{Rate: 0.5}, Dense{Units: 2, NoBias: true})
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
	want := RawFile(header, math.Copysign(0, -1), 1, 0, // a mean of −0 is still to be learnt
		w[0], 0, 0, 1, 1, w[len(w)-2], w[len(w)-1])
	if got := BytesOf(t, net); string(got) != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// Tensors as another program writes them: F32, in any order, with the counts that PyTorch keeps
// beside the running statistics.
func TestReadTakesOtherProgramsFiles(t *testing.T) {
	const description = ` { "layers" : [ {"type":"Standardize"}, {"type":"Dense", "units":2, "activation":"ELU(2.0)"}, {"type":"BatchNorm"} ],
		"fitted":true, "inputs":2 } `
	tensors := func(dtype string) []RawTensor {
		return []RawTensor{
			{Name: "3.weight", Dtype: dtype, Shape: []int{2}, Data: []float64{1, 2}}, {Name: "3.bias", Dtype: dtype, Shape: []int{2}, Data: []float64{-1, 0}},
			{Name: "3.running_mean", Dtype: dtype, Shape: []int{2}, Data: []float64{0.5, 1}}, {Name: "3.running_var", Dtype: dtype, Shape: []int{2}, Data: []float64{2, 0}},
			{Name: "0.running_mean", Dtype: dtype, Shape: []int{2}, Data: []float64{10, 20}}, {Name: "0.running_var", Dtype: dtype, Shape: []int{2}, Data: []float64{4, 0.25}},
			{Name: "1.weight", Dtype: dtype, Shape: []int{2, 2}, Data: []float64{1, -0.5, 0.25, 3}}, {Name: "1.bias", Dtype: dtype, Shape: []int{2}, Data: []float64{0, 8}},
		}
	}
	var predictions [][]float64
	for _, file := range []string{
		NetworkFile(description, tensors("F64")...),
		NetworkFile(description, tensors("F32")...),
		NetworkFile(description, append(tensors("F32"), RawTensor{Name: "3.num_batches_tracked", Dtype: "I64", Shape: nil, Data: []float64{7}})...),
	} {
		net, err := Read(strings.NewReader(file))
		NoError(t, err)
		predictions = append(predictions, Predict(t, net, mat.NewDense(2, 2, []float64{11, 20.5, 4, 1})))
		MustComeBack(t, net, Pattern(5, 2))
	}
	// The first row by hand: standardized (0.5, 1), z = (0, 11.125), a = z, and batch norm's
	// ((0−0.5)/√(2+1e-5) − 1, 2·(11.125−1)/√1e-5).
	EqualTo(t, "predictions", predictions[0][:2], []float64{-0.5/math.Sqrt(2+1e-5) - 1, 20.25 / math.Sqrt(1e-5)}, FewUlps)
	SameBits(t, "F32", predictions[1], predictions[0])
	SameBits(t, "with counts", predictions[2], predictions[0])
}

func TestReadTakesAnyReader(t *testing.T) {
	file := BytesOf(t, NewNetwork(t, 2, Dense{Units: 1}))
	for _, r := range []io.Reader{
		iotest.OneByteReader(bytes.NewReader(file)), iotest.DataErrReader(bytes.NewReader(file)), iotest.HalfReader(bytes.NewReader(file)),
	} {
		net, err := Read(r)
		NoError(t, err)
		if !bytes.Equal(BytesOf(t, net), file) {
			t.Error("another network")
		}
	}
	_, err := Read(io.MultiReader(bytes.NewReader(file[:20]), iotest.ErrReader(errors.New("gone"))))
	Fails(t, err, "backprop: Read: safetensors: header: reading failed after byte 20: gone")
}

func TestUserMadeActivationComesBackByItsName(t *testing.T) {
	name := fmt.Sprint("saved sine ", rand.Uint64()) // new when the test runs again
	f := Sine{Named: Named(name)}
	net := NewNetwork(t, 2, Dense{Units: 3}, Dense{Units: 1, Activation: f})
	_, err := Read(bytes.NewReader(BytesOf(t, net)))
	Fails(t, err, fmt.Sprintf("backprop: Read: backprop.network: layer 1: activation %q is not known; register it with RegisterActivation", name))
	NoError(t, RegisterActivation(f))
	MustComeBack(t, net, Pattern(5, 2))
}

func TestSaveRefusesWhatCouldNotBeLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net")
	NoError(t, NewNetwork(t, 1, Dense{Units: 1}).Save(path))
	old, err := os.ReadFile(path)
	NoError(t, err)
	activated := func(name string) *Network {
		return NewNetwork(t, 1, Dense{Units: 1}, Dense{Units: 1, Activation: Named(name)})
	}
	broken := func(i int, v float64) *Network {
		net := NewNetwork(t, 2, Dense{Units: 1}, BatchNorm{})
		net.Params()[i] = v
		return net
	}
	for _, c := range []struct {
		net  *Network
		want string
	}{
		{activated("ReLU"), `layer 1: the name "ReLU" of its testutil.Named is that of a backprop.relu`},
		{activated("ELU(2)"), `layer 1: the name "ELU(2)" of its testutil.Named is that of a backprop.ELU`},
		{activated(""), `layer 1: the activation's name "" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{activated("\xff"), `layer 1: the activation's name "\xff" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{activated(strings.Repeat("n", 201)), `layer 1: the activation's name "` + strings.Repeat("n", 50) + `" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{broken(0, math.NaN()), `tensor "0.weight" has an element that is not finite`},
		{broken(2, math.Inf(1)), `tensor "0.bias" has an element that is not finite`},
		{broken(3, math.Inf(-1)), `tensor "1.weight" has an element that is not finite`},
		{new(Network), "the network has no layers; New makes one"},
		{nil, "the network has no layers; New makes one"},
	} {
		Fails(t, c.net.Save(path), "backprop: Save: "+c.want)
		var b bytes.Buffer
		n, err := c.net.WriteTo(&b)
		Fails(t, err, "backprop: WriteTo: "+c.want)
		if n != 0 || b.Len() != 0 {
			t.Errorf("%d bytes, %d written", n, b.Len())
		}
		MustHold(t, path, old)
	}
}

func TestLoadSaysWhatItWasGiven(t *testing.T) {
	folder := t.TempDir()
	path := func(name, content string) string {
		p := filepath.Join(folder, name)
		NoError(t, os.WriteFile(p, []byte(content), 0o666))
		return p
	}
	const other = "safetensors: this is not a safetensors file"
	for p, want := range map[string]string{
		"":                                       "the path is empty",
		folder:                                   "it is a folder, not a file",
		filepath.Join(folder, "missing"):         "",
		filepath.Join(folder, "gone", "missing"): "",
		path("file", "x") + "/below":             "",
		os.DevNull:                               "it is not a regular file",
		path("empty", ""):                        other + ", or only the beginning of one: the file ends at byte 0, 8 bytes too early: unexpected EOF",
		path("short.txt", "hello\n"):             other + ", or only the beginning of one: the file ends at byte 6, 2 bytes too early: unexpected EOF",
		path("data.csv", "x,y\n0.5,1\n0.25,2\n"): other + `: it begins with "x,y\n0.5,", which is no length of a header`,
		path("text.txt", "Once upon a time\n"):   other + `: it begins with "Once upo", which is no length of a header`,
		path("long", "\x10\x00\x00\x00\x00\x00\x00\x00PK\x03\x04"+strings.Repeat("z", 12)): `safetensors: the header begins with "P", not with '{'; this is not a safetensors file`,
	} {
		net, err := Load(p)
		if net != nil || err == nil || !strings.HasPrefix(err.Error(), "backprop: Load: "+p+": "+want) {
			t.Errorf("%v, want … %s: %s", err, p, want)
		}
		missing := strings.HasSuffix(p, "missing") || runtime.GOOS == "windows" && strings.HasSuffix(p, "below")
		if missing != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v wraps fs.ErrNotExist: %v", err, !missing)
		}
	}
}
