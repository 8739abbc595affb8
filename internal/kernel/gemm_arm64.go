//go:build arm64 && !purego

package kernel

// detect returns NEON, whose fused multiplication every arm64 has.
func detect() []instructionSet { return []instructionSet{generic, neon} }

const maxPanel = 12

// split returns the width of the equal panels, in whole vectors, that cover n columns.
func split(n int) int {
	vectors := (n + 1) / 2
	panels := (vectors + 5) / 6 // of six vectors at most
	return (vectors + panels - 1) / panels * 2
}

// affineOwn computes Affine for one sample, and reports whether it does.
func affineOwn(z, x, w *Matrix, b []float64) bool {
	if x.Rows > 1 || w.Rows < 4 {
		return false
	}
	affineRow(z.Data[:w.Rows], x.Data[:x.Cols], w, b)
	return true
}

// multiplySparse reports that no product leaves out zeros: row by row, each multiplication takes a
// load, of which a dense tile has one for three.
func multiplySparse(c *Matrix, a, b *operand, k int, c0 []float64) bool { return false }

//go:noinline
func gemm(p *panel) { gemmNEON(p) }

//go:noinline
func matvec(p *panel) { matvecNEON(p) }

func transposeBlocks(dst *float64, ldd int, src *float64, lds, rows, cols int) {
	transposeNEON(dst, ldd, src, lds, rows, cols)
}

func packRows(dst, src *float64, lds, rows, vectors int) { packNEON(dst, src, lds, rows, vectors) }

//go:noescape
func gemmNEON(p *panel)

//go:noescape
func transposeNEON(dst *float64, ldd int, src *float64, lds, rows, cols int)

//go:noescape
func packNEON(dst, src *float64, lds, rows, vectors int)

//go:noescape
func matvecNEON(p *panel)
