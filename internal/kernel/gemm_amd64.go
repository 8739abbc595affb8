//go:build amd64 && !purego

package kernel

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

// affineOwn computes Affine where W need not be transposed in memory, as the assembly does it in
// registers, or where X is sparse, and reports whether it does.
func affineOwn(z, x, w *Matrix, b []float64) bool {
	switch n, in, out := x.Rows, x.Cols, w.Rows; {
	case in <= tinySize && out <= flatUnits && n*out <= flatSize:
		affineFlat(z, x, w, b)
	case n == 1 && out >= 4: // on Zen 4 1×784×128 takes 0.32 of the time of panels, 1×128×10 0.53; 2×64×64 would take 1.14
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

//go:noinline
func gemm(p *panel) {
	if active == avx512 {
		gemmAVX512(p)
	} else {
		gemmAVX2(p)
	}
}

//go:noinline
func matvec(p *panel) { matvecAVX2(p) }

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
func matvecAVX2(p *panel)
