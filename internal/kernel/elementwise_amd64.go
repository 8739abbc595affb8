//go:build amd64 && !purego

package kernel

// The elementwise functions, of at most a chunk. They are not inlined, so that a goroutine can be
// preempted where they begin.

//go:noinline
func exp(dst, src []float64) {
	switch active {
	case avx512:
		expAVX512(dst, src)
	case avx2:
		expAVX2(dst, src)
	default:
		expGeneric(dst, src)
	}
}

//go:noinline
func sigmoid(a, z []float64) {
	switch active {
	case avx512:
		sigmoidAVX512(a, z)
	case avx2:
		sigmoidAVX2(a, z)
	default:
		sigmoidGeneric(a, z)
	}
}

//go:noinline
func sigmoidBackward(dz, da, z, a []float64) {
	switch active {
	case avx512:
		sigmoidBackwardAVX512(dz, da, z, a)
	case avx2:
		sigmoidBackwardAVX2(dz, da, z, a)
	default:
		sigmoidBackwardGeneric(dz, da, z, a)
	}
}

//go:noinline
func tanh(a, z []float64) {
	switch active {
	case avx512:
		tanhAVX512(a, z)
	case avx2:
		tanhAVX2(a, z)
	default:
		tanhGeneric(a, z)
	}
}

//go:noinline
func tanhBackward(dz, da, z, a []float64) {
	switch active {
	case avx512:
		tanhBackwardAVX512(dz, da, z, a)
	case avx2:
		tanhBackwardAVX2(dz, da, z, a)
	default:
		tanhBackwardGeneric(dz, da, z, a)
	}
}

//go:noinline
func relu(a, z []float64) {
	switch active {
	case generic:
		reluGeneric(a, z)
	default:
		reluAVX2(a, z) // bound by memory: wider registers gain nothing
	}
}

//go:noinline
func reluBackward(dz, da, z []float64) {
	switch active {
	case generic:
		reluBackwardGeneric(dz, da, z)
	default:
		reluBackwardAVX2(dz, da, z) // bound by memory: wider registers gain nothing
	}
}

//go:noinline
func adam(params, grad, m, v []float64, s *AdamStep) {
	switch active {
	case avx512:
		adamAVX512(params, grad, m, v, s.Beta1, s.Beta2, s.Step, s.Epsilon)
	case avx2:
		adamAVX2(params, grad, m, v, s.Beta1, s.Beta2, s.Step, s.Epsilon)
	default:
		adamGeneric(params, grad, m, v, s.Beta1, s.Beta2, s.Step, s.Epsilon)
	}
}

//go:noinline
func axpy(alpha float64, x, y []float64) {
	switch active {
	case generic:
		axpyGeneric(alpha, x, y)
	default:
		axpyAVX2(alpha, x, y) // bound by memory: wider registers gain nothing
	}
}

//go:noinline
func dot(sums *[32]float64, x, y []float64) {
	switch active {
	case generic:
		dotGeneric(sums, x, y)
	default:
		dotAVX2(sums, x, y) // bound by memory: wider registers gain nothing
	}
}

//go:noinline
func finite(x []float64) bool {
	switch active {
	case generic:
		return finiteGeneric(x)
	default:
		return finiteAVX2(x) // bound by memory: wider registers gain nothing
	}
}

//go:noescape
func expAVX512(dst, src []float64)

//go:noescape
func sigmoidAVX512(dst, src []float64)

//go:noescape
func tanhAVX512(dst, src []float64)

//go:noescape
func sigmoidBackwardAVX512(dz, da, z, a []float64)

//go:noescape
func tanhBackwardAVX512(dz, da, z, a []float64)

//go:noescape
func adamAVX512(params, grad, m, v []float64, beta1, beta2, step, eps float64)

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
func adamAVX2(params, grad, m, v []float64, beta1, beta2, step, eps float64)

//go:noescape
func axpyAVX2(alpha float64, x, y []float64)

//go:noescape
func dotAVX2(sums *[32]float64, x, y []float64)

//go:noescape
func finiteAVX2(x []float64) bool
