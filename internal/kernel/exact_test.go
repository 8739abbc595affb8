//go:build (amd64 || arm64) && !purego

package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// tanhExact is tanh |z| = tanh(a+b) = (t+h)/(1+t·h), with z's sign: a is the table's number next to
// |z|, t its tanh, and h = tanh b. Beyond the table e^−2y = (1−t)(1−h)/((1+t)(1+h)) for y = |z|/8 is
// raised to the eighth power, as a quotient.
func tanhExact(z float64) float64 {
	y := math.Abs(z)
	beyond := y >= tableEnd
	if beyond {
		y = min(y, tanhOne) * 0.125
	}
	pair := tanhTable[math.Float64bits(y+quarters)&15]
	b, t := y-pair[0], pair[1]
	u, q := float64(b*b), tanhPoly[4]
	for k := 3; k >= 0; k-- {
		q = math.FMA(q, u, tanhPoly[k])
	}
	h := math.FMA(q, float64(u*b), b)
	if !beyond {
		return math.Copysign((t+h)/math.FMA(t, h, 1), z)
	}
	above, below := float64((1-t)*(1-h)), float64((1+t)*(1+h))
	for range 3 {
		above, below = float64(above*above), float64(below*below)
	}
	return math.Copysign((below-above)/(below+above), z)
}

func sigmoidBackwardExact(da, z, a float64) float64 {
	if a < nearOne {
		return (1 - a) * a * da
	}
	e := expOfMinusAbs(z)
	return e / ((1 + e) * (1 + e)) * da
}

func tanhBackwardExact(da, z, a float64) float64 {
	if math.Abs(a) < nearOne {
		return math.FMA(-a, a, 1) * da
	}
	e := expOfMinusAbs(z + z)
	return 4 * e / ((1 + e) * (1 + e)) * da
}

func adamExact(theta, g, m, v float64, s AdamStep) (theta1, m1, v1 float64) {
	m = math.FMA(s.Beta1, m, g)
	v = math.FMA(g, g, s.Beta2*v)
	return math.FMA(-(m / (math.Sqrt(v) + s.Epsilon)), s.Step, theta), m, v
}

// manyNumbers cover the ranges of all functions, and what is special.
func manyNumbers() []float64 {
	return append(points(), math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 0x1p-1074, -0x1p-1074, 0x1p-1022,
		math.MaxFloat64, -math.MaxFloat64, 1000, -1000, -64, math.Nextafter(-64, -100), 40, -40, 3.875, -3.875, 22, 0x1p-60)
}

// TestAssemblyIsGoOperationForOperation compares all bits of the elementwise functions with those
// of scalar Go.
func TestAssemblyIsGoOperationForOperation(t *testing.T) {
	z := manyNumbers()
	r := rand.New(rand.NewPCG(33, 34))
	x, y, w := slices.Clone(z), slices.Clone(z), slices.Clone(z)
	for _, v := range [][]float64{x, y, w} {
		r.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
	}
	sigma, tangent, squares := make([]float64, len(z)), make([]float64, len(z)), make([]float64, len(z))
	for i, v := range z {
		sigma[i], tangent[i], squares[i] = sigmoidExact(v), tanhExact(v), float64(w[i]*w[i])
	}
	step := AdamStep{Beta1: 0.9, Beta2: 0.999, Step: 0.013, Epsilon: 3e-9}
	scalars := []struct {
		name string
		run  func(dst []float64)
		want func(i int) float64
	}{
		{"exp", func(dst []float64) { Exp(dst, z) }, func(i int) float64 { return expExact(max(min(z[i], expEnd), -expEnd)) }},
		{"σ", func(dst []float64) { Sigmoid(dst, z) }, func(i int) float64 { return sigma[i] }},
		{"σ backward", func(dst []float64) { SigmoidBackward(dst, x, z, sigma) },
			func(i int) float64 { return sigmoidBackwardExact(x[i], z[i], sigma[i]) }},
		{"tanh", func(dst []float64) { Tanh(dst, z) }, func(i int) float64 { return tangent[i] }},
		{"tanh backward", func(dst []float64) { TanhBackward(dst, x, z, tangent) },
			func(i int) float64 { return tanhBackwardExact(x[i], z[i], tangent[i]) }},
		{"axpy", func(dst []float64) { copy(dst, x); Axpy(0.3, z, dst) }, func(i int) float64 { return math.FMA(0.3, z[i], x[i]) }},
		{"Adam", func(dst []float64) { copy(dst, x); Adam(dst, z, slices.Clone(y), slices.Clone(squares), step) },
			func(i int) float64 { v, _, _ := adamExact(x[i], z[i], y[i], squares[i], step); return v }},
		{"Adam's m", func(dst []float64) { copy(dst, y); Adam(slices.Clone(x), z, dst, slices.Clone(squares), step) },
			func(i int) float64 { _, v, _ := adamExact(x[i], z[i], y[i], squares[i], step); return v }},
		{"Adam's v", func(dst []float64) { copy(dst, squares); Adam(slices.Clone(x), z, slices.Clone(y), dst, step) },
			func(i int) float64 { _, _, v := adamExact(x[i], z[i], y[i], squares[i], step); return v }},
	}
	each(t, func(t *testing.T) {
		if active == generic {
			t.Skip("not exact")
		}
		got := make([]float64, len(z))
		for _, f := range scalars {
			f.run(got)
			for i, v := range got {
				if want := f.want(i); !same(v, want) {
					t.Errorf("%s of %v is %x, want %x", f.name, z[i], v, want)
					break
				}
			}
		}
		for f := range dropout + 1 {
			var dst, ys [2][]float64
			for k, run := range []func(loop, *operands){apply, applyExact} {
				dst[k], ys[k] = slices.Clone(w), slices.Clone(y)
				if f == rms {
					copy(ys[k], squares)
				}
				for lo := 0; lo < len(z); lo += 1000 {
					o := operands{
						dst: &dst[k][lo], x: &x[lo], y: &ys[k][lo], z: &z[lo], w: &w[lo], n: min(1000, len(z)-lo),
						p: 1.7, q: 0.3, r: 0x1p-20, key: 5, threshold: 1 << 62,
					}
					run(f, &o)
				}
			}
			for i, v := range dst[0] {
				if !same(v, dst[1][i]) || !same(ys[0][i], ys[1][i]) {
					t.Errorf("loop %d of z = %v is %x, want %x", f, z[i], v, dst[1][i])
					break
				}
			}
		}
	})
}
