// Package training_test holds the promises of Train: which samples every step sees, that the same
// seed gives the same bits, when and with which parameters training ends, and what it reports.
package training_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// The same values as a matrix of their own, a window of a larger one, a transpose and, for the
// targets, a vector with a stride.
func TestTrainNeitherChangesNorMindsHowTheDataLie(t *testing.T) {
	layers := []Layer{Standardize{}, Dense{Units: 4, Activation: Tanh}, BatchNorm{}, Dropout{Rate: 0.2}, Dense{Units: 1}}
	x, y := Pattern(11, 3), Pattern(11, 1)
	wideX, wideY := Pattern(20, 9), Pattern(20, 5)
	windowX, windowY := wideX.Slice(4, 15, 2, 5).(*mat.Dense), wideY.Slice(4, 15, 2, 3).(*mat.Dense)
	windowX.Copy(x)
	windowY.Copy(y)
	for _, optimizer := range []Optimizer{nil, &Adam{}} {
		want := map[int][]float64{} // by the size of the batches
		for _, c := range []struct {
			name string
			x, y mat.Matrix
		}{
			{"their own", x, y},
			{"windows", windowX, windowY},
			{"transposes", mat.DenseCopyOf(x.T()).T(), mat.DenseCopyOf(y.T()).T()},
			{"vector", x, mat.NewVecDense(11, slices.Clone(y.RawMatrix().Data))},
			{"strided vector", x, wideVector(wideY, 2).SliceVec(4, 15)},
		} {
			for _, batch := range []int{0, 4} {
				before := [4]*mat.Dense{mat.DenseCopyOf(c.x), mat.DenseCopyOf(c.y), mat.DenseCopyOf(wideX), mat.DenseCopyOf(wideY)}
				net := NewNetwork(t, 3, layers...)
				config := TrainConfig{LearningRate: 0.1, Epochs: 5, BatchSize: batch, Optimizer: Fresh(optimizer), L2: 0.1,
					Validation: Data{X: c.x, Y: c.y}, Patience: 3}
				Value(net.Train(t.Context(), c.x, c.y, config))(t)
				for i, m := range []mat.Matrix{c.x, c.y, wideX, wideY} {
					if !mat.Equal(m, before[i]) {
						t.Errorf("%s: the caller's data were changed", c.name)
					}
				}
				if want[batch] == nil {
					want[batch] = slices.Clone(net.Params())
				}
				SameBits(t, fmt.Sprintf("%s, batches of %d", c.name, batch), net.Params(), want[batch])
			}
		}
	}
}

// Targets that lie apart are read where they are or copied with the shuffled samples: no loss may
// tell the difference.
func TestAStridedTargetGivesTheBitsOfItsCopyForEveryLoss(t *testing.T) {
	const samples = 11
	column := func(m *mat.Dense) mat.Matrix { // as the third column of a wider matrix
		wide := Pattern(samples, 7)
		wide.Slice(0, samples, 2, 3).(*mat.Dense).Copy(m)
		return wideVector(wide, 2)
	}
	window := func(m *mat.Dense) mat.Matrix {
		wide := Pattern(samples+5, 9)
		part := wide.Slice(3, 3+samples, 2, 2+Cols(m)).(*mat.Dense)
		part.Copy(m)
		return part
	}
	transpose := func(m *mat.Dense) mat.Matrix { return mat.DenseCopyOf(m.T()).T() }
	for _, c := range []struct {
		output  Dense
		y       *mat.Dense
		layouts []func(*mat.Dense) mat.Matrix
		losses  []Loss
	}{
		{Dense{Units: 1}, Pattern(samples, 1), []func(*mat.Dense) mat.Matrix{column, window, transpose},
			[]Loss{nil, MSE, MAE, Huber{}, Huber{Delta: 0.1}, LogCosh{}}},
		{Dense{Units: 1, Activation: Sigmoid}, Probabilities(samples, 1), []func(*mat.Dense) mat.Matrix{column, window, transpose},
			[]Loss{nil, BinaryCrossEntropy, MSE, Weighted{}}},
		{Dense{Units: 3, Activation: Softmax}, ClassTargets(samples, 3), []func(*mat.Dense) mat.Matrix{window, transpose},
			append([]Loss{nil, Weighted{}}, Losses...)},
	} {
		x := Pattern(samples, 2)
		for _, l := range c.losses {
			for _, config := range []TrainConfig{{}, {BatchSize: 4, NoShuffle: true}, {BatchSize: 4}} {
				train := func(y mat.Matrix) []float64 {
					output := c.output
					output.Activation = Before(l, output.Activation)
					net := NewNetwork(t, 2, Dense{Units: 4, Activation: Tanh}, output)
					config.LearningRate, config.Epochs, config.Loss = 0.1, 4, l
					h := Value(net.Train(t.Context(), x, y, config))(t)
					loss, grad, err := net.Gradient(nil, x, y, l)
					NoError(t, err)
					bits := slices.Concat(net.Params(), grad, []float64{loss, Value(net.Loss(x, y, l))(t)})
					for _, e := range h.Epochs {
						bits = append(bits, e.Loss, e.GradNorm)
					}
					return bits
				}
				want := train(c.y)
				for i, layout := range c.layouts {
					what := fmt.Sprintf("%T of %d columns, layout %d, batches of %d, NoShuffle %v", l, Cols(c.y), i, config.BatchSize, config.NoShuffle)
					SameBits(t, what, train(layout(c.y)), want)
				}
			}
		}
	}
}

// countedSteps counts the samples of every step.
func countedSteps(t *testing.T, samples, batch int, layers ...Layer) (sizes []int) {
	t.Helper()
	loss := &Counting{Loss: MSE}
	net := NewNetwork(t, 2, layers...)
	Value(net.Train(t.Context(), Pattern(samples, 2), Pattern(samples, 1), TrainConfig{
		LearningRate: 0.1, Epochs: 1, BatchSize: batch, Loss: loss,
		Optimizer: StepFunc(func(params, grad []float64, eta float64) {
			sizes = append(sizes, loss.Values)
			loss.Values = 0
		}),
	}))(t)
	return sizes
}

func TestEverySampleIsUsedAndTheShortBatchToo(t *testing.T) {
	plain, norm := []Layer{Dense{Units: 1}}, []Layer{Dense{Units: 3}, BatchNorm{}, Dense{Units: 1}}
	for _, c := range []struct {
		samples, batch int
		layers         []Layer
		want           []int
	}{
		{10, 0, plain, []int{10}},
		{10, 4, plain, []int{4, 4, 2}},
		{9, 4, plain, []int{4, 4, 1}},
		{8, 4, plain, []int{4, 4}},
		{3, 1, plain, []int{1, 1, 1}},
		{5, 100, plain, []int{5}},
		{1, 3, plain, []int{1}},
		{10, 4, norm, []int{4, 4, 2}},
		{9, 4, norm, []int{4, 5}}, // a single left-over sample joins the batch before it
		{3, 2, norm, []int{3}},
		{2, 2, norm, []int{2}},
	} {
		if got := countedSteps(t, c.samples, c.batch, c.layers...); !slices.Equal(got, c.want) {
			t.Errorf("%d samples in batches of %d, %d layers: steps of %v, want %v", c.samples, c.batch, len(c.layers), got, c.want)
		}
	}
}

func TestEveryEpochIsAnotherOrderOfAllSamples(t *testing.T) {
	const n = 12
	y := mat.NewDense(n, 1, nil)
	for i := range n {
		y.Set(i, 0, float64(i))
	}
	train := func(config TrainConfig) (epochs [][]float64) {
		seen := &Counting{Loss: MSE}
		config.LearningRate, config.Epochs, config.Loss = 1e-6, 4, seen
		config.OnEpoch = func(Epoch) error {
			epochs = append(epochs, slices.Clone(seen.Targets))
			seen.Targets = nil
			return nil
		}
		net := NewNetwork(t, 1, Dense{Units: 1})
		Value(net.Train(t.Context(), y, y, config))(t)
		return epochs
	}
	sorted := y.RawMatrix().Data
	shuffled := train(TrainConfig{BatchSize: 5})
	for i, e := range shuffled {
		if slices.Equal(e, sorted) || i > 0 && slices.Equal(e, shuffled[i-1]) {
			t.Errorf("epoch %d is not shuffled: %v", i, e)
		}
		EqualTo(t, "samples of an epoch", slices.Sorted(slices.Values(e)), sorted, 0)
	}
	for _, e := range train(TrainConfig{BatchSize: 5, NoShuffle: true}) {
		EqualTo(t, "NoShuffle", e, sorted, 0)
	}
	for _, e := range train(TrainConfig{}) {
		EqualTo(t, "one batch needs no order", e, sorted, 0)
	}
}

// The same samples twice over are the same mean.
func TestGradientsAreMeansWhateverTheBatchSize(t *testing.T) {
	x, y := Probabilities(5, 3), mat.NewDense(5, 2, []float64{0, 1, 1, 0, 0.5, 0.5, 0.25, 0.75, 1, 0})
	var x2, y2 mat.Dense
	x2.Stack(x, x)
	y2.Stack(y, y)
	for _, f := range []Activation{Sigmoid, Softmax, Softplus} {
		for _, l := range Losses {
			one := NewNetwork(t, 3, Dense{Units: 2, Activation: Before(l, f)})
			two := NewNetwork(t, 3, Dense{Units: 2, Activation: Before(l, f)})
			config := TrainConfig{LearningRate: 0.5, Epochs: 1, Loss: l, L2: 0.1}
			h1 := Value(one.Train(t.Context(), x, y, config))(t)
			h2 := Value(two.Train(t.Context(), &x2, &y2, config))(t)
			what := fmt.Sprintf("%v, %T", f, l)
			EqualTo(t, what+": parameters", two.Params(), one.Params(), 1e-13)
			EqualTo(t, what+": loss", []float64{h2.Epochs[0].Loss}, []float64{h1.Epochs[0].Loss}, 1e-13)
			EqualTo(t, what+": norm", []float64{h2.Epochs[0].GradNorm}, []float64{h1.Epochs[0].GradNorm}, 1e-13)
		}
	}
}

// The network is large enough for its products, and for what is computed of each element, to be worth
// sharing, and for two processors batch norm wide enough.
func TestSameSeedSameBitsForAnyNumberOfProcessors(t *testing.T) {
	layers := []Layer{Standardize{}, Dense{Units: 280, Activation: Tanh}, BatchNorm{Activation: ReLU}, Dropout{Rate: 0.2},
		Dense{Units: 70, Activation: GELU}, Dense{Units: 10, Activation: Softmax}}
	x, y := Pattern(301, 333), ClassTargets(301, 10)
	train := func(processors int) []float64 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		net := NewNetwork(t, 333, layers...)
		h := Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-3, Epochs: 3, BatchSize: 150, Optimizer: &Adam{},
			Seed: 5, ClipNorm: 1, Validation: Data{X: x, Y: y}}))(t)
		bits := slices.Concat(net.Params(), Value(net.Predict(x))(t).RawMatrix().Data)
		for _, e := range h.Epochs {
			bits = append(bits, e.Loss, e.ValidationLoss, e.GradNorm)
		}
		return bits
	}
	want := train(1)
	for _, processors := range append(severalProcessors(), 1) {
		SameBits(t, fmt.Sprintf("GOMAXPROCS %d", processors), train(processors), want)
	}
}

// Every optimizer, with every way to change its gradient and its parameters, on layers some of
// which are large enough to be shared among goroutines.
func TestEveryConfigurationGivesTheSameBitsForAnyNumberOfProcessors(t *testing.T) {
	x, y := Pattern(150, 150), ClassTargets(150, 3)
	layers := []Layer{
		Standardize{}, Dense{Units: 203, NoBias: true}, BatchNorm{Activation: Tanh}, Dropout{Rate: 0.1},
		Dense{Units: 5, Activation: GELU}, Dense{Units: 101}, Dense{Units: 3, Activation: Softmax},
	}
	train := func(o Optimizer, config TrainConfig, processors int) (bits []float64) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		net := NewNetwork(t, 150, layers...)
		config.LearningRate, config.Epochs, config.BatchSize, config.Optimizer = 1e-2, 3, 64, Fresh(o)
		for _, e := range Value(net.Train(t.Context(), x, y, config))(t).Epochs {
			bits = append(bits, e.Loss, e.GradNorm)
		}
		s := StateOf(net)
		return slices.Concat(bits, s.Params, s.Statistics)
	}
	all := append([]Optimizer{nil, &SGD{Momentum: 0.9}}, Optimizers...)
	for _, c := range []struct {
		config     TrainConfig
		optimizers []Optimizer
	}{
		{TrainConfig{}, all},
		{TrainConfig{L2: 0.01}, []Optimizer{nil}},
		{TrainConfig{WeightDecay: 0.1}, []Optimizer{nil}},
		{TrainConfig{ClipValue: 1e-3}, []Optimizer{nil}},
		{TrainConfig{ClipNorm: 0.1}, []Optimizer{nil}},
		{TrainConfig{L2: 0.01, WeightDecay: 0.1, ClipNorm: 0.1, ClipValue: 1e-3}, all},
	} {
		for _, o := range c.optimizers {
			want := train(o, c.config, 1)
			for _, processors := range severalProcessors() {
				SameBits(t, fmt.Sprintf("%T, %+v, GOMAXPROCS %d", o, c.config, processors), train(o, c.config, processors), want)
			}
		}
	}
}

// severalProcessors are numbers of them, with -short one: an emulated processor is slow.
func severalProcessors() []int {
	if testing.Short() {
		return []int{2}
	}
	return []int{2, 3, 8}
}

func TestSeedMattersOnlyWhereSomethingIsDrawn(t *testing.T) {
	train := func(config TrainConfig) []float64 {
		net := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1})
		config.LearningRate, config.Epochs = 0.1, 3
		Value(net.Train(t.Context(), Pattern(9, 2), Pattern(9, 1), config))(t)
		return net.Params()
	}
	SameBits(t, "one batch", train(TrainConfig{Seed: 1}), train(TrainConfig{Seed: 2}))
	SameBits(t, "kept order", train(TrainConfig{Seed: 1, BatchSize: 2, NoShuffle: true}), train(TrainConfig{Seed: 2, BatchSize: 2, NoShuffle: true}))
	if slices.Equal(train(TrainConfig{Seed: 1, BatchSize: 2}), train(TrainConfig{Seed: 2, BatchSize: 2})) {
		t.Error("another seed gives the same order")
	}
}

func wideVector(m *mat.Dense, column int) *mat.VecDense {
	var v mat.VecDense
	v.ColViewOf(m, column)
	return &v
}
