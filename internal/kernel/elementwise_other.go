//go:build !(amd64 || arm64) || purego

package kernel

// Where there is no assembly for them, the elementwise functions are those in Go.

func exp(dst, src []float64)                 { expGeneric(dst, src) }
func sigmoid(a, z []float64)                 { sigmoidGeneric(a, z) }
func sigmoidBackward(dz, da, z, a []float64) { sigmoidBackwardGeneric(dz, da, z, a) }
func tanh(a, z []float64)                    { tanhGeneric(a, z) }
func tanhBackward(dz, da, z, a []float64)    { tanhBackwardGeneric(dz, da, z, a) }
func relu(a, z []float64)                    { reluGeneric(a, z) }
func reluBackward(dz, da, z []float64)       { reluBackwardGeneric(dz, da, z) }
func adam(params, grad, m, v []float64, s *AdamStep) {
	adamGeneric(params, grad, m, v, s.Beta1, s.Beta2, s.Step, s.Epsilon)
}
func axpy(alpha float64, x, y []float64)    { axpyGeneric(alpha, x, y) }
func dot(sums *[32]float64, x, y []float64) { dotGeneric(sums, x, y) }
func finite(x []float64) bool               { return finiteGeneric(x) }
