// The tests of the library, in this order:
//
//	The textbook, by hand
//	Gradients
//	Extremes
//	Losses and metrics
//	Layers
//	Promises of training
//	Optimizers and schedules
//	Bad input
//	Concurrency and allocation
//	Helpers
//
// They see the library as its users do, through the public API. Figures are
// derived where they are asserted, or their source is named.
package backprop_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	. "example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// ─── The textbook, by hand ───────────────────────────────────────────────────

// A 2-2-1 network of sigmoids on one sample, with MSE and η = 1/2: forward, loss,
// every gradient and one update, written out without a matrix.
func TestTextbookForwardBackwardAndUpdateByHand(t *testing.T) {
	sigma := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	x1, x2, y := 0.05, 0.10, 0.01
	w11, w12, b1 := 0.15, 0.20, 0.35 // hidden unit 1
	w21, w22, b2 := 0.25, 0.30, 0.30 // hidden unit 2
	v1, v2, c := 0.40, 0.45, 0.60    // output unit
	eta := 0.5

	// z = w·x + b, a = σ(z)
	a1 := sigma(w11*x1 + w12*x2 + b1) // σ(0.3775) = 0.593269992107
	a2 := sigma(w21*x1 + w22*x2 + b2) // σ(0.3425) = 0.584797674718
	p := sigma(v1*a1 + v2*a2 + c)     // σ(1.100466950466) = 0.750347587823

	// L = (p−y)² with its one element, so ∂L/∂p = 2(p−y)
	loss := (p - y) * (p - y)
	dz := 2 * (p - y) * p * (1 - p) // ∂L/∂z = ∂L/∂p · σ′(z), and σ′ = σ(1−σ)

	// ∂L/∂v = ∂L/∂z · a
	dv1, dv2, dc := dz*a1, dz*a2, dz
	// ∂L/∂z of a hidden unit = ∂L/∂z · v · σ′
	dz1 := dz * v1 * a1 * (1 - a1)
	dz2 := dz * v2 * a2 * (1 - a2)
	grad := []float64{dz1 * x1, dz1 * x2, dz2 * x1, dz2 * x2, dz1, dz2, dv1, dv2, dc}
	params := []float64{w11, w12, w21, w22, b1, b2, v1, v2, c}
	updated := make([]float64, len(params))
	norm := 0.0
	for i := range params {
		updated[i] = params[i] - eta*grad[i] // θ ← θ − η·∂L/∂θ
		norm += grad[i] * grad[i]
	}

	net := newNetwork(t, 2, Dense{Units: 2, Activation: Sigmoid}, Dense{Units: 1, Activation: Sigmoid})
	copy(net.Params(), params)
	x, target := mat.NewDense(1, 2, []float64{x1, x2}), mat.NewDense(1, 1, []float64{y})
	predicted := value(net.Predict(x))(t)
	equalTo(t, "prediction", predicted.RawMatrix().Data, []float64{p}, fewUlps)
	equalTo(t, "prediction, rounded", []float64{predicted.At(0, 0)}, []float64{0.750347587823}, 1e-12)
	equalTo(t, "loss", []float64{value(net.Loss(x, target, MSE))(t)}, []float64{loss}, fewUlps)
	l, g, err := net.Gradient(nil, x, target, MSE)
	noError(t, err)
	equalTo(t, "loss with the gradient", []float64{l}, []float64{loss}, fewUlps)
	equalTo(t, "gradient", g, grad, fewUlps)
	h := value(net.Train(t.Context(), x, target, TrainConfig{LearningRate: eta, Epochs: 1, Loss: MSE}))(t)
	equalTo(t, "updated parameters", net.Params(), updated, fewUlps)
	equalTo(t, "loss of the epoch", []float64{h.Epochs[0].Loss}, []float64{loss}, fewUlps)
	equalTo(t, "norm of the gradient", []float64{h.Epochs[0].GradNorm}, []float64{math.Sqrt(norm)}, fewUlps)
}

// ─── Gradients ───────────────────────────────────────────────────────────────

var activations = []Activation{
	Identity, Sigmoid, Tanh, ReLU, GELU, SiLU, SELU, Softplus, Softmax,
	LeakyReLU{}, LeakyReLU{Slope: 0.3}, ELU{}, ELU{Alpha: 1.5},
}

var losses = []Loss{MSE, MAE, Huber{}, Huber{Delta: 0.5}, BinaryCrossEntropy, CrossEntropy}

// Every activation as the output before every loss, and in the layers before
// it. Sigmoid before BinaryCrossEntropy and Softmax before CrossEntropy go
// through the closed forms in z.
func TestGradientOfEveryActivationBeforeEveryLoss(t *testing.T) {
	for _, f := range activations {
		for _, l := range losses {
			t.Run(fmt.Sprintf("%v/%T%v", f, l, l), func(t *testing.T) {
				for depth := 1; depth <= 3; depth++ {
					for _, shape := range []struct{ samples, inputs, units int }{
						{1, 1, 1}, {1, 3, 2}, {5, 1, 1}, {6, 3, 4},
					} {
						if f == Softmax && shape.units == 1 {
							continue // has no gradient, and New refuses it
						}
						layers := slices.Repeat([]Layer{Dense{Units: shape.units, Activation: f, Init: GlorotNormal}}, depth)
						checkGradient(t, shape.inputs, layers, pattern(shape.samples, shape.inputs), l)
					}
				}
			})
		}
	}
}

func TestGradientOfEveryLayer(t *testing.T) {
	for name, layers := range map[string][]Layer{
		"no biases":             {Dense{Units: 4, Activation: Tanh, NoBias: true}, Dense{Units: 2, NoBias: true}},
		"orthogonal":            {Dense{Units: 4, Activation: Tanh, Init: Orthogonal}, Dense{Units: 2}},
		"batch norm":            {Dense{Units: 4, NoBias: true}, BatchNorm{}, Dense{Units: 2}},
		"batch norm first":      {BatchNorm{}, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2}},
		"batch norm last":       {Dense{Units: 4, Activation: Tanh}, Dense{Units: 2, NoBias: true}, BatchNorm{Activation: Sigmoid}},
		"batch norm twice":      {BatchNorm{}, Dense{Units: 3}, BatchNorm{Activation: Tanh}, Dense{Units: 2}},
		"batch norm alone":      {BatchNorm{Activation: Tanh, Epsilon: 0.1}},
		"batch norm ReLU":       {Dense{Units: 3, NoBias: true}, BatchNorm{Activation: ReLU}, Dense{Units: 2}},
		"batch norm Softmax":    {Dense{Units: 3, NoBias: true}, BatchNorm{Activation: Softmax}, Dense{Units: 2}},
		"batch norm LeakyReLU":  {Dense{Units: 3, NoBias: true}, BatchNorm{Activation: LeakyReLU{0.2}}, Dense{Units: 2}},
		"dropout":               {Dropout{}, Dense{Units: 4, Activation: Tanh}, Dropout{Rate: 0.9}, Dense{Units: 2}},
		"standardize":           {Standardize{}, Dense{Units: 4, Activation: Tanh}, Dense{Units: 2}},
		"standardize, norm":     {Standardize{}, BatchNorm{}, Dense{Units: 4, Activation: Tanh}, Dropout{}, Dense{Units: 2}},
		"user-made elementwise": {Dense{Units: 4, Activation: sine{}}, Dense{Units: 2, Activation: sine{}}},
		"user-made by row":      {Dense{Units: 4, Activation: unitLength{}}, Dense{Units: 2, Activation: unitLength{}}},
		"user-made behind norm": {Dense{Units: 4, NoBias: true}, BatchNorm{Activation: unitLength{}}, Dense{Units: 2}},
	} {
		for _, l := range []Loss{MSE, Huber{}, logCosh{}, weighted{}} {
			t.Run(fmt.Sprintf("%s/%T", name, l), func(t *testing.T) {
				checkGradient(t, 3, layers, pattern(6, 3), l)
			})
		}
	}
}

// What Standardize and BatchNorm have learnt is a constant of the gradient, and
// a gradient does not change it.
func TestGradientAfterTrainingLeavesTheStatisticsAlone(t *testing.T) {
	layers := []Layer{Standardize{}, Dense{Units: 4, Activation: Tanh, NoBias: true}, BatchNorm{}, Dropout{}, Dense{Units: 2}}
	net := newNetwork(t, 3, layers...)
	x, y := pattern(20, 3), pattern(20, 2)
	value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 5, BatchSize: 8}))(t)
	before := stateOf(net)
	if mean, _ := net.Statistics(0); mean[0] == 0 {
		t.Fatal("Standardize has learnt nothing")
	}
	compareGradients(t, net, x, y, MSE)
	before.mustEqual(t, net)
}

// CheckGradient is only worth something if it finds what is wrong. A derivative
// that is k times the true one differs by |k−1|/max(k, 1) of the larger.
func TestCheckGradientFindsAWrongDerivative(t *testing.T) {
	for _, k := range []float64{1.01, 0.99, 1.0001, 2, -1, 0} {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			// Dropout has no parameter, so layer 1 is the first that can be named.
			// Layer 2 lies behind the mistake and is right.
			net := newNetwork(t, 2, Dropout{}, Dense{Units: 3, Activation: wrong{Tanh, k}}, Dense{Units: 2})
			x, y := pattern(5, 2), pattern(5, 2)
			c := value(net.CheckGradient(x, y, MSE))(t)
			want := math.Abs(k-1) / max(math.Abs(k), 1)
			if math.Abs(c.MaxRelative-want) > 1e-6 {
				t.Errorf("MaxRelative is %v, want %v", c.MaxRelative, want)
			}
			if c.Layer != 1 || c.Index < 0 || c.Index >= 9 { // 3×2 weights and 3 biases
				t.Errorf("names layer %d, parameter %d, want layer 1, one of 0 to 8", c.Layer, c.Index)
			}
			_, grad, err := net.Gradient(nil, x, y, MSE)
			noError(t, err)
			equalTo(t, "Analytic", []float64{c.Analytic}, grad[c.Index:c.Index+1], 0)
			equalTo(t, "Numeric", []float64{c.Numeric}, []float64{numericGradient(t, net, x, y, MSE)[c.Index]}, 1e-7)
		})
	}
}

func TestCheckGradientFindsAWrongLoss(t *testing.T) {
	net := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2})
	c := value(net.CheckGradient(pattern(5, 2), pattern(5, 2), halfGradient{}))(t)
	if math.Abs(c.MaxRelative-0.5) > 1e-6 {
		t.Errorf("MaxRelative is %v, want 0.5", c.MaxRelative)
	}
}

func TestCheckGradientLeavesTheNetworkAlone(t *testing.T) {
	net := newNetwork(t, 2, Dense{Units: 3, NoBias: true}, BatchNorm{Activation: Tanh}, Dropout{}, Dense{Units: 2})
	before := stateOf(net)
	value(net.CheckGradient(pattern(5, 2), pattern(5, 2), nil))(t)
	before.mustEqual(t, net)
}

func TestGradientIsStoredInDst(t *testing.T) {
	net := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2})
	x, y := pattern(5, 2), pattern(5, 2)
	_, fresh, err := net.Gradient(nil, x, y, MSE)
	noError(t, err)
	dst := slices.Repeat([]float64{math.NaN()}, len(net.Params()))
	_, grad, err := net.Gradient(dst, x, y, MSE)
	noError(t, err)
	if &grad[0] != &dst[0] {
		t.Error("the gradient is not in dst")
	}
	sameBits(t, "gradient", dst, fresh)
}

// checkGradient draws parameters at which no kink is near, and targets that
// suit the loss, and compares the gradient with differences.
func checkGradient(t *testing.T, inputs int, layers []Layer, x *mat.Dense, l Loss) {
	t.Helper()
	net := newNetwork(t, inputs, layers...)
	for seed := range uint64(1000) {
		net.Init(seed)
		rng := rand.New(rand.NewPCG(seed, 1))
		for i := range layers {
			if b := net.Biases(i); b != nil {
				for j := range b.Len() {
					b.SetVec(j, rng.NormFloat64()/2) // Init leaves them 0
				}
			}
		}
		if l == BinaryCrossEntropy || l == CrossEntropy {
			makeProbabilities(net, layers)
		}
		a := trainingOutput(t, net, layers, x)
		y := targetsFor(l, a)
		_, grad, err := net.Gradient(nil, x, y, l)
		noError(t, err)
		if a.nearestKink < 0.02 || largest(grad) < 1e-3 {
			continue // 0.02 is more than any z moves when a parameter moves by 0.002
		}
		if p := l == BinaryCrossEntropy || l == CrossEntropy; p && (mat.Min(a) < 0.05 || mat.Max(a) > 0.95) {
			continue // where the losses clamp, there is nothing to compare
		}
		compareGradients(t, net, x, y, l)
		return
	}
	t.Fatal("no seed gives a network away from the kinks with a gradient above 0")
}

// compareGradients compares backpropagation with CheckGradient's differences and
// with the test's own.
func compareGradients(t *testing.T, net *Network, x, y mat.Matrix, l Loss) {
	t.Helper()
	const bound = 1e-7
	if c := value(net.CheckGradient(x, y, l))(t); !(c.MaxRelative <= bound) {
		t.Errorf("CheckGradient: %+v, want at most %v", c, bound)
	}
	_, grad, err := net.Gradient(nil, x, y, l)
	noError(t, err)
	numeric := numericGradient(t, net, x, y, l)
	for i, g := range grad {
		scale := max(math.Abs(g), math.Abs(numeric[i]), largest(grad)/1000)
		if !(math.Abs(g-numeric[i]) <= bound*scale) {
			t.Errorf("parameter %d: ∂L/∂θ is %v, by differences %v", i, g, numeric[i])
		}
	}
}

// numericGradient is the five-point difference quotient of the loss,
// (L(−2h) − 8L(−h) + 8L(h) − L(2h))/12h, exact to O(h⁴).
func numericGradient(t *testing.T, net *Network, x, y mat.Matrix, l Loss) []float64 {
	t.Helper()
	params, grad := net.Params(), make([]float64, len(net.Params()))
	const h = 1e-3
	for i, theta := range params {
		at := func(v float64) float64 {
			params[i] = v
			loss, _, err := net.Gradient(nil, x, y, l)
			noError(t, err)
			return loss
		}
		grad[i] = (at(theta-2*h) - 8*at(theta-h) + 8*at(theta+h) - at(theta+2*h)) / (12 * h)
		params[i] = theta
	}
	return grad
}

// A probedOutput is a network's output in training mode, and how near to a kink
// at 0 the z of its layers have come.
type probedOutput struct {
	*mat.Dense
	nearestKink float64
}

// trainingOutput runs a twin of the network whose activations note what they
// see.
func trainingOutput(t *testing.T, net *Network, layers []Layer, x *mat.Dense) probedOutput {
	t.Helper()
	nearest, last := math.Inf(1), []float64(nil)
	probed := make([]Layer, len(layers))
	for i, l := range layers {
		see := func(a, z []float64) {
			for _, v := range z {
				nearest = min(nearest, math.Abs(v))
			}
			if i == len(layers)-1 {
				last = append(last, a...)
			}
		}
		switch l := l.(type) {
		case Dense:
			l.Activation = observed{cmp.Or(l.Activation, Identity), see}
			probed[i] = l
		case BatchNorm:
			l.Activation = observed{cmp.Or(l.Activation, Identity), see}
			probed[i] = l
		default:
			probed[i] = l
		}
	}
	rows, inputs := x.Dims()
	twin := newNetwork(t, inputs, probed...)
	copy(twin.Params(), net.Params())
	outputs := value(net.Predict(x))(t).RawMatrix().Cols
	_, _, err := twin.Gradient(nil, x, pattern(rows, outputs), MSE)
	noError(t, err)
	return probedOutput{mat.NewDense(rows, outputs, last), nearest}
}

// makeProbabilities moves the outputs into (0, 1), where they are not so by the
// activation: small weights and a bias whose f(b) is about a half.
func makeProbabilities(net *Network, layers []Layer) {
	i := len(layers) - 1
	switch layers[i].(Dense).Activation {
	case Sigmoid, Softmax:
		return
	case Softplus:
		fillVector(net.Biases(i), -0.5) // log(1+e^−0.5) = 0.47
	default:
		fillVector(net.Biases(i), 0.5)
	}
	w := net.Weights(i)
	w.Scale(0.1/mat.Max(absolute(w)), w)
}

// targetsFor are targets for the outputs a at which the loss has no kink.
func targetsFor(l Loss, a probedOutput) *mat.Dense {
	n, outputs := a.Dims()
	y := pattern(n, outputs)
	y.Apply(func(i, j int, v float64) float64 {
		away := math.Copysign(0.3+0.2*math.Abs(v), v) // |a−y| from 0.3 to 0.5
		switch l := l.(type) {
		case Huber:
			// On both sides of δ, by a fifth of it or more.
			delta := cmp.Or(l.Delta, 1)
			return a.At(i, j) + away*delta*float64(1+3*((i+j)%2))
		}
		switch l {
		case MAE:
			return a.At(i, j) + away
		case BinaryCrossEntropy, CrossEntropy:
			return (1 + v/2) / 2
		}
		return v
	}, y)
	if l == CrossEntropy {
		for i := range n {
			row := y.RawRowView(i)
			sum := 0.0
			for _, v := range row {
				sum += v
			}
			for j := range row {
				row[j] /= sum
			}
		}
	}
	return y
}

// ─── Extremes ────────────────────────────────────────────────────────────────

// extremes are arguments at which one formula or another overflows, underflows
// or cancels: exp ends at ±709.78 and −745.13, Φ underflows at −38.5.
var extremes = []float64{
	0, 5e-324, 1e-300, 1e-20, 1e-9, 1e-4, 0.03, 0.5, 1, 2, 3.7, 4.16, 4.17, 7, 8.31, 8.32, 9, 15, 19, 20, 30, 36, 36.8, 37.5,
	38, 38.4, 38.6, 40, 100, 354, 500, 708, 709, 709.7, 709.8, 740, 745, 746, 750, 1000,
}

// Every activation and its derivative against the definition in 600 digits.
func TestActivationsAreExactFromMinusToPlusThousand(t *testing.T) {
	const u = 0x1p-52
	one := bigFloat(1)
	logistic := func(z *big.Float) *big.Float { return quo(one, add(one, bigExp(neg(z)))) }
	elu := func(alpha, lambda float64) func(z *big.Float) (f, d *big.Float) {
		return func(z *big.Float) (f, d *big.Float) {
			if z.Sign() > 0 {
				return mul(bigFloat(lambda), z), bigFloat(lambda)
			}
			scale := mul(bigFloat(lambda), bigFloat(alpha))
			return mul(scale, sub(bigExp(z), one)), mul(scale, bigExp(z))
		}
	}
	leaky := func(slope float64) func(z *big.Float) (f, d *big.Float) {
		return func(z *big.Float) (f, d *big.Float) {
			if z.Sign() > 0 {
				return z, one
			}
			return mul(bigFloat(slope), z), bigFloat(slope)
		}
	}
	for _, c := range []struct {
		f         Activation
		reference func(z *big.Float) (f, d *big.Float)
		// Relative bounds of f and f′ at z. Where f′ is 1−a² or a(1−a), a's own
		// rounding counts up to 2¹² times, the documented limit.
		boundF, boundD func(z float64) float64
	}{
		{Identity, func(z *big.Float) (f, d *big.Float) { return z, one }, bound(0), bound(0)},
		{ReLU, leaky(0), bound(0), bound(0)},
		{LeakyReLU{}, leaky(0.01), bound(u), bound(u)},
		{LeakyReLU{Slope: -0.3}, leaky(-0.3), bound(u), bound(u)},
		{ELU{}, elu(1, 1), bound(3 * u), bound(3 * u)},
		{ELU{Alpha: 2.5}, elu(2.5, 1), bound(3 * u), bound(3 * u)},
		{SELU, elu(1.6732632423543772, 1.0507009873554805), bound(4 * u), bound(4 * u)},
		{Sigmoid, func(z *big.Float) (f, d *big.Float) {
			return logistic(z), mul(logistic(z), logistic(neg(z)))
		}, bound(4 * u), bound(0x1p12 * u)},
		{Tanh, func(z *big.Float) (f, d *big.Float) {
			e := bigExp(mul(bigFloat(-2), z))
			tanh := quo(sub(one, e), add(one, e))
			return tanh, quo(mul(bigFloat(4), e), mul(add(one, e), add(one, e)))
		}, bound(4 * u), bound(0x1p12 * u)},
		{Softplus, func(z *big.Float) (f, d *big.Float) {
			f = bigLog1p(bigExp(neg(new(big.Float).Abs(z))))
			if z.Sign() > 0 {
				f = add(f, z)
			}
			return f, logistic(z)
		}, bound(4 * u), bound(4 * u)},
		{SiLU, func(z *big.Float) (f, d *big.Float) {
			return mul(z, logistic(z)), mul(logistic(z), add(one, mul(z, logistic(neg(z)))))
		}, bound(6 * u), bound(20 * u)},
		// Here e^(−z²/2) turns one rounding of its argument into z²/2 of them.
		{GELU, bigGELU, func(z float64) float64 { return (4 + z*z) * u }, func(z float64) float64 { return (20 + 2*z*z) * u }},
	} {
		t.Run(c.f.String(), func(t *testing.T) {
			for _, size := range extremes {
				for _, z := range []float64{size, -size} {
					a, d := []float64{0}, []float64{0}
					c.f.Forward(a, []float64{z})
					c.f.Backward(d, []float64{1}, []float64{z}, a)
					wantA, wantD := c.reference(bigFloat(z))
					agrees(t, fmt.Sprintf("f(%v)", z), a[0], wantA, c.boundF(z), z)
					agrees(t, fmt.Sprintf("f′(%v)", z), d[0], wantD, c.boundD(z), z)
				}
			}
		})
	}
}

func TestSoftmaxIsExactAtExtremes(t *testing.T) {
	for _, z := range [][]float64{
		{1000, -1000}, {-1000, -1000, -1000}, {1000, 1000}, {710, 0}, {0, 745}, {1, 2, 3}, {-1000, 0, 1000, 999},
		{1e300, -1e300}, {math.MaxFloat64, -math.MaxFloat64}, {5e-324, 0},
	} {
		a := make([]float64, len(z))
		Softmax.Forward(a, z)
		for i := range z {
			sum := bigFloat(0) // 1/aᵢ = Σⱼ e^(zⱼ−zᵢ)
			for j := range z {
				if d := z[j] - z[i]; d < 3000 {
					sum = add(sum, bigExp(bigFloat(max(d, -3000))))
				} else {
					sum = add(sum, bigExp(bigFloat(3000)))
				}
			}
			agrees(t, fmt.Sprintf("softmax(%v)[%d]", z, i), a[i], quo(bigFloat(1), sum), 4*0x1p-52, 1)
			// ∂aᵢ/∂zⱼ = aᵢ·(δᵢⱼ − aⱼ)
			da, dz := make([]float64, len(z)), make([]float64, len(z))
			da[i] = 1
			Softmax.Backward(dz, da, z, a)
			for j := range z {
				want := -a[i] * a[j]
				if i == j {
					want = a[i] * (1 - a[i])
				}
				equalTo(t, fmt.Sprintf("derivative %d, %d", i, j), []float64{dz[j]}, []float64{want}, fewUlps)
			}
		}
	}
}

// The loss of a network that passes its inputs to the output's activation as
// they are, against the definition in 600 digits; and ∂L/∂z = a − y, read off
// the biases' gradient.
func TestCrossEntropiesAreExactAtExtremeLogits(t *testing.T) {
	for _, c := range []struct {
		f    Activation
		z, y []float64
	}{
		{Sigmoid, []float64{1000}, []float64{1}},
		{Sigmoid, []float64{1000}, []float64{0}},
		{Sigmoid, []float64{-1000}, []float64{0}},
		{Sigmoid, []float64{-1000}, []float64{1}},
		{Sigmoid, []float64{1000, -1000, 0}, []float64{0.25, 0.75, 0.5}},
		{Sigmoid, []float64{40, -40, 700, -700}, []float64{1, 0, 1, 0}},
		{Sigmoid, []float64{0.5, -3, 1e-9}, []float64{0, 0.1, 1}},
		{Softmax, []float64{1000, -1000}, []float64{1, 0}},
		{Softmax, []float64{1000, -1000}, []float64{0, 1}},
		{Softmax, []float64{-1000, -1000, -1000}, []float64{0.5, 0.25, 0.25}},
		{Softmax, []float64{1000, 0, -1000}, []float64{0.25, 0.5, 0.25}},
		{Softmax, []float64{1000, 960, -1000}, []float64{1, 0, 0}}, // the loss is e⁻⁴⁰
		{Softmax, []float64{1, 2, 3}, []float64{0, 1, 0}},
	} {
		t.Run(fmt.Sprintf("%v%v/%v", c.f, c.z, c.y), func(t *testing.T) {
			k := len(c.z)
			net := newNetwork(t, k, Dense{Units: k, Activation: c.f})
			setIdentity(net.Weights(0))
			x, y := mat.NewDense(1, k, c.z), mat.NewDense(1, k, c.y)
			loss, grad, err := net.Gradient(nil, x, y, nil)
			noError(t, err)
			one, want := bigFloat(1), bigFloat(0)
			dz := make([]*big.Float, k)
			for i, z := range c.z {
				zi, yi := bigFloat(z), bigFloat(c.y[i])
				if c.f == Sigmoid {
					a := quo(one, add(one, bigExp(neg(zi))))
					l := sub(bigLogExp1p(zi), mul(zi, yi)) // −y·log σ(z) − (1−y)·log σ(−z)
					want = add(want, quo(l, bigFloat(float64(k))))
					dz[i] = quo(sub(a, yi), bigFloat(float64(k)))
					continue
				}
				sum := bigFloat(0)
				for _, other := range c.z {
					sum = add(sum, bigExp(sub(bigFloat(other), zi)))
				}
				want = add(want, mul(yi, bigLog(sum)))
				dz[i] = sub(quo(one, sum), yi)
			}
			agrees(t, "loss", loss, want, 4*0x1p-52, 1)
			agrees(t, "loss in inference", value(net.Loss(x, y, nil))(t), want, 4*0x1p-52, 1)
			for i, got := range grad[k*k:] {
				w, _ := dz[i].Float64()
				if !(math.Abs(got-w) <= 0x1p-52) { // a − y has the rounding of a, which is at most 1
					t.Errorf("∂L/∂z%d is %v, want %v", i, got, w)
				}
			}
			noNaN(t, "gradient", grad)
		})
	}
}

// Behind another activation the probabilities are clamped at 1e-12: the loss is
// finite, and the derivative beyond is 0.
func TestCrossEntropiesOnProbabilitiesAreClamped(t *testing.T) {
	atClamp := 27.631021115928547 // −log 1e-12 = 12·log 10
	for _, c := range []struct {
		l        Loss
		a, y     []float64
		loss, da []float64
	}{
		{BinaryCrossEntropy, []float64{0}, []float64{1}, []float64{atClamp}, []float64{0}},
		{BinaryCrossEntropy, []float64{1}, []float64{0}, []float64{atClamp}, []float64{0}},
		{BinaryCrossEntropy, []float64{-5, 7}, []float64{1, 0}, []float64{atClamp}, []float64{0, 0}},
		{BinaryCrossEntropy, []float64{0.5}, []float64{1}, []float64{math.Ln2}, []float64{-2}},
		{CrossEntropy, []float64{0, 1}, []float64{1, 0}, []float64{atClamp}, []float64{0, 0}},
		{CrossEntropy, []float64{-3, 0.5}, []float64{0, 1}, []float64{math.Ln2}, []float64{0, -2}},
		{CrossEntropy, []float64{0, 0}, []float64{0, 1}, []float64{atClamp}, []float64{0, 0}},
	} {
		// 1−1e-12 has lost four digits of the 1e-12.
		equalTo(t, fmt.Sprintf("%T of %v, %v", c.l, c.a, c.y), []float64{c.l.Value(c.a, c.y)}, c.loss, 1e-5)
		da := make([]float64, len(c.a))
		c.l.Gradient(da, c.a, c.y)
		equalTo(t, "derivative", da, c.da, fewUlps)
	}
	for _, l := range []Loss{MSE, MAE, Huber{}, BinaryCrossEntropy, CrossEntropy} {
		if v := l.Value([]float64{math.NaN(), 0.5}, []float64{0, 1}); !math.IsNaN(v) {
			t.Errorf("%T hides a NaN: %v", l, v)
		}
	}
}

// agrees compares with a reference: relatively where float64 has all its digits
// there, else to some units in the last place of the smallest numbers, times
// the |z| that they may have been multiplied with.
func agrees(t *testing.T, what string, got float64, reference *big.Float, bound, z float64) {
	t.Helper()
	want, _ := reference.Float64()
	const smallestNormal, smallest = 0x1p-1022, 0x1p-1074
	allowed := bound * math.Abs(want)
	if math.Abs(want) < smallestNormal*max(1, math.Abs(z)) {
		allowed = 4 * smallest * max(1, math.Abs(z))
	}
	if bound == 0 {
		allowed = 0
	}
	if !(math.Abs(got-want) <= allowed) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func bound(relative float64) func(float64) float64 {
	return func(float64) float64 { return relative }
}

// The references are computed with 2000 bits: e^z − 1 loses 1074 of them at the
// smallest z, and the series of Φ some 1160 at z = −40.
const precision = 2000

func bigFloat(v float64) *big.Float     { return new(big.Float).SetPrec(precision).SetFloat64(v) }
func add(a, b *big.Float) *big.Float    { return new(big.Float).SetPrec(precision).Add(a, b) }
func sub(a, b *big.Float) *big.Float    { return new(big.Float).SetPrec(precision).Sub(a, b) }
func mul(a, b *big.Float) *big.Float    { return new(big.Float).SetPrec(precision).Mul(a, b) }
func quo(a, b *big.Float) *big.Float    { return new(big.Float).SetPrec(precision).Quo(a, b) }
func neg(a *big.Float) *big.Float       { return new(big.Float).SetPrec(precision).Neg(a) }
func below(a *big.Float, bits int) bool { return a.Sign() == 0 || a.MantExp(nil) < -bits }
func halved(a *big.Float, n int) *big.Float {
	return new(big.Float).SetPrec(precision).SetMantExp(a, -n)
}

// bigExp is e^z = (e^(z/2ᵏ))^(2ᵏ), the inner one by its series.
func bigExp(z *big.Float) *big.Float {
	const k = 60
	z = halved(z, k)
	sum, term := bigFloat(1), bigFloat(1)
	for n := 1.0; !below(term, precision+10); n++ {
		term = quo(mul(term, z), bigFloat(n))
		sum = add(sum, term)
	}
	for range k {
		sum = mul(sum, sum)
	}
	return sum
}

// bigLog1p is log(1+u) = 2·artanh(u/(2+u)) for u ≥ 0.
func bigLog1p(u *big.Float) *big.Float {
	r := quo(u, add(bigFloat(2), u))
	square, power, sum := mul(r, r), r, bigFloat(0)
	for n := 1.0; !below(power, precision-r.MantExp(nil)); n += 2 {
		sum = add(sum, quo(power, bigFloat(n)))
		power = mul(power, square)
	}
	return mul(bigFloat(2), sum)
}

// bigLogExp1p is log(1+eᶻ) = max(z, 0) + log(1+e^−|z|).
func bigLogExp1p(z *big.Float) *big.Float {
	l := bigLog1p(bigExp(neg(new(big.Float).Abs(z))))
	if z.Sign() > 0 {
		return add(l, z)
	}
	return l
}

// bigLog is log(v) for v ≥ 1: halving brings v to [1, 2).
func bigLog(v *big.Float) *big.Float {
	n := v.MantExp(nil) - 1
	return add(bigLog1p(sub(halved(v, n), bigFloat(1))), mul(bigFloat(float64(n)), bigLog1p(bigFloat(1))))
}

// bigGELU is z·Φ(z) and Φ(z) + z·φ(z), with
// Φ(z) = 1/2 + φ(z)·(z + z³/3 + z⁵/(3·5) + z⁷/(3·5·7) + …).
func bigGELU(z *big.Float) (f, d *big.Float) {
	square := mul(z, z)
	phi := quo(bigExp(halved(neg(square), 1)), new(big.Float).SetPrec(precision).Sqrt(mul(bigFloat(2), bigPi())))
	if v, _ := z.Float64(); math.Abs(v) >= 40 { // Φ is 0 or 1 to more digits than a float64 has
		cdf := bigFloat(max(0, math.Copysign(1, v)))
		return mul(z, cdf), add(cdf, mul(z, phi))
	}
	sum, term := bigFloat(0), z
	for n := 3.0; !below(term, precision); n += 2 {
		sum = add(sum, term)
		term = quo(mul(term, square), bigFloat(n))
	}
	cdf := add(bigFloat(0.5), mul(phi, sum))
	return mul(z, cdf), add(cdf, mul(z, phi))
}

// bigPi is Machin's 16·arctan(1/5) − 4·arctan(1/239).
var bigPi = sync.OnceValue(func() *big.Float {
	arctan := func(inverse float64) *big.Float {
		power, square, sum := quo(bigFloat(1), bigFloat(inverse)), bigFloat(-inverse*inverse), bigFloat(0)
		for n := 1.0; !below(power, precision+10); n += 2 {
			sum = add(sum, quo(power, bigFloat(n)))
			power = quo(power, square)
		}
		return sum
	}
	return sub(mul(bigFloat(16), arctan(5)), mul(bigFloat(4), arctan(239)))
})

// ─── Losses and metrics ──────────────────────────────────────────────────────

func TestLossesByHand(t *testing.T) {
	for _, c := range []struct {
		name   string
		l      Loss
		a, y   []float64
		loss   float64
		da     []float64
		within float64
	}{
		{"MSE", MSE, []float64{1, 2}, []float64{0, 4}, (1. + 4) / 2, []float64{1, -2}, 0},
		{"MSE of one", MSE, []float64{3}, []float64{1}, 4, []float64{4}, 0},
		{"MAE", MAE, []float64{1, 2, 5, 5}, []float64{0, 4, 5, 4}, (1. + 2 + 0 + 1) / 4, []float64{0.25, -0.25, 0, 0.25}, 0},
		{"Huber", Huber{}, []float64{0.5, -3, 1, 0}, []float64{0, 0, 0, 0}, (0.125 + 2.5 + 0.5 + 0) / 4,
			[]float64{0.125, -0.25, 0.25, 0}, 0},
		{"Huber 2", Huber{Delta: 2}, []float64{1, 5}, []float64{0, 0}, (0.5 + 2*(5-1)) / 2, []float64{0.5, 1}, 0},
		// −log(1/2), −log(3/4); (a−y)/(a(1−a))/2
		{"BinaryCrossEntropy", BinaryCrossEntropy, []float64{0.5, 0.25}, []float64{1, 0},
			(math.Ln2 + math.Log(4./3)) / 2, []float64{-1, 2. / 3}, 1e-15},
		// −¼·log(1/2) − ¾·log(1/4); −y/a
		{"CrossEntropy", CrossEntropy, []float64{0.5, 0.25, 0.25}, []float64{0.25, 0.75, 0},
			1.75 * math.Ln2, []float64{-0.5, -3, 0}, 1e-15},
	} {
		t.Run(c.name, func(t *testing.T) {
			equalTo(t, "Value", []float64{c.l.Value(c.a, c.y)}, []float64{c.loss}, c.within)
			da := make([]float64, len(c.a))
			c.l.Gradient(da, c.a, c.y)
			equalTo(t, "Gradient", da, c.da, c.within)
		})
	}
}

// The loss of a batch is the mean over its rows, however many they are.
func TestLossIsTheMeanOverTheSamples(t *testing.T) {
	net := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2, Activation: Sigmoid})
	x, y := pattern(700, 2), probabilities(700, 2)
	a := value(net.Predict(x))(t)
	for _, l := range []Loss{MSE, MAE, Huber{}, BinaryCrossEntropy, logCosh{}} {
		sum := 0.0
		for i := range 700 {
			sum += l.Value(a.RawRowView(i), y.RawRowView(i))
		}
		equalTo(t, fmt.Sprintf("%T", l), []float64{value(net.Loss(x, y, l))(t)}, []float64{sum / 700}, 1e-13)
		training, _, err := net.Gradient(nil, x, y, l)
		noError(t, err)
		equalTo(t, fmt.Sprintf("%T in training", l), []float64{training}, []float64{sum / 700}, 1e-13)
	}
}

func TestOutputActivationChoosesTheLoss(t *testing.T) {
	for _, f := range activations {
		want := MSE
		switch f {
		case Sigmoid:
			want = BinaryCrossEntropy
		case Softmax:
			want = CrossEntropy
		}
		net := newNetwork(t, 2, Dense{Units: 2, Activation: f})
		x, y := pattern(3, 2), mat.NewDense(3, 2, []float64{1, 0, 0.5, 0.5, 0, 1})
		sameBits(t, f.String(), []float64{value(net.Loss(x, y, nil))(t)}, []float64{value(net.Loss(x, y, want))(t)})
	}
}

// The closed form in z and the general form are the same function.
func TestClosedFormsEqualTheGeneralOnes(t *testing.T) {
	for _, f := range []Activation{Sigmoid, Softmax} {
		x, y := pattern(5, 3), mat.NewDense(5, 2, []float64{1, 0, 0.5, 0.5, 0, 1, 0.25, 0.75, 1, 0})
		fused := newNetwork(t, 3, Dense{Units: 2, Activation: f})
		general := newNetwork(t, 3, Dense{Units: 2, Activation: observed{f, func(a, z []float64) {}}})
		l := BinaryCrossEntropy
		if f == Softmax {
			l = CrossEntropy
		}
		wantLoss, wantGrad, err := general.Gradient(nil, x, y, l)
		noError(t, err)
		loss, grad, err := fused.Gradient(nil, x, y, l)
		noError(t, err)
		equalTo(t, "loss", []float64{loss}, []float64{wantLoss}, 1e-14)
		equalTo(t, "gradient", grad, wantGrad, 1e-12)
	}
}

func TestUserMadeLossAndActivationWorkLikeTheBuiltInOnes(t *testing.T) {
	x, y := pattern(20, 2), pattern(20, 2)
	config := TrainConfig{LearningRate: 0.1, Epochs: 20, BatchSize: 6, Loss: MSE}
	want := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2})
	value(want.Train(t.Context(), x, y, config))(t)
	net := newNetwork(t, 2, Dense{Units: 3, Activation: wrong{Tanh, 1}}, Dense{Units: 2}) // times 1 is right
	config.Loss = squared{}
	value(net.Train(t.Context(), x, y, config))(t)
	equalTo(t, "parameters", net.Params(), want.Params(), 1e-12)
}

// A user's type that embeds one of the package's keeps its own methods: they are
// not passed over for what the package can do faster.
func TestUserMadeMethodsWinOverEmbeddedOnes(t *testing.T) {
	x, y := pattern(9, 2), pattern(9, 3)
	train := func(f Activation, l Loss, o Optimizer) []float64 {
		net := newNetwork(t, 2, Dense{Units: 3, Activation: f, Init: HeNormal}, Dense{Units: 3})
		value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 5, Loss: l, Optimizer: o}))(t)
		return net.Params()
	}
	sameBits(t, "activation", train(embedsELU{}, MSE, nil), train(unitLength{}, MSE, nil))
	sameBits(t, "loss", train(Tanh, embedsHuber{}, nil), train(Tanh, weighted{}, nil))
	sameBits(t, "optimizer", train(Tanh, MSE, &embedsAdam{}), train(Tanh, MSE, still{}))
}

func TestAccuracyByHand(t *testing.T) {
	for _, c := range []struct {
		name              string
		columns           int
		predicted, actual []float64
		want              float64
	}{
		{"one column", 1, []float64{0.2, 0.5, 0.9, 0.4}, []float64{0, 1, 1, 1}, 0.75},
		{"two columns", 2, []float64{0.9, 0.1, 0.3, 0.7}, []float64{0, 1, 0, 1}, 0.5},
		{"first of equals", 3, []float64{0.4, 0.4, 0.2, 0.1, 0.45, 0.45}, []float64{1, 0, 0, 0, 1, 0}, 1},
		{"negative logits", 2, []float64{-5, -1, -1, -5, -2, -3}, []float64{0, 1, 0, 1, 1, 0}, 2. / 3},
		{"all wrong", 1, []float64{1, 0}, []float64{0, 1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(c.predicted) / c.columns
			got := value(Accuracy(mat.NewDense(n, c.columns, c.predicted), mat.NewDense(n, c.columns, c.actual)))(t)
			equalTo(t, "Accuracy", []float64{got}, []float64{c.want}, fewUlps)
		})
	}
}

func TestConfusionMatrixByHand(t *testing.T) {
	// Actual classes 0 0 1 2 2 2, predicted 0 1 1 2 2 0.
	actual := value(OneHot([]int{0, 0, 1, 2, 2, 2}, 3))(t)
	predicted := value(OneHot([]int{0, 1, 1, 2, 2, 0}, 3))(t)
	got := value(ConfusionMatrix(predicted, actual))(t)
	if want := mat.NewDense(3, 3, []float64{1, 1, 0, 0, 1, 0, 1, 0, 2}); !mat.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", mat.Formatted(got), mat.Formatted(want))
	}
	// In one column: actual 1 1 0 0 0, predicted 1 0 0 1 1.
	got = value(ConfusionMatrix(mat.NewVecDense(5, []float64{0.7, 0.1, 0.2, 0.5, 0.8}), mat.NewVecDense(5, []float64{1, 1, 0, 0, 0})))(t)
	if want := mat.NewDense(2, 2, []float64{1, 2, 1, 1}); !mat.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", mat.Formatted(got), mat.Formatted(want))
	}
}

func TestR2ByHand(t *testing.T) {
	for _, c := range []struct {
		name              string
		columns           int
		predicted, actual []float64
		want              float64
	}{
		// ȳ = 2, Σ(y−ȳ)² = 2, Σ(a−y)² = 0.25
		{"one column", 1, []float64{1, 2.5, 3}, []float64{1, 2, 3}, 1 - 0.25/2},
		{"perfect", 1, []float64{1, 2, 3}, []float64{1, 2, 3}, 1},
		{"the mean", 1, []float64{2, 2, 2}, []float64{1, 2, 3}, 0},
		{"worse than the mean", 1, []float64{3, 2, 1}, []float64{1, 2, 3}, 1 - 8./2},
		// columns: perfect 1, the mean 0
		{"two columns", 2, []float64{1, 5, 3, 5}, []float64{1, 4, 3, 6}, 0.5},
		{"constant, met", 1, []float64{7, 7}, []float64{7, 7}, 1},
		{"constant, missed", 1, []float64{7, 8}, []float64{7, 7}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(c.predicted) / c.columns
			got := value(R2(mat.NewDense(n, c.columns, c.predicted), mat.NewDense(n, c.columns, c.actual)))(t)
			equalTo(t, "R2", []float64{got}, []float64{c.want}, fewUlps)
		})
	}
}

func TestOneHotByHand(t *testing.T) {
	got := value(OneHot([]int{2, 0, 1}, 4))(t)
	if want := mat.NewDense(3, 4, []float64{0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0}); !mat.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", mat.Formatted(got), mat.Formatted(want))
	}
}

func TestMetricsTakeAnyMatrix(t *testing.T) {
	predicted, actual := mat.NewDense(2, 3, []float64{0.9, 0.2, 0.8, 0.1, 0.8, 0.2}), mat.NewDense(2, 3, []float64{1, 0, 0, 0, 1, 1})
	for name, metric := range map[string]func(p, a mat.Matrix) (float64, error){"Accuracy": Accuracy, "R2": R2} {
		want := value(metric(mat.DenseCopyOf(predicted.T()), mat.DenseCopyOf(actual.T())))(t)
		sameBits(t, name, []float64{value(metric(predicted.T(), actual.T()))(t)}, []float64{want})
	}
}

// ─── Layers ──────────────────────────────────────────────────────────────────

func TestNewAndInitAreReproducible(t *testing.T) {
	layers := []Layer{Dense{Units: 5, Activation: ReLU}, BatchNorm{}, Dense{Units: 3, Init: Orthogonal}}
	a, b := newNetwork(t, 4, layers...), newNetwork(t, 4, layers...)
	fresh := slices.Clone(a.Params())
	sameBits(t, "two networks", a.Params(), b.Params())
	a.Init(7)
	b.Init(7)
	sameBits(t, "the same seed", a.Params(), b.Params())
	if slices.Equal(a.Params(), fresh) {
		t.Error("another seed gives the same parameters")
	}
	a.Init(0)
	sameBits(t, "Init(0) and New", a.Params(), fresh)
}

func TestInitForgetsWhatTheLayersHaveLearnt(t *testing.T) {
	net := newNetwork(t, 2, Standardize{}, Dense{Units: 3}, BatchNorm{Activation: Tanh}, Dense{Units: 1})
	fresh := stateOf(net)
	x, y := pattern(8, 2), pattern(8, 1)
	value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 3}))(t)
	net.Init(0)
	fresh.mustEqual(t, net)
	x.Scale(5, x) // Standardize learns again
	value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 1}))(t)
	mean, variance := moments(mat.Col(nil, 0, x))
	gotMean, gotVariance := net.Statistics(0)
	equalTo(t, "mean and variance", []float64{gotMean[0], gotVariance[0]}, []float64{mean, variance}, 1e-14)
}

// With n weights a sample mean has standard deviation σ/√n, and a sample
// variance at most σ²·√(2/n) (that of a normal distribution). Five of them are
// allowed; the seed is fixed.
func TestInitializersHaveTheirVariance(t *testing.T) {
	const in, out = 200, 300
	for _, c := range []struct {
		init     Initializer
		variance float64
		limit    float64 // of a uniform distribution: √(3·variance)
	}{
		{GlorotUniform, 2. / (in + out), math.Sqrt(6. / (in + out))},
		{GlorotNormal, 2. / (in + out), 0},
		{HeUniform, 2. / in, math.Sqrt(6. / in)},
		{HeNormal, 2. / in, 0},
		{LeCunNormal, 1. / in, 0},
	} {
		t.Run(c.init.String(), func(t *testing.T) {
			net := newNetwork(t, in, Dense{Units: out, Init: c.init})
			w := net.Weights(0).RawMatrix().Data
			n := float64(len(w))
			mean, variance := moments(w)
			if math.Abs(mean) > 5*math.Sqrt(c.variance/n) {
				t.Errorf("mean is %v", mean)
			}
			if math.Abs(variance-c.variance) > 5*c.variance*math.Sqrt(2/n) {
				t.Errorf("variance is %v, want %v", variance, c.variance)
			}
			// Of 60,000 uniform draws the largest misses the limit by more than
			// a thousandth with probability e^−60; of normal ones some lie beyond 3σ.
			top := largest(w)
			if c.limit > 0 && (top > c.limit || top < 0.999*c.limit) {
				t.Errorf("largest is %v, want just below %v", top, c.limit)
			}
			if c.limit == 0 && top < 3*math.Sqrt(c.variance) {
				t.Errorf("largest is %v, which is not normal", top)
			}
			equalTo(t, "biases", net.Biases(0).RawVector().Data, make([]float64, out), 0)
		})
	}
}

func TestOrthogonalHasOrthonormalRowsOrColumns(t *testing.T) {
	for _, shape := range [][2]int{{1, 1}, {5, 5}, {40, 7}, {7, 40}, {1, 9}, {9, 1}} {
		in, out := shape[0], shape[1]
		net := newNetwork(t, in, Dense{Units: out, Init: Orthogonal})
		w, product := net.Weights(0), new(mat.Dense)
		if out <= in {
			product.Mul(w, w.T())
		} else {
			product.Mul(w.T(), w)
		}
		identity := mat.NewDense(min(in, out), min(in, out), nil)
		setIdentity(identity)
		if !mat.EqualApprox(product, identity, 1e-14) {
			t.Errorf("%d×%d: the product with the transpose is\n%v", out, in, mat.Formatted(product))
		}
	}
}

// A uniform orthogonal n×n matrix has entries of variance 1/n around 0, which
// is not so without the signs of R's diagonal.
func TestOrthogonalIsUniform(t *testing.T) {
	net := newNetwork(t, 3, Dense{Units: 3, Init: Orthogonal})
	const draws = 2000
	var corner [draws]float64
	for seed := range uint64(draws) {
		net.Init(seed)
		corner[seed] = net.Weights(0).At(0, 0)
	}
	mean, variance := moments(corner[:])
	if math.Abs(mean) > 5*math.Sqrt(1./3/draws) || math.Abs(variance-1./3) > 5./3*math.Sqrt(2./draws) {
		t.Errorf("mean %v, variance %v, want 0 and 1/3", mean, variance)
	}
}

func TestActivationChoosesTheInitializer(t *testing.T) {
	for _, c := range []struct {
		f    Activation
		want Initializer
	}{
		{nil, GlorotUniform}, {Identity, GlorotUniform}, {Sigmoid, GlorotUniform}, {Tanh, GlorotUniform},
		{Softplus, GlorotUniform}, {Softmax, GlorotUniform}, {unitLength{}, GlorotUniform},
		{ReLU, HeNormal}, {LeakyReLU{}, HeNormal}, {ELU{}, HeNormal}, {GELU, HeNormal}, {SiLU, HeNormal},
		{SELU, LeCunNormal},
	} {
		got := newNetwork(t, 4, Dense{Units: 3, Activation: c.f}).Params()
		sameBits(t, fmt.Sprint(c.f), got, newNetwork(t, 4, Dense{Units: 3, Activation: c.f, Init: c.want}).Params())
	}
}

func TestParametersLieLayerByLayer(t *testing.T) {
	net := newNetwork(t, 2, Standardize{}, Dense{Units: 3, Activation: Tanh}, BatchNorm{}, Dropout{}, Dense{Units: 1, NoBias: true})
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
	mean, _ := net.Statistics(2)
	mean[0] = 99 // a copy
	if again, _ := net.Statistics(2); again[0] != 0 {
		t.Error("Statistics is not a copy")
	}
	for _, i := range []int{-1, 5} {
		mean, variance := net.Statistics(i)
		if net.Weights(i) != nil || net.Biases(i) != nil || mean != nil || variance != nil {
			t.Errorf("there is no layer %d", i)
		}
	}
}

func TestStringIsATableOfTheLayers(t *testing.T) {
	net := newNetwork(t, 64, Standardize{}, Dense{Units: 128}, BatchNorm{Activation: ReLU}, Dropout{},
		Dense{Units: 16, Activation: LeakyReLU{}}, Dense{Units: 10, Activation: Softmax})
	want := strings.Join([]string{
		"layer  type                   output  parameters",
		"       input                  64      0",
		"0      Standardize            64      0",
		"1      Dense                  128     8320", // 64·128 + 128
		"2      BatchNorm ReLU         128     256",
		"3      Dropout                128     0",
		"4      Dense LeakyReLU(0.01)  16      2064", // 128·16 + 16
		"5      Dense Softmax          10      170",
		"                              total   10810",
		"",
	}, "\n")
	if got := net.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// One column, 1 and 3: mean 2, biased variance 1, unbiased variance 2.
func TestBatchNormByHand(t *testing.T) {
	for _, c := range []struct {
		layer             BatchNorm
		momentum, epsilon float64
	}{
		{BatchNorm{}, 0.1, 1e-5},
		{BatchNorm{Momentum: 0.25, Epsilon: 3}, 0.25, 3},
		{BatchNorm{Momentum: 1}, 1, 1e-5},
	} {
		var seen []float64
		c.layer.Activation = observed{Identity, func(a, z []float64) { seen = append(seen, z...) }}
		net := newNetwork(t, 1, c.layer)
		net.Weights(0).Set(0, 0, 3) // γ
		net.Biases(0).SetVec(0, 5)  // β
		x := mat.NewDense(2, 1, []float64{1, 3})
		value(net.Train(t.Context(), x, x, TrainConfig{LearningRate: 1, Epochs: 1, Optimizer: still{}}))(t)
		root := math.Sqrt(1 + c.epsilon)
		equalTo(t, "z in training", seen, []float64{5 - 3/root, 5 + 3/root}, fewUlps)
		mean, variance := net.Statistics(0)
		wantMean, wantVariance := c.momentum*2, (1-c.momentum)*1+c.momentum*2
		equalTo(t, "running mean", mean, []float64{wantMean}, fewUlps)
		equalTo(t, "running variance", variance, []float64{wantVariance}, fewUlps)
		p := value(net.Predict(x))(t)
		root = math.Sqrt(wantVariance + c.epsilon)
		equalTo(t, "prediction", p.RawMatrix().Data,
			[]float64{5 + 3*(1-wantMean)/root, 5 + 3*(3-wantMean)/root}, 4*fewUlps)
	}
}

// A layer that only repeats its inputs shows what Dropout before it has done
// with rows of ones.
func TestDropoutDropsAtItsRateWhileTraining(t *testing.T) {
	for _, c := range []struct{ rate, want float64 }{{0, 0.5}, {0.2, 0.2}, {0.9, 0.9}} {
		const units, samples, epochs = 20, 50, 10
		var seen []float64
		net := newNetwork(t, units, Dropout{Rate: c.rate},
			Dense{Units: units, NoBias: true, Activation: observed{Identity, func(a, z []float64) { seen = append(seen, z...) }}})
		setIdentity(net.Weights(1))
		ones := mat.NewDense(samples, units, slices.Repeat([]float64{1}, units*samples))
		value(net.Train(t.Context(), ones, ones, TrainConfig{LearningRate: 1, Epochs: epochs, BatchSize: 8, Optimizer: still{}}))(t)
		dropped := 0.0
		for _, v := range seen {
			switch v {
			case 0:
				dropped++
			case 1 / (1 - c.want):
			default:
				t.Fatalf("a one became %v, want 0 or %v", v, 1/(1-c.want))
			}
		}
		// A binomial count has variance n·p·(1−p); five deviations.
		n := float64(len(seen))
		if n != units*samples*epochs || math.Abs(dropped-n*c.want) > 5*math.Sqrt(n*c.want*(1-c.want)) {
			t.Errorf("rate %v: %v of %v dropped", c.rate, dropped, n)
		}
		if same := slices.Equal(seen[:units], seen[units:2*units]) && slices.Equal(seen[:units*samples], seen[units*samples:2*units*samples]); same {
			t.Error("every sample and every epoch drop the same units")
		}
		p := value(net.Predict(ones))(t)
		equalTo(t, "inference", p.RawMatrix().Data, ones.RawMatrix().Data, 0)
		if l := value(net.Loss(ones, ones, nil))(t); l != 0 {
			t.Errorf("the loss in inference is %v, want 0", l)
		}
	}
}

func TestDropoutIsDrawnFromTheSeed(t *testing.T) {
	train := func(seed uint64) []float64 {
		net := newNetwork(t, 3, Dense{Units: 8, Activation: Tanh}, Dropout{}, Dense{Units: 1})
		value(net.Train(t.Context(), pattern(10, 3), pattern(10, 1), TrainConfig{LearningRate: 0.1, Epochs: 3, Seed: seed}))(t)
		return net.Params()
	}
	sameBits(t, "the same seed", train(1), train(1))
	if slices.Equal(train(1), train(2)) {
		t.Error("another seed drops the same units")
	}
}

func TestStandardizeLearnsFromTheFirstTrainingData(t *testing.T) {
	var seen []float64
	net := newNetwork(t, 3, Standardize{}, Dense{Units: 3, NoBias: true,
		Activation: observed{Identity, func(a, z []float64) { seen = append(seen, z...) }}})
	setIdentity(net.Weights(1))
	// The columns: 1, 2, 6 with mean 3 and population variance (4+1+9)/3; a
	// constant that a mean of three would miss by rounding; −1, 0, 1.
	x := mat.NewDense(3, 3, []float64{1, 0.1, -1, 2, 0.1, 0, 6, 0.1, 1})
	equalTo(t, "before training", value(net.Predict(x))(t).RawMatrix().Data, x.RawMatrix().Data, 0)
	config := TrainConfig{LearningRate: 1, Epochs: 1, Optimizer: still{}, Loss: MSE}
	seen = nil
	value(net.Train(t.Context(), x, pattern(3, 3), config))(t)
	mean, variance := net.Statistics(0)
	equalTo(t, "mean", mean, []float64{3, 0.1, 0}, fewUlps)
	equalTo(t, "variance", variance, []float64{14. / 3, 1, 2. / 3}, fewUlps)
	s, r := math.Sqrt(14./3), math.Sqrt(2./3)
	want := []float64{-2 / s, 0, -1 / r, -1 / s, 0, 0, 3 / s, 0, 1 / r}
	equalTo(t, "in training", seen, want, fewUlps)
	equalTo(t, "in inference", value(net.Predict(x))(t).RawMatrix().Data, want, fewUlps)

	learnt := stateOf(net)
	x.Scale(100, x)
	value(net.Train(t.Context(), x, pattern(3, 3), config))(t)
	learnt.mustEqual(t, net) // a second training does not learn again
}

func TestRegisteredActivationNamesAreUnique(t *testing.T) {
	f := named(fmt.Sprint("test ", rand.Uint64())) // new when the test runs again
	noError(t, RegisterActivation(f))
	fails(t, RegisterActivation(f), fmt.Sprintf("backprop: RegisterActivation: the name %q is taken", f))
}

// ─── Promises of training ────────────────────────────────────────────────────

// The same values as a matrix of their own, a window of a larger one, a
// transpose and, for the targets, a vector with a stride.
func TestTrainNeitherChangesNorMindsHowTheDataLie(t *testing.T) {
	layers := []Layer{Standardize{}, Dense{Units: 4, Activation: Tanh}, BatchNorm{}, Dropout{Rate: 0.2}, Dense{Units: 1}}
	x, y := pattern(11, 3), pattern(11, 1)
	wideX, wideY := pattern(20, 9), pattern(20, 5)
	windowX, windowY := wideX.Slice(4, 15, 2, 5).(*mat.Dense), wideY.Slice(4, 15, 2, 3).(*mat.Dense)
	windowX.Copy(x)
	windowY.Copy(y)
	for _, optimizer := range []Optimizer{nil, &Adam{}} {
		var want []float64
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
				net := newNetwork(t, 3, layers...)
				config := TrainConfig{LearningRate: 0.1, Epochs: 5, BatchSize: batch, Optimizer: fresh(optimizer), L2: 0.1,
					Validation: Data{c.x, c.y}, Patience: 3}
				value(net.Train(t.Context(), c.x, c.y, config))(t)
				for i, m := range []mat.Matrix{c.x, c.y, wideX, wideY} {
					if !mat.Equal(m, before[i]) {
						t.Errorf("%s: the caller's data were changed", c.name)
					}
				}
				if batch == 0 {
					continue
				}
				if want == nil {
					want = slices.Clone(net.Params())
				}
				sameBits(t, c.name, net.Params(), want)
			}
		}
	}
}

// counted counts the samples of every step.
func countedSteps(t *testing.T, samples, batch int, layers ...Layer) (sizes []int) {
	t.Helper()
	loss := &counting{Loss: MSE}
	net := newNetwork(t, 2, layers...)
	value(net.Train(t.Context(), pattern(samples, 2), pattern(samples, 1), TrainConfig{
		LearningRate: 0.1, Epochs: 1, BatchSize: batch, Loss: loss,
		Optimizer: stepFunc(func(params, grad []float64, eta float64) {
			sizes = append(sizes, loss.values)
			loss.values = 0
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
		seen := &counting{Loss: MSE}
		config.LearningRate, config.Epochs, config.Loss = 1e-6, 4, seen
		config.OnEpoch = func(Epoch) error {
			epochs = append(epochs, slices.Clone(seen.targets))
			seen.targets = nil
			return nil
		}
		net := newNetwork(t, 1, Dense{Units: 1})
		value(net.Train(t.Context(), y, y, config))(t)
		return epochs
	}
	sorted := y.RawMatrix().Data
	shuffled := train(TrainConfig{BatchSize: 5})
	for i, e := range shuffled {
		if slices.Equal(e, sorted) || i > 0 && slices.Equal(e, shuffled[i-1]) {
			t.Errorf("epoch %d is not shuffled: %v", i, e)
		}
		equalTo(t, "samples of an epoch", slices.Sorted(slices.Values(e)), sorted, 0)
	}
	for _, e := range train(TrainConfig{BatchSize: 5, KeepOrder: true}) {
		equalTo(t, "KeepOrder", e, sorted, 0)
	}
	for _, e := range train(TrainConfig{}) {
		equalTo(t, "one batch needs no order", e, sorted, 0)
	}
}

// The same samples twice over are the same mean.
func TestGradientsAreMeansWhateverTheBatchSize(t *testing.T) {
	x, y := probabilities(5, 3), mat.NewDense(5, 2, []float64{0, 1, 1, 0, 0.5, 0.5, 0.25, 0.75, 1, 0})
	var x2, y2 mat.Dense
	x2.Stack(x, x)
	y2.Stack(y, y)
	for _, f := range []Activation{Sigmoid, Softmax, Softplus} {
		for _, l := range losses {
			one := newNetwork(t, 3, Dense{Units: 2, Activation: f})
			two := newNetwork(t, 3, Dense{Units: 2, Activation: f})
			config := TrainConfig{LearningRate: 0.5, Epochs: 1, Loss: l, L2: 0.1}
			h1 := value(one.Train(t.Context(), x, y, config))(t)
			h2 := value(two.Train(t.Context(), &x2, &y2, config))(t)
			what := fmt.Sprintf("%v, %T", f, l)
			equalTo(t, what+": parameters", two.Params(), one.Params(), 1e-13)
			equalTo(t, what+": loss", []float64{h2.Epochs[0].Loss}, []float64{h1.Epochs[0].Loss}, 1e-13)
			equalTo(t, what+": norm", []float64{h2.Epochs[0].GradNorm}, []float64{h1.Epochs[0].GradNorm}, 1e-13)
		}
	}
}

// The network is large enough for its products to be worth sharing.
func TestSameSeedSameBitsForAnyNumberOfProcessors(t *testing.T) {
	layers := []Layer{Standardize{}, Dense{Units: 160, Activation: Tanh}, BatchNorm{Activation: ReLU}, Dropout{Rate: 0.2},
		Dense{Units: 70, Activation: GELU}, Dense{Units: 10, Activation: Softmax}}
	x, y := pattern(301, 130), classes(301, 10)
	train := func(processors int) []float64 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		net := newNetwork(t, 130, layers...)
		h := value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-3, Epochs: 3, BatchSize: 100, Optimizer: &Adam{},
			Seed: 5, ClipNorm: 1, Validation: Data{x, y}}))(t)
		bits := slices.Concat(net.Params(), value(net.Predict(x))(t).RawMatrix().Data)
		for _, e := range h.Epochs {
			bits = append(bits, e.Loss, e.ValidationLoss, e.GradNorm)
		}
		return bits
	}
	want := train(1)
	for _, processors := range []int{1, 2, 8} {
		sameBits(t, fmt.Sprintf("GOMAXPROCS %d", processors), train(processors), want)
	}
}

func TestSeedMattersOnlyWhereSomethingIsDrawn(t *testing.T) {
	train := func(config TrainConfig) []float64 {
		net := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1})
		config.LearningRate, config.Epochs = 0.1, 3
		value(net.Train(t.Context(), pattern(9, 2), pattern(9, 1), config))(t)
		return net.Params()
	}
	sameBits(t, "one batch", train(TrainConfig{Seed: 1}), train(TrainConfig{Seed: 2}))
	sameBits(t, "kept order", train(TrainConfig{Seed: 1, BatchSize: 2, KeepOrder: true}), train(TrainConfig{Seed: 2, BatchSize: 2, KeepOrder: true}))
	if slices.Equal(train(TrainConfig{Seed: 1, BatchSize: 2}), train(TrainConfig{Seed: 2, BatchSize: 2})) {
		t.Error("another seed gives the same order")
	}
}

// The context is cancelled from inside a batch: the batch under way is the last.
func TestCancellationEndsTrainingWithinABatch(t *testing.T) {
	x, y := pattern(20, 2), pattern(20, 1)
	for name, c := range map[string]struct {
		arrange func(cancel func(), config *TrainConfig)
		steps   int // of 4 an epoch
		epochs  int
	}{
		"before the first batch": {func(cancel func(), _ *TrainConfig) { cancel() }, 0, 0},
		"in batch 2 of epoch 1": {func(cancel func(), config *TrainConfig) {
			config.Loss = &counting{Loss: MSE, then: map[int]func(){20 + 2*5 + 3: cancel}}
		}, 4 + 3, 1},
		"in OnEpoch": {func(cancel func(), config *TrainConfig) {
			config.OnEpoch = func(e Epoch) error { cancel(); return nil }
		}, 4, 1},
		"in the schedule of epoch 2": {func(cancel func(), config *TrainConfig) {
			config.Schedule = ScheduleFunc(func(base float64, history []Epoch) float64 {
				if len(history) == 2 {
					cancel()
				}
				return base
			})
		}, 8, 2},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			net := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1})
			steps := 0
			config := TrainConfig{LearningRate: 0.01, Epochs: 1000, BatchSize: 5, Loss: MSE,
				Optimizer: stepFunc(func(params, grad []float64, eta float64) {
					steps++
					params[0] += eta
				})}
			start := net.Params()[0]
			c.arrange(cancel, &config)
			h, err := net.Train(ctx, x, y, config)
			fails(t, err, fmt.Sprintf("backprop: Train: cancelled in epoch %d: context canceled", c.epochs))
			if !errors.Is(err, context.Canceled) {
				t.Error("the error does not wrap context.Canceled")
			}
			if steps != c.steps || len(h.Epochs) != c.epochs || h.Stopped != StopCancelled {
				t.Errorf("%d steps, %d epochs, %q, want %d, %d", steps, len(h.Epochs), h.Stopped, c.steps, c.epochs)
			}
			equalTo(t, "what was learnt", net.Params()[:1], []float64{start + 0.01*float64(steps)}, 1e-14)
			value(net.Predict(x))(t)
			config.Epochs, config.OnEpoch, config.Schedule, config.Loss = 1, nil, nil, MSE
			value(net.Train(t.Context(), x, y, config))(t)
		})
	}
}

func TestDeadlineIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		net := newNetwork(t, 2, Dense{Units: 1})
		h, err := net.Train(ctx, pattern(3, 2), pattern(3, 1), TrainConfig{LearningRate: 0.01, Epochs: 1000,
			Loss: &counting{Loss: MSE, every: func() { time.Sleep(time.Second) }}}) // the bubble's second
		if !errors.Is(err, context.DeadlineExceeded) || len(h.Epochs) != 4 {
			t.Errorf("%v after %d epochs of three seconds, want the deadline's error after 4", err, len(h.Epochs))
		}
	})
}

func TestBadDataAreFoundBeforeTheFirstStep(t *testing.T) {
	bad := func(v float64, i, j int, rows, cols int) *mat.Dense {
		m := pattern(rows, cols)
		m.Set(i, j, v)
		return m
	}
	x, y := pattern(6, 3), pattern(6, 2)
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
		{x, y, Data{bad(math.NaN(), 1, 2, 6, 3), y}, "Validation.X row 1, column 2 is NaN"},
		{x, y, Data{x, bad(math.Inf(-1), 3, 1, 6, 2)}, "Validation.Y row 3, column 1 is -Inf"},
	} {
		net := newNetwork(t, 3, Standardize{}, Dense{Units: 2})
		before := stateOf(net)
		h, err := net.Train(t.Context(), c.x, c.y, TrainConfig{LearningRate: 0.1, Epochs: 1, Validation: c.validation,
			Optimizer: stepFunc(func(params, grad []float64, eta float64) { t.Error("a step was made") })})
		fails(t, err, "backprop: Train: "+c.want+", want a finite number")
		var element *ValueError
		if !errors.As(err, &element) || h != nil {
			t.Errorf("%T and history %v, want a *ValueError and none", err, h)
		}
		before.mustEqual(t, net)
	}
}

// In each case a loss, a gradient or a parameter leaves the finite numbers. The
// network is to hold the parameters of the beginning of the epoch in which the
// loss was last seen finite.
func TestDivergenceKeepsTheLastFiniteParameters(t *testing.T) {
	x, y := pattern(6, 2), pattern(6, 1)
	poison := func(step, parameter int, v float64) Optimizer { // in one step of many
		n := 0
		return stepFunc(func(params, grad []float64, eta float64) {
			for i, g := range grad {
				params[i] -= eta * g
			}
			if n++; n == step {
				params[parameter] = v
			}
		})
	}
	relu := []Layer{Dense{Units: 3, Activation: ReLU}, Dense{Units: 1}}
	for name, c := range map[string]struct {
		layers       []Layer
		change       func(*TrainConfig)
		epoch, batch int // where it shows
		kept         int // the epoch at whose beginning the parameters were as they are to be
	}{
		// One step with ∂L/∂θ of about 1 overflows.
		"overflow in the very last epoch": {relu, func(c *TrainConfig) {
			c.Epochs, c.LearningRate, c.BatchSize = 1, 1e308, 0
			c.Loss = scaledLoss{1e3}
		}, 0, 0, 0},
		"a user's loss gives NaN": {relu, func(c *TrainConfig) {
			loss := &counting{Loss: MSE}
			loss.then = map[int]func(){2*6 + 3: func() { loss.result = math.NaN() }}
			c.Loss = loss
		}, 2, 1, 2},
		"a user's loss gives infinity in the first batch of an epoch": {relu, func(c *TrainConfig) {
			loss := &counting{Loss: MSE}
			loss.then = map[int]func(){2*6 + 1: func() { loss.result = math.Inf(1) }}
			c.Loss = loss
		}, 2, 0, 1},
		"a user's gradient gives NaN": {relu, func(c *TrainConfig) { c.Loss = nanGradient{} }, 0, 1, 0},
		"clipping meets a NaN":        {relu, func(c *TrainConfig) { c.Loss, c.ClipNorm = nanGradient{}, 1 }, 0, 0, 0},
		"NaN in a weight":             {relu, func(c *TrainConfig) { c.Optimizer = poison(5, 0, math.NaN()) }, 1, 2, 1},
		"ReLU hides −Inf in the last step": {relu, func(c *TrainConfig) {
			c.Optimizer, c.Epochs = poison(6, 6, math.Inf(-1)), 2 // parameter 6 is a bias
		}, 1, 2, 1},
		"ReLU hides −Inf for two batches": {relu, func(c *TrainConfig) {
			c.Optimizer = poison(4, 6, math.Inf(-1))
		}, 1, 2, 1},
		"an activation hides NaN": {[]Layer{Dense{Units: 3, Activation: nanIsZero{}}, Dense{Units: 1}}, func(c *TrainConfig) {
			c.Optimizer = poison(7, 0, math.NaN())
		}, 2, 2, 2},
		"only the validation loss overflows": {[]Layer{Dense{Units: 1}}, func(c *TrainConfig) {
			c.Validation = Data{mat.NewDense(1, 2, []float64{1e200, -1e200}), mat.NewDense(1, 1, nil)}
		}, 0, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			net := newNetwork(t, 2, c.layers...)
			begins := [][]float64{slices.Clone(net.Params())} // the parameters at the beginning of each epoch
			config := TrainConfig{LearningRate: 0.1, Epochs: 50, BatchSize: 2, Loss: MSE, OnEpoch: func(Epoch) error {
				begins = append(begins, slices.Clone(net.Params()))
				return nil
			}}
			c.change(&config)
			h, err := net.Train(t.Context(), x, y, config)
			fails(t, err, fmt.Sprintf("backprop: Train: epoch %d, batch %d: loss or gradient is not finite; "+
				"the network holds its last finite parameters; try a smaller LearningRate, ClipNorm, Standardize or BatchNorm", c.epoch, c.batch))
			if !errors.Is(err, ErrDiverged) || h.Stopped != StopDiverged || len(h.Epochs) != c.epoch {
				t.Errorf("%v, %q after %d epochs", err, h.Stopped, len(h.Epochs))
			}
			sameBits(t, "parameters", net.Params(), begins[c.kept])
			value(net.Loss(x, y, MSE))(t) // is an error unless it is finite
		})
	}
}

func TestHugeLearningRateDiverges(t *testing.T) {
	for _, optimizer := range []Optimizer{nil, &Momentum{}, &RMSProp{}, &Adam{}, &AdaGrad{}} {
		t.Run(fmt.Sprintf("%T", optimizer), func(t *testing.T) {
			net := newNetwork(t, 2, Dense{Units: 3}, Dense{Units: 1})
			x, y := pattern(6, 2), pattern(6, 1)
			h, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e100, Epochs: 1000, BatchSize: 2, Optimizer: optimizer})
			if !errors.Is(err, ErrDiverged) {
				t.Fatalf("%v after %d epochs, want ErrDiverged", err, len(h.Epochs))
			}
			noNaN(t, "parameters", net.Params())
			value(net.Loss(x, y, nil))(t)
			if o, ok := optimizer.(Stateful); ok && len(o.State()) != 0 {
				t.Error("the optimizer remembers the training that diverged")
			}
			_, err = net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-3, Epochs: 2, Optimizer: optimizer})
			noError(t, err)
		})
	}
}

// In the bubble of synctest, a goroutine that is left behind fails the test.
func TestNoGoroutineOutlivesTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(t, 300, Dense{Units: 300, Activation: ReLU}, Dropout{}, Dense{Units: 300})
		x, y := pattern(256, 300), pattern(256, 300)
		value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-3, Epochs: 1, BatchSize: 128, Progress: io.Discard}))(t)
		value(net.Predict(x))(t)
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

func TestOnEpochSeesEveryEpochAndMayUseTheNetwork(t *testing.T) {
	net := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dropout{}, Dense{Units: 1})
	x, y := pattern(7, 2), pattern(7, 1)
	vx, vy := pattern(600, 2), pattern(600, 1)
	var seen []Epoch
	h := value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 5, BatchSize: 3, Validation: Data{vx, vy},
		OnEpoch: func(e Epoch) error {
			seen = append(seen, e)
			sameBits(t, "validation loss", []float64{e.ValidationLoss}, []float64{value(net.Loss(vx, vy, nil))(t)})
			return nil
		}}))(t)
	if !slices.Equal(seen, h.Epochs) || len(seen) != 5 || h.Stopped != StopEpochs {
		t.Errorf("OnEpoch saw %v, the history is %v", seen, h)
	}
	for i, e := range seen {
		if e.N != i {
			t.Errorf("epoch %d has number %d", i, e.N)
		}
	}
}

func TestOnEpochEndsTraining(t *testing.T) {
	full := errors.New("the disk is full")
	for name, c := range map[string]struct{ returned, wrapped error }{
		"ErrStop":         {ErrStop, nil},
		"ErrStop wrapped": {fmt.Errorf("enough: %w", ErrStop), nil},
		"another error":   {full, full},
	} {
		t.Run(name, func(t *testing.T) {
			net := newNetwork(t, 1, Dense{Units: 1})
			h, err := net.Train(t.Context(), pattern(3, 1), pattern(3, 1), TrainConfig{LearningRate: 0.1, Epochs: 9,
				OnEpoch: func(e Epoch) error {
					if e.N == 2 {
						return c.returned
					}
					return nil
				}})
			if !errors.Is(err, c.wrapped) || len(h.Epochs) != 3 || h.Stopped != StopOnEpoch {
				t.Errorf("%v, %q after %d epochs", err, h.Stopped, len(h.Epochs))
			}
			if c.wrapped != nil {
				fails(t, err, "backprop: Train: OnEpoch failed after epoch 2: the disk is full")
			}
		})
	}
}

// A network y = w·x on the one sample x = 1, y = 0 has the loss w² and the
// gradient 2w, and the optimizer sets w as a script says.
func scripted(t *testing.T, start float64, script []float64, config TrainConfig) (*Network, *History) {
	t.Helper()
	net := newNetwork(t, 1, Dense{Units: 1, NoBias: true})
	net.Params()[0] = start
	step := 0
	config.Optimizer = stepFunc(func(params, grad []float64, eta float64) {
		params[0] = script[step]
		step++
	})
	config.LearningRate = 1
	config.KeepOrder = true
	rows := max(1, config.BatchSize*len(script)/max(1, config.Epochs))
	if config.BatchSize == 0 {
		rows = 1
	}
	ones := mat.NewDense(rows, 1, slices.Repeat([]float64{1}, rows))
	zeros := mat.NewDense(rows, 1, nil)
	if config.Patience > 0 {
		config.Validation = Data{ones, zeros}
	}
	return net, value(net.Train(t.Context(), ones, zeros, config))(t)
}

func TestEpochLossIsTheMeanBeforeUpdatesWithoutPenalties(t *testing.T) {
	// Two epochs of two steps: the losses are 5² and 3², then 2² and 1².
	_, h := scripted(t, 5, []float64{3, 2, 1, 4}, TrainConfig{Epochs: 2, BatchSize: 1, L2: 0.5, WeightDecay: 0.5})
	equalTo(t, "losses", []float64{h.Epochs[0].Loss, h.Epochs[1].Loss}, []float64{(25. + 9) / 2, (4. + 1) / 2}, 0)
	// Of the last batch, with λ·w but before clipping: 2w + w/2.
	equalTo(t, "norms", []float64{h.Epochs[0].GradNorm, h.Epochs[1].GradNorm}, []float64{3 * 2.5, 1 * 2.5}, 0)
	_, h = scripted(t, 5, []float64{3, 2, 1, 4}, TrainConfig{Epochs: 2, BatchSize: 1, ClipNorm: 0.1, ClipValue: 0.01})
	equalTo(t, "norms before clipping", []float64{h.Epochs[0].GradNorm, h.Epochs[1].GradNorm}, []float64{6, 2}, 0)
}

// Three samples in batches of two: the mean is over samples, not over batches.
func TestEpochLossWeighsBatchesByTheirSamples(t *testing.T) {
	net := newNetwork(t, 1, Dense{Units: 1, NoBias: true})
	net.Params()[0] = 1
	x, zeros := mat.NewDense(3, 1, []float64{1, 2, 4}), mat.NewDense(3, 1, nil)
	h := value(net.Train(t.Context(), x, zeros, TrainConfig{LearningRate: 1, Epochs: 1, BatchSize: 2, KeepOrder: true, Optimizer: still{}}))(t)
	equalTo(t, "loss", []float64{h.Epochs[0].Loss}, []float64{(1. + 4 + 16) / 3}, fewUlps)
}

func TestPatienceRestoresTheBestParameters(t *testing.T) {
	script := []float64{3, 2, 1, 2, 1, 4, 9, 9, 9}
	net, h := scripted(t, 5, script, TrainConfig{Epochs: 9, Patience: 3})
	// The lowest validation loss comes after epoch 2; the equal one after epoch 4 is not lower.
	if h.Best != 2 || len(h.Epochs) != 6 || h.Stopped != StopPatience {
		t.Errorf("best %d of %d epochs, %q, want 2 of 6", h.Best, len(h.Epochs), h.Stopped)
	}
	equalTo(t, "w", net.Params(), []float64{1}, 0)
	equalTo(t, "validation loss", []float64{h.Epochs[2].ValidationLoss}, []float64{1}, 0)
	// They are restored too if the epochs or the target end it.
	net, h = scripted(t, 5, []float64{3, 1, 2}, TrainConfig{Epochs: 3, Patience: 3})
	if h.Best != 1 || h.Stopped != StopEpochs || net.Params()[0] != 1 {
		t.Errorf("best %d, %q, w = %v", h.Best, h.Stopped, net.Params()[0])
	}
}

func TestWithoutPatienceTheLastParametersStay(t *testing.T) {
	net, h := scripted(t, 5, []float64{3, 1, 2, 4}, TrainConfig{Epochs: 4})
	// The losses, taken before the updates, are 25, 9, 1 and 4.
	if h.Best != 2 || h.Stopped != StopEpochs || net.Params()[0] != 4 {
		t.Errorf("best %d, %q, w = %v, want 2, all epochs and 4", h.Best, h.Stopped, net.Params()[0])
	}
	if v := h.Epochs[0].ValidationLoss; v != 0 {
		t.Errorf("validation loss %v without validation data", v)
	}
}

func TestPatienceRestoresTheStatisticsToo(t *testing.T) {
	net := newNetwork(t, 2, Dense{Units: 3, NoBias: true}, BatchNorm{Activation: Tanh}, Dense{Units: 1})
	x, y := pattern(12, 2), pattern(12, 1)
	var states []state
	h := value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.5, Epochs: 30, BatchSize: 4, Patience: 2,
		Validation: Data{pattern(9, 2), probabilities(9, 1)},
		OnEpoch:    func(Epoch) error { states = append(states, stateOf(net)); return nil }}))(t)
	if h.Stopped != StopPatience || h.Best == len(h.Epochs)-1 {
		t.Fatalf("the case does not stop by patience: %q", h.Stopped)
	}
	states[h.Best].mustEqual(t, net)
}

func TestTargetLossEndsTraining(t *testing.T) {
	_, h := scripted(t, 5, []float64{3, 2, 1, 0}, TrainConfig{Epochs: 4, TargetLoss: 4}) // losses 25, 9, 4, 1
	if len(h.Epochs) != 3 || h.Stopped != StopTarget || h.Best != 2 {
		t.Errorf("%q after %d epochs, best %d, want the target after 3", h.Stopped, len(h.Epochs), h.Best)
	}
}

func TestElapsedIsTheTimeOfTheEpochAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(t, 1, Dense{Units: 1})
		slow := &counting{Loss: MSE, every: func() { time.Sleep(time.Second) }} // the bubble's second
		h := value(net.Train(t.Context(), pattern(3, 1), pattern(3, 1), TrainConfig{LearningRate: 0.1, Epochs: 2, Loss: slow,
			Validation: Data{pattern(2, 1), pattern(2, 1)},
			OnEpoch:    func(Epoch) error { time.Sleep(time.Hour); return nil }}))(t)
		for _, e := range h.Epochs {
			if e.Elapsed != 5*time.Second { // three samples, two for validation
				t.Errorf("epoch %d took %v, want 5s", e.N, e.Elapsed)
			}
		}
	})
}

// On anything but a terminal: plain lines, some twenty of them and the last. A
// sample takes a second of the bubble's time.
func TestProgressWritesPlainLines(t *testing.T) {
	train := func(t *testing.T, epochs int, change func(*TrainConfig)) []string {
		var lines []string
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			net := newNetwork(t, 1, Dense{Units: 1, NoBias: true})
			net.Params()[0] = 2
			config := TrainConfig{LearningRate: 0.25, Epochs: epochs, Optimizer: still{}, Progress: &b,
				Loss: &counting{Loss: MSE, every: func() { time.Sleep(time.Second) }}}
			change(&config)
			one := mat.NewDense(1, 1, []float64{1})
			value(net.Train(t.Context(), one, mat.NewDense(1, 1, nil), config))(t)
			lines = strings.SplitAfter(b.String(), "\n")
		})
		return lines[:len(lines)-1]
	}
	nothing := func(*TrainConfig) {}
	for _, c := range []struct{ epochs, lines int }{{1, 1}, {7, 7}, {20, 20}, {100, 20}, {2000, 20}, {45, 23}, {119, 24}} {
		lines := train(t, c.epochs, nothing)
		if len(lines) != c.lines {
			t.Errorf("%d epochs give %d lines, want %d", c.epochs, len(lines), c.lines)
		}
		want := fmt.Sprintf("epoch %d/%[1]d loss 4, η 0.25, %v in all\n", c.epochs, time.Duration(c.epochs)*time.Second)
		if last := lines[len(lines)-1]; last != want {
			t.Errorf("the last line is %q, want %q", last, want)
		}
	}
	want := []string{"epoch 1/2 loss 4, η 0.25, 1s left\n", "epoch 2/2 loss 4, η 0.25, 2s in all\n"}
	if got := train(t, 2, nothing); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got := train(t, 300, func(c *TrainConfig) {
		c.Validation = Data{mat.NewDense(1, 1, []float64{2}), mat.NewDense(1, 1, nil)}
		c.OnEpoch = func(e Epoch) error {
			if e.N == 16 { // between two lines
				return ErrStop
			}
			return nil
		}
	})
	want = []string{ // two seconds an epoch
		"epoch 15/300 loss 4, validation loss 16, η 0.25, 9m30s left\n",
		"epoch 17/300 loss 4, validation loss 16, η 0.25, 9m26s left\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAWriterThatFailsDoesNotStopTraining(t *testing.T) {
	r, w, err := os.Pipe()
	noError(t, err)
	r.Close()
	defer w.Close()
	for _, writer := range []io.Writer{failing{}, w} {
		net, still := newNetwork(t, 1, Dense{Units: 1}), newNetwork(t, 1, Dense{Units: 1})
		config := TrainConfig{LearningRate: 0.1, Epochs: 5}
		value(still.Train(t.Context(), pattern(3, 1), pattern(3, 1), config))(t)
		config.Progress = writer
		value(net.Train(t.Context(), pattern(3, 1), pattern(3, 1), config))(t)
		sameBits(t, "parameters", net.Params(), still.Params())
	}
}

// A pseudo-terminal echoes what is written to its master. Control characters come
// back as ^[, and a carriage return as a new line.
func TestProgressOnATerminalIsOneLiveLine(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	defer terminal.Close()
	if terminal.SetReadDeadline(time.Now().Add(10*time.Second)) != nil {
		t.Skip("a pseudo-terminal cannot be read with a deadline here")
	}
	net := newNetwork(t, 1, Dense{Units: 1})
	value(net.Train(t.Context(), pattern(40, 1), pattern(40, 1), TrainConfig{LearningRate: 0.1, Epochs: 3, BatchSize: 20, Progress: terminal}))(t)
	var shown []byte
	for b := make([]byte, 4096); !bytes.HasSuffix(shown, []byte("in all^[[K\r\n")); {
		n, err := terminal.Read(b)
		shown = append(shown, b[:n]...)
		if err != nil {
			t.Fatalf("the terminal shows %q: %v", shown, err)
		}
	}
	lines := strings.Split(strings.Trim(string(shown), "\r\n"), "\r\n")
	if first := lines[0]; !strings.HasPrefix(first, "epoch 1/3 ██████████░░░░░░░░░░ loss 0.") {
		t.Errorf("the first line is %q, want half a bar: one of two batches is done", first)
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "epoch 3/3 loss 0.") || !strings.HasSuffix(last, "in all^[[K") {
		t.Errorf("the last line is %q, want the last epoch", last)
	}
}

// ─── Optimizers and schedules ────────────────────────────────────────────────

// Three steps on two parameters by the formulas of the doc comments, by hand.
func TestOptimizersFollowTheirFormulas(t *testing.T) {
	const eta = 0.1
	grads := [][]float64{{1, -2}, {0.5, 3}, {-4, 1e-3}}
	type memory struct{ m, v, b float64 }
	for _, c := range []struct {
		name      string
		optimizer Optimizer
		// change is what a step adds to a parameter, n counting from 1.
		change func(s *memory, g, n float64) float64
	}{
		{"Momentum", &Momentum{}, func(s *memory, g, n float64) float64 {
			s.v = 0.9*s.v + g
			return -eta * s.v
		}},
		{"Momentum 0.5", &Momentum{Mu: 0.5}, func(s *memory, g, n float64) float64 {
			s.v = 0.5*s.v + g
			return -eta * s.v
		}},
		{"Nesterov", &Momentum{Nesterov: true}, func(s *memory, g, n float64) float64 {
			s.v = 0.9*s.v + g
			return -eta * (g + 0.9*s.v)
		}},
		{"AdaGrad", &AdaGrad{}, func(s *memory, g, n float64) float64 {
			s.v += g * g
			return -eta * g / (math.Sqrt(s.v) + 1e-10)
		}},
		{"RMSProp", &RMSProp{}, func(s *memory, g, n float64) float64 {
			s.v = 0.99*s.v + 0.01*g*g
			return -eta * g / (math.Sqrt(s.v) + 1e-8)
		}},
		{"RMSProp centered", &RMSProp{Alpha: 0.8, Centered: true, Epsilon: 0.1}, func(s *memory, g, n float64) float64 {
			s.v = 0.8*s.v + 0.2*g*g
			s.m = 0.8*s.m + 0.2*g
			return -eta * g / (math.Sqrt(s.v-s.m*s.m) + 0.1)
		}},
		{"RMSProp momentum", &RMSProp{Momentum: 0.7}, func(s *memory, g, n float64) float64 {
			s.v = 0.99*s.v + 0.01*g*g
			s.b = 0.7*s.b + g/(math.Sqrt(s.v)+1e-8)
			return -eta * s.b
		}},
		{"Adam", &Adam{}, func(s *memory, g, n float64) float64 {
			s.m, s.v = 0.9*s.m+0.1*g, 0.999*s.v+0.001*g*g
			m, v := s.m/(1-math.Pow(0.9, n)), s.v/(1-math.Pow(0.999, n))
			return -eta * m / (math.Sqrt(v) + 1e-8)
		}},
		{"Adam 0.5 0.9", &Adam{Beta1: 0.5, Beta2: 0.9, Epsilon: 1}, func(s *memory, g, n float64) float64 {
			s.m, s.v = 0.5*s.m+0.5*g, 0.9*s.v+0.1*g*g
			m, v := s.m/(1-math.Pow(0.5, n)), s.v/(1-math.Pow(0.9, n))
			return -eta * m / (math.Sqrt(v) + 1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			params, want := []float64{10, 20}, []float64{10, 20}
			var memories [2]memory
			for n, g := range grads {
				c.optimizer.Step(params, slices.Clone(g), eta)
				for i := range want {
					want[i] += c.change(&memories[i], g[i], float64(n+1))
				}
				equalTo(t, fmt.Sprintf("after step %d", n), params, want, 1e-12)
			}
		})
	}
}

func TestOptimizersWorkByHandOnParamsAndGradient(t *testing.T) {
	for _, o := range []func() Optimizer{
		func() Optimizer { return &Momentum{Nesterov: true} }, func() Optimizer { return &RMSProp{Centered: true} },
		func() Optimizer { return &Adam{} }, func() Optimizer { return &AdaGrad{} },
	} {
		x, y := pattern(5, 2), pattern(5, 1)
		trained := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1})
		value(trained.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 4, Optimizer: o()}))(t)
		net := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1})
		byHand, grad := o(), []float64(nil)
		for range 4 {
			_, g, err := net.Gradient(grad, x, y, nil)
			noError(t, err)
			grad = g
			byHand.Step(net.Params(), grad, 0.1)
		}
		sameBits(t, fmt.Sprintf("%T", byHand), net.Params(), trained.Params())
	}
}

func TestUserMadeOptimizerWorksLikeTheBuiltInOne(t *testing.T) {
	train := func(o Optimizer) []float64 {
		net := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1})
		value(net.Train(t.Context(), pattern(9, 2), pattern(9, 1), TrainConfig{LearningRate: 0.1, Epochs: 5, BatchSize: 4, Optimizer: o, ClipNorm: 1, L2: 0.01}))(t)
		return net.Params()
	}
	var v []float64
	own := stepFunc(func(params, grad []float64, eta float64) {
		if v == nil {
			v = make([]float64, len(grad))
		}
		for i, g := range grad {
			v[i] = 0.9*v[i] + g
			params[i] -= eta * v[i]
		}
	})
	equalTo(t, "Momentum", train(own), train(&Momentum{}), 1e-13)
	plain := stepFunc(func(params, grad []float64, eta float64) {
		for i, g := range grad {
			params[i] -= eta * g
		}
	})
	equalTo(t, "gradient descent", train(plain), train(nil), 1e-13)
}

func TestOptimizerGoesOnWithItsStateAndAFreshOneStartsAfresh(t *testing.T) {
	x, y := pattern(9, 2), pattern(9, 1)
	config := TrainConfig{LearningRate: 0.05, BatchSize: 4, KeepOrder: true}
	train := func(net *Network, o Optimizer, epochs int) []float64 {
		config.Optimizer, config.Epochs = o, epochs
		value(net.Train(t.Context(), x, y, config))(t)
		return slices.Clone(net.Params())
	}
	for _, o := range optimizers {
		made := func() *Network { return newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1}) }
		whole := train(made(), fresh(o), 6)
		net, same := made(), fresh(o)
		half := train(net, same, 3)
		sameBits(t, fmt.Sprintf("%T in two trainings", o), train(net, same, 3), whole)

		copy(net.Params(), half)
		if slices.Equal(train(net, fresh(o), 3), whole) {
			t.Errorf("a fresh %T remembers another's steps", o)
		}

		// State and SetState carry it over to a new value.
		net, same = made(), fresh(o)
		train(net, same, 3)
		state := same.(Stateful).State()
		other := fresh(o)
		noError(t, other.(Stateful).SetState(state))
		clear(state) // which is a copy, and was copied
		sameBits(t, fmt.Sprintf("%T taken up", o), train(net, other, 3), whole)
		noError(t, other.(Stateful).SetState(nil))
		if len(other.(Stateful).State()) != 0 {
			t.Errorf("%T: an empty state does not start afresh", o)
		}
	}
}

func TestStepPanicsWhereTheLengthsDiffer(t *testing.T) {
	for _, o := range optimizers {
		o := fresh(o)
		panics(t, "backprop: Step: 2 parameters and 3 elements of the gradient", func() { o.Step(make([]float64, 2), make([]float64, 3), 1) })
		o.Step(make([]float64, 2), make([]float64, 2), 1)
		n := len(o.(Stateful).State()) - 1
		panics(t, fmt.Sprintf("backprop: Step: the optimizer remembers %d values of another training, want %d for 4 parameters", n, 2*n),
			func() { o.Step(make([]float64, 4), make([]float64, 4), 1) })
	}
}

// One step of gradient descent from known parameters, with the gradient that
// Gradient gives.
func TestPenaltiesAndClippingByHand(t *testing.T) {
	const eta, lambda = 0.5, 0.25
	layers := []Layer{Dense{Units: 2}, BatchNorm{Activation: Tanh}, Dense{Units: 1}}
	isWeight := []bool{0: true, 1: true, 2: true, 3: true, 10: true, 11: true, 12: false} // not b, γ and β
	x, y := pattern(6, 2), pattern(6, 1)
	start := newNetwork(t, 2, layers...)
	for i := range start.Params() {
		start.Params()[i] += 0.5 // biases, too, are not zero
	}
	_, g, err := start.Gradient(nil, x, y, nil)
	noError(t, err)
	norm := func(g []float64) float64 {
		sum := 0.0
		for _, v := range g {
			sum += v * v
		}
		return math.Sqrt(sum)
	}
	with := func(change func(i int, theta, g float64) float64) (want []float64) {
		for i, theta := range start.Params() {
			want = append(want, change(i, theta, g[i]))
		}
		return want
	}
	penalized := with(func(i int, theta, g float64) float64 {
		if isWeight[i] {
			return g + lambda*theta
		}
		return g
	})
	for _, c := range []struct {
		name   string
		config TrainConfig
		want   []float64
		norm   float64
	}{
		{"plain", TrainConfig{}, with(func(i int, theta, g float64) float64 { return theta - eta*g }), norm(g)},
		{"L2", TrainConfig{L2: lambda}, with(func(i int, theta, g float64) float64 { return theta - eta*penalized[i] }), norm(penalized)},
		{"WeightDecay", TrainConfig{WeightDecay: lambda}, with(func(i int, theta, g float64) float64 {
			if isWeight[i] {
				theta *= 1 - eta*lambda
			}
			return theta - eta*g
		}), norm(g)},
		{"ClipNorm", TrainConfig{ClipNorm: 0.01}, with(func(i int, theta, g_ float64) float64 { return theta - eta*g_*0.01/norm(g) }), norm(g)},
		{"ClipNorm above the norm", TrainConfig{ClipNorm: 1e6}, with(func(i int, theta, g float64) float64 { return theta - eta*g }), norm(g)},
		{"ClipNorm after L2", TrainConfig{ClipNorm: 0.01, L2: lambda},
			with(func(i int, theta, _ float64) float64 { return theta - eta*penalized[i]*0.01/norm(penalized) }), norm(penalized)},
		{"ClipValue", TrainConfig{ClipValue: 0.02}, with(func(i int, theta, g float64) float64 {
			return theta - eta*max(-0.02, min(0.02, g))
		}), norm(g)},
		{"ClipValue after L2", TrainConfig{ClipValue: 0.02, L2: lambda}, with(func(i int, theta, _ float64) float64 {
			return theta - eta*max(-0.02, min(0.02, penalized[i]))
		}), norm(penalized)},
	} {
		t.Run(c.name, func(t *testing.T) {
			net := newNetwork(t, 2, layers...)
			copy(net.Params(), start.Params())
			c.config.LearningRate, c.config.Epochs = eta, 1
			h := value(net.Train(t.Context(), x, y, c.config))(t)
			equalTo(t, "parameters", net.Params(), c.want, 1e-14)
			equalTo(t, "norm", []float64{h.Epochs[0].GradNorm}, []float64{c.norm}, 1e-14)
		})
	}
}

// Gradients whose squares leave the range of a float64 are still clipped to c.
func TestClipNormTakesHugeGradients(t *testing.T) {
	net := newNetwork(t, 1, Dense{Units: 2, NoBias: true})
	copy(net.Params(), []float64{0, 0})
	x, y := mat.NewDense(1, 1, []float64{3e120}), mat.NewDense(1, 2, []float64{-1e60, 1e60})
	h := value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1, Epochs: 1, ClipNorm: 1}))(t)
	equalTo(t, "parameters", net.Params(), []float64{-math.Sqrt2 / 2, math.Sqrt2 / 2}, 1e-15)
	equalTo(t, "norm", []float64{h.Epochs[0].GradNorm}, []float64{3e180 * math.Sqrt2}, 1e-15)
}

func TestSchedulesByHand(t *testing.T) {
	losses := []float64{5, 4, 4, 4, 4, 3, 3, 3, 3, 3}
	for _, c := range []struct {
		s    Schedule
		want []float64 // from a base of 8
	}{
		{StepDecay{Every: 2}, []float64{8, 8, 0.8, 0.8, 0.08}},
		{StepDecay{Every: 1, Factor: 0.5}, []float64{8, 4, 2, 1, 0.5}},
		{ExponentialDecay{}, []float64{8, 8 * 0.95, 8 * 0.95 * 0.95}},
		{ExponentialDecay{Factor: 0.5}, []float64{8, 4, 2, 1}},
		{CosineDecay{Epochs: 4}, []float64{8, 4 + 2*math.Sqrt2, 4, 4 - 2*math.Sqrt2, 0, 0, 0}},
		{CosineDecay{Epochs: 2, Min: 2}, []float64{8, 5, 2, 2}},
		{Warmup{Epochs: 2}, []float64{8. / 3, 8 * 2. / 3, 8, 8}},
		{Warmup{Epochs: 4, Start: 0.2}, []float64{1.6, 3.2, 4.8, 6.4, 8, 8}},
		{Warmup{Epochs: 2, Start: 0.5, Then: StepDecay{Every: 1, Factor: 0.5}}, []float64{4, 6, 8, 4, 2}},
		// Epochs 2 and 3 bring nothing, which is more than one; then 4 and 5.
		{ReduceOnPlateau{Patience: 1, Factor: 0.5}, []float64{8, 8, 8, 8, 4, 4, 4, 4, 2, 2, 1}},
		{ReduceOnPlateau{Patience: 1, Factor: 0.5, Min: 3}, []float64{8, 8, 8, 8, 4, 4, 4, 4, 3, 3, 3}},
		// The two epochs after a reduction do not count.
		{ReduceOnPlateau{Patience: 1, Factor: 0.5, Cooldown: 2}, []float64{8, 8, 8, 8, 4, 4, 4, 4, 2, 2, 2}},
		{ReduceOnPlateau{}, []float64{8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8}},
		{ScheduleFunc(func(base float64, history []Epoch) float64 { return base / float64(1+len(history)) }), []float64{8, 4, 8. / 3, 2}},
	} {
		var history []Epoch
		for n, want := range c.want {
			equalTo(t, fmt.Sprintf("%+v, epoch %d", c.s, n), []float64{c.s.Rate(8, history)}, []float64{want}, 4*fewUlps)
			if n < len(losses) {
				history = append(history, Epoch{N: n, Loss: losses[n]})
			}
		}
	}
}

func TestPlateauIsThatOfTheValidationLossIfThereIsOne(t *testing.T) {
	var history []Epoch
	for n := range 5 {
		history = append(history, Epoch{N: n, Loss: float64(10 - n), ValidationLoss: 1})
	}
	equalTo(t, "η", []float64{ReduceOnPlateau{Patience: 2}.Rate(1, history)}, []float64{0.1}, fewUlps)
}

func TestScheduleReachesTheOptimizerAndTheHistory(t *testing.T) {
	var used []float64
	net := newNetwork(t, 1, Dense{Units: 1})
	h := value(net.Train(t.Context(), pattern(3, 1), pattern(3, 1), TrainConfig{LearningRate: 8, Epochs: 4, Schedule: ExponentialDecay{Factor: 0.5},
		Optimizer: stepFunc(func(params, grad []float64, eta float64) { used = append(used, eta) })}))(t)
	want := []float64{8, 4, 2, 1}
	equalTo(t, "η", used, want, 0)
	for i, e := range h.Epochs {
		equalTo(t, "LearningRate", []float64{e.LearningRate}, want[i:i+1], 0)
	}
}

func TestScheduleThatGivesNoRateIsAnError(t *testing.T) {
	for _, c := range []struct {
		eta  float64
		want string
	}{
		{math.NaN(), "NaN"}, {math.Inf(1), "+Inf"}, {-1, "-1"},
	} {
		net := newNetwork(t, 1, Dense{Units: 1})
		h, err := net.Train(t.Context(), pattern(3, 1), pattern(3, 1), TrainConfig{LearningRate: 0.1, Epochs: 4,
			Schedule: ScheduleFunc(func(base float64, history []Epoch) float64 {
				if len(history) == 2 {
					return c.eta
				}
				return base
			})})
		fails(t, err, "backprop: Train: Schedule gives η = "+c.want+" for epoch 2, want a finite number, 0 or more")
		if len(h.Epochs) != 2 {
			t.Errorf("%d epochs, want 2", len(h.Epochs))
		}
	}
}

// ─── Bad input ───────────────────────────────────────────────────────────────

// Every misuse is an error that says where, what came and what was expected. None
// panics, and none changes the network.
func TestMisuseIsAnErrorAndChangesNothing(t *testing.T) {
	var (
		nilMatrix  *mat.Dense
		nilVector  *mat.VecDense
		nilNetwork *Network
		x, y       = pattern(6, 2), probabilities(6, 1)
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
	softmax := newNetwork(t, 2, Dense{Units: 3, Activation: Softmax})
	plain := newNetwork(t, 2, Dense{Units: 1})
	nans := newNetwork(t, 2, Dense{Units: 1, Activation: returnsNaN{}})
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
			"backprop: New: layer 0: 1048576×1048576 weights take the network over 1073741824 parameters"},
		{"too many weights in all", build(1<<15, Dense{Units: 1 << 14}, Dense{Units: 1 << 15}, Dense{Units: 1 << 15}),
			"backprop: New: layer 1: 32768×16384 weights take the network over 1073741824 parameters"},
		{"too many with the biases", build(1<<29, Dense{Units: 2}),
			"backprop: New: layer 0: 2×536870912 weights take the network over 1073741824 parameters"},
		{"nil layer", build(2, nil, Dense{Units: 1}),
			"backprop: New: layer 0: it is a <nil>, want a Dense, BatchNorm, Dropout or Standardize"},
		{"pointer to a layer", build(2, &Dense{Units: 1}),
			"backprop: New: layer 0: it is a *backprop.Dense, want a Dense, BatchNorm, Dropout or Standardize"},
		{"nil pointer to a layer", build(2, (*Dense)(nil)),
			"backprop: New: layer 0: it is a *backprop.Dense, want a Dense, BatchNorm, Dropout or Standardize"},
		{"foreign layer", build(2, foreign{Dense{Units: 1}}),
			"backprop: New: layer 0: it is a backprop_test.foreign, want a Dense, BatchNorm, Dropout or Standardize"},
		{"Softmax of one unit", build(2, Dense{Units: 1, Activation: Softmax}),
			"backprop: New: layer 0: a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid"},
		{"Softmax of one unit in batch norm", build(1, BatchNorm{Activation: Softmax}),
			"backprop: New: layer 0: a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid"},
		{"nil pointer to an activation", build(2, Dense{Units: 1, Activation: (*LeakyReLU)(nil)}),
			"backprop: New: layer 0: a *backprop.LeakyReLU is nil, want a value"},
		{"LeakyReLU NaN", build(2, Dense{Units: 1, Activation: LeakyReLU{nan}}),
			"backprop: New: layer 0: LeakyReLU Slope is NaN, want a finite number"},
		{"ELU negative", build(2, Dense{Units: 1, Activation: ELU{-1}}),
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
		{"Dropout last", build(2, Dense{Units: 1}, Dropout{}),
			"backprop: New: layer 1: a Dropout cannot be the last layer, want a Dense or a BatchNorm"},
		{"Standardize last", build(2, Standardize{}),
			"backprop: New: layer 0: a Standardize cannot be the last layer, want a Dense or a BatchNorm"},
		{"Standardize second", build(2, Dense{Units: 2}, Standardize{}, Dense{Units: 1}),
			"backprop: New: layer 1: a Standardize stands behind another layer, want it first"},
		{"everything at once", build(2, Standardize{}, Dense{}, Dropout{Rate: -1}, nil, Dense{Units: 1, Activation: Softmax}, Dropout{}),
			"backprop: New: layer 1: Dense Units is 0, want 1 to 1073741824\n" +
				"backprop: New: layer 2: Dropout Rate is -1, want 0 to 1, 1 not included\n" +
				"backprop: New: layer 3: it is a <nil>, want a Dense, BatchNorm, Dropout or Standardize\n" +
				"backprop: New: layer 4: a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid\n" +
				"backprop: New: layer 5: a Dropout cannot be the last layer, want a Dense or a BatchNorm"},

		// Predict and PredictTo
		{"Predict nil", predict(nil), "backprop: Predict: x is nil, want a matrix"},
		{"Predict nil matrix", predict(nilMatrix), "backprop: Predict: x is nil, want a matrix"},
		{"Predict nil vector", predict(nilVector), "backprop: Predict: x is nil, want a matrix"},
		{"Predict empty", predict(&mat.Dense{}), "backprop: Predict: x is 0×0, want N×2"},
		{"Predict wrong columns", predict(pattern(4, 3)), "backprop: Predict: x is 4×3, want N×2"},
		{"Predict transposed", predict(x.T()), "backprop: Predict: x is 2×6, want N×2"},
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
		{"PredictTo nil x", predictTo(mat.NewDense(6, 1, nil), nil), "backprop: PredictTo: x is nil, want a matrix"},
		{"PredictTo zero network", on(new(Network), predictTo(new(mat.Dense), x)),
			"backprop: PredictTo: the network has no layers; New makes one"},

		// Loss, Gradient and CheckGradient
		{"Loss nil y", loss(x, nil, nil), "backprop: Loss: y is nil, want a matrix"},
		{"Loss other length", loss(x, pattern(5, 1), nil), "backprop: Loss: y is 5×1, want 6×1"},
		{"Loss nil network", on(nilNetwork, loss(x, y, nil)), "backprop: Loss: the network has no layers; New makes one"},
		{"Loss label above 1", loss(x, with(y, 2, 0, 1.5), nil),
			"backprop: Loss: y row 2, column 0 is 1.5, want 0 to 1 for BinaryCrossEntropy"},
		{"Loss negative label", loss(x, with(y, 2, 0, -0.25), BinaryCrossEntropy),
			"backprop: Loss: y row 2, column 0 is -0.25, want 0 to 1 for BinaryCrossEntropy"},
		{"Loss overflow", on(scaledNetwork(t), loss(mat.NewDense(1, 1, []float64{1}), mat.NewDense(1, 1, []float64{1}), nil)),
			"backprop: Loss: loss or gradient is not finite: it is +Inf"},
		{"Huber negative", loss(x, y, Huber{-1}), "backprop: Loss: Huber Delta is -1, want a finite number above 0"},
		{"Huber nil pointer", loss(x, y, (*Huber)(nil)), "backprop: Loss: a *backprop.Huber is nil, want a value"},
		{"classes do not sum to 1", on(softmax, loss(x, mat.NewDense(6, 3, slices.Repeat([]float64{0.5, 0.25, 0}, 6)), nil)),
			"backprop: Loss: y row 0 sums to 0.75, want 1 for CrossEntropy"},
		{"class above 1", on(softmax, loss(x, mat.NewDense(6, 3, slices.Repeat([]float64{2, -1, 0}, 6)), nil)),
			"backprop: Loss: y row 0, column 0 is 2, want 0 to 1 for CrossEntropy"},
		{"Gradient short dst", gradient(make([]float64, 3), x, y, nil), "backprop: Gradient: dst has 3 elements, want 16"},
		{"Gradient empty dst", gradient([]float64{}, x, y, nil), "backprop: Gradient: dst has 0 elements, want 16"},
		{"Gradient into Params", func(net *Network) error { return gradient(net.Params(), x, y, nil)(net) },
			"backprop: Gradient: dst is the network's Params, want other memory"},
		{"Gradient of one sample", gradient(nil, pattern(1, 2), probabilities(1, 1), nil),
			"backprop: Gradient: a batch of 1 sample has no variance for layer 2's batch norm, want 2 or more"},
		{"Gradient NaN of an activation", on(nans, gradient(nil, x, y, nil)),
			"backprop: Gradient: loss or gradient is not finite: the loss is NaN"},
		{"CheckGradient wrong columns", check(pattern(6, 5), y, nil), "backprop: CheckGradient: x is 6×5, want N×2"},
		{"CheckGradient of one sample", check(pattern(1, 2), probabilities(1, 1), nil),
			"backprop: CheckGradient: a batch of 1 sample has no variance for layer 2's batch norm, want 2 or more"},
		{"CheckGradient NaN of an activation", on(nans, check(x, y, nil)),
			"backprop: CheckGradient: loss or gradient is not finite: the loss is NaN"},
		{"CheckGradient zero network", on(new(Network), check(x, y, nil)),
			"backprop: CheckGradient: the network has no layers; New makes one"},

		// Train: the data
		{"Train nil x", trainOn(nil, y), "backprop: Train: x is nil, want a matrix"},
		{"Train nil matrix", trainOn(x, nilMatrix), "backprop: Train: y is nil, want a matrix"},
		{"Train empty", trainOn(&mat.Dense{}, &mat.Dense{}), "backprop: Train: x is 0×0, want N×2"},
		{"Train wrong columns", trainOn(pattern(6, 3), y), "backprop: Train: x is 6×3, want N×2"},
		{"Train other length", trainOn(x, probabilities(7, 1)), "backprop: Train: y is 7×1, want 6×1"},
		{"Train wrong targets", trainOn(x, probabilities(6, 2)), "backprop: Train: y is 6×2, want 6×1"},
		{"Train NaN", trainOn(x, with(y, 5, 0, nan)), "backprop: Train: y row 5, column 0 is NaN, want a finite number"},
		{"Train label", trainOn(x, with(y, 5, 0, 2)),
			"backprop: Train: y row 5, column 0 is 2, want 0 to 1 for BinaryCrossEntropy"},
		{"Train one sample", trainOn(pattern(1, 2), probabilities(1, 1)),
			"backprop: Train: a batch of 1 sample has no variance for layer 2's batch norm, want 2 or more"},
		{"Train too large for Standardize", trainOn(with(x, 0, 1, 1e200), y),
			"backprop: Train: column 1 of x is too large to standardize: its variance is not finite"},
		{"Train too small for Standardize", trainOn(scaledMatrix(x, 1e-170), y),
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
			"backprop: Train: a batch of 1 sample has no variance for layer 2's batch norm, want 2 or more"},
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
		{"negative Patience", train(func(c *TrainConfig) { c.Patience, c.Validation = -3, Data{x, y} }),
			"backprop: Train: Patience is -3, want 0 (none) or more"},
		{"half a validation set", train(func(c *TrainConfig) { c.Validation.X = x }),
			"backprop: Train: Validation.Y is nil, want a matrix"},
		{"the other half", train(func(c *TrainConfig) { c.Validation.Y = y }),
			"backprop: Train: Validation.X is nil, want a matrix"},
		{"validation columns", train(func(c *TrainConfig) { c.Validation = Data{pattern(3, 3), y} }),
			"backprop: Train: Validation.X is 3×3, want N×2"},
		{"validation lengths", train(func(c *TrainConfig) { c.Validation = Data{pattern(3, 2), y} }),
			"backprop: Train: Validation.Y is 6×1, want 3×1"},
		{"validation label", train(func(c *TrainConfig) { c.Validation = Data{x, with(y, 1, 0, 3)} }),
			"backprop: Train: Validation.Y row 1, column 0 is 3, want 0 to 1 for BinaryCrossEntropy"},
		{"nil Adam", train(func(c *TrainConfig) { c.Optimizer = (*Adam)(nil) }),
			"backprop: Train: a *backprop.Adam is nil, want a value"},
		{"nil Momentum", train(func(c *TrainConfig) { c.Optimizer = (*Momentum)(nil) }),
			"backprop: Train: a *backprop.Momentum is nil, want a value"},
		{"Momentum 1", train(func(c *TrainConfig) { c.Optimizer = &Momentum{Mu: 1} }),
			"backprop: Train: Momentum Mu is 1, want 0 to 1, 1 not included"},
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
		{"ExponentialDecay NaN", train(func(c *TrainConfig) { c.Schedule = ExponentialDecay{nan} }),
			"backprop: Train: ExponentialDecay Factor is NaN, want a finite number above 0"},
		{"CosineDecay of 0 epochs", train(func(c *TrainConfig) { c.Schedule = CosineDecay{Min: -1} }),
			"backprop: Train: CosineDecay Epochs is 0, want 1 or more\n" +
				"backprop: Train: CosineDecay Min is -1, want a finite number, 0 or more"},
		{"Warmup of 0 epochs", train(func(c *TrainConfig) { c.Schedule = Warmup{Start: 2} }),
			"backprop: Train: Warmup Epochs is 0, want 1 or more\n" +
				"backprop: Train: Warmup Start is 2, want 0 to 1"},
		{"Warmup into a bad schedule", train(func(c *TrainConfig) { c.Schedule = Warmup{Epochs: 1, Then: StepDecay{}} }),
			"backprop: Train: StepDecay Every is 0, want 1 or more"},
		{"Warmup into a nil schedule", train(func(c *TrainConfig) { c.Schedule = Warmup{Epochs: 1, Then: (*StepDecay)(nil)} }),
			"backprop: Train: a *backprop.StepDecay is nil, want a value"},
		{"ReduceOnPlateau all wrong", train(func(c *TrainConfig) {
			c.Schedule = ReduceOnPlateau{Factor: 1, Threshold: -1, Min: -1, Patience: -1, Cooldown: -2}
		}),
			"backprop: Train: ReduceOnPlateau Factor is 1, want 0 to 1, 1 not included\n" +
				"backprop: Train: ReduceOnPlateau Threshold is -1, want 0 to 1, 1 not included\n" +
				"backprop: Train: ReduceOnPlateau Min is -1, want a finite number, 0 or more\n" +
				"backprop: Train: ReduceOnPlateau Patience is -1 and Cooldown -2, want 0 or more"},
		{"Huber in Train", train(func(c *TrainConfig) { c.Loss = Huber{nan} }),
			"backprop: Train: Huber Delta is NaN, want a finite number above 0"},
		{"nil pointer to a loss in Train", train(func(c *TrainConfig) { c.Loss = (*Huber)(nil) }),
			"backprop: Train: a *backprop.Huber is nil, want a value"},

		// Metrics, OneHot and RegisterActivation
		{"Accuracy nil", metric(Accuracy, nil, y), "backprop: Accuracy: predicted is nil, want a matrix"},
		{"Accuracy nil matrix", metric(Accuracy, y, nilMatrix), "backprop: Accuracy: actual is nil, want a matrix"},
		{"Accuracy shapes", metric(Accuracy, y, x), "backprop: Accuracy: actual is 6×2, want 6×1"},
		{"Accuracy NaN", metric(Accuracy, with(y, 1, 0, nan), y),
			"backprop: Accuracy: predicted row 1, column 0 is NaN, want a finite number"},
		{"ConfusionMatrix empty", metric(confusion, &mat.Dense{}, &mat.Dense{}),
			"backprop: ConfusionMatrix: predicted is 0×0, want N×M"},
		{"ConfusionMatrix lengths", metric(confusion, y, probabilities(5, 1)),
			"backprop: ConfusionMatrix: actual is 5×1, want 6×1"},
		{"R2 infinity", metric(R2, y, with(y, 1, 0, math.Inf(1))),
			"backprop: R2: actual row 1, column 0 is +Inf, want a finite number"},
		{"R2 overflow", metric(R2, y, with(y, 1, 0, 1e200)),
			"backprop: R2: the sum of squares is not finite; scale the data down"},
		{"OneHot no labels", oneHot(nil, 3), "backprop: OneHot: no labels"},
		{"OneHot one class", oneHot([]int{0}, 1), "backprop: OneHot: classes is 1, want 2 to 1073741824 for 1 labels"},
		{"OneHot overflowing classes", oneHot([]int{0}, math.MaxInt),
			fmt.Sprintf("backprop: OneHot: classes is %d, want 2 to 1073741824 for 1 labels", math.MaxInt)},
		{"OneHot label", oneHot([]int{0, 3}, 3), "backprop: OneHot: label 1 is 3, want 0 to 2"},
		{"OneHot negative label", oneHot([]int{-1}, 3), "backprop: OneHot: label 0 is -1, want 0 to 2"},
		{"RegisterActivation nil", register(nil), "backprop: RegisterActivation: the activation is nil"},
		{"RegisterActivation nil pointer", register((*ELU)(nil)), "backprop: RegisterActivation: the activation is nil"},
		{"RegisterActivation built-in", register(Tanh), `backprop: RegisterActivation: the name "Tanh" is taken`},
		{"RegisterActivation with a parameter", register(LeakyReLU{0.5}),
			`backprop: RegisterActivation: the name "LeakyReLU(0.5)" is taken`},
		{"RegisterActivation no name", register(named("")),
			`backprop: RegisterActivation: the name "" is 0 bytes long, want 1 to 200`},
		{"RegisterActivation long name", register(named(strings.Repeat("x", 201))),
			"backprop: RegisterActivation: the name \"" + strings.Repeat("x", 50) + "\" is 201 bytes long, want 1 to 200"},
		{"SetState", func(*Network) error { return new(Adam).SetState([]float64{0.5, 1}) },
			"backprop: SetState: this is not the state of an optimizer"},
		{"SetState NaN", func(*Network) error { return new(Momentum).SetState([]float64{1, nan}) },
			"backprop: SetState: this is not the state of an optimizer"},
		{"plain network, wrong columns", on(plain, predict(pattern(2, 1))), "backprop: Predict: x is 2×1, want N×2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			net := newNetwork(t, 2, Standardize{}, Dense{Units: 3, NoBias: true}, BatchNorm{Activation: Tanh}, Dense{Units: 1, Activation: Sigmoid})
			before := stateOf(net)
			fails(t, c.do(net), c.want)
			before.mustEqual(t, net)
		})
	}
}

// The types of the errors, for programs.
func TestErrorsCanBeTold(t *testing.T) {
	net := newNetwork(t, 2, Dense{Units: 1})
	var shape *ShapeError
	_, err := net.Predict(pattern(4, 3))
	if !errors.As(err, &shape) || *shape != (ShapeError{"Predict", "x", 4, 3, -1, 2}) {
		t.Errorf("%+v", err)
	}
	var element *ValueError
	_, err = net.Loss(pattern(1, 2), mat.NewDense(1, 1, []float64{7}), BinaryCrossEntropy)
	if !errors.As(err, &element) || *element != (ValueError{"Loss", "y", 0, 0, 7, "0 to 1 for BinaryCrossEntropy"}) {
		t.Errorf("%+v", err)
	}
	net.Params()[0] = 1e300
	if _, err := net.Loss(mat.NewDense(1, 2, []float64{1e10, 0}), pattern(1, 1), nil); !errors.Is(err, ErrDiverged) {
		t.Errorf("%v does not wrap ErrDiverged", err)
	}
	if _, _, err := net.Gradient(nil, mat.NewDense(1, 2, []float64{1e10, 0}), pattern(1, 1), nil); !errors.Is(err, ErrDiverged) {
		t.Errorf("%v does not wrap ErrDiverged", err)
	}
}

// ─── Concurrency and allocation ──────────────────────────────────────────────

func TestPredictFromManyGoroutinesEqualsTheSerialResult(t *testing.T) {
	net := newNetwork(t, 20, Standardize{}, Dense{Units: 50, Activation: ReLU}, BatchNorm{}, Dropout{}, Dense{Units: 7, Activation: Softmax})
	x, y := pattern(600, 20), classes(600, 7)
	value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.01, Epochs: 1, BatchSize: 100}))(t)
	sizes := []int{600, 1, 33, 256, 257, 512, 64, 7}
	want := make([]*mat.Dense, len(sizes))
	for i, n := range sizes {
		want[i] = value(net.Predict(x.Slice(0, n, 0, 20)))(t)
	}
	_, wantGrad, err := net.Gradient(nil, x, y, nil)
	noError(t, err)
	wantLoss := value(net.Loss(x, y, nil))(t)
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

func TestPredictionIsTheCallersToKeep(t *testing.T) {
	net := newNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2})
	x := pattern(5, 2)
	first := value(net.Predict(x))(t)
	kept := mat.DenseCopyOf(first)
	value(net.Predict(pattern(300, 2)))(t)
	value(net.Train(t.Context(), x, pattern(5, 2), TrainConfig{LearningRate: 0.1, Epochs: 3}))(t)
	if !mat.Equal(first, kept) {
		t.Error("a prediction has changed")
	}
	before := stateOf(net)
	first.Apply(func(i, j int, v float64) float64 { return math.NaN() }, first)
	before.mustEqual(t, net)
}

func TestPredictToFillsAnyDst(t *testing.T) {
	net := newNetwork(t, 3, Dense{Units: 4, Activation: Tanh}, Dense{Units: 3})
	x := pattern(700, 3)
	want := value(net.Predict(x))(t)
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
		noError(t, net.PredictTo(c.dst, c.x))
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
		net := newNetwork(t, shape[0], Dense{Units: shape[1], Activation: Tanh}, Dense{Units: shape[2], Activation: Softmax})
		x := pattern(1000, shape[0])
		together := value(net.Predict(x))(t)
		for i := range 1000 {
			one := value(net.Predict(x.Slice(i, i+1, 0, shape[0])))(t)
			sameBits(t, "prediction", one.RawRowView(0), together.RawRowView(i))
		}
	}
}

// Ten times the epochs, or the batches, and not one allocation more, but for the
// history's growth: it doubles at most six times from 3 to 30 epochs and more.
func TestTrainingStepsAllocateNothing(t *testing.T) {
	mayNotAllocate(t)
	norm := []Layer{Standardize{}, Dense{Units: 9, Activation: Tanh}, BatchNorm{Activation: ReLU}, Dropout{}, Dense{Units: 2, Activation: Softmax}}
	large := []Layer{Dense{Units: 200, Activation: GELU}, Dense{Units: 150, Activation: Softmax}, Dense{Units: 2, Activation: Softmax}}
	for name, c := range map[string]struct {
		layers []Layer
		inputs int
		config TrainConfig
	}{
		"one batch":    {norm[1:2], 3, TrainConfig{Loss: MSE}},
		"mini-batches": {norm, 3, TrainConfig{BatchSize: 8}},
		"kept order":   {norm, 3, TrainConfig{BatchSize: 8, KeepOrder: true}},
		"Momentum":     {norm, 3, TrainConfig{BatchSize: 7, Optimizer: &Momentum{Nesterov: true}}},
		"RMSProp":      {norm, 3, TrainConfig{BatchSize: 8, Optimizer: &RMSProp{Centered: true, Momentum: 0.5}}},
		"Adam":         {norm, 3, TrainConfig{BatchSize: 8, Optimizer: &Adam{}}},
		"AdaGrad":      {norm, 3, TrainConfig{BatchSize: 8, Optimizer: &AdaGrad{}}},
		"all penalties": {norm, 3, TrainConfig{BatchSize: 8, Optimizer: &Adam{}, L2: 0.1, WeightDecay: 0.1, ClipNorm: 1, ClipValue: 0.1,
			Schedule: CosineDecay{Epochs: 10}}},
		"large": {large, 100, TrainConfig{BatchSize: 32, Optimizer: &Adam{}}},
	} {
		t.Run(name, func(t *testing.T) {
			net := newNetwork(t, c.inputs, c.layers...)
			outputs := value(net.Predict(pattern(1, c.inputs)))(t).RawMatrix().Cols
			train := func(rows, epochs int) func() {
				x, y := pattern(rows, c.inputs), classes(rows, outputs)
				return func() {
					config := c.config
					config.LearningRate, config.Epochs = 1e-3, epochs
					if config.Optimizer != nil {
						config.Optimizer = fresh(config.Optimizer)
					}
					value(net.Train(t.Context(), x, y, config))(t)
				}
			}
			base := allocations(train(64, 3))
			if more := allocations(train(64, 30)); more > base+6 {
				t.Errorf("3 epochs allocate %d times, 30 epochs %d times", base, more)
			}
			if more := allocations(train(640, 3)); more > base {
				t.Errorf("64 samples allocate %d times, 640 samples %d times", base, more)
			}
		})
	}
}

func TestPredictToAllocatesNothingOnceWarm(t *testing.T) {
	mayNotAllocate(t)
	for _, layers := range [][]Layer{
		{Dense{Units: 4, Activation: Tanh}, Dense{Units: 1, Activation: Sigmoid}},
		{Standardize{}, Dense{Units: 200}, BatchNorm{Activation: ReLU}, Dropout{}, Dense{Units: 100, Activation: Softmax}},
	} {
		for _, rows := range []int{1, 100, 1000} {
			net, x := newNetwork(t, 50, layers...), pattern(rows, 50)
			dst := value(net.Predict(x))(t)
			if n := allocations(func() { noError(t, net.PredictTo(dst, x)) }); n != 0 {
				t.Errorf("%d samples allocate %d times", rows, n)
			}
		}
	}
}

// ─── Helpers ─────────────────────────────────────────────────────────────────

// fewUlps is the relative error of a few roundings.
const fewUlps = 4 * 0x1p-53

func newNetwork(t testing.TB, inputs int, layers ...Layer) *Network {
	t.Helper()
	net, err := New(inputs, layers...)
	noError(t, err)
	return net
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// value is value(f())(t): what f returns beside its error, which must be nil.
func value[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		noError(t, err)
		return v
	}
}

// fails checks an error's full text.
func fails(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", want)
	} else if err.Error() != want {
		t.Errorf("the error is\n\t%q, want\n\t%q", err, want)
	}
}

func panics(t testing.TB, want string, f func()) {
	t.Helper()
	defer func() {
		if got := fmt.Sprint(recover()); got != want {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}()
	f()
}

// equalTo compares to a relative bound.
func equalTo(t testing.TB, what string, got, want []float64, relative float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= relative*math.Abs(want[i])) {
			t.Errorf("%s: [%d] is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// sameBits compares bit for bit.
func sameBits(t testing.TB, what string, got, want []float64) {
	t.Helper()
	same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("%s: not the same bits", what)
	}
}

func noNaN(t testing.TB, what string, values []float64) {
	t.Helper()
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("%s: [%d] is %v", what, i, v)
		}
	}
}

// A state is all that can change in a network.
type state struct{ params, statistics []float64 }

func stateOf(net *Network) (s state) {
	s.params = slices.Clone(net.Params())
	for i := range strings.Count(net.String(), "\n") {
		mean, variance := net.Statistics(i)
		s.statistics = append(append(s.statistics, mean...), variance...)
	}
	return s
}

func (s state) mustEqual(t testing.TB, net *Network) {
	t.Helper()
	now := stateOf(net)
	sameBits(t, "parameters", now.params, s.params)
	sameBits(t, "statistics", now.statistics, s.statistics)
}

// pattern is a matrix of values in [−1, 1], always the same.
func pattern(rows, cols int) *mat.Dense {
	rng, m := rand.New(rand.NewPCG(uint64(rows), uint64(cols))), mat.NewDense(rows, cols, nil)
	m.Apply(func(i, j int, _ float64) float64 { return 2*rng.Float64() - 1 }, m)
	return m
}

// probabilities is a matrix of values in [0, 1], always the same.
func probabilities(rows, cols int) *mat.Dense {
	m := pattern(rows, cols)
	m.Apply(func(i, j int, v float64) float64 { return (1 + v) / 2 }, m)
	return m
}

// classes is a one-hot matrix.
func classes(rows, n int) *mat.Dense {
	m := mat.NewDense(rows, n, nil)
	for i := range rows {
		m.Set(i, i*i%n, 1)
	}
	return m
}

func scaledMatrix(m mat.Matrix, k float64) *mat.Dense {
	var s mat.Dense
	s.Scale(k, m)
	return &s
}

// scaledNetwork is a = 1e300·x.
func scaledNetwork(t testing.TB) *Network {
	net := newNetwork(t, 1, Dense{Units: 1})
	net.Params()[0] = 1e300
	return net
}

func absolute(m mat.Matrix) *mat.Dense {
	var a mat.Dense
	a.Apply(func(i, j int, v float64) float64 { return math.Abs(v) }, m)
	return &a
}

func wideVector(m *mat.Dense, column int) *mat.VecDense {
	var v mat.VecDense
	v.ColViewOf(m, column)
	return &v
}

func setIdentity(m *mat.Dense) {
	m.Apply(func(i, j int, _ float64) float64 {
		if i == j {
			return 1
		}
		return 0
	}, m)
}

func fillVector(v *mat.VecDense, to float64) {
	for i := range v.Len() {
		v.SetVec(i, to)
	}
}

func largest(values []float64) (top float64) {
	for _, v := range values {
		top = max(top, math.Abs(v))
	}
	return top
}

// moments are the mean and the variance.
func moments(values []float64) (mean, variance float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, variance
}

// optimizers are the package's; fresh makes a new one of the same kind.
var optimizers = []Optimizer{&Momentum{Nesterov: true}, &RMSProp{Centered: true, Momentum: 0.5}, &Adam{}, &AdaGrad{}}

func fresh(o Optimizer) Optimizer {
	switch o := o.(type) {
	case *Momentum:
		return &Momentum{Mu: o.Mu, Nesterov: o.Nesterov}
	case *RMSProp:
		return &RMSProp{Alpha: o.Alpha, Epsilon: o.Epsilon, Momentum: o.Momentum, Centered: o.Centered}
	case *Adam:
		return &Adam{Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon}
	case *AdaGrad:
		return &AdaGrad{Epsilon: o.Epsilon}
	}
	return o
}

// stepFunc makes a function an optimizer; still is one that does nothing.
type stepFunc func(params, grad []float64, eta float64)

func (f stepFunc) Step(params, grad []float64, eta float64) { f(params, grad, eta) }

type still struct{}

func (still) Step(params, grad []float64, eta float64) {}

// observed is an activation that shows what it computes.
type observed struct {
	Activation
	see func(a, z []float64)
}

func (f observed) Forward(a, z []float64) {
	f.Activation.Forward(a, z)
	f.see(a, z)
}

// wrong has k times the derivative that it should have.
type wrong struct {
	Activation
	k float64
}

func (f wrong) Backward(dz, da, z, a []float64) {
	f.Activation.Backward(dz, da, z, a)
	for i := range dz {
		dz[i] *= f.k
	}
}

// named is a name for an activation.
type named string

func (named) Forward(a, z []float64)          { copy(a, z) }
func (named) Backward(dz, da, z, a []float64) { copy(dz, da) }
func (f named) String() string                { return string(f) }

// sine is sin z, element by element.
type sine struct{ named }

func (sine) Forward(a, z []float64) {
	for i, z := range z {
		a[i] = math.Sin(z)
	}
}

func (sine) Backward(dz, da, z, a []float64) {
	for i, z := range z {
		dz[i] = da[i] * math.Cos(z)
	}
}

// unitLength is z/√(1+‖z‖²), which mixes the units of a row.
type unitLength struct{ named }

func (unitLength) length(z []float64) float64 {
	sum := 1.0
	for _, v := range z {
		sum += v * v
	}
	return math.Sqrt(sum)
}

func (f unitLength) Forward(a, z []float64) {
	n := f.length(z)
	for i, v := range z {
		a[i] = v / n
	}
}

// With n = √(1+‖z‖²), ∂aⱼ/∂zᵢ = (δᵢⱼ − aᵢ·aⱼ)/n.
func (f unitLength) Backward(dz, da, z, a []float64) {
	n, dot := f.length(z), 0.0
	for j, a := range a {
		dot += da[j] * a
	}
	for i, a := range a {
		dz[i] = (da[i] - a*dot) / n
	}
}

// nanIsZero is the identity, but for a NaN.
type nanIsZero struct{ named }

func (nanIsZero) Forward(a, z []float64) {
	for i, v := range z {
		if a[i] = v; math.IsNaN(v) {
			a[i] = 0
		}
	}
}

type returnsNaN struct{ named }

func (returnsNaN) Forward(a, z []float64) { a[0] = math.NaN() }

// What embeds a type of the package, and does something else.
type (
	embedsELU   struct{ ELU }
	embedsHuber struct{ Huber }
	embedsAdam  struct{ Adam }
)

func (embedsELU) Forward(a, z []float64)                     { unitLength{}.Forward(a, z) }
func (embedsELU) Backward(dz, da, z, a []float64)            { unitLength{}.Backward(dz, da, z, a) }
func (embedsHuber) Value(a, y []float64) float64             { return weighted{}.Value(a, y) }
func (embedsHuber) Gradient(da, a, y []float64)              { weighted{}.Gradient(da, a, y) }
func (*embedsAdam) Step(params, grad []float64, eta float64) {}

// counting counts the values of a loss, keeps the targets, and calls out.
type counting struct {
	Loss
	values, total int
	targets       []float64
	then          map[int]func() // at the n-th value
	every         func()
	result        float64 // instead of the value, unless it is 0
}

func (c *counting) Value(a, y []float64) float64 {
	c.values++
	c.total++
	c.targets = append(c.targets, y...)
	if f := c.then[c.total]; f != nil {
		f()
	}
	if c.every != nil {
		c.every()
	}
	if c.result != 0 {
		return c.result
	}
	return c.Loss.Value(a, y)
}

// squared is what MSE is.
type squared struct{}

func (squared) Value(a, y []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - y[i]) * (a[i] - y[i])
	}
	return sum / float64(len(a))
}

func (squared) Gradient(da, a, y []float64) {
	for i := range a {
		da[i] = 2 * (a[i] - y[i]) / float64(len(a))
	}
}

// logCosh is Σ log cosh(a−y).
type logCosh struct{}

func (logCosh) Value(a, y []float64) (sum float64) {
	for i := range a {
		sum += math.Log(math.Cosh(a[i] - y[i]))
	}
	return sum
}

func (logCosh) Gradient(da, a, y []float64) {
	for i := range a {
		da[i] = math.Tanh(a[i] - y[i])
	}
}

// weighted is Σ (i+1)·(a−y)²: every unit has another weight.
type weighted struct{}

func (weighted) Value(a, y []float64) (sum float64) {
	for i := range a {
		sum += float64(i+1) * (a[i] - y[i]) * (a[i] - y[i])
	}
	return sum
}

func (weighted) Gradient(da, a, y []float64) {
	for i := range a {
		da[i] = 2 * float64(i+1) * (a[i] - y[i])
	}
}

type scaledLoss struct{ k float64 }

func (l scaledLoss) Value(a, y []float64) float64 { return l.k * squared{}.Value(a, y) }

func (l scaledLoss) Gradient(da, a, y []float64) {
	squared{}.Gradient(da, a, y)
	for i := range da {
		da[i] *= l.k
	}
}

type halfGradient struct{ squared }

func (halfGradient) Gradient(da, a, y []float64) {
	squared{}.Gradient(da, a, y)
	for i := range da {
		da[i] /= 2
	}
}

type nanGradient struct{ squared }

func (nanGradient) Gradient(da, a, y []float64) {
	for i := range da {
		da[i] = math.NaN()
	}
}

// foreign is a layer that the package does not know.
type foreign struct{ Layer }

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no") }

// allocations is how often f allocates, the lowest of some runs: what the
// runtime allocates meanwhile is not f's. Nothing is collected meanwhile, which
// would empty the pools.
func allocations(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	f()
	lowest := uint64(math.MaxUint64)
	var before, after runtime.MemStats
	for range 5 {
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		lowest = min(lowest, after.Mallocs-before.Mallocs)
	}
	return lowest
}

// mayNotAllocate skips where sync.Pool forgets at random, as it does under the
// race detector.
func mayNotAllocate(t *testing.T) {
	info, _ := debug.ReadBuildInfo()
	if info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector makes sync.Pool allocate")
	}
}
