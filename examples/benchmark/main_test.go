package main

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"example.com/backprop"
)

// tiny has every kind of workload.
func tiny() []*workload {
	return []*workload{
		{Name: "xor", Title: "full batch", Inputs: 2, Layers: dense(backprop.Sigmoid, backprop.Sigmoid, 4, 1), Rows: 4, Batch: 4, Epochs: 50, Rate: 1, Draw: xor},
		{Name: "adam", Title: "short last batch", Inputs: 5, Layers: classifier(backprop.ReLU, 0, 8, 7), Rows: 70, Batch: 32, Epochs: 4, Rate: 1e-2, Adam: true, Draw: clusters},
		{Name: "deep", Title: "tanh", Inputs: 8, Layers: classifier(backprop.Tanh, backprop.Orthogonal, 8, 8, 8), Rows: 64, Batch: 16, Epochs: 3, Rate: 1e-2, Draw: clusters, Workers: true},
		{Name: "waves", Title: "waves", Small: true, Inputs: 3, Layers: dense(backprop.Tanh, nil, 5, 2), Rows: 9, Batch: 9, Epochs: 5, Rate: 1e-2, Draw: waves},
		{Name: "small", Title: "small", Small: true, Inputs: 3, Layers: dense(backprop.Tanh, nil, 5, 2), Rows: 1, Batch: 1, Calls: 2, Draw: waves},
		{Name: "forward", Title: "forward", Inputs: 6, Layers: classifier(backprop.ReLU, 0, 9), Rows: 3, Batch: 3, Calls: 2, Draw: clusters},
		{Name: "option", Title: "option", Inputs: 6, Layers: append([]backprop.Layer{backprop.Standardize{}}, classifier(backprop.GELU, 0, 9)...), Rows: 70,
			Batch: 32, Epochs: 2, Rate: 1e-2, Draw: clusters, Config: backprop.TrainConfig{Optimizer: &backprop.RMSProp{}, ClipValue: 0.01},
			Modules: "Standardize(), nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 10)", Optimizer: "optim.RMSprop(W + b, lr=1e-2)",
			Clip: "nn.utils.clip_grad_value_(p, 0.01)"},
	}
}

func measured(t *testing.T, python string) (b *bench, table string) {
	t.Helper()
	b, err := newBench(python, tiny())
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if err := b.measure(2, io.Discard); err != nil {
		t.Fatal(err)
	}
	if complaints := b.complaints(); len(complaints) > 0 {
		t.Error(strings.Join(complaints, "\n"))
	}
	var out bytes.Buffer
	b.print(&out, "command", 2)
	return b, out.String()
}

func TestOurSideNeedsNoPeer(t *testing.T) {
	b, table := measured(t, "no-such-python")
	for _, want := range []string{"\nNumPy is left out: ", "\nPyTorch is left out: ", "\n| network | ours |\n", "\n| short last batch | "} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	b.rows[0].ours.Last = b.rows[0].ours.First
	if lines := b.complaints(); len(lines) != 1 || !strings.Contains(lines[0], "does not fall") {
		t.Errorf("a loss that stays gives %q", lines)
	}
}

func TestPeersEndOnTheSameLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("starting PyTorch takes seconds")
	}
	python := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import numpy").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		t.Skip("there is no python3 with NumPy")
	}
	b, table := measured(t, python)
	if !strings.Contains(table, "| ours | NumPy |") {
		t.Errorf("the table lacks NumPy:\n%s", table)
	}
	b.rows[0].peers[0].Last *= 1 + 1e-8
	if lines := b.complaints(); len(lines) != 1 || !strings.Contains(lines[0], "NumPy ends on another loss") {
		t.Errorf("another loss gives %q", lines)
	}
}

func TestChooseByName(t *testing.T) {
	chosen, err := choose(workloads, "wide,xor")
	if err != nil || strings.Join(names(chosen), " ") != "wide xor" {
		t.Errorf("chosen are %q (%v)", names(chosen), err)
	}
	if _, err := choose(workloads, "wide,narrow"); err == nil || !strings.Contains(err.Error(), `"narrow"`) {
		t.Errorf("the error is %v", err)
	}
}
