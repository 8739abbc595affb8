//go:build !purego

package kernel

import (
	"math/rand/v2"
	"testing"
)

// The terms of a product are taken in blocks, and behind the last whole one there is nothing.
func TestSparseProductsOfWholeBlocks(t *testing.T) {
	const m, n = 64, 70
	each(t, func(t *testing.T) {
		for _, k := range []int{blockK, 2 * blockK} {
			for _, p := range products {
				r := rand.New(rand.NewPCG(uint64(k), 23))
				ar, lda := p.a(m, n, k)
				br, ldb := p.b(m, n, k)
				a, b := draw(r, make([]float64, m*k), ar, lda, lda), draw(r, make([]float64, n*k), br, ldb, ldb)
				thin(r, a, ar, lda, lda)
				bias, c := make([]float64, n), make([]float64, m*n)
				p.run(c, n, a, lda, b, ldb, bias, m, n, k)
				for i := range m {
					for j := range n {
						magnitude := 0.0
						for l := range k {
							magnitude += max(p.at(a, lda, i, l)*p.bt(b, ldb, l, j), -p.at(a, lda, i, l)*p.bt(b, ldb, l, j))
						}
						want := chain(0, k, func(l int) float64 { return p.at(a, lda, i, l) }, func(l int) float64 { return p.bt(b, ldb, l, j) })
						if got := c[i*n+j]; !agrees(got, want, k, magnitude) {
							t.Fatalf("%s of %d terms: element (%d, %d) = %v, want %v", p.name, k, i, j, got, want)
						}
					}
				}
			}
		}
	})
}
