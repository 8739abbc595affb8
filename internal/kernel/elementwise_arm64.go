//go:build arm64 && !purego

package kernel

// The elementwise functions, of at most a chunk. They are not inlined, so that a goroutine can be
// preempted where they begin.

//go:noinline
func exp(dst, src []float64) {
	if active == neon {
		expNEON(dst, src)
	} else {
		expGeneric(dst, src)
	}
}

//go:noinline
func sigmoid(a, z []float64) {
	if active == neon {
		sigmoidNEON(a, z)
	} else {
		sigmoidGeneric(a, z)
	}
}

//go:noinline
func sigmoidBackward(dz, da, z, a []float64) {
	if active == neon {
		sigmoidBackwardNEON(dz, da, z, a)
	} else {
		sigmoidBackwardGeneric(dz, da, z, a)
	}
}

//go:noinline
func tanh(a, z []float64) {
	if active == neon {
		tanhNEON(a, z)
	} else {
		tanhGeneric(a, z)
	}
}

//go:noinline
func tanhBackward(dz, da, z, a []float64) {
	if active == neon {
		tanhBackwardNEON(dz, da, z, a)
	} else {
		tanhBackwardGeneric(dz, da, z, a)
	}
}

//go:noinline
func relu(a, z []float64) {
	if active == neon {
		reluNEON(a, z)
	} else {
		reluGeneric(a, z)
	}
}

//go:noinline
func reluBackward(dz, da, z []float64) {
	if active == neon {
		reluBackwardNEON(dz, da, z)
	} else {
		reluBackwardGeneric(dz, da, z)
	}
}

//go:noinline
func adam(params, grad, m, v []float64, s *AdamStep) {
	if active == neon {
		adamNEON(params, grad, m, v, s.Beta1, s.Beta2, s.Step, s.Epsilon)
	} else {
		adamGeneric(params, grad, m, v, s.Beta1, s.Beta2, s.Step, s.Epsilon)
	}
}

//go:noinline
func axpy(alpha float64, x, y []float64) {
	if active == neon {
		axpyNEON(alpha, x, y)
	} else {
		axpyGeneric(alpha, x, y)
	}
}

//go:noinline
func dot(sums *[32]float64, x, y []float64) {
	if active == neon {
		dotNEON(sums, x, y)
	} else {
		dotGeneric(sums, x, y)
	}
}

//go:noinline
func finite(x []float64) bool {
	if active == neon {
		return finiteNEON(x)
	}
	return finiteGeneric(x)
}

//go:noescape
func expNEON(dst, src []float64)

//go:noescape
func sigmoidNEON(dst, src []float64)

//go:noescape
func sigmoidBackwardNEON(dz, da, z, a []float64)

//go:noescape
func tanhNEON(dst, src []float64)

//go:noescape
func tanhBackwardNEON(dz, da, z, a []float64)

//go:noescape
func reluNEON(a, z []float64)

//go:noescape
func reluBackwardNEON(dz, da, z []float64)

//go:noescape
func adamNEON(params, grad, m, v []float64, beta1, beta2, step, eps float64)

//go:noescape
func axpyNEON(alpha float64, x, y []float64)

//go:noescape
func dotNEON(sums *[32]float64, x, y []float64)

//go:noescape
func finiteNEON(x []float64) bool
