package main

import (
	"bytes"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// tiny has every kind of workload, loss and optimizer.
func tiny() (t table) {
	xor := &data{mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1}), mat.NewDense(4, 1, []float64{0, 1, 1, 0})}
	t.add("XOR", xor, config{LearningRate: 1, Epochs: 50, Loss: backprop.MSE},
		dense(4, backprop.Sigmoid), dense(1, backprop.Sigmoid))
	short, even := clusters(70, 12, 10), clusters(64, 12, 10)
	for _, o := range optimizers {
		o.config.LearningRate, o.config.Epochs, o.config.BatchSize = 1e-3, 4, 32
		t.add("short last batch, "+o.name, short, o.config, dense(8, backprop.ReLU), softmax)
	}
	train := config{LearningRate: 1e-2, Epochs: 2, BatchSize: 16}
	with := func(set func(c *config)) config {
		c := train
		set(&c)
		return c
	}
	t.add("deep", even, train,
		backprop.Dense{Units: 8, Activation: backprop.Tanh, Init: backprop.Orthogonal}, dense(8, backprop.Tanh), softmax)
	t.add("standardized", even, with(func(c *config) { c.ClipValue = 0.01 }),
		backprop.Standardize{}, dense(9, backprop.GELU), softmax)
	t.add("normalized", even, with(func(c *config) { c.L2 = 0.1 }),
		backprop.Dense{Units: 9, NoBias: true}, backprop.BatchNorm{Activation: backprop.LeakyReLU{}}, softmax)
	t.add("dropout", even, with(func(c *config) { c.Epochs = 1 }),
		dense(9, backprop.ReLU), backprop.Dropout{Rate: 0.5}, softmax)
	t.add("clipped", even, with(func(c *config) { c.ClipNorm, c.LearningRate = 0.1, 1 }), dense(9, backprop.ReLU), softmax)
	t.add("MSE", even, with(func(c *config) { c.Loss = backprop.MSE }), dense(10, nil))
	t.add("MAE", even, with(func(c *config) { c.Loss = backprop.MAE }), dense(10, nil))
	t.add("Huber", even, with(func(c *config) { c.Loss = backprop.Huber{} }), dense(10, nil))
	t.add("forward", clusters(1, 3, 2), config{}, dense(5, backprop.Tanh), dense(2, nil))
	t.add("forward of classes", even, config{}, dense(5, backprop.ReLU), softmax)
	return t
}

var forNumPy = []string{
	"XOR", "short last batch, gradient descent", "short last batch, Adam", "deep", "MSE", "forward", "forward of classes",
}

func measured(t *testing.T, python string, list table) (sides []side, printed string) {
	t.Helper()
	var out bytes.Buffer
	log.SetOutput(&out)
	defer log.SetOutput(os.Stderr)
	sides = start(python, list)
	if err := measure(sides, list, 2, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	printTable(&out, sides, list)
	return sides, out.String()
}

func TestOurSideNeedsNoPeer(t *testing.T) {
	list := tiny()
	_, printed := measured(t, "no-such-python", list)
	for _, want := range []string{
		"NumPy is left out: ", "PyTorch is left out: ", "\n| network | ours |", "\n| short last batch, Adam | ",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("what is printed lacks %q:\n%s", want, printed)
		}
	}
	ours := list[0].best[0]
	ours.Last = ours.First
	if err := list[0].check(ours); err == nil || !strings.Contains(err.Error(), "does not fall") {
		t.Errorf("a loss that stays gives %v", err)
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
	list := tiny()
	sides, printed := measured(t, python, list)
	if !strings.Contains(printed, "| ours | NumPy ") {
		t.Fatalf("the table lacks NumPy:\n%s", printed)
	}
	for _, w := range list {
		for i, r := range w.best {
			takesPart := i != 1 || slices.Contains(forNumPy, w.title)
			if (r.Seconds > 0) != takesPart {
				t.Errorf("%s: %s takes %v s", w.title, sides[i].name, r.Seconds)
			}
		}
	}
	numpy := list[0].best[1]
	numpy.Last *= 1 + 1e-8
	if err := list[0].check(numpy); err == nil || !strings.Contains(err.Error(), "another loss") {
		t.Errorf("another loss gives %v", err)
	}
}

// A peer tells the workloads by their titles.
func TestTitlesDiffer(t *testing.T) {
	if testing.Short() {
		t.Skip("making all networks takes a second")
	}
	seen := map[string]bool{}
	for _, w := range workloads() {
		if seen[w.title] {
			t.Errorf("%q stands twice in the table", w.title)
		}
		seen[w.title] = true
	}
}
