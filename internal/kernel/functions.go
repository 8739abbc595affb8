package kernel

import "math"

// Those of package math differ in the last bits from machine to machine. Here every product that is
// added to something is rounded first, which the compiler would otherwise be free not to do.

// Log is log x, within 1 ulp.
func Log(x float64) float64 {
	switch {
	case !(x > 0 && x <= math.MaxFloat64):
		return math.Log(x) // −∞, ∞ or NaN
	case x < smallestNormal:
		return logOf(x*0x1p64, 0, -64)
	default:
		return logOf(x, 0, 0)
	}
}

const smallestNormal = 0x1p-1022

// Log1p is log(1+x), within 1 ulp.
func Log1p(x float64) float64 {
	u := 1 + x
	switch {
	case !(u > 0 && u <= math.MaxFloat64):
		return math.Log(u)
	case x < 1:
		return logOf(u, (x-(u-1))/u, 0)
	default:
		return logOf(u, (1-(u-x))/u, 0)
	}
}

// logOf is k·log 2 + log u + c: with u = 2ⁿ·(1+f) and s = f/(2+f), log(1+f) = f − (h − s·(h +
// s²·q(s²))) and h = f²/2, as FreeBSD's log has it, for √½ ≤ 1+f < √2.
func logOf(u, c, k float64) float64 {
	const ln2High, ln2Low = 0x1.62e42feep-1, 0x1.a39ef35793c76p-33         // k·ln2High is exact
	const one, root, mantissa = 0x3ff << 52, 0x3fe6a09e667f3bcd, 1<<52 - 1 // 1 and √½
	bits := math.Float64bits(u) + (one - root)
	f := math.Float64frombits(bits&mantissa+root) - 1
	k += float64(int(bits>>52) - 1023)
	s, h := f/(2+f), float64(f*f*0.5)
	w := float64(s * s)
	w2 := float64(w * w)
	odd := logPoly[0] + float64(w2*(logPoly[2]+float64(w2*(logPoly[4]+float64(w2*logPoly[6])))))
	even := float64(w2 * (logPoly[1] + float64(w2*(logPoly[3]+float64(w2*logPoly[5])))))
	q := float64(w*odd) + even
	return float64(k*ln2High) - (h - (float64(s*(h+q)) + (float64(k*ln2Low) + c)) - f)
}

// logPoly is q(u) of log(1+f) = f − f²/2 + s·(f²/2 + u·q(u)) with s = f/(2+f) and u = s² for |s| ≤
// 0.1716: FreeBSD's minimax polynomial for u·q, off by at most 2⁻⁵⁸.
var logPoly = [...]float64{
	6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
	1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
}

// HalfCosine is (1 + cos πt)/2 for t from 0 to 1, within 5 ulp: the square of the sine of π(1−t)/2,
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
