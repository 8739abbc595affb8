package main

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// A stand is a layer and the number of inputs that it gets.
type stand struct {
	backprop.Layer
	inputs int
}

// stands are the layers, the residual block over layers that use the batch up, end with an
// activation, have statistics, and do nothing.
func stands() map[string]stand {
	tanh := backprop.Dense{Units: 5, Activation: backprop.Tanh}
	return map[string]stand{
		"LayerNorm":                 {LayerNorm{}, 5},
		"Residual":                  {Residual{backprop.Sequential{LayerNorm{}, tanh}}, 5},
		"Residual of a BatchNorm":   {Residual{backprop.Sequential{tanh, backprop.BatchNorm{}}}, 5},
		"Residual of nothing":       {Residual{backprop.Sequential{backprop.Dropout{}}}, 5},
		"Residual of a Residual":    {Residual{backprop.Sequential{Residual{backprop.Sequential{tanh}}, LayerNorm{}}}, 5},
		"Conv":                      {Conv{Height: 4, Width: 5, Kernel: 2, Filters: backprop.Dense{Units: 3, Activation: backprop.Tanh}}, 40},
		"Conv of all of the image":  {Conv{Height: 4, Width: 4, Kernel: 4, Filters: backprop.Dense{Units: 2}}, 16},
		"Conv of a pixel, unbiased": {Conv{Height: 3, Width: 2, Kernel: 1, Filters: backprop.Dense{Units: 3, NoBias: true}}, 18},
		"MaxPool":                   {MaxPool{Height: 5, Width: 7, Size: 2}, 70},
		"MaxPool of three":          {MaxPool{Height: 3, Width: 6, Size: 3}, 18},
	}
}

// random is a matrix of numbers that are the same at every call.
func random(rows, cols int) *mat.Dense {
	rng, m := rand.New(rand.NewPCG(uint64(rows), uint64(cols))), mat.NewDense(rows, cols, nil)
	m.Apply(func(int, int, float64) float64 { return rng.NormFloat64() }, m)
	return m
}

// place is where the layer works with parameters of which none is 0 or 1, and with gradients that
// are not what they should be. Statistics are constants.
func (s stand) place(t *testing.T, rows int) (at backprop.Place, outputs int) {
	t.Helper()
	shape, err := s.Shape(s.inputs)
	if err != nil {
		t.Fatal(err)
	}
	at = backprop.Place{Inputs: s.inputs, Rows: rows, NeedDX: true}
	matrices := func(tensors []backprop.Tensor) (list []*mat.Dense) {
		for _, p := range tensors {
			if len(p.Shape) == 1 {
				list = append(list, mat.NewDense(1, p.Shape[0], nil))
			} else {
				list = append(list, mat.NewDense(p.Shape[0], p.Shape[1], nil))
			}
		}
		return list
	}
	at.Params, at.Grads, at.Statistics = matrices(shape.Params), matrices(shape.Params), matrices(shape.Statistics)
	at.Rand = rand.New(rand.NewPCG(0, 0))
	s.Reset(at)
	at.Rand = nil
	for i, p := range at.Params {
		p.Add(p, random(p.Dims()))
		at.Grads[i].Apply(func(int, int, float64) float64 { return math.NaN() }, p)
	}
	return at, shape.Outputs
}

// What a stage computes backward are the derivatives of Σ da ⊙ a by its inputs and parameters, for
// the whole batch and for shorter ones, whatever it computed before, and without changing anything.
func TestStagesGoBackwardAsCentralDifferencesSay(t *testing.T) {
	for name, s := range stands() {
		t.Run(name, func(t *testing.T) {
			const rows = 4
			at, outputs := s.place(t, rows)
			stage := s.Stage(at)
			for _, n := range []int{rows, 1, 3, rows} {
				x, da := random(n, s.inputs), random(n, outputs)
				x0 := mat.DenseCopyOf(x)
				sum := func() float64 {
					a := stage.Forward(x)
					if r, c := a.Dims(); r != n || c != outputs || a.RawMatrix().Stride != c {
						t.Fatalf("Forward of %d samples: %d×%d with stride %d, want %d outputs", n, r, c, a.RawMatrix().Stride, outputs)
					}
					return floats.Dot(a.RawMatrix().Data, da.RawMatrix().Data)
				}
				sum()
				dx := mat.DenseCopyOf(stage.Backward(mat.DenseCopyOf(da)))
				if !mat.Equal(x, x0) {
					t.Fatal("x has changed")
				}
				compare(t, "dx", dx, x, sum)
				for i, p := range at.Params {
					compare(t, "a gradient", at.Grads[i], p, sum)
				}
			}
		})
	}
}

// compare compares the derivatives of f by the elements of x with central differences.
func compare(t *testing.T, what string, got, x *mat.Dense, f func() float64) {
	t.Helper()
	of, derivatives := x.RawMatrix().Data, got.RawMatrix().Data
	if len(derivatives) != len(of) {
		t.Fatalf("%s has %d elements, want %d", what, len(derivatives), len(of))
	}
	for i, v := range of {
		central := func(h float64) float64 {
			of[i] = v + h
			up := f()
			of[i] = v - h
			return (up - f()) / (2 * h)
		}
		want := (4*central(5e-5) - central(1e-4)) / 3
		of[i] = v
		if !(math.Abs(derivatives[i]-want) <= 1e-9*max(1, math.Abs(want))) {
			t.Fatalf("%s: [%d] is %v, central differences give %v", what, i, derivatives[i], want)
		}
	}
}

// Whoever asks for less gets the same bits of what is left.
func TestStagesComputeWhatTheyAreAskedFor(t *testing.T) {
	for name, s := range stands() {
		t.Run(name, func(t *testing.T) {
			at, outputs := s.place(t, 3)
			x, da := random(3, s.inputs), random(3, outputs)
			stage := s.Stage(at)
			a := mat.DenseCopyOf(stage.Forward(x))
			dx := mat.DenseCopyOf(stage.Backward(mat.DenseCopyOf(da)))
			var grads []*mat.Dense
			for _, g := range at.Grads {
				grads = append(grads, mat.DenseCopyOf(g))
				g.Zero()
			}

			inference := at
			inference.Grads, inference.NeedDX = nil, false
			if stage := s.Stage(inference); !mat.Equal(stage.Forward(x), a) || stage.Backward(mat.DenseCopyOf(da)) != nil {
				t.Error("another a, or dx though nobody needs it")
			}
			frozen := at
			frozen.Grads = nil
			if stage := s.Stage(frozen); !mat.Equal(stage.Forward(x), a) || !mat.Equal(stage.Backward(mat.DenseCopyOf(da)), dx) {
				t.Error("another a or dx without gradients")
			}
			first := at
			first.NeedDX = false
			if stage := s.Stage(first); !mat.Equal(stage.Forward(x), a) || stage.Backward(mat.DenseCopyOf(da)) != nil {
				t.Error("another a, or dx though nobody needs it, with gradients")
			}
			for i, g := range grads {
				if !mat.Equal(at.Grads[i], g) {
					t.Errorf("another gradient %d without dx", i)
				}
			}
		})
	}
}

func TestStagesAllocateNothingOnceMade(t *testing.T) {
	for name, s := range stands() {
		at, outputs := s.place(t, 4)
		stage := s.Stage(at)
		x, da := random(4, s.inputs), random(4, outputs)
		short, shortDA := random(2, s.inputs), random(2, outputs)
		n := testing.AllocsPerRun(20, func() {
			stage.Forward(x)
			stage.Backward(da)
			stage.Forward(short)
			stage.Backward(shortDA)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// networks have each of the layers between others, so that its dx is in the gradient as well.
func networks(t *testing.T) map[string]*backprop.Network {
	tanh := backprop.Dense{Units: 5, Activation: backprop.Tanh}
	softmax := backprop.Dense{Units: 3, Activation: backprop.Softmax}
	all := map[string]*backprop.Network{}
	for name, layers := range map[string][]backprop.Layer{
		"residual": {tanh, Residual{backprop.Sequential{LayerNorm{}, tanh}}, Residual{backprop.Sequential{tanh, backprop.Dense{Units: 5}}}, softmax},
		"norm":     {backprop.Standardize{}, tanh, LayerNorm{}, backprop.Dropout{Rate: 0.1}, tanh, LayerNorm{}, softmax},
		"conv": {LayerNorm{},
			Conv{Height: 8, Width: 7, Kernel: 3, Filters: backprop.Dense{Units: 4, Activation: backprop.Tanh}},
			MaxPool{Height: 6, Width: 5, Size: 2},
			Conv{Height: 3, Width: 2, Kernel: 2, Filters: tanh},
			softmax},
	} {
		net, err := backprop.New(56, layers...)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = net
	}
	return all
}

// batch is some samples for the networks.
func batch(n int) (x, y *mat.Dense) {
	y = mat.NewDense(n, 3, nil)
	for i := range n {
		y.Set(i, i*i%3, 1)
	}
	return random(n, 56), y
}

func TestNetworksPassTheLibrarysCheck(t *testing.T) {
	x, y := batch(3)
	for name, net := range networks(t) {
		c, err := net.CheckGradient(x, y, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1e", name, c.MaxRelative)
		if c.MaxRelative > 1e-8 {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// Ten times the epochs allocate as often, but for the history's growth.
func TestTrainingStepsAllocateNothing(t *testing.T) {
	x, y := batch(20)
	for name, net := range networks(t) {
		allocations := func(epochs int) float64 {
			return testing.AllocsPerRun(3, func() {
				config := backprop.TrainConfig{LearningRate: 1e-3, Epochs: epochs, BatchSize: 8, Optimizer: &backprop.Adam{}}
				if _, err := net.Train(context.Background(), x, y, config); err != nil {
					t.Fatal(err)
				}
			})
		}
		if few, many := allocations(3), allocations(30); many > few+16 {
			t.Errorf("%s: 3 epochs allocate %v times, 30 epochs %v times", name, few, many)
		}
	}
}

func TestNetworksComeBackFromFiles(t *testing.T) {
	for name, l := range map[string]backprop.Layer{
		"example.Residual": Residual{}, "example.LayerNorm": LayerNorm{}, "example.Conv": Conv{}, "example.MaxPool": MaxPool{},
	} {
		if err := backprop.RegisterLayer(name, l); err != nil {
			t.Fatal(err)
		}
	}
	x, y := batch(20)
	for name, net := range networks(t) {
		config := backprop.TrainConfig{LearningRate: 0.01, Epochs: 2, BatchSize: 8, Optimizer: &backprop.Adam{}}
		if _, err := net.Train(t.Context(), x, y, config); err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if _, err := net.WriteTo(&file); err != nil {
			t.Fatal(err)
		}
		loaded, err := backprop.Read(&file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := net.Predict(x)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := loaded.Predict(x); err != nil || !mat.Equal(p, want) || loaded.String() != net.String() {
			t.Errorf("%s: it comes back as another network: %v", name, err)
		}
	}
}

// pattern is the numbers from −5/4 to 5/4 of the program below, plus another.
func pattern(rows, cols int, plus float64) *mat.Dense {
	m := mat.NewDense(rows, cols, nil)
	for i := range m.RawMatrix().Data {
		m.RawMatrix().Data[i] = float64((i*i+3*i)%11-5)/4 + plus
	}
	return m
}

// What is compared here was printed by this program with PyTorch 1.13:
//
//	import torch
//	from torch import nn
//
//	torch.set_default_dtype(torch.float64)
//
//	def pattern(*shape):  # -5/4 to 5/4, exactly
//	    i = torch.arange(torch.Size(shape).numel())
//	    return ((i * i + 3 * i) % 11 - 5).reshape(shape) / 4
//
//	def show(name, t):
//	    print(name, ", ".join("%.17g" % v for v in t.flatten().tolist()))
//
//	norm = nn.LayerNorm(4)
//	norm.weight.data, norm.bias.data = pattern(4) + 2, pattern(4) / 2
//	x = pattern(2, 4).requires_grad_()
//	a = norm(x)
//	a.backward(pattern(2, 4) + 1)
//	for name, t in ("a", a), ("dx", x.grad), ("dw", norm.weight.grad), ("db", norm.bias.grad):
//	    show(name, t)
//
//	conv = nn.Conv2d(2, 3, 2)
//	conv.weight.data, conv.bias.data = pattern(3, 2, 2, 2).permute(0, 3, 1, 2), pattern(3)
//	x = pattern(2, 4, 5, 2).requires_grad_()  # channels last
//	a = nn.MaxPool2d(2)(torch.relu(conv(x.permute(0, 3, 1, 2)))).permute(0, 2, 3, 1)
//	a.backward(pattern(2, 1, 2, 3) + 1)
//	for name, t in ("a", a), ("dx", x.grad), ("dw", conv.weight.grad.permute(0, 2, 3, 1)), ("db", conv.bias.grad):
//	    show(name, t)
func TestLayersAgreeWithPyTorch(t *testing.T) {
	beta := pattern(1, 4, 0)
	beta.Scale(0.5, beta)
	agree(t, LayerNorm{}, pattern(2, 4, 0), pattern(1, 4, 2), beta, 1e-14, [4][]float64{
		{-1.6892801505471737, -0.71626675030398534, 4.79765392357384, 1.4325335006079709, -0.8848031871987726, 0.077069145599045485, 5.5035265151769535, -2.9253722879849993},
		{0.71641331534429753, -0.87198554858328281, 0.79981672903838952, -0.64424449579940335, -2.7851369879422894, -1.4964507512077807, 1.6767994597990152, 2.6047882793510557},
		{-0.078245261815563141, -0.080197911045383319, 6.2662018422120882, -0.24309158603071718},
		{1, 2.25, 4.5, 2.25},
	})
	conv := Conv{Height: 4, Width: 5, Kernel: 2, Filters: backprop.Dense{Units: 3, Activation: backprop.ReLU}}
	pool := MaxPool{Height: 3, Width: 4, Size: 2}
	agree(t, backprop.Sequential{conv, pool}, pattern(2, 40, 0), pattern(3, 8, 0), pattern(1, 3, 0), 0, [4][]float64{
		{1.1875, 2.25, 2.3125, 0.3125, 2.8125, 3.9375, 1, 4.125, 3, 1.1875, 2.25, 2.3125},
		{0.3125, 0.0625, -0.3125, -0.125, -1.875, -0.375, 1.875, 0.75, 0, 0, 1.0625, 2.6875, -1.8125, -2, 1.125, -0.1875, 1.0625, 2.75, 0.875, -3.4375, 2.25, 2.25, -3, 0.375, 0.375, 0.1875, 1.1875, 3.0625, -1.25, -0.0625, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, -2.5, -0.5, 2.5, 1, 0, 0, -0.125, -0.3125, -3.6875, 0.5, 3.9375, 0.875, 0.0625, 1.8125, 2, -2.5, -0.25, -0.25, 0.6875, 2.125, 2.9375, -0.625, -0.1875, 2.5625, 1, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{-4.625, 2.5625, 6.3125, -2.3125, 1.9375, -4.625, 2.5625, 6.3125, -1, 5.75, 1.8125, -1.8125, -3.3125, -1, 5.75, 1.8125, 2.4375, -0.5625, -0.5625, 0.375, 2.25, 2.4375, -0.5625, -0.5625},
		{5.5, 4.75, 3.25},
	})
}

// agree compares a, dx, dw and db of a layer with what PyTorch computes.
func agree(t *testing.T, l backprop.Layer, x, w, b *mat.Dense, tolerance float64, want [4][]float64) {
	t.Helper()
	rows, inputs := x.Dims()
	dw, db := mat.DenseCopyOf(w), mat.DenseCopyOf(b)
	stage := l.Stage(backprop.Place{Inputs: inputs, Rows: rows, NeedDX: true,
		Params: []*mat.Dense{w, b}, Grads: []*mat.Dense{dw, db}})
	a := stage.Forward(x)
	rows, outputs := a.Dims()
	dx := stage.Backward(pattern(rows, outputs, 1))
	for i, got := range []*mat.Dense{a, dx, dw, db} {
		if !slices.EqualFunc(got.RawMatrix().Data, want[i], func(a, b float64) bool {
			return math.Abs(a-b) <= tolerance*max(1, math.Abs(b))
		}) {
			t.Errorf("%s is\n%v, PyTorch gives\n%v", [...]string{"a", "dx", "dw", "db"}[i], got.RawMatrix().Data, want[i])
		}
	}
}

// A sum of probabilities and inputs is no probabilities, so the default loss is that of numbers.
func TestAResidualDoesNotEndWithTheActivationOfItsLayers(t *testing.T) {
	net, err := backprop.New(3, Residual{backprop.Sequential{backprop.Dense{Units: 3, Activation: backprop.Softmax}}})
	if err != nil {
		t.Fatal(err)
	}
	x, y := random(4, 3), random(4, 3)
	want, err := net.Loss(x, y, backprop.MSE)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := net.Loss(x, y, nil); err != nil || got != want {
		t.Errorf("the default loss is %v (%v), the mean squared error %v", got, err, want)
	}
}

// So does PyTorch.
func TestMaxPoolGivesTheFirstOfEqualPixelsTheDerivative(t *testing.T) {
	at := backprop.Place{Inputs: 4, Rows: 1, NeedDX: true}
	stage := MaxPool{Height: 2, Width: 2, Size: 2}.Stage(at)
	stage.Forward(mat.NewDense(1, 4, []float64{1, 4, 4, 1}))
	dx := stage.Backward(mat.NewDense(1, 1, []float64{3}))
	if want := mat.NewDense(1, 4, []float64{0, 3, 0, 0}); !mat.Equal(dx, want) {
		t.Errorf("dx is %v, want %v", dx.RawMatrix().Data, want.RawMatrix().Data)
	}
}

func TestMaxPoolDoesNotHideNaN(t *testing.T) {
	l := MaxPool{Height: 2, Width: 2, Size: 2}
	for i := range 4 {
		x := mat.NewDense(1, 4, []float64{1, 4, 2, 3})
		x.Set(0, i, math.NaN())
		if a := l.Stage(backprop.Place{Inputs: 4, Rows: 1}).Forward(x).At(0, 0); !math.IsNaN(a) {
			t.Errorf("a NaN at %d gives %v", i, a)
		}
	}
}

func TestLayersSayWhyTheyCannotStand(t *testing.T) {
	filters := backprop.Dense{Units: 2}
	for want, l := range map[string]backprop.Layer{
		"the layers of a Residual make 3 outputs of 12 inputs, want as many": Residual{backprop.Sequential{backprop.Dense{Units: 3}}},
		"no layers, want at least one":                                       Residual{},
		"12 inputs are no image of 5×2 pixels, want a multiple of these":     Conv{Height: 5, Width: 2, Kernel: 2, Filters: filters},
		"12 inputs are no image of 2×4 pixels, want a multiple of these":     MaxPool{Height: 2, Width: 4, Size: 2},
		"it sees 3×3 pixels of an image of 2×3, want 1×1 or more that fit in it": Conv{Height: 2, Width: 3, Kernel: 3,
			Filters: filters},
		"it sees 0×0 pixels of an image of 2×3, want 1×1 or more that fit in it": MaxPool{Height: 2, Width: 3},
		"it sees 1×1 pixels of an image of 0×3, want 1×1 or more that fit in it": MaxPool{Width: 3, Size: 1},
		"Dense Units is 0, want 1 to 1073741824":                                 Conv{Height: 2, Width: 3, Kernel: 1},
	} {
		_, err := backprop.New(12, l, backprop.Dense{Units: 1})
		if want = "backprop: New: layer 0: " + want; err == nil || err.Error() != want {
			t.Errorf("error %v\n want %s", err, want)
		}
	}
}
