package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.com/backprop"
	"example.com/backprop/examples/internal/columns"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

func TestMakeLeavesWhatCheckTakes(t *testing.T) {
	network, predictions := filepath.Join(t.TempDir(), "net.safetensors"), filepath.Join(t.TempDir(), "net.json")
	var out bytes.Buffer
	if err := train(&out, network, predictions); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := check(&out, network, predictions); err != nil || out.String() != "20 predictions, largest difference 0\n" {
		t.Errorf("%v: %s", err, &out)
	}
}

// Every kind of layer with every activation, trained and not. PyTorch loads each strictly and
// agrees to 1e-12.
func TestPyTorchPredictsTheSame(t *testing.T) {
	folder := t.TempDir()
	for i, f := range activations {
		x := pattern(30, 4, 3)
		net, err := backprop.New(4,
			backprop.Standardize{},
			backprop.Dense{Units: 6, Activation: f},
			backprop.BatchNorm{Momentum: 0.3, Epsilon: 1e-3, Activation: f},
			backprop.Dropout{},
			backprop.Dense{Units: 5, NoBias: true},
			backprop.BatchNorm{},
			backprop.Dense{Units: 3, Activation: f},
			backprop.Unstandardize{},
		)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 { // the first one unfitted
			_, err = net.Train(context.Background(), x, pattern(30, 3, 50), backprop.TrainConfig{LearningRate: 0.01, Epochs: 3, BatchSize: 10, Loss: backprop.MSE})
			if err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(folder, fmt.Sprint(i))
		if err := write(net, x, path, path+".json"); err != nil {
			t.Fatal(err)
		}
	}
	python(t, `
for i in range(int(sys.argv[2])):
    path = f"{sys.argv[1]}/{i}"
    p = json.load(open(path + ".json"))
    x, want = torch.tensor(p["x"], dtype=torch.float64), torch.tensor(p["y"], dtype=torch.float64)
    model = backprop.load(path)
    difference = ((model(x) - want).abs() / want.abs().clamp(min=1)).max().item()
    assert difference < 1e-12, (i, difference)
    metadata, tensors = backprop.read(path)
    try:
        import safetensors.torch
    except ImportError:
        continue
    package = safetensors.torch.load_file(path)
    assert package.keys() == tensors.keys() and all(torch.equal(package[k], tensors[k]) for k in tensors)
    assert safetensors.safe_open(path, "pt").metadata() == metadata
`, folder, fmt.Sprint(len(activations)))
}

// Layers within layers, activations by themselves and what examples/table says of its columns. What
// comes back has the same layers and bits.
func TestNestedLayersAndTablesComeBack(t *testing.T) {
	table := columns.Table{Target: columns.Column{Name: "y", Categories: []string{"a", "b", "é"}}}
	for _, name := range []string{"p", "q", "r", "s"} {
		table.Inputs = append(table.Inputs, columns.Column{Name: name, Fill: "0.1"})
	}
	net, err := backprop.New(4,
		backprop.Sequential{backprop.Standardize{}},
		table,
		backprop.Activate{F: backprop.SiLU},
		backprop.Sequential{
			backprop.Dense{Units: 6, Activation: backprop.Tanh},
			backprop.Activate{F: backprop.ELU{Alpha: 0.5}},
			backprop.Sequential{backprop.Dense{Units: 5, NoBias: true}, backprop.Dropout{Rate: 0.2}},
		},
		backprop.Activate{F: backprop.Softplus},
		backprop.BatchNorm{Momentum: 0.3, Epsilon: 1e-3},
		backprop.Sequential{backprop.Dense{Units: 3, Activation: backprop.Softmax}},
	)
	if err != nil {
		t.Fatal(err)
	}
	x, y := pattern(20, 4, 3), probabilities(t, 20, 3)
	_, err = net.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.1, Epochs: 3, BatchSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net")
	if err := write(net, x, path, path+".json"); err != nil {
		t.Fatal(err)
	}
	mustAgree(t, python(t, `
path = sys.argv[1]
backprop.check(path, path + ".json")
backprop.save(backprop.load(path), path + ".probabilities")
backprop.save(backprop.load(path, logits=True).train(), path + ".logits")
`, path))
	for _, way := range []string{".probabilities", ".logits"} {
		back, err := backprop.Load(path + way)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back.Layers(), net.Layers()) || !slices.Equal(back.Params(), net.Params()) {
			t.Errorf("%s: got\n%v\nwant\n%v", way, back, net)
		}
		var out bytes.Buffer
		if err := check(&out, path+way, path+".json"); err != nil || out.String() != "20 predictions, largest difference 0\n" {
			t.Errorf("%s: %v %s", way, err, &out)
		}
	}
}

// nn.CrossEntropyLoss and nn.BCEWithLogitsLoss apply a softmax and a sigmoid themselves. With
// logits=True they give Go's loss, and the model comes back with its last activation, and with what
// it has learnt of its inputs; trained without it a softmax warns.
func TestProbabilitiesBecomeLogitsAndBack(t *testing.T) {
	folder := t.TempDir()
	x, y, losses := pattern(20, 4, 1), probabilities(t, 20, 3), ""
	for _, f := range []backprop.Activation{backprop.Softmax, backprop.Sigmoid} {
		net, err := backprop.New(4,
			backprop.Standardize{},
			backprop.Dense{Units: 6, Activation: backprop.Tanh},
			backprop.Dense{Units: 3, Activation: f},
		)
		if err != nil {
			t.Fatal(err)
		}
		if err := net.Adapt(backprop.Data{X: x, Y: y}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, f.String())
		if err := write(net, x, path, path+".json"); err != nil {
			t.Fatal(err)
		}
		l, err := net.Loss(x, y, nil)
		if err != nil {
			t.Fatal(err)
		}
		losses += fmt.Sprintln(f, l)
	}
	labels := strings.ReplaceAll(fmt.Sprint(backprop.Classes(y)), " ", ",")
	python(t, `
import warnings
warnings.simplefilter("error")
y = nn.functional.one_hot(torch.tensor(json.loads(sys.argv[2])), 3).double()
for line in sys.argv[3].splitlines():
    name, want = line.split()
    path = f"{sys.argv[1]}/{name}"
    x = torch.tensor(json.load(open(path + ".json"))["x"], dtype=torch.float64)
    model = backprop.load(path, logits=True).train()
    got = {"Softmax": nn.CrossEntropyLoss(), "Sigmoid": nn.BCEWithLogitsLoss()}[name](model(x), y).item()
    assert abs(got - float(want)) < 1e-12, (name, got, want)
    backprop.save(model, path)
    plain = nn.Sequential(*list(backprop.load(path))[:-1])
    backprop.save(nn.Sequential(*plain, getattr(nn, name)(*[1] * (name == "Softmax"))), path + ".appended")
    backprop.save(plain, path + ".plain")
    try:
        backprop.load(path + ".plain", logits=True)
        assert False, "logits of a model without probabilities"
    except ValueError as e:
        assert "not with a Softmax or a Sigmoid" in str(e), e
    backprop.load(path)(x)
    try:
        backprop.load(path).train()(x)
        assert name == "Sigmoid", "no warning"
    except UserWarning as e:
        assert "load(path, logits=True)" in str(e), e
`, folder, labels, losses)
	for _, name := range []string{"Softmax", "Sigmoid"} {
		for _, way := range []string{"", ".appended"} {
			var out bytes.Buffer
			path := filepath.Join(folder, name)
			if err := check(&out, path+way, path+".json"); err != nil || out.String() != "20 predictions, largest difference 0\n" {
				t.Errorf("%s%s: %v %s", name, way, err, &out)
			}
		}
	}
}

// Two processes give what one gives, which comes back to Go and has learnt. Batch norm and
// standardization keep their statistics.
func TestTwoProcessesTrainAsOneDoes(t *testing.T) {
	data, _, err := digits.Split(0.25, 0)
	if err != nil {
		t.Fatal(err)
	}
	net, err := backprop.New(64,
		backprop.Standardize{},
		backprop.Dense{Units: 32, NoBias: true},
		backprop.BatchNorm{Activation: backprop.GELU},
		backprop.Dense{Units: 10, Activation: backprop.Softmax},
	)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := net.Train(context.Background(), data.X, data.Y, backprop.TrainConfig{LearningRate: 0.1, Epochs: 1, BatchSize: 32}); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "net")
	if err := net.Save(source); err != nil {
		t.Fatal(err)
	}
	distributed := func(processes int) *backprop.Network {
		target := fmt.Sprint(source, processes)
		// Debian's torch 1.13 takes the default of these two options, 0, for none of theirs in Python
		// 3.11; so nothing is said but of a process that is not there.
		run(t, "-m", "torch.distributed.run", "--redirects=9:3", "--tee=9:3", "--standalone", "--monitor_interval=0.1",
			fmt.Sprint("--nproc_per_node=", processes), "distributed.py", source, target)
		trained, err := backprop.Load(target)
		if err != nil {
			t.Fatal(err)
		}
		return trained
	}
	one, two := distributed(1), distributed(2)
	if !floats.EqualApprox(one.Params(), two.Params(), 1e-10) {
		t.Errorf("parameters differ by %v", floats.Distance(one.Params(), two.Params(), math.Inf(1)))
	}
	for i := range net.Layers() {
		for k, want := range statistics(net, i) {
			if got := statistics(two, i)[k]; !slices.Equal(got, want) {
				t.Errorf("the statistics of layer %d have moved", i)
			}
		}
	}
	before, err := net.Loss(data.X, data.Y, nil)
	after, err2 := two.Loss(data.X, data.Y, nil)
	if err != nil || err2 != nil || !(after < before/2) {
		t.Errorf("the loss is %v, and was %v; %v, %v", after, before, err2, err)
	}
}

func statistics(net *backprop.Network, layer int) [2][]float64 {
	mean, variance := net.Statistics(layer)
	return [2][]float64{mean, variance}
}

// The way back: models of every module in float32 and float64, written by save and, where it is
// installed, by the package safetensors.
func TestGoPredictsWhatPyTorchDoes(t *testing.T) {
	folder := t.TempDir()
	python(t, `
activations = [nn.Identity(), nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.GELU(), nn.SiLU(), nn.SELU(), nn.Softplus(threshold=40), nn.Softmax(dim=1),
               nn.Softmax(dim=-1), nn.LeakyReLU(), nn.LeakyReLU(0.2), nn.LeakyReLU(1e-5), nn.LeakyReLU(0.0), nn.LeakyReLU(2), nn.ELU(), nn.ELU(0.3), nn.ELU(1e7)]
torch.manual_seed(1)
n = 0
for f in activations:
    for dtype in torch.float64, torch.float32:
        model = nn.Sequential(nn.Linear(4, 6), f, nn.Dropout(0.0), nn.BatchNorm1d(6, momentum=0.3, eps=1e-3), f, nn.Dropout(0.25),
                              nn.Identity(), nn.Sequential(nn.Identity()), nn.Linear(6, 5, bias=False), nn.Sequential(nn.BatchNorm1d(5), f, f), nn.Linear(5, 3), f).to(dtype)
        if n % 3 == 0:
            behind = backprop.Unstandardize(3)
            behind.running_mean += torch.tensor([5.0, 0.0, -70.0])
            behind.running_var *= torch.tensor([9.0, 0.25, 1e4])
            model = nn.Sequential(nn.BatchNorm1d(4, affine=False, eps=0.0), *model, behind).to(dtype)
        for _ in range(5):
            model(3 * torch.randn(50, 4, dtype=dtype))  # moves the running statistics
        path = f"{sys.argv[1]}/{n}"
        backprop.save(model, path)
        try:
            import safetensors.torch
            safetensors.torch.save_file(backprop.read(path)[1], path, backprop.read(path)[0])
        except ImportError:
            pass
        x = 3 * torch.randn(20, 4, dtype=torch.float64)
        json.dump({"x": x.tolist(), "y": model.double().eval()(x).tolist()}, open(path + ".json", "w"))
        n += 1

class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(1, 1)

S, linear = nn.Sequential, nn.Linear(1, 1)
for bad, word in ((S(nn.Conv1d(1, 1, 1)), "nothing that Go has"), (S(nn.ReLU()), "no Linear or BatchNorm1d tells"), (S(), "no Linear or"),
                  (S(nn.BatchNorm1d(1, track_running_stats=False)), "nothing that"), (S(nn.BatchNorm1d(1, momentum=None)), "nothing that"),
                  (S(linear, nn.GELU("tanh")), "nothing that"), (S(linear, nn.Softplus(beta=2)), "nothing that"),
                  (S(nn.Linear(2, 2), nn.Softmax(dim=0)), "nothing that"), (S(linear, nn.BatchNorm1d(1, affine=False, eps=0.0)), "nothing that"),
                  (S(linear, S(nn.BatchNorm1d(1, affine=False, eps=0.0))), "nothing that"), (S(linear, Residual(linear)), "nothing that"),
                  (Residual(linear), "a Residual is no nn.Sequential"), (Plain(), "a Plain is no nn.Sequential; save one of the modules"),
                  (linear, "a Linear is no"), (nn.ModuleList([linear]), "a ModuleList is no"),
                  (S(nn.Linear(2, 2)).half(), "0.bias is of type torch.float16, want float64 or float32; model.double()"),
                  (S(nn.BatchNorm1d(1)).bfloat16(), "is of type torch.bfloat16, want float64 or float32; model.double()")):
    try:
        backprop.save(bad, sys.argv[1] + "/bad")
        assert False, bad
    except ValueError as e:
        assert word in str(e), e
    assert not os.path.exists(sys.argv[1] + "/bad")

backprop.DTYPES["F16"] = torch.float16
backprop.save(S(nn.Linear(2, 2)).half(), sys.argv[1] + "/half")
del backprop.DTYPES["F16"]
try:
    backprop.load(sys.argv[1] + "/half")
    assert False, "half precision"
except ValueError as e:
    assert "tensor 0.bias is of type F16, want one of F64, F32, I64" in str(e), e

backprop.save(S(linear), sys.argv[1] + "/broken")
whole = open(sys.argv[1] + "/broken", "rb").read()
foreign = b'{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}'
foreign = len(foreign).to_bytes(8, "little") + foreign + bytes(8)
for content, word in ((b"a,b,c\n1,2,3\n", "is no safetensors file"), (b"", "is no safetensors file"), (whole[:-1], "is cut short within tensor"),
                      (whole[:9], "Expecting property name"), (foreign, "does not say what its layers are")):
    open(sys.argv[1] + "/broken", "wb").write(content)
    try:
        backprop.load(sys.argv[1] + "/broken")
        assert False, content
    except ValueError as e:
        assert word in str(e), e
`, folder)
	const refused = `tensor "0.weight" is of type F16, want F64 or F32; save it after model.double() in PyTorch`
	if _, err := backprop.Load(filepath.Join(folder, "half")); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("%v, want %s", err, refused)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) != 36 {
		t.Fatal(len(files), err)
	}
	for _, predictions := range files {
		network := strings.TrimSuffix(predictions, ".json")
		var out bytes.Buffer
		var difference float64
		if err := check(&out, network, predictions); err != nil {
			t.Fatal(err)
		}
		_, err := fmt.Sscanf(out.String(), "20 predictions, largest difference %g", &difference)
		if err != nil || difference > 1e-12 {
			t.Errorf("%s: %v %s", network, err, &out)
		}
	}
}

// The README's four commands.
func TestBothWaysFromTheCommandLine(t *testing.T) {
	network, predictions := filepath.Join(t.TempDir(), "net.safetensors"), filepath.Join(t.TempDir(), "net.json")
	const script = "import runpy\nrunpy.run_path('backprop.py', run_name='__main__')"
	python(t, script, "make", network, predictions)
	var out bytes.Buffer
	if err := check(&out, network, predictions); err != nil {
		t.Fatal(err)
	}
	mustAgree(t, out.String())
	if err := train(&out, network, predictions); err != nil {
		t.Fatal(err)
	}
	mustAgree(t, python(t, script, "check", network, predictions))
}

func mustAgree(t *testing.T, line string) {
	t.Helper()
	var n int
	var difference float64
	_, err := fmt.Sscanf(line, "%d predictions, largest difference %g", &n, &difference)
	if err != nil || n != 20 || difference > 1e-12 {
		t.Error(err, line)
	}
}

var activations = []backprop.Activation{
	nil, backprop.Sigmoid, backprop.Tanh, backprop.ReLU, backprop.GELU, backprop.SiLU, backprop.SELU, backprop.Softplus, backprop.Softmax,
	backprop.LeakyReLU{}, backprop.LeakyReLU{Slope: 0.2}, backprop.LeakyReLU{Slope: 1e-7}, backprop.ELU{}, backprop.ELU{Alpha: 3}, backprop.ELU{Alpha: 0.3},
	backprop.Identity,
}

func pattern(rows, cols int, scale float64) *mat.Dense {
	rng, m := rand.New(rand.NewPCG(1, 2)), mat.NewDense(rows, cols, nil)
	m.Apply(func(i, j int, _ float64) float64 { return scale * rng.NormFloat64() }, m)
	return m
}

// probabilities are one-hot rows.
func probabilities(t *testing.T, rows, classes int) *mat.Dense {
	labels := make([]int, rows)
	for i := range labels {
		labels[i] = i * i % classes
	}
	y, err := backprop.OneHot(labels, classes)
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// interpreter is a Python with torch, or "".
var interpreter = sync.OnceValue(func() string {
	for _, program := range []string{os.Getenv("PYTHON"), "python3", "/usr/bin/python3"} {
		if program != "" && exec.Command(program, "-c", "import torch").Run() == nil {
			return program
		}
	}
	return ""
})

// python runs a script beside backprop.py.
func python(t *testing.T, script string, args ...string) string {
	t.Helper()
	const head = `import json, os, sys
sys.path.insert(0, ".")
import torch
from torch import nn
import backprop
torch.set_num_threads(1)
`
	return run(t, append([]string{"-c", head + script}, args...)...)
}

// run runs Python in this folder.
func run(t *testing.T, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("PyTorch takes seconds to start")
	}
	if interpreter() == "" {
		t.Skip("no python3 with torch")
	}
	command := exec.Command(interpreter(), args...)
	command.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "OMP_NUM_THREADS=1")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
