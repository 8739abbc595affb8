//go:build amd64 && !purego

package kernel

import (
	"cmp"
	"math"
)

// The activations of ReLU, and what flows back through it, are zero in half of their places or more. A product
// whose left operand has so many zeros passes over them. It is computed for groupM rows, in panels of at most
// sparseN columns and sparseK rows of B, one for each bit of a word: at most 80 µs at a time.
const (
	sparseN = widest
	sparseK = 64
)

// sparse reports whether to compute an m×n product of k terms by multiplySparse, element (i, l) of A being
// a[i*ars+l*acs]: with AVX-512, if it is large enough to gain by it and a third of some elements of A are zero.
func sparse(a []float64, ars, acs, m, n, k int) bool {
	if active != &avx512 || m < 32 || n <= 40 || k < 16 {
		return false
	}
	few := 0 // zeros, where a dense product can afford to look
	for i := range 8 {
		if a[i*(ars+acs)] == 0 {
			few++
		}
	}
	if few == 0 {
		return false
	}
	look := min(m, k, 64)
	step := m/look*ars + k/look*acs
	zeros := 0
	for i := range look {
		if a[i*step] == 0 {
			zeros++
		}
	}
	return 3*zeros >= look
}

// multiplySparse computes C = 1·c₀ᵀ + A·B, where a c₀ of nil is zero, or C = C + α·A·B where alpha is not nil, c₀ is
// nil and k is at most blockK. The rows of b are those of B or, if transposed, its columns.
//
// A zero of A is passed over, and no bit changes, as long as B is finite and no chain is −0, to which +0 might
// be added: so none begins there, and no term has digits so small that its sum with another could be rounded
// to −0. If the first panel of B does not promise it, multiplySparse does nothing and returns false; from a later
// one on that does not, nothing is passed over.
func multiplySparse(c []float64, ldc int, a []float64, ars, acs int, b *Matrix, transposed bool, c0 []float64, m, n, k int, alpha *float64) bool {
	s := takeScratch()
	defer s.put()
	promised := true
	for _, v := range c0 {
		promised = promised && (v != 0 || !math.Signbit(v))
	}
	vectors := (n + 7) / 8
	panels := (vectors + sparseN/8 - 1) / (sparseN / 8)
	for first := 0; first < m; first += groupM {
		mi := min(groupM, m-first)
		for l := 0; l < k; l += blockK {
			lk := min(blockK, k-l)
			ai, lda, lowA := s.prepareA(a[first*ars+l*acs:], ars, acs, mi, lk)
			for p := range panels {
				j := vectors * p / panels * 8
				nj := min(n, vectors*(p+1)/panels*8) - j
				cj := c[first*ldc+j:]
				sums, lds := cj, ldc // where the chains wait for the rest of k
				if alpha != nil && k > sparseK {
					sums, lds = need(&s.sums, groupM*sparseN), nj
				}
				for q := 0; q < lk; q += sparseK {
					kq := min(sparseK, lk-q)
					nonzero := s.nonzero[q/sparseK][:mi]
					lowB, highB := s.prepareB(b, transposed, l+q, kq, j, nj)
					promised = promised && highB <= math.MaxFloat64 && lowA*lowB >= 0x1p-960
					if !promised {
						if first+l+j+q == 0 {
							return false
						}
						for i := range nonzero {
							nonzero[i] = 1<<kq - 1
						}
					}
					from, ldf := start(l+q, sums, lds, c0, j)
					if l+q+kq == k {
						sparsePanel(cj, ldc, ai[q:], lda, s.b[:], from, ldf, nonzero, nj, alpha)
					} else {
						sparsePanel(sums, lds, ai[q:], lda, s.b[:], from, ldf, nonzero, nj, nil)
					}
				}
			}
		}
	}
	return true
}

// prepareA finds the zeros of a block of A, which it transposes if the elements of a row are not adjacent, and returns
// the block, its stride and its smallest magnitude that is not 0.
func (s *scratch) prepareA(a []float64, ars, acs, m, k int) (block []float64, ld int, low float64) {
	if acs != 1 {
		ars = (k+15)&^15 + 8 // no power of two
		block = need(&s.a, sizeA)
		transpose(block, ars, a, acs, k, m)
		a = block
	}
	for q := 0; q < k; q += sparseK {
		nonzeros(s.nonzero[q/sparseK][:m], a[q:], ars, min(sparseK, k-q))
	}
	low, _ = magnitudes(a, ars, m, k)
	return a, ars, low
}

// prepareB copies or transposes a panel, k rows and n columns from row l and column j of B on, and returns its
// smallest magnitude that is not 0 and its largest.
func (s *scratch) prepareB(b *Matrix, transposed bool, l, k, j, n int) (low, high float64) {
	if transposed {
		transpose(s.b[:], n, b.Data[j*b.Stride+l:], b.Stride, n, k)
		return magnitudes(s.b[:], n, k, n)
	}
	return packSparse(s.b[:], b.Data[l*b.Stride+j:], b.Stride, k, n)
}

// sparsePanel computes a panel of n columns; b has as many, its rows one after the other.
//
//go:noinline
func sparsePanel(c []float64, ldc int, a []float64, lda int, b []float64, c0 *float64, ldc0 int, nonzero []uint64, n int, alpha *float64) {
	sparseAVX512(&c[0], ldc, &a[0], lda, &b[0], c0, ldc0, &nonzero[0], len(nonzero), n, alpha)
}

// magnitudes returns the smallest magnitude of an m×n matrix that is not 0, or else +Inf, and the largest, a NaN
// above all.
//
//go:noinline
func magnitudes(x []float64, ld, m, n int) (low, high float64) {
	if ld == n {
		m, n = 1, m*n
	}
	l, h := magnitudesAVX512(&x[0], ld, m, n)
	return cmp.Or(math.Float64frombits(l), math.Inf(1)), math.Float64frombits(h)
}

// packSparse copies k rows of n columns one after the other, and returns their magnitudes.
//
//go:noinline
func packSparse(dst, src []float64, ld, k, n int) (low, high float64) {
	l, h := packAVX512(&dst[0], &src[0], ld, k, n)
	return cmp.Or(math.Float64frombits(l), math.Inf(1)), math.Float64frombits(h)
}

// nonzeros sets bit l of nonzero[i] where a[i*lda+l] is not 0, for k columns.
//
//go:noinline
func nonzeros(nonzero []uint64, a []float64, lda, k int) {
	nonzerosAVX512(&nonzero[0], &a[0], lda, len(nonzero), k)
}

//go:noescape
func sparseAVX512(c *float64, ldc int, a *float64, lda int, b *float64, c0 *float64, ldc0 int, nonzero *uint64, m, n int, alpha *float64)

//go:noescape
func nonzerosAVX512(nonzero *uint64, a *float64, lda, m, k int)

//go:noescape
func magnitudesAVX512(x *float64, ld, m, n int) (low, high uint64)

//go:noescape
func packAVX512(dst, src *float64, ld, k, n int) (low, high uint64)
