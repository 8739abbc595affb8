//go:build amd64 && !purego

package kernel

import "testing"

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
