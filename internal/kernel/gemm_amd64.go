//go:build amd64 && !purego

package kernel

import "math"

const maxPanel = 24

// The thresholds were measured on an Intel Xeon with AVX-512, as the time of one way over the time
// of the other. The names of products are N×in×out.
const (
	// A product of at most so many columns and terms is tiny: all of its right operand is in
	// registers. 4×2×4 takes 10 ns, by way of the driver 18.
	tinySize = 4

	// A layer of at most tinySize inputs and flatUnits units is computed as tiny products, as
	// long as Z has at most flatSize elements: 4×2×8 takes 0.41 of the time of panels, 4×4×16
	// 0.83, 32×2×8 0.75, 128×2×8 1.09.
	flatUnits = 16
	flatSize  = 256

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

// tiny reports whether an m×n product of k terms is one for tinyAffine, tinyMulTN or tinyMulNN.
func tiny(m, n, k int) bool {
	return n <= tinySize && 0 < k && k <= tinySize && m <= blockM && active != generic
}

// split returns the width of the equal panels, in whole vectors, that cover n columns.
func split(n int) int {
	lanes := 4
	if active == avx512 {
		lanes = 8
	}
	vectors := (n + lanes - 1) / lanes
	panels := (vectors + 2) / 3 // of three vectors at most
	return (vectors + panels - 1) / panels * lanes
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

// affineOwn computes Affine where W need not be transposed in memory, as the assembly does it in
// registers, or where X is sparse, and reports whether it does.
func affineOwn(z, x, w *Matrix, b []float64) bool {
	switch n, in, out := x.Rows, x.Cols, w.Rows; {
	case in <= tinySize && out <= flatUnits && n*out <= flatSize:
		affineFlat(z, x, w, b)
	case n == 1 && out >= 4: // 1×784×128 takes 0.33 of the time of panels, 1×128×10 0.63; 2×128×10 would take 1.24
		affineRow(z.Data[:out], x.Data[:in], w, b)
	case n < sparseRows:
		return false
	default:
		rows, columns := x.byRows(), w.byColumns()
		return multiplySparse(z, &rows, &columns, in, b)
	}
	return true
}

// affineFlat is Affine for at most tinySize inputs, four units at a time.
func affineFlat(z, x, w *Matrix, b []float64) {
	zj, wj, c0 := *z, *w, &zero[0]
	for j := 0; j < w.Rows; j += 4 {
		zj.Data, wj.Data = z.Data[j:], w.Data[j*w.Stride:]
		wj.Rows = min(4, w.Rows-j)
		zj.Cols = wj.Rows
		if b != nil {
			c0 = &b[j]
		}
		tinyAffine(&zj, x, &wj, c0)
	}
}

// affineRow computes z = W·x + b for one sample and at least four units.
func affineRow(z, x []float64, w *Matrix, b []float64) {
	if b == nil {
		clear(z)
	} else {
		copy(z, b)
	}
	in, out, ldw := len(x), len(z), w.Stride
	for j, rows := 0, 0; j < out; j += rows {
		rows = min(16, out-j)
		if left := out - j - rows; 0 < left && left < 4 {
			rows = 12
		}
		wj := w.Data[j*ldw:]
		const most = 16 * blockK // of the terms at a time, some 10 µs
		for l := 0; l+4 <= in; l += most {
			matvec(z[j:j+rows], wj[l:], ldw, x[l:min(l+most, in&^3)])
		}
		for r := range rows {
			for l := in &^ 3; l < in; l++ {
				z[j+r] = math.FMA(x[l], wj[r*ldw+l], z[j+r])
			}
		}
	}
}

//go:noinline
func gemm(p *panel) {
	if active == avx512 {
		gemmAVX512(p)
	} else {
		gemmAVX2(p)
	}
}

// matvec computes z = z + W·x for 4 to 16 rows and a multiple of four columns. Where there are
// fewer than 16 rows its groups of four overlap and compute the same element twice.
//
//go:noinline
func matvec(z, w []float64, ldw int, x []float64) {
	last := len(z) - 4
	matvecAVX2(&z[0], &w[0], ldw, &x[0], len(x), min(4, last), min(8, last), last)
}

func transposeBlocks(dst *float64, ldd int, src *float64, lds, rows, cols int) {
	transposeAVX2(dst, ldd, src, lds, rows, cols)
}

func packRows(dst, src *float64, lds, rows, vectors int) { packAVX2(dst, src, lds, rows, vectors) }

//go:noescape
func gemmAVX512(p *panel)

//go:noescape
func gemmAVX2(p *panel)

//go:noescape
func tinyAffine(z, x, w *Matrix, c0 *float64)

//go:noescape
func tinyMulTN(dw, dz, x *Matrix)

//go:noescape
func tinyMulNN(dx, dz, w *Matrix)

//go:noescape
func transposeAVX2(dst *float64, ldd int, src *float64, lds, rows, cols int)

//go:noescape
func packAVX2(dst, src *float64, lds, rows, vectors int)

//go:noescape
func matvecAVX2(z *float64, w *float64, ldw int, x *float64, k, g2, g3, g4 int)
