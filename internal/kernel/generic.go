package kernel

import (
	"math"
	"unsafe"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// The products are gonum's own, whatever a program has registered with blas64, given in tiles of so
// few of its blocks of 64×64 that it starts no goroutine; an element's sum then depends on neither
// the tile nor the number of workers.
const (
	tileM = 64
	tileN = 128
)

func affineGeneric(z, x, w *Matrix, b []float64) {
	fill(z, b)
	n, in, out := x.Rows, x.Cols, w.Rows
	for i := 0; i < n; i += tileM {
		for j := 0; j < out; j += tileN {
			gonum.Implementation{}.Dgemm(blas.NoTrans, blas.Trans, min(tileM, n-i), min(tileN, out-j), in,
				1, x.Data[i*x.Stride:], max(x.Stride, in), w.Data[j*w.Stride:], max(w.Stride, in),
				1, z.Data[i*z.Stride+j:], max(z.Stride, out))
		}
	}
}

// multiplyGeneric computes C = A·B. gonum passes over the zeros in A, which in the end is the same
// only if B is finite.
func multiplyGeneric(c *Matrix, a operand, b *Matrix) {
	m, n, k := c.Rows, c.Cols, b.Rows
	finite := true
	for l := range k {
		finite = finite && Finite(b.Row(l))
	}
	for i := 0; i < m; i += tileM {
		mi := min(tileM, m-i)
		for j := 0; j < n; j += tileN {
			nj := min(tileN, n-j)
			cij := Matrix{mi, nj, c.Data[i*c.Stride+j:], max(c.Stride, n)}
			switch {
			case !finite || a.row != 1 && a.col != 1:
				bj := b.Columns(j, j+nj)
				multiplyLoop(&cij, a, i, &bj)
			case a.col == 1:
				gonum.Implementation{}.Dgemm(blas.NoTrans, blas.NoTrans, mi, nj, k,
					1, a.data[i*a.row:], max(a.row, k), b.Data[j:], max(b.Stride, n), 0, cij.Data, cij.Stride)
			default:
				gonum.Implementation{}.Dgemm(blas.Trans, blas.NoTrans, mi, nj, k,
					1, a.data[i:], max(a.col, m), b.Data[j:], max(b.Stride, n), 0, cij.Data, cij.Stride)
			}
		}
	}
}

// multiplyLoop computes C = A·B of A's rows from the first on.
func multiplyLoop(c *Matrix, a operand, first int, b *Matrix) {
	for i := range c.Rows {
		ci := c.Row(i)
		clear(ci)
		for l := range b.Rows {
			ail := a.data[(first+i)*a.row+l*a.col]
			for j, v := range b.Row(l) {
				ci[j] += ail * v
			}
		}
	}
}

// fill sets each row of z to b, or to zero if b is nil.
func fill(z *Matrix, b []float64) {
	for i := range z.Rows {
		if zi := z.Row(i); b == nil {
			clear(zi)
		} else {
			copy(zi, b)
		}
	}
}

func expGeneric(dst, src []float64) {
	for i, x := range src {
		dst[i] = expOf(x)
	}
}

// expOf is math.Exp, which on some machines is infinite already a little before it should be, and
// on arm64 zero where it should be the smallest number.
func expOf(x float64) float64 {
	const e64 = 0x1.969d47321e4ccp-93 // e⁻⁶⁴
	switch {
	case x > 709:
		return math.Exp(x-1) * math.E
	case x < -744:
		return math.Exp(x+64) * e64
	default:
		return math.Exp(x)
	}
}

func sigmoidGeneric(a, z []float64) {
	for i, x := range z {
		a[i] = logistic(x)
	}
}

func sigmoidBackwardGeneric(dz, da, z, a []float64) {
	for i, x := range z {
		e := expOf(-math.Abs(x))
		dz[i] = da[i] * (e / ((1 + e) * (1 + e)))
	}
}

func tanhGeneric(a, z []float64) {
	for i, x := range z {
		a[i] = math.Tanh(x)
	}
}

func tanhBackwardGeneric(dz, da, z, a []float64) {
	for i, x := range z {
		e := expOf(-2 * math.Abs(x))
		dz[i] = da[i] * (4 * e / ((1 + e) * (1 + e)))
	}
}

func reluGeneric(a, z []float64) {
	for i, x := range z {
		a[i] = max(x, 0)
	}
}

func reluBackwardGeneric(dz, da, z []float64) {
	for i, x := range z {
		if x > 0 {
			dz[i] = da[i]
		} else {
			dz[i] = 0
		}
	}
}

func adamGeneric(params, grad, m, v []float64, beta1, beta2, step, eps float64) {
	for i, g := range grad {
		m[i] = beta1*m[i] + g
		v[i] = beta2*v[i] + g*g
		params[i] -= step * (m[i] / (math.Sqrt(v[i]) + eps))
	}
}

func axpyGeneric(alpha float64, x, y []float64) {
	for i, v := range x {
		y[i] += alpha * v
	}
}

func dotGeneric(sums *[32]float64, x, y []float64) {
	for i, v := range x {
		sums[i%32] += float64(v * y[i])
	}
}

func finiteGeneric(x []float64) bool {
	var s0, s1 float64
	for i := 0; i+1 < len(x); i += 2 {
		s0 += 0 * x[i]
		s1 += 0 * x[i+1]
	}
	return s0 == 0 && s1 == 0
}

func applyGeneric(f loop, o *operands) {
	switch f {
	case leaky:
		leakyGeneric(o)
	case elu:
		eluGeneric(o)
	case eluBackward:
		eluBackwardGeneric(o)
	case mulSigmoid:
		mulSigmoidGeneric(o)
	case siluBackward:
		siluBackwardGeneric(o)
	case softplus:
		softplusGeneric(o)
	case gelu:
		geluGeneric(o)
	case geluBackward:
		geluBackwardGeneric(o)
	case rms:
		rmsGeneric(o)
	case axpby:
		axpbyGeneric(o)
	case difference:
		differenceGeneric(o)
	case normalize:
		normalizeGeneric(o)
	case correlate:
		correlateGeneric(o)
	case dropout:
		dropoutGeneric(o)
	}
}

// slices are the slices that there are.
func (o *operands) slices() (dst, x, y, z, w []float64) {
	of := func(p *float64) []float64 {
		if p == nil {
			return nil
		}
		return unsafe.Slice(p, o.n)
	}
	return of(o.dst), of(o.x), of(o.y), of(o.z), of(o.w)
}

func leakyGeneric(o *operands) {
	dst, xs, _, zs, _ := o.slices()
	for i, x := range xs {
		if zs[i] > 0 {
			dst[i] = x
		} else {
			dst[i] = o.p * x
		}
	}
}

func eluGeneric(o *operands) {
	dst, _, _, zs, _ := o.slices()
	for i, z := range zs {
		if z > 0 {
			dst[i] = o.p * z
		} else {
			dst[i] = o.q * math.Expm1(z)
		}
	}
}

func eluBackwardGeneric(o *operands) {
	dst, xs, _, zs, _ := o.slices()
	for i, z := range zs {
		if z > 0 {
			dst[i] = o.p * xs[i]
		} else {
			dst[i] = o.q * expOf(z) * xs[i]
		}
	}
}

// logistic is σ(z), accurate to the last digits for every z.
func logistic(z float64) float64 {
	e := expOf(-math.Abs(z))
	if math.Signbit(z) {
		return e / (1 + e)
	}
	return 1 / (1 + e)
}

func mulSigmoidGeneric(o *operands) {
	dst, xs, _, zs, _ := o.slices()
	for i, z := range zs {
		dst[i] = xs[i] * logistic(z)
	}
}

func siluBackwardGeneric(o *operands) {
	dst, xs, _, zs, _ := o.slices()
	for i, z := range zs {
		dst[i] = xs[i] * (logistic(z) * (1 + z*logistic(-z)))
	}
}

func softplusGeneric(o *operands) {
	dst, _, _, zs, _ := o.slices()
	for i, z := range zs {
		dst[i] = max(z, 0) + math.Log1p(expOf(-math.Abs(z)))
	}
}

// normalCDF is Φ(z), without cancellation in the lower tail.
func normalCDF(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

func geluGeneric(o *operands) {
	dst, _, _, zs, _ := o.slices()
	for i, z := range zs {
		dst[i] = max(z, -40) * normalCDF(z) // not −∞·0
	}
}

func geluBackwardGeneric(o *operands) {
	dst, xs, _, zs, _ := o.slices()
	for i, z := range zs {
		phi := expOf(-z*z/2) / math.Sqrt(2*math.Pi)
		dst[i] = xs[i] * (normalCDF(z) + max(z, -40)*phi)
	}
}

func rmsGeneric(o *operands) {
	dst, xs, ys, zs, _ := o.slices()
	for i, g := range xs {
		ys[i] = o.p*ys[i] + g*g
		dst[i] = g / (math.Sqrt(max(0, ys[i]-zs[i]*zs[i])) + o.r)
	}
}

func axpbyGeneric(o *operands) {
	dst, xs, _, _, _ := o.slices()
	for i, x := range xs {
		dst[i] = o.p*x + o.q*dst[i]
	}
}

func differenceGeneric(o *operands) {
	dst, xs, ys, _, _ := o.slices()
	for i, x := range xs {
		dst[i] = o.q * max(-o.r, min(o.r, o.p*(x-ys[i])))
	}
}

func normalizeGeneric(o *operands) {
	dst, xs, ys, zs, ws := o.slices()
	for i, x := range xs {
		dst[i] = (x-ys[i])*zs[i] + ws[i]
	}
}

func correlateGeneric(o *operands) {
	dst, xs, ys, zs, ws := o.slices()
	for i, x := range xs {
		dst[i] += (x - ys[i]) * (zs[i] - ws[i])
	}
}

func dropoutGeneric(o *operands) {
	dst, xs, _, _, _ := o.slices()
	key, factors := o.key, [2]float64{o.p, 0}
	for i, x := range xs {
		dst[i] = factors[(mix(key)/2-o.threshold)>>63] * x // without a branch, which nobody could predict
		key += weyl
	}
}
