// Package misuse_test holds that bad input is an error which says where it is, what came and what
// was expected, that it never panics, and that it changes nothing.
package misuse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

func TestBadDataAreFoundBeforeTheFirstStep(t *testing.T) {
	bad := func(v float64, i, j int, rows, cols int) *mat.Dense {
		m := Pattern(rows, cols)
		m.Set(i, j, v)
		return m
	}
	x, y := Pattern(6, 3), Pattern(6, 2)
	for _, c := range []struct {
		x, y       *mat.Dense
		validation Data
		want       string
	}{
		{bad(math.NaN(), 4, 1, 6, 3), y, Data{}, "x row 4, column 1 is NaN"},
		{bad(math.Inf(1), 0, 0, 6, 3), y, Data{}, "x row 0, column 0 is +Inf"},
		{bad(math.Inf(-1), 5, 2, 6, 3), y, Data{}, "x row 5, column 2 is -Inf"},
		{x, bad(math.NaN(), 5, 0, 6, 2), Data{}, "y row 5, column 0 is NaN"},
		{x, bad(math.Inf(1), 2, 1, 6, 2), Data{}, "y row 2, column 1 is +Inf"},
		{x, y, Data{X: bad(math.NaN(), 1, 2, 6, 3), Y: y}, "Validation.X row 1, column 2 is NaN"},
		{x, y, Data{X: x, Y: bad(math.Inf(-1), 3, 1, 6, 2)}, "Validation.Y row 3, column 1 is -Inf"},
	} {
		net := NewNetwork(t, 3, Standardize{}, Dense{Units: 2})
		before := StateOf(net)
		h, err := net.Train(t.Context(), c.x, c.y, TrainConfig{LearningRate: 0.1, Epochs: 1, Validation: c.validation,
			Optimizer: StepFunc(func(params, grad []float64, eta float64) { t.Error("a step was made") })})
		Fails(t, err, "backprop: Train: "+c.want+", want a finite number")
		var element *ValueError
		if !errors.As(err, &element) || h != nil {
			t.Errorf("%T and history %v, want a *ValueError and none", err, h)
		}
		before.MustEqual(t, net)
	}
}

// Every misuse is an error that says where, what came and what was expected. None panics, and none
// changes the network.
func TestMisuseIsAnErrorAndChangesNothing(t *testing.T) {
	var (
		nilMatrix  *mat.Dense
		nilVector  *mat.VecDense
		nilNetwork *Network
		x, y       = Pattern(6, 2), Probabilities(6, 1)
		x16, y16   = Pattern(16, 2), Probabilities(16, 1)
		nan        = math.NaN()
	)
	build := func(inputs int, layers ...Layer) func(*Network) error {
		return func(*Network) error { _, err := New(inputs, layers...); return err }
	}
	train := func(change func(*TrainConfig)) func(*Network) error {
		return func(net *Network) error {
			config := TrainConfig{LearningRate: 0.1, Epochs: 2}
			change(&config)
			_, err := net.Train(t.Context(), x, y, config)
			return err
		}
	}
	trainOn := func(x, y mat.Matrix) func(*Network) error {
		return func(net *Network) error {
			_, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 2})
			return err
		}
	}
	predict := func(x mat.Matrix) func(*Network) error {
		return func(net *Network) error { _, err := net.Predict(x); return err }
	}
	predictTo := func(dst *mat.Dense, x mat.Matrix) func(*Network) error {
		return func(net *Network) error { return net.PredictTo(dst, x) }
	}
	loss := func(x, y mat.Matrix, l Loss) func(*Network) error {
		return func(net *Network) error { _, err := net.Loss(x, y, l); return err }
	}
	gradient := func(dst []float64, x, y mat.Matrix, l Loss) func(*Network) error {
		return func(net *Network) error { _, _, err := net.Gradient(dst, x, y, l); return err }
	}
	check := func(x, y mat.Matrix, l Loss) func(*Network) error {
		return func(net *Network) error { _, err := net.CheckGradient(x, y, l); return err }
	}
	on := func(net *Network, do func(*Network) error) func(*Network) error {
		return func(*Network) error { return do(net) }
	}
	metric := func(f func(p, a mat.Matrix) (float64, error), p, a mat.Matrix) func(*Network) error {
		return func(*Network) error { _, err := f(p, a); return err }
	}
	confusion := func(p, a mat.Matrix) (float64, error) { _, err := ConfusionMatrix(p, a); return 0, err }
	oneHot := func(labels []int, n int) func(*Network) error {
		return func(*Network) error { _, err := OneHot(labels, n); return err }
	}
	register := func(f Activation) func(*Network) error {
		return func(*Network) error { return RegisterActivation(f) }
	}
	with := func(m *mat.Dense, i, j int, v float64) *mat.Dense {
		m = mat.DenseCopyOf(m)
		m.Set(i, j, v)
		return m
	}
	softmax := NewNetwork(t, 2, Dense{Units: 3, Activation: Softmax})
	plain := NewNetwork(t, 2, Dense{Units: 1})
	nans := NewNetwork(t, 2, Dense{Units: 1, Activation: returnsNaN{}})
	used := &Adam{}
	used.Step(make([]float64, 3), make([]float64, 3), 1)

	for _, c := range []struct {
		name string
		do   func(*Network) error
		want string
	}{
		// New
		{"no inputs", build(0, Dense{Units: 1}), "backprop: New: 0 inputs, want 1 to 1073741824"},
		{"negative inputs", build(-3, Dense{Units: 1}), "backprop: New: -3 inputs, want 1 to 1073741824"},
		{"too many inputs", build(1<<30+1, Dense{Units: 1}), "backprop: New: 1073741825 inputs, want 1 to 1073741824"},
		{"no layers", build(2), "backprop: New: no layers, want at least one"},
		{"no units", build(2, Dense{}), "backprop: New: layer 0: Dense Units is 0, want 1 to 1073741824"},
		{"negative units", build(2, Dense{Units: -1}), "backprop: New: layer 0: Dense Units is -1, want 1 to 1073741824"},
		{"overflowing units", build(2, Dense{Units: math.MaxInt}, Dense{Units: 3}),
			fmt.Sprintf("backprop: New: layer 0: Dense Units is %d, want 1 to 1073741824", math.MaxInt)},
		{"overflowing units twice", build(2, Dense{Units: math.MaxInt}, Dense{Units: math.MaxInt}),
			fmt.Sprintf("backprop: New: layer 0: Dense Units is %d, want 1 to 1073741824\n", math.MaxInt) +
				fmt.Sprintf("backprop: New: layer 1: Dense Units is %d, want 1 to 1073741824", math.MaxInt)},
		{"too many weights", build(1<<20, Dense{Units: 1 << 20}),
			"backprop: New: layer 0: its weight has shape [1048576 1048576], want 1 to 1073741824 elements"},
		{"too many weights in all", build(1<<15, Dense{Units: 1 << 14}, Dense{Units: 1 << 15}, Dense{Units: 1 << 15}),
			"backprop: New: layer 1: its parameters and statistics take the network over 1073741824"},
		{"too many with the biases", build(1<<29, Dense{Units: 2}),
			"backprop: New: layer 0: its parameters and statistics take the network over 1073741824"},
		{"Softmax of one unit", build(2, Dense{Units: 1, Activation: Softmax}),
			"backprop: New: layer 0: a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid"},
		{"Softmax of one unit in batch norm", build(1, BatchNorm{Activation: Softmax}),
			"backprop: New: layer 0: a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid"},
		{"nil pointer to an activation", build(2, Dense{Units: 1, Activation: (*LeakyReLU)(nil)}),
			"backprop: New: layer 0: a *backprop.LeakyReLU is nil, want a value"},
		{"pointer to an activation", build(2, Dense{Units: 1, Activation: &LeakyReLU{}}),
			"backprop: New: layer 0: its Activation is a *backprop.LeakyReLU, want it without &"},
		{"LeakyReLU NaN", build(2, Dense{Units: 1, Activation: LeakyReLU{Slope: nan}}),
			"backprop: New: layer 0: LeakyReLU Slope is NaN, want a finite number"},
		{"ELU negative", build(2, Dense{Units: 1, Activation: ELU{Alpha: -1}}),
			"backprop: New: layer 0: ELU Alpha is -1, want a finite number above 0"},
		{"unknown initializer", build(2, Dense{Units: 1, Init: 77}),
			"backprop: New: layer 0: Dense Init is Initializer(77), want one of the package's initializers"},
		{"Momentum of batch norm", build(2, BatchNorm{Momentum: 1.5}),
			"backprop: New: layer 0: BatchNorm Momentum is 1.5, want 0 to 1"},
		{"Epsilon of batch norm", build(2, BatchNorm{Epsilon: -1}),
			"backprop: New: layer 0: BatchNorm Epsilon is -1, want a finite number above 0"},
		{"Rate 1", build(2, Dropout{Rate: 1}, Dense{Units: 1}),
			"backprop: New: layer 0: Dropout Rate is 1, want 0 to 1, 1 not included"},
		{"Rate NaN", build(2, Dropout{Rate: nan}, Dense{Units: 1}),
			"backprop: New: layer 0: Dropout Rate is NaN, want 0 to 1, 1 not included"},
		{"Dropout last", build(2, Dense{Units: 1}, Dropout{Rate: 0.5}),
			"backprop: New: layer 1: a Dropout cannot be the last layer, want a Dense or a BatchNorm"},
		{"Standardize last", build(2, Standardize{}),
			"backprop: New: layer 0: a Standardize cannot be the last layer, want a Dense or a BatchNorm"},
		{"Standardize second", build(2, Dense{Units: 2}, Standardize{}, Dense{Units: 1}),
			"backprop: New: layer 1: a Standardize stands behind another layer, want it first"},
		{"everything at once", build(2, Standardize{}, Dense{}, Dropout{Rate: -1}, Dense{Units: 1, Activation: Softmax}, Dropout{Rate: 0.5}),
			"backprop: New: layer 1: Dense Units is 0, want 1 to 1073741824\n" +
				"backprop: New: layer 2: Dropout Rate is -1, want 0 to 1, 1 not included\n" +
				"backprop: New: layer 3: a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid\n" +
				"backprop: New: layer 4: a Dropout cannot be the last layer, want a Dense or a BatchNorm"},

		// Predict and PredictTo
		{"Predict nil", predict(nil), "backprop: Predict: x is nil, want a matrix"},
		{"Predict nil matrix", predict(nilMatrix), "backprop: Predict: x is nil, want a matrix"},
		{"Predict nil vector", predict(nilVector), "backprop: Predict: x is nil, want a matrix"},
		{"Predict empty", predict(&mat.Dense{}), "backprop: Predict: x is 0×0, want N×2"},
		{"Predict wrong columns", predict(Pattern(4, 3)), "backprop: Predict: x is 4×3, want N×2"},
		{"Predict transposed", predict(x.T()), "backprop: Predict: x is 2×6, want N×2; samples are rows, so the transpose may be meant"},
		{"Predict NaN", predict(with(x, 3, 1, nan)), "backprop: Predict: x row 3, column 1 is NaN, want a finite number"},
		{"Predict infinity", predict(with(x, 0, 0, math.Inf(-1)).T().T()),
			"backprop: Predict: x row 0, column 0 is -Inf, want a finite number"},
		{"Predict zero network", on(new(Network), predict(x)), "backprop: Predict: the network has no layers; New makes one"},
		{"Predict nil network", on(nilNetwork, predict(x)), "backprop: Predict: the network has no layers; New makes one"},
		{"Predict overflow", on(scaledNetwork(t), predict(mat.NewDense(1, 1, []float64{1e200}))),
			"backprop: Predict: output row 0, column 0 is +Inf, want a finite number"},
		{"Predict NaN of an activation", on(nans, predict(x)),
			"backprop: Predict: output row 0, column 0 is NaN, want a finite number"},
		{"PredictTo nil", predictTo(nil, x), "backprop: PredictTo: dst is nil, want a matrix"},
		{"PredictTo too few rows", predictTo(mat.NewDense(5, 1, nil), x), "backprop: PredictTo: dst is 5×1, want 6×1"},
		{"PredictTo too many columns", predictTo(mat.NewDense(6, 2, nil), x), "backprop: PredictTo: dst is 6×2, want 6×1"},
		{"PredictTo its parameters", func(net *Network) error { return net.PredictTo(mat.NewDense(6, 1, net.Params()[:6]), x) },
			"backprop: PredictTo: dst overlaps the network's Params, want other memory"},
		{"PredictTo nil x", predictTo(mat.NewDense(6, 1, nil), nil), "backprop: PredictTo: x is nil, want a matrix"},
		{"PredictTo zero network", on(new(Network), predictTo(new(mat.Dense), x)),
			"backprop: PredictTo: the network has no layers; New makes one"},

		// Loss, Gradient and CheckGradient
		{"Loss nil y", loss(x, nil, nil), "backprop: Loss: y is nil, want a matrix"},
		{"Loss other length", loss(x, Pattern(5, 1), nil), "backprop: Loss: y is 5×1, want 6×1"},
		{"Loss nil network", on(nilNetwork, loss(x, y, nil)), "backprop: Loss: the network has no layers; New makes one"},
		{"Loss label above 1", loss(x, with(y, 2, 0, 1.5), nil),
			"backprop: Loss: y row 2, column 0 is 1.5, want 0 to 1 for BinaryCrossEntropy; a Softmax and OneHot are for more than two classes"},
		{"Loss negative label", loss(x, with(y, 2, 0, -0.25), BinaryCrossEntropy),
			"backprop: Loss: y row 2, column 0 is -0.25, want 0 to 1 for BinaryCrossEntropy; a Softmax and OneHot are for more than two classes"},
		{"Loss overflow", on(scaledNetwork(t), loss(mat.NewDense(1, 1, []float64{1}), mat.NewDense(1, 1, []float64{1}), nil)),
			"backprop: Loss: loss or gradient is not finite: it is +Inf"},
		{"Huber negative", loss(x, y, Huber{Delta: -1}), "backprop: Loss: Huber Delta is -1, want a finite number above 0"},
		{"Huber nil pointer", loss(x, y, (*Huber)(nil)), "backprop: Loss: a *backprop.Huber is nil, want a value"},
		{"classes do not sum to 1", on(softmax, loss(x, mat.NewDense(6, 3, slices.Repeat([]float64{0.5, 0.25, 0}, 6)), nil)),
			"backprop: Loss: y row 0 sums to 0.75, want 1 for CrossEntropy; OneHot makes such rows"},
		{"class above 1", on(softmax, loss(x, mat.NewDense(6, 3, slices.Repeat([]float64{2, -1, 0}, 6)), nil)),
			"backprop: Loss: y row 0, column 0 is 2, want 0 to 1 for CrossEntropy; OneHot makes such rows"},
		{"Gradient short dst", gradient(make([]float64, 3), x, y, nil), "backprop: Gradient: dst is 3×1, want 16×1"},
		{"Gradient empty dst", gradient([]float64{}, x, y, nil), "backprop: Gradient: dst is 0×1, want 16×1"},
		{"Gradient into Params", func(net *Network) error { return gradient(net.Params(), x, y, nil)(net) },
			"backprop: Gradient: dst overlaps the network's Params, x or y, want other memory"},
		{"Gradient into x", func(net *Network) error { return gradient(x16.RawMatrix().Data[:16], x16, y16, nil)(net) },
			"backprop: Gradient: dst overlaps the network's Params, x or y, want other memory"},
		{"Gradient into y", func(net *Network) error { return gradient(y16.RawMatrix().Data[:16], x16, y16, nil)(net) },
			"backprop: Gradient: dst overlaps the network's Params, x or y, want other memory"},
		{"Gradient of one sample", gradient(nil, Pattern(1, 2), Probabilities(1, 1), nil),
			"backprop: Gradient: a batch of 1 is too small for layer 2, a BatchNorm, want 2 samples or more"},
		{"Gradient NaN of an activation", on(nans, gradient(nil, x, y, nil)),
			"backprop: Gradient: loss or gradient is not finite: the loss is NaN"},
		{"CheckGradient wrong columns", check(Pattern(6, 5), y, nil), "backprop: CheckGradient: x is 6×5, want N×2"},
		{"CheckGradient of one sample", check(Pattern(1, 2), Probabilities(1, 1), nil),
			"backprop: CheckGradient: a batch of 1 is too small for layer 2, a BatchNorm, want 2 samples or more"},
		{"CheckGradient NaN of an activation", on(nans, check(x, y, nil)),
			"backprop: CheckGradient: loss or gradient is not finite: the loss is NaN"},
		{"CheckGradient zero network", on(new(Network), check(x, y, nil)),
			"backprop: CheckGradient: the network has no layers; New makes one"},

		// Train: the data
		{"Train nil x", trainOn(nil, y), "backprop: Train: x is nil, want a matrix"},
		{"Train nil matrix", trainOn(x, nilMatrix), "backprop: Train: y is nil, want a matrix"},
		{"Train empty", trainOn(&mat.Dense{}, &mat.Dense{}), "backprop: Train: x is 0×0, want N×2"},
		{"Train wrong columns", trainOn(Pattern(6, 3), y), "backprop: Train: x is 6×3, want N×2"},
		{"Train other length", trainOn(x, Probabilities(7, 1)), "backprop: Train: y is 7×1, want 6×1"},
		{"Train wrong targets", trainOn(x, Probabilities(6, 2)), "backprop: Train: y is 6×2, want 6×1"},
		{"Train NaN", trainOn(x, with(y, 5, 0, nan)), "backprop: Train: y row 5, column 0 is NaN, want a finite number"},
		{"Train label", trainOn(x, with(y, 5, 0, 2)),
			"backprop: Train: y row 5, column 0 is 2, want 0 to 1 for BinaryCrossEntropy; a Softmax and OneHot are for more than two classes"},
		{"Train one sample", trainOn(Pattern(1, 2), Probabilities(1, 1)),
			"backprop: Train: a batch of 1 is too small for layer 2, a BatchNorm, want 2 samples or more"},
		{"Train too large for Standardize", trainOn(with(x, 0, 1, 1e200), y),
			"backprop: Train: column 1 of x is too large to standardize: its variance is not finite"},
		{"Train too small for Standardize", trainOn(ScaledMatrix(x, 1e-170), y),
			"backprop: Train: column 0 of x is too small to standardize: its variance underflows"},
		{"Train nil network", on(nilNetwork, trainOn(x, y)), "backprop: Train: the network has no layers; New makes one"},
		{"Train zero network", on(new(Network), trainOn(x, y)), "backprop: Train: the network has no layers; New makes one"},
		{"Train nil context", func(net *Network) error {
			var none context.Context
			_, err := net.Train(none, x, y, TrainConfig{LearningRate: 0.1, Epochs: 1})
			return err
		}, "backprop: Train: ctx is nil, want a context"},

		// Train: the configuration
		{"nothing configured", train(func(c *TrainConfig) { *c = TrainConfig{} }),
			"backprop: Train: LearningRate is 0, want a finite number above 0\n" +
				"backprop: Train: Epochs is 0, want 1 or more"},
		{"η NaN", train(func(c *TrainConfig) { c.LearningRate = nan }),
			"backprop: Train: LearningRate is NaN, want a finite number above 0"},
		{"η infinite", train(func(c *TrainConfig) { c.LearningRate = math.Inf(1) }),
			"backprop: Train: LearningRate is +Inf, want a finite number above 0"},
		{"η negative", train(func(c *TrainConfig) { c.LearningRate = -0.1 }),
			"backprop: Train: LearningRate is -0.1, want a finite number above 0"},
		{"negative epochs", train(func(c *TrainConfig) { c.Epochs = -1 }), "backprop: Train: Epochs is -1, want 1 or more"},
		{"negative batch", train(func(c *TrainConfig) { c.BatchSize = -1 }),
			"backprop: Train: BatchSize is -1, want 0 (all samples) or more"},
		{"batch of one with batch norm", train(func(c *TrainConfig) { c.BatchSize = 1 }),
			"backprop: Train: a batch of 1 is too small for layer 2, a BatchNorm, want 2 samples or more"},
		{"negative L2", train(func(c *TrainConfig) { c.L2 = -1 }),
			"backprop: Train: L2 is -1, want a finite number, 0 (none) or more"},
		{"WeightDecay NaN", train(func(c *TrainConfig) { c.WeightDecay = nan }),
			"backprop: Train: WeightDecay is NaN, want a finite number, 0 (none) or more"},
		{"negative clipping", train(func(c *TrainConfig) { c.ClipNorm, c.ClipValue = -1, -2 }),
			"backprop: Train: ClipNorm is -1, want a finite number, 0 (none) or more\n" +
				"backprop: Train: ClipValue is -2, want a finite number, 0 (none) or more"},
		{"TargetLoss NaN", train(func(c *TrainConfig) { c.TargetLoss = nan }),
			"backprop: Train: TargetLoss is NaN, want a finite number, 0 (none) or more"},
		{"Patience without validation", train(func(c *TrainConfig) { c.Patience = 3 }),
			"backprop: Train: Patience is 3, want Validation data with it"},
		{"negative Patience", train(func(c *TrainConfig) { c.Patience, c.Validation = -3, Data{X: x, Y: y} }),
			"backprop: Train: Patience is -3, want 0 (none) or more"},
		{"half a validation set", train(func(c *TrainConfig) { c.Validation.X = x }),
			"backprop: Train: Validation.Y is nil, want a matrix"},
		{"the other half", train(func(c *TrainConfig) { c.Validation.Y = y }),
			"backprop: Train: Validation.X is nil, want a matrix"},
		{"validation columns", train(func(c *TrainConfig) { c.Validation = Data{X: Pattern(3, 3), Y: y} }),
			"backprop: Train: Validation.X is 3×3, want N×2"},
		{"validation lengths", train(func(c *TrainConfig) { c.Validation = Data{X: Pattern(3, 2), Y: y} }),
			"backprop: Train: Validation.Y is 6×1, want 3×1"},
		{"validation label", train(func(c *TrainConfig) { c.Validation = Data{X: x, Y: with(y, 1, 0, 3)} }),
			"backprop: Train: Validation.Y row 1, column 0 is 3, want 0 to 1 for BinaryCrossEntropy; a Softmax and OneHot are for more than two classes"},
		{"nil Adam", train(func(c *TrainConfig) { c.Optimizer = (*Adam)(nil) }),
			"backprop: Train: a *backprop.Adam is nil, want a value"},
		{"nil SGD", train(func(c *TrainConfig) { c.Optimizer = (*SGD)(nil) }),
			"backprop: Train: a *backprop.SGD is nil, want a value"},
		{"Momentum 1", train(func(c *TrainConfig) { c.Optimizer = &SGD{Momentum: 1} }),
			"backprop: Train: SGD Momentum is 1, want 0 to 1, 1 not included"},
		{"Nesterov without Momentum", train(func(c *TrainConfig) { c.Optimizer = &SGD{Nesterov: true} }),
			"backprop: Train: SGD Nesterov is true, want a Momentum with it"},
		{"RMSProp all wrong", train(func(c *TrainConfig) { c.Optimizer = &RMSProp{Alpha: 2, Epsilon: nan, Momentum: -1} }),
			"backprop: Train: RMSProp Alpha is 2, want 0 to 1, 1 not included\n" +
				"backprop: Train: RMSProp Momentum is -1, want 0 to 1, 1 not included\n" +
				"backprop: Train: RMSProp Epsilon is NaN, want a finite number above 0"},
		{"Adam all wrong", train(func(c *TrainConfig) { c.Optimizer = &Adam{Beta1: 1, Beta2: -1, Epsilon: -1} }),
			"backprop: Train: Adam Beta1 is 1, want 0 to 1, 1 not included\n" +
				"backprop: Train: Adam Beta2 is -1, want 0 to 1, 1 not included\n" +
				"backprop: Train: Adam Epsilon is -1, want a finite number above 0"},
		{"AdaGrad wrong", train(func(c *TrainConfig) { c.Optimizer = &AdaGrad{Epsilon: math.Inf(1)} }),
			"backprop: Train: AdaGrad Epsilon is +Inf, want a finite number above 0"},
		{"another network's optimizer", train(func(c *TrainConfig) { c.Optimizer = used }),
			"backprop: Train: the optimizer remembers 6 values of another training, want 32 for 16 parameters"},
		{"StepDecay every 0", train(func(c *TrainConfig) { c.Schedule = StepDecay{} }),
			"backprop: Train: StepDecay Every is 0, want 1 or more"},
		{"StepDecay negative", train(func(c *TrainConfig) { c.Schedule = StepDecay{Every: 1, Factor: -1} }),
			"backprop: Train: StepDecay Factor is -1, want a finite number above 0"},
		{"nil StepDecay", train(func(c *TrainConfig) { c.Schedule = (*StepDecay)(nil) }),
			"backprop: Train: a *backprop.StepDecay is nil, want a value"},
		{"nil ScheduleFunc", train(func(c *TrainConfig) { c.Schedule = ScheduleFunc(nil) }),
			"backprop: Train: ScheduleFunc is nil, want a function"},
		{"StepDecay NaN", train(func(c *TrainConfig) { c.Schedule = StepDecay{Every: 1, Factor: nan} }),
			"backprop: Train: StepDecay Factor is NaN, want a finite number above 0"},
		{"CosineDecay of 0 epochs", train(func(c *TrainConfig) { c.Schedule = CosineDecay{Min: -1} }),
			"backprop: Train: CosineDecay Epochs is 0, want 1 or more\n" +
				"backprop: Train: CosineDecay Min is -1, want a finite number, 0 (none) or more"},
		{"Warmup of 0 epochs", train(func(c *TrainConfig) { c.Schedule = Warmup{Start: 2} }),
			"backprop: Train: Warmup Epochs is 0, want 1 or more\n" +
				"backprop: Train: Warmup Start is 2, want 0 to 1"},
		{"Warmup into a bad schedule", train(func(c *TrainConfig) { c.Schedule = Warmup{Epochs: 1, Then: StepDecay{}} }),
			"backprop: Train: StepDecay Every is 0, want 1 or more"},
		{"Warmup into a nil schedule", train(func(c *TrainConfig) { c.Schedule = Warmup{Epochs: 1, Then: (*StepDecay)(nil)} }),
			"backprop: Train: a *backprop.StepDecay is nil, want a value"},
		{"ReduceLROnPlateau all wrong", train(func(c *TrainConfig) {
			c.Schedule = ReduceLROnPlateau{Factor: 1, Threshold: -1, Min: -1, Patience: -1, Cooldown: -2}
		}),
			"backprop: Train: ReduceLROnPlateau Factor is 1, want 0 to 1, 1 not included\n" +
				"backprop: Train: ReduceLROnPlateau Threshold is -1, want 0 to 1, 1 not included\n" +
				"backprop: Train: ReduceLROnPlateau Min is -1, want a finite number, 0 (none) or more\n" +
				"backprop: Train: ReduceLROnPlateau Patience is -1, want 0 or more\n" +
				"backprop: Train: ReduceLROnPlateau Cooldown is -2, want 0 or more"},
		{"Huber in Train", train(func(c *TrainConfig) { c.Loss = Huber{Delta: nan} }),
			"backprop: Train: Huber Delta is NaN, want a finite number above 0"},
		{"nil pointer to a loss in Train", train(func(c *TrainConfig) { c.Loss = (*Huber)(nil) }),
			"backprop: Train: a *backprop.Huber is nil, want a value"},

		{"SampleWeights too few", train(func(c *TrainConfig) { c.SampleWeights = []float64{1, 2} }),
			"backprop: Train: SampleWeights is 2×1, want 6×1"},
		{"SampleWeights negative", train(func(c *TrainConfig) { c.SampleWeights = []float64{1, 1, 1, -1, 1, 1} }),
			"backprop: Train: SampleWeights row 3, column 0 is -1, want a finite number, 0 or more"},
		{"SampleWeights NaN", train(func(c *TrainConfig) { c.SampleWeights = []float64{1, 1, 1, 1, 1, nan} }),
			"backprop: Train: SampleWeights row 5, column 0 is NaN, want a finite number, 0 or more"},
		{"SampleWeights zero", train(func(c *TrainConfig) { c.SampleWeights = make([]float64, 6) }),
			"backprop: Train: SampleWeights sum to 0, want a finite number above 0"},
		{"SampleWeights huge", train(func(c *TrainConfig) { c.SampleWeights = slices.Repeat([]float64{1e308}, 6) }),
			"backprop: Train: SampleWeights sum to +Inf, want a finite number above 0"},
		{"SampleWeights empty", train(func(c *TrainConfig) { c.SampleWeights = []float64{} }),
			"backprop: Train: SampleWeights is 0×1, want 6×1"},
		{"Validation.SampleWeights", train(func(c *TrainConfig) { c.Validation = Data{X: x, Y: y, SampleWeights: []float64{1}} }),
			"backprop: Train: Validation.SampleWeights is 1×1, want 6×1"},
		{"Freeze", train(func(c *TrainConfig) { c.Freeze = []int{4} }), "backprop: Train: Freeze[0] is 4, want 0 to 3"},

		// Metrics, OneHot and RegisterActivation
		{"BalancedWeights nil", func(*Network) error { _, err := BalancedWeights(nil); return err },
			"backprop: BalancedWeights: y is nil, want a matrix"},
		{"ClassScores not square", func(*Network) error { _, err := ClassScores(Pattern(2, 3)); return err },
			"backprop: ClassScores: confusion is 2×3, want 3×3"},
		{"ClassScores no counts", func(*Network) error { _, err := ClassScores(mat.NewDense(1, 1, []float64{0.5})); return err },
			"backprop: ClassScores: confusion row 0, column 0 is 0.5, want a count"},
		{"LabelAccuracies", func(*Network) error { _, _, err := LabelAccuracies(y, ScaledMatrix(y, 9)); return err },
			"backprop: LabelAccuracies: actual row 0, column 0 is " + fmt.Sprint(9*y.At(0, 0)) + ", want 0 to 1 for a label"},
		{"Split nil", func(*Network) error { _, _, err := Data{Y: y}.Split(0.5, 1); return err },
			"backprop: Split: X is nil, want a matrix"},
		{"Split all", func(*Network) error { _, _, err := Data{X: x, Y: y}.Split(0.9, 1); return err },
			"backprop: Split: share is 0.9 of 6 samples, want some of them held out, and not all"},
		{"Split NaN", func(*Network) error { _, _, err := Data{X: x, Y: y}.Split(nan, 1); return err },
			"backprop: Split: share is NaN of 6 samples, want some of them held out, and not all"},
		{"Split weights", func(*Network) error {
			_, _, err := Data{X: x, Y: y, SampleWeights: []float64{1}}.Split(0.5, 1)
			return err
		},
			"backprop: Split: SampleWeights is 1×1, want 6×1"},
		{"Accuracy nil", metric(Accuracy, nil, y), "backprop: Accuracy: predicted is nil, want a matrix"},
		{"Accuracy nil matrix", metric(Accuracy, y, nilMatrix), "backprop: Accuracy: actual is nil, want a matrix"},
		{"Accuracy shapes", metric(Accuracy, y, x), "backprop: Accuracy: actual is 6×2, want 6×1"},
		{"Accuracy NaN", metric(Accuracy, with(y, 1, 0, nan), y),
			"backprop: Accuracy: predicted row 1, column 0 is NaN, want a finite number"},
		{"ConfusionMatrix empty", metric(confusion, &mat.Dense{}, &mat.Dense{}),
			"backprop: ConfusionMatrix: predicted is 0×0, want N×M"},
		{"ConfusionMatrix lengths", metric(confusion, y, Probabilities(5, 1)),
			"backprop: ConfusionMatrix: actual is 5×1, want 6×1"},
		{"ConfusionMatrix huge", metric(confusion, mat.NewDense(1, 1<<15+1, nil), Value(OneHot([]int{0}, 1<<15+1))(t)),
			"backprop: ConfusionMatrix: 32769×32769 counts for 32769 classes, want at most 1073741824 counts"},
		{"R2 infinity", metric(R2, y, with(y, 1, 0, math.Inf(1))),
			"backprop: R2: actual row 1, column 0 is +Inf, want a finite number"},
		{"R2 overflow", metric(R2, y, with(y, 1, 0, 1e200)),
			"backprop: R2: the sum of squares leaves the range of a float64; scale the data"},
		{"R2 underflow", metric(R2, mat.NewDense(2, 1, []float64{0, 1}), mat.NewDense(2, 1, []float64{0, 1e-200})),
			"backprop: R2: the sum of squares leaves the range of a float64; scale the data"},
		{"OneHot no labels", oneHot(nil, 3), "backprop: OneHot: no labels"},
		{"OneHot one class", oneHot([]int{0}, 1), "backprop: OneHot: classes is 1, want 2 to 1073741824 for 1 labels"},
		{"OneHot overflowing classes", oneHot([]int{0}, math.MaxInt),
			fmt.Sprintf("backprop: OneHot: classes is %d, want 2 to 1073741824 for 1 labels", math.MaxInt)},
		{"OneHot label", oneHot([]int{0, 3}, 3), "backprop: OneHot: label 1 is 3, want 0 to 2"},
		{"OneHot negative label", oneHot([]int{-1}, 3), "backprop: OneHot: label 0 is -1, want 0 to 2"},
		{"RegisterActivation nil", register(nil), "backprop: RegisterActivation: the activation is nil"},
		{"RegisterActivation nil pointer", register((*ELU)(nil)), "backprop: RegisterActivation: the activation is nil"},
		{"RegisterActivation built-in", register(Tanh), `backprop: RegisterActivation: the name "Tanh" is taken`},
		{"RegisterActivation with a parameter", register(LeakyReLU{Slope: 0.5}),
			`backprop: RegisterActivation: the name "LeakyReLU(0.5)" is taken`},
		{"RegisterActivation no name", register(Named("")),
			`backprop: RegisterActivation: the activation's name "" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{"RegisterActivation no UTF-8", register(Named("\xff")),
			`backprop: RegisterActivation: the activation's name "\xff" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{"RegisterActivation long name", register(Named(strings.Repeat("x", 201))),
			"backprop: RegisterActivation: the activation's name \"" + strings.Repeat("x", 50) + "\" cannot be saved, want 1 to 200 bytes of UTF-8"},
		{"SetState", func(*Network) error { return new(Adam).SetState([]float64{0.5, 1}) },
			"backprop: SetState: this is not the state of an optimizer"},
		{"SetState NaN", func(*Network) error { return (&SGD{Momentum: 0.9}).SetState([]float64{1, nan}) },
			"backprop: SetState: this is not the state of an optimizer"},
		{"plain network, wrong columns", on(plain, predict(Pattern(2, 1))), "backprop: Predict: x is 2×1, want N×2; samples are rows, so the transpose may be meant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			net := NewNetwork(t, 2, Standardize{}, Dense{Units: 3, NoBias: true}, BatchNorm{Activation: Tanh}, Dense{Units: 1, Activation: Sigmoid})
			before := StateOf(net)
			Fails(t, c.do(net), c.want)
			before.MustEqual(t, net)
		})
	}
}

// A pointer to a layer is an easy mistake, so the error says how to mend it; what else is wrong
// with the layers stands beside it.
func TestNewRefusesNilAndPointersToItsLayers(t *testing.T) {
	for _, c := range []struct {
		layer Layer
		want  []string
	}{
		{nil, []string{"layer 1: ", "nil"}},
		{&Dense{Units: 1}, []string{"layer 1: ", "*backprop.Dense", "without &"}},
		{(*Dense)(nil), []string{"layer 1: ", "*backprop.Dense"}},
		{&BatchNorm{}, []string{"layer 1: ", "*backprop.BatchNorm", "without &"}},
		{&Dropout{}, []string{"layer 1: ", "*backprop.Dropout", "without &"}},
		{&Standardize{}, []string{"layer 1: ", "*backprop.Standardize", "without &"}},
	} {
		net, err := New(2, Dense{}, c.layer, Dense{Units: 1})
		if err == nil || net != nil {
			t.Errorf("%T: network %v, error %v", c.layer, net, err)
			continue
		}
		for _, want := range append(c.want, "backprop: New: layer 0: Dense Units is 0, want 1 to 1073741824") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%T: the error is %q, want … %s …", c.layer, err, want)
			}
		}
	}
}

// The types of the errors, for programs.
func TestErrorsCanBeTold(t *testing.T) {
	Fails(t, ErrStop, "stop training")
	Fails(t, ErrDiverged, "loss or gradient is not finite")
	net := NewNetwork(t, 2, Dense{Units: 1, Activation: Sigmoid})
	var shape *ShapeError
	_, err := net.Predict(Pattern(4, 3))
	if !errors.As(err, &shape) || *shape != (ShapeError{Func: "Predict", Name: "x", Rows: 4, Cols: 3, WantRows: -1, WantCols: 2}) {
		t.Errorf("%+v", err)
	}
	var element *ValueError
	_, err = net.Loss(Pattern(1, 2), mat.NewDense(1, 1, []float64{7}), BinaryCrossEntropy)
	if !errors.As(err, &element) || *element != (ValueError{Func: "Loss", Name: "y", Row: 0, Col: 0, Value: 7, Want: "0 to 1 for BinaryCrossEntropy; a Softmax and OneHot are for more than two classes"}) {
		t.Errorf("%+v", err)
	}
	net = NewNetwork(t, 2, Dense{Units: 1})
	net.Params()[0] = 1e300
	if _, err := net.Loss(mat.NewDense(1, 2, []float64{1e10, 0}), Pattern(1, 1), nil); !errors.Is(err, ErrDiverged) {
		t.Errorf("%v does not wrap ErrDiverged", err)
	}
	if _, _, err := net.Gradient(nil, mat.NewDense(1, 2, []float64{1e10, 0}), Pattern(1, 1), nil); !errors.Is(err, ErrDiverged) {
		t.Errorf("%v does not wrap ErrDiverged", err)
	}
}

func TestNewBoundsTheLayers(t *testing.T) {
	_, err := New(1, slices.Repeat([]Layer{Dense{Units: 1}}, 1<<14+1)...)
	Fails(t, err, "backprop: New: 16385 layers, want at most 16384")
	_, err = Read(bytes.NewReader(BytesOf(t, NewNetwork(t, 1, slices.Repeat([]Layer{Dense{Units: 1}}, 1<<14)...))))
	NoError(t, err)
}

// scaledNetwork is a = 1e300·x.
func scaledNetwork(t testing.TB) *Network {
	net := NewNetwork(t, 1, Dense{Units: 1})
	net.Params()[0] = 1e300
	return net
}

type returnsNaN struct{ Named }

func (returnsNaN) Forward(a, z []float64) { a[0] = math.NaN() }
