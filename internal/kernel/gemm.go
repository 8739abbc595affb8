//go:build (amd64 || arm64) && !purego

package kernel

import "sync/atomic"

// This file drives the micro-kernels: which shape goes where, how it is cut into panels and what is
// copied first. It is the same for every architecture that has assembly; gemm_$GOARCH.go holds what
// is particular to one:
//
//   - gemm(p *panel), the micro-kernel, computes a panel of 1 ≤ m, 1 ≤ n ≤ maxPanel and 1 ≤ k. Each
//     element is one FMA chain in the order of l. A may have any strides, 0 among them; C₀ may be C,
//     or a row of stride 0. Nothing outside the matrices is read or written, be it between their rows.
//   - transposeBlocks(dst *float64, ldd int, src *float64, lds, rows, cols int) computes dst = srcᵀ,
//     rows and cols being multiples of four above zero.
//   - packRows(dst, src *float64, lds, rows, vectors int) copies the first 4·vectors columns of src,
//     its rows one after the other.
//   - matvec(p *panel) computes a panel of one row, 4 ≤ n and 1 ≤ k, whose B lies by columns: it has
//     b[j*ldb+l] where the loop below has b[l*ldb+j].
//   - maxPanel is the width of the widest panel, split(n int) int that of the panels that cover n
//     columns.
//   - affineOwn(z, x, w *Matrix, b []float64) bool computes Affine if the architecture has a way of
//     its own for that shape, and reports whether it does.
//   - multiplySparse(c *Matrix, a, b *operand, k int, c0 []float64) bool computes C = 1·c₀ᵀ + A·B
//     without the terms of A's zeros if that is worth it, and reports whether it is.
//   - tiny(m, n, k int) bool reports whether a product is so small that tinyAffine, tinyMulTN and
//     tinyMulNN hand its matrices to the assembly as they are.
//
// All thresholds here were measured on amd64. On arm64 instructions were counted, under emulation:
// 0.76 to 0.8 for a multiplication and an addition of large products (of which 0.5 are the FMLA), 1.6
// in a layer of one sample.
//
// What is given to the assembly at a time is bounded, and the functions that do so in a loop are
// not inlined, so that a goroutine can be preempted where they begin: it cannot be in assembly, nor
// in a loop that calls nothing else. They call by name: see instructionSet.

// A panel is what the micro-kernel computes at a time:
//
//	for i := range m {
//		for j := range n {
//			acc := c0[i*ldc0+j]
//			for l := range k {
//				acc = math.FMA(a[i*row+l*col], b[l*ldb+j], acc)
//			}
//			c[i*ldc+j] = acc
//		}
//	}
//
// It is filled field by field: a composite literal may be made elsewhere and copied in larger
// words, which have to wait for its stores.
type panel struct {
	c, a, b, c0              *float64
	ldc, row, col, ldb, ldc0 int
	m, n, k                  int
}

// A panel has at most blockM rows and blockK products per element: at most 60 µs of work. What it
// reads again and again, blockK rows of B and blockM of A, stays in the second level of cache. A
// panel of B that is copied serves groupM rows before the next. Half or twice of blockM and half of
// blockK change the time of 256×1024×1024 by less than the 5 % that can be measured; groupM =
// blockM costs its dX 8 %.
const (
	blockM = 128
	blockK = 512
	groupM = 2 * blockM
)

// A product of at most narrow columns and one panel is handed to the micro-kernel without more ado:
// 4×2×8 takes 0.65 of its time, 32×4×16 0.91, 128×4×512 1.00; a single unit of 8 inputs 0.47, of 64
// 0.91, of 512 0.96.
const narrow = 4

// When operands are copied: figures are the time of the product with the copy over that without, on
// an Intel Xeon with AVX-512. The names of products are N×in×out.
const (
	// A copy of a panel of B pays in so large a product, or if the rows of B share sets of the cache,
	// but not for fewer rows of A. dX of 64×512×512 takes 0.56 of its time, of 128×784×128 0.92, of
	// 64×784×128 it would 1.05; in shared sets that of 256×1024×10 0.87, in others, of 256×1000×10, 1.03.
	packSizeB = 1 << 23
	packRowsB = 64

	// Columns of A that are so far apart are copied for so many columns and terms of a product:
	// dW of 256×1024×1024 takes 0.86 of its time, with a distance of 512 0.90 to 0.98, of 256
	// 0.92 to 1.05.
	packStrideA = 512
	packColsA   = 256
	packTermsA  = 64
)

// start returns what the chains of a panel at c continue from at inner dimension l: c itself behind
// the first, else element j of the bias b, or zero if that is nil.
func start(l int, c *float64, ldc int, b []float64, j int) (c0 *float64, ldc0 int) {
	switch {
	case l > 0:
		return c, ldc
	case b != nil:
		return &b[j], 0
	default:
		return &zero[0], 0
	}
}

// affine computes Affine for a shape that is checked, not tiny and not empty.
func affine(z, x, w *Matrix, b []float64) {
	switch n, in, out := x.Rows, x.Cols, w.Rows; {
	case active == generic:
		affineGeneric(z, x, w, b)
	case out == 1 && in <= blockK && n <= blockM: // Wᵀ as it is
		var p panel
		p.c, p.ldc = &z.Data[0], z.Stride
		p.a, p.row, p.col = &x.Data[0], x.Stride, 1
		p.b, p.ldb = &w.Data[0], 1
		p.c0, p.ldc0 = start(0, nil, 0, b, 0)
		p.m, p.n, p.k = n, 1, in
		gemm(&p)
	default:
		if !affineOwn(z, x, w, b) {
			affineByPanels(z, x, w, b)
		}
	}
}

// affineByPanels computes Affine with panels of W transposed in memory.
func affineByPanels(z, x, w *Matrix, b []float64) {
	n, in, out := x.Rows, x.Cols, w.Rows
	s := takeScratch()
	width := split(out)
	var p panel
	p.ldc, p.row, p.col = z.Stride, x.Stride, 1
	p.b, p.ldb = &s.b[0], width
	for l := 0; l < in; l += blockK {
		p.k = min(blockK, in-l)
		for j := 0; j < out; j += width {
			p.n = min(width, out-j)
			transpose(s.b[:], width, w.Data[j*w.Stride+l:], w.Stride, p.n, p.k)
			for i := 0; i < n; i += blockM {
				p.m = min(blockM, n-i)
				p.c, p.a = &z.Data[i*z.Stride+j], &x.Data[i*x.Stride+l]
				p.c0, p.ldc0 = start(l, p.c, p.ldc, b, j)
				gemm(&p)
			}
		}
	}
	s.put()
}

// affineRow computes z = W·x + b for one sample and at least four units.
func affineRow(z, x []float64, w *Matrix, b []float64) {
	if b == nil {
		clear(z)
		b = z
	}
	in, out := len(x), len(z)
	const terms = 16 * blockK // at a time for 16 units, some 10 µs; for more units fewer terms
	var p panel
	p.ldb = w.Stride
	for l := 0; l < in; l += terms {
		p.a, p.k = &x[l], min(terms, in-l)
		rows := 16 * terms / p.k &^ 15
		for j := 0; j < out; j += p.n {
			p.n = min(rows, out-j)
			if left := out - j - p.n; 0 < left && left < 4 {
				p.n -= 4
			}
			p.c, p.c0, p.b = &z[j], &b[j], &w.Data[j*w.Stride+l]
			matvec(&p)
		}
		b = z
	}
}

// multiply computes C = A·B for a shape that is checked, not tiny and not empty.
func multiply(c *Matrix, a operand, b *Matrix) {
	switch m, n, k := c.Rows, c.Cols, b.Rows; {
	case active == generic:
		multiplyGeneric(c, a, b)
	case n <= narrow && m <= blockM && k <= blockK:
		var p panel
		p.c, p.ldc = &c.Data[0], c.Stride
		p.a, p.row, p.col = &a.data[0], a.row, a.col
		p.b, p.ldb = &b.Data[0], b.Stride
		p.c0, p.ldc0 = &zero[0], 0
		p.m, p.n, p.k = m, n, k
		gemm(&p)
	default:
		multiplyByPanels(c, a, b)
	}
}

// multiplyByPanels computes C = A·B of any size.
func multiplyByPanels(c *Matrix, a operand, b *Matrix) {
	m, n, k := c.Rows, c.Cols, b.Rows
	if rows := b.byRows(); multiplySparse(c, &a, &rows, k, nil) {
		return
	}
	packA, packB := packs(&a, b, m)
	var s *scratch
	if packA || packB {
		s = takeScratch()
	}
	width := split(n)
	var p panel
	p.ldc, p.row = c.Stride, a.row
	for l := 0; l < k; l += blockK {
		p.k = min(blockK, k-l)
		for first := 0; first < m; first += groupM {
			end := min(first+groupM, m)
			if packA {
				for i := first; i < end; i += blockM {
					s.packA(i-first, a.from(i, l), min(blockM, end-i), p.k)
				}
			}
			for j := 0; j < n; j += width {
				p.n = min(width, n-j)
				p.b, p.ldb = &b.Data[l*b.Stride+j], b.Stride
				if packB && p.n%4 == 0 {
					pack(s.b[:], b.Data[l*b.Stride+j:], b.Stride, p.k, p.n)
					p.b, p.ldb = &s.b[0], p.n
				}
				for i := first; i < end; i += blockM {
					p.m = min(blockM, end-i)
					p.a, p.col = &a.data[i*a.row+l*a.col], a.col
					if packA {
						p.a, p.col = &s.a[(i-first)/blockM*blockK*lda], lda
					}
					p.c = &c.Data[i*c.Stride+j]
					p.c0, p.ldc0 = start(l, p.c, p.ldc, nil, 0)
					gemm(&p)
				}
			}
		}
	}
	if s != nil {
		s.put()
	}
}

// packs reports which operands of a product are copied before they are used. Columns of A, if those
// of a wide matrix, would miss the cache at every step; rows of B may, too, and are on a page each.
func packs(a *operand, b *Matrix, m int) (packA, packB bool) {
	n, k := b.Cols, b.Rows
	packA = a.col >= packStrideA && m >= blockM && n >= packColsA && k >= packTermsA
	packB = m >= packRowsB && (m*n*k >= packSizeB || !spread(b.Stride))
	return packA, packB
}

// spread reports whether rows of stride ld do not share sets of the first level of cache, as they
// do if they are about a multiple of 2048 bytes apart.
func spread(ld int) bool {
	const sets, near = 2048 / 8, 64 / 8 // in elements
	return (ld+near)%sets > 2*near
}

// from is the operand whose first element is element (i, l).
func (a *operand) from(i, l int) operand { return operand{a.data[i*a.row+l*a.col:], a.row, a.col} }

// scratch is memory for packed operands and what else a product needs for a while: a panel of B
// and, made when first needed, a group of A's blocks, each [l][i] with a stride that is no power of
// two, which would put its rows into few sets of the cache. A sparse product keeps a group's rows
// there, [i][l], and the places that are not zero, as the architecture likes them.
type scratch struct {
	b       [blockK * maxPanel]float64
	a       []float64
	nonzero []uint64
}

const (
	lda   = blockM + 8
	sizeA = groupM / blockM * blockK * lda
)

// needA makes the memory for a group of A's blocks where there is none.
func (s *scratch) needA() []float64 {
	if s.a == nil {
		s.a = make([]float64, sizeA)
	}
	return s.a
}

// packA copies the block that begins at row i of the group, whose columns lie one after the other.
func (s *scratch) packA(i int, a operand, m, k int) {
	to := s.needA()[i/blockM*blockK*lda:]
	for l := range k {
		copy(to[l*lda:l*lda+m], a.data[l*a.col:])
	}
}

// Scratch not in use. If more than this many are taken at once, the garbage collector gets the
// others.
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
	transposeBlocks(&dst[0], ldd, &src[0], lds, rows&^3, cols&^3)
	if rows&3 != 0 {
		transposeBlocks(&dst[i], ldd, &src[i*lds], lds, 4, cols&^3)
	}
	if cols&3 != 0 {
		transposeBlocks(&dst[j*ldd], ldd, &src[j], lds, rows&^3, 4)
		transposeBlocks(&dst[j*ldd+i], ldd, &src[i*lds+j], lds, 4, 4)
	}
}

// pack copies cols columns of src, a multiple of four.
//
//go:noinline
func pack(dst, src []float64, lds, rows, cols int) { packRows(&dst[0], &src[0], lds, rows, cols/4) }
