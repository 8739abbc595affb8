// The tests of the library, in this order:
//
//	The textbook, by hand
//	Agreement with NumPy and PyTorch
//	Gradients
//	Extremes
//	Losses and metrics
//	Layers
//	Promises of training
//	Optimizers and schedules
//	Bad input
//	Concurrency and allocation
//	Memory
//	Saving and loading
//	Hostile files
//	Writing is atomic
//	Checkpoints
//	A good guest
//	A long run
//	Anything at all
//	The README
//	Examples
//	Benchmarks
//	Helpers
//
// They see the library as its users do, through the public API. Figures are derived where they are
// asserted, or their source is named.
package backprop_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	//lint:ignore ST1019 examples name the package, as its users do
	"example.com/backprop"
	. "example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// ─── The textbook, by hand ─────────────────────────────────────────────────────

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

// ─── Agreement with NumPy and PyTorch ──────────────────────────────────────────

// The tutorial's XOR: a sigmoid hidden layer, a sigmoid output and full-batch updates by error ×
// derivative. That is gradient descent on ½·Σe², so with MSE, the mean over the four samples, η is
// 2·lr. This NumPy program printed the figures, with the W1 and W2 below (transposed there) and lr
// = 0.5:
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
			noError(t, err)
			copy(net.Params(), c.initial)
			x, y := xor()
			h, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 2 * 0.5, Epochs: 10000, Loss: MSE})
			noError(t, err)
			var losses []float64
			for n := 0; n < 10000; n += 1000 {
				losses = append(losses, h.Epochs[n].Loss)
			}
			near(t, "losses", losses, c.losses, 0)
			near(t, "parameters", net.Params(), c.final, 0)
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
			x, y := xor()
			for seed := w; seed < seeds; seed += workers {
				net, err := New(2, Dense{Units: 8, Activation: Tanh}, Dense{Units: 1, Activation: Sigmoid})
				noError(t, err)
				net.Init(seed)
				_, err = net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.5, Epochs: 5000})
				noError(t, err)
				p, err := net.Predict(x)
				noError(t, err)
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

// oracle is what internal/testdata/pytorch.py wrote with PyTorch in float64.
type oracle struct {
	Epochs, BatchSize int
	Data              map[string][][]float64
	Initial           map[string][]float64
	Runs              []oracleRun
	BaseRate          float64
	PlateauLosses     []float64
	Schedules         []oracleSchedule
}

type oracleRun struct {
	Name, X, Y, Initial, Loss                          string
	Layers                                             []oracleLayer
	Optimizer                                          oracleOptimizer
	LearningRate, L2, WeightDecay, ClipNorm, ClipValue float64
	Losses, Params                                     []float64
	Predictions                                        [][]float64
	EvalLoss                                           float64
	Statistics                                         []struct {
		Layer          int
		Mean, Variance []float64
	}
}

type oracleLayer struct {
	Type, Activation  string
	Units             int
	NoBias            bool
	Momentum, Epsilon float64
}

type oracleOptimizer struct {
	Type                                   string
	Momentum, Alpha, Epsilon, Beta1, Beta2 float64
	Nesterov, Centered                     bool
}

type oracleSchedule struct {
	Type                          string
	Every, Epochs                 int
	Factor, Min, Start, Threshold float64
	Patience, Cooldown            int
	Then                          *oracleSchedule
	Rates                         []float64
}

// Every run of the oracle, step by step. A step is observed as an epoch of its own: training goes
// on with the same optimizer, batch by batch. The bound is 1e-12 relative; for elements near zero,
// relative to 0.005 of the largest.
func TestAgreesWithPyTorchStepByStep(t *testing.T) {
	o := readOracle(t)
	for _, run := range o.Runs {
		t.Run(run.Name, func(t *testing.T) {
			x, y := rows(o.Data[run.X]), rows(o.Data[run.Y])
			net := run.network(t, x.RawMatrix().Cols)
			copy(net.Params(), o.Initial[run.Initial])
			losses := run.train(t, net, x, y, o)
			near(t, "losses", losses, run.Losses, 0)
			near(t, "parameters", net.Params(), run.Params, 0.005)
			p, err := net.Predict(x)
			noError(t, err)
			for i, want := range run.Predictions {
				near(t, "prediction", p.RawRowView(i), want, 0.005)
			}
			loss, err := net.Loss(x, y, lossByName(t, run.Loss))
			noError(t, err)
			near(t, "loss in inference", []float64{loss}, []float64{run.EvalLoss}, 0)
			for _, s := range run.Statistics {
				mean, variance := net.Statistics(s.Layer)
				near(t, "mean", mean, s.Mean, 0.005)
				near(t, "variance", variance, s.Variance, 0.005)
			}
		})
	}
}

// train runs the epochs; a user-made loss around the named one would hide its closed form, so the
// losses of the steps are read off trainings of one batch.
func (r oracleRun) train(t *testing.T, net *Network, x, y *mat.Dense, o *oracle) (losses []float64) {
	n, _ := x.Dims()
	config := TrainConfig{
		LearningRate: r.LearningRate, Epochs: 1, KeepOrder: true, Loss: lossByName(t, r.Loss), Optimizer: r.Optimizer.make(t),
		L2: r.L2, WeightDecay: r.WeightDecay, ClipNorm: r.ClipNorm, ClipValue: r.ClipValue,
	}
	if r.Layers[0].Type == "Standardize" { // learn from all the data, not from the first batch
		still := config
		still.LearningRate, still.Optimizer, still.WeightDecay = 1e-300, nil, 0
		_, err := net.Train(t.Context(), x, y, still)
		noError(t, err)
	}
	for range o.Epochs {
		for lo := 0; lo < n; lo += o.BatchSize {
			hi := min(lo+o.BatchSize, n)
			h, err := net.Train(t.Context(), x.Slice(lo, hi, 0, cols(x)), y.Slice(lo, hi, 0, cols(y)), config)
			noError(t, err)
			losses = append(losses, h.Epochs[0].Loss)
		}
	}
	return losses
}

// The same training in one call gives the same parameters as batch by batch.
func TestOneTrainingEqualsItsBatches(t *testing.T) {
	o := readOracle(t)
	for _, run := range o.Runs {
		t.Run(run.Name, func(t *testing.T) {
			x, y := rows(o.Data[run.X]), rows(o.Data[run.Y])
			net := run.network(t, cols(x))
			copy(net.Params(), o.Initial[run.Initial])
			h, err := net.Train(t.Context(), x, y, TrainConfig{
				LearningRate: run.LearningRate, Epochs: o.Epochs, BatchSize: o.BatchSize, KeepOrder: true,
				Loss: lossByName(t, run.Loss), Optimizer: run.Optimizer.make(t),
				L2: run.L2, WeightDecay: run.WeightDecay, ClipNorm: run.ClipNorm, ClipValue: run.ClipValue,
			})
			noError(t, err)
			near(t, "parameters", net.Params(), run.Params, 0.005)
			l := run.Losses
			mean := (8*l[len(l)-3] + 8*l[len(l)-2] + 7*l[len(l)-1]) / 23
			near(t, "last epoch's loss", []float64{h.Epochs[o.Epochs-1].Loss}, []float64{mean}, 0)
		})
	}
}

// Every schedule's η, epoch by epoch. PyTorch takes the cosine up again after its end, where ours
// stays at the minimum.
func TestSchedulesAgreeWithPyTorch(t *testing.T) {
	o := readOracle(t)
	for _, s := range o.Schedules {
		name, _ := json.Marshal(s.schedule(t))
		t.Run(s.Type+string(name), func(t *testing.T) {
			var history []Epoch
			for n, want := range s.Rates {
				if end := s.cosineEnd(); n > end {
					want = s.Rates[end]
				}
				got := s.schedule(t).Rate(o.BaseRate, history)
				near(t, fmt.Sprintf("η of epoch %d", n), []float64{got}, []float64{want}, 0)
				history = append(history, Epoch{N: n, Loss: o.PlateauLosses[n]})
			}
		})
	}
}

func (s *oracleSchedule) cosineEnd() int {
	switch {
	case s.Type == "CosineDecay":
		return s.Epochs
	case s.Then != nil:
		return s.Epochs + s.Then.cosineEnd()
	}
	return math.MaxInt / 2
}

func (s *oracleSchedule) schedule(t *testing.T) Schedule {
	switch s.Type {
	case "StepDecay":
		return StepDecay{Every: s.Every, Factor: s.Factor}
	case "ExponentialDecay":
		return ExponentialDecay{Factor: s.Factor}
	case "CosineDecay":
		return CosineDecay{Epochs: s.Epochs, Min: s.Min}
	case "Warmup":
		w := Warmup{Epochs: s.Epochs, Start: s.Start}
		if s.Then != nil {
			w.Then = s.Then.schedule(t)
		}
		return w
	case "ReduceOnPlateau":
		return ReduceOnPlateau{Factor: s.Factor, Patience: s.Patience, Threshold: s.Threshold, Cooldown: s.Cooldown, Min: s.Min}
	}
	t.Fatalf("unknown schedule %q", s.Type)
	return nil
}

// ─── Gradients ─────────────────────────────────────────────────────────────────

var activations = []Activation{
	Identity, Sigmoid, Tanh, ReLU, GELU, SiLU, SELU, Softplus, Softmax,
	LeakyReLU{}, LeakyReLU{Slope: 0.3}, ELU{}, ELU{Alpha: 1.5},
}

var losses = []Loss{MSE, MAE, Huber{}, Huber{Delta: 0.5}, BinaryCrossEntropy, CrossEntropy}

// Every activation as the output before every loss, and in the layers before it. Sigmoid before
// BinaryCrossEntropy and Softmax before CrossEntropy go through the closed forms in z.
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

// What Standardize and BatchNorm have learnt is a constant of the gradient, and a gradient does not
// change it.
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

// CheckGradient is only worth something if it finds what is wrong. A derivative that is k times the
// true one differs by |k−1|/max(k, 1) of the larger.
func TestCheckGradientFindsAWrongDerivative(t *testing.T) {
	for _, k := range []float64{1.01, 0.99, 1.0001, 2, -1, 0} {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			// Dropout has no parameter, so layer 1 is the first that can be named. Layer 2 lies
			// behind the mistake and is right.
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

// checkGradient draws parameters at which no kink is near, and targets that suit the loss, and
// compares the gradient with differences.
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

// compareGradients compares backpropagation with CheckGradient's differences and with the test's
// own.
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

// numericGradient is the five-point difference quotient of the loss, (L(−2h) − 8L(−h) + 8L(h) −
// L(2h))/12h, exact to O(h⁴).
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

// makeProbabilities moves the outputs into (0, 1), where they are not so by the activation: small
// weights and a bias whose f(b) is about a half.
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

// ─── Extremes ──────────────────────────────────────────────────────────────────

// extremes are arguments at which one formula or another overflows, underflows or cancels: exp ends
// at ±709.78 and −745.13, Φ underflows at −38.5.
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
		// Relative bounds of f and f′ at z. Where f′ is 1−a² or a(1−a), a's own rounding counts up
		// to 2¹² times, the documented limit.
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

// The loss of a network that passes its inputs to the output's activation as they are, against the
// definition in 600 digits; and ∂L/∂z = a − y, read off the biases' gradient.
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

// Behind another activation the probabilities are clamped at 1e-12: the loss is finite, and the
// derivative beyond is 0.
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

// agrees compares with a reference: relatively where float64 has all its digits there, else to some
// units in the last place of the smallest numbers, times the |z| that they may have been multiplied
// with.
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

// The references are computed with 2000 bits: e^z − 1 loses 1074 of them at the smallest z, and the
// series of Φ some 1160 at z = −40.
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

// bigGELU is z·Φ(z) and Φ(z) + z·φ(z), with Φ(z) = 1/2 + φ(z)·(z + z³/3 + z⁵/(3·5) + z⁷/(3·5·7) +
// …).
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

// ─── Losses and metrics ────────────────────────────────────────────────────────

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

// A user's type that embeds one of the package's keeps its own methods: they are not passed over
// for what the package can do faster.
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

// ─── Layers ────────────────────────────────────────────────────────────────────

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

// With n weights a sample mean has standard deviation σ/√n, and a sample variance at most σ²·√(2/n)
// (that of a normal distribution). Five of them are allowed; the seed is fixed.
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
			// Of 60,000 uniform draws the largest misses the limit by more than a thousandth with
			// probability e^−60; of normal ones some lie beyond 3σ.
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

// A uniform orthogonal n×n matrix has entries of variance 1/n around 0, which is not so without the
// signs of R's diagonal.
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

// A layer that only repeats its inputs shows what Dropout before it has done with rows of ones.
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

// Initial weights and dropout of the same seed must not be the same random numbers: the units
// dropped first would be those of the lower weights.
func TestDropoutDoesNotGoByTheInitialWeights(t *testing.T) {
	const units = 256
	var seen []float64
	net := newNetwork(t, 1, Dense{Units: units}, Dropout{},
		Dense{Units: units, NoBias: true, Activation: observed{Identity, func(a, z []float64) { seen = append(seen, z...) }}})
	setIdentity(net.Weights(2))
	one, targets := mat.NewDense(1, 1, []float64{1}), mat.NewDense(1, units, nil)
	value(net.Train(t.Context(), one, targets, TrainConfig{LearningRate: 1, Epochs: 1, Optimizer: still{}}))(t)
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
	net := newNetwork(t, 3, Standardize{}, Dense{Units: 3, NoBias: true,
		Activation: observed{Identity, func(a, z []float64) { seen = append(seen, z...) }}})
	setIdentity(net.Weights(1))
	// The columns: 1, 2, 6 with mean 3 and population variance (4+1+9)/3; a constant that a mean of
	// three would miss by rounding; −1, 0, 1.
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

// ─── Promises of training ──────────────────────────────────────────────────────

// The same values as a matrix of their own, a window of a larger one, a transpose and, for the
// targets, a vector with a stride.
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
	x, y := pattern(301, 333), classes(301, 10)
	train := func(processors int) []float64 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		net := newNetwork(t, 333, layers...)
		h := value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-3, Epochs: 3, BatchSize: 100, Optimizer: &Adam{},
			Seed: 5, ClipNorm: 1, Validation: Data{x, y}}))(t)
		bits := slices.Concat(net.Params(), value(net.Predict(x))(t).RawMatrix().Data)
		for _, e := range h.Epochs {
			bits = append(bits, e.Loss, e.ValidationLoss, e.GradNorm)
		}
		return bits
	}
	want := train(1)
	for _, processors := range []int{1, 2, 3, 8} {
		sameBits(t, fmt.Sprintf("GOMAXPROCS %d", processors), train(processors), want)
	}
}

// An optimizer of the user's own needs the whole gradient; one of the package's updates a large
// network by rows of it, without keeping it. That changes no bit of what is learnt, nor how many
// goroutines do it.
func TestUpdatesByRowsAreThoseOfTheWholeGradient(t *testing.T) {
	x, y := pattern(150, 150), classes(150, 3)
	layers := []Layer{
		Standardize{}, Dense{Units: 203, NoBias: true}, BatchNorm{Activation: Tanh}, Dropout{Rate: 0.1},
		Dense{Units: 5, Activation: GELU}, Dense{Units: 101}, Dense{Units: 3, Activation: Softmax},
	}
	train := func(o Optimizer, config TrainConfig) (bits, norms []float64) {
		net := newNetwork(t, 150, layers...)
		config.LearningRate, config.Epochs, config.BatchSize, config.Optimizer = 1e-2, 3, 64, o
		for _, e := range value(net.Train(t.Context(), x, y, config))(t).Epochs {
			bits, norms = append(bits, e.Loss), append(norms, e.GradNorm)
		}
		mean, variance := net.Statistics(2)
		return slices.Concat(bits, net.Params(), mean, variance), norms
	}
	all := func() []Optimizer {
		return []Optimizer{nil, &Momentum{}, &Momentum{Nesterov: true}, &RMSProp{Centered: true, Momentum: 0.5}, &Adam{}, &AdaGrad{}}
	}
	for _, c := range []struct {
		config     TrainConfig
		optimizers []Optimizer
	}{
		{TrainConfig{}, all()},
		{TrainConfig{L2: 0.01}, []Optimizer{nil}},
		{TrainConfig{WeightDecay: 0.1}, []Optimizer{nil}},
		{TrainConfig{ClipValue: 1e-3}, []Optimizer{nil}},
		{TrainConfig{L2: 0.01, WeightDecay: 0.1, ClipValue: 1e-3}, all()},
	} {
		config := c.config
		for _, o := range c.optimizers {
			what := fmt.Sprintf("%T, L2 %v, WeightDecay %v, ClipValue %v", o, config.L2, config.WeightDecay, config.ClipValue)
			whole := own{func(params, grad []float64, eta float64) {
				if o != nil {
					o.Step(params, grad, eta)
					return
				}
				for i, g := range grad {
					params[i] = math.FMA(-eta, g, params[i])
				}
			}}
			want, wantNorms := train(whole, config)
			var first []float64
			for _, processors := range []int{1, 2, 3, 8} {
				before := runtime.GOMAXPROCS(processors)
				var again Optimizer
				if o != nil {
					again = fresh(o)
				}
				got, norms := train(again, config)
				runtime.GOMAXPROCS(before)
				if again == nil { // the generic kernel may round twice
					equalTo(t, what, got, want, 1e-12)
				} else {
					sameBits(t, what, got, want)
				}
				equalTo(t, what+": norms", norms, wantNorms, 1e-13)
				if first == nil {
					first = norms
				}
				sameBits(t, what+": norms of other workers", norms, first)
			}
		}
	}
}

// own is an optimizer of the user's own.
type own struct {
	step func(params, grad []float64, eta float64)
}

func (o own) Step(params, grad []float64, eta float64) { o.step(params, grad, eta) }

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

// In each case a loss, a gradient or a parameter leaves the finite numbers. The network is to hold
// the parameters of the beginning of the epoch in which the loss was last seen finite.
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

// A network y = w·x on the one sample x = 1, y = 0 has the loss w² and the gradient 2w, and the
// optimizer sets w as a script says.
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

// Tiny epochs are timed several at a time, those before a divergence too. A sample takes 100 ns of
// the bubble's time.
func TestEveryTinyEpochHasItsTime(t *testing.T) {
	one := mat.NewDense(1, 1, []float64{1})
	for _, c := range []struct {
		eta    float64 // the error is multiplied by 1−2η in an epoch
		epochs int
		err    error
	}{{0.1, 1, nil}, {0.1, 2, nil}, {0.1, 1001, nil}, {1.5, 1001, ErrDiverged}} {
		synctest.Test(t, func(t *testing.T) {
			net := newNetwork(t, 1, Dense{Units: 1, NoBias: true})
			tiny := &counting{Loss: MSE, every: func() { time.Sleep(100 * time.Nanosecond) }}
			h, err := net.Train(t.Context(), one, one, TrainConfig{LearningRate: c.eta, Epochs: c.epochs, Loss: tiny})
			if !errors.Is(err, c.err) || len(h.Epochs) < min(c.epochs, 400) {
				t.Fatalf("%d epochs, error %v", len(h.Epochs), err)
			}
			for _, e := range h.Epochs {
				if e.Elapsed != 100 && (c.err == nil || e.Elapsed > 200) { // the last ones share the time of what diverged
					t.Fatalf("epoch %d of %d took %d ns, want 100", e.N, len(h.Epochs), e.Elapsed)
				}
			}
		})
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

// On anything but a terminal: plain lines, some twenty of them and the last. A sample takes a
// second of the bubble's time.
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

// A pseudo-terminal echoes what is written to its master. Control characters come back as ^[, and a
// carriage return as a new line.
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

// ─── Optimizers and schedules ──────────────────────────────────────────────────

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

// One step of gradient descent from known parameters, with the gradient that Gradient gives.
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

// ─── Bad input ─────────────────────────────────────────────────────────────────

// Every misuse is an error that says where, what came and what was expected. None panics, and none
// changes the network.
func TestMisuseIsAnErrorAndChangesNothing(t *testing.T) {
	var (
		nilMatrix  *mat.Dense
		nilVector  *mat.VecDense
		nilNetwork *Network
		x, y       = pattern(6, 2), probabilities(6, 1)
		x16, y16   = pattern(16, 2), probabilities(16, 1)
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
		{"PredictTo its parameters", func(net *Network) error { return net.PredictTo(mat.NewDense(6, 1, net.Params()[:6]), x) },
			"backprop: PredictTo: dst overlaps the network's Params, want other memory"},
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
		{"Gradient short dst", gradient(make([]float64, 3), x, y, nil), "backprop: Gradient: dst is 3×1, want 16×1"},
		{"Gradient empty dst", gradient([]float64{}, x, y, nil), "backprop: Gradient: dst is 0×1, want 16×1"},
		{"Gradient into Params", func(net *Network) error { return gradient(net.Params(), x, y, nil)(net) },
			"backprop: Gradient: dst overlaps the network's Params, x or y, want other memory"},
		{"Gradient into x", func(net *Network) error { return gradient(x16.RawMatrix().Data[:16], x16, y16, nil)(net) },
			"backprop: Gradient: dst overlaps the network's Params, x or y, want other memory"},
		{"Gradient into y", func(net *Network) error { return gradient(y16.RawMatrix().Data[:16], x16, y16, nil)(net) },
			"backprop: Gradient: dst overlaps the network's Params, x or y, want other memory"},
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
		{"ConfusionMatrix huge", metric(confusion, mat.NewDense(1, 1<<15+1, nil), mat.NewDense(1, 1<<15+1, nil)),
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
		{"RegisterActivation with a parameter", register(LeakyReLU{0.5}),
			`backprop: RegisterActivation: the name "LeakyReLU(0.5)" is taken`},
		{"RegisterActivation no name", register(named("")),
			`backprop: RegisterActivation: the name "" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{"RegisterActivation no UTF-8", register(named("\xff")),
			`backprop: RegisterActivation: the name "\xff" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{"RegisterActivation long name", register(named(strings.Repeat("x", 201))),
			"backprop: RegisterActivation: the name \"" + strings.Repeat("x", 50) + "\" cannot be saved, want 1 to 200 bytes of UTF-8"},
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

// ─── Concurrency and allocation ────────────────────────────────────────────────

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

// Ten times the epochs, or the batches, and not one allocation more, but for the history's growth,
// which doubles at most six times from 3 to 30 epochs and more, and for the scratch that each
// goroutine of a shared product takes once.
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
			if more := allocations(train(640, 3)); more > base+uint64(runtime.GOMAXPROCS(0)) {
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

// ─── Memory ────────────────────────────────────────────────────────────────────

// What Train allocates is as much as a gradient, the optimizer's state and the workspace of one
// batch take; the data is not copied. The network has its parameters already. The copy of them that
// a divergence falls back to has the place of the gradient, which is used up by rows.
func TestTrainingNeedsTheMemoryOfItsShapes(t *testing.T) {
	inputs, outputs, batch := 300, 10, 64
	for name, c := range map[string]struct {
		layers    []Layer
		optimizer Optimizer
		states    int // slices as long as the parameters
		rows      int
		keepOrder bool
	}{
		"gradient descent": {[]Layer{Dense{Units: 200, Activation: ReLU}}, nil, 0, 3000, false},
		"kept order":       {[]Layer{Dense{Units: 200, Activation: ReLU}}, nil, 0, 3000, true},
		"Momentum":         {[]Layer{Dense{Units: 200, Activation: ReLU}}, &Momentum{}, 1, 1000, false},
		"Adam":             {[]Layer{Dense{Units: 500, Activation: Tanh}, Dense{Units: 100, Activation: Tanh}}, &Adam{}, 2, 1000, false},
		"a wide batch":     {[]Layer{Dense{Units: 40, Activation: Tanh}, Dense{Units: 400, Activation: GELU}}, &AdaGrad{}, 1, 1000, false},
	} {
		t.Run(name, func(t *testing.T) {
			layers := append(c.layers, Dense{Units: outputs, Activation: Softmax})
			net := newNetwork(t, inputs, layers...)
			x, y := pattern(c.rows, inputs), classes(c.rows, outputs)

			widest, workspace := inputs, 0
			for _, l := range layers {
				units := l.(Dense).Units
				widest = max(widest, units)
				workspace += 2 * batch * units // z and a
			}
			workspace += 2 * batch * widest // ∂L/∂a of a layer and of the one before it
			if !c.keepOrder {
				workspace += batch*(inputs+outputs) + c.rows // the batch's samples, and the order of all
			}
			params := len(net.Params())
			want := 8 * (params + c.states*params + workspace)

			train := func() {
				config := TrainConfig{LearningRate: 1e-3, Epochs: 2, BatchSize: batch, KeepOrder: c.keepOrder}
				if c.optimizer != nil {
					config.Optimizer = fresh(c.optimizer)
				}
				value(net.Train(t.Context(), x, y, config))(t)
			}
			train() // whose products leave some scratch memory behind, for all networks
			got := bytesAllocated(train)
			if math.Abs(float64(got)-float64(want)) > 0.1*float64(want) {
				t.Errorf("Train allocates %d bytes, want %d within 10 %%", got, want)
			}
		})
	}
}

// bytesAllocated is how many bytes f allocates. With the garbage collector off that is an upper
// bound of what it holds at once.
func bytesAllocated(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// ─── Saving and loading ────────────────────────────────────────────────────────

var everyActivation = []Activation{
	nil, Identity, Sigmoid, Tanh, ReLU, GELU, SiLU, SELU, Softplus, Softmax,
	LeakyReLU{}, LeakyReLU{Slope: 0.2}, LeakyReLU{Slope: -1.5}, LeakyReLU{Slope: 1e-300}, LeakyReLU{Slope: 1.0 / 3},
	ELU{}, ELU{Alpha: 0.3}, ELU{Alpha: 1234567}, ELU{Alpha: math.Pi},
}

func TestEveryActivationComesBack(t *testing.T) {
	x := pattern(50, 3)
	for _, f := range everyActivation {
		mustComeBack(t, newNetwork(t, 3, Dense{Units: 4, Activation: f}, BatchNorm{Activation: f}, Dense{Units: 2, Activation: f}), x)
	}
}

func TestEveryLayerComesBack(t *testing.T) {
	x, y := scaledMatrix(pattern(50, 3), 20), pattern(50, 2)
	for _, layers := range [][]Layer{
		{Dense{Units: 2}},
		{Dense{Units: 2, NoBias: true}},
		{Dense{Units: 5, NoBias: true, Activation: Tanh}, BatchNorm{}, Dense{Units: 2}},
		{Dense{Units: 2}, BatchNorm{Momentum: 0.3, Epsilon: 1e-3, Activation: Sigmoid}},
		{BatchNorm{}, BatchNorm{Momentum: 1}, Dense{Units: 2}},
		{Dropout{}, Dense{Units: 5}, Dropout{Rate: 0.125}, Dropout{Rate: 0.9}, Dense{Units: 2}},
		{Standardize{}, Dense{Units: 2}},
		{Standardize{}, Dropout{Rate: 0.1}, BatchNorm{Activation: ReLU}, Dense{Units: 2, Init: Orthogonal}},
	} {
		net := newNetwork(t, 3, layers...)
		mustComeBack(t, net, x)
		_, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-5, Epochs: 3, BatchSize: 8, Loss: MSE})
		noError(t, err)
		mustComeBack(t, net, x) // with what it has learnt
	}
}

func TestEveryInitializerComesBack(t *testing.T) {
	for i := Initializer(0); i <= Orthogonal; i++ {
		net := newNetwork(t, 3, Dense{Units: 4, Init: i}, Dense{Units: 2})
		loaded := mustComeBack(t, net, pattern(3, 3))
		net.Init(7)
		loaded.Init(7)
		stateOf(net).mustEqual(t, loaded)
	}
}

// Saved before or after its first training, a network goes on as it would have.
func TestTrainingGoesOnAfterLoading(t *testing.T) {
	x, y := scaledMatrix(pattern(40, 3), 5), classes(40, 3)
	config := TrainConfig{LearningRate: 0.1, Epochs: 2, BatchSize: 8}
	net := newNetwork(t, 3, Standardize{}, Dense{Units: 6}, BatchNorm{Activation: Tanh}, Dropout{}, Dense{Units: 3, Activation: Softmax})
	for range 3 {
		loaded := mustComeBack(t, net, x)
		_, err := net.Train(t.Context(), x, y, config)
		noError(t, err)
		_, err = loaded.Train(t.Context(), x, y, config)
		noError(t, err)
		stateOf(net).mustEqual(t, loaded)
		x = scaledMatrix(x, 3) // Standardize keeps to the first
	}
}

// The header is written out: its length, keys, order and padding.
func TestSaveWritesAStandardFile(t *testing.T) {
	net := newNetwork(t, 1, Standardize{}, Dense{Units: 1, Activation: LeakyReLU{}}, BatchNorm{}, Dropout{}, Dense{Units: 2, NoBias: true})
	header := `{"__metadata__":{"backprop.network":"{\"inputs\":1,\"layers\":[{\"type\":\"Standardize\"},` +
		`{\"type\":\"Dense\",\"units\":1,\"activation\":\"LeakyReLU(0.01)\"},{\"type\":\"BatchNorm\"},{\"type\":\"Dropout\"},` +
		`{\"type\":\"Dense\",\"units\":2,\"no_bias\":true}]}","backprop.version":"1"},` +
		`"0.running_mean":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},` +
		`"0.running_var":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},` +
		`"1.bias":{"dtype":"F64","shape":[1],"data_offsets":[16,24]},` +
		`"1.weight":{"dtype":"F64","shape":[1,1],"data_offsets":[24,32]},` +
		`"3.bias":{"dtype":"F64","shape":[1],"data_offsets":[32,40]},` +
		`"3.running_mean":{"dtype":"F64","shape":[1],"data_offsets":[40,48]},` +
		`"3.running_var":{"dtype":"F64","shape":[1],"data_offsets":[48,56]},` +
		`"3.weight":{"dtype":"F64","shape":[1],"data_offsets":[56,64]},` +
		`"5.weight":{"dtype":"F64","shape":[2,1],"data_offsets":[64,80]}}`
	header += "        "[:(8-len(header)%8)%8]
	w := net.Params()
	want := rawFile(header, 0, 1, 0, w[0], 0, 0, 1, 1, w[len(w)-2], w[len(w)-1])
	if got := bytesOf(t, net); string(got) != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// Tensors as another program writes them: F32, in any order, with the counts that PyTorch keeps
// beside the running statistics.
func TestReadTakesOtherProgramsFiles(t *testing.T) {
	const description = ` { "layers" : [ {"type":"Standardize"}, {"type":"Dense", "units":2, "activation":"ELU(2.0)"}, {"type":"BatchNorm"} ],
		"fitted":true, "inputs":2 } `
	tensors := func(dtype string) []rawTensor {
		return []rawTensor{
			{"3.weight", dtype, []int{2}, []float64{1, 2}}, {"3.bias", dtype, []int{2}, []float64{-1, 0}},
			{"3.running_mean", dtype, []int{2}, []float64{0.5, 1}}, {"3.running_var", dtype, []int{2}, []float64{2, 0}},
			{"0.running_mean", dtype, []int{2}, []float64{10, 20}}, {"0.running_var", dtype, []int{2}, []float64{4, 0.25}},
			{"1.weight", dtype, []int{2, 2}, []float64{1, -0.5, 0.25, 3}}, {"1.bias", dtype, []int{2}, []float64{0, 8}},
		}
	}
	var predictions [][]float64
	for _, file := range []string{
		networkFile(description, tensors("F64")...),
		networkFile(description, tensors("F32")...),
		networkFile(description, append(tensors("F32"), rawTensor{"3.num_batches_tracked", "I64", nil, []float64{7}})...),
	} {
		net, err := Read(strings.NewReader(file))
		noError(t, err)
		predictions = append(predictions, predict(t, net, mat.NewDense(2, 2, []float64{11, 20.5, 4, 1})))
		mustComeBack(t, net, pattern(5, 2))
	}
	// The first row by hand: standardized (0.5, 1), z = (0, 11.125), a = z, and batch norm's
	// ((0−0.5)/√(2+1e-5) − 1, 2·(11.125−1)/√1e-5).
	equalTo(t, "predictions", predictions[0][:2], []float64{-0.5/math.Sqrt(2+1e-5) - 1, 20.25 / math.Sqrt(1e-5)}, fewUlps)
	sameBits(t, "F32", predictions[1], predictions[0])
	sameBits(t, "with counts", predictions[2], predictions[0])
}

func TestReadTakesAnyReader(t *testing.T) {
	file := bytesOf(t, newNetwork(t, 2, Dense{Units: 1}))
	for _, r := range []io.Reader{
		iotest.OneByteReader(bytes.NewReader(file)), iotest.DataErrReader(bytes.NewReader(file)), iotest.HalfReader(bytes.NewReader(file)),
	} {
		net, err := Read(r)
		noError(t, err)
		if !bytes.Equal(bytesOf(t, net), file) {
			t.Error("another network")
		}
	}
	_, err := Read(io.MultiReader(bytes.NewReader(file[:20]), iotest.ErrReader(errors.New("gone"))))
	fails(t, err, "backprop: Read: safetensors: header: reading failed after byte 20: gone")
}

// mustComeBack saves and loads the network both ways.
func mustComeBack(t *testing.T, net *Network, x mat.Matrix) *Network {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net")
	noError(t, net.Save(path))
	saved, err := os.ReadFile(path)
	noError(t, err)
	if !bytes.Equal(saved, bytesOf(t, net)) {
		t.Error("Save and WriteTo write different bytes")
	}
	loaded, err := Load(path)
	noError(t, err)
	stateOf(net).mustEqual(t, loaded)
	sameBits(t, "predictions", predict(t, loaded, x), predict(t, net, x))
	if loaded.String() != net.String() {
		t.Errorf("saved\n%v, loaded\n%v", net, loaded)
	}
	if !bytes.Equal(bytesOf(t, loaded), saved) {
		t.Errorf("saving again gives other bytes")
	}
	return loaded
}

func TestUserMadeActivationComesBackByItsName(t *testing.T) {
	f := sine{"saved sine"}
	net := newNetwork(t, 2, Dense{Units: 3}, Dense{Units: 1, Activation: f})
	_, err := Read(bytes.NewReader(bytesOf(t, net)))
	fails(t, err, `backprop: Read: backprop.network: layer 1: activation "saved sine" is not known; register it with RegisterActivation`)
	noError(t, RegisterActivation(f))
	mustComeBack(t, net, pattern(5, 2))
}

func TestSaveRefusesWhatCouldNotBeLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net")
	noError(t, newNetwork(t, 1, Dense{Units: 1}).Save(path))
	old, err := os.ReadFile(path)
	noError(t, err)
	activated := func(name string) *Network {
		return newNetwork(t, 1, Dense{Units: 1}, Dense{Units: 1, Activation: named(name)})
	}
	broken := func(i int, v float64) *Network {
		net := newNetwork(t, 2, Dense{Units: 1}, BatchNorm{})
		net.Params()[i] = v
		return net
	}
	for _, c := range []struct {
		net  *Network
		want string
	}{
		{activated("ReLU"), `layer 1: the name "ReLU" of its backprop_test.named is that of a backprop.relu`},
		{activated("ELU(2)"), `layer 1: the name "ELU(2)" of its backprop_test.named is that of a backprop.ELU`},
		{activated(""), `layer 1: the activation's name "" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{activated("\xff"), `layer 1: the activation's name "\xff" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{activated(strings.Repeat("n", 201)), `layer 1: the activation's name "` + strings.Repeat("n", 50) + `" cannot be saved, want 1 to 200 bytes of UTF-8`},
		{broken(0, math.NaN()), `tensor "0.weight" has an element that is not finite`},
		{broken(2, math.Inf(1)), `tensor "0.bias" has an element that is not finite`},
		{broken(3, math.Inf(-1)), `tensor "1.weight" has an element that is not finite`},
		{new(Network), "the network has no layers; New makes one"},
		{nil, "the network has no layers; New makes one"},
	} {
		fails(t, c.net.Save(path), "backprop: Save: "+c.want)
		var b bytes.Buffer
		n, err := c.net.WriteTo(&b)
		fails(t, err, "backprop: WriteTo: "+c.want)
		if n != 0 || b.Len() != 0 {
			t.Errorf("%d bytes, %d written", n, b.Len())
		}
		mustHold(t, path, old)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	folder := t.TempDir()
	_, err := Load(filepath.Join(folder, "missing"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "backprop: Load: open "+folder) {
		t.Error(err)
	}
	path := filepath.Join(folder, "empty")
	noError(t, os.WriteFile(path, nil, 0o666))
	_, err = Load(path)
	fails(t, err, "backprop: Load: "+path+": safetensors: header length: the file ends at byte 0, 8 bytes too early: unexpected EOF")
	if _, err = Load(folder); err == nil {
		t.Error("a folder is loaded")
	}
}

// ─── Hostile files ─────────────────────────────────────────────────────────────

const oneDense = `{"inputs":1,"layers":[{"type":"Dense","units":1}]}`

var (
	weight = rawTensor{"0.weight", "F64", []int{1, 1}, []float64{2}}
	bias   = rawTensor{"0.bias", "F64", []int{1}, []float64{3}}
	mean   = rawTensor{"0.running_mean", "F64", []int{1}, []float64{0}}
)

// hostileFiles are not to be read, with the error that says why.
var hostileFiles = []struct{ file, want string }{
	// The header's length.
	{"", "safetensors: header length: the file ends at byte 0, 8 bytes too early: unexpected EOF"},
	{"\x00\x00\x00\x00\x00\x00\x00\x00", "safetensors: header length 0, expected 2 to 100000000"},
	{"\xff\xff\xff\xff\xff\xff\xff\xff{}", "safetensors: header length 18446744073709551615, expected 2 to 100000000"},
	{"\xff\xff\xff\x00\x00\x00\x00\x00{}", "safetensors: header: the file ends at byte 10, 16777213 bytes too early: unexpected EOF"},
	// The header.
	{rawFile(`{"a":{},"a":{}}`), `safetensors: byte 14: tensor "a": missing key "dtype"`},
	{rawFile(`{"__metadata__":{"k":"","k":""}}`), `safetensors: byte 32: __metadata__: duplicate key "k"`},
	{rawFile(`{"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"a":{"dtype":"F64","shape":[],"data_offsets":[8,16]}}`, 1, 2),
		`safetensors: byte 61: duplicate key "a"`},
	{rawFile(`{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"b":{"dtype":"F64","shape":[2],"data_offsets":[8,24]}}`, 1, 2, 3),
		`safetensors: tensor "b": begins at offset 8, within tensor "a", which ends at 16`},
	{rawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, 1),
		`safetensors: tensor "b": begins at offset 0, within tensor "a", which ends at 8`},
	{rawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}`, 1, 2), `safetensors: tensor "a": begins at offset 8, leaving a hole after 0`},
	{rawFile(`{"a":{"dtype":"F64","shape":[-1],"data_offsets":[0,8]}}`, 1), `safetensors: byte 37: tensor "a": expected a non-negative integer, got -1`},
	{rawFile(`{"a":{"dtype":"F64","shape":[1.5],"data_offsets":[0,8]}}`, 1), `safetensors: byte 37: tensor "a": expected a non-negative integer, got 1.5`},
	{rawFile(`{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, 1),
		`safetensors: tensor "a": shape [4294967296 4294967296] has too many elements`},
	{rawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,0]}}`, 1), `safetensors: tensor "a": begins at offset 8, after its end at 0`},
	{rawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,99999999999999999999]}}`, 1), `safetensors: byte 58: tensor "a": 99999999999999999999 is too large`},
	{rawFile(`{"a":{"dtype":"F63","shape":[1],"data_offsets":[0,8]}}`, 1), `safetensors: tensor "a": unknown type "F63"`},
	{rawFile(`{"a":` + strings.Repeat("[", 100000)), `safetensors: byte 13: tensor "a": expected {, got [`},
	{networkFile(oneDense, weight, bias) + "\x00", "safetensors: the file goes on after byte 268, the end of its last tensor"},
	{rawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`), `safetensors: tensor "a": the file ends at byte 62, 8 bytes too early: unexpected EOF`},
	// The metadata.
	{rawFile(`{}`), `the metadata has no "backprop.version"; this is not a file of a network`},
	{rawFile(`{"__metadata__":{"format":"pt"}}`), `the metadata has no "backprop.version"; this is not a file of a network`},
	{rawFile(`{"__metadata__":{"backprop.version":"2"}}`), `backprop.version is "2", want "1"`},
	{rawFile(`{"__metadata__":{"backprop.version":"1"}}`), `backprop.network: EOF`},
	{networkFile(`null`), `backprop.network: 0 inputs, want 1 to 1073741824`},
	{networkFile(`[]`), `backprop.network: json: cannot unmarshal array into Go value of type backprop.networkJSON`},
	{networkFile(oneDense+`{}`, weight, bias), `backprop.network: something follows the JSON`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1}],"more":0}`), `backprop.network: json: unknown field "more"`},
	{networkFile(`{"inputs":1,"layers":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`), `backprop.network: invalid character '[' exceeded max depth`},
	{networkFile(`{"inputs":1,"layers":[` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `]}`),
		`backprop.network: layer 0: json: cannot unmarshal array into Go value of type backprop.layerJSON`},
	{networkFile(`{"inputs":1.5,"layers":[]}`), `backprop.network: json: cannot unmarshal number 1.5 into Go struct field networkJSON.inputs of type int`},
	{networkFile(`{"inputs":1e400,"layers":[]}`), `backprop.network: json: cannot unmarshal number 1e400 into Go struct field networkJSON.inputs of type int`},
	{networkFile(`{"inputs":-1,"layers":[]}`), `backprop.network: -1 inputs, want 1 to 1073741824`},
	{networkFile(`{"inputs":1,"layers":[]}`), `backprop.network: no layers, want at least one`},
	{networkFile(`{"inputs":1,"layers":{}}`), `backprop.network: layers is not an array`},
	{networkFile(`{"inputs":1,"layers":[` + strings.Repeat("{},", 100000) + `{}]}`), `backprop.network: layer 0: layer type "" is not known`},
	{networkFile(`{"inputs":1,"layers":[` + strings.Repeat(`{"type":"Dropout"},`, 1<<14) + `{"type":"Dense","units":1}]}`),
		`backprop.network: more than 16384 layers`},
	{networkFile(`{"inputs":1,"layers":[` + strings.Repeat(`{"type":"Dropout"},`, 5000) + `{"type":"Dropout"}]}`),
		`backprop.network: layer 5000: a Dropout cannot be the last layer, want a Dense or a BatchNorm`},
	// Layers.
	{networkFile(`{"inputs":1,"layers":[{"type":"Conv","units":1}]}`), `backprop.network: layer 0: layer type "Conv" is not known`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"rank":1}]}`), `backprop.network: layer 0: json: unknown field "rank"`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense"}]}`), `backprop.network: layer 0: Dense Units is 0, want 1 to 1073741824`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":-3}]}`), `backprop.network: layer 0: Dense Units is -3, want 1 to 1073741824`},
	{networkFile(`{"inputs":4611686018427387904,"layers":[{"type":"Dense","units":1}]}`), `backprop.network: 4611686018427387904 inputs, want 1 to 1073741824`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":4611686018427387904}]}`),
		`backprop.network: layer 0: Dense Units is 4611686018427387904, want 1 to 1073741824`},
	{networkFile(`{"inputs":1073741824,"layers":[{"type":"Dense","units":1073741824}]}`), // 2⁶⁰ weights, and in four such layers 2⁶²
		`backprop.network: layer 0: 1073741824×1073741824 weights take the network over 1073741824 parameters`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"init":"Zero"}]}`), `backprop.network: layer 0: initializer "Zero" is not known`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"Step"}]}`),
		`backprop.network: layer 0: activation "Step" is not known; register it with RegisterActivation`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"ELU(-1)"}]}`),
		`backprop.network: layer 0: activation "ELU(-1)" is not known; register it with RegisterActivation`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"LeakyReLU(0)"}]}`),
		`backprop.network: layer 0: activation "LeakyReLU(0)" is not known; register it with RegisterActivation`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"LeakyReLU(NaN)"}]}`),
		`backprop.network: layer 0: activation "LeakyReLU(NaN)" is not known; register it with RegisterActivation`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"LeakyReLU(1"}]}`),
		`backprop.network: layer 0: activation "LeakyReLU(1" is not known; register it with RegisterActivation`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"Softmax"}]}`),
		`backprop.network: layer 0: a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid`},
	{networkFile(`{"inputs":1,"layers":[{"type":"BatchNorm","momentum":2}]}`), `backprop.network: layer 0: BatchNorm Momentum is 2, want 0 to 1`},
	{networkFile(`{"inputs":1,"layers":[{"type":"BatchNorm","epsilon":-1}]}`), `backprop.network: layer 0: BatchNorm Epsilon is -1, want a finite number above 0`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dropout","rate":1},{"type":"Dense","units":1}]}`),
		`backprop.network: layer 0: Dropout Rate is 1, want 0 to 1, 1 not included`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1},{"type":"Standardize"},{"type":"Dense","units":1}]}`),
		`backprop.network: layer 1: a Standardize stands behind another layer, want it first`},
	// Tensors that contradict the metadata.
	{networkFile(oneDense), `there is no tensor "0.weight"`},
	{networkFile(oneDense, weight), `there is no tensor "0.bias"`},
	{networkFile(`{"inputs":32768,"layers":[{"type":"Dense","units":32767}]}`, weight, bias), `tensor "0.weight" has shape [1 1], want [32767 32768]`},
	{networkFile(oneDense, weight, bias, mean), `tensor "0.running_mean" belongs to no layer`},
	{networkFile(oneDense, weight, bias, rawTensor{"0.num_batches_tracked", "I64", nil, []float64{1}}), `tensor "0.num_batches_tracked" belongs to no layer`},
	{networkFile(oneDense, weight, bias, rawTensor{"checkpoint.history", "F64", []int{0}, nil}), `tensor "checkpoint.history" belongs to no layer`},
	{networkFile(oneDense, rawTensor{"0.weight", "F64", []int{1}, []float64{2}}, bias), `tensor "0.weight" has shape [1], want [1 1]`},
	{networkFile(oneDense, weight, rawTensor{"0.bias", "F64", []int{2}, []float64{2, 3}}), `tensor "0.bias" has shape [2], want [1]`},
	{networkFile(oneDense, weight, rawTensor{"0.bias", "I64", []int{1}, []float64{2}}), `tensor "0.bias" is of type I64, want F64 or F32`},
	{networkFile(oneDense, weight, rawTensor{"0.bias", "F64", []int{1}, []float64{math.NaN()}}), `tensor "0.bias" has NaN at index 0, want finite numbers`},
	{networkFile(oneDense, weight, rawTensor{"0.bias", "F32", []int{1}, []float64{math.Inf(-1)}}), `tensor "0.bias" has -Inf at index 0, want finite numbers`},
	{networkFile(`{"inputs":1,"layers":[{"type":"BatchNorm"}]}`, rawTensor{"0.weight", "F64", []int{1}, []float64{1}}, bias, mean,
		rawTensor{"0.running_var", "F64", []int{1}, []float64{-1e-300}}), `tensor "0.running_var" has -1e-300 at index 0, which cannot be a variance`},
	{networkFile(`{"inputs":1,"layers":[{"type":"Standardize"},{"type":"Dense","units":1}]}`, mean, rawTensor{"0.running_var", "F64", []int{1}, []float64{0}},
		rawTensor{"1.weight", "F64", []int{1, 1}, []float64{1}}, rawTensor{"1.bias", "F64", []int{1}, []float64{1}}),
		`tensor "0.running_var" has 0 at index 0, which cannot be a variance`},
}

func TestReadRefusesHostileFiles(t *testing.T) {
	for _, c := range hostileFiles {
		net, err := Read(strings.NewReader(c.file))
		fails(t, err, "backprop: Read: "+c.want)
		if net != nil {
			t.Error("a network beside the error")
		}
	}
}

func TestReadRefusesAFileCutAtAnyByte(t *testing.T) {
	file := bytesOf(t, newNetwork(t, 2, Standardize{}, Dense{Units: 2, Activation: Softmax}))
	for n := range file {
		if _, err := Read(bytes.NewReader(file[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

// Bits of every byte of a file are turned over. Most make it unreadable, some another network; none
// panics, and what is read is a network.
func TestReadOutlivesFlippedBits(t *testing.T) {
	file := bytesOf(t, newNetwork(t, 2, Standardize{}, Dense{Units: 2, Activation: LeakyReLU{}}, BatchNorm{}, Dropout{}, Dense{Units: 1}))
	for i := range file {
		for bit := i % 3; bit < 8; bit += 3 {
			damaged := bytes.Clone(file)
			damaged[i] ^= 1 << bit
			if net, err := Read(bytes.NewReader(damaged)); err == nil {
				bytesOf(t, net)
			}
		}
	}
}

// Memory is counted with all garbage. A file may claim anything.
func TestReadAllocatesInProportionToTheFile(t *testing.T) {
	layers := func(layer string, n int) string {
		return networkFile(`{"inputs":1,"layers":[` + strings.Repeat(layer+",", n-1) + layer + `]}`)
	}
	u8 := rawTensor{"a", "U8", []int{1 << 20}, make([]float64, 1<<20)}
	files := []string{
		layers("{}", 1<<20), layers(`{"type":"Dropout"}`, 1<<14), layers(`{"type":"Dropout"}`, 1<<18),
		layers(`{"type":"Dense","units":1}`, 1<<14), layers(`{"type":"Dense","units":65536}`, 1<<14), layers(`{"type":"BatchNorm"}`, 1<<14),
		networkFile(`{"inputs":1073741824,"layers":[{"type":"BatchNorm"}]}`),
		networkFile(`{"inputs":1073741823,"layers":[{"type":"Dense","units":1}]}`, weight, bias),
		networkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"` + strings.Repeat("x", 1<<20) + `"}]}`),
		networkFile(strings.Repeat("[", 1<<20)), networkFile(strings.Repeat(" ", 1<<20)), networkFile(oneDense, weight, bias, u8),
		string(bytesOf(t, newNetwork(t, 1<<10, Dense{Units: 1 << 8}))),
	}
	for _, c := range hostileFiles {
		files = append(files, c.file)
	}
	for _, file := range files {
		const factor, constant = 64, 256 << 10
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(strings.NewReader(file))
		runtime.ReadMemStats(&after)
		total := after.TotalAlloc - before.TotalAlloc
		if total > uint64(factor*len(file)+constant) {
			t.Errorf("%d bytes allocated for a file of %d, %v", total, len(file), err)
		}
		if len(file) > constant {
			t.Logf("%d bytes allocated for %d, %.1f: %v", total, len(file), float64(total)/float64(len(file)), err)
		}
	}
}

// Whatever is read is a network that predicts or says why not, and saves as it was read.
func FuzzRead(f *testing.F) {
	for _, c := range hostileFiles {
		if len(c.file) < 1<<12 {
			f.Add([]byte(c.file))
		}
	}
	for _, layers := range [][]Layer{
		{Dense{Units: 1}}, {Standardize{}, Dense{Units: 2, Activation: ELU{Alpha: 2}}, Dropout{Rate: 0.25}, BatchNorm{Activation: Softmax, Momentum: 0.5}},
	} {
		f.Add(bytesOf(f, newNetwork(f, 2, layers...)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		net, err := Read(bytes.NewReader(file))
		if err != nil {
			if net != nil || !strings.HasPrefix(err.Error(), "backprop: Read: ") || len(err.Error()) > 1000 {
				t.Fatal(net, err)
			}
			return
		}
		s := stateOf(net)
		noNaN(t, "parameters", s.params)
		noNaN(t, "statistics", s.statistics)
		again, err := Read(bytes.NewReader(bytesOf(t, net)))
		noError(t, err)
		s.mustEqual(t, again)
		x := mat.NewDense(1, inputsOf(t, net), nil)
		p, err := net.Predict(x)
		q, err2 := again.Predict(x)
		if fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatal(err, err2)
		}
		if err == nil {
			sameBits(t, "prediction", q.RawMatrix().Data, p.RawMatrix().Data)
		}
	})
}

// ─── Writing is atomic ─────────────────────────────────────────────────────────

func TestWriteToReturnsTheWritersError(t *testing.T) {
	net := newNetwork(t, 2, Standardize{}, Dense{Units: 2, Activation: Softmax})
	whole, full := bytesOf(t, net), errors.New("disk full")
	for left := range whole {
		w := &limited{left: left, err: full}
		n, err := net.WriteTo(w)
		fails(t, err, fmt.Sprintf("backprop: WriteTo: safetensors: writing failed after byte %d: disk full", left))
		if !errors.Is(err, full) || n != int64(left) || !bytes.Equal(w.Bytes(), whole[:left]) {
			t.Fatalf("%d bytes of %d, error %v", n, left, err)
		}
	}
}

func TestSaveOnAFullDiskKeepsTheOldFile(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS != "linux" {
		t.Skip("no shell that limits the size of files")
	}
	path, old := oldFile(t)
	limit := exec.Command("sh", "-c", `ulimit -f 16 && exec "$0" "$@"`)
	out, err := child(t, limit, "save once", path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "backprop: Save: safetensors: writing failed after byte") || !strings.Contains(string(out), "file too large") {
		t.Errorf("%v: %s", err, out)
	}
	mustHold(t, path, old)
}

func TestSaveWhereNothingCanBeWritten(t *testing.T) {
	path, old := oldFile(t)
	net := newNetwork(t, 1, Dense{Units: 1})
	below, gone := filepath.Join(path, "below"), filepath.Join(filepath.Dir(path), "gone", "net")
	for _, p := range []string{below, gone, ""} {
		if err := net.Save(p); err == nil || !strings.HasPrefix(err.Error(), "backprop: Save: ") {
			t.Errorf("%q: %v", p, err)
		}
	}
	mustHold(t, path, old)
	folder := filepath.Join(t.TempDir(), "folder")
	noError(t, os.Mkdir(folder, 0o777))
	fails(t, net.Save(folder), "backprop: Save: "+folder+" is not a regular file")
	inside := filepath.Join(folder, "net")
	noError(t, net.Save(inside))
	old = value(os.ReadFile(inside))(t)
	noError(t, os.Chmod(folder, 0o555))
	defer os.Chmod(folder, 0o777)
	if probe := os.WriteFile(filepath.Join(folder, "probe"), nil, 0o666); probe == nil {
		os.Remove(filepath.Join(folder, "probe"))
		t.Skip("this user may write everywhere")
	}
	if err := newNetwork(t, 2, Dense{Units: 1}).Save(inside); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	mustHold(t, inside, old)
}

func TestSaveFollowsALinkToItsFile(t *testing.T) {
	path, _ := oldFile(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	net := newNetwork(t, 3, Dense{Units: 1})
	noError(t, net.Save(link))
	if info := value(os.Lstat(link))(t); info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link is gone")
	}
	mustHold(t, path, bytesOf(t, net))
}

// A temporary file that a killed process or somebody else has left is no way in.
func TestSaveDoesNotWriteThroughWhatStandsInItsWay(t *testing.T) {
	path, old := oldFile(t)
	link := filepath.Join(t.TempDir(), "net")
	noError(t, os.WriteFile(link+".tmp", []byte("left by a killed process"), 0o666))
	net := newNetwork(t, 3, Dense{Units: 1})
	noError(t, net.Save(link))
	mustHold(t, link, bytesOf(t, net))
	if err := os.Symlink(path, link+".tmp"); err != nil {
		t.Skip(err)
	}
	noError(t, net.Save(link))
	mustHold(t, link, bytesOf(t, net))
	mustHold(t, path, old)
}

func TestConcurrentSavesLeaveAWholeFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be replaced")
	}
	path, _ := oldFile(t)
	nets := [2]*Network{}
	whole := [][]byte{}
	for i := range nets {
		nets[i] = newNetwork(t, 50+i, Dense{Units: 50})
		whole = append(whole, bytesOf(t, nets[i]))
	}
	noError(t, nets[0].Save(path))
	var savers sync.WaitGroup
	for i := range 4 {
		savers.Go(func() {
			for range 10 {
				if err := nets[i%2].Save(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { savers.Wait(); close(done) }()
	for more := true; more; {
		select {
		case <-done:
			more = false
		default:
		}
		if got := value(os.ReadFile(path))(t); !bytes.Equal(got, whole[0]) && !bytes.Equal(got, whole[1]) {
			t.Fatalf("%d bytes that are neither network", len(got))
		}
	}
}

func TestAKilledSaveLeavesAWholeFile(t *testing.T) {
	path, old := oldFile(t)
	whole := [][]byte{old, bytesOf(t, large(t, 0)), bytesOf(t, large(t, 1))}
	rng := rand.New(rand.NewPCG(1, 1))
	for range kills() / 2 {
		killed := exec.Command(os.Args[0])
		if !kill(t, child(t, killed, "save", path), 1+rng.IntN(3), rng.IntN(20000)) {
			t.Fatal("the child has ended by itself")
		}
		got := value(os.ReadFile(path))(t)
		if !slices.ContainsFunc(whole, func(w []byte) bool { return bytes.Equal(got, w) }) {
			t.Fatalf("%d bytes that are neither network", len(got))
		}
		whole = whole[len(whole)-2:] // it has saved at least once
	}
}

// ─── Checkpoints ───────────────────────────────────────────────────────────────

// trainings are what a checkpoint has to be able to take up, each with all that keeps something
// between epochs.
var trainings = []func() TrainConfig{
	func() TrainConfig { return TrainConfig{} },
	func() TrainConfig { return TrainConfig{Optimizer: &Momentum{}, Schedule: StepDecay{Every: 3}} },
	func() TrainConfig { return TrainConfig{Optimizer: &Momentum{Nesterov: true}, KeepOrder: true, L2: 0.1} },
	func() TrainConfig {
		return TrainConfig{Optimizer: &RMSProp{}, Schedule: CosineDecay{Epochs: 8}, Patience: 5}
	},
	func() TrainConfig {
		return TrainConfig{Optimizer: &RMSProp{Centered: true, Momentum: 0.5}, WeightDecay: 0.1, ClipValue: 0.1}
	},
	func() TrainConfig {
		return TrainConfig{Optimizer: &Adam{}, Schedule: Warmup{Epochs: 3, Then: ReduceOnPlateau{Patience: 1}}, Patience: 3, Seed: 5}
	},
	func() TrainConfig { return TrainConfig{Optimizer: &AdaGrad{}, ClipNorm: 0.1, TargetLoss: 1.02} },
	func() TrainConfig { return TrainConfig{Optimizer: &heavyBall{Mu: 0.5}, Patience: 2, Loss: wide()} },
	func() TrainConfig {
		rate := func(base float64, history []Epoch) float64 { return base / float64(1+len(history)) }
		return TrainConfig{Optimizer: &Adam{Beta1: 0.5}, Schedule: ScheduleFunc(rate), BatchSize: 50}
	},
}

const checkpointEpochs = 12

// training is training i on a fresh network.
func training(t testing.TB, i int) (net *Network, x, y *mat.Dense, c TrainConfig) {
	net = newNetwork(t, 5, Standardize{}, Dense{Units: 6, Activation: LeakyReLU{}}, Dropout{Rate: 0.2},
		Dense{Units: 5, NoBias: true}, BatchNorm{Activation: Tanh}, Dense{Units: 3, Activation: Softmax})
	x, y = scaledMatrix(pattern(41, 5), 3), classes(41, 3) // the 41st sample joins the last batch
	c = trainings[i]()
	c.LearningRate, c.Epochs, c.BatchSize, c.Validation = 0.02, checkpointEpochs, cmp.Or(c.BatchSize, 8), Data{X: pattern(20, 5), Y: classes(20, 3)}
	return net, x, y, c
}

// unbroken is how training i ends without a checkpoint.
func unbroken(t testing.TB, i, epochs int) (file []byte, h *History) {
	net, x, y, c := training(t, i)
	c.Epochs = epochs
	h, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	return bytesOf(t, net), h
}

func TestAResumedTrainingEndsWithTheSameBits(t *testing.T) {
	for i := range trainings {
		want, wantHistory := unbroken(t, i, checkpointEpochs)
		for _, batches := range []int{8, 1000} { // until it is cancelled, amid an epoch of 5 or not at all
			for _, anew := range []bool{true, false} { // a new program, or the same network and optimizer again
				path := filepath.Join(t.TempDir(), "checkpoint")
				net, x, y, c := training(t, i)
				for tries := 0; ; tries++ {
					if tries > checkpointEpochs {
						t.Fatal("it does not get on")
					}
					c.Checkpoint = path
					h, err := net.Train(&countdown{t.Context(), batches}, x, y, c)
					if errors.Is(err, context.Canceled) {
						if h.Stopped != StopCancelled {
							t.Error(h.Stopped)
						}
						if anew {
							net, x, y, c = training(t, i)
						}
						continue
					}
					noError(t, err)
					sameHistory(t, h, wantHistory)
					break
				}
				if !bytes.Equal(bytesOf(t, net), want) {
					t.Errorf("training %d, %d batches a time: other bits", i, batches)
				}
				if matches := value(filepath.Glob(path + "?*"))(t); len(matches) > 0 {
					t.Error(matches)
				}
			}
		}
	}
}

// Resumed in the same program and then in a new one.
func TestATrainingIsTakenUpAcrossPrograms(t *testing.T) {
	want, _ := unbroken(t, 5, checkpointEpochs)
	net, x, y, c := training(t, 5)
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	for _, batches := range []int{10, 7} { // at the end of an epoch, and in another
		_, err := net.Train(&countdown{t.Context(), batches}, x, y, c)
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	again, _, _, d := training(t, 5)
	d.Checkpoint = c.Checkpoint
	_, err := again.Train(t.Context(), x, y, d)
	noError(t, err)
	if !bytes.Equal(bytesOf(t, again), want) {
		t.Error("other bits")
	}
}

func TestAKilledTrainingEndsWithTheSameBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	trials := []int{0, 5, 7}
	for _, i := range trials {
		want, _ := unbroken(t, i, childEpochs)
		path := filepath.Join(t.TempDir(), "checkpoint")
		finished := func(kills int) {
			if got := value(os.ReadFile(path + ".done"))(t); !bytes.Equal(got, want) {
				t.Errorf("training %d: other bits after %d kills", i, kills)
			}
		}
		most := max(2, kills()/len(trials))
		for killed, children := 0, 0; killed < most; children++ {
			if children == 20*most {
				t.Fatalf("only %d of %d children were killed", killed, children)
			}
			if kill(t, child(t, exec.Command(os.Args[0]), fmt.Sprint("train ", i), path), 1+rng.IntN(3), rng.IntN(5000)) {
				killed++
				value(Load(path))(t)
				continue
			}
			finished(killed) // it was faster than the kill; the next one begins anew
			noError(t, errors.Join(os.Remove(path), os.Remove(path+".done")))
		}
		out, err := child(t, exec.Command(os.Args[0]), fmt.Sprint("train ", i), path).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		finished(most)
	}
}

func TestAFinishedTrainingReturnsAtOnce(t *testing.T) {
	for i := range trainings {
		net, x, y, c := training(t, i)
		c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
		first, err := net.Train(t.Context(), x, y, c)
		noError(t, err)
		file := value(os.ReadFile(c.Checkpoint))(t)
		again, x, y, d := training(t, i)
		d.Checkpoint = c.Checkpoint
		d.OnEpoch = func(Epoch) error { t.Error("an epoch"); return nil }
		h, err := again.Train(t.Context(), x, y, d)
		noError(t, err)
		sameHistory(t, h, first)
		stateOf(net).mustEqual(t, again)
		mustHold(t, c.Checkpoint, file)
	}
}

func TestRaisingEpochsGoesOn(t *testing.T) {
	for i := range trainings {
		want, wantHistory := unbroken(t, i, checkpointEpochs)
		path := filepath.Join(t.TempDir(), "checkpoint")
		for _, epochs := range []int{1, 4, checkpointEpochs} {
			net, x, y, c := training(t, i)
			c.Epochs, c.Checkpoint = epochs, path
			h, err := net.Train(t.Context(), x, y, c)
			noError(t, err)
			if epochs == checkpointEpochs {
				sameHistory(t, h, wantHistory)
				if !bytes.Equal(bytesOf(t, net), want) {
					t.Errorf("training %d: other bits", i)
				}
			}
		}
	}
	net, x, y, c := training(t, 0)
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	_, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	c.Epochs = 3
	_, err = net.Train(t.Context(), x, y, c)
	fails(t, err, "backprop: Train: Checkpoint "+c.Checkpoint+": it has 12 epochs, Epochs is 3")
}

// However OnEpoch ends a training, it is taken up where it was.
func TestOnEpochAndCheckpoints(t *testing.T) {
	want, wantHistory := unbroken(t, 6, checkpointEpochs)
	path, no := filepath.Join(t.TempDir(), "checkpoint"), errors.New("no")
	for n := range wantHistory.Epochs { // each epoch fails, the last one too
		net, x, y, c := training(t, 6)
		c.Checkpoint, c.OnEpoch = path, func(e Epoch) error {
			if e.N != n {
				t.Errorf("epoch %d, want %d", e.N, n)
			}
			return no
		}
		h, err := net.Train(t.Context(), x, y, c)
		if !errors.Is(err, no) || h.Stopped != StopOnEpoch {
			t.Fatal(h, err)
		}
	}
	net, x, y, c := training(t, 6)
	c.Checkpoint = path
	h, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	sameHistory(t, h, wantHistory)
	if !bytes.Equal(bytesOf(t, net), want) {
		t.Error("other bits")
	}
	c.Checkpoint = filepath.Join(t.TempDir(), "stopped")
	c.OnEpoch = func(Epoch) error { return ErrStop }
	net, _, _, _ = training(t, 6)
	for range 2 { // a training that was stopped has ended
		h, err = net.Train(t.Context(), x, y, c)
		noError(t, err)
		if h.Stopped != StopOnEpoch || len(h.Epochs) != 1 {
			t.Error(h)
		}
	}
}

func TestACancelledFirstEpochLeavesACheckpoint(t *testing.T) {
	for _, batches := range []int{0, 2} {
		net, x, y, c := training(t, 5)
		c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
		_, err := net.Train(&countdown{t.Context(), batches}, x, y, c)
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := Load(c.Checkpoint); err != nil {
			t.Error(err)
		}
	}
}

func TestACheckpointIsANetworkToo(t *testing.T) {
	net, x, y, c := training(t, 5)
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	c.Patience = 0 // which would restore the best
	_, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	loaded, err := Load(c.Checkpoint)
	noError(t, err)
	stateOf(net).mustEqual(t, loaded)
}

// otherConfigurations are not that of training 5.
var otherConfigurations = []struct {
	change func(*TrainConfig)
	want   string
}{
	{func(c *TrainConfig) { c.LearningRate = 0.03 }, `its LearningRate is "0.02", want "0.03"`},
	{func(c *TrainConfig) { c.BatchSize = 9 }, `its BatchSize is "8", want "9"`},
	{func(c *TrainConfig) { c.KeepOrder = true }, `its KeepOrder is "false", want "true"`},
	{func(c *TrainConfig) { c.Loss = MSE }, `its Loss is "backprop.crossEntropy{}", want "backprop.mse{}"`},
	{func(c *TrainConfig) { c.Optimizer = nil }, `its Optimizer is "backprop.Adam{Beta1:0 Beta2:0 Epsilon:0}", want "none"`},
	{func(c *TrainConfig) { c.Optimizer = &Adam{Beta1: 0.8} },
		`its Optimizer is "backprop.Adam{Beta1:0 Beta2:0 Epsilon:0}", want "backprop.Adam{Beta1:0.8 Beta2:0 Epsilon:0}"`},
	{func(c *TrainConfig) { c.Schedule = ExponentialDecay{} }, `its Schedule is "backprop.Warmup{Epochs:3 Start:0 ` +
		`Then:backprop.ReduceOnPlateau{Factor:0 Patience:1 Threshold:0 Cooldown:0 Min:0}}", want "backprop.ExponentialDecay{Factor:0}"`},
	{func(c *TrainConfig) { c.Seed = 6 }, `its Seed is "5", want "6"`},
	{func(c *TrainConfig) { c.L2 = 1 }, `its L2 is "0", want "1"`},
	{func(c *TrainConfig) { c.WeightDecay = 1 }, `its WeightDecay is "0", want "1"`},
	{func(c *TrainConfig) { c.ClipNorm = 1 }, `its ClipNorm is "0", want "1"`},
	{func(c *TrainConfig) { c.ClipValue = 1 }, `its ClipValue is "0", want "1"`},
	{func(c *TrainConfig) { c.Patience = 1 }, `its Patience is "3", want "1"`},
	{func(c *TrainConfig) { c.TargetLoss = 1e-5 }, `its TargetLoss is "0", want "1e-05"`},
}

func TestACheckpointOfAnotherTrainingIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	start := func() (*Network, *mat.Dense, *mat.Dense, TrainConfig) {
		net, x, y, c := training(t, 5)
		c.Checkpoint = path
		return net, x, y, c
	}
	net, x, y, c := start()
	_, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	file := value(os.ReadFile(path))(t)
	refused := func(net *Network, x, y mat.Matrix, c TrainConfig, want string) {
		t.Helper()
		before := stateOf(net)
		h, err := net.Train(t.Context(), x, y, c)
		fails(t, err, "backprop: Train: Checkpoint "+path+": it belongs to "+want)
		if h != nil {
			t.Error("a history beside the error")
		}
		before.mustEqual(t, net)
		mustHold(t, path, file)
	}
	for _, m := range otherConfigurations {
		net, x, y, c := start()
		m.change(&c)
		refused(net, x, y, c, "another configuration: "+m.want)
	}
	_, x, y, c = start()
	refused(newNetwork(t, 5, Dense{Units: 3}), x, y, c, `another network, {"inputs":5,"layers":[{"type":"Standardize"},`+
		`{"type":"Dense","units":6,"activation":"LeakyReLU(0.01)"},{"type":"Dropout","rate":0.2},{"type":"Dense","units":5,"no_bias":true},`+
		`{"type":"BatchNorm","activation":"Tanh"},{"type":"Dense","units":3,"activation":"Softmax"}]}, `+
		`want {"inputs":5,"layers":[{"type":"Dense","units":3}]}`)
	for i := range 4 {
		net, x, y, c = start()
		m := []mat.Matrix{x, y, c.Validation.X, c.Validation.Y}[i].(*mat.Dense)
		m.Set(3, 1, 1-m.At(3, 1))
		m.Set(3, 0, 1-m.At(3, 0)) // a target is a distribution still
		refused(net, x, y, c, "other data")
	}
	net, x, y, c = start()
	net.Params()[7] += 0x1p-50
	refused(net, x, y, c, "a training that began with other parameters")
}

// What a configuration's values hold is compared, not where they lie; functions are not compared.
func TestConfigurationsAreComparedByTheirValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	train := func(l Loss) error {
		net, x, y, c := training(t, 7)
		c.Checkpoint, c.Loss, c.Epochs = path, l, 2
		_, err := net.Train(t.Context(), x, y, c)
		return err
	}
	noError(t, train(wide()))
	noError(t, train(wide()))
	for _, change := range []func(*wideLoss){
		func(l *wideLoss) { l.Weights[1] = 7 }, func(l *wideLoss) { l.Inner.Kind = 7 }, func(l *wideLoss) { l.Any = &Huber{Delta: 7} },
		func(l *wideLoss) { l.Kind = 7 }, func(l *wideLoss) { l.Text = "7" }, func(l *wideLoss) { l.Any = nil },
	} {
		l := wide()
		change(l)
		if err := train(l); err == nil || !strings.Contains(err.Error(), "7") && !strings.Contains(err.Error(), "Any:none") {
			t.Error(err)
		}
	}
	l := wide()
	l.hidden, l.F, l.Map = 7, func() {}, nil
	noError(t, train(l))
}

// damages are done to a finished checkpoint.
var damages = []struct {
	name   string
	change func(metadata map[string]string, tensors map[string]*rawTensor)
	want   string
}{
	{"no checkpoint", func(m map[string]string, _ map[string]*rawTensor) { delete(m, "backprop.checkpoint") },
		`tensor "checkpoint.best_params" belongs to no layer`},
	{"JSON", func(m map[string]string, _ map[string]*rawTensor) { m["backprop.checkpoint"] = "{" }, "backprop.checkpoint: unexpected EOF"},
	{"no history", func(_ map[string]string, s map[string]*rawTensor) { delete(s, "checkpoint.history") }, "its best epoch is damaged"},
	{"short history", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.history"].cut() }, "its history is damaged"},
	{"NaN in the history", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.history"].data[1] = math.NaN() },
		"its history is damaged"},
	{"wrong epoch", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.history"].data[0] = 1 }, "its history is damaged"},
	{"best beyond", func(m map[string]string, _ map[string]*rawTensor) { edit(m, `"best":`, `"best":5`) }, "its best epoch is damaged"},
	{"best before", func(m map[string]string, _ map[string]*rawTensor) { edit(m, `"best":`, `"best":-`) }, "its best epoch is damaged"},
	{"no best", func(_ map[string]string, s map[string]*rawTensor) { delete(s, "checkpoint.best_params") }, "its best epoch is damaged"},
	{"no best statistics", func(_ map[string]string, s map[string]*rawTensor) { delete(s, "checkpoint.best_statistics") }, "its best epoch is damaged"},
	{"NaN in the best", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.best_params"].data[3] = math.NaN() }, "its best epoch is damaged"},
	{"infinite best statistics", func(_ map[string]string, s map[string]*rawTensor) {
		s["checkpoint.best_statistics"].data[3] = math.Inf(1)
	}, "its best epoch is damaged"},
	{"short state", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.optimizer"].cut() },
		"the optimizer remembers 187 values of another training, want 188 for 94 parameters"},
	{"only the steps", func(_ map[string]string, s map[string]*rawTensor) {
		s["checkpoint.optimizer"].data, s["checkpoint.optimizer"].shape = []float64{3}, []int{1}
	}, "backprop: SetState: this is not the state of an optimizer"},
	{"half a step", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.optimizer"].data[0] = 0.5 },
		"backprop: SetState: this is not the state of an optimizer"},
	{"endless steps", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.optimizer"].data[0] = math.Inf(1) },
		"backprop: SetState: this is not the state of an optimizer"},
	{"NaN in the state", func(_ map[string]string, s map[string]*rawTensor) { s["checkpoint.optimizer"].data[7] = math.NaN() },
		"backprop: SetState: this is not the state of an optimizer"},
	{"NaN in the network", func(_ map[string]string, s map[string]*rawTensor) { s["1.weight"].data[2] = math.NaN() },
		`tensor "1.weight" has NaN at index 2, want finite numbers`},
}

func TestDamagedCheckpointsAreRefused(t *testing.T) {
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			net, x, y, config := training(t, 5)
			config.Checkpoint, config.Epochs = filepath.Join(t.TempDir(), "checkpoint"), 3
			_, err := net.Train(t.Context(), x, y, config)
			noError(t, err)
			metadata, tensors := decodeRaw(t, value(os.ReadFile(config.Checkpoint))(t))
			c.change(metadata, tensors)
			var list []rawTensor
			for _, name := range slices.Sorted(maps.Keys(tensors)) {
				list = append(list, *tensors[name])
			}
			file := []byte(encodeRaw(metadata, list...))
			noError(t, os.WriteFile(config.Checkpoint, file, 0o666))
			net, x, y, again := training(t, 5)
			again.Checkpoint, again.Epochs = config.Checkpoint, 5
			before := stateOf(net)
			_, err = net.Train(t.Context(), x, y, again)
			fails(t, err, "backprop: Train: Checkpoint "+config.Checkpoint+": "+c.want)
			before.mustEqual(t, net)
			mustHold(t, config.Checkpoint, file)
		})
	}
}

// Cut or flipped anywhere, a checkpoint is refused and kept, or another whole one; nothing of it
// makes training panic or gives a network with a NaN.
func TestTrainOutlivesEveryDamageToItsCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	train := func(epochs int) (*Network, error) {
		net, x, y, c := training(t, 5)
		c.Checkpoint, c.Epochs = path, epochs
		_, err := net.Train(t.Context(), x, y, c)
		return net, err
	}
	_, err := train(2)
	noError(t, err)
	whole := value(os.ReadFile(path))(t)
	step := 97 // coprime to 8, so that every bit of a byte has its turn
	if testing.Short() {
		step = 997
	}
	for bit := 0; bit < 8*len(whole); bit += step {
		damaged := bytes.Clone(whole)
		if damaged[bit/8] ^= 1 << (bit % 8); bit%2 == 0 {
			damaged = whole[:bit/8]
		}
		noError(t, os.WriteFile(path, damaged, 0o666))
		net, err := train(2)
		if bit%2 == 0 && err == nil {
			t.Fatalf("cut to %d bytes, it is taken", bit/8)
		}
		if err != nil {
			mustHold(t, path, damaged)
		}
		s := stateOf(net)
		noNaN(t, "parameters", s.params)
		noNaN(t, "statistics", s.statistics)
	}
}

func TestACheckpointNeedsAnOptimizerWithState(t *testing.T) {
	net, x, y, c := training(t, 0)
	c.Checkpoint, c.Optimizer = filepath.Join(t.TempDir(), "checkpoint"), stepFunc(func(params, grad []float64, eta float64) {})
	_, err := net.Train(t.Context(), x, y, c)
	fails(t, err, "backprop: Train: Optimizer is a backprop_test.stepFunc, want one with State and SetState for a Checkpoint")
}

func TestACheckpointThatCannotBeWrittenIsFoundBeforeTheFirstStep(t *testing.T) {
	net, x, y, c := training(t, 5)
	folder := filepath.Join(t.TempDir(), "folder")
	c.Checkpoint = filepath.Join(folder, "checkpoint")
	before := net.String() + fmt.Sprint(net.Params())
	h, err := net.Train(t.Context(), x, y, c)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "backprop: Train: Checkpoint "+c.Checkpoint+": ") || h.Stopped != StopFailed {
		t.Error(h, err)
	}
	if net.String()+fmt.Sprint(net.Params()) != before {
		t.Error("it has trained")
	}
}

// The folder goes while training: an error, and the network is whole, and goes on once there is a
// folder again, in the same program.
func TestAFailingCheckpointLeavesTheNetwork(t *testing.T) {
	want, wantHistory := unbroken(t, 5, checkpointEpochs)
	net, x, y, c := training(t, 5)
	folder := filepath.Join(t.TempDir(), "folder")
	noError(t, os.Mkdir(folder, 0o777))
	c.Checkpoint = filepath.Join(folder, "checkpoint")
	aside := folder + " aside"
	c.OnEpoch = func(e Epoch) error {
		if e.N == 0 {
			return os.Rename(folder, aside)
		}
		return nil
	}
	_, err := net.Train(&countdown{t.Context(), 8}, x, y, c)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "backprop: Train: Checkpoint "+c.Checkpoint+": ") {
		t.Fatal(err)
	}
	mustComeBack(t, net, x)
	noError(t, os.Rename(aside, folder))
	c.OnEpoch = nil
	h, err := net.Train(t.Context(), x, y, c)
	noError(t, err)
	sameHistory(t, h, wantHistory)
	if !bytes.Equal(bytesOf(t, net), want) {
		t.Error("other bits")
	}
}

func TestACheckpointIsAFileThatCanBeRead(t *testing.T) {
	path, old := oldFile(t)
	for _, checkpoint := range []string{filepath.Join(path, "below"), filepath.Dir(path), path} {
		net, x, y, c := training(t, 5)
		c.Checkpoint = checkpoint
		before := stateOf(net)
		h, err := net.Train(t.Context(), x, y, c)
		if err == nil || !strings.HasPrefix(err.Error(), "backprop: Train: Checkpoint "+checkpoint+": ") || h != nil {
			t.Error(h, err)
		}
		before.mustEqual(t, net)
	}
	mustHold(t, path, old)
}

// What Save refuses is found when training begins.
func TestACheckpointOfWhatCannotBeSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	train := func(f Activation, onEpoch func(*Network) error) error {
		net := newNetwork(t, 2, Dense{Units: 1}, Dense{Units: 1, Activation: f})
		_, err := net.Train(t.Context(), pattern(4, 2), pattern(4, 1), TrainConfig{
			LearningRate: 0.1, Epochs: 2, Checkpoint: path, OnEpoch: func(Epoch) error { return onEpoch(net) },
		})
		return err
	}
	no := func(*Network) error { t.Error("an epoch"); return nil }
	const name = `layer 1: the name "ReLU" of its backprop_test.named is that of a backprop.relu`
	fails(t, train(named("ReLU"), no), "backprop: Train: Checkpoint "+path+": "+name)
	err := train(Tanh, func(net *Network) error { net.Params()[0] = math.NaN(); return ErrStop })
	fails(t, err, "backprop: Train: Checkpoint "+path+`: tensor "0.weight" has an element that is not finite`)
	mustHold(t, path, value(os.ReadFile(path))(t))
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
	fails(t, train(named("ReLU"), no), "backprop: Train: Checkpoint "+path+": "+name)
}

// A step breaks the parameters, and training is cancelled before the loss shows it.
func TestCancellationBehindABrokenStepKeepsTheLastFiniteParameters(t *testing.T) {
	net := newNetwork(t, 2, Dense{Units: 1})
	before := stateOf(net)
	broken := stepFunc(func(params, grad []float64, eta float64) { params[1] = math.NaN() })
	_, err := net.Train(&countdown{t.Context(), 1}, pattern(4, 2), pattern(4, 1), TrainConfig{LearningRate: 0.1, Epochs: 1, BatchSize: 1, Optimizer: broken})
	fails(t, err, "backprop: Train: cancelled in epoch 0: context canceled")
	before.mustEqual(t, net)
}

func TestNewBoundsTheLayers(t *testing.T) {
	_, err := New(1, slices.Repeat([]Layer{Dense{Units: 1}}, 1<<14+1)...)
	fails(t, err, "backprop: New: 16385 layers, want at most 16384")
	_, err = Read(bytes.NewReader(bytesOf(t, newNetwork(t, 1, slices.Repeat([]Layer{Dense{Units: 1}}, 1<<14)...))))
	noError(t, err)
}

// A gradient whose square overflows leaves an infinity in the optimizer, of which the parameters
// know nothing.
func TestAnInfiniteStateIsTakenUp(t *testing.T) {
	train := func(path string, epochs int) []byte {
		net := newNetwork(t, 1, Dense{Units: 1})
		x, y := mat.NewDense(1, 1, []float64{1e155}), mat.NewDense(1, 1, []float64{1})
		copy(net.Params(), []float64{1, 0})
		_, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: epochs, Optimizer: &AdaGrad{}, Loss: MAE, Checkpoint: path})
		noError(t, err)
		return bytesOf(t, net)
	}
	path := filepath.Join(t.TempDir(), "checkpoint")
	train(path, 2)
	_, tensors := decodeRaw(t, value(os.ReadFile(path))(t))
	if !slices.Contains(tensors["checkpoint.optimizer"].data, math.Inf(1)) {
		t.Fatal("the state is finite")
	}
	if !bytes.Equal(train(path, 4), train("", 4)) {
		t.Error("other bits")
	}
}

// A running variance overflows where the loss stays finite.
func TestAnInfiniteRunningVarianceIsDivergence(t *testing.T) {
	net := newNetwork(t, 1, BatchNorm{}, Dense{Units: 1})
	before := stateOf(net)
	_, err := net.Train(t.Context(), scaledMatrix(pattern(4, 1), 1e160), pattern(4, 1), TrainConfig{LearningRate: 0.1, Epochs: 2})
	if !errors.Is(err, ErrDiverged) {
		t.Error(err)
	}
	before.mustEqual(t, net)
}

// ─── A good guest ──────────────────────────────────────────────────────────────

// The library never prints of its own accord, exits, recovers a panic, draws from a source that is
// not seeded or changes gonum's BLAS. Its text is looked through for the names of what would.
func TestTheLibraryNeverUsesWhatAGuestDoesNot(t *testing.T) {
	seeded := map[string]bool{"New": true, "NewPCG": true, "Rand": true, "PCG": true}
	forbidden := func(of, name string) bool {
		switch of {
		case "":
			return name == "recover" || name == "print" || name == "println"
		case "os":
			return name == "Exit" || name == "Stdout" || name == "Stderr"
		case "fmt":
			return strings.HasPrefix(name, "Print")
		case "rand":
			return !seeded[name]
		case "blas64", "lapack64":
			return name == "Use"
		}
		return of == "log" || of == "slog"
	}
	files := slices.Concat(value(filepath.Glob("*.go"))(t), value(filepath.Glob("internal/*/*.go"))(t))
	looked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		looked++
		tree := value(parser.ParseFile(token.NewFileSet(), file, nil, 0))(t)
		ast.Inspect(tree, func(n ast.Node) bool {
			of, name := "", ""
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok {
					of, name = x.Name, n.Sel.Name
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok {
					name = f.Name
				}
			}
			if forbidden(of, name) {
				t.Errorf("%s uses %s.%s", file, of, name)
			}
			return true
		})
	}
	if looked < 6 {
		t.Errorf("only %d files", looked)
	}
}

// The panic of a caller's own code comes out as it is, and leaves nothing running.
func TestPanicsOfTheCallersCodeAreNotRecovered(t *testing.T) {
	net := newNetwork(t, 64, Dense{Units: 256}, Dense{Units: 1})
	x, y := pattern(256, 64), pattern(256, 1)
	before := runtime.NumGoroutine()
	mine := &counting{Loss: MSE, every: func() { panic("mine") }}
	panics(t, "mine", func() { net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1, Epochs: 1, Loss: mine}) })
	panics(t, "mine", func() { net.Loss(x, y, mine) })
	panics(t, "mine", func() { net.Predict(panicking{x}) })
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, were %d", n, before)
	}
	if _, err := net.Predict(x); err != nil {
		t.Error(err)
	}
}

// ─── A long run ────────────────────────────────────────────────────────────────

// Everything that a server does with networks, again and again: memory stays flat, and no goroutine
// and no file is left. BACKPROP_LONG is for how long, as "10m"; without it some rounds are made.
func TestALongRunStaysFlat(t *testing.T) {
	long, _ := time.ParseDuration(os.Getenv("BACKPROP_LONG"))
	rounds, start := 18, time.Now()
	if testing.Short() {
		rounds = 9
	}
	folder := t.TempDir()
	round := func(i int) {
		net, x, y, c := training(t, i%len(trainings))
		c.Checkpoint = filepath.Join(folder, "checkpoint")
		_, err := net.Train(&countdown{t.Context(), 9}, x, y, c)
		if !errors.Is(err, context.Canceled) && i%len(trainings) != len(trainings)-1 { // whose epochs are of one batch
			t.Fatal(err)
		}
		_, err = net.Train(t.Context(), x, y, c)
		noError(t, err)
		noError(t, net.Save(c.Checkpoint+".done"))
		_, err = Load(c.Checkpoint + ".done")
		noError(t, err)
		_, err = Read(strings.NewReader(hostileFiles[i%len(hostileFiles)].file))
		if err == nil {
			t.Error("read")
		}
		wideNet := newNetwork(t, 64, Dense{Units: 256, Activation: ReLU}, Dense{Units: 64}) // large enough for goroutines
		wideX, wideY := pattern(128, 64), pattern(128, 64)
		_, err = wideNet.Train(t.Context(), wideX, wideY, TrainConfig{LearningRate: 1e-3, Epochs: 2, BatchSize: 64})
		noError(t, err)
		noError(t, os.Remove(c.Checkpoint))
	}
	for i := range 2 * len(trainings) {
		round(i) // pools and lazily made things
	}
	memory, goroutines, files := usage()
	n := 0
	for ; n < rounds || time.Since(start) < long; n++ {
		round(n)
	}
	memory2, goroutines2, files2 := usage()
	t.Logf("%d rounds in %v: %d → %d bytes of heap, %d → %d goroutines, %d → %d files",
		n, time.Since(start).Round(time.Second), memory, memory2, goroutines, goroutines2, files, files2)
	if memory2 > memory+1<<20 || goroutines2 > goroutines || files2 > files {
		t.Error("something is left")
	}
}

// usage is the live heap, the goroutines and, where that can be seen, the open files.
func usage() (heap uint64, goroutines, files int) {
	runtime.GC()
	runtime.GC() // for the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, _ := os.ReadDir("/proc/self/fd")
	return m.HeapAlloc, runtime.NumGoroutine(), len(open)
}

// ─── Anything at all ───────────────────────────────────────────────────────────

// Random networks, data and configurations out of the fuzzer's bytes. Every call works or returns
// an error; no parameter becomes NaN or infinite; whatever trains also saves, loads and predicts
// the same.
func FuzzTrain(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		seed := make([]byte, 60)
		for i := range seed {
			seed[i] = byte(rng.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &dice{data}
		inputs := d.roll(4)
		net, err := New(inputs, d.layers()...)
		if err != nil {
			if net != nil || !strings.HasPrefix(err.Error(), "backprop: New: ") {
				t.Fatal(net, err)
			}
			return
		}
		outputs := len(predict(t, net, mat.NewDense(1, inputs, nil)))
		if i := d.roll(100); i < len(net.Params()) {
			net.Params()[i] = d.finite()
		}
		x, y := d.matrix(d.roll(9), inputs), d.targets(outputs)
		if rowsOf(y) > rowsOf(x) {
			y = y.Slice(0, rowsOf(x), 0, outputs).(*mat.Dense)
		} else {
			y = y.Grow(rowsOf(x)-rowsOf(y), 0).(*mat.Dense)
		}
		config := d.config(x, y)
		started, untrained := mustReadBack(t, net), mustReadBack(t, net)
		h, err := trainAny(t, net, x, y, config)
		if err == nil {
			again := config
			again.Optimizer = fresh(config.Optimizer)
			h2, err := trainAny(t, started, x, y, again) // the same bits once more, after loading
			noError(t, err)
			sameHistory(t, h2, h)
			stateOf(net).mustEqual(t, started)
		}
		if _, stateful := config.Optimizer.(Stateful); err == nil && stateful && d.roll(32) == 32 {
			mustResume(t, untrained, net, x, y, config)
		}
		mustReadBack(t, net)
		mustPredict(t, net, mustReadBack(t, net), x, y, config.Loss)
	})
}

// trainAny trains and holds Train to its promises.
func trainAny(t *testing.T, net *Network, x, y *mat.Dense, c TrainConfig) (*History, error) {
	t.Helper()
	xBefore, yBefore := mat.DenseCopyOf(x), mat.DenseCopyOf(y)
	h, err := net.Train(t.Context(), x, y, c)
	sameBits(t, "x", x.RawMatrix().Data, xBefore.RawMatrix().Data)
	sameBits(t, "y", y.RawMatrix().Data, yBefore.RawMatrix().Data)
	s := stateOf(net)
	noNaN(t, "parameters", s.params)
	noNaN(t, "statistics", s.statistics)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "backprop: Train: ") {
			t.Fatal(err)
		}
		return h, err
	}
	if len(h.Epochs) == 0 || h.Stopped == "" || h.Best < 0 || h.Best >= len(h.Epochs) {
		t.Fatal(h)
	}
	for _, e := range h.Epochs {
		noNaN(t, "epoch", []float64{e.Loss, e.ValidationLoss, e.LearningRate, e.GradNorm})
	}
	return h, err
}

// mustResume trains with interruptions.
func mustResume(t *testing.T, net, want *Network, x, y *mat.Dense, c TrainConfig) {
	t.Helper()
	c.Optimizer, c.Checkpoint = fresh(c.Optimizer), filepath.Join(t.TempDir(), "checkpoint")
	for tries := 0; ; tries++ {
		_, err := net.Train(&countdown{t.Context(), rowsOf(x) + 1}, x, y, c)
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || tries > c.Epochs {
			t.Fatal(err)
		}
	}
	stateOf(want).mustEqual(t, net)
}

// mustReadBack is mustComeBack in memory.
func mustReadBack(t *testing.T, net *Network) *Network {
	t.Helper()
	file := bytesOf(t, net)
	loaded, err := Read(bytes.NewReader(file))
	noError(t, err)
	stateOf(net).mustEqual(t, loaded)
	if !bytes.Equal(bytesOf(t, loaded), file) {
		t.Error("saving again gives other bytes")
	}
	return loaded
}

// mustPredict holds the other calls to their promises, on a network and its copy.
func mustPredict(t *testing.T, net, same *Network, x, y *mat.Dense, l Loss) {
	p, err := net.Predict(x)
	q, err2 := same.Predict(x)
	if fmt.Sprint(err) != fmt.Sprint(err2) {
		t.Fatal(err, err2)
	}
	if err == nil {
		noNaN(t, "prediction", p.RawMatrix().Data)
		sameBits(t, "prediction", q.RawMatrix().Data, p.RawMatrix().Data)
		into := mat.NewDense(rowsOf(p), cols(p), nil)
		noError(t, net.PredictTo(into, x))
		sameBits(t, "PredictTo", into.RawMatrix().Data, p.RawMatrix().Data)
	}
	if v, err := net.Loss(x, y, l); err == nil {
		noNaN(t, "loss", []float64{v})
	}
	if v, g, err := net.Gradient(nil, x, y, l); err == nil {
		noNaN(t, "loss", []float64{v})
		noNaN(t, "gradient", g)
		before := stateOf(net)
		if _, err := net.CheckGradient(x, y, l); err != nil {
			t.Error(err)
		}
		before.mustEqual(t, net)
	}
}

// dice gives what the fuzzer's bytes say; behind their end, zeros.
type dice struct{ data []byte }

// roll is 1 to n.
func (d *dice) roll(n int) int {
	if len(d.data) == 0 {
		return 1
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b)%n + 1
}

// finite is mostly harmless.
func (d *dice) finite() float64 {
	switch i := d.roll(64); i {
	case 1, 2, 3:
		return []float64{0, 1, -1}[i-1]
	case 4, 5, 6, 7, 8, 9, 10, 11:
		return []float64{1e-310, 1e-160, 1e-9, 1e9, 1e155, -1e160, 1e300, -math.MaxFloat64}[i-4]
	default:
		return float64(i-37) / 16
	}
}

// number may be anything.
func (d *dice) number() float64 {
	if i := d.roll(256); i <= 4 {
		return []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}[i-1]
	}
	return d.finite()
}

// option is mostly 0, and mostly valid.
func (d *dice) option() float64 {
	switch i := d.roll(16); i {
	case 1:
		return d.number()
	case 2, 3, 4:
		return []float64{0.001, 0.1, 0.9}[i-2]
	}
	return 0
}

func (d *dice) activation() Activation {
	switch i := d.roll(len(everyActivation) + 2); i {
	case len(everyActivation) + 1:
		return LeakyReLU{Slope: d.option()}
	case len(everyActivation) + 2:
		return ELU{Alpha: d.option()}
	default:
		return everyActivation[i-1]
	}
}

func (d *dice) layers() (layers []Layer) {
	for range d.roll(5) - 1 {
		switch d.roll(9) {
		case 1:
			layers = append(layers, Dropout{Rate: d.option()})
		case 2:
			layers = append(layers, BatchNorm{Activation: d.activation(), Momentum: d.option(), Epsilon: d.option()})
		case 3:
			layers = append([]Layer{Standardize{}}, layers...)
		case 4:
			layers = append(layers, nil)
		default:
			layers = append(layers, Dense{Units: d.roll(6) - d.roll(16)/16, Activation: d.activation(), Init: Initializer(d.roll(8) - 1), NoBias: d.roll(4) == 1})
		}
	}
	return append(layers, Dense{Units: d.roll(3), Activation: d.activation()})
}

func (d *dice) matrix(rows, cols int) *mat.Dense {
	m := mat.NewDense(rows, cols, nil)
	m.Apply(func(i, j int, _ float64) float64 { return d.number() }, m)
	return m
}

// targets suit every loss, mostly.
func (d *dice) targets(cols int) *mat.Dense {
	if d.roll(4) == 1 {
		return d.matrix(1, cols)
	}
	return classes(d.roll(9), cols)
}

func (d *dice) config(x, y *mat.Dense) TrainConfig {
	c := TrainConfig{
		LearningRate: math.Abs(d.finite()), Epochs: d.roll(4), BatchSize: d.roll(5) - 1, KeepOrder: d.roll(2) == 1, Seed: uint64(d.roll(256)),
		L2: d.option(), WeightDecay: d.option(), ClipNorm: d.option(), ClipValue: d.option(), TargetLoss: d.option(),
		Loss:      []Loss{nil, MSE, MAE, Huber{}, BinaryCrossEntropy, CrossEntropy, Huber{Delta: d.option()}}[d.roll(7)-1],
		Optimizer: append(slices.Clone(optimizers), nil, &Momentum{}, &Adam{Epsilon: d.option()}, &RMSProp{Alpha: d.option()})[d.roll(8)-1],
		Schedule: []Schedule{nil, nil, StepDecay{Every: d.roll(3) - 1}, ExponentialDecay{Factor: d.option()}, CosineDecay{Epochs: 2, Min: d.option()},
			Warmup{Epochs: 2, Start: d.option()}, ReduceOnPlateau{Factor: d.option()}}[d.roll(7)-1],
	}
	c.Optimizer = fresh(c.Optimizer)
	if d.roll(3) == 1 {
		c.Validation, c.Patience = Data{X: x, Y: y}, d.roll(3)-1
	}
	return c
}

// ─── The README ────────────────────────────────────────────────────────────────

// Its program is examples/xor, whose output that example's own test compares.
func TestREADMEShowsTheXORExampleAndItsOutput(t *testing.T) {
	readme := read(t, "README.md")
	blocks := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```").FindAllStringSubmatch(readme, -1)
	programs := 0
	for i, b := range blocks {
		if b[1] != "go" {
			continue
		}
		programs++
		if b[2] != read(t, "examples/xor/main.go") {
			t.Errorf("block %d is not examples/xor/main.go", i)
		}
		_, output, _ := strings.Cut(read(t, "examples/xor/main_test.go"), "// Output:\n")
		output = strings.TrimSuffix(strings.ReplaceAll(output, "\t// ", ""), "}\n")
		if shown := blocks[i+1][2]; shown != output {
			t.Errorf("block %d is\n%s\nwant what the example prints:\n%s", i+1, shown, output)
		}
	}
	if programs != 1 {
		t.Errorf("%d programs, want 1", programs)
	}
}

// Every piece of code in its tables stands in a file that a test compiles.
func TestREADMEShowsCodeThatIsCompiled(t *testing.T) {
	if gap := regexp.MustCompile(`@[A-Z]+@`).FindString(read(t, "README.md")); gap != "" {
		t.Errorf("%s is still to be written", gap)
	}
	var sources strings.Builder
	noError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
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
	if pieces < 20 {
		t.Errorf("only %d pieces of code were found", pieces)
	}
}

var spaces = regexp.MustCompile(`\s+`)

// ─── Examples ──────────────────────────────────────────────────────────────────

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
	// layer  type            output  parameters
	//        input           64      0
	// 0      Standardize     64      0
	// 1      Dense           128     8192
	// 2      BatchNorm ReLU  128     256
	// 3      Dropout         128     0
	// 4      Dense Softmax   10      1290
	//                        total   9738
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

// A training loop of one's own: the gradient, whatever is to be done to it, a
// step of an optimizer.
func ExampleOptimizer() {
	x := mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1})
	y := mat.NewDense(4, 1, []float64{0, 1, 1, 0})
	net, err := backprop.New(2,
		backprop.Dense{Units: 8, Activation: backprop.Tanh},
		backprop.Dense{Units: 1, Activation: backprop.Sigmoid},
	)
	if err != nil {
		log.Fatal(err)
	}
	var loss float64
	grad := make([]float64, len(net.Params()))
	optimizer := &backprop.Momentum{Mu: 0.9}
	for range 500 {
		if loss, _, err = net.Gradient(grad, x, y, nil); err != nil {
			log.Fatal(err)
		}
		optimizer.Step(net.Params(), grad, 0.1)
	}
	fmt.Println("loss below 0.05:", loss < 0.05)
	// Output:
	// loss below 0.05: true
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

// ─── Benchmarks ────────────────────────────────────────────────────────────────

// The trainings that examples/benchmark compares with NumPy and PyTorch. ns/epoch
// leaves out what Train does once, and GFLOPS counts the products.
func BenchmarkTraining(b *testing.B) {
	hundred := slices.Repeat([]Layer{Dense{Units: 64, Activation: Tanh, Init: Orthogonal}}, 100)
	for _, c := range []struct {
		name      string
		rows      int
		inputs    int
		hidden    []Layer
		batch     int
		optimizer Optimizer
		workers   int // 0 means 1
	}{
		{name: "Digits/Adam", rows: 1797, inputs: 64, hidden: []Layer{Dense{Units: 64, Activation: ReLU}}, batch: 32, optimizer: &Adam{}},
		{name: "MNIST/SGD", rows: 12800, inputs: 784, hidden: []Layer{Dense{Units: 128, Activation: ReLU}}, batch: 64},
		{name: "MNIST/SGD/TwoWorkers", rows: 12800, inputs: 784, hidden: []Layer{Dense{Units: 128, Activation: ReLU}}, batch: 64, workers: 2},
		{name: "MNIST/Adam", rows: 12800, inputs: 784, hidden: []Layer{Dense{Units: 128, Activation: ReLU}}, batch: 64, optimizer: &Adam{}},
		{name: "Wide/SGD", rows: 2048, inputs: 512, hidden: wideLayers, batch: 256},
		{name: "Wide/SGD/TwoWorkers", rows: 2048, inputs: 512, hidden: wideLayers, batch: 256, workers: 2},
		{name: "HundredLayers/SGD", rows: 1024, inputs: 64, hidden: hundred, batch: 32},
	} {
		b.Run(c.name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cmp.Or(c.workers, 1)))
			layers := append(slices.Clip(c.hidden), Dense{Units: 10, Activation: Softmax})
			net, x, y := newNetwork(b, c.inputs, layers...), scaledMatrix(pattern(c.rows, c.inputs), 0.5), classes(c.rows, 10)
			benchmarkTraining(b, net, x, y, TrainConfig{LearningRate: 1e-4, Epochs: 1, BatchSize: c.batch, Optimizer: c.optimizer},
				flops(c.rows, c.inputs, layers))
		})
	}
}

// The tutorial's network, trained with all four samples at a time.
func BenchmarkXOR(b *testing.B) {
	net := newNetwork(b, 2, Dense{Units: 4, Activation: Sigmoid}, Dense{Units: 1, Activation: Sigmoid})
	x, y := xor()
	benchmarkTraining(b, net, x, y, TrainConfig{LearningRate: 1, Epochs: 10000, Loss: MSE}, 0)
}

func benchmarkTraining(b *testing.B, net *Network, x, y *mat.Dense, config TrainConfig, flops float64) {
	nanoseconds, epochs := 0.0, 0.0
	for b.Loop() {
		h, err := net.Train(b.Context(), x, y, config)
		noError(b, err)
		for _, e := range h.Epochs {
			nanoseconds += float64(e.Elapsed.Nanoseconds())
		}
		epochs += float64(len(h.Epochs))
	}
	b.ReportMetric(nanoseconds/epochs, "ns/epoch")
	if flops > 0 {
		b.ReportMetric(flops*epochs/nanoseconds, "GFLOPS")
	}
}

// flops is how many operations the products of an epoch are: those of Z and dW
// in every layer, and of dX in all but the first.
func flops(rows, inputs int, layers []Layer) (sum float64) {
	products := 2
	for _, l := range layers {
		units := l.(Dense).Units
		sum += float64(products) * 2 * float64(rows*inputs*units)
		products, inputs = 3, units
	}
	return sum
}

var wideLayers = []Layer{Dense{Units: 1024, Activation: ReLU}, Dense{Units: 1024, Activation: ReLU}}

func BenchmarkPredictTo(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	net := newNetwork(b, 784, Dense{Units: 128, Activation: ReLU}, Dense{Units: 10, Activation: Softmax})
	for _, rows := range []int{1, 1000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			x := pattern(rows, 784)
			dst := value(net.Predict(x))(b)
			b.ReportAllocs()
			for b.Loop() {
				noError(b, net.PredictTo(dst, x))
			}
		})
	}
}

// How long the garbage collector waits for a wide network's training to stop,
// which it cannot do within a kernel, and for a plain loop to stop, which it can:
// what that takes is the machine's.
func BenchmarkPausesOfTheGarbageCollector(b *testing.B) {
	net, x, y := newNetwork(b, 512, append(slices.Clip(wideLayers), Dense{Units: 10, Activation: Softmax})...), pattern(2048, 512), classes(2048, 10)
	for name, work := range map[string]func(){
		"Training": func() {
			value(net.Train(b.Context(), x, y, TrainConfig{LearningRate: 1e-4, Epochs: 1, BatchSize: 256}))(b)
		},
		"Loop": func() {
			for v, i := 1.0, 0; i < 1e8; i++ {
				v = math.Sqrt(v + float64(i))
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						runtime.GC()
					}
				}
			}()
			before := gcPauses()
			for b.Loop() {
				work()
			}
			close(stop)
			<-stopped
			after := gcPauses()
			for i, n := range before.Counts {
				after.Counts[i] -= n
			}
			b.ReportMetric(1e6*quantile(after, 0.5), "µs/median")
			b.ReportMetric(1e6*quantile(after, 0.99), "µs/99%")
			b.ReportMetric(1e6*quantile(after, 1), "µs/longest")
		})
	}
}

// gcPauses is how often the garbage collector took how many seconds to stop the
// world.
func gcPauses() metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(s)
	h := *s[0].Value.Float64Histogram()
	h.Counts = slices.Clone(h.Counts)
	return h
}

// quantile is the upper bound of the first bucket up to which a share q of all
// lies.
func quantile(h metrics.Float64Histogram, q float64) float64 {
	all, sum := uint64(0), uint64(0)
	for _, n := range h.Counts {
		all += n
	}
	for i, n := range h.Counts {
		if sum += n; sum > 0 && float64(sum) >= q*float64(all) {
			return h.Buckets[i+1]
		}
	}
	return 0
}

// ─── Helpers ───────────────────────────────────────────────────────────────────

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

func bytesOf(t testing.TB, net *Network) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := net.WriteTo(&b)
	noError(t, err)
	if n != int64(b.Len()) {
		t.Errorf("WriteTo returns %d, wrote %d", n, b.Len())
	}
	return b.Bytes()
}

func predict(t testing.TB, net *Network, x mat.Matrix) []float64 {
	t.Helper()
	p, err := net.Predict(x)
	noError(t, err)
	return p.RawMatrix().Data
}

func rowsOf(m mat.Matrix) int {
	r, _ := m.Dims()
	return r
}

// inputsOf is in the network's table.
func inputsOf(t testing.TB, net *Network) (n int) {
	_, err := fmt.Sscanf(strings.Split(net.String(), "\n")[1], " input %d", &n)
	noError(t, err)
	return n
}

// mustHold checks that a file is as it was, and alone in its folder but for others of its kind.
func mustHold(t testing.TB, path string, want []byte) {
	t.Helper()
	if got := value(os.ReadFile(path))(t); !bytes.Equal(got, want) {
		t.Errorf("the file has changed: %d bytes, were %d", len(got), len(want))
	}
	if _, err := os.Lstat(path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a temporary file is left: %v", err)
	}
}

// oldFile is a file with a network in it.
func oldFile(t *testing.T) (path string, content []byte) {
	path = filepath.Join(t.TempDir(), "net")
	net := newNetwork(t, 7, Dense{Units: 1})
	noError(t, net.Save(path))
	return path, bytesOf(t, net)
}

func sameHistory(t testing.TB, got, want *History) {
	t.Helper()
	epochs := func(h *History) (list []Epoch) {
		for _, e := range h.Epochs {
			e.Elapsed = 0
			list = append(list, e)
		}
		return list
	}
	if !slices.Equal(epochs(got), epochs(want)) || got.Best != want.Best || got.Stopped != want.Stopped {
		t.Errorf("the history is\n\t%v, want\n\t%v", got, want)
	}
}

// A rawTensor is a tensor as it stands in a file.
type rawTensor struct {
	name, dtype string
	shape       []int
	data        []float64
}

// cut takes the last row off.
func (r *rawTensor) cut() {
	r.shape, r.data = []int{len(r.data) - 1}, r.data[:len(r.data)-1]
}

// rawFile is a file of a header and F64 elements.
func rawFile(header string, data ...float64) string {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(file, header...)
	for _, v := range data {
		file = binary.LittleEndian.AppendUint64(file, math.Float64bits(v))
	}
	return string(file)
}

// networkFile is a file with a network's description, and tensors.
func networkFile(description string, tensors ...rawTensor) string {
	return encodeRaw(map[string]string{"backprop.version": "1", "backprop.network": description}, tensors...)
}

type rawHeader struct {
	Type    string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

func encodeRaw(metadata map[string]string, tensors ...rawTensor) string {
	header, data := map[string]any{"__metadata__": metadata}, []byte{}
	for _, s := range tensors {
		begin := len(data)
		for _, v := range s.data {
			switch s.dtype {
			case "F64":
				data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
			case "F32":
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
			case "I64":
				data = binary.LittleEndian.AppendUint64(data, uint64(v))
			case "U8":
				data = append(data, byte(v))
			}
		}
		header[s.name] = rawHeader{s.dtype, append([]int{}, s.shape...), [2]int{begin, len(data)}}
	}
	text, _ := json.Marshal(header)
	return rawFile(string(text)) + string(data)
}

// decodeRaw takes a file of F64 tensors apart.
func decodeRaw(t *testing.T, file []byte) (metadata map[string]string, tensors map[string]*rawTensor) {
	n := 8 + binary.LittleEndian.Uint64(file)
	var header map[string]json.RawMessage
	noError(t, json.Unmarshal(file[8:n], &header))
	noError(t, json.Unmarshal(header["__metadata__"], &metadata))
	delete(header, "__metadata__")
	tensors = map[string]*rawTensor{}
	for name, text := range header {
		var h rawHeader
		noError(t, json.Unmarshal(text, &h))
		s := &rawTensor{name: name, dtype: h.Type, shape: h.Shape}
		for b := file[n:][h.Offsets[0]:h.Offsets[1]]; len(b) > 0; b = b[8:] {
			s.data = append(s.data, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
		tensors[name] = s
	}
	return metadata, tensors
}

// edit replaces text in a checkpoint's JSON.
func edit(metadata map[string]string, old, to string) {
	metadata["backprop.checkpoint"] = strings.Replace(metadata["backprop.checkpoint"], old, to, 1)
}

// limited fails after so many bytes.
type limited struct {
	bytes.Buffer
	left int
	err  error
}

func (w *limited) Write(p []byte) (int, error) {
	n, _ := w.Buffer.Write(p[:min(len(p), w.left)])
	if w.left -= n; n < len(p) {
		return n, w.err
	}
	return n, nil
}

// countdown is a context that is cancelled when it has been asked so often.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// heavyBall is momentum as a user writes it, with a state to be saved.
type heavyBall struct {
	Mu float64
	v  []float64
}

func (o *heavyBall) Step(params, grad []float64, eta float64) {
	if o.v == nil {
		o.v = make([]float64, len(params))
	}
	for i, g := range grad {
		o.v[i] = o.Mu*o.v[i] - eta*g
		params[i] += o.v[i]
	}
}

func (o *heavyBall) State() []float64 { return slices.Clone(o.v) }

func (o *heavyBall) SetState(state []float64) error {
	o.v = nil
	if len(state) > 0 {
		o.v = slices.Clone(state)
	}
	return nil
}

// panicking is a matrix that panics when it is read.
type panicking struct{ mat.Matrix }

func (panicking) At(i, j int) float64 { panic("mine") }

// wideLoss has fields of many kinds, and leads to itself.
type wideLoss struct {
	squared
	Weights []float64
	Inner   *struct{ Kind kind }
	Any     any
	Kind    kind
	Text    string
	Self    *wideLoss
	F       func()
	Map     map[string]int
	hidden  int
}

type kind int

func wide() *wideLoss {
	l := &wideLoss{Weights: []float64{1, 2}, Inner: &struct{ Kind kind }{3}, Any: Huber{}, Text: "t", Map: map[string]int{"a": 1}}
	l.Self = l
	return l
}

// large is one of two networks that take a while to be written.
func large(t testing.TB, i int) *Network { return newNetwork(t, 100+i, Dense{Units: 200}) }

// kills is how many processes a test kills.
func kills() int {
	if testing.Short() {
		return 6
	}
	return 30
}

// child makes the command of this test binary do a job of TestChild.
func child(t *testing.T, c *exec.Cmd, job, path string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no processes")
	}
	if c.Path != os.Args[0] {
		c.Args = append(c.Args, os.Args[0])
	}
	c.Args = append(c.Args, "-test.run=^TestChild$")
	c.Env = append(os.Environ(), "BACKPROP_CHILD="+job, "BACKPROP_PATH="+path)
	return c
}

// kill starts a command and kills it after it has written so many lines and
// some more time has gone. It tells whether the command was still at work.
func kill(t *testing.T, c *exec.Cmd, lines, spin int) bool {
	t.Helper()
	out := value(c.StdoutPipe())(t)
	noError(t, c.Start())
	scanner := bufio.NewScanner(out)
	for range lines {
		if !scanner.Scan() || scanner.Text() == "PASS" {
			break
		}
	}
	for range spin {
		runtime.Gosched()
	}
	c.Process.Kill()
	err := c.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.Exited()) {
		t.Fatal(err)
	}
	return err != nil
}

const childEpochs = 120

// TestChild is what the processes do that other tests start.
func TestChild(t *testing.T) {
	path := os.Getenv("BACKPROP_PATH")
	var i int
	switch job := os.Getenv("BACKPROP_CHILD"); {
	case job == "save once":
		signal.Ignore(syscall.Signal(25)) // SIGXFSZ, so that writing fails instead
		noError(t, large(t, 0).Save(path))
	case job == "save":
		for i := 0; ; i++ {
			noError(t, large(t, i%2).Save(path))
			fmt.Println("saved")
		}
	case strings.HasPrefix(job, "train "):
		fmt.Sscanf(job, "train %d", &i)
		net, x, y, c := training(t, i)
		c.Epochs, c.Checkpoint = childEpochs, path
		c.OnEpoch = func(e Epoch) error { fmt.Println(e.N); return nil }
		_, err := net.Train(t.Context(), x, y, c)
		noError(t, err)
		noError(t, net.Save(path+".done"))
	default:
		t.Skip("only for other tests' processes")
	}
}

func readOracle(t *testing.T) *oracle {
	t.Helper()
	data, err := os.ReadFile("internal/testdata/pytorch.json")
	noError(t, err)
	o := new(oracle)
	noError(t, json.Unmarshal(data, o))
	return o
}

func (r oracleRun) network(t *testing.T, inputs int) *Network {
	t.Helper()
	var layers []Layer
	for _, l := range r.Layers {
		switch l.Type {
		case "Dense":
			layers = append(layers, Dense{Units: l.Units, Activation: activationByName(t, l.Activation), NoBias: l.NoBias})
		case "BatchNorm":
			layers = append(layers, BatchNorm{Activation: activationByName(t, l.Activation), Momentum: l.Momentum, Epsilon: l.Epsilon})
		case "Standardize":
			layers = append(layers, Standardize{})
		default:
			t.Fatalf("unknown layer %q", l.Type)
		}
	}
	net, err := New(inputs, layers...)
	noError(t, err)
	return net
}

func (o oracleOptimizer) make(t *testing.T) Optimizer {
	switch o.Type {
	case "GradientDescent":
		return nil
	case "Momentum":
		return &Momentum{Mu: o.Momentum, Nesterov: o.Nesterov}
	case "RMSProp":
		return &RMSProp{Alpha: o.Alpha, Epsilon: o.Epsilon, Momentum: o.Momentum, Centered: o.Centered}
	case "Adam":
		return &Adam{Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon}
	case "AdaGrad":
		return &AdaGrad{Epsilon: o.Epsilon}
	}
	t.Fatalf("unknown optimizer %q", o.Type)
	return nil
}

func activationByName(t *testing.T, name string) Activation {
	for _, f := range []Activation{Identity, Sigmoid, Tanh, ReLU, GELU, SiLU, SELU, Softplus, Softmax, LeakyReLU{}, ELU{}} {
		if f.String() == name {
			return f
		}
	}
	t.Fatalf("unknown activation %q", name)
	return nil
}

func lossByName(t *testing.T, name string) Loss {
	l, found := map[string]Loss{
		"MSE": MSE, "MAE": MAE, "Huber(1)": Huber{}, "Huber(0.5)": Huber{Delta: 0.5},
		"BinaryCrossEntropy": BinaryCrossEntropy, "CrossEntropy": CrossEntropy,
	}[name]
	if !found {
		t.Fatalf("unknown loss %q", name)
	}
	return l
}

// near fails unless every element is within 1e-12 of what is wanted, relative
// to the larger of it and floor times the largest.
func near(t *testing.T, what string, got, want []float64, floor float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	for i, w := range want {
		if bound := 1e-12 * max(math.Abs(w), floor*largest); !(math.Abs(got[i]-w) <= bound) {
			t.Fatalf("%s[%d] is %v, want %v", what, i, got[i], w)
		}
	}
}

func rows(data [][]float64) *mat.Dense {
	m := mat.NewDense(len(data), len(data[0]), nil)
	for i, r := range data {
		m.SetRow(i, r)
	}
	return m
}

func cols(m mat.Matrix) int {
	_, c := m.Dims()
	return c
}

func xor() (x, y *mat.Dense) {
	return mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1}), mat.NewDense(4, 1, []float64{0, 1, 1, 0})
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	noError(t, err)
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
