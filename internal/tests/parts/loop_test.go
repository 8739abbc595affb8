package parts_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// batchesOf cuts samples, as they lie, into batches.
func batchesOf(x, y *mat.Dense, weights []float64, size int) (list []Data) {
	rows, in := x.Dims()
	for lo := 0; lo < rows; lo += size {
		hi := min(lo+size, rows)
		d := Data{X: x.Slice(lo, hi, 0, in), Y: y.Slice(lo, hi, 0, Cols(y))}
		if weights != nil {
			d.SampleWeights = weights[lo:hi]
		}
		list = append(list, d)
	}
	return list
}

// everything is a network in which each kind of layer must be told that it is trained, and weights
// whose mean is 1.
func everything(t testing.TB) (net *Network, x, y *mat.Dense, weights []float64) {
	net = NewNetwork(t, 4, Standardize{}, Dense{Units: 6, Activation: Tanh}, Dropout{Rate: 0.3}, Dense{Units: 5},
		BatchNorm{Activation: ReLU}, Dense{Units: 2}, Unstandardize{})
	x, y = ScaledMatrix(Pattern(30, 4), 7), ScaledMatrix(Pattern(30, 2), 40)
	for i := range 30 {
		weights = append(weights, 0.5+float64(i%2))
	}
	return net, x, y, weights
}

// A loop written out with TrainingGradient and an Optimizer gives Train's bits.
func TestAWrittenOutLoopIsTrain(t *testing.T) {
	const seed, epochs, eta = 9, 4, 0.01
	for _, o := range Optimizers {
		want, x, y, weights := everything(t)
		got := want.Clone()
		Value(want.Train(t.Context(), x, y, TrainConfig{LearningRate: eta, Epochs: epochs, BatchSize: 7, NoShuffle: true, Seed: seed,
			Optimizer: Fresh(o), SampleWeights: weights, ClipNorm: 0.5, ClipValue: 0.2}))(t)

		NoError(t, got.Adapt(Data{X: x, Y: y, SampleWeights: weights}))
		optimizer, grad := Fresh(o), []float64(nil)
		for n := range uint64(epochs) {
			rng := rand.New(rand.NewPCG(seed, ^n))
			for _, batch := range batchesOf(x, y, weights, 7) {
				var err error
				_, grad, err = got.TrainingGradient(grad, batch, nil, rng)
				NoError(t, err)
				ClipNorm(grad, 0.5)
				for i, g := range grad {
					grad[i] = max(-0.2, min(0.2, g))
				}
				optimizer.Step(got.Params(), grad, eta)
			}
		}
		StateOf(want).MustEqual(t, got)
	}
}

func TestGradientsOfPartsAddUpToThatOfTheWhole(t *testing.T) {
	net := NewNetwork(t, 4, Standardize{}, Dense{Units: 6, Activation: Tanh}, Dense{Units: 2}, Unstandardize{})
	x, y := ScaledMatrix(Pattern(28, 4), 7), ScaledMatrix(Pattern(28, 2), 40)
	NoError(t, net.Adapt(Data{X: x, Y: y}))
	rng := rand.New(rand.NewPCG(1, 1))
	_, whole, err := net.TrainingGradient(nil, Data{X: x, Y: y}, nil, rng)
	NoError(t, err)
	sum := make([]float64, len(whole))
	for _, batch := range batchesOf(x, y, nil, 7) {
		_, grad, err := net.TrainingGradient(nil, batch, nil, rng)
		NoError(t, err)
		floats.AddScaled(sum, 0.25, grad)
	}
	EqualTo(t, "gradient", sum, whole, 1e-12)
}

func TestATrainingGradientThatFailsMovesNothing(t *testing.T) {
	net, x, y, _ := everything(t)
	rng := rand.New(rand.NewPCG(1, 1))
	before := StateOf(net)
	_, _, err := net.TrainingGradient(nil, Data{X: x, Y: y}, nil, rng)
	Fails(t, err, "backprop: TrainingGradient: Standardize has learnt nothing of the data yet; Adapt lets it")
	_, _, err = net.TrainingGradient(nil, Data{X: x, Y: y}, nil, nil)
	Fails(t, err, "backprop: TrainingGradient: rng is nil, want rand.New(rand.NewPCG(seed, epoch))")
	before.MustEqual(t, net)
	NoError(t, net.Adapt(Data{X: x, Y: y}))
	before = StateOf(net)
	_, _, err = net.TrainingGradient(nil, Data{X: x, Y: ScaledMatrix(y, 1e200)}, nil, rng)
	if !errors.Is(err, ErrDiverged) {
		t.Errorf("of an infinite loss: %v", err)
	}
	before.MustEqual(t, net)
}

func TestAdaptLearnsAnewOrNothing(t *testing.T) {
	net, x, y, _ := everything(t)
	NoError(t, net.Adapt(Data{X: x, Y: y}))
	mean, _ := net.Statistics(0)
	first := slices.Clone(mean)
	NoError(t, net.Adapt(Data{X: ScaledMatrix(x, 2), Y: y}))
	EqualTo(t, "mean", mean, []float64{2 * first[0], 2 * first[1], 2 * first[2], 2 * first[3]}, 1e-15)
	before := StateOf(net)
	Fails(t, net.Adapt(Data{X: x, Y: ScaledMatrix(y, 1e300)}), "backprop: Adapt: column 0 of y is too large to standardize: its variance is not finite")
	Fails(t, net.Adapt(Data{X: x}), "backprop: Adapt: Y is nil, want a matrix")
	Fails(t, net.Adapt(Data{X: Pattern(3, 2), Y: y}), "backprop: Adapt: X is 3×2, want N×4")
	Fails(t, net.Adapt(Data{X: x, Y: y, SampleWeights: make([]float64, 30)}), "backprop: Adapt: SampleWeights sum to 0, want a finite number above 0")
	before.MustEqual(t, net)
	var none *Network
	Fails(t, none.Adapt(Data{X: x, Y: y}), "backprop: Adapt: the network has no layers; New makes one")
}

// ∂L/∂X by central differences, over random networks in inference mode.
func TestInputGradientAgreesWithCentralDifferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	outputs := []struct {
		f Activation
		l Loss
	}{{nil, MSE}, {Tanh, Huber{Delta: 0.3}}, {Sigmoid, BinaryCrossEntropy}, {Softmax, CrossEntropy}, {Softplus, LogCosh{}}}
	for k := range 20 {
		out := outputs[k%len(outputs)]
		layers := []Layer{Standardize{}, Dense{Units: 5, Activation: GELU}, BatchNorm{Activation: Tanh}, Dropout{Rate: 0.5}, Dense{Units: 3, Activation: out.f}}
		if out.f == nil {
			layers = append(layers, Unstandardize{})
		}
		net := NewNetwork(t, 4, layers[k%2:]...) // with and without Standardize
		net.Init(uint64(k))
		x, y := ScaledMatrix(Pattern(6+k, 4), 2), Probabilities(6+k, 3)
		for i := range 6 + k {
			floats.Scale(1/floats.Sum(y.RawRowView(i)), y.RawRowView(i))
		}
		Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.01, Epochs: 3, Loss: out.l}))(t)
		dx := Value(net.InputGradient(x, y, out.l))(t)
		for range 20 {
			i, j := rng.IntN(6+k), rng.IntN(4)
			at := x.At(i, j)
			central := func(h float64) float64 {
				lossAt := func(v float64) float64 {
					x.Set(i, j, v)
					defer x.Set(i, j, at)
					return Value(net.Loss(x, y, out.l))(t)
				}
				return (lossAt(at+h) - lossAt(at-h)) / (2 * h)
			}
			numeric := (4*central(5e-4) - central(1e-3)) / 3
			if d := dx.At(i, j) - numeric; !(max(d, -d) < 1e-8*max(1, Largest(dx.RawMatrix().Data))) {
				t.Errorf("network %d, (%d, %d): %v by backpropagation, %v by differences", k, i, j, dx.At(i, j), numeric)
			}
		}
	}
}

func TestInputGradientLeavesTheNetworkAlone(t *testing.T) {
	net, x, y := whole(t)
	before := StateOf(net)
	a, b := Value(net.InputGradient(x, y, nil))(t), Value(net.InputGradient(x, y, nil))(t)
	before.MustEqual(t, net)
	SameBits(t, "twice", a.RawMatrix().Data, b.RawMatrix().Data)
	for what, c := range map[string]struct {
		x, y mat.Matrix
		l    Loss
	}{
		"x is 2×3, want N×4":      {Pattern(2, 3), y, nil},
		"y is 3×2, want 30×2":     {x, Pattern(3, 2), nil},
		"x is nil, want a matrix": {nil, y, nil},
		"CrossEntropy takes what a Softmax gives, and the last layer ends with Identity; set its Activation to Softmax, or choose another loss": {x, y, CrossEntropy},
	} {
		_, err := net.InputGradient(c.x, c.y, c.l)
		Fails(t, err, "backprop: InputGradient: "+what)
	}
	_, err := net.InputGradient(x, ScaledMatrix(y, 1e200), nil)
	if !errors.Is(err, ErrDiverged) {
		t.Errorf("of an infinite loss: %v", err)
	}
	steep := NewNetwork(t, 1, Dense{Units: 1})
	steep.Weights(0).Set(0, 0, 1e200)
	_, err = steep.InputGradient(mat.NewDense(1, 1, []float64{1e-50}), mat.NewDense(1, 1, nil), Squared{})
	if !errors.Is(err, ErrDiverged) {
		t.Errorf("of a finite loss of 1e300 with an infinite derivative: %v", err)
	}
}

// There is no direction in a gradient that is not finite, and to make it NaN would hide why.
func TestClipNormLeavesAnInfiniteGradientAlone(t *testing.T) {
	grad := []float64{3, math.Inf(-1), 4}
	if norm := ClipNorm(grad, 1); !math.IsInf(norm, 1) {
		t.Errorf("the norm is %v", norm)
	}
	SameBits(t, "gradient", grad, []float64{3, math.Inf(-1), 4})
	grad = []float64{3e200, 4e200} // whose squares overflow
	EqualTo(t, "norm", []float64{ClipNorm(grad, 1)}, []float64{5e200}, 1e-15)
	EqualTo(t, "gradient", grad, []float64{0.6, 0.8}, 1e-15)
}

// 0 means no clipping, as in a TrainConfig.
func TestClipNormClipsToAboveZeroOnly(t *testing.T) {
	for _, c := range []float64{0, -1} {
		grad := []float64{3, 4}
		EqualTo(t, "norm", []float64{ClipNorm(grad, c)}, []float64{5}, 0)
		SameBits(t, "gradient", grad, []float64{3, 4})
	}
}

// Others may use the network meanwhile.
func TestCheckGradientStepsOnACopy(t *testing.T) {
	net := NewNetwork(t, 2, BatchNorm{}, Dense{Units: 1})
	before := net.Clone()
	Value(net.CheckGradient(Pattern(4, 2), Pattern(4, 1), &Counting{Loss: MSE, Every: func() {
		if !slices.Equal(net.Params(), before.Params()) {
			t.Error("the network's own parameters are stepped on")
		}
	}}))(t)
}

// Whatever their mean is: Train scales the weights, and so does Adapt.
func TestAdaptLearnsWhatTrainDoes(t *testing.T) {
	want, x, y, weights := everything(t)
	got := want.Clone()
	for i := range weights {
		weights[i] *= 1e300 * float64(1+i)
	}
	Value(want.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.01, Epochs: 1, Freeze: []int{1, 3, 4}, SampleWeights: weights}))(t)
	NoError(t, got.Adapt(Data{X: x, Y: y, SampleWeights: weights}))
	for _, i := range []int{0, 6} {
		m, v := want.Statistics(i)
		m2, v2 := got.Statistics(i)
		SameBits(t, "moments", slices.Concat(m2, v2), slices.Concat(m, v))
	}
}
