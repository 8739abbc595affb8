package training_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// weighted are samples with weights from 0 to 3, and the same samples that many times.
func weighted(x, y *mat.Dense) (weights []float64, xs, ys *mat.Dense) {
	rows, in := x.Dims()
	out := Cols(y)
	var xv, yv []float64
	for i := range rows {
		weights = append(weights, float64(i*7%4))
		for range i * 7 % 4 {
			xv, yv = append(xv, x.RawRowView(i)...), append(yv, y.RawRowView(i)...)
		}
	}
	n := len(xv) / in
	return weights, mat.NewDense(n, in, xv), mat.NewDense(n, out, yv)
}

// A weight of 2 is the row twice, and of 0 the row absent: for every loss, optimizer and penalty,
// in the validation loss, and for layers that learn of the data.
func TestAWeightIsThatManyRows(t *testing.T) {
	x := ScaledMatrix(Pattern(23, 4), 5)
	outputs := map[Loss]Activation{BinaryCrossEntropy: Sigmoid, CrossEntropy: Softmax}
	for _, l := range Losses {
		for k, o := range append([]Optimizer{nil}, Optimizers...) {
			t.Run(fmt.Sprintf("%T %T", l, o), func(t *testing.T) {
				y := ClassTargets(23, 3)
				layers := []Layer{Standardize{}, Dense{Units: 6, Activation: Tanh}, Dense{Units: 5, Activation: GELU}, Dense{Units: 3, Activation: outputs[l]}}
				if outputs[l] == nil {
					y = ScaledMatrix(Pattern(23, 3), 70)
					layers = append(layers, Unstandardize{})
				}
				weights, xs, ys := weighted(x, y)
				config := func() TrainConfig {
					c := TrainConfig{LearningRate: 0.02, Epochs: 8, Loss: l, L2: 0.01 * float64(k%2), ClipNorm: 0.5 * float64(k%3)}
					if o != nil {
						c.Optimizer = Fresh(o)
					}
					return c
				}
				want, c := NewNetwork(t, 4, layers...), config()
				c.Validation = Data{X: xs, Y: ys}
				h := Value(want.Train(t.Context(), xs, ys, c))(t)
				got, c := NewNetwork(t, 4, layers...), config()
				c.SampleWeights, c.Validation = weights, Data{X: x, Y: y, SampleWeights: weights}
				h2 := Value(got.Train(t.Context(), x, y, c))(t)
				Near(t, "parameters", got.Params(), want.Params(), 1)
				for i, e := range h2.Epochs {
					EqualTo(t, "losses", []float64{e.Loss, e.ValidationLoss}, []float64{h.Epochs[i].Loss, h.Epochs[i].ValidationLoss}, 1e-12)
				}
				mean, variance := got.Statistics(0)
				wantMean, wantVariance := want.Statistics(0)
				EqualTo(t, "mean", mean, wantMean, 1e-13)
				EqualTo(t, "variance", variance, wantVariance, 1e-13)
			})
		}
	}
}

// Only their proportions count, and those of a shuffled batch go with its samples.
func TestWeightsAreScaledAndShuffledAlong(t *testing.T) {
	x, y := Pattern(20, 3), Pattern(20, 1)
	weights := make([]float64, 20)
	for i := range weights {
		weights[i] = float64(1 + i%3)
	}
	config := TrainConfig{LearningRate: 0.1, Epochs: 4, BatchSize: 6, SampleWeights: weights}
	want := NewNetwork(t, 3, Dense{Units: 4, Activation: Tanh}, Dense{Units: 1})
	got := want.Clone()
	Value(want.Train(t.Context(), x, y, config))(t)
	config.SampleWeights = ScaledMatrix(mat.NewDense(1, 20, weights), 8).RawMatrix().Data
	Value(got.Train(t.Context(), x, y, config))(t)
	EqualTo(t, "parameters", got.Params(), want.Params(), 1e-12)

	// A weight that marks its own target: with all others 0, only that sample is learnt.
	alone := NewNetwork(t, 3, Dense{Units: 1})
	config.SampleWeights = make([]float64, 20)
	config.SampleWeights[13] = 1
	config.Epochs = 300
	Value(alone.Train(t.Context(), x, y, config))(t)
	if d := Predict(t, alone, x.Slice(13, 14, 0, 3))[0] - y.At(13, 0); d*d > 1e-6 {
		t.Errorf("the only sample with a weight is missed by %v", d)
	}
}

// One sample in twenty-one is of the rare class. Its recall is what weights are for.
func TestBalancedWeightsRaiseTheRecallOfARareClass(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	x, labels := mat.NewDense(840, 3, nil), make([]int, 840)
	for i := range labels {
		if i%21 == 0 {
			labels[i] = 1
		}
		for j := range 3 {
			x.Set(i, j, rng.NormFloat64()+float64(labels[i]))
		}
	}
	y := Value(OneHot(labels, 2))(t)
	recall := func(weights []float64) float64 {
		net := NewNetwork(t, 3, Dense{Units: 8, Activation: Tanh}, Dense{Units: 2, Activation: Softmax})
		Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.02, Optimizer: &Adam{}, Epochs: 100, SampleWeights: weights}))(t)
		return Value(ClassScores(Value(ConfusionMatrix(Value(net.Predict(x))(t), y))(t)))(t)[1].Recall
	}
	without, with := recall(nil), recall(Value(BalancedWeights(y))(t))
	if without > 0.4 || with < 0.75 {
		t.Errorf("recall %.2f without and %.2f with weights, want at most 0.4 and at least 0.75", without, with)
	}
}
