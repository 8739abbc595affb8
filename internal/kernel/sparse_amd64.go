//go:build amd64 && !purego

package kernel

import (
	"cmp"
	"math"
)

// The activations of ReLU, and what flows back through it, are zero in half of their places or
// more. A product whose left operand has so many zeros passes over them. It is computed for groupM
// rows, in panels of at most sparseN columns and sparseK rows of B, one for each bit of a word: at
// most 80 µs at a time.
const (
	sparseN = widest
	sparseK = 64
)

// A product is sparse if it has so many rows, columns and terms, of a left operand of which a third
// is zero in the places that are looked at. Measured with half of A zero, as time over that of a
// dense product: on Zen 4 the training of 512-1024-1024-10 takes 0.73; on an Intel Xeon, whose
// dense product is twice as fast, 64×784×128 takes 0.83, 256×1024×1024 0.88, 64×64×64 1.04 and
// 32×64×64 1.18. A third rather than more, lest chance calls a product dense whose left operand is
// zero in half of its places.
const (
	sparseRows  = 32
	sparseCols  = 41 // a panel's least is six vectors: fewer gain nothing
	sparseTerms = 16
	oneZeroIn   = 3

	glance = 8  // so many places a dense product can afford to look at; if one is zero,
	look   = 64 // so many, and no more than rows or columns, decide
)

// noDigitsLost bounds the magnitude of a product of two numbers from below: so large ones add up to
// no number so small that it is rounded to −0.
const noDigitsLost = 0x1p-960

// sparse reports whether an m×n product of k terms is one for multiplySparse.
func sparse(a *operand, m, n, k int) bool {
	if active != avx512 || m < sparseRows || n < sparseCols || k < sparseTerms {
		return false
	}
	zeros := 0
	for i := range glance {
		if a.data[i*(a.row+a.col)] == 0 {
			zeros++
		}
	}
	if zeros == 0 {
		return false
	}
	places := min(m, k, look)
	step := m/places*a.row + k/places*a.col
	zeros = 0
	for i := range places {
		if a.data[i*step] == 0 {
			zeros++
		}
	}
	return oneZeroIn*zeros >= places
}

// multiplySparse computes C = 1·c₀ᵀ + A·B, where a c₀ of nil is zero, if A is sparse.
//
// A zero of A is passed over, and no bit changes, as long as B is finite and no chain is −0, to
// which +0 might be added: so none begins there, and no term has digits so small that its sum with
// another could be rounded to −0. If the first panel of B does not promise it, multiplySparse does
// nothing and returns false; from a later one on that does not, nothing is passed over.
func multiplySparse(c *Matrix, a, b *operand, k int, c0 []float64) bool {
	m, n := c.Rows, c.Cols
	if !sparse(a, m, n, k) {
		return false
	}
	s := takeScratch()
	defer s.put()
	promised := true
	for _, v := range c0 {
		promised = promised && (v != 0 || !math.Signbit(v))
	}
	vectors := (n + 7) / 8
	panels := (vectors + sparseN/8 - 1) / (sparseN / 8)
	p := panel{b: &s.b[0], ldc: c.Stride}
	for first := 0; first < m; first += groupM {
		p.m = min(groupM, m-first)
		for l := 0; l < k; l += blockK {
			lk := min(blockK, k-l)
			al, lowA := s.prepareA(a.from(first, l), p.m, lk)
			p.row = al.row
			for i := range panels {
				j := vectors * i / panels * 8
				p.n = min(n, vectors*(i+1)/panels*8) - j
				p.c = &c.Data[first*c.Stride+j]
				for q := 0; q < lk; q += sparseK {
					p.k = min(sparseK, lk-q)
					nonzero := s.nonzero[q/sparseK*groupM:][:p.m]
					lowB, highB := s.prepareB(b.from(l+q, j), p.k, p.n)
					promised = promised && highB <= math.MaxFloat64 && lowA*lowB >= noDigitsLost
					if !promised {
						if first+l+j+q == 0 {
							return false
						}
						for i := range nonzero {
							nonzero[i] = 1<<p.k - 1
						}
					}
					p.a = &al.data[q]
					p.c0, p.ldc0 = start(l+q, p.c, p.ldc, c0, j)
					sparsePanel(&p, nonzero)
				}
			}
		}
	}
	return true
}

// prepareA finds the zeros of an m×k block of A, which it transposes if the elements of a row are
// not adjacent, and returns the block and its smallest magnitude that is not 0.
func (s *scratch) prepareA(a operand, m, k int) (block operand, low float64) {
	if a.col != 1 {
		block = operand{s.needA(), (k+15)&^15 + 8, 1} // a stride that is no power of two
		transpose(block.data, block.row, a.data, a.col, k, m)
		a = block
	}
	if s.nonzero == nil {
		s.nonzero = make([]uint64, blockK/sparseK*groupM)
	}
	for q := 0; q < k; q += sparseK {
		nonzeros(s.nonzero[q/sparseK*groupM:][:m], a.data[q:], a.row, min(sparseK, k-q))
	}
	low, _ = magnitudes(a.data, a.row, m, k)
	return a, low
}

// prepareB copies or transposes a k×n panel of B, and returns its smallest magnitude that is not 0
// and its largest.
func (s *scratch) prepareB(b operand, k, n int) (low, high float64) {
	if b.col == 1 {
		return packSparse(s.b[:], b.data, b.row, k, n)
	}
	transpose(s.b[:], n, b.data, b.col, n, k)
	return magnitudes(s.b[:], n, k, n)
}

// sparsePanel computes a panel by rows of A, of which the words of nonzero tell the places that are
// not zero; the rows of B lie one after the other.
//
//go:noinline
func sparsePanel(p *panel, nonzero []uint64) { sparseAVX512(p, &nonzero[0]) }

// magnitudes returns the smallest magnitude of an m×n matrix that is not 0, or else +Inf, and the
// largest, a NaN above all.
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
func sparseAVX512(p *panel, nonzero *uint64)

//go:noescape
func nonzerosAVX512(nonzero *uint64, a *float64, lda, m, k int)

//go:noescape
func magnitudesAVX512(x *float64, ld, m, n int) (low, high uint64)

//go:noescape
func packAVX512(dst, src *float64, ld, k, n int) (low, high uint64)
