//go:build (amd64 || arm64) && !purego

package kernel

import "math"

// This file has loops in Go that are operation for operation those of the assembly for AVX2, so
// that their bits are the same: arm64 runs them, and tests compare all assembly with them. Every
// step that rounds once is a math.FMA, an instruction there; of every other product that is added
// to something, an explicit conversion says that it is rounded first, which the compiler would
// otherwise be free not to do.

// applyExact runs a loop on at most a chunk.
func applyExact(f loop, o *operands) {
	switch f {
	case elu:
		eluExact(o)
	case eluBackward:
		eluBackwardExact(o)
	case mulSigmoid:
		mulSigmoidExact(o)
	case siluBackward:
		siluBackwardExact(o)
	case softplus:
		softplusExact(o)
	case gelu:
		geluExact(o)
	case geluBackward:
		geluBackwardExact(o)
	case rms:
		rmsExact(o)
	case axpby:
		axpbyExact(o)
	case normalize:
		normalizeExact(o)
	case correlate:
		correlateExact(o)
	default: // nothing in it can be fused
		applyGeneric(f, o)
	}
}

// reduce is e^x = 2ⁿ·(1+t): n = round(x/ln 2), r = x − n·ln 2, t = e^r − 1 = r + r²·q(r), the odd
// and the even coefficients of q in two chains. n is in the low bits of shifted.
func reduce(x float64) (shifted, n, t float64) {
	shifted = math.FMA(x, math.Log2E, round)
	n = shifted - round
	r := math.FMA(-n, ln2Low, math.FMA(-n, ln2High, x))
	r2 := float64(r * r)
	odd, even := expPoly[9], expPoly[8]
	for i := 6; i >= 0; i -= 2 {
		odd, even = math.FMA(odd, r2, expPoly[i+1]), math.FMA(even, r2, expPoly[i])
	}
	return shifted, n, math.FMA(math.FMA(odd, r, even), r2, r)
}

// power is 2ⁿ of an n in the low bits: added to the exponent of 1.
func power(n uint64) float64 {
	const exponent = 52 // where a float64 has its own
	return math.Float64frombits((n + 1023) << exponent)
}

// expExact is e^x, gradually to zero and to infinity: 1+t is scaled by 2^h and 2^(n−h), h about
// n/2, so that both are normal and only the second product rounds.
func expExact(x float64) float64 {
	shifted, n, t := reduce(x)
	h := math.Float64bits(math.FMA(n, 0.5, round))
	return float64((1 + t) * power(h) * power(math.Float64bits(shifted)-h))
}

// expOfMinusAbs is e^−|z|.
func expOfMinusAbs(z float64) float64 { return expExact(max(-math.Abs(z), -expEnd)) }

// sigmoidExact is σ(z) = 1/(1+e) for z ≥ 0, e/(1+e) for z < 0, where e = e^−|z|.
func sigmoidExact(z float64) float64 {
	e := expOfMinusAbs(z)
	if math.Signbit(z) {
		return e / (1 + e)
	}
	return 1 / (1 + e)
}

func eluExact(o *operands) {
	dst, _, _, zs, _ := o.slices()
	for i, z := range zs {
		if z > 0 {
			dst[i] = o.p * z
			continue
		}
		shifted, _, t := reduce(max(z, expm1End))
		p := power(math.Float64bits(shifted))
		dst[i] = o.q * math.Copysign(math.FMA(t, p, p-1), z)
	}
}

func eluBackwardExact(o *operands) {
	dst, xs, _, zs, _ := o.slices()
	for i, z := range zs {
		slope := o.p
		if !(z > 0) {
			slope = o.q * expExact(max(z, -expEnd))
		}
		dst[i] = slope * xs[i]
	}
}

func mulSigmoidExact(o *operands) {
	dst, xs, _, zs, _ := o.slices()
	for i, z := range zs {
		dst[i] = sigmoidExact(z) * xs[i]
	}
}

// With s = 1/(1+e), one of σ(z) and σ(−z) is s and the other e·s.
func siluBackwardExact(o *operands) {
	dst, xs, _, zs, _ := o.slices()
	for i, z := range zs {
		e := expOfMinusAbs(z)
		s := 1 / (1 + e)
		of, minus := s, float64(e*s)
		if math.Signbit(z) {
			of, minus = minus, of
		}
		dst[i] = math.FMA(minus, z, 1) * of * xs[i]
	}
}

// From √2−1 on log(1+e) is ln 2 + log(1+f) with f = (e−1)/2, below f = e.
func softplusExact(o *operands) {
	dst, _, _, zs, _ := o.slices()
	for i, z := range zs {
		f, high, low := expOfMinusAbs(z), 0., 0.
		if f > logSplit {
			f, high, low = float64((f-1)*0.5), ln2High, ln2Low
		}
		s := f / (f + 2)
		u := float64(s * s)
		q := logPoly[6]
		for k := 5; k >= 0; k-- {
			q = math.FMA(q, u, logPoly[k])
		}
		h := float64(f * 0.5 * f)
		dst[i] = high - (h - math.FMA(math.FMA(q, u, h), s, low) - f) + max(z, 0)
	}
}

// bell is y = min(|z|, 40) and e^(−y²/2). What y² lacks of being exact, l, is made up for by a
// factor of 1 − l/2.
func bell(z float64) (y, e float64) {
	y = min(math.Abs(z), gaussEnd)
	square := float64(y * y)
	l := math.FMA(y, y, -square)
	e = expExact(-0.5 * square)
	return y, math.FMA(-(0.5 * l), e, e)
}

// Φ(−y) = e^(−y²/2)·t·P(w) with t = 1/(y+5) and w = 10·t − 1, the even and the odd coefficients of
// P in two chains. What the sum and the quotient of t lack of being exact is added to t and w.
func geluExact(o *operands) {
	dst, _, _, zs, _ := o.slices()
	for i, z := range zs {
		y, e := bell(z)
		sum := y + 5
		t := 1 / sum
		lack := float64(math.FMA(-t, y-(sum-5), math.FMA(-t, sum, 1)) * t)
		w := math.FMA(lack, 10, math.FMA(t, 10, -1))
		w2 := float64(w * w)
		even, odd := mills[20], mills[21]
		for k := 18; k >= 0; k -= 2 {
			even, odd = math.FMA(even, w2, mills[k]), math.FMA(odd, w2, mills[k+1])
		}
		tail := float64(math.FMA(odd, w, even) * (t + lack) * y * e) // y·Φ(−y)
		if math.Signbit(z) {
			dst[i] = -tail
		} else {
			dst[i] = z - tail
		}
	}
}

// Φ(z) = w/z where z is not tiny.
func geluBackwardExact(o *operands) {
	dst, xs, _, zs, ws := o.slices()
	for i, z := range zs {
		y, e := bell(z)
		normal := 0.5
		if !(y < gaussLow) {
			normal = ws[i] / z
		}
		dst[i] = math.FMA(gauss*math.Copysign(y, z), e, normal) * xs[i]
	}
}

func rmsExact(o *operands) {
	dst, xs, ys, zs, _ := o.slices()
	for i, x := range xs {
		y := math.FMA(x, x, o.p*ys[i])
		ys[i] = y
		dst[i] = x / (math.Sqrt(max(math.FMA(-zs[i], zs[i], y), 0)) + o.r)
	}
}

func axpbyExact(o *operands) {
	dst, xs, _, _, _ := o.slices()
	for i, x := range xs {
		dst[i] = math.FMA(o.p, x, o.q*dst[i])
	}
}

func normalizeExact(o *operands) {
	dst, xs, ys, zs, ws := o.slices()
	for i, x := range xs {
		dst[i] = math.FMA(x-ys[i], zs[i], ws[i])
	}
}

func correlateExact(o *operands) {
	dst, xs, ys, zs, ws := o.slices()
	for i, x := range xs {
		dst[i] = math.FMA(x-ys[i], zs[i]-ws[i], dst[i])
	}
}
