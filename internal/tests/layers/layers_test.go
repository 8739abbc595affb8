// Package layers_test holds every layer to what its comment promises: the initial weights, what
// dropout drops, what batch norm and standardization learn, and where the parameters lie.
package layers_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

func TestNewAndInitAreReproducible(t *testing.T) {
	layers := []Layer{Dense{Units: 5, Activation: ReLU}, BatchNorm{}, Dense{Units: 3, Init: Orthogonal}}
	a, b := NewNetwork(t, 4, layers...), NewNetwork(t, 4, layers...)
	fresh := slices.Clone(a.Params())
	SameBits(t, "two networks", a.Params(), b.Params())
	a.Init(7)
	b.Init(7)
	SameBits(t, "the same seed", a.Params(), b.Params())
	if slices.Equal(a.Params(), fresh) {
		t.Error("another seed gives the same parameters")
	}
	a.Init(0)
	SameBits(t, "Init(0) and New", a.Params(), fresh)
}

func TestInitForgetsWhatTheLayersHaveLearnt(t *testing.T) {
	net := NewNetwork(t, 2, Standardize{}, Dense{Units: 3}, BatchNorm{Activation: Tanh}, Dense{Units: 1})
	fresh := StateOf(net)
	x, y := Pattern(8, 2), Pattern(8, 1)
	Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 3}))(t)
	net.Init(0)
	fresh.MustEqual(t, net)
	x.Scale(5, x) // Standardize learns again
	Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 1}))(t)
	mean, variance := Moments(mat.Col(nil, 0, x))
	gotMean, gotVariance := net.Statistics(0)
	EqualTo(t, "mean and variance", []float64{gotMean[0], gotVariance[0]}, []float64{mean, variance}, 1e-14)
}

func TestParametersLieLayerByLayer(t *testing.T) {
	net := NewNetwork(t, 2, Standardize{}, Dense{Units: 3, Activation: Tanh}, BatchNorm{}, Dropout{Rate: 0.5}, Dense{Units: 1, NoBias: true})
	params := net.Params()
	for i := range params {
		params[i] = float64(i)
	}
	for i, want := range []struct{ w, b []float64 }{
		{nil, nil},
		{[]float64{0, 1, 2, 3, 4, 5}, []float64{6, 7, 8}},
		{[]float64{9, 10, 11}, []float64{12, 13, 14}},
		{nil, nil},
		{[]float64{15, 16, 17}, nil},
	} {
		w, b := net.Weights(i), net.Biases(i)
		if (w == nil) != (want.w == nil) || w != nil && !slices.Equal(w.RawMatrix().Data, want.w) {
			t.Errorf("layer %d: weights %v, want %v", i, w, want.w)
		}
		if (b == nil) != (want.b == nil) || b != nil && !slices.Equal(b.RawVector().Data, want.b) {
			t.Errorf("layer %d: biases %v, want %v", i, b, want.b)
		}
	}
	if r, c := net.Weights(1).Dims(); r != 3 || c != 2 {
		t.Errorf("W is %d×%d, want units×inputs, 3×2", r, c)
	}
	net.Weights(1).Set(2, 1, -1) // live views
	net.Biases(2).SetVec(0, -2)
	if params[5] != -1 || params[12] != -2 {
		t.Error("a view does not write to Params")
	}
	for _, i := range []int{-1, 5} {
		mean, variance := net.Statistics(i)
		if net.Weights(i) != nil || net.Biases(i) != nil || mean != nil || variance != nil {
			t.Errorf("there is no layer %d", i)
		}
	}
}

func TestStringIsATableOfTheLayers(t *testing.T) {
	net := NewNetwork(t, 64, Standardize{}, Dense{Units: 128}, BatchNorm{Activation: ReLU}, Dropout{Rate: 0.3},
		Dense{Units: 16, Activation: LeakyReLU{Slope: 0.2}, NoBias: true}, Dropout{}, Dense{Units: 8, NoBias: true},
		Dense{Units: 10, Activation: Softmax})
	want := strings.Join([]string{
		"layer  type                               output  parameters",
		"       input                              64      0",
		"0      Standardize                        64      0",
		"1      Dense                              128     8320", // 64·128 + 128
		"2      BatchNorm ReLU                     128     256",
		"3      Dropout 0.3                        128     0",
		"4      Dense LeakyReLU(0.2) without bias  16      2048", // 128·16
		"5      Dropout 0                          16      0",
		"6      Dense without bias                 8       128",
		"7      Dense Softmax                      10      90",
		"                                          total   10842",
		"",
	}, "\n")
	if got := net.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A layer that only repeats its inputs shows what Dropout before it has done with rows of ones.
func TestDropoutDropsAtItsRateWhileTraining(t *testing.T) {
	for _, rate := range []float64{0.2, 0.5, 0.9} {
		const units, samples, epochs = 20, 50, 10
		var seen []float64
		net := NewNetwork(t, units, Dropout{Rate: rate},
			Dense{Units: units, NoBias: true, Activation: Observed{Activation: Identity, See: func(a, z []float64) { seen = append(seen, z...) }}})
		SetIdentity(net.Weights(1))
		ones := mat.NewDense(samples, units, slices.Repeat([]float64{1}, units*samples))
		Value(net.Train(t.Context(), ones, ones, TrainConfig{LearningRate: 1, Epochs: epochs, BatchSize: 8, Optimizer: Still{}}))(t)
		dropped := 0.0
		for _, v := range seen {
			switch v {
			case 0:
				dropped++
			case 1 / (1 - rate):
			default:
				t.Fatalf("a one became %v, want 0 or %v", v, 1/(1-rate))
			}
		}
		// A binomial count has variance n·p·(1−p); five deviations.
		n := float64(len(seen))
		if n != units*samples*epochs || math.Abs(dropped-n*rate) > 5*math.Sqrt(n*rate*(1-rate)) {
			t.Errorf("rate %v: %v of %v dropped", rate, dropped, n)
		}
		if same := slices.Equal(seen[:units], seen[units:2*units]) && slices.Equal(seen[:units*samples], seen[units*samples:2*units*samples]); same {
			t.Error("every sample and every epoch drop the same units")
		}
		p := Value(net.Predict(ones))(t)
		EqualTo(t, "inference", p.RawMatrix().Data, ones.RawMatrix().Data, 0)
		if l := Value(net.Loss(ones, ones, nil))(t); l != 0 {
			t.Errorf("the loss in inference is %v, want 0", l)
		}
	}
}

// The weights of a unit that is dropped have no gradient, those of any other have one.
func TestDropoutDropsTheSameUnitsBackward(t *testing.T) {
	const units = 40
	var seen []float64
	net := NewNetwork(t, 1, Dense{Units: units, NoBias: true}, Dropout{Rate: 0.5},
		Dense{Units: units, NoBias: true, Activation: Observed{Activation: Identity, See: func(a, z []float64) { seen = append(seen, z...) }}})
	SetIdentity(net.Weights(2))
	before := slices.Clone(net.Weights(0).RawMatrix().Data)
	one, targets := mat.NewDense(1, 1, []float64{1}), mat.NewDense(1, units, nil)
	Value(net.Train(t.Context(), one, targets, TrainConfig{LearningRate: 1, Epochs: 1}))(t)
	for i, w := range net.Weights(0).RawMatrix().Data {
		if dropped, stays := seen[i] == 0, w == before[i]; dropped != stays {
			t.Errorf("unit %d: dropped is %v, its weight stays is %v", i, dropped, stays)
		}
	}
}

// A layer that drops nothing must not move the random numbers of shuffling and of the layer that
// does: with it and without it the bits are the same.
func TestDropoutOfRateZeroDropsNothingAndDrawsNothing(t *testing.T) {
	train := func(layers ...Layer) []float64 {
		net := NewNetwork(t, 3, layers...)
		copy(net.Params(), Pattern(1, len(net.Params())).RawMatrix().Data)
		Value(net.Train(t.Context(), Pattern(10, 3), Pattern(10, 1), TrainConfig{LearningRate: 0.1, Epochs: 3, BatchSize: 4}))(t)
		return net.Params()
	}
	hidden, output := Dense{Units: 8, Activation: Tanh}, Dense{Units: 1}
	SameBits(t, "alone", train(hidden, Dropout{}, output), train(hidden, output))
	SameBits(t, "behind another", train(Dropout{Rate: 0.5}, hidden, Dropout{}, output), train(Dropout{Rate: 0.5}, hidden, output))
}

// What was returned before training shows what it has learnt, and what is written there counts.
func TestStatisticsAreLiveViews(t *testing.T) {
	net := NewNetwork(t, 2, Standardize{}, Dense{Units: 3}, BatchNorm{}, Dense{Units: 1})
	var views [3][2][]float64
	for _, i := range []int{0, 2} {
		views[i][0], views[i][1] = net.Statistics(i)
	}
	before := StateOf(net)
	x := Pattern(8, 2)
	Value(net.Train(t.Context(), x, Pattern(8, 1), TrainConfig{LearningRate: 0.1, Epochs: 3}))(t)
	learnt := StateOf(net)
	if slices.Equal(learnt.Statistics, before.Statistics) {
		t.Fatal("nothing was learnt")
	}
	SameBits(t, "views", slices.Concat(views[0][0], views[0][1], views[2][0], views[2][1]), learnt.Statistics)
	predicted := Predict(t, net, x)
	views[2][0][1] += 5
	if again, _ := net.Statistics(2); again[1] != views[2][0][1] || slices.Equal(Predict(t, net, x), predicted) {
		t.Error("what is written to a view does not count")
	}
}

func TestDropoutIsDrawnFromTheSeed(t *testing.T) {
	train := func(seed uint64) []float64 {
		net := NewNetwork(t, 3, Dense{Units: 8, Activation: Tanh}, Dropout{Rate: 0.5}, Dense{Units: 1})
		Value(net.Train(t.Context(), Pattern(10, 3), Pattern(10, 1), TrainConfig{LearningRate: 0.1, Epochs: 3, Seed: seed}))(t)
		return net.Params()
	}
	SameBits(t, "the same seed", train(1), train(1))
	if slices.Equal(train(1), train(2)) {
		t.Error("another seed drops the same units")
	}
}

// Initial weights and dropout of the same seed must not be the same random numbers: the units
// dropped first would be those of the lower weights.
func TestDropoutDoesNotGoByTheInitialWeights(t *testing.T) {
	const units = 256
	var seen []float64
	net := NewNetwork(t, 1, Dense{Units: units}, Dropout{Rate: 0.5},
		Dense{Units: units, NoBias: true, Activation: Observed{Activation: Identity, See: func(a, z []float64) { seen = append(seen, z...) }}})
	SetIdentity(net.Weights(2))
	one, targets := mat.NewDense(1, 1, []float64{1}), mat.NewDense(1, units, nil)
	Value(net.Train(t.Context(), one, targets, TrainConfig{LearningRate: 1, Epochs: 1, Optimizer: Still{}}))(t)
	agree := 0.0
	for i, w := range net.Weights(0).RawMatrix().Data {
		if (w < 0) == (seen[i] == 0) {
			agree++
		}
	}
	// Binomial, p = 1/2: five deviations.
	if math.Abs(agree-units/2) > 5*math.Sqrt(units/4) {
		t.Errorf("%v of %d units are dropped by the sign of their weight", agree, units)
	}
}

func TestStandardizeLearnsFromTheFirstTrainingData(t *testing.T) {
	var seen []float64
	net := NewNetwork(t, 3, Standardize{}, Dense{Units: 3, NoBias: true,
		Activation: Observed{Activation: Identity, See: func(a, z []float64) { seen = append(seen, z...) }}})
	SetIdentity(net.Weights(1))
	// The columns: 1, 2, 6 with mean 3 and population variance (4+1+9)/3; a constant that a mean of
	// three would miss by rounding; −1, 0, 1.
	x := mat.NewDense(3, 3, []float64{1, 0.1, -1, 2, 0.1, 0, 6, 0.1, 1})
	EqualTo(t, "before training", Value(net.Predict(x))(t).RawMatrix().Data, x.RawMatrix().Data, 0)
	config := TrainConfig{LearningRate: 1, Epochs: 1, Optimizer: Still{}, Loss: MSE}
	seen = nil
	Value(net.Train(t.Context(), x, Pattern(3, 3), config))(t)
	mean, variance := net.Statistics(0)
	EqualTo(t, "mean", mean, []float64{3, 0.1, 0}, FewUlps)
	EqualTo(t, "variance", variance, []float64{14. / 3, 1, 2. / 3}, FewUlps)
	s, r := math.Sqrt(14./3), math.Sqrt(2./3)
	want := []float64{-2 / s, 0, -1 / r, -1 / s, 0, 0, 3 / s, 0, 1 / r}
	EqualTo(t, "in training", seen, want, FewUlps)
	EqualTo(t, "in inference", Value(net.Predict(x))(t).RawMatrix().Data, want, FewUlps)

	learnt := StateOf(net)
	x.Scale(100, x)
	Value(net.Train(t.Context(), x, Pattern(3, 3), config))(t)
	learnt.MustEqual(t, net) // a second training does not learn again
}
