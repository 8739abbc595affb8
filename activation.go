package backprop

import (
	"cmp"
	"strconv"
	"strings"

	"example.com/backprop/internal/crew"
	"example.com/backprop/internal/kernel"
	"example.com/backprop/internal/modelfile"
)

// An Activation is a layer's function a = f(z). Both methods work on one sample's row.
//
// Forward stores f(z) in a. Backward stores dz = da ⊙ f′(z), or in general the product of da with
// f's Jacobian, given z and a = f(z). All slices have the same length. In Backward dz and da may be
// the same slice: read da[i], and whatever else is needed of da, before writing dz[i].
//
// String is the name under which the activation is saved; see [RegisterActivation]. It carries the
// activation's parameters, if there are any, as "LeakyReLU(0.01)" does. The methods may be called
// from several goroutines at once.
//
// A whole one, the bent identity f(z) = (√(z²+1) − 1)/2 + z:
//
//	type bent struct{}
//
//	func (bent) String() string { return "Bent" }
//
//	func (bent) Forward(a, z []float64) {
//		for i, v := range z {
//			a[i] = (math.Sqrt(v*v+1)-1)/2 + v
//		}
//	}
//
//	// f′(z) = z/(2·√(z²+1)) + 1
//	func (bent) Backward(dz, da, z, a []float64) {
//		for i, v := range z {
//			dz[i] = da[i] * (v/(2*math.Sqrt(v*v+1)) + 1)
//		}
//	}
type Activation interface {
	Forward(a, z []float64)
	Backward(dz, da, z, a []float64)
	String() string
}

// The activations without a parameter.
var (
	// Identity is f(z) = z, the choice for the output of a regression.
	Identity Activation = identity{}

	// Sigmoid is the logistic function σ(z) = 1/(1+e⁻ᶻ), the choice for the output of a two-class
	// or multi-label classification.
	Sigmoid Activation = sigmoid{}

	// Tanh is the hyperbolic tangent, from −1 to 1: the usual choice for the hidden layers of a
	// small network.
	Tanh Activation = tanh{}

	// ReLU is the rectified linear unit max(0, z), the usual choice for the hidden layers of a
	// larger one. Its derivative at 0 is 0 (Nair and Hinton 2010).
	ReLU Activation = relu{}

	// GELU is the Gaussian error linear unit z·Φ(z), with Φ the normal distribution function itself
	// and not an approximation of it (Hendrycks and Gimpel 2016).
	GELU Activation = gelu{}

	// SiLU is z·σ(z), also known as swish (Elfwing et al. 2018).
	SiLU Activation = silu{}

	// SELU is the self-normalizing λ·ELU(z) with α = 1.6732632423543772 and λ = 1.0507009873554805
	// (Klambauer et al. 2017).
	SELU Activation = selu{}

	// Softplus is log(1+eᶻ), a smooth ReLU (Dugas et al. 2001).
	Softplus Activation = softplus{}

	// Softmax is eᶻ/Σeᶻ over the units of the layer, the choice for the output of a classification
	// with one class a unit. It needs two units or more.
	Softmax Activation = softmax{}
)

// ELU is the exponential linear unit: z for z > 0 and Alpha·(eᶻ−1) otherwise. Alpha is finite and
// above 0; 0 means 1 (Clevert et al. 2015).
type ELU struct{ Alpha float64 }

// LeakyReLU is z for z > 0 and Slope·z otherwise. Slope is finite; 0 means 0.01 (Maas et al. 2013).
type LeakyReLU struct{ Slope float64 }

// elementwise is f if that treats each element by itself, so that it can take any part of a batch in
// one call, and else nil. A user's own is called row by row, even if it embeds one of the package's.
func elementwise(f Activation) crew.Function {
	if isOurs(f) && f != Softmax {
		return f
	}
	return nil
}

type identity struct{}

func (identity) String() string { return "Identity" }

func (identity) Forward(a, z []float64) { copy(a, z) }

func (identity) Backward(dz, da, z, a []float64) { copy(dz, da) }

type sigmoid struct{}

func (sigmoid) String() string { return "Sigmoid" }

func (sigmoid) Forward(a, z []float64) { kernel.Sigmoid(a, z) }

// f′(z) = σ(z)·σ(−z) = a·(1−a)
func (sigmoid) Backward(dz, da, z, a []float64) { kernel.SigmoidBackward(dz, da, z, a) }

type tanh struct{}

func (tanh) String() string { return "Tanh" }

func (tanh) Forward(a, z []float64) { kernel.Tanh(a, z) }

// f′(z) = 1 − tanh²z = 1 − a²
func (tanh) Backward(dz, da, z, a []float64) { kernel.TanhBackward(dz, da, z, a) }

type relu struct{}

func (relu) String() string { return "ReLU" }

func (relu) Forward(a, z []float64) { kernel.ReLU(a, z) }

// f′(z) = 1 for z > 0, else 0
func (relu) Backward(dz, da, z, a []float64) { kernel.ReLUBackward(dz, da, z) }

type gelu struct{}

func (gelu) String() string { return "GELU" }

func (gelu) Forward(a, z []float64) { kernel.GELU(a, z) }

// f′(z) = Φ(z) + z·φ(z), with φ(z) = e^(−z²/2)/√(2π)
func (gelu) Backward(dz, da, z, a []float64) { kernel.GELUBackward(dz, da, z, a) }

type silu struct{}

func (silu) String() string { return "SiLU" }

func (silu) Forward(a, z []float64) { kernel.MulSigmoid(a, z, z) }

// f′(z) = σ(z)·(1 + z·σ(−z))
func (silu) Backward(dz, da, z, a []float64) { kernel.SiLUBackward(dz, da, z) }

const (
	seluAlpha  = 1.6732632423543772848170429916717
	seluLambda = 1.0507009873554804934193349852946
)

type selu struct{}

func (selu) String() string { return "SELU" }

func (selu) Forward(a, z []float64) { kernel.ELU(a, z, seluLambda, seluLambda*seluAlpha) }

// f′(z) = λ for z > 0, else λ·α·eᶻ
func (selu) Backward(dz, da, z, a []float64) {
	kernel.ELUBackward(dz, da, z, seluLambda, seluLambda*seluAlpha)
}

// String is the saved name, as "ELU(1)".
func (e ELU) String() string { return parametric("ELU", e.alpha()) }

func (e ELU) alpha() float64 { return cmp.Or(e.Alpha, 1) }

func (e ELU) check() error { return checkPositive("ELU Alpha", e.Alpha) }

// Forward stores f(z) in a.
func (e ELU) Forward(a, z []float64) { kernel.ELU(a, z, 1, e.alpha()) }

// Backward stores da·f′(z) in dz: f′(z) = 1 for z > 0, else α·eᶻ.
func (e ELU) Backward(dz, da, z, a []float64) { kernel.ELUBackward(dz, da, z, 1, e.alpha()) }

type softplus struct{}

func (softplus) String() string { return "Softplus" }

func (softplus) Forward(a, z []float64) { kernel.Softplus(a, z) }

// f′(z) = σ(z)
func (softplus) Backward(dz, da, z, a []float64) { kernel.MulSigmoid(dz, da, z) }

// String is the saved name, as "LeakyReLU(0.01)".
func (l LeakyReLU) String() string { return parametric("LeakyReLU", l.slope()) }

func (l LeakyReLU) slope() float64 { return cmp.Or(l.Slope, 0.01) }

func (l LeakyReLU) check() error {
	return check(isFinite(l.Slope), "LeakyReLU Slope", l.Slope, "a finite number")
}

// Forward stores f(z) in a.
func (l LeakyReLU) Forward(a, z []float64) { kernel.LeakyReLU(a, z, z, l.slope()) }

// Backward stores da·f′(z) in dz: f′(z) = 1 for z > 0, else Slope.
func (l LeakyReLU) Backward(dz, da, z, a []float64) { kernel.LeakyReLU(dz, da, z, l.slope()) }

type softmax struct{}

func (softmax) String() string { return "Softmax" }

func (f softmax) Forward(a, z []float64) { kernel.Softmax(a, z, len(z)) }

// dzᵢ = Σⱼ daⱼ·∂aⱼ/∂zᵢ = aᵢ·(daᵢ − Σⱼ daⱼ·aⱼ)
func (softmax) Backward(dz, da, z, a []float64) { kernel.SoftmaxBackward(dz, da, a) }

// parametric is the saved name of an activation with a parameter, as "LeakyReLU(0.01)".
func parametric(name string, v float64) string {
	return name + "(" + strconv.FormatFloat(v, 'g', -1, 64) + ")"
}

var activations = modelfile.NewNames(parametricOf,
	Identity, Sigmoid, Tanh, ReLU, GELU, SiLU, SELU, Softplus, Softmax)

// parametricOf is the activation with a parameter of a saved name.
func parametricOf(name string) (f Activation, ok bool) {
	base, rest, _ := strings.Cut(name, "(")
	v, err := strconv.ParseFloat(strings.TrimSuffix(rest, ")"), 64)
	switch base {
	case "LeakyReLU":
		f = LeakyReLU{v}
	case "ELU":
		f = ELU{v}
	}
	// 0 would mean the default, and 0x_1p-2 is for programs.
	return f, f != nil && err == nil && v != 0 && strings.HasSuffix(rest, ")") && !strings.ContainsAny(rest, "_xX") &&
		checkFields(f) == nil
}

// RegisterActivation makes f known to [Load] and [Read] under the name f.String(), so that networks
// with it can be loaded afterwards; the package's own activations are known already. A nil f, a
// name that is not 1 to 200 bytes of UTF-8, and one that is taken are errors.
func RegisterActivation(f Activation) error {
	const where = door("RegisterActivation")
	if isNil(f) {
		return where.errorf("the activation is nil")
	}
	return where.wrap(activations.Register(f))
}

// nameInFile is an activation's name in a file, "" for Identity.
func nameInFile(f Activation) (string, error) {
	if f == nil || f == Identity {
		return "", nil
	}
	return activations.NameOf(f)
}
