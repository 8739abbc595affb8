package kernel

import "math"

// Those of package math differ in the last bits from machine to machine. Here every product that is
// added to something is rounded first, which the compiler would otherwise be free not to do.

// Log is log x, within 1 ulp.
func Log(x float64) float64 { return logOf(x, 0) }

// Log1p is log(1+x), within 1 ulp.
func Log1p(x float64) float64 {
	u := 1 + x
	if x < 1 {
		return logOf(u, (x-(u-1))/u)
	}
	return logOf(u, (1-(u-x))/u)
}

// logOf is log u + c: with u = 2ᵏ·(1+f) and s = f/(2+f), log(1+f) = f − (h − s·(h + s²·q(s²))) and h
// = f²/2, as FreeBSD's log has it, for √½ ≤ 1+f < √2.
func logOf(u, c float64) float64 {
	const ln2High, ln2Low = 0x1.62e42feep-1, 0x1.a39ef35793c76p-33 // k·ln2High is exact
	if !(u > 0 && u <= math.MaxFloat64) {
		return math.Log(u) // −∞, ∞ or NaN
	}
	m, k := math.Frexp(u)
	if m < math.Sqrt2/2 {
		m, k = 2*m, k-1
	}
	f, n := m-1, float64(k)
	s := f / (2 + f)
	u2, q := float64(s*s), logPoly[6]
	for i := 5; i >= 0; i-- {
		q = logPoly[i] + float64(q*u2)
	}
	h := float64(f * f / 2)
	return float64(n*ln2High) - (h - (float64(s*(h+float64(q*u2))) + (float64(n*ln2Low) + c)) - f)
}

// logPoly is q(u) of log(1+f) = f − f²/2 + s·(f²/2 + u·q(u)) with s = f/(2+f) and u = s² for |s| ≤
// 0.1716: FreeBSD's minimax polynomial for u·q, off by at most 2⁻⁵⁸.
var logPoly = [...]float64{
	6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
	1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
}

// HalfCosine is (1 + cos πt)/2 for t from 0 to 1, within 4 ulp: the square of the sine of π(1−t)/2,
// or 1 less that of πt/2, by the sine's series.
func HalfCosine(t float64) float64 {
	x := math.Pi / 2 * min(t, 1-t)
	square, series := float64(x*x), 1.0
	for k := 16.0; k > 0; k -= 2 {
		series = 1 - float64(square/(k*(k+1))*series)
	}
	sine := x * series
	if square = float64(sine * sine); t > 0.5 {
		return square
	}
	return 1 - square
}
