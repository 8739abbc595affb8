package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkProducts reports GF/s: 2·batch·in·out floating-point operations per product, whether or
// not half of its left operand is zero.
func BenchmarkProducts(b *testing.B) {
	shapes := [][3]int{{64, 784, 128}, {32, 64, 32}, {32, 64, 64}, {64, 128, 10}, {32, 64, 10}, {256, 512, 1024}, {256, 1024, 1024}, {256, 1024, 10}, {1, 784, 128}, {1, 128, 10}, {4, 2, 4}, {4, 4, 1}}
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range shapes {
		n, in, out := s[0], s[1], s[2]
		x, w := view(draw(r, make([]float64, n*in), n, in, in), in, n, in), view(draw(r, make([]float64, out*in), out, in, in), in, out, in)
		dz := view(draw(r, make([]float64, n*out), n, out, out), out, n, out)
		z, dw, dx := view(make([]float64, n*out), out, n, out), view(make([]float64, out*in), in, out, in), view(make([]float64, n*in), in, n, in)
		bias := make([]float64, out)
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", name, n, in, out), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.ReportMetric(2*float64(n*in*out)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
			})
		}
		for _, suffix := range []string{"", "OfHalf"} {
			run("Affine"+suffix, func() { Affine(z, x, w, bias) })
			run("MulTN"+suffix, func() { MulTN(dw, dz, x) })
			run("MulNN"+suffix, func() { MulNN(dx, dz, w) })
			for _, a := range []*Matrix{x, dz} {
				ReLU(a.Data, a.Data)
			}
		}
	}
}

// BenchmarkElementwise reports ns per element, of a slice that fits the second level of cache and
// of a short one.
func BenchmarkElementwise(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{8192, 16, 4} {
		x, y, z, a := make([]float64, n), make([]float64, n), draw(r, make([]float64, n), 1, n, n), make([]float64, n)
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N*n), "ns/element")
			})
		}
		run("Exp", func() { Exp(x, z) })
		run("Sigmoid", func() { Sigmoid(a, z) })
		run("SigmoidBackward", func() { SigmoidBackward(x, y, z, a) })
		run("Tanh", func() { Tanh(a, z) })
		run("TanhBackward", func() { TanhBackward(x, y, z, a) })
		run("ReLU", func() { ReLU(a, z) })
		run("ReLUBackward", func() { ReLUBackward(x, y, z) })
		run("Adam", func() {
			Adam(x, z, y, a, AdamStep{Beta1: 0.9, Beta2: 0.999, Step: 0.001, Epsilon: 1e-8})
		})
		run("LeakyReLU", func() { LeakyReLU(a, z, z, 0.01) })
		run("ELU", func() { ELU(a, z, 1, 1) })
		run("ELUBackward", func() { ELUBackward(x, y, z, 1, 1) })
		run("SiLU", func() { MulSigmoid(a, z, z) })
		run("SiLUBackward", func() { SiLUBackward(x, y, z) })
		run("Softplus", func() { Softplus(a, z) })
		run("GELU", func() { GELU(a, z) })
		run("GELUBackward", func() { GELUBackward(x, y, z, a) })
		run("Normalize", func() { normalizeRow(a, z, x, y, y) })
		run("Dropout", func() { Dropout(a, z, 0.5, 1, 0) })
		run("Squared.Sum", func() { Squared.Sum(y, z) })
		run("RMS", func() { RMS(x, z, y, nil, nil, RMSStep{Decay: 0.9, Eta: 0.001, Epsilon: 1e-8}) })
		run("Axpy", func() { Axpy(0.1, x, y) })
		run("Dot", func() { Dot(x, y) })
		run("Finite", func() { Finite(x) })
		run("SumRows", func() { SumRows(a[:n/4], view(x, n/4, 4, n/4)) })
	}
}
