package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestLogarithmsAreWithinAnUlp(t *testing.T) {
	r := rand.New(rand.NewPCG(35, 36))
	for range 200000 >> short() {
		// log x − y by one step of Newton's method from a y that is close: x·e^−y − 1
		x := math.Ldexp(1+r.Float64(), r.IntN(1600)-800)
		if r.IntN(2) == 0 {
			x = 0.5 + r.Float64()
		}
		y := math.Log(x)
		e := refExp(double{-y, 0})
		d := reference{e.value.mul(double{x, 0}), e.exponent}.plain().add(one.scale(-1))
		if off := ulps(Log(x), reference{double{y, 0}.add(d), 0}); !(off < 1) {
			t.Fatalf("log %v is %v, off by %.3g ulp", x, Log(x), off)
		}
		z := math.Copysign(math.Ldexp(1+r.Float64(), r.IntN(500)-400), r.Float64()-0.5)
		if r.IntN(2) == 0 {
			z = 2*r.Float64() - 1
		}
		if got, want := Log1p(max(z, -1)), math.Log1p(max(z, -1)); !same(got, want) && !(math.Abs(got-want) <= 0x1p-51*math.Abs(want)) {
			t.Fatalf("log(1 + %v) is %v, want %v", z, got, want)
		}
	}
	for _, x := range []float64{0, math.Copysign(0, -1), -1, math.Inf(1), math.Inf(-1), math.NaN(), 1, math.MaxFloat64, 0x1p-60} {
		if got, want := Log(x), math.Log(x); !same(got, want) && !(math.Abs(got/want-1) < 0x1p-51) {
			t.Errorf("log %v is %v, want %v", x, got, want)
		}
		if got, want := Log1p(x), math.Log1p(x); !(got == want || got != got && want != want) && !(math.Abs(got/want-1) < 0x1p-51) {
			t.Errorf("log(1 + %v) is %v, want %v", x, got, want)
		}
	}
	if got := Log(0x1p-1074); math.Abs(got/(-1074*math.Ln2)-1) > 0x1p-52 { // package math has another on amd64
		t.Errorf("log 2⁻¹⁰⁷⁴ is %v", got)
	}
}

func TestHalfCosine(t *testing.T) {
	for i := range 1001 {
		x := float64(i) / 1000
		half := math.Sin(math.Pi / 2 * (1 - x)) // of which the argument is right to the end
		if x < 0.5 {
			half = math.Cos(math.Pi / 2 * x)
		}
		if got, want := HalfCosine(x), half*half; math.Abs(got-want) > 4*0x1p-52*want {
			t.Errorf("(1 + cos π·%v)/2 is %v, want %v", x, got, want)
		}
	}
}

func TestNorm2OfAnySize(t *testing.T) {
	for _, scale := range []float64{1, 0x1p-1074, 0x1p-1020, 0x1p-480, 0x1p480, 0x1p1021} {
		if got, want := Norm2([]float64{3 * scale, -4 * scale}), 5*scale; got != want {
			t.Errorf("%v: the norm of 3 and 4 is %v", scale, got)
		}
	}
	for _, x := range []float64{0, math.Inf(-1), math.NaN(), math.MaxFloat64} {
		if got, want := Norm2([]float64{x, 0}), math.Abs(x); !same(got, want) {
			t.Errorf("the norm of %v is %v", x, got)
		}
	}
	if got := Norm2(make([]float64, 0)); got != 0 {
		t.Errorf("the norm of nothing is %v", got)
	}
}
