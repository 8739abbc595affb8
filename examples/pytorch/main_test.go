package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"example.com/backprop"
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
                              nn.Identity(), nn.Linear(6, 5, bias=False), nn.BatchNorm1d(5), nn.Linear(5, 3), f).to(dtype)
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
for bad in ([nn.Conv1d(1, 1, 1)], [nn.ReLU()], [nn.Linear(1, 1), nn.Dropout(), nn.ReLU()], [nn.Linear(1, 1), nn.ReLU(), nn.Tanh()],
            [nn.BatchNorm1d(1, track_running_stats=False)], [nn.BatchNorm1d(1, momentum=None)], [nn.Linear(1, 1), nn.GELU("tanh")],
            [nn.Linear(1, 1), nn.Softplus(beta=2)], [nn.Linear(2, 2), nn.Softmax(dim=0)]):
    try:
        backprop.save(nn.Sequential(*bad), sys.argv[1] + "/bad")
    except ValueError:
        continue
    assert False, bad
`, folder)
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
	if testing.Short() {
		t.Skip("PyTorch takes seconds to start")
	}
	if interpreter() == "" {
		t.Skip("no python3 with torch")
	}
	const head = `import json, sys
sys.path.insert(0, ".")
sys.dont_write_bytecode = True
import torch
from torch import nn
import backprop
torch.set_num_threads(1)
`
	out, err := exec.Command(interpreter(), append([]string{"-c", head + script}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
