//go:build amd64 && !purego

package kernel

var avx2 = implementation{
	name: "AVX2",
	exp:  expAVX2, sigmoid: sigmoidAVX2, tanh: tanhAVX2, relu: reluAVX2,
	sigmoidBackward: sigmoidBackwardAVX2, tanhBackward: tanhBackwardAVX2, reluBackward: reluBackwardAVX2,
	adam: adamAVX2, axpy: axpyAVX2,
}

var avx512 = implementation{
	name: "AVX-512",
	exp:  expAVX512, sigmoid: sigmoidAVX512, tanh: tanhAVX512, relu: reluAVX512,
	sigmoidBackward: sigmoidBackwardAVX512, tanhBackward: tanhBackwardAVX512, reluBackward: reluBackwardAVX512,
	adam: adamAVX512, axpy: axpyAVX512,
}

// The implementations that this processor and its operating system support, the best last.
var implementations = supported()

func supported() []*implementation {
	const (
		// CPUID leaf 1, ECX
		fma     = 1 << 12
		osxsave = 1 << 27
		avx     = 1 << 28
		// CPUID leaf 7, EBX
		bmi1     = 1 << 3
		avx2Bit  = 1 << 5
		avx512F  = 1 << 16
		avx512DQ = 1 << 17
		avx512BW = 1 << 30
		avx512VL = 1 << 31
		// XCR0: the registers that the operating system saves
		ymm = 1<<1 | 1<<2
		zmm = ymm | 1<<5 | 1<<6 | 1<<7
	)
	list := []*implementation{&generic}
	leaves, _, _, _ := cpuid(0, 0)
	if leaves < 7 {
		return list
	}
	_, _, features, _ := cpuid(1, 0)
	if features&(fma|osxsave|avx) != fma|osxsave|avx {
		return list
	}
	saved := xgetbv()
	_, extended, _, _ := cpuid(7, 0)
	if saved&ymm != ymm || extended&avx2Bit == 0 {
		return list
	}
	list = append(list, &avx2)
	const all = bmi1 | avx512F | avx512DQ | avx512BW | avx512VL
	if saved&zmm == zmm && extended&all == all {
		list = append(list, &avx512)
	}
	return list
}

func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

func xgetbv() uint32

// dot and finite may be given arrays on a stack, so they call by name.

//go:noinline
func dot(sums *[32]float64, x, y []float64) {
	switch active {
	case &avx512:
		dotAVX512(sums, x, y)
	case &avx2:
		dotAVX2(sums, x, y)
	default:
		dotGeneric(sums, x, y)
	}
}

//go:noinline
func finite(x []float64) bool {
	if active == &generic {
		return finiteGeneric(x)
	}
	return finiteAVX2(x) // bound by memory: wider registers gain nothing
}

//go:noescape
func expAVX512(dst, src []float64)

//go:noescape
func sigmoidAVX512(dst, src []float64)

//go:noescape
func tanhAVX512(dst, src []float64)

//go:noescape
func reluAVX512(dst, src []float64)

//go:noescape
func sigmoidBackwardAVX512(dz, da, z, a []float64)

//go:noescape
func tanhBackwardAVX512(dz, da, z, a []float64)

//go:noescape
func reluBackwardAVX512(dz, da, z []float64)

//go:noescape
func adamAVX512(params, grad, m, v []float64, alpha1, beta2, alpha2, step, eps float64)

//go:noescape
func axpyAVX512(alpha float64, x, y []float64)

//go:noescape
func dotAVX512(sums *[32]float64, x, y []float64)

//go:noescape
func expAVX2(dst, src []float64)

//go:noescape
func sigmoidAVX2(dst, src []float64)

//go:noescape
func tanhAVX2(dst, src []float64)

//go:noescape
func reluAVX2(dst, src []float64)

//go:noescape
func sigmoidBackwardAVX2(dz, da, z, a []float64)

//go:noescape
func tanhBackwardAVX2(dz, da, z, a []float64)

//go:noescape
func reluBackwardAVX2(dz, da, z []float64)

//go:noescape
func adamAVX2(params, grad, m, v []float64, alpha1, beta2, alpha2, step, eps float64)

//go:noescape
func axpyAVX2(alpha float64, x, y []float64)

//go:noescape
func dotAVX2(sums *[32]float64, x, y []float64)

//go:noescape
func finiteAVX2(x []float64) bool
