//go:build amd64 && !purego

package kernel

import (
	"math"
	"sync/atomic"
)

// The assembly is entered for one panel of at most maxPanel columns, blockM rows and blockK products per element
// at a time: at most 60 µs, after which the goroutine can be preempted. What a panel reads again
// and again, blockK rows of B and blockM of A, stays in the second level of cache. A panel of B that is copied
// serves groupM rows before the next.
const (
	maxPanel = 24
	blockM   = 128
	blockK   = 512
	groupM   = 2 * blockM
)

// affine is Affine for shapes already checked. Its product needs rows of Wᵀ: the kernels either transpose W in
// registers or are given a transposed panel.
func affine(z []float64, ldz int, x []float64, ldx int, w []float64, ldw int, b []float64, n, in, out int) {
	wide := active == &avx512
	switch {
	case active == &generic:
		affineGeneric(z, ldz, x, ldx, w, ldw, b, n, in, out)
	case sparse(x, ldx, 1, n, out, in) && multiplySparse(z, ldz, x, ldx, 1, &Matrix{out, in, w, ldw}, true, b, n, out, in, nil): // done
	case in == 0:
		fill(z, ldz, b, n, out)
	case in <= 4 && n <= blockM && n*out <= 1<<13:
		for j := 0; j < out; j += 4 {
			c0, _ := start(0, nil, 0, b, j)
			nj := min(4, out-j)
			tinyAffine(&Matrix{n, nj, z[j:], ldz}, &Matrix{n, in, x, ldx}, &Matrix{nj, in, w[j*ldw:], ldw}, c0)
		}
	case out == 1 && in <= blockK && n <= blockM:
		c0, _ := start(0, nil, 0, b, 0)
		direct(z, ldz, x, ldx, 1, w, 1, c0, n, 1, in) // Wᵀ as it is
	case wide && out >= 16 && n > 1 && spread(ldw):
		affineInPlace(z, ldz, x, ldx, w, ldw, b, n, in, out)
	case wide && 4 < out && out < 16 && n >= 16 && in%4 == 0 && spread(ldx):
		affineNarrow(z, ldz, x, ldx, w, ldw, b, n, in, out)
	case n <= 3 && out >= 4:
		for i := range n {
			affineRow(z[i*ldz:i*ldz+out], x[i*ldx:i*ldx+in], w, ldw, b)
		}
	default:
		affineFrom(0, z, ldz, x, ldx, w, ldw, b, n, in, out)
	}
}

// tiny reports whether an m×n product of k terms is one for tinyAffine, tinyMulTN or tinyMulNN.
func tiny(m, n, k int) bool {
	return n <= 4 && 0 < k && k <= 4 && m <= blockM && active != &generic
}

// direct computes C = 1·c₀ᵀ + A·B of at most four columns and one block, at once.
func direct(c []float64, ldc int, a []float64, ars, acs int, b []float64, ldb int, c0 *float64, m, n, k int) {
	if active == &avx512 {
		gemmAVX512(&c[0], ldc, &a[0], ars, acs, &b[0], ldb, c0, 0, m, n, k, nil)
	} else {
		gemmAVX2(&c[0], ldc, &a[0], ars, acs, &b[0], ldb, c0, 0, m, n, k)
	}
}

// spread reports whether sixteen rows of stride ld can be in the first level of cache at the same time. They
// cannot if they are about a multiple of 2048 bytes apart and so share its sets.
func spread(ld int) bool { return (ld+8)%256 > 16 }

// affineInPlace is affine for at least sixteen units, in panels of sixteen. If half a panel or less is left,
// that is transposed in memory; else the last panel overlaps the one before and computes some elements twice.
func affineInPlace(z []float64, ldz int, x []float64, ldx int, w []float64, ldw int, b []float64, n, in, out int) {
	if left := out % 16; 0 < left && left <= 8 {
		out -= left
		var bias []float64
		if b != nil {
			bias = b[out:]
		}
		affineFrom(0, z[out:], ldz, x, ldx, w[out*ldw:], ldw, bias, n, in, left)
	}
	whole := in &^ 3
	for j := 0; j < out; j += 16 {
		j := min(j, out-16)
		for l := 0; l < whole; l += blockK {
			for i := 0; i < n; i += blockM {
				zi := z[i*ldz+j:]
				c0, ldc0 := start(l, zi, ldz, b, j)
				blockT(zi, ldz, x[i*ldx+l:], ldx, w[j*ldw+l:], ldw, c0, ldc0, min(blockM, n-i), min(blockK, whole-l))
			}
		}
	}
	affineFrom(whole, z, ldz, x, ldx, w, ldw, b, n, in, out)
}

// affineNarrow is affine for few units, at least sixteen samples and a multiple of four inputs. It computes
// Zᵀ = W·Xᵀ, so that the vectors lie along the samples and are full, in panels of sixteen samples.
func affineNarrow(z []float64, ldz int, x []float64, ldx int, w []float64, ldw int, b []float64, n, in, out int) {
	s := takeScratch()
	bias, zt := s.b[:16*out], s.b[16*out:32*out]
	clear(bias)
	for j, v := range b {
		for i := range 16 {
			bias[16*j+i] = v
		}
	}
	for i := 0; i < n; i += 16 {
		i := min(i, n-16)
		c0 := &bias[0]
		for l := 0; l < in; l += blockK {
			blockT(zt, 16, w[l:], ldw, x[i*ldx+l:], ldx, c0, 16, out, min(blockK, in-l))
			c0 = &zt[0]
		}
		transpose(z[i*ldz:], ldz, zt, 16, out, 16)
	}
	s.put()
}

// affineRow computes z = W·x + b for one sample and at least four units.
func affineRow(z, x []float64, w []float64, ldw int, b []float64) {
	in, out := len(x), len(z)
	fill(z, out, b, 1, out)
	for j, rows := 0, 0; j < out; j += rows {
		rows = min(16, out-j)
		if left := out - j - rows; 0 < left && left < 4 {
			rows = 12
		}
		const most = 16 * blockK
		for l := 0; l+4 <= in; l += most {
			matvec(z[j:j+rows], w[j*ldw+l:], ldw, x[l:min(l+most, in&^3)])
		}
		for r := j; r < j+rows; r++ {
			for l := in &^ 3; l < in; l++ {
				z[r] = math.FMA(x[l], w[r*ldw+l], z[r])
			}
		}
	}
}

// affineFrom continues affine from the inner dimension first on, with panels of W transposed in memory.
func affineFrom(first int, z []float64, ldz int, x []float64, ldx int, w []float64, ldw int, b []float64, n, in, out int) {
	if first == in {
		return
	}
	s := takeScratch()
	width, wide := split(out)
	for l := first; l < in; l += blockK {
		lk := min(blockK, in-l)
		for j := 0; j < out; j += width {
			nj := min(width, out-j)
			transpose(s.b[:], width, w[j*ldw+l:], ldw, nj, lk)
			for i := 0; i < n; i += blockM {
				zi := z[i*ldz+j:]
				c0, ldc0 := start(l, zi, ldz, b, j)
				block(wide, zi, ldz, x[i*ldx+l:], ldx, 1, s.b[:], width, c0, ldc0, min(blockM, n-i), nj, lk, nil)
			}
		}
	}
	s.put()
}

// start returns what the chains of c continue from at inner dimension l: b from j on, zero if that is nil, or
// c itself.
func start(l int, c []float64, ldc int, b []float64, j int) (c0 *float64, ldc0 int) {
	switch {
	case l > 0:
		return &c[0], ldc
	case b != nil:
		return &b[j], 0
	default:
		return &zero[0], 0
	}
}

// canAdd reports whether multiply can add an m×n product of k terms to C: in one block of k, by the kernel for
// AVX-512.
func canAdd(n, k int) bool {
	_, wide := split(n)
	return wide && n > 4 && 0 < k && k <= blockK
}

// multiply computes C = A·B  (m×k · k×n), element (i, l) of A being a[i*ars+l*acs], or C = C + α·A·B where alpha
// is not nil, if canAdd.
func multiply(c []float64, ldc int, a []float64, ars, acs int, b []float64, ldb int, m, n, k int, alpha *float64) {
	switch {
	case active == &generic:
		multiplyGeneric(c, ldc, a, ars, acs, b, ldb, m, n, k)
		return
	case k == 0:
		fill(c, ldc, nil, m, n)
		return
	case n <= 4 && m <= blockM && k <= blockK:
		direct(c, ldc, a, ars, acs, b, ldb, &zero[0], m, n, k)
		return
	}
	if sparse(a, ars, acs, m, n, k) && multiplySparse(c, ldc, a, ars, acs, &Matrix{k, n, b, ldb}, false, nil, m, n, k, alpha) {
		return
	}
	width, wide := split(n)
	packA, packB := packs(acs, ldb, m, n, k, wide)
	var s *scratch
	if packA || packB {
		s = takeScratch()
		defer s.put()
	}
	for l := 0; l < k; l += blockK {
		lk := min(blockK, k-l)
		for first := 0; first < m; first += groupM {
			end := min(first+groupM, m)
			if packA {
				for i := first; i < end; i += blockM {
					s.packA(i-first, a[i*ars+l*acs:], acs, min(blockM, end-i), lk)
				}
			}
			for j := 0; j < n; j += width {
				nj := min(width, n-j)
				bj, ldb := b[l*ldb+j:], ldb
				if packB && nj%4 == 0 {
					pack(s.b[:], bj, ldb, lk, nj)
					bj, ldb = s.b[:], nj
				}
				for i := first; i < end; i += blockM {
					ai, acs := a[i*ars+l*acs:], acs
					if packA {
						ai, acs = s.a[(i-first)/blockM*blockK*lda:], lda
					}
					ci := c[i*ldc+j:]
					c0, ldc0 := start(l, ci, ldc, nil, 0)
					block(wide, ci, ldc, ai, ars, acs, bj, ldb, c0, ldc0, min(blockM, end-i), nj, lk, alpha)
				}
			}
		}
	}
}

// packs decides what of a product is copied before it is used. Columns of A, if those of a wide matrix,
// would miss the cache at every step. Rows of B may, too, and are on a page each, but the wider the
// panel the more of each is used at once, and the fewer the rows of A the less there is to gain.
func packs(acs, ldb, m, n, k int, wide bool) (a, b bool) {
	a = acs > 1 && m >= blockM && n >= 256 && k >= 64
	if wide {
		return a, m >= 128 && (ldb >= 512 && !spread(ldb) || n*k >= 1<<18)
	}
	return a, m >= 64 && (!spread(ldb) || n*k >= 1<<16)
}

// split returns the width of the equal panels, in whole vectors, that cover n columns, and whether the vectors
// are of eight lanes. Nine to twelve columns fill vectors of four better.
func split(n int) (width int, wide bool) {
	lanes := 4
	wide = active == &avx512 && (n <= 8 || n > 12)
	if wide {
		lanes = 8
	}
	vectors := (n + lanes - 1) / lanes
	count := (vectors + 2) / 3
	return (vectors + count - 1) / count * lanes, wide
}

// fill sets each row of c to b, or to zero if b is nil.
func fill(c []float64, ldc int, b []float64, m, n int) {
	for i := range m {
		if ci := c[i*ldc : i*ldc+n]; b == nil {
			clear(ci)
		} else {
			copy(ci, b)
		}
	}
}

// scratch is memory for packed operands and what else a product needs for a while: a panel of B and, made when
// first needed, a group of A's blocks, each [l][i] with a stride that is no power of two, which would put its rows
// into few sets of the cache. A sparse product keeps a group's rows there, [i][l], the places that are not zero,
// and sums that wait for their last terms.
type scratch struct {
	b       [blockK * maxPanel]float64
	nonzero [blockK / sparseK][groupM]uint64
	a, sums []float64
}

const (
	lda   = blockM + 8
	sizeA = groupM / blockM * blockK * lda
)

// need makes memory of n elements where there is none.
func need(memory *[]float64, n int) []float64 {
	if *memory == nil {
		*memory = make([]float64, n)
	}
	return *memory
}

// packA copies the block that begins at row i of the group.
func (s *scratch) packA(i int, a []float64, acs, m, k int) {
	to := need(&s.a, sizeA)[i/blockM*blockK*lda:]
	for l := range k {
		copy(to[l*lda:l*lda+m], a[l*acs:])
	}
}

// Scratch not in use. If more than this many are taken at once, the garbage collector gets the others.
var free [16]atomic.Pointer[scratch]

func takeScratch() *scratch {
	for i := range free {
		if s := free[i].Swap(nil); s != nil {
			return s
		}
	}
	return new(scratch)
}

func (s *scratch) put() {
	for i := range free {
		if free[i].CompareAndSwap(nil, s) {
			return
		}
	}
}

// The functions that follow enter the assembly. They are not inlined so that a goroutine can be preempted
// where they begin: it cannot be in assembly, nor in a loop that calls nothing else.

// block computes C = C₀ + A·B for one block, or C = C + α·(C₀ + A·B) where alpha is not nil, if wide.
//
//go:noinline
func block(wide bool, c []float64, ldc int, a []float64, ars, acs int, b []float64, ldb int, c0 *float64, ldc0 int, m, n, k int, alpha *float64) {
	if wide {
		gemmAVX512(&c[0], ldc, &a[0], ars, acs, &b[0], ldb, c0, ldc0, m, n, k, alpha)
	} else {
		gemmAVX2(&c[0], ldc, &a[0], ars, acs, &b[0], ldb, c0, ldc0, m, n, k)
	}
}

// blockT computes C = C₀ + A·Bᵀ for one block of sixteen columns.
//
//go:noinline
func blockT(c []float64, ldc int, a []float64, lda int, b []float64, ldb int, c0 *float64, ldc0 int, m, k int) {
	gemmtAVX512(&c[0], ldc, &a[0], lda, &b[0], ldb, c0, ldc0, m, k)
}

// matvec computes z = z + W·x for 4 to 16 rows and a multiple of four columns. Where there are fewer than
// 16 rows its groups of four overlap and compute the same element twice.
//
//go:noinline
func matvec(z, w []float64, ldw int, x []float64) {
	last := len(z) - 4
	matvecAVX2(&z[0], &w[0], ldw, &x[0], len(x), min(4, last), min(8, last), last)
}

// transpose computes dst = srcᵀ of a rows×cols block, by blocks of 4×4 that overlap at the ends.
//
//go:noinline
func transpose(dst []float64, ldd int, src []float64, lds int, rows, cols int) {
	if rows < 4 || cols < 4 {
		for i := range rows {
			for j, v := range src[i*lds : i*lds+cols] {
				dst[j*ldd+i] = v
			}
		}
		return
	}
	i, j := rows-4, cols-4
	transposeAVX2(&dst[0], ldd, &src[0], lds, rows&^3, cols&^3)
	if rows&3 != 0 {
		transposeAVX2(&dst[i], ldd, &src[i*lds], lds, 4, cols&^3)
	}
	if cols&3 != 0 {
		transposeAVX2(&dst[j*ldd], ldd, &src[j], lds, rows&^3, 4)
		transposeAVX2(&dst[j*ldd+i], ldd, &src[i*lds+j], lds, 4, 4)
	}
}

// pack copies cols columns of src, a multiple of four.
//
//go:noinline
func pack(dst, src []float64, lds, rows, cols int) { packAVX2(&dst[0], &src[0], lds, rows, cols/4) }

//go:noescape
func gemmAVX512(c *float64, ldc int, a *float64, ars, acs int, b *float64, ldb int, c0 *float64, ldc0 int, m, n, k int, alpha *float64)

//go:noescape
func gemmAVX2(c *float64, ldc int, a *float64, ars, acs int, b *float64, ldb int, c0 *float64, ldc0 int, m, n, k int)

//go:noescape
func tinyAffine(z, x, w *Matrix, c0 *float64)

//go:noescape
func tinyMulTN(dw, dz, x *Matrix)

//go:noescape
func tinyMulNN(dx, dz, w *Matrix)

//go:noescape
func gemmtAVX512(c *float64, ldc int, a *float64, lda int, b *float64, ldb int, c0 *float64, ldc0 int, m, k int)

//go:noescape
func transposeAVX2(dst *float64, ldd int, src *float64, lds int, rows, cols int)

//go:noescape
func packAVX2(dst, src *float64, lds, rows, vectors int)

//go:noescape
func matvecAVX2(z *float64, w *float64, ldw int, x *float64, k, g2, g3, g4 int)

// What independent FMA chains reach, for the benchmarks.

func peakAVX512(n int)

func peakAVX2(n int)
