// The heart of the library's tests, in this order:
//
//	The textbook, by hand
//	Agreement with NumPy
//	Gradients
//	The formulas, by hand
//	The README
//	Examples
//	Helpers
//
// The others are in internal/tests, a package a topic. All of them see the library as its users do,
// through the public API. Figures are derived where they are asserted, or their source is named.
package backprop_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	//lint:ignore ST1019 examples name the package, as its users do
	"example.com/backprop"
	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// ─── The textbook, by hand ───────────────────────────────────────────────────────

// A 2-2-1 network of sigmoids on one sample, with MSE and η = 1/2: forward, loss, every gradient
// and one update, written out without a matrix.
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

	net := NewNetwork(t, 2, Dense{Units: 2, Activation: Sigmoid}, Dense{Units: 1, Activation: Sigmoid})
	copy(net.Params(), params)
	x, target := mat.NewDense(1, 2, []float64{x1, x2}), mat.NewDense(1, 1, []float64{y})
	predicted := Value(net.Predict(x))(t)
	EqualTo(t, "prediction", predicted.RawMatrix().Data, []float64{p}, FewUlps)
	EqualTo(t, "prediction, rounded", []float64{predicted.At(0, 0)}, []float64{0.750347587823}, 1e-12)
	EqualTo(t, "loss", []float64{Value(net.Loss(x, target, MSE))(t)}, []float64{loss}, FewUlps)
	l, g, err := net.Gradient(nil, x, target, MSE)
	NoError(t, err)
	EqualTo(t, "loss with the gradient", []float64{l}, []float64{loss}, FewUlps)
	EqualTo(t, "gradient", g, grad, FewUlps)
	h := Value(net.Train(t.Context(), x, target, TrainConfig{LearningRate: eta, Epochs: 1, Loss: MSE}))(t)
	EqualTo(t, "updated parameters", net.Params(), updated, FewUlps)
	EqualTo(t, "loss of the epoch", []float64{h.Epochs[0].Loss}, []float64{loss}, FewUlps)
	EqualTo(t, "norm of the gradient", []float64{h.Epochs[0].GradNorm}, []float64{math.Sqrt(norm)}, FewUlps)
}

// ─── Agreement with NumPy ────────────────────────────────────────────────────────

// The tutorial's XOR: a sigmoid hidden layer, a sigmoid output and full-batch updates by error ×
// derivative. That is gradient descent on ½·Σe², so with MSE, the mean over the four samples, η is
// 2·lr. This NumPy program printed the figures, with the W1 and W2 below (transposed there) and
// lr = 0.5:
//
//	b1, b2 = np.zeros((1, W1.shape[1])), np.zeros((1, 1))
//	for epoch in range(10000):
//	    hidden = 1 / (1 + np.exp(-(X @ W1 + b1)))
//	    output = 1 / (1 + np.exp(-(hidden @ W2 + b2)))
//	    error = y - output
//	    delta2 = error * output * (1 - output)
//	    delta1 = delta2 @ W2.T * hidden * (1 - hidden)
//	    W2 += hidden.T @ delta2 * lr
//	    b2 += delta2.sum(axis=0, keepdims=True) * lr
//	    W1 += X.T @ delta1 * lr
//	    b1 += delta1.sum(axis=0, keepdims=True) * lr
//	    if epoch % 1000 == 0:
//	        print(np.mean(error**2))
//	print(W1.tolist(), b1.tolist(), W2.tolist(), b2.tolist())
func TestTutorialAgreesWithNumPy(t *testing.T) {
	for _, c := range []struct {
		name                   string
		hidden                 int
		initial, losses, final []float64 // parameters: W1 (hidden×2), b1, W2 (1×hidden), b2
	}{
		{
			"2 hidden units", 2,
			[]float64{0.5, 0.4, 0.9, 0.8, 0, 0, -1.2, 1.1, 0},
			[]float64{
				0.247132044591292, 0.007352317246324545, 0.002165108312031307, 0.0012242057802500906,
				0.0008442446891694629, 0.0006411338486383098, 0.0005153999566544336, 0.00043016802858235266,
				0.00036870534760848403, 0.0003223489993091367,
			},
			[]float64{
				4.602657987522896, 4.601943978378356, 6.446155477264437, 6.443334248844934,
				-7.065647851603514, -2.8692423119833443, -10.3596651874219, 9.65880032392726, -4.469987105512831,
			},
		},
		{
			"4 hidden units", 4,
			[]float64{0.5, -0.4, -0.9, 1.0, 0.4, -1.2, 0.8, 0.3, 0, 0, 0, 0, -1.2, 1.1, 0.6, -0.7, 0},
			[]float64{
				0.2566585063982112, 0.005155028511707559, 0.0017704397722134854, 0.001035703615251344,
				0.000724089219637298, 0.0005536460941010851, 0.00044673920883781003, 0.0003736602077380357,
				0.0003206599127381915, 0.00028052350218351854,
			},
			[]float64{
				0.9508846754783606, -1.0520054915247328, -5.814458121103574, 5.649608322828172,
				5.944342009109327, -6.10713163068143, 0.4075652439761686, -0.1824177581338038,
				1.324004530211552, -3.13612367026753, -3.209423366621189, 0.3808410244164981,
				-2.6252942284371024, 9.037653949899436, 9.967886565472202, -1.3110867570317684, -1.9606169541627185,
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			net, err := New(2, Dense{Units: c.hidden, Activation: Sigmoid}, Dense{Units: 1, Activation: Sigmoid})
			NoError(t, err)
			copy(net.Params(), c.initial)
			x, y := Xor()
			h, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 2 * 0.5, Epochs: 10000, Loss: MSE})
			NoError(t, err)
			var losses []float64
			for n := 0; n < 10000; n += 1000 {
				losses = append(losses, h.Epochs[n].Loss)
			}
			Near(t, "losses", losses, c.losses, 0)
			Near(t, "parameters", net.Params(), c.final, 0)
		})
	}
}

// The README's network learns XOR from every seed.
func TestXORIsLearntFromEverySeed(t *testing.T) {
	seeds := uint64(1000)
	if testing.Short() {
		seeds = 50
	}
	const workers = 4
	for w := range uint64(workers) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			x, y := Xor()
			for seed := w; seed < seeds; seed += workers {
				net, err := New(2, Dense{Units: 8, Activation: Tanh}, Dense{Units: 1, Activation: Sigmoid})
				NoError(t, err)
				net.Init(seed)
				_, err = net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.5, Epochs: 5000})
				NoError(t, err)
				p, err := net.Predict(x)
				NoError(t, err)
				rounded := make([]float64, 4)
				for i := range rounded {
					rounded[i] = math.Round(p.At(i, 0))
				}
				if !slices.Equal(rounded, y.RawMatrix().Data) {
					t.Errorf("seed %d is not learnt: %v", seed, rounded)
				}
			}
		})
	}
}

// ─── Gradients ───────────────────────────────────────────────────────────────────

// Every activation as the output before every loss, and in the layers before it. Sigmoid before
// BinaryCrossEntropy and Softmax before CrossEntropy go through the closed forms in z.
func TestGradientOfEveryActivationBeforeEveryLoss(t *testing.T) {
	for _, f := range Activations {
		for _, l := range Losses {
			t.Run(fmt.Sprintf("%v/%T%v", f, l, l), func(t *testing.T) {
				for depth := 1; depth <= 3; depth++ {
					for _, shape := range []struct{ samples, inputs, units int }{
						{1, 1, 1}, {1, 3, 2}, {5, 1, 1}, {6, 3, 4},
					} {
						if f == Softmax && shape.units == 1 {
							continue // has no gradient, and New refuses it
						}
						layers := slices.Repeat([]Layer{Dense{Units: shape.units, Activation: f, Init: GlorotNormal}}, depth)
						layers[depth-1] = Dense{Units: shape.units, Activation: Before(l, f), Init: GlorotNormal}
						checkGradient(t, shape.inputs, layers, Pattern(shape.samples, shape.inputs), l)
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
		"dropout":               {Dropout{Rate: 0.5}, Dense{Units: 4, Activation: Tanh}, Dropout{Rate: 0.9}, Dense{Units: 2}},
		"standardize":           {Standardize{}, Dense{Units: 4, Activation: Tanh}, Dense{Units: 2}},
		"standardize, norm":     {Standardize{}, BatchNorm{}, Dense{Units: 4, Activation: Tanh}, Dropout{Rate: 0.5}, Dense{Units: 2}},
		"user-made elementwise": {Dense{Units: 4, Activation: Sine{}}, Dense{Units: 2, Activation: Sine{}}},
		"user-made by row":      {Dense{Units: 4, Activation: UnitLength{}}, Dense{Units: 2, Activation: UnitLength{}}},
		"user-made behind norm": {Dense{Units: 4, NoBias: true}, BatchNorm{Activation: UnitLength{}}, Dense{Units: 2}},
	} {
		for _, l := range []Loss{MSE, Huber{}, LogCosh{}, Weighted{}} {
			t.Run(fmt.Sprintf("%s/%T", name, l), func(t *testing.T) {
				checkGradient(t, 3, layers, Pattern(6, 3), l)
			})
		}
	}
}

// What Standardize and BatchNorm have learnt is a constant of the gradient, and a gradient does not
// change it.
func TestGradientAfterTrainingLeavesTheStatisticsAlone(t *testing.T) {
	layers := []Layer{Standardize{}, Dense{Units: 4, Activation: Tanh, NoBias: true}, BatchNorm{}, Dropout{Rate: 0.5}, Dense{Units: 2}}
	net := NewNetwork(t, 3, layers...)
	x, y := Pattern(20, 3), Pattern(20, 2)
	Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 5, BatchSize: 8}))(t)
	before := StateOf(net)
	if mean, _ := net.Statistics(0); mean[0] == 0 {
		t.Fatal("Standardize has learnt nothing")
	}
	compareGradients(t, net, x, y, MSE)
	before.MustEqual(t, net)
}

// CheckGradient is only worth something if it finds what is wrong. A derivative that is k times the
// true one differs by |k−1|/max(k, 1) of the larger.
func TestCheckGradientFindsAWrongDerivative(t *testing.T) {
	for _, k := range []float64{1.01, 0.99, 1.0001, 2, -1, 0} {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			// Dropout has no parameter, so layer 1 is the first that can be named. Layer 2 lies
			// behind the mistake and is right.
			net := NewNetwork(t, 2, Dropout{Rate: 0.5}, Dense{Units: 3, Activation: Wrong{Activation: Tanh, K: k}}, Dense{Units: 2})
			x, y := Pattern(5, 2), Pattern(5, 2)
			c := Value(net.CheckGradient(x, y, MSE))(t)
			want := math.Abs(k-1) / max(math.Abs(k), 1)
			if math.Abs(c.MaxRelative-want) > 1e-6 {
				t.Errorf("MaxRelative is %v, want %v", c.MaxRelative, want)
			}
			if c.Layer != 1 || c.Index < 0 || c.Index >= 9 { // 3×2 weights and 3 biases
				t.Errorf("names layer %d, parameter %d, want layer 1, one of 0 to 8", c.Layer, c.Index)
			}
			_, grad, err := net.Gradient(nil, x, y, MSE)
			NoError(t, err)
			EqualTo(t, "Analytic", []float64{c.Analytic}, grad[c.Index:c.Index+1], 0)
			EqualTo(t, "Numeric", []float64{c.Numeric}, []float64{numericGradient(t, net, x, y, MSE)[c.Index]}, 1e-7)
		})
	}
}

func TestCheckGradientFindsAWrongLoss(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2})
	c := Value(net.CheckGradient(Pattern(5, 2), Pattern(5, 2), halfGradient{}))(t)
	if math.Abs(c.MaxRelative-0.5) > 1e-6 {
		t.Errorf("MaxRelative is %v, want 0.5", c.MaxRelative)
	}
}

func TestCheckGradientLeavesTheNetworkAlone(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 3, NoBias: true}, BatchNorm{Activation: Tanh}, Dropout{Rate: 0.5}, Dense{Units: 2})
	before := StateOf(net)
	Value(net.CheckGradient(Pattern(5, 2), Pattern(5, 2), nil))(t)
	before.MustEqual(t, net)
}

func TestGradientIsStoredInDst(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2})
	x, y := Pattern(5, 2), Pattern(5, 2)
	_, fresh, err := net.Gradient(nil, x, y, MSE)
	NoError(t, err)
	dst := slices.Repeat([]float64{math.NaN()}, len(net.Params()))
	_, grad, err := net.Gradient(dst, x, y, MSE)
	NoError(t, err)
	if &grad[0] != &dst[0] {
		t.Error("the gradient is not in dst")
	}
	SameBits(t, "gradient", dst, fresh)
}

// checkGradient draws parameters at which no kink is near, and targets that suit the loss, and
// compares the gradient with differences.
func checkGradient(t *testing.T, inputs int, layers []Layer, x *mat.Dense, l Loss) {
	t.Helper()
	net := NewNetwork(t, inputs, layers...)
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
		NoError(t, err)
		if a.nearestKink < 0.02 || Largest(grad) < 1e-3 {
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

// compareGradients compares backpropagation with CheckGradient's differences and with the test's
// own.
func compareGradients(t *testing.T, net *Network, x, y mat.Matrix, l Loss) {
	t.Helper()
	const bound = 1e-7
	if c := Value(net.CheckGradient(x, y, l))(t); !(c.MaxRelative <= bound) {
		t.Errorf("CheckGradient: %+v, want at most %v", c, bound)
	}
	_, grad, err := net.Gradient(nil, x, y, l)
	NoError(t, err)
	numeric := numericGradient(t, net, x, y, l)
	for i, g := range grad {
		scale := max(math.Abs(g), math.Abs(numeric[i]), Largest(grad)/1000)
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
			NoError(t, err)
			return loss
		}
		grad[i] = (at(theta-2*h) - 8*at(theta-h) + 8*at(theta+h) - at(theta+2*h)) / (12 * h)
		params[i] = theta
	}
	return grad
}

// A probedOutput is a network's output in training mode, and how near to a kink at 0 the z of its
// layers have come.
type probedOutput struct {
	*mat.Dense
	nearestKink float64
}

// trainingOutput runs a twin of the network whose activations note what they see.
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
			l.Activation = Observed{Activation: cmp.Or(l.Activation, Identity), See: see}
			probed[i] = l
		case BatchNorm:
			l.Activation = Observed{Activation: cmp.Or(l.Activation, Identity), See: see}
			probed[i] = l
		default:
			probed[i] = l
		}
	}
	rows, inputs := x.Dims()
	twin := NewNetwork(t, inputs, probed...)
	copy(twin.Params(), net.Params())
	outputs := Value(net.Predict(x))(t).RawMatrix().Cols
	_, _, err := twin.Gradient(nil, x, Pattern(rows, outputs), MSE)
	NoError(t, err)
	return probedOutput{mat.NewDense(rows, outputs, last), nearest}
}

// makeProbabilities moves the outputs into (0, 1), where they are not so by the activation: small
// weights and a bias whose f(b) is about a half.
func makeProbabilities(net *Network, layers []Layer) {
	i := len(layers) - 1
	switch layers[i].(Dense).Activation.String() {
	case "Sigmoid", "Softmax":
		return
	case "Softplus":
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
	y := Pattern(n, outputs)
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

// ─── The formulas, by hand ───────────────────────────────────────────────────────

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
			EqualTo(t, "Value", []float64{c.l.Value(c.a, c.y)}, []float64{c.loss}, c.within)
			da := make([]float64, len(c.a))
			c.l.Gradient(da, c.a, c.y)
			EqualTo(t, "Gradient", da, c.da, c.within)
		})
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
		c.layer.Activation = Observed{Activation: Identity, See: func(a, z []float64) { seen = append(seen, z...) }}
		net := NewNetwork(t, 1, c.layer)
		net.Weights(0).Set(0, 0, 3) // γ
		net.Biases(0).SetVec(0, 5)  // β
		x := mat.NewDense(2, 1, []float64{1, 3})
		Value(net.Train(t.Context(), x, x, TrainConfig{LearningRate: 1, Epochs: 1, Optimizer: Still{}}))(t)
		root := math.Sqrt(1 + c.epsilon)
		EqualTo(t, "z in training", seen, []float64{5 - 3/root, 5 + 3/root}, FewUlps)
		mean, variance := net.Statistics(0)
		wantMean, wantVariance := c.momentum*2, (1-c.momentum)*1+c.momentum*2
		EqualTo(t, "running mean", mean, []float64{wantMean}, FewUlps)
		EqualTo(t, "running variance", variance, []float64{wantVariance}, FewUlps)
		p := Value(net.Predict(x))(t)
		root = math.Sqrt(wantVariance + c.epsilon)
		EqualTo(t, "prediction", p.RawMatrix().Data,
			[]float64{5 + 3*(1-wantMean)/root, 5 + 3*(3-wantMean)/root}, 4*FewUlps)
	}
}

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
		{"SGD", &SGD{}, func(s *memory, g, n float64) float64 { return -eta * g }},
		{"Momentum", &SGD{Momentum: 0.9}, func(s *memory, g, n float64) float64 {
			s.v = 0.9*s.v + g
			return -eta * s.v
		}},
		{"Momentum 0.5", &SGD{Momentum: 0.5}, func(s *memory, g, n float64) float64 {
			s.v = 0.5*s.v + g
			return -eta * s.v
		}},
		{"Nesterov", &SGD{Momentum: 0.9, Nesterov: true}, func(s *memory, g, n float64) float64 {
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
				EqualTo(t, fmt.Sprintf("after step %d", n), params, want, 1e-12)
			}
		})
	}
}

// One step of gradient descent from known parameters, with the gradient that Gradient gives.
func TestPenaltiesAndClippingByHand(t *testing.T) {
	const eta, lambda = 0.5, 0.25
	layers := []Layer{Dense{Units: 2}, BatchNorm{Activation: Tanh}, Dense{Units: 1}}
	isWeight := []bool{0: true, 1: true, 2: true, 3: true, 10: true, 11: true, 12: false} // not b, γ and β
	x, y := Pattern(6, 2), Pattern(6, 1)
	start := NewNetwork(t, 2, layers...)
	for i := range start.Params() {
		start.Params()[i] += 0.5 // biases, too, are not zero
	}
	_, g, err := start.Gradient(nil, x, y, nil)
	NoError(t, err)
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
			net := NewNetwork(t, 2, layers...)
			copy(net.Params(), start.Params())
			c.config.LearningRate, c.config.Epochs = eta, 1
			h := Value(net.Train(t.Context(), x, y, c.config))(t)
			EqualTo(t, "parameters", net.Params(), c.want, 1e-14)
			EqualTo(t, "norm", []float64{h.Epochs[0].GradNorm}, []float64{c.norm}, 1e-14)
		})
	}
}

// ─── The README ──────────────────────────────────────────────────────────────────

// Its programs are the hearts of examples, whose output the examples' own tests compare.
func TestREADMEShowsExamplesAndTheirOutput(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1)
	examples := []string{"iris", "xor"}
	for i, b := range blocks {
		if b[1] != "go" {
			continue
		}
		if len(examples) == 0 {
			t.Fatalf("block %d is one program too many", i)
		}
		path := "examples/" + examples[0] + "/main"
		if !strings.Contains(read(t, path+".go"), b[2]) {
			t.Errorf("block %d is not in %s.go", i, path)
		}
		_, output, _ := strings.Cut(read(t, path+"_test.go"), "// Output:\n")
		output = strings.TrimSuffix(strings.ReplaceAll(output, "\t// ", ""), "}\n")
		if shown := blocks[i+1][2]; shown != output {
			t.Errorf("block %d is\n%s\nwant what the example prints:\n%s", i+1, shown, output)
		}
		examples = examples[1:]
	}
	if len(examples) > 0 {
		t.Errorf("%q are missing", examples)
	}
}

// Every piece of code in its tables stands in a file that a test compiles.
func TestREADMEShowsCodeThatIsCompiled(t *testing.T) {
	if gap := regexp.MustCompile(`@[A-Z]+@`).FindString(read(t, "README.md")); gap != "" {
		t.Errorf("%s is still to be written", gap)
	}
	var sources strings.Builder
	NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			sources.WriteString(spaces.ReplaceAllString(read(t, path), " "))
		}
		return err
	}))
	pieces := 0
	for line := range strings.Lines(read(t, "README.md")) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
			if pieces++; !strings.Contains(sources.String(), code[1]) {
				t.Errorf("%s is in no Go file", code[0])
			}
		}
	}
	if !regexp.MustCompile(`(?m)^\| network \| ours .*\n\| --- .*\n\| .* ms \| [0-9]`).MatchString(read(t, "README.md")) {
		t.Error("the table of speed has no rows")
	}
	if pieces < 20 {
		t.Errorf("only %d pieces of code were found", pieces)
	}
}

var spaces = regexp.MustCompile(`\s+`)

// ─── Examples ────────────────────────────────────────────────────────────────────

// A network learns the exclusive or: four samples, two inputs, one output.
func Example() {
	x := mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1})
	y := mat.NewDense(4, 1, []float64{0, 1, 1, 0})

	net, err := backprop.New(2,
		backprop.Dense{Units: 8, Activation: backprop.Tanh},
		backprop.Dense{Units: 1, Activation: backprop.Sigmoid},
	)
	if err != nil {
		log.Fatal(err)
	}
	if _, err = net.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.5, Epochs: 2000}); err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	for i := range 4 {
		fmt.Printf("%v xor %v = %.0f\n", x.At(i, 0), x.At(i, 1), p.At(i, 0))
	}
	// Output:
	// 0 xor 0 = 0
	// 0 xor 1 = 1
	// 1 xor 0 = 1
	// 1 xor 1 = 0
}

// A classifier ends in Softmax, one unit a class; its targets are one-hot rows.
// CrossEntropy is then the loss by default.
func Example_classification() {
	trainX, trainLabels := glyphs(150, 1) // noisy 3×5 pixels; 0, 1 or 2
	testX, testLabels := glyphs(60, 2)
	trainY, _ := backprop.OneHot(trainLabels, 3)
	testY, _ := backprop.OneHot(testLabels, 3)

	net, err := backprop.New(15,
		backprop.Dense{Units: 16, Activation: backprop.ReLU},
		backprop.Dense{Units: 3, Activation: backprop.Softmax},
	)
	if err != nil {
		log.Fatal(err)
	}
	_, err = net.Train(context.Background(), trainX, trainY, backprop.TrainConfig{LearningRate: 0.5, Epochs: 200})
	if err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(testX)
	if err != nil {
		log.Fatal(err)
	}
	accuracy, err := backprop.Accuracy(p, testY)
	if err != nil {
		log.Fatal(err)
	}
	confusion, err := backprop.ConfusionMatrix(p, testY)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("test accuracy %.2f\n", accuracy)
	fmt.Println(mat.Formatted(confusion)) // a row is a true class, a column a predicted one
	// Output:
	// test accuracy 1.00
	// ⎡20   0   0⎤
	// ⎢ 0  20   0⎥
	// ⎣ 0   0  20⎦
}

// A regression ends in a layer without activation. MSE is then the loss by
// default, and Standardize lets the network take its inputs in any unit.
func Example_regression() {
	x, y := mat.NewDense(100, 1, nil), mat.NewDense(100, 1, nil)
	for i := range 100 {
		degrees := 3.6 * float64(i)
		x.Set(i, 0, degrees)
		y.Set(i, 0, math.Sin(degrees*math.Pi/180))
	}
	net, err := backprop.New(1,
		backprop.Standardize{},
		backprop.Dense{Units: 16, Activation: backprop.Tanh},
		backprop.Dense{Units: 1},
	)
	if err != nil {
		log.Fatal(err)
	}
	_, err = net.Train(context.Background(), x, y, backprop.TrainConfig{
		LearningRate: 0.01, Optimizer: &backprop.Adam{}, Epochs: 2000,
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(mat.NewDense(3, 1, []float64{30, 90, 270}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("sin 30° = %.1f, sin 90° = %.1f, sin 270° = %.1f\n", p.At(0, 0), p.At(1, 0), p.At(2, 0))

	all, err := net.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	r2, err := backprop.R2(all, y)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("R² = %.2f\n", r2)
	// Output:
	// sin 30° = 0.5, sin 90° = 1.0, sin 270° = -1.0
	// R² = 1.00
}

// Raw pixels in, ten classes out.
func ExampleNew() {
	net, err := backprop.New(64,
		backprop.Standardize{},
		backprop.Dense{Units: 128, NoBias: true},
		backprop.BatchNorm{Activation: backprop.ReLU},
		backprop.Dropout{Rate: 0.2},
		backprop.Dense{Units: 10, Activation: backprop.Softmax},
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(net)
	// Output:
	// layer  type                output  parameters
	//        input               64      0
	// 0      Standardize         64      0
	// 1      Dense without bias  128     8192
	// 2      BatchNorm ReLU      128     256
	// 3      Dropout 0.2         128     0
	// 4      Dense Softmax       10      1290
	//                            total   9738
}

// Mini-batches with Adam. OnEpoch sees every epoch, and may end the training.
func ExampleNetwork_Train() {
	x, labels := glyphs(300, 1)
	y, err := backprop.OneHot(labels, 3)
	if err != nil {
		log.Fatal(err)
	}
	net, err := backprop.New(15,
		backprop.Dense{Units: 16, Activation: backprop.ReLU},
		backprop.Dense{Units: 3, Activation: backprop.Softmax},
	)
	if err != nil {
		log.Fatal(err)
	}
	history, err := net.Train(context.Background(), x, y, backprop.TrainConfig{
		LearningRate: 0.01,
		Optimizer:    &backprop.Adam{},
		BatchSize:    32,
		Epochs:       20,
		OnEpoch: func(e backprop.Epoch) error {
			if e.Loss < 0.01 {
				return backprop.ErrStop // good enough
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	last := history.Epochs[len(history.Epochs)-1]
	fmt.Println(history.Stopped)
	fmt.Println("loss below 0.01:", last.Loss < 0.01)
	// Output:
	// stopped by OnEpoch
	// loss below 0.01: true
}

// Training ends when the validation loss has not fallen for 20 epochs, and
// leaves the parameters of the epoch that had the lowest.
func ExampleNetwork_Train_earlyStopping() {
	trainX, trainY := noisySine(20, 1) // few enough to be learnt by heart
	validX, validY := noisySine(100, 2)
	net, err := backprop.New(1,
		backprop.Dense{Units: 64, Activation: backprop.Tanh},
		backprop.Dense{Units: 1},
	)
	if err != nil {
		log.Fatal(err)
	}
	history, err := net.Train(context.Background(), trainX, trainY, backprop.TrainConfig{
		LearningRate: 0.02,
		Optimizer:    &backprop.Adam{},
		Epochs:       10000,
		Validation:   backprop.Data{X: validX, Y: validY},
		Patience:     20,
	})
	if err != nil {
		log.Fatal(err)
	}
	loss, err := net.Loss(validX, validY, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(history.Stopped)
	fmt.Println("epochs after the best:", len(history.Epochs)-1-history.Best)
	fmt.Println("the best is restored:", loss == history.Epochs[history.Best].ValidationLoss)
	// Output:
	// no improvement
	// epochs after the best: 20
	// the best is restored: true
}

// A cancelled context, here one with a deadline, ends training within one
// batch. The network keeps what it has learnt.
func ExampleNetwork_Train_timeLimit() {
	x, y := noisySine(50, 1)
	net, err := backprop.New(1, backprop.Dense{Units: 8, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	history, err := net.Train(ctx, x, y, backprop.TrainConfig{LearningRate: 0.1, Epochs: 1e9})
	fmt.Println(errors.Is(err, context.DeadlineExceeded), history.Stopped)
	// Output:
	// true cancelled
}

// A training with a checkpoint goes on where it was interrupted, and ends with
// the very bits of one that was not.
func ExampleNetwork_Train_checkpoint() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	x, y := noisySine(50, 1)
	train := func(ctx context.Context, checkpoint string, onEpoch func(backprop.Epoch) error) *backprop.Network {
		net, err := backprop.New(1, backprop.Dense{Units: 8, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
		if err != nil {
			log.Fatal(err)
		}
		_, err = net.Train(ctx, x, y, backprop.TrainConfig{
			LearningRate: 0.01, Optimizer: &backprop.Adam{}, Epochs: 40, BatchSize: 10,
			Checkpoint: checkpoint, OnEpoch: onEpoch,
		})
		fmt.Println(err)
		return net
	}
	whole := train(context.Background(), "", nil)

	path := filepath.Join(dir, "sine.ckpt")
	ctx, interrupt := context.WithCancel(context.Background())
	train(ctx, path, func(e backprop.Epoch) error {
		if e.N == 19 {
			interrupt()
		}
		return nil
	})
	resumed := train(context.Background(), path, nil)
	fmt.Println("the same bits:", slices.Equal(whole.Params(), resumed.Params()))
	// Output:
	// <nil>
	// backprop: Train: cancelled in epoch 20: context canceled
	// <nil>
	// the same bits: true
}

// Schedules can be composed, and any function of the epochs so far is one.
func ExampleSchedule() {
	warm := backprop.Warmup{Epochs: 2, Start: 0.5, Then: backprop.CosineDecay{Epochs: 4}}
	own := backprop.ScheduleFunc(func(base float64, history []backprop.Epoch) float64 {
		return base / float64(1+len(history))
	})
	var history []backprop.Epoch
	for n := range 7 {
		fmt.Printf("epoch %d: %.3f %.3f\n", n, warm.Rate(0.1, history), own.Rate(0.1, history))
		history = append(history, backprop.Epoch{N: n})
	}
	// Output:
	// epoch 0: 0.050 0.100
	// epoch 1: 0.075 0.050
	// epoch 2: 0.100 0.033
	// epoch 3: 0.085 0.025
	// epoch 4: 0.050 0.020
	// epoch 5: 0.015 0.017
	// epoch 6: 0.000 0.014
}

// arctan is an activation of one's own.
type arctan struct{}

func (arctan) String() string { return "arctan" }

func (arctan) Forward(a, z []float64) {
	for i, z := range z {
		a[i] = math.Atan(z)
	}
}

// f′(z) = 1/(1+z²)
func (arctan) Backward(dz, da, z, a []float64) {
	for i, z := range z {
		dz[i] = da[i] / (1 + z*z)
	}
}

// An activation is a forward, a backward and a name. CheckGradient tells
// whether the two belong together; registering it lets Load find it.
func ExampleRegisterActivation() {
	if err := backprop.RegisterActivation(arctan{}); err != nil {
		log.Fatal(err)
	}
	net, err := backprop.New(1, backprop.Dense{Units: 8, Activation: arctan{}}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	x, y := noisySine(20, 1)
	check, err := net.CheckGradient(x, y, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("gradient right:", check.MaxRelative < 1e-6)

	var file bytes.Buffer
	if _, err := net.WriteTo(&file); err != nil {
		log.Fatal(err)
	}
	loaded, err := backprop.Read(&file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(loaded)
	// Output:
	// gradient right: true
	// layer  type          output  parameters
	//        input         1       0
	// 0      Dense arctan  8       16
	// 1      Dense         1       9
	//                      total   25
}

// pinball is the loss whose minimum is a quantile: of 0.9, so that nine
// targets out of ten lie below the prediction.
type pinball struct{ quantile float64 }

func (l pinball) Value(a, y []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += max(l.quantile*(y[i]-a[i]), (l.quantile-1)*(y[i]-a[i]))
	}
	return sum / float64(len(a))
}

func (l pinball) Gradient(da, a, y []float64) {
	for i := range a {
		da[i] = (1 - l.quantile) / float64(len(a))
		if a[i] < y[i] {
			da[i] = -l.quantile / float64(len(a))
		}
	}
}

// A loss is the value of one sample and its derivative by the output.
func ExampleLoss() {
	x, y := noisySine(400, 1)
	net, err := backprop.New(1, backprop.Dense{Units: 16, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	_, err = net.Train(context.Background(), x, y, backprop.TrainConfig{
		Loss: pinball{0.9}, LearningRate: 0.01, Optimizer: &backprop.Adam{}, Epochs: 500,
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	below := 0.0
	for i := range 400 {
		if y.At(i, 0) < p.At(i, 0) {
			below++
		}
	}
	fmt.Printf("%.1f of the targets lie below the prediction\n", below/400)
	// Output:
	// 0.9 of the targets lie below the prediction
}

// A single unit p = w·x + b at w = 2, b = 0, x = 3 and y = 5: L = (p−y)² = 1,
// ∂L/∂w = 2(p−y)·x = 6 and ∂L/∂b = 2(p−y) = 2.
func ExampleNetwork_Gradient() {
	net, err := backprop.New(1, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	copy(net.Params(), []float64{2, 0})
	loss, grad, err := net.Gradient(nil, mat.NewDense(1, 1, []float64{3}), mat.NewDense(1, 1, []float64{5}), backprop.MSE)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(loss, grad)
	// Output:
	// 1 [6 2]
}

// Backpropagation against central differences, parameter by parameter.
func ExampleNetwork_CheckGradient() {
	x, y := noisySine(10, 1)
	net, err := backprop.New(1, backprop.Dense{Units: 8, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	check, err := net.CheckGradient(x, y, backprop.MSE)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("agree to six digits:", check.MaxRelative < 1e-6)
	// Output:
	// agree to six digits: true
}

// What was trained once is used elsewhere. Statistics that layers have learnt
// are saved too.
func ExampleNetwork_Save() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sine.safetensors")

	x, y := noisySine(50, 1)
	net, err := backprop.New(1,
		backprop.Standardize{}, backprop.Dense{Units: 8, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := net.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.1, Epochs: 100}); err != nil {
		log.Fatal(err)
	}
	if err := net.Save(path); err != nil {
		log.Fatal(err)
	}

	loaded, err := backprop.Load(path)
	if err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	q, err := loaded.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same predictions:", mat.Equal(p, q))
	// Output:
	// the same predictions: true
}

// Predict may be called from any number of goroutines, as a server's handlers
// are. examples/serve is a whole server.
func ExampleNetwork_Predict_server() {
	net, err := backprop.New(2, backprop.Dense{Units: 3, Activation: backprop.Softmax}) // or Load
	if err != nil {
		log.Fatal(err)
	}
	copy(net.Params(), []float64{5, 0, 0, 5, -5, -5, 0, 0, 0})
	handler := func(w http.ResponseWriter, r *http.Request) {
		var sample []float64
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&sample); err != nil || len(sample) == 0 {
			http.Error(w, "want a JSON array of numbers", http.StatusBadRequest)
			return
		}
		p, err := net.Predict(mat.NewDense(1, len(sample), sample))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"class": floats.MaxIdx(p.RawRowView(0))})
	}

	for _, body := range []string{"[0.1, 0.9]", "[1, 2, 3]"} {
		w := httptest.NewRecorder()
		handler(w, httptest.NewRequest("POST", "/predict", strings.NewReader(body)))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 {"class":1}
	// 400 backprop: Predict: x is 1×3, want N×2
}

// Weights, biases and statistics are counted by the layers as given to New.
func ExampleNetwork_Weights() {
	net, err := backprop.New(2, backprop.Standardize{}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	x := mat.NewDense(4, 2, []float64{10, 0, 10, 2, 30, 0, 30, 2})
	y := mat.NewDense(4, 1, []float64{-1, 3, 1, 5}) // x₀/10 + 2·x₁ − 2
	if _, err := net.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.1, Epochs: 200}); err != nil {
		log.Fatal(err)
	}
	mean, variance := net.Statistics(0)
	fmt.Println("mean", mean, "variance", variance)
	fmt.Printf("weights %.2f\n", mat.Formatted(net.Weights(1)))
	fmt.Printf("bias %.2f\n", net.Biases(1).AtVec(0))
	fmt.Println("weights of layer 0:", net.Weights(0))
	// Output:
	// mean [20 1] variance [100 1]
	// weights [1.00  2.00]
	// bias 2.00
	// weights of layer 0: <nil>
}

// center is a layer of one's own: it takes the mean of each row away.
type center struct{}

func (center) Shape(inputs int) (backprop.Shape, error) {
	return backprop.Shape{Outputs: inputs}, nil
}

func (center) Reset(backprop.Place) {}

func (center) Stage(backprop.Place) backprop.Stage { return &centering{} }

type centering struct{ a mat.Dense }

func (s *centering) Forward(x *mat.Dense) *mat.Dense {
	rows, cols := x.Dims()
	a := backprop.Resize(&s.a, rows, cols)
	a.Copy(x)
	return centerRows(a)
}

// The layer's Jacobian is I − 1·1ᵀ/cols, so its backward is its forward.
func (s *centering) Backward(da *mat.Dense) *mat.Dense { return centerRows(da) }

func centerRows(m *mat.Dense) *mat.Dense {
	for i := range m.RawMatrix().Rows {
		row := m.RawRowView(i)
		floats.AddConst(-stat.Mean(row, nil), row)
	}
	return m
}

// A layer of one's own stands anywhere in a network, and once registered it is
// loaded, too. [Layer] shows one with parameters, examples/layers a residual
// block, layer normalization and a convolution.
func ExampleRegisterLayer() {
	if err := backprop.RegisterLayer("Center", center{}); err != nil {
		log.Fatal(err)
	}
	net, err := backprop.New(3, center{}, backprop.Dense{Units: 4, Activation: backprop.Tanh}, center{}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	x := mat.NewDense(2, 3, []float64{1, 2, 3, 30, 10, 20})
	check, err := net.CheckGradient(x, mat.NewDense(2, 1, []float64{0, 1}), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the gradient is right:", check.MaxRelative < 1e-6)
	var file bytes.Buffer
	if _, err := net.WriteTo(&file); err != nil {
		log.Fatal(err)
	}
	loaded, err := backprop.Read(&file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("loaded:", len(loaded.Layers()), "layers")
	// Output:
	// the gradient is right: true
	// loaded: 4 layers
}

// One sample in twenty is of the rare class. Without weights the network does
// best by hardly ever naming it.
func ExampleBalancedWeights() {
	rng := rand.New(rand.NewPCG(1, 1))
	x, labels := mat.NewDense(420, 2, nil), make([]int, 420)
	for i := range labels {
		if i%21 == 0 {
			labels[i] = 1
		}
		for j := range 2 {
			x.Set(i, j, rng.NormFloat64()+1.5*float64(labels[i]))
		}
	}
	y, _ := backprop.OneHot(labels, 2)
	weights, err := backprop.BalancedWeights(y)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("weights %.3f and %.1f\n", weights[1], weights[0])
	for _, sampleWeights := range [][]float64{nil, weights} {
		net, err := backprop.New(2, backprop.Dense{Units: 2, Activation: backprop.Softmax})
		if err != nil {
			log.Fatal(err)
		}
		_, err = net.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.5, Epochs: 500, SampleWeights: sampleWeights})
		if err != nil {
			log.Fatal(err)
		}
		p, err := net.Predict(x)
		if err != nil {
			log.Fatal(err)
		}
		confusion, err := backprop.ConfusionMatrix(p, y)
		if err != nil {
			log.Fatal(err)
		}
		scores, err := backprop.ClassScores(confusion)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("recall of the rare class %.1f, precision %.1f\n", scores[1].Recall, scores[1].Precision)
	}
	// Output:
	// weights 0.525 and 10.5
	// recall of the rare class 0.2, precision 0.6
	// recall of the rare class 0.8, precision 0.2
}

// An autoencoder learns to give back what it takes, here which of eight it was,
// through three units. Its encoder is its first layer.
func ExampleNetwork_Slice() {
	eight, err := backprop.OneHot([]int{0, 1, 2, 3, 4, 5, 6, 7}, 8)
	if err != nil {
		log.Fatal(err)
	}
	net, err := backprop.New(8,
		backprop.Dense{Units: 3, Activation: backprop.Sigmoid}, backprop.Dense{Units: 8, Activation: backprop.Softmax})
	if err != nil {
		log.Fatal(err)
	}
	_, err = net.Train(context.Background(), eight, eight, backprop.TrainConfig{LearningRate: 0.03, Epochs: 2000, Optimizer: &backprop.Adam{}})
	if err != nil {
		log.Fatal(err)
	}
	encoder, err := net.Slice(0, 1)
	if err != nil {
		log.Fatal(err)
	}
	codes, err := encoder.Predict(eight)
	if err != nil {
		log.Fatal(err)
	}
	different := map[string]bool{}
	for i := range 8 {
		different[fmt.Sprintf("%.1f", codes.RawRowView(i))] = true
	}
	fmt.Printf("%d different codes of %d units\n", len(different), encoder.Outputs())
	// Output:
	// 8 different codes of 3 units
}

// A head on a frozen trunk: what a network has learnt of the difference between
// 0 and 1 serves another one, of which only the last layer is trained, to tell
// all three from each other. examples/transfer does so with real digits.
func ExampleNetwork_Train_frozen() {
	x, labels := glyphs(150, 1)
	var rows []float64
	var zeroOrOne []int
	for i, label := range labels {
		if label < 2 {
			rows, zeroOrOne = append(rows, x.RawRowView(i)...), append(zeroOrOne, label)
		}
	}
	y2, _ := backprop.OneHot(zeroOrOne, 2)
	y3, _ := backprop.OneHot(labels, 3)
	trunk := backprop.Dense{Units: 16, Activation: backprop.Tanh}

	old, err := backprop.New(15, trunk, backprop.Dense{Units: 2, Activation: backprop.Softmax})
	if err != nil {
		log.Fatal(err)
	}
	config := backprop.TrainConfig{LearningRate: 0.5, Epochs: 200}
	if _, err := old.Train(context.Background(), mat.NewDense(len(zeroOrOne), 15, rows), y2, config); err != nil {
		log.Fatal(err)
	}
	net, err := backprop.New(15, trunk, backprop.Dense{Units: 3, Activation: backprop.Softmax})
	if err != nil {
		log.Fatal(err)
	}
	learnt, err := old.Slice(0, 1)
	if err != nil {
		log.Fatal(err)
	}
	copy(net.Params(), learnt.Params()) // the first layer's come first
	config.Freeze = []int{0}
	if _, err := net.Train(context.Background(), x, y3, config); err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the trunk is as it was:", mat.Equal(net.Weights(0), old.Weights(0)))
	fmt.Println("all are told apart:", slices.Equal(backprop.Classes(p), labels))
	// Output:
	// the trunk is as it was: true
	// all are told apart: true
}

// What an output goes by: the derivatives of the loss by the inputs, here of a
// function of the first and the third of them.
func ExampleNetwork_InputGradient() {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := mat.NewDense(200, 3, nil), mat.NewDense(200, 1, nil)
	for i := range 200 {
		for j := range 3 {
			x.Set(i, j, rng.NormFloat64())
		}
		y.Set(i, 0, 3*x.At(i, 0)-x.At(i, 2)+0.01*rng.NormFloat64())
	}
	net, err := backprop.New(3, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := net.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.1, Epochs: 200}); err != nil {
		log.Fatal(err)
	}
	dx, err := net.InputGradient(x, y, nil)
	if err != nil {
		log.Fatal(err)
	}
	var saliency [3]float64
	for j := range saliency {
		saliency[j] = floats.Norm(mat.Col(nil, j, dx), 1)
	}
	floats.Scale(1/floats.Sum(saliency[:]), saliency[:])
	fmt.Printf("%.2f\n", saliency)
	// Output:
	// [0.75 0.00 0.25]
}

// passedOn is the loss whose derivative by an output is its target: dA as it
// comes from a network behind.
type passedOn struct{}

func (passedOn) Value(a, y []float64) float64 { return floats.Dot(a, y) }

func (passedOn) Gradient(da, a, y []float64) { copy(da, y) }

// Two networks in a row: a decoder learns to draw what a judge, which stays as
// it is, takes for a 0, a 1 or a 2.
func ExampleNetwork_InputGradient_twoNetworks() {
	images, labels := glyphs(150, 1)
	y, _ := backprop.OneHot(labels, 3)
	judge, err := backprop.New(15, backprop.Dense{Units: 3, Activation: backprop.Softmax})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := judge.Train(context.Background(), images, y, backprop.TrainConfig{LearningRate: 0.5, Epochs: 200}); err != nil {
		log.Fatal(err)
	}
	decoder, err := backprop.New(3, backprop.Dense{Units: 15, Activation: backprop.Sigmoid})
	if err != nil {
		log.Fatal(err)
	}
	wanted, _ := backprop.OneHot([]int{0, 1, 2}, 3)
	optimizer, grad := &backprop.Adam{}, []float64(nil)
	for range 300 {
		drawn, err := decoder.Predict(wanted)
		if err != nil {
			log.Fatal(err)
		}
		da, err := judge.InputGradient(drawn, wanted, nil)
		if err != nil {
			log.Fatal(err)
		}
		da.Scale(3, da) // passedOn is a mean over three samples
		if _, grad, err = decoder.Gradient(grad, wanted, da, passedOn{}); err != nil {
			log.Fatal(err)
		}
		optimizer.Step(decoder.Params(), grad, 0.05)
	}
	drawn, err := decoder.Predict(wanted)
	if err != nil {
		log.Fatal(err)
	}
	p, err := judge.Predict(drawn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(backprop.Classes(p))
	// Output:
	// [0 1 2]
}

// A training loop of one's own does what Train does, where it does the same.
func ExampleNetwork_TrainingGradient() {
	x, y := noisySine(64, 1)
	data := backprop.Data{X: x, Y: y}
	net, err := backprop.New(1, backprop.Standardize{}, backprop.Dense{Units: 8}, backprop.BatchNorm{Activation: backprop.Tanh},
		backprop.Dropout{Rate: 0.1}, backprop.Dense{Units: 1}, backprop.Unstandardize{})
	if err != nil {
		log.Fatal(err)
	}
	trained := net.Clone()

	if err := net.Adapt(data); err != nil { // Standardize and Unstandardize learn
		log.Fatal(err)
	}
	optimizer, grad := &backprop.Adam{}, []float64(nil)
	for epoch := range uint64(50) {
		rng := rand.New(rand.NewPCG(7, ^epoch)) // for dropout
		if _, grad, err = net.TrainingGradient(grad, data, nil, rng); err != nil {
			log.Fatal(err)
		}
		backprop.ClipNorm(grad, 1)
		optimizer.Step(net.Params(), grad, 0.01)
	}

	_, err = trained.Train(context.Background(), x, y,
		backprop.TrainConfig{LearningRate: 0.01, Epochs: 50, Optimizer: &backprop.Adam{}, ClipNorm: 1, Seed: 7})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("as by Train:", slices.Equal(net.Params(), trained.Params()))
	// Output:
	// as by Train: true
}

// Targets may have any unit. Losses are those of standardized targets,
// predictions are in the unit.
func ExampleUnstandardize() {
	x := mat.NewDense(4, 1, []float64{1, 2, 3, 4})
	grams := mat.NewDense(4, 1, []float64{10000, 12000, 14000, 16000})
	net, err := backprop.New(1, backprop.Standardize{}, backprop.Dense{Units: 1}, backprop.Unstandardize{})
	if err != nil {
		log.Fatal(err)
	}
	h, err := net.Train(context.Background(), x, grams, backprop.TrainConfig{LearningRate: 0.1, Epochs: 100})
	if err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(mat.NewDense(1, 1, []float64{5}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.0f g, loss below 1e-6: %v\n", p.At(0, 0), h.Epochs[99].Loss < 1e-6)
	// Output:
	// 18000 g, loss below 1e-6: true
}

// Samples that are never the same twice: each epoch draws its own from its
// number, 20 batches of 32. So would a reader of a file that is larger than
// memory, or of a stream.
func ExampleNetwork_TrainBatches() {
	batches := func(epoch int) iter.Seq2[backprop.Data, error] {
		return func(yield func(backprop.Data, error) bool) {
			for b := range 20 {
				x, y := noisySine(32, uint64(20*epoch+b))
				if !yield(backprop.Data{X: x, Y: y}, nil) {
					return
				}
			}
		}
	}
	net, err := backprop.New(1, backprop.Dense{Units: 16, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	h, err := net.TrainBatches(context.Background(), batches, backprop.TrainConfig{
		LearningRate: 0.01, Epochs: 50, Optimizer: &backprop.Adam{}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.2f, that of the noise\n", h.Epochs[49].Loss)
	// Output:
	// loss 0.01, that of the noise
}

// A share of the samples is held out, and what is predicted of it compared.
func ExampleData_Split() {
	x, labels := glyphs(100, 1)
	y, _ := backprop.OneHot(labels, 3)
	training, test, err := backprop.Data{X: x, Y: y}.Split(0.25, 1)
	if err != nil {
		log.Fatal(err)
	}
	net, err := backprop.New(15, backprop.Dense{Units: 3, Activation: backprop.Softmax})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := net.Train(context.Background(), training.X, training.Y, backprop.TrainConfig{LearningRate: 0.5, Epochs: 200}); err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(test.X)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(slices.Equal(backprop.Classes(p), backprop.Classes(test.Y)))
	// Output:
	// true
}

// Precision, recall and F1 of each class, from a matrix of counts.
func ExampleClassScores() {
	scores, err := backprop.ClassScores(mat.NewDense(2, 2, []float64{8, 2, 4, 6}))
	if err != nil {
		log.Fatal(err)
	}
	for class, s := range scores {
		fmt.Printf("%d: precision %.2f, recall %.2f, F1 %.2f of %d\n", class, s.Precision, s.Recall, s.F1, s.Support)
	}
	// Output:
	// 0: precision 0.67, recall 0.80, F1 0.73 of 10
	// 1: precision 0.75, recall 0.60, F1 0.67 of 10
}

// Several labels a row: the share of rows that are right as a whole, and that
// of each label.
func ExampleLabelAccuracies() {
	p := mat.NewDense(3, 2, []float64{0.9, 0.1, 0.7, 0.6, 0.2, 0.8})
	y := mat.NewDense(3, 2, []float64{1, 0, 1, 0, 0, 1})
	exact, each, err := backprop.LabelAccuracies(p, y)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f %.2f\n", exact, each)
	// Output:
	// 0.67 [1.00 0.67]
}

// ─── Helpers ─────────────────────────────────────────────────────────────────────

func absolute(m mat.Matrix) *mat.Dense {
	var a mat.Dense
	a.Apply(func(i, j int, v float64) float64 { return math.Abs(v) }, m)
	return &a
}

func fillVector(v *mat.VecDense, to float64) {
	for i := range v.Len() {
		v.SetVec(i, to)
	}
}

type halfGradient struct{ Squared }

func (halfGradient) Gradient(da, a, y []float64) {
	Squared{}.Gradient(da, a, y)
	for i := range da {
		da[i] /= 2
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	NoError(t, err)
	return string(data)
}

// glyphs draws noisy images of 0, 1 and 2 in turn, 3×5 pixels each.
func glyphs(n int, seed uint64) (x *mat.Dense, labels []int) {
	shapes := []string{
		"####.##.##.####",
		".#.##..#..#.###",
		"###..#####..###",
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	x, labels = mat.NewDense(n, 15, nil), make([]int, n)
	for i := range n {
		labels[i] = i % len(shapes)
		for j, c := range shapes[labels[i]] {
			x.Set(i, j, 0.2*rng.NormFloat64())
			if c == '#' {
				x.Set(i, j, 1+x.At(i, j))
			}
		}
	}
	return x, labels
}

// noisySine draws samples of sin 3x for x from −1 to 1, with noise.
func noisySine(n int, seed uint64) (x, y *mat.Dense) {
	rng := rand.New(rand.NewPCG(seed, 0))
	x, y = mat.NewDense(n, 1, nil), mat.NewDense(n, 1, nil)
	for i := range n {
		x.Set(i, 0, 2*rng.Float64()-1)
		y.Set(i, 0, math.Sin(3*x.At(i, 0))+0.1*rng.NormFloat64())
	}
	return x, y
}
