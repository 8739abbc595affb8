//go:build amd64 && !purego

package kernel

import (
	"math"
	"sync/atomic"
)

// The assembly is entered for one panel of at most maxPanel columns, blockM rows and blockK products per
// element at a time: some 50 µs, after which the goroutine can be preempted. What a panel reads again and
// again, blockK rows of B, then stays in the first two levels of cache.
const (
	blockM = 256
	blockK = 256
)

//go:noescape
func gemmAVX512(c *float64, ldc int, a *float64, ars, acs int, b *float64, ldb int, c0 *float64, ldc0 int, m, n, k int)

//go:noescape
func gemmAVX2(c *float64, ldc int, a *float64, ars, acs int, b *float64, ldb int, c0 *float64, ldc0 int, m, n, k int)

//go:noescape
func transposeAVX2(dst *float64, ldd int, src *float64, lds int, rows, cols int)

//go:noescape
func matvecAVX2(z *float64, w *float64, ldw int, x *float64, k, g2, g3, g4 int)

// A panel of packed operand.
type panel [blockK * maxPanel]float64

// Panels not in use. More than this many at once, and the garbage collector has the others.
var panels [16]atomic.Pointer[panel]

func takePanel() *panel {
	for i := range panels {
		if p := panels[i].Swap(nil); p != nil {
			return p
		}
	}
	return new(panel)
}

func (p *panel) put() {
	for i := range panels {
		if panels[i].CompareAndSwap(nil, p) {
			return
		}
	}
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

// block computes C = C₀ + A·B for one block. It is a function of its own so that the goroutine
// can be preempted between two blocks: the assembly has no preemption point.
//
//go:noinline
func block(wide bool, c *float64, ldc int, a *float64, ars, acs int, b *float64, ldb int, c0 *float64, ldc0 int, m, n, k int) {
	if wide {
		gemmAVX512(c, ldc, a, ars, acs, b, ldb, c0, ldc0, m, n, k)
	} else {
		gemmAVX2(c, ldc, a, ars, acs, b, ldb, c0, ldc0, m, n, k)
	}
}

// direct computes C = 1·c₀ᵀ + A·B of at most twelve columns and one block.
func direct(c []float64, ldc int, a []float64, ars, acs int, b []float64, ldb int, c0 *float64, m, n, k int) {
	if active == &avx512 {
		gemmAVX512(&c[0], ldc, &a[0], ars, acs, &b[0], ldb, c0, 0, m, n, k)
	} else {
		gemmAVX2(&c[0], ldc, &a[0], ars, acs, &b[0], ldb, c0, 0, m, n, k)
	}
}

// multiply computes C = A·B  (m×k · k×n), element (i, l) of A being a[i*ars+l*acs].
func multiply(c []float64, ldc int, a []float64, ars, acs int, b []float64, ldb int, m, n, k int) {
	if active == &generic {
		multiplyGeneric(c, ldc, a, ars, acs, b, ldb, m, n, k)
		return
	}
	if k == 0 {
		fill(c, ldc, nil, m, n)
		return
	}
	if n <= 4 && m <= blockM && k <= blockK {
		direct(c, ldc, a, ars, acs, b, ldb, &zero[0], m, n, k)
		return
	}
	width, wide := split(n)
	for l := 0; l < k; l += blockK {
		lk := min(blockK, k-l)
		for j := 0; j < n; j += width {
			nj := min(width, n-j)
			for i := 0; i < m; i += blockM {
				ci := &c[i*ldc+j]
				c0, ldc0 := &zero[0], 0
				if l > 0 {
					c0, ldc0 = ci, ldc
				}
				block(wide, ci, ldc, &a[i*ars+l*acs], ars, acs, &b[l*ldb+j], ldb, c0, ldc0, min(blockM, m-i), nj, lk)
			}
		}
	}
}

// affine is Affine for shapes already checked. The product needs Wᵀ with contiguous rows: few samples are
// multiplied while W is transposed in registers, more of them with a panel of W transposed once.
func affine(z []float64, ldz int, x []float64, ldx int, w []float64, ldw int, b []float64, n, in, out int) {
	if active == &generic {
		affineGeneric(z, ldz, x, ldx, w, ldw, b, n, in, out)
		return
	}
	if in == 0 {
		fill(z, ldz, b, n, out)
		return
	}
	if in*out <= len(tiny{}) && out <= 12 && n <= blockM {
		affineTiny(z, ldz, x, ldx, w, ldw, b, n, in, out)
		return
	}
	if n <= 3 && out >= 4 {
		for i := range n {
			affineRow(z[i*ldz:i*ldz+out], x[i*ldx:i*ldx+in], w, ldw, b)
		}
		return
	}
	p := takePanel()
	width, wide := split(out)
	for l := 0; l < in; l += blockK {
		lk := min(blockK, in-l)
		for j := 0; j < out; j += width {
			nj := min(width, out-j)
			transpose(p[:], width, w[j*ldw+l:], ldw, nj, lk)
			for i := 0; i < n; i += blockM {
				zi := &z[i*ldz+j]
				c0, ldc0 := &zero[0], 0
				if l > 0 {
					c0, ldc0 = zi, ldz
				} else if b != nil {
					c0 = &b[j]
				}
				block(wide, zi, ldz, &x[i*ldx+l], ldx, 1, &p[0], width, c0, ldc0, min(blockM, n-i), nj, lk)
			}
		}
	}
	p.put()
}

// tiny is Wᵀ of a layer so small that a call should cost nanoseconds.
type tiny [16]float64

func affineTiny(z []float64, ldz int, x []float64, ldx int, w []float64, ldw int, b []float64, n, in, out int) {
	c0 := &zero[0]
	if b != nil {
		c0 = &b[0]
	}
	if out == 1 {
		direct(z, ldz, x, ldx, 1, w, 1, c0, n, 1, in) // Wᵀ as it is
		return
	}
	var t tiny
	for j := range out {
		for l, v := range w[j*ldw : j*ldw+in] {
			t[(l*out+j)&15] = v
		}
	}
	direct(z, ldz, x, ldx, 1, t[:], out, c0, n, out, in)
}

// affineRow computes z = W·x + b for one sample and at least four units.
func affineRow(z, x []float64, w []float64, ldw int, b []float64) {
	in, out := len(x), len(z)
	if b == nil {
		clear(z)
	} else {
		copy(z, b)
	}
	for j, rows := 0, 0; j < out; j += rows {
		rows = min(16, out-j)
		if left := out - j - rows; 0 < left && left < 4 {
			rows = 12
		}
		for l := 0; l+4 <= in; l += 8192 {
			matvec(z[j:j+rows], w[j*ldw+l:], ldw, x[l:min(l+8192, in&^3)])
		}
		for r := j; r < j+rows; r++ {
			for l := in &^ 3; l < in; l++ {
				z[r] = math.FMA(x[l], w[r*ldw+l], z[r])
			}
		}
	}
}

// matvec computes z = z + W·x for 4 to 16 rows and a multiple of four columns. Where there are fewer than
// 16 rows its groups overlap and compute the same element twice.
//
//go:noinline
func matvec(z, w []float64, ldw int, x []float64) {
	last := len(z) - 4
	matvecAVX2(&z[0], &w[0], ldw, &x[0], len(x), min(4, last), min(8, last), last)
}

// transpose computes dst = srcᵀ of a rows×cols block, also by blocks of 4×4 that overlap at the ends.
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

// The benchmarks compare with these.

func peakAVX512(n int)

func peakAVX2(n int)
