//go:build amd64 && !purego

package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestManyZerosArePassedOver, but not few, and not in a product too small to gain by it.
func TestManyZerosArePassedOver(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	each(t, func(t *testing.T) {
		a := draw(r, make([]float64, 200*300), 200, 300, 300)
		if sparse(a, 300, 1, 200, 64, 300) {
			t.Error("a product is sparse though nothing is zero")
		}
		thin(r, a, 200, 300, 300)
		if got, want := sparse(a, 300, 1, 200, 64, 300), active == &avx512; got != want {
			t.Errorf("half of A is zero: sparse is %v, want %v", got, want)
		}
		if got, want := sparse(a, 1, 300, 300, 64, 200), active == &avx512; got != want {
			t.Errorf("half of Aᵀ is zero: sparse is %v, want %v", got, want)
		}
		if sparse(a, 300, 1, 200, 10, 300) || sparse(a, 300, 1, 16, 64, 300) {
			t.Error("a small product is sparse")
		}
	})
}

// BenchmarkPeak reports what independent FMA chains reach, the measure of the products.
func BenchmarkPeak(b *testing.B) {
	const n = 10000
	lanes, run := 4, peakAVX2
	switch active {
	case &generic:
		b.Skip("no assembly")
	case &avx512:
		lanes, run = 8, peakAVX512
	}
	for b.Loop() {
		run(n)
	}
	b.ReportMetric(2*12*n*float64(lanes)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
}
