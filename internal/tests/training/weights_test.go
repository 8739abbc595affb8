package training_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// A weightedSet is samples with weights of 0 to 3, and the same samples so many times over.
type weightedSet struct{ weighted, repeated Data }

// weightedSets are one set to train on and one to validate on, with targets that are probabilities
// of two classes. The inputs of samples of weight 0 lie far off, and the last column of the others
// is constant.
func weightedSets() (train, validation weightedSet) {
	rng := rand.New(rand.NewPCG(7, 0))
	draw := func(samples int) (s weightedSet) {
		x, y := Pattern(samples, 3), mat.NewDense(samples, 2, nil)
		var xs, ys []float64
		for i := range samples {
			p, w := rng.Float64(), rng.IntN(4)
			y.SetRow(i, []float64{p, 1 - p})
			s.weighted.SampleWeights = append(s.weighted.SampleWeights, float64(w))
			if x.Set(i, 2, 0.3); w == 0 {
				x.SetRow(i, []float64{50, -70, 90})
			}
			xs = append(xs, slices.Repeat(x.RawRowView(i), w)...)
			ys = append(ys, slices.Repeat(y.RawRowView(i), w)...)
		}
		s.weighted.X, s.weighted.Y = x, y
		s.repeated = Data{X: mat.NewDense(len(xs)/3, 3, xs), Y: mat.NewDense(len(ys)/2, 2, ys)}
		return s
	}
	return draw(15), draw(9)
}

// weightedNetworks are layers for those sets and a loss.
func weightedNetworks(l Loss) (list [][]Layer) {
	list = [][]Layer{
		{Dense{Units: 2, Activation: Before(l, Softmax)}},
		{Dense{Units: 4, Activation: Tanh}, Dense{Units: 2, Activation: Before(l, Sigmoid)}},
		{Standardize{}, Dense{Units: 4, Activation: GELU}, Sequential{Dense{Units: 3, NoBias: true}, Activate{F: Tanh}},
			Dense{Units: 2, Activation: Before(l, Softmax)}},
	}
	if l == BinaryCrossEntropy || l == CrossEntropy { // which take no standardized targets
		return list
	}
	return append(list,
		[]Layer{Dense{Units: 4, Activation: Softplus}, Dense{Units: 2}, Unstandardize{}},
		[]Layer{Standardize{}, Dense{Units: 3, Activation: SiLU}, Dense{Units: 2}, Unstandardize{}})
}

// fit is what a training gives: parameters, what was learnt of the data, and the history.
func fit(t *testing.T, layers []Layer, data, validation Data, config TrainConfig) []float64 {
	config.SampleWeights, config.Validation = data.SampleWeights, validation
	net := NewNetwork(t, 3, layers...)
	h := Value(net.Train(t.Context(), data.X, data.Y, config))(t)
	s := StateOf(net)
	all := slices.Concat(s.Params, s.Statistics)
	for _, e := range h.Epochs {
		all = append(all, e.Loss, e.ValidationLoss, e.GradNorm)
	}
	return all
}

// Its loss and their derivatives are infinite: the square of 1e200, and a NaN of it times 0.
func TestASampleOfWeight0MayHaveAnInfiniteLoss(t *testing.T) {
	x, y := Pattern(5, 2), Pattern(5, 1)
	config := TrainConfig{LearningRate: 0.1, Epochs: 3, SampleWeights: []float64{1, 0, 2, 1, 1}}
	layers := []Layer{Dense{Units: 3, Activation: Tanh}, Dense{Units: 1}}
	want := NewNetwork(t, 2, layers...)
	Value(want.Train(t.Context(), x, y, config))(t)
	for _, l := range []Loss{MSE, infinite{}} {
		y.Set(1, 0, 1e200)
		config.Loss = l
		net := NewNetwork(t, 2, layers...)
		Value(net.Train(t.Context(), x, y, config))(t)
		SameBits(t, fmt.Sprintf("%T", l), net.Params(), want.Params())
	}
}

// infinite is MSE, but an infinity of a target of 1e200.
type infinite struct{}

func (infinite) Value(a, y []float64) float64 {
	if y[0] == 1e200 {
		return math.Inf(1)
	}
	return MSE.Value(a, y)
}

func (infinite) Gradient(da, a, y []float64) {
	if MSE.Gradient(da, a, y); y[0] == 1e200 {
		da[0] = math.NaN()
	}
}

func TestAWeightOfKIsTheRowKTimesAndZeroItsAbsence(t *testing.T) {
	train, validation := weightedSets()
	for _, l := range append([]Loss{LogCosh{}}, Losses...) {
		for i, layers := range weightedNetworks(l) {
			for _, o := range append([]Optimizer{nil}, Optimizers...) {
				config := TrainConfig{LearningRate: 0.02, Epochs: 8, Loss: l, L2: 0.01, ClipNorm: 0.5}
				config.Optimizer = Fresh(o)
				want := fit(t, layers, train.repeated, validation.repeated, config)
				config.Optimizer = Fresh(o)
				got := fit(t, layers, train.weighted, validation.weighted, config)
				Near(t, fmt.Sprintf("%T%[1]v, network %d, %T", l, i, o), got, want, 0.02)
			}
		}
	}
}

// A factor of all weights changes nothing, and equal ones are none.
func TestSampleWeightsAreScaledToAMeanOfOne(t *testing.T) {
	train, validation := weightedSets()
	with := func(change func(w []float64) []float64) []float64 {
		data, held := train.weighted, validation.weighted
		data.SampleWeights, held.SampleWeights = change(data.SampleWeights), change(held.SampleWeights)
		layers := []Layer{Standardize{}, Dense{Units: 3, Activation: SiLU}, Dense{Units: 2}, Unstandardize{}}
		return fit(t, layers, data, held, TrainConfig{LearningRate: 0.1, Epochs: 5, BatchSize: 4})
	}
	times := func(factor float64) func([]float64) []float64 {
		return func(w []float64) []float64 { return floats.ScaleTo(make([]float64, len(w)), factor, w) }
	}
	for _, factor := range []float64{1e-200, 1.0 / 3, 1e200} {
		Near(t, fmt.Sprint("weights times ", factor), with(times(factor)), with(times(1)), 0.02)
	}
	equal := with(func(w []float64) []float64 { return slices.Repeat([]float64{0.7}, len(w)) })
	Near(t, "equal weights", equal, with(func([]float64) []float64 { return nil }), 0.02)
}

// The weights go with their samples into the batches, in whatever order these are drawn: a network
// that can only learn a mean learns that of the samples that count.
func TestShuffledSamplesKeepTheirWeights(t *testing.T) {
	const n = 40
	x, y, w := mat.NewDense(n, 1, nil), mat.NewDense(n, 1, nil), make([]float64, n)
	for i := range n {
		if y.Set(i, 0, 1000); i%4 == 1 {
			y.Set(i, 0, 3)
			w[i] = 1
		}
	}
	net := NewNetwork(t, 1, Dense{Units: 1})
	h := Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 60, BatchSize: 5, SampleWeights: w}))(t)
	if p := Predict(t, net, x)[0]; math.Abs(p-3) > 1e-9 {
		t.Errorf("predicts %v after a loss of %v, want 3", p, h.Epochs[59].Loss)
	}
}

// unbalanced are n samples in two clouds that overlap, one in 21 of the second class.
func unbalanced(n int, seed uint64) Data {
	rng := rand.New(rand.NewPCG(seed, 0))
	d := Data{X: mat.NewDense(n, 2, nil), Y: mat.NewDense(n, 1, nil)}
	for i := range n {
		class := 0.0
		if i%21 == 0 {
			class = 1
		}
		d.X.(*mat.Dense).SetRow(i, []float64{rng.NormFloat64() + 1.5*class, rng.NormFloat64() + class})
		d.Y.(*mat.Dense).Set(i, 0, class)
	}
	return d
}

func TestBalancedWeightsFindMoreOfARareClass(t *testing.T) {
	data, unseen := unbalanced(420, 1), unbalanced(1050, 2)
	recall := func(weights []float64) float64 {
		net := NewNetwork(t, 2, Dense{Units: 4, Activation: Tanh}, Dense{Units: 1, Activation: Sigmoid})
		Value(net.Train(t.Context(), data.X, data.Y, TrainConfig{LearningRate: 0.02, Epochs: 40, BatchSize: 42,
			Optimizer: &Adam{}, SampleWeights: weights}))(t)
		m := Value(ConfusionMatrix(Value(net.Predict(unseen.X))(t), unseen.Y))(t)
		return Value(ClassScores(m))(t)[1].Recall
	}
	without, with := recall(nil), recall(Value(BalancedWeights(data.Y))(t))
	if with < without+0.4 {
		t.Errorf("recall %v with balanced weights, %v without", with, without)
	}
}
