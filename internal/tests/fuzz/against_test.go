package fuzz_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// Random networks and configurations train as a naive training of the same does: parameters,
// statistics, losses and norms. They may differ by what rounding does, u = 2⁻⁵³ for each operation
// on the longest way through the network, the batch and all steps. Training may magnify it: by how
// much is seen from the naive training itself, begun beside its beginning by as many roundings: a
// hundred times that is allowed. Where it leaves fewer than six digits, nothing is compared.
func FuzzAgainstNaive(f *testing.F) {
	for _, seed := range seeds(300, 4) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &dice{data}
		c := d.benign()
		net, err := New(c.inputs, c.layers...)
		NoError(t, err)
		net.Init(c.config.Seed)
		jitter := Pattern(1, len(net.Params())).RawMatrix().Data
		for i := range jitter {
			net.Params()[i] += jitter[i] / 8 // biases, γ and β of their own
		}
		start := slices.Clone(net.Params())
		h, err := net.Train(t.Context(), c.x, c.y, c.config)
		if errors.Is(err, ErrDiverged) {
			return
		}
		NoError(t, err)
		s := StateOf(net)
		got := [3][]float64{s.Params, s.Statistics}
		for _, e := range h.Epochs {
			if c.config.Validation.X == nil {
				e.ValidationLoss = 0
			}
			got[2] = append(got[2], e.Loss, e.ValidationLoss, e.GradNorm)
		}
		want, u := c.naive(start, 0, nil)
		var near [2][3][]float64
		for i := range near {
			near[i], _ = c.naive(start, u, rand.New(rand.NewPCG(uint64(i), 5)))
		}
		for i, what := range []string{"parameters", "statistics", "losses, validation losses and norms"} {
			if len(got[i]) != len(want[i]) {
				t.Fatalf("%d %s, want %d", len(got[i]), what, len(want[i]))
			}
			magnified := max(largestDifference(near[0][i], want[i]), largestDifference(near[1][i], want[i]))
			bound := u*(1+Largest(want[i])) + 100*magnified
			if !(bound < 1e-6*(1+Largest(want[i]))) {
				return
			}
			if off := largestDifference(got[i], want[i]); !(off <= bound) {
				t.Errorf("%s are off by %v, at most %v is rounding\n\t%v\n\t%+v", what, off, bound, c.layers, c.config)
			}
		}
	})
}

func largestDifference(a, b []float64) (off float64) {
	for i := range a {
		off = max(off, math.Abs(a[i]-b[i])) // NaN, too
	}
	return off
}

// A benign training has nothing that Train refuses and nothing that rounding alone decides.
type benign struct {
	inputs int
	layers []Layer
	x, y   *mat.Dense
	config TrainConfig
}

// standardizes tells whether a Standardize stands first.
func (c benign) standardizes() bool {
	first := c.layers[0]
	for {
		inner, ok := first.(Sequential)
		if !ok {
			_, ok = first.(Standardize)
			return ok
		}
		first = inner[0]
	}
}

// naive trains naively from parameters and inputs that are off by so much, relatively and at random,
// and returns what came out and the roundings on the longest way, in units of 1.
func (c benign) naive(start []float64, off float64, rng *rand.Rand) (values [3][]float64, u float64) {
	moved := func(values []float64) []float64 {
		values = slices.Clone(values)
		for i := range values {
			if rng != nil {
				values[i] *= 1 + off*(2*rng.Float64()-1)
			}
		}
		return values
	}
	listed := func(m mat.Matrix) (list rows) {
		if m == nil {
			return nil
		}
		for i := range RowsOf(m) {
			list = append(list, mat.Row(nil, i, m))
		}
		return list
	}
	n := &naive{TrainConfig: c.config}
	n.Optimizer = Fresh(c.config.Optimizer)
	params := moved(start)
	inputs := c.inputs
	for _, l := range c.layers {
		inputs = n.add(l, inputs, &params)
	}
	// Elements move each by itself, as rounding has it: batch norms, one behind the other, magnify the
	// rounding of a constant column's mean by 1/√ε each. For Standardize such a column stays constant.
	x := listed(c.x)
	for j := range c.inputs {
		column := mat.Col(nil, j, c.x)
		if c.standardizes() && slices.Min(column) == slices.Max(column) {
			continue
		}
		for i, v := range moved(column) {
			x[i][j] = v
		}
	}
	n.train(x, listed(c.y), listed(c.config.Validation.X), listed(c.config.Validation.Y))
	values[0], values[1], values[2] = n.values()
	return values, (n.roundings + float64(len(x))) * n.step * 0x1p-53
}

func (d *dice) benign() benign {
	width, samples, wide := 6, 4+d.roll(16), d.roll(12) == 1
	if wide { // crews, and products that pass over zeros
		width, samples = 120, 64+d.roll(64)
	}
	c := benign{inputs: d.roll(width)}
	if wide {
		c.inputs = 40 + d.roll(80)
	}
	units, normalized := c.inputs, false
	hidden := func() Layer {
		switch d.roll(8) {
		case 1:
			normalized = true
			return BatchNorm{Activation: d.builtin(units), Momentum: d.of(0, 0.5, 1), Epsilon: d.of(0, 1e-3, 0.1)}
		case 2:
			return Dropout{}
		case 3:
			return Activate{F: d.builtin(units)}
		default:
			units = d.roll(width)
			return Dense{Units: units, Activation: d.builtin(units), NoBias: d.roll(4) == 1}
		}
	}
	if d.roll(4) == 1 {
		c.layers = append(c.layers, Standardize{})
	}
	if wide {
		units = 80 + d.roll(40)
		c.layers = append(c.layers, Dense{Units: units, Activation: ReLU})
	}
	for range d.roll(4) - 1 {
		if l := hidden(); d.roll(4) == 1 {
			c.layers = append(c.layers, Sequential{l, hidden()})
		} else {
			c.layers = append(c.layers, l)
		}
	}
	c.x = d.values(samples, c.inputs)
	if d.roll(3) == 1 {
		c.x.Apply(func(i, j int, v float64) float64 { return max(0, v) }, c.x) // as images
	}
	if column := d.roll(8 * c.inputs); column <= c.inputs { // a constant column, for Standardize
		for i := range samples {
			c.x.Set(i, column-1, 0.3)
		}
	}
	outputs := 1 + d.roll(4)
	c.y = d.values(samples, outputs)
	kind, f := d.roll(6), d.builtin(outputs)
	c.config = d.training(samples, normalized || kind <= 2)
	switch kind {
	case 1:
		c.config.Loss = MAE
	case 2:
		c.config.Loss = Huber{Delta: d.of(0, 0.5)}
	case 3:
		f, c.config.Loss = []Activation{Sigmoid, Sine{Named: "Sine"}}[d.roll(2)-1], BinaryCrossEntropy
		c.y.Apply(func(i, j int, v float64) float64 { return (1 + v) / 2 }, c.y)
	case 4:
		f, c.config.Loss = []Activation{Softmax, Sine{Named: "Sine"}}[d.roll(2)-1], CrossEntropy
		for i := range samples {
			row, sum := c.y.RawRowView(i), 0.0
			for j := range row {
				row[j] = math.Abs(row[j])
				sum += row[j]
			}
			for j := range row {
				row[j] /= sum
			}
		}
	default:
		c.config.Loss = MSE
	}
	if d.roll(2) == 1 && c.config.Loss == lossOfActivation(f) {
		c.config.Loss = nil
	}
	c.layers = append(c.layers, Dense{Units: outputs, Activation: f})
	if d.roll(3) == 1 {
		half := samples / 2
		c.config.Validation = Data{X: c.x.Slice(0, half, 0, c.inputs), Y: c.y.Slice(0, half, 0, outputs)}
	}
	return c
}

// of is one of the values.
func (d *dice) of(values ...float64) float64 { return values[d.roll(len(values))-1] }

// builtin is one of the package's activations.
func (d *dice) builtin(units int) Activation {
	f := Activations[d.roll(len(Activations))-1]
	if f == Softmax && units == 1 {
		return Sigmoid
	}
	return f
}

// values are drawn from [−1, 1].
func (d *dice) values(rows, cols int) *mat.Dense {
	rng, m := rand.New(rand.NewPCG(uint64(d.roll(256)), 6)), mat.NewDense(rows, cols, nil)
	m.Apply(func(i, j int, _ float64) float64 { return 2*rng.Float64() - 1 }, m)
	return m
}

// training is a configuration. Behind MAE and Huber, and before batch norm, a sum of the gradient may
// cancel to rounding and nothing else, which an optimizer that divides by its size would follow, had
// it not an ε well above.
func (d *dice) training(samples int, cancels bool) TrainConfig {
	c := TrainConfig{
		LearningRate: d.of(0.01, 0.1), Epochs: d.roll(3), NoShuffle: d.roll(2) == 1, Seed: uint64(d.roll(256)),
		L2: d.of(0, 0, 0.1), WeightDecay: d.of(0, 0, 0.1), ClipNorm: d.of(0, 0, 0.1, 1), ClipValue: d.of(0, 0, 0.01, 0.1),
	}
	if d.roll(3) > 1 {
		c.BatchSize = 3 + d.roll(samples)
	}
	epsilon := d.of(1e-3, 0.1)
	if !cancels && d.roll(2) == 1 {
		epsilon = 0
	}
	switch d.roll(7) {
	case 1:
		c.Optimizer = &SGD{}
	case 2:
		c.Optimizer = &SGD{Momentum: d.of(0.5, 0.9), Nesterov: d.roll(2) == 1}
	case 3:
		c.Optimizer = &AdaGrad{Epsilon: epsilon}
	case 4, 5:
		c.Optimizer = &RMSProp{Alpha: d.of(0, 0.5), Epsilon: epsilon, Momentum: d.of(0, 0.9), Centered: d.roll(2) == 1}
	case 6:
		c.Optimizer = &Adam{Beta1: d.of(0, 0.5), Beta2: d.of(0, 0.9), Epsilon: epsilon}
	}
	return c
}
