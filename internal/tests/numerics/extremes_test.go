// Package numerics_test holds what the library computes to its definition: activations and
// cross-entropies to 600 digits, also where formulas overflow, underflow or cancel, and losses and
// metrics to figures worked out by hand.
package numerics_test

import (
	"fmt"
	"math"
	"math/big"
	"sync"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

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
				EqualTo(t, fmt.Sprintf("derivative %d, %d", i, j), []float64{dz[j]}, []float64{want}, FewUlps)
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
			net := NewNetwork(t, k, Dense{Units: k, Activation: c.f})
			SetIdentity(net.Weights(0))
			x, y := mat.NewDense(1, k, c.z), mat.NewDense(1, k, c.y)
			loss, grad, err := net.Gradient(nil, x, y, nil)
			NoError(t, err)
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
			agrees(t, "loss in inference", Value(net.Loss(x, y, nil))(t), want, 4*0x1p-52, 1)
			for i, got := range grad[k*k:] {
				w, _ := dz[i].Float64()
				if !(math.Abs(got-w) <= 0x1p-52) { // a − y has the rounding of a, which is at most 1
					t.Errorf("∂L/∂z%d is %v, want %v", i, got, w)
				}
			}
			NoNaN(t, "gradient", grad)
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
		EqualTo(t, fmt.Sprintf("%T of %v, %v", c.l, c.a, c.y), []float64{c.l.Value(c.a, c.y)}, c.loss, 1e-5)
		da := make([]float64, len(c.a))
		c.l.Gradient(da, c.a, c.y)
		EqualTo(t, "derivative", da, c.da, FewUlps)
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

func bigFloat(v float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(v) }

func add(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Add(a, b) }

func sub(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Sub(a, b) }

func mul(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Mul(a, b) }

func quo(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Quo(a, b) }

func neg(a *big.Float) *big.Float { return new(big.Float).SetPrec(precision).Neg(a) }

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
