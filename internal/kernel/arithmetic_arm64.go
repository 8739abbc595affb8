//go:build arm64 && !purego

package kernel

// The elementwise functions of a few operations each, of at most a chunk. They are not inlined, so
// that a goroutine can be preempted where they begin. The others are those in Go.

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
		adamNEON(params, grad, m, v, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.Step, s.Epsilon)
	} else {
		adamGeneric(params, grad, m, v, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.Step, s.Epsilon)
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
func reluNEON(a, z []float64)

//go:noescape
func reluBackwardNEON(dz, da, z []float64)

//go:noescape
func adamNEON(params, grad, m, v []float64, alpha1, beta2, alpha2, step, eps float64)

//go:noescape
func axpyNEON(alpha float64, x, y []float64)

//go:noescape
func dotNEON(sums *[32]float64, x, y []float64)

//go:noescape
func finiteNEON(x []float64) bool
