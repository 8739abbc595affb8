package misuse_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// What would train, with a loss that looks fine, but learn nothing sensible.
func TestCombinationsThatTrainNonsenseAreErrors(t *testing.T) {
	x, classes, p := Pattern(6, 2), ClassTargets(6, 3), Probabilities(6, 3)
	for _, c := range []struct {
		name   string
		output Layer
		y      mat.Matrix
		loss   Loss
		want   string // "" for none
	}{
		{"logits into CrossEntropy", Dense{Units: 3}, classes, CrossEntropy,
			"CrossEntropy takes what a Softmax gives, and the last layer ends with Identity; set its Activation to Softmax, or choose another loss"},
		{"three sigmoids into CrossEntropy", Dense{Units: 3, Activation: Sigmoid}, classes, CrossEntropy,
			"CrossEntropy takes what a Softmax gives, and the last layer ends with Sigmoid; set its Activation to Softmax, or choose another loss"},
		{"logits into BinaryCrossEntropy", Dense{Units: 3}, p, BinaryCrossEntropy,
			"BinaryCrossEntropy takes what a Sigmoid gives, and the last layer ends with Identity; set its Activation to Sigmoid, or choose another loss"},
		{"Tanh of batch norm into BinaryCrossEntropy", BatchNorm{Activation: Tanh}, Probabilities(6, 2), BinaryCrossEntropy,
			"BinaryCrossEntropy takes what a Sigmoid gives, and the last layer ends with Tanh; set its Activation to Sigmoid, or choose another loss"},
		{"an activation of one's own", Dense{Units: 3, Activation: Wrong{Activation: Softmax, K: 1}}, classes, CrossEntropy, ""},
		{"Softmax as a layer", Sequential{Dense{Units: 3}, Activate{F: Softmax}}, classes, CrossEntropy, ""},
		{"MSE behind Sigmoid", Dense{Units: 3, Activation: Sigmoid}, p, MSE, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			net := NewNetwork(t, 2, c.output)
			before := StateOf(net)
			_, err1 := net.Train(t.Context(), x, c.y, TrainConfig{LearningRate: 0.1, Epochs: 1, Loss: c.loss})
			_, err2 := net.Loss(x, c.y, c.loss)
			_, _, err3 := net.Gradient(nil, x, c.y, c.loss)
			if c.want == "" {
				NoError(t, errors.Join(err1, err2, err3))
				return
			}
			Fails(t, err1, "backprop: Train: "+c.want)
			Fails(t, err2, "backprop: Loss: "+c.want)
			Fails(t, err3, "backprop: Gradient: "+c.want)
			before.MustEqual(t, net)
		})
	}
}

// W ← (1 − ηλ)·W changes its sign in every step, or grows without bound.
func TestDecayThatTurnsWeightsOverIsAnError(t *testing.T) {
	train := func(c TrainConfig) error {
		c.Epochs = 3
		_, err := NewNetwork(t, 2, Dense{Units: 1}).Train(t.Context(), Pattern(4, 2), Pattern(4, 1), c)
		return err
	}
	NoError(t, train(TrainConfig{LearningRate: 0.5, WeightDecay: 1.5}))
	Fails(t, train(TrainConfig{LearningRate: 0.5, WeightDecay: 2}), "backprop: Train: LearningRate·WeightDecay is 1, want less than 1")
	growing := ScheduleFunc(func(base float64, history []Epoch) float64 { return base * float64(1+len(history)) })
	Fails(t, train(TrainConfig{LearningRate: 0.5, WeightDecay: 0.9, Schedule: growing}),
		"backprop: Train: Schedule gives η = 1.5 for epoch 2, want less than 1/WeightDecay")
}

func TestASecondTrainingOfANetworkAtTheSameTimeIsAnError(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 1})
	x, y := Pattern(4, 2), Pattern(4, 1)
	again := func() error {
		_, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 1})
		return err
	}
	var inner error
	_, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 1, OnEpoch: func(Epoch) error {
		inner = again()
		return nil
	}})
	NoError(t, err)
	Fails(t, inner, "backprop: Train: another Train of this network is under way, want one at a time or a network each")
	func() {
		defer func() { recover() }()
		net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 1, OnEpoch: func(Epoch) error { panic("the caller's") }})
	}()
	NoError(t, again()) // also after a panic and
	Fails(t, func() error { _, err := net.Train(context.Background(), nil, y, TrainConfig{}); return err }(), "backprop: Train: x is nil, want a matrix")
	NoError(t, again()) // an error
}

func TestTrainingOnTheParametersThemselvesIsAnError(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 2, NoBias: true})
	before := StateOf(net)
	for _, data := range [][2]mat.Matrix{{net.Weights(0), Pattern(2, 2)}, {Pattern(2, 2), net.Weights(0)}} {
		_, err := net.Train(t.Context(), data[0], data[1], TrainConfig{LearningRate: 0.1, Epochs: 1})
		Fails(t, err, "backprop: Train: x or y overlaps the network's Params, want a copy")
	}
	before.MustEqual(t, net)
}

// Accuracy of three labels a row, or of numbers for classes, would be that of something else.
func TestMetricsOfClassesRefuseWhatAreNone(t *testing.T) {
	const want = " for a row that is a class, as OneHot makes it; LabelAccuracies judges several labels a row, R2 numbers"
	p := Probabilities(2, 3)
	for _, c := range []struct {
		actual         *mat.Dense
		row, col       int
		value          float64
		wanted, report string
	}{
		{mat.NewDense(2, 3, []float64{0, 1, 0, 1, 1, 0}), 1, -1, 2, "1" + want, "row 1 sums to 2"},
		{mat.NewDense(2, 3, []float64{0, 0, 0, 1, 0, 0}), 0, -1, 0, "1" + want, "row 0 sums to 0"},
		{mat.NewDense(2, 3, []float64{0, 1, 0, 2, -1, 0}), 1, 0, 2, "0 to 1" + want, "row 1, column 0 is 2"},
		{mat.NewDense(2, 1, []float64{1, 2}), 1, 0, 2, "0 to 1" + want, "row 1, column 0 is 2"},
	} {
		_, err1 := Accuracy(p.Slice(0, 2, 0, Cols(c.actual)), c.actual)
		_, err2 := ConfusionMatrix(p.Slice(0, 2, 0, Cols(c.actual)), c.actual)
		for name, err := range map[string]error{"Accuracy": err1, "ConfusionMatrix": err2} {
			var element *ValueError
			if !errors.As(err, &element) || *element != (ValueError{Func: name, Name: "actual", Row: c.row, Col: c.col, Value: c.value, Want: c.wanted}) {
				t.Errorf("%v", err)
			}
			Fails(t, err, "backprop: "+name+": actual "+c.report+", want "+c.wanted)
		}
	}
}

// What newcomers hand in.
func TestErrorsSayTheRemedy(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 3, Activation: Softmax})
	_, err := net.Loss(Pattern(6, 2), Pattern(6, 1), nil)
	Fails(t, err, "backprop: Loss: y is 6×1, want 6×3; OneHot makes it of labels")
	_, err = net.Predict(Pattern(2, 90))
	Fails(t, err, "backprop: Predict: x is 2×90, want N×2; samples are rows, so the transpose may be meant")
	two := NewNetwork(t, 2, Dense{Units: 1, Activation: Sigmoid})
	_, err = two.Loss(Pattern(3, 2), mat.NewDense(3, 1, []float64{0, 1, 2}), nil)
	Fails(t, err, "backprop: Loss: y row 2, column 0 is 2, want 0 to 1 for BinaryCrossEntropy; a Softmax and OneHot are for more than two classes")
}

// The hint names what the training lacks.
func TestDivergenceSaysWhatMayHelp(t *testing.T) {
	for _, c := range []struct {
		layers []Layer
		y      float64
		want   string
	}{
		{[]Layer{Dense{Units: 1}}, 1, "a smaller LearningRate, ClipNorm, Standardize or BatchNorm"},
		{[]Layer{Standardize{}, Dense{Units: 1}}, 1, "a smaller LearningRate, ClipNorm or BatchNorm"},
		{[]Layer{Standardize{}, Dense{Units: 1}}, -4e5,
			"a smaller LearningRate, ClipNorm, Unstandardize (targets reach 4e+05) or BatchNorm"},
		{[]Layer{Dense{Units: 1}, Unstandardize{}}, -4e5, "a smaller LearningRate, ClipNorm, Standardize or BatchNorm"},
	} {
		_, err := NewNetwork(t, 2, c.layers...).Train(t.Context(), Pattern(9, 2), ScaledMatrix(mat.NewDense(9, 1, []float64{1, 1, 1, 1, 1, 1, 1, 1, 1}), c.y),
			TrainConfig{LearningRate: 1e100, Epochs: 100})
		if !errors.Is(err, ErrDiverged) || !strings.HasSuffix(err.Error(), "; try "+c.want) {
			t.Errorf("%v, want … try %s", err, c.want)
		}
	}
}

// What stands last already is no remedy, however far apart the targets lie.
func TestDivergenceDoesNotNameWhatIsThere(t *testing.T) {
	y := mat.NewDense(200, 1, nil)
	y.Set(7, 0, 1e5) // 14 standardized
	_, err := NewNetwork(t, 2, Dense{Units: 1}, Unstandardize{}).Train(t.Context(), Pattern(200, 2), y, TrainConfig{LearningRate: 1e100, Epochs: 100})
	if !errors.Is(err, ErrDiverged) || !strings.HasSuffix(err.Error(), "; try a smaller LearningRate, ClipNorm, Standardize or BatchNorm") {
		t.Error(err)
	}
}

// A nil network, and one that New has not made, are empty.
func TestNetworksThatNewHasNotMadeAreEmpty(t *testing.T) {
	for _, net := range []*Network{nil, {}} {
		net.Init(3)
		mean, variance := net.Statistics(0)
		if net.Params() != nil || net.Weights(0) != nil || net.Biases(0) != nil || mean != nil || variance != nil {
			t.Error("something in", net)
		}
		if s := net.String(); s != "the network has no layers; New makes one" {
			t.Errorf("String is %q", s)
		}
		_, err := net.Train(t.Context(), Pattern(1, 1), Pattern(1, 1), TrainConfig{LearningRate: 1, Epochs: 1})
		Fails(t, err, "backprop: Train: the network has no layers; New makes one")
	}
}

// Shrunk says that it has fewer rows than the matrix within it.
type shrunk struct{ *mat.Dense }

func (m shrunk) Dims() (r, c int) {
	r, c = m.Dense.Dims()
	return r / 2, c
}

func (m shrunk) T() mat.Matrix { return mat.Transpose{Matrix: m} }

// Rest is without the first column of the matrix within it.
type rest struct{ *mat.Dense }

func (m rest) Dims() (r, c int) {
	r, c = m.Dense.Dims()
	return r, c - 1
}

func (m rest) At(i, j int) float64 { return m.Dense.At(i, j+1) }

func (m rest) T() mat.Matrix { return mat.Transpose{Matrix: m} }

// A matrix is what its Dims and At say, whatever it is made of.
func TestMatricesAreWhatTheirMethodsSay(t *testing.T) {
	x, y := Pattern(12, 2), Pattern(12, 1)
	net, twin := NewNetwork(t, 2, Dense{Units: 1}), NewNetwork(t, 2, Dense{Units: 1})
	config := TrainConfig{LearningRate: 0.1, Epochs: 3, BatchSize: 4}
	halfX, halfY := x.Slice(0, 6, 0, 2), y.Slice(0, 6, 0, 1)
	SameBits(t, "predictions", Predict(t, net, shrunk{x}), Predict(t, net, halfX))
	Value(net.Train(t.Context(), shrunk{x}, shrunk{y}, config))(t)
	Value(twin.Train(t.Context(), halfX, halfY, config))(t)
	SameBits(t, "parameters", net.Params(), twin.Params())
	if a, b := Value(R2(shrunk{y}, shrunk{x.Slice(0, 12, 1, 2).(*mat.Dense)}))(t), Value(R2(halfY, x.Slice(0, 6, 1, 2)))(t); a != b {
		t.Errorf("R2 is %v, want %v", a, b)
	}
	if a, b := Value(R2(rest{x}, rest{ScaledMatrix(x, 2)}))(t), Value(R2(x.Slice(0, 12, 1, 2), ScaledMatrix(x, 2).Slice(0, 12, 1, 2)))(t); a != b {
		t.Errorf("R2 of the second column is %v, want %v", a, b)
	}
	counts := mat.NewDense(2, 3, []float64{100, 5, 1, 100, 2, 4})
	if a, b := Value(ClassScores(rest{counts}))(t), Value(ClassScores(counts.Slice(0, 2, 1, 3)))(t); !slices.Equal(a, b) {
		t.Errorf("ClassScores are %v, want %v", a, b)
	}
	_, err := net.Train(t.Context(), shrunk{x}, y, config)
	Fails(t, err, "backprop: Train: y is 12×1, want 6×1")
}

// The variance overflows where nothing else does: x̂ is 0, and so is the gradient.
func TestAVarianceThatOverflowsIsAnErrorOfGradient(t *testing.T) {
	net := NewNetwork(t, 1, BatchNorm{})
	x, y := mat.NewDense(2, 1, []float64{1e200, -1e200}), mat.NewDense(2, 1, []float64{1, 2})
	_, _, err := net.Gradient(nil, x, y, MSE)
	if !errors.Is(err, ErrDiverged) {
		t.Errorf("%v, want ErrDiverged", err)
	}
	if _, err := net.CheckGradient(x, y, MSE); !errors.Is(err, ErrDiverged) {
		t.Errorf("%v, want ErrDiverged", err)
	}
	mean, variance := net.Statistics(0)
	if mean[0] != 0 || variance[0] != 1 {
		t.Error("the running statistics have moved:", mean, variance)
	}
}

// Sums of it overflow, but nothing has to be summed.
func TestAConstantColumnOfHugeNumbersPassesAsZero(t *testing.T) {
	net := NewNetwork(t, 2, Standardize{}, Dense{Units: 1})
	x := mat.NewDense(3, 2, []float64{1e308, 1, 1e308, 2, 1e308, 3})
	Value(net.Train(t.Context(), x, Pattern(3, 1), TrainConfig{LearningRate: 0.1, Epochs: 2}))(t)
	mean, variance := net.Statistics(0)
	SameBits(t, "mean", mean[:1], []float64{1e308})
	SameBits(t, "variance", variance[:1], []float64{1})
	p := Predict(t, net, mat.NewDense(1, 2, []float64{1e308, 2}))
	EqualTo(t, "prediction of the middle", p, net.Biases(1).RawVector().Data, 0)
}

// The parameters are those of the lowest loss that was seen, not the last finite ones.
func TestADivergedNetworkIsNoWorseThanAtItsBest(t *testing.T) {
	x, y := Pattern(20, 2), Pattern(20, 1)
	for _, c := range []TrainConfig{
		{LearningRate: 0.9}, {LearningRate: 30, BatchSize: 5}, {LearningRate: 3, Optimizer: &SGD{Momentum: 0.9}},
		{LearningRate: 10, Validation: Data{X: Pattern(7, 2), Y: Pattern(7, 1)}},
	} {
		net := NewNetwork(t, 2, Dense{Units: 3, Activation: ReLU}, Dense{Units: 1})
		first := Value(net.Loss(x, y, nil))(t)
		c.Epochs = 5000
		c.Schedule = ScheduleFunc(func(base float64, history []Epoch) float64 { // learns, then explodes
			if len(history) < 10 {
				return 0.01
			}
			return base * 100
		})
		h, err := net.Train(t.Context(), x, y, c)
		if !errors.Is(err, ErrDiverged) || len(h.Epochs) < 10 {
			t.Fatalf("%v after %d epochs", err, len(h.Epochs))
		}
		loss := Value(net.Loss(x, y, nil))(t)
		if !(loss < first) {
			t.Errorf("%+v: a loss of %v, at the beginning it was %v", c, loss, first)
		}
		if c.BatchSize == 0 && c.Validation.X == nil && math.Abs(loss-h.Epochs[h.Best].Loss) > 1e-12*loss {
			t.Errorf("a loss of %v, the best epoch had %v", loss, h.Epochs[h.Best].Loss)
		}
	}
}
