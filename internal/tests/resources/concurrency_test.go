// Package resources_test holds that the library is a good guest in its program: it may be called
// from many goroutines and leaves none behind, it allocates nothing from step to step and no more
// memory than its shapes need, it never prints or exits, and a long run stays flat.
package resources_test

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// In the bubble of synctest, a goroutine that is left behind fails the test.
func TestNoGoroutineOutlivesTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := NewNetwork(t, 300, Dense{Units: 300, Activation: ReLU}, Dropout{Rate: 0.5}, Dense{Units: 300})
		x, y := Pattern(256, 300), Pattern(256, 300)
		Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-3, Epochs: 1, BatchSize: 128, Progress: io.Discard}))(t)
		Value(net.Predict(x))(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := net.Train(ctx, x, y, TrainConfig{LearningRate: 1e-3, Epochs: 1}); err == nil {
			t.Error("a cancelled context trains")
		}
		if _, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e300, Epochs: 3}); err == nil {
			t.Error("η of 1e300 trains")
		}
	})
}

func TestPredictFromManyGoroutinesEqualsTheSerialResult(t *testing.T) {
	net := NewNetwork(t, 20, Standardize{}, Dense{Units: 50, Activation: ReLU}, BatchNorm{}, Dropout{Rate: 0.5}, Dense{Units: 7, Activation: Softmax})
	x, y := Pattern(600, 20), ClassTargets(600, 7)
	Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.01, Epochs: 1, BatchSize: 100}))(t)
	sizes := []int{600, 1, 33, 256, 257, 512, 64, 7}
	want := make([]*mat.Dense, len(sizes))
	for i, n := range sizes {
		want[i] = Value(net.Predict(x.Slice(0, n, 0, 20)))(t)
	}
	_, wantGrad, err := net.Gradient(nil, x, y, nil)
	NoError(t, err)
	wantLoss := Value(net.Loss(x, y, nil))(t)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			var dst mat.Dense
			for round := range 16 {
				i := (worker + round) % len(sizes)
				part := x.Slice(0, sizes[i], 0, 20)
				p, err := net.Predict(part)
				dst.Reset()
				if err = errors.Join(err, net.PredictTo(&dst, part)); err != nil {
					t.Error(err)
				} else if !mat.Equal(p, want[i]) || !mat.Equal(&dst, want[i]) {
					t.Errorf("%d samples are predicted otherwise", sizes[i])
				}
			}
			loss, err := net.Loss(x, y, nil)
			_, grad, err2 := net.Gradient(nil, x, y, nil)
			if err = errors.Join(err, err2); err != nil || loss != wantLoss || !slices.Equal(grad, wantGrad) {
				t.Errorf("the loss or its gradient is another: %v", err)
			}
		})
	}
	all.Wait()
}

// For the race detector: whether a network has learnt of the data is asked without writing to it.
func TestOneThatHasStillToLearnIsSavedWhileOthersUseIt(t *testing.T) {
	net := NewNetwork(t, 3, Standardize{}, Dense{Units: 2})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := net.WriteTo(io.Discard); err != nil {
				t.Error(err)
			}
			if _, err := net.Predict(Pattern(5, 3)); err != nil {
				t.Error(err)
			}
			if _, _, err := net.TrainingGradient(nil, Data{X: Pattern(5, 3), Y: Pattern(5, 2)}, nil, rand.New(rand.NewPCG(1, 2))); err == nil {
				t.Error("it has learnt")
			}
		})
	}
	all.Wait()
}

func TestPredictionIsTheCallersToKeep(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2})
	x := Pattern(5, 2)
	first := Value(net.Predict(x))(t)
	kept := mat.DenseCopyOf(first)
	Value(net.Predict(Pattern(300, 2)))(t)
	Value(net.Train(t.Context(), x, Pattern(5, 2), TrainConfig{LearningRate: 0.1, Epochs: 3}))(t)
	if !mat.Equal(first, kept) {
		t.Error("a prediction has changed")
	}
	before := StateOf(net)
	first.Apply(func(i, j int, v float64) float64 { return math.NaN() }, first)
	before.MustEqual(t, net)
}

func TestPredictToFillsAnyDst(t *testing.T) {
	net := NewNetwork(t, 3, Dense{Units: 4, Activation: Tanh}, Dense{Units: 3})
	x := Pattern(700, 3)
	want := Value(net.Predict(x))(t)
	var empty mat.Dense
	wide := mat.NewDense(800, 9, nil)
	over := mat.DenseCopyOf(x)
	shifted := mat.NewDense(701, 3, nil) // x in rows 0 to 699, dst in rows 1 to 700
	shifted.Slice(0, 700, 0, 3).(*mat.Dense).Copy(x)
	for name, c := range map[string]struct {
		dst *mat.Dense
		x   mat.Matrix
	}{
		"empty":       {&empty, x},
		"a window":    {wide.Slice(50, 750, 2, 5).(*mat.Dense), x},
		"x itself":    {over, over},
		"overlapping": {shifted.Slice(1, 701, 0, 3).(*mat.Dense), shifted.Slice(0, 700, 0, 3)},
		"transposed":  {mat.NewDense(700, 3, nil), mat.DenseCopyOf(x.T()).T()},
	} {
		NoError(t, net.PredictTo(c.dst, c.x))
		if !mat.Equal(c.dst, want) {
			t.Errorf("%s: another prediction", name)
		}
	}
	if wide.At(49, 2) != 0 || wide.At(50, 1) != 0 || wide.At(50, 5) != 0 || wide.At(750, 2) != 0 {
		t.Error("PredictTo writes beside its window")
	}
}

// A sample's prediction does not depend on the company it is in.
func TestPredictingTogetherEqualsOneByOne(t *testing.T) {
	for _, shape := range [][3]int{{1, 1, 2}, {3, 5, 2}, {70, 130, 10}, {300, 257, 3}} {
		net := NewNetwork(t, shape[0], Dense{Units: shape[1], Activation: Tanh}, Dense{Units: shape[2], Activation: Softmax})
		x := Pattern(1000, shape[0])
		together := Value(net.Predict(x))(t)
		for i := range 1000 {
			one := Value(net.Predict(x.Slice(i, i+1, 0, shape[0])))(t)
			SameBits(t, "prediction", one.RawRowView(0), together.RawRowView(i))
		}
	}
}
