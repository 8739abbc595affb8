package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Numbers of twice float64's precision, as an unevaluated sum, are the reference for exp, σ and
// tanh.
type double struct{ hi, lo float64 }

func (x double) add(y double) double {
	s := x.hi + y.hi
	t := s - x.hi
	e := (x.hi - (s - t)) + (y.hi - t) + x.lo + y.lo
	return double{s + e, e - (s + e - s)}
}

func (x double) mul(y double) double {
	p := float64(x.hi * y.hi) // rounded, on machines that would fuse it with the sums, too
	e := math.FMA(x.hi, y.hi, -p) + x.hi*y.lo + x.lo*y.hi
	return double{p + e, e - (p + e - p)}
}

func (x double) div(y double) double {
	q := double{x.hi / y.hi, 0}
	for range 2 {
		r := x.add(q.mul(y).scale(-1))
		q = q.add(double{r.hi / y.hi, 0})
	}
	return q
}

// scale multiplies by a power of two, or −1, exactly.
func (x double) scale(s float64) double { return double{x.hi * s, x.lo * s} }

// reference is value·2^exponent.
type reference struct {
	value    double
	exponent int
}

func (r reference) plain() double {
	return double{math.Ldexp(r.value.hi, r.exponent), math.Ldexp(r.value.lo, r.exponent)}
}

var ln2 = double{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56}

// exp sums the Taylor series of e^(r/64), squared six times.
func refExp(x double) reference {
	k := math.Round(x.hi / math.Ln2)
	r := x.add(ln2.mul(double{-k, 0})).scale(1. / 64)
	sum, term := double{1, 0}, double{1, 0}
	for i := 1; i <= 14; i++ {
		term = term.mul(r).div(double{float64(i), 0})
		sum = sum.add(term)
	}
	for range 6 {
		sum = sum.mul(sum)
	}
	return reference{sum, int(k)}
}

func refSigmoid(x double) reference {
	one := double{1, 0}
	if x.hi < -100 {
		return refExp(x) // e^x/(1+e^x), which to this precision is e^x
	}
	return reference{one.div(one.add(refExp(x.scale(-1)).plain())), 0}
}

func refTanh(x double) reference {
	switch one := (double{1, 0}); {
	case math.Abs(x.hi) < 0x1p-30: // x − x³/3; scaled, lest parts of it vanish
		y := x.scale(0x1p100)
		cube := x.mul(x).mul(y).div(double{-3, 0})
		return reference{y.add(cube), -100}
	case math.Abs(x.hi) > 40:
		return reference{double{math.Copysign(1, x.hi), 0}, 0}
	default:
		e := refExp(x.scale(2)).plain()
		return reference{e.add(double{-1, 0}).div(e.add(one)), 0}
	}
}

// ulps is the distance of got from the reference, in units of the reference's last place.
func ulps(got float64, want reference) float64 {
	_, e := math.Frexp(want.value.hi)
	unit := max(e-53, -1074-want.exponent)
	// Two steps, since 2^−exponent alone may overflow.
	half := -want.exponent / 2
	scaled := math.Ldexp(math.Ldexp(got, half), -want.exponent-half)
	return math.Abs(math.Ldexp(scaled-want.value.hi-want.value.lo, -unit))
}

// points covers each range of a function's argument that its computation treats differently.
func points() []float64 {
	r := rand.New(rand.NewPCG(3, 4))
	var x []float64
	for _, limit := range []float64{0.4, 2, 4, 25, 45, 700, 746} {
		for range 15000 {
			x = append(x, limit*(2*r.Float64()-1))
		}
	}
	for range 15000 {
		x = append(x, math.Copysign(math.Exp2(-1074*r.Float64()), r.Float64()-0.5))
	}
	for k := -1075; k <= 1024; k++ { // where n jumps
		x = append(x, (float64(k)+0.5)*math.Ln2)
	}
	for k := -16; k <= 16; k++ { // where tanh goes to the next number of its table, and beyond the last
		edge := (float64(k) + 0.5) / 4
		x = append(x, edge, math.Nextafter(edge, 9), math.Nextafter(edge, -9))
	}
	for i := range 2000 { // underflow and overflow
		x = append(x, -745.2+float64(i)*0.02, 709.7+float64(i)*0.00004)
	}
	if testing.Short() {
		for i := range len(x) / 8 {
			x[i] = x[8*i]
		}
		x = x[:len(x)/8]
	}
	return x
}

func TestFunctionsAreWithinTheirBounds(t *testing.T) {
	ones := func(n int) []float64 { return slices.Repeat([]float64{1}, n) }
	functions := []struct {
		name      string
		f         func(dst, src []float64)
		reference func(double) reference
		bound     float64 // in ulp, for the assembly
		goBound   float64
	}{
		{"Exp", Exp, refExp, 1.1, 2.2},
		{"Sigmoid", Sigmoid, refSigmoid, 2.3, 2.3},
		{"Tanh", Tanh, refTanh, 2.5, 3}, // s390x has a tanh of its own in package math
		{"ELU", func(a, z []float64) { ELU(a, z, 1, 1) }, func(x double) reference {
			return reference{refExpm1(min(x.hi, 0)).add(double{max(x.hi, 0), 0}), 0}
		}, 1.2, 1.1},
		{"ELUBackward", func(dz, z []float64) { ELUBackward(dz, ones(len(z)), z, 1, 1) }, func(x double) reference {
			return refExp(double{min(x.hi, 0), 0})
		}, 1.1, 2.2},
		{"SiLU", func(a, z []float64) { MulSigmoid(a, z, z) }, func(x double) reference {
			s := refSigmoid(x)
			return reference{s.value.mul(x), s.exponent}
		}, 3, 3},
		{"Softplus", Softplus, refSoftplus, 2, 3},
		{"GELU", GELU, refGELU, 6, 2500}, // package math has Φ(z) of a z that is rounded
	}
	x := points()
	for i := range 4000 {
		x = append(x, -38.6*float64(i)/4000)
	}
	for _, f := range functions {
		t.Run(f.name, func(t *testing.T) {
			want := make([]reference, len(x))
			for i, v := range x {
				want[i] = f.reference(double{v, 0})
			}
			got := make([]float64, len(x))
			each(t, func(t *testing.T) {
				f.f(got, x)
				var worst, at float64
				for i, g := range got {
					if k := want[i].exponent; k > 1024 || k == 1024 && want[i].value.hi >= 1 {
						if !math.IsInf(g, 1) {
							t.Errorf("%v gives %v, want +Inf", x[i], g)
						}
						continue
					}
					u := ulps(g, want[i])
					if f.name == "SiLU" && x[i] < -708 {
						u /= -x[i] // the rounding of a subnormal σ(x)
					}
					if !(u <= worst) {
						worst, at = u, x[i]
					}
				}
				t.Logf("at most %.3f ulp, at %v", worst, at)
				bound := f.bound
				if active == generic {
					bound = f.goBound
				}
				if !(worst <= bound) {
					t.Errorf("off by %.3f ulp at %v, want at most %v", worst, at, bound)
				}
			})
		})
	}
}

func TestElementwiseSpecialValues(t *testing.T) {
	inf, nan, negZero, tiny := math.Inf(1), math.NaN(), math.Copysign(0, -1), 0x1p-1074
	tests := []struct {
		name    string
		f       func(dst, src []float64)
		x, want []float64
	}{
		{"Exp", Exp,
			[]float64{nan, inf, -inf, 0, negZero, tiny, -tiny, 709.782712893384, 709.782712893385, 1e308, -745.13321910194110, -745.13321910194123, -746, -1e308},
			[]float64{nan, inf, 0, 1, 1, 1, 1, 1.7976931348622732e308, inf, inf, tiny, 0, 0, 0}},
		{"Sigmoid", Sigmoid,
			[]float64{nan, inf, -inf, 0, negZero, tiny, -tiny, 40, 1e308, -1e308, -746},
			[]float64{nan, 1, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 0, 0}},
		{"Tanh", Tanh,
			[]float64{nan, inf, -inf, 0, negZero, tiny, -tiny, 0x1.8p-1022, -0x1.8p-1023, 20, -20, 1e308, -1e308},
			[]float64{nan, 1, -1, 0, negZero, tiny, -tiny, 0x1.8p-1022, -0x1.8p-1023, 1, -1, 1, -1}},
		{"ReLU", ReLU,
			[]float64{nan, inf, -inf, 0, negZero, tiny, -tiny, 3, -3},
			[]float64{nan, inf, 0, 0, 0, tiny, 0, 3, 0}},
	}
	each(t, func(t *testing.T) {
		for _, test := range tests {
			for i, x := range test.x {
				want := test.want[i]
				got := []float64{x}
				test.f(got, got)
				if !same(got[0], want) && !(test.name == "Exp" && math.Abs(got[0]/want-1) < 0x1p-52) {
					t.Errorf("%s(%v) = %v, want %v", test.name, x, got[0], want)
				}
			}
		}
	})
}

// elementwise are the functions that treat each element by itself, each of which works on dst and
// three more slices.
var elementwise = []struct {
	name string
	f    func(dst, x, y, w []float64)
	a    func(a, z []float64) // what the fourth slice is to the third
}{
	{name: "Exp", f: func(dst, x, _, _ []float64) { Exp(dst, x) }},
	{name: "Sigmoid", f: func(dst, x, _, _ []float64) { Sigmoid(dst, x) }},
	{name: "SigmoidBackward", f: SigmoidBackward, a: Sigmoid},
	{name: "Tanh", f: func(dst, x, _, _ []float64) { Tanh(dst, x) }},
	{name: "TanhBackward", f: TanhBackward, a: Tanh},
	{name: "ReLU", f: func(dst, x, _, _ []float64) { ReLU(dst, x) }},
	{name: "ReLUBackward", f: func(dst, x, y, _ []float64) { ReLUBackward(dst, x, y) }},
	{name: "LeakyReLU", f: func(dst, x, y, _ []float64) { LeakyReLU(dst, x, y, 0.1) }},
	{name: "LeakyReLU in place", f: func(dst, _, y, _ []float64) { LeakyReLU(dst, dst, y, 0.1) }},
	{name: "ELU", f: func(dst, x, _, _ []float64) { ELU(dst, x, 1.1, 0.7) }},
	{name: "ELUBackward", f: func(dst, x, y, _ []float64) { ELUBackward(dst, x, y, 1.1, 0.7) }},
	{name: "ELUBackward in place", f: func(dst, _, y, _ []float64) { ELUBackward(dst, dst, y, 1.1, 0.7) }},
	{name: "MulSigmoid", f: func(dst, x, y, _ []float64) { MulSigmoid(dst, x, y) }},
	{name: "MulSigmoid in place", f: func(dst, _, y, _ []float64) { MulSigmoid(dst, dst, y) }},
	{name: "SiLUBackward", f: func(dst, x, y, _ []float64) { SiLUBackward(dst, x, y) }},
	{name: "SiLUBackward in place", f: func(dst, _, y, _ []float64) { SiLUBackward(dst, dst, y) }},
	{name: "Softplus", f: func(dst, x, _, _ []float64) { Softplus(dst, x) }},
	{name: "GELU", f: func(dst, x, _, _ []float64) { GELU(dst, x) }},
	{name: "GELUBackward", f: GELUBackward, a: GELU},
	{name: "GELUBackward in place", f: func(dst, _, y, w []float64) { GELUBackward(dst, dst, y, w) }, a: GELU},
	{name: "Normalize", f: func(dst, x, y, w []float64) { normalizeRow(dst, x, y, w, dst) }},
	{name: "Correlate", f: func(dst, x, y, w []float64) { correlateRow(dst, x, y, w, x) }},
	{name: "Squared", f: func(dst, x, y, _ []float64) { Squared.Gradient(dst, x, y, 0.3) }},
	{name: "Absolute", f: func(dst, x, y, _ []float64) { Absolute.Gradient(dst, x, y, 0.3) }},
	{name: "Huber", f: func(dst, x, y, _ []float64) { Huber(2).Gradient(dst, x, y, 0.3) }},
	{name: "Scale", f: func(dst, _, _, _ []float64) { Scale(0.3, dst) }},
	{name: "Clamp", f: func(dst, _, _, _ []float64) { Clamp(dst, 0.3) }},
	{name: "Axpy", f: func(dst, x, _, _ []float64) { Axpy(0.3, x, dst) }},
	{name: "Momentum", f: func(dst, x, y, _ []float64) { Momentum(dst, x, y, MomentumStep{0.9, 0.1, 0.2}) }},
	{name: "Momentum's velocity", f: func(dst, x, y, _ []float64) { Momentum(y, x, dst, MomentumStep{Mu: 0.9, Eta: 0.1}) }},
	{name: "RMS parameters", f: func(dst, x, y, w []float64) { rmsOf(dst, x, w, y) }, a: Exp},
	{name: "RMS squares", f: func(dst, x, y, w []float64) { Exp(dst, dst); rmsOf(w, x, dst, y) }},
	{name: "RMS means", f: func(dst, x, y, w []float64) { rmsOf(y, x, w, dst) }, a: Exp},
	{name: "Adam parameters", f: adamOf, a: Exp},
	{name: "Adam first moments", f: func(dst, x, y, w []float64) { adamOf(y, x, dst, w) }, a: Exp},
	{name: "Adam second moments", f: func(dst, x, y, w []float64) { Exp(dst, dst); adamOf(y, x, w, dst) }},
}

func rmsOf(params, grad, v, m []float64) {
	b := make([]float64, len(v))
	RMS(params, grad, v, m, b, RMSStep{Decay: 0.9, Mean: 0.3, Mu: 0.5, Eta: 0.01, Epsilon: 1e-8})
}

// TestElementwiseIgnoresPosition compares all lengths and both ends of a slice with one element at
// a time, between guards.
func TestElementwiseIgnoresPosition(t *testing.T) {
	const most = 41
	r := rand.New(rand.NewPCG(5, 6))
	inputs := [4][]float64{}
	for i := range inputs {
		for range most {
			inputs[i] = append(inputs[i], 4*r.NormFloat64())
		}
	}
	z, a := inputs[2], inputs[3]
	special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0x1p-1060, 800, -800, 14, -14, 25}
	for i, v := range special {
		z[3*i] = v
		inputs[1][(5*i+2)%most] = v
	}
	arenas := [4]arena{}
	for i := range arenas {
		arenas[i] = newArena(t, 128)
	}
	for _, f := range elementwise {
		var previous []float64
		each(t, func(t *testing.T) {
			if f.a != nil {
				f.a(a, z)
			}
			single := make([]float64, most)
			for i := range single {
				var in [4][]float64
				for k := range in {
					in[k] = []float64{inputs[k][i]}
				}
				f.f(in[0], in[1], in[2], in[3])
				single[i] = in[0][0]
			}
			for n := 0; n <= most; n++ {
				var in [4][]float64
				for k := range in {
					in[k] = arenas[k].matrix(1, n, n)
					copy(in[k], inputs[k][most-n:])
				}
				f.f(in[0], in[1], in[2], in[3])
				for k := range in {
					if n > 0 {
						arenas[k].check(t, f.name, 1, n, n)
					}
				}
				for i, got := range in[0] {
					if want := single[most-n+i]; !same(got, want) {
						t.Fatalf("%s: element %d of %d is %v, alone %v", f.name, i, n, got, want)
					}
				}
			}
			if active != generic {
				for i, v := range previous {
					if !same(v, single[i]) {
						t.Fatalf("%s: element %d is %v, by the implementation before %v", f.name, i, single[i], v)
					}
				}
				previous = single
			}
		})
	}
}

// TestElementwiseChunksMeet compares slices of several chunks with their halves.
func TestElementwiseChunksMeet(t *testing.T) {
	const n = 2*chunk + 13
	each(t, func(t *testing.T) {
		for _, f := range elementwise {
			r := rand.New(rand.NewPCG(5, 6))
			var whole, parts [4][]float64
			for i := range whole {
				whole[i] = draw(r, make([]float64, n), 1, n, n)
				parts[i] = append([]float64(nil), whole[i]...)
			}
			if f.a != nil {
				f.a(whole[3], whole[2])
				f.a(parts[3], parts[2])
			}
			f.f(whole[0], whole[1], whole[2], whole[3])
			for lo := 0; lo < n; lo += 5000 {
				hi := min(lo+5000, n)
				f.f(parts[0][lo:hi], parts[1][lo:hi], parts[2][lo:hi], parts[3][lo:hi])
			}
			for i := range whole {
				for j, v := range parts[i] {
					if !same(whole[i][j], v) {
						t.Fatalf("%s: element %d of slice %d is %v, of a short one %v", f.name, j, i, whole[i][j], v)
					}
				}
			}
		}
	})
}

func adamOf(params, grad, m, v []float64) {
	Adam(params, grad, m, v, AdamStep{Beta1: 0.9, Beta2: 0.99, Step: 0.01, Epsilon: 1e-8})
}

// TestDerivativesAreAccurateWhereTheFunctionSaturates compares with e/(1+e)², which cancels
// nowhere.
func TestDerivativesAreAccurateWhereTheFunctionSaturates(t *testing.T) {
	z := points()
	da, a, dz := make([]float64, len(z)), make([]float64, len(z)), make([]float64, len(z))
	for i := range da {
		da[i] = 1
	}
	functions := []struct {
		name     string
		f        func(a, z []float64)
		backward func(dz, da, z, a []float64)
		factor   float64
	}{
		{"SigmoidBackward", Sigmoid, SigmoidBackward, 1},
		{"TanhBackward", Tanh, TanhBackward, 2},
	}
	each(t, func(t *testing.T) {
		for _, f := range functions {
			f.f(a, z)
			f.backward(dz, da, z, a)
			for i, got := range dz {
				root := math.Exp(-f.factor / 2 * math.Abs(z[i]))
				e := root * root // math.Exp's smallest numbers are zero on arm64
				want := f.factor * f.factor * e / ((1 + e) * (1 + e))
				if math.Abs(got-want) > 0x1p-39*want+0x1p-1073 {
					t.Fatalf("%s at %v gives %v, want %v", f.name, z[i], got, want)
				}
			}
		}
	})
}

func TestReLUBackwardPassesWhereInputIsPositive(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	z := []float64{1, -1, 0, math.Copysign(0, -1), nan, inf, -inf, 0x1p-1074, -0x1p-1074}
	want := []float64{5, 0, 0, 0, 0, 5, 0, 5, 0}
	da := []float64{5, nan, 5, inf, 5, 5, nan, 5, 5}
	each(t, func(t *testing.T) {
		dz := make([]float64, len(z))
		ReLUBackward(dz, da, z)
		for i := range dz {
			if !same(dz[i], want[i]) {
				t.Errorf("z = %v: %v, want %v", z[i], dz[i], want[i])
			}
		}
	})
}

func TestAdamFollowsItsFormula(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const n = chunk + 13
	each(t, func(t *testing.T) {
		params, grad, m, v := draw(r, make([]float64, n), 1, n, n), make([]float64, n), make([]float64, n), make([]float64, n)
		theta, m1, v1 := append([]float64(nil), params...), make([]float64, n), make([]float64, n)
		s := AdamStep{Beta1: 0.9, Beta2: 0.999}
		for step := 1; step <= 3; step++ {
			draw(r, grad, 1, n, n)
			c1, c2 := 1-math.Pow(0.9, float64(step)), 1-math.Pow(0.999, float64(step))
			r := math.Sqrt(c2 / (1 - 0.999))
			s.Step, s.Epsilon = 0.01*(1-0.9)/c1*r, 1e-8*r
			Adam(params, grad, m, v, s)
			for i, g := range grad {
				m1[i] = 0.9*m1[i] + (1-0.9)*g
				v1[i] = 0.999*v1[i] + (1-0.999)*g*g
				theta[i] -= 0.01 / c1 * m1[i] / (math.Sqrt(v1[i])/math.Sqrt(c2) + 1e-8)
				if math.Abs(params[i]-theta[i]) > 1e-15*max(1, math.Abs(theta[i])) {
					t.Fatalf("step %d: parameter %d is %v, want %v", step, i, params[i], theta[i])
				}
			}
		}
	})
}

// roots are numbers whose roots are easy to get wrong: special ones, random ones of all sizes, and
// those next to the squares of numbers and of the middles between two, whatever the power of two.
func roots() []float64 {
	const tiny, normal = math.SmallestNonzeroFloat64, 0x1p-1022
	v := []float64{
		0, math.Copysign(0, -1), -1, math.Inf(1), math.NaN(), 1, 2, 4, math.MaxFloat64, 0x1p1023, normal, 2 * normal, math.Nextafter(normal, 1),
		tiny, 3 * tiny, normal / 3, math.Nextafter(1, 0), math.Nextafter(1, 2), math.Nextafter(4, 0),
	}
	r := rand.New(rand.NewPCG(13, 14))
	for n := len(v) + 1<<17>>short(); len(v) < n; {
		x := 1 + r.Float64()
		if r.IntN(2) == 0 {
			x = 1 - float64(r.IntN(1000))*0x1p-53
		}
		square := float64(x*x) + float64(r.IntN(2))*x*0x1p-52 + float64(r.IntN(5)-2)*0x1p-53
		v = append(v, math.Ldexp(1+r.Float64(), r.IntN(2097)-1074), math.Ldexp(square, 2*(r.IntN(1030)-520)))
	}
	return v
}

// short is 3 if tests are to be short.
func short() int {
	if testing.Short() {
		return 3
	}
	return 0
}

// TestAdamsRootIsRounded makes steps of 1/(√v + ε) with an ε that leaves nothing of many roots but
// their last digits.
func TestAdamsRootIsRounded(t *testing.T) {
	v := roots()
	each(t, func(t *testing.T) {
		for _, epsilon := range []float64{0, math.SmallestNonzeroFloat64, -1, -1.5} {
			theta, m, grad := make([]float64, len(v)), slices.Repeat([]float64{1}, len(v)), make([]float64, len(v))
			Adam(theta, grad, m, slices.Clone(v), AdamStep{Beta1: 1, Beta2: 1, Step: -1, Epsilon: epsilon})
			for i, v := range v {
				if got, want := theta[i], 1/(math.Sqrt(v)+epsilon); !same(got, want) {
					t.Fatalf("1/(√%x + %v) is %x, want %x", v, epsilon, got, want)
				}
			}
		}
	})
}

func TestAxpyAddsAMultiple(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const n = chunk + 5
	x, y := draw(r, make([]float64, n), 1, n, n), draw(r, make([]float64, n), 1, n, n)
	each(t, func(t *testing.T) {
		got := append([]float64(nil), y...)
		Axpy(-0.1, x, got)
		for i := range got {
			if want := math.FMA(-0.1, x[i], y[i]); math.Abs(got[i]-want) > 0x1p-52*(math.Abs(x[i])+math.Abs(y[i])) {
				t.Fatalf("element %d is %v, want %v", i, got[i], want)
			}
		}
	})
}

// TestDotIsTheSameEverywhere spells the documented order out.
func TestDotIsTheSameEverywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	xs, ys := arena(newArena(t, chunk+100)), arena(newArena(t, chunk+100))
	lengths := []int{chunk, chunk + 31, chunk + 64}
	for n := 0; n <= 100; n++ {
		lengths = append(lengths, n)
	}
	each(t, func(t *testing.T) {
		for _, n := range lengths {
			x, y := draw(r, xs.matrix(1, n, n), 1, n, n), draw(r, ys.matrix(1, n, n), 1, n, n)
			count := 32
			if n < count {
				count = 4
			}
			sums := make([]float64, count)
			for i := range x {
				sums[i%count] += float64(x[i] * y[i]) // not fused
			}
			for half := count / 2; half > 0; half /= 2 {
				for i := range half {
					sums[i] += sums[i+half]
				}
			}
			if got := Dot(x, y); !same(got, sums[0]) {
				t.Fatalf("length %d: %v, want %v", n, got, sums[0])
			}
		}
	})
}

func TestFiniteFindsEveryElement(t *testing.T) {
	xs := arena(newArena(t, chunk+50))
	each(t, func(t *testing.T) {
		for n := 0; n <= 70; n++ {
			x := xs.matrix(1, n, n)
			for i := range x {
				x[i] = math.MaxFloat64 * math.Pow(-1, float64(i))
			}
			if !Finite(x) {
				t.Fatalf("%d finite elements are said not to be", n)
			}
			for i := range x {
				for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
					good := x[i]
					x[i] = bad
					if Finite(x) {
						t.Fatalf("%v at %d of %d was missed", bad, i, n)
					}
					x[i] = good
				}
			}
		}
		long := xs.matrix(1, chunk+50, chunk+50)
		clear(long)
		if long[chunk+20] = math.Inf(1); Finite(long) {
			t.Error("+Inf in the second chunk was missed")
		}
	})
}
