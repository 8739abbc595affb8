package kernel

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

var generic = implementation{
	name: "generic",
	exp:  expGeneric, sigmoid: sigmoidGeneric, tanh: tanhGeneric, relu: reluGeneric,
	sigmoidBackward: sigmoidBackwardGeneric, tanhBackward: tanhBackwardGeneric, reluBackward: reluBackwardGeneric,
	adam: adamGeneric, axpy: axpyGeneric,
}

// The products are gonum's own, whatever a program has registered with blas64, given in tiles of so few of its
// blocks of 64×64 that it starts no goroutine; an element's sum then depends on neither the tile nor the
// number of workers.
const (
	tileM = 64
	tileN = 128
)

func affineGeneric(z []float64, ldz int, x []float64, ldx int, w []float64, ldw int, b []float64, n, in, out int) {
	for i := range n {
		if zi := z[i*ldz : i*ldz+out]; b == nil {
			clear(zi)
		} else {
			copy(zi, b)
		}
	}
	if in == 0 {
		return
	}
	for i := 0; i < n; i += tileM {
		for j := 0; j < out; j += tileN {
			gonum.Implementation{}.Dgemm(blas.NoTrans, blas.Trans, min(tileM, n-i), min(tileN, out-j), in,
				1, x[i*ldx:], max(ldx, in), w[j*ldw:], max(ldw, in), 1, z[i*ldz+j:], max(ldz, out))
		}
	}
}

// multiplyGeneric computes C = A·B, element (i, l) of A being a[i*ars+l*acs]. gonum passes over the zeros in
// A, which in the end is the same only if B is finite.
func multiplyGeneric(c []float64, ldc int, a []float64, ars, acs int, b []float64, ldb int, m, n, k int) {
	finite := true
	for l := range k {
		finite = finite && Finite(b[l*ldb:l*ldb+n])
	}
	for i := 0; i < m; i += tileM {
		mi := min(tileM, m-i)
		for j := 0; j < n; j += tileN {
			nj := min(tileN, n-j)
			cij := c[i*ldc+j:]
			switch {
			case k == 0 || !finite || ars != 1 && acs != 1:
				multiplyLoop(cij, ldc, a[i*ars:], ars, acs, b[j:], ldb, mi, nj, k)
			case acs == 1:
				gonum.Implementation{}.Dgemm(blas.NoTrans, blas.NoTrans, mi, nj, k,
					1, a[i*ars:], max(ars, k), b[j:], max(ldb, n), 0, cij, max(ldc, n))
			default:
				gonum.Implementation{}.Dgemm(blas.Trans, blas.NoTrans, mi, nj, k,
					1, a[i*ars:], max(acs, m), b[j:], max(ldb, n), 0, cij, max(ldc, n))
			}
		}
	}
}

func multiplyLoop(c []float64, ldc int, a []float64, ars, acs int, b []float64, ldb int, m, n, k int) {
	for i := range m {
		ci := c[i*ldc : i*ldc+n]
		clear(ci)
		for l := range k {
			ail := a[i*ars+l*acs]
			for j, v := range b[l*ldb : l*ldb+n] {
				ci[j] += ail * v
			}
		}
	}
}

func expGeneric(dst, src []float64) {
	for i, x := range src {
		dst[i] = exp(x)
	}
}

// exp is math.Exp, which on some machines is infinite already a little before it should be.
func exp(x float64) float64 {
	if x > 709 {
		return math.Exp(x-1) * math.E
	}
	return math.Exp(x)
}

func sigmoidGeneric(a, z []float64) {
	for i, x := range z {
		e := exp(-math.Abs(x))
		if math.Signbit(x) {
			a[i] = e / (1 + e)
		} else {
			a[i] = 1 / (1 + e)
		}
	}
}

func sigmoidBackwardGeneric(dz, da, z, a []float64) {
	for i, x := range z {
		e := exp(-math.Abs(x))
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
		e := exp(-2 * math.Abs(x))
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

func adamGeneric(params, grad, m, v []float64, alpha1, beta2, alpha2, step, eps float64) {
	for i, g := range grad {
		m[i] += alpha1 * (g - m[i])
		v[i] = beta2*v[i] + alpha2*g*g
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
