//go:build !amd64 || purego

package kernel

func detect() []instructionSet { return []instructionSet{generic} }

// tiny reports that no product needs the functions for tiny ones.
func tiny(m, n, k int) bool { return false }

func tinyAffine(z, x, w *Matrix, c0 *float64) {}
func tinyMulTN(dw, dz, x *Matrix)             {}
func tinyMulNN(dx, dz, w *Matrix)             {}

func affine(z, x, w *Matrix, b []float64)      { affineGeneric(z, x, w, b) }
func multiply(c *Matrix, a operand, b *Matrix) { multiplyGeneric(c, a, b) }

func exp(dst, src []float64)                 { expGeneric(dst, src) }
func sigmoid(a, z []float64)                 { sigmoidGeneric(a, z) }
func sigmoidBackward(dz, da, z, a []float64) { sigmoidBackwardGeneric(dz, da, z, a) }
func tanh(a, z []float64)                    { tanhGeneric(a, z) }
func tanhBackward(dz, da, z, a []float64)    { tanhBackwardGeneric(dz, da, z, a) }
func relu(a, z []float64)                    { reluGeneric(a, z) }
func reluBackward(dz, da, z []float64)       { reluBackwardGeneric(dz, da, z) }
func adam(params, grad, m, v []float64, s *AdamStep) {
	adamGeneric(params, grad, m, v, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.Step, s.Epsilon)
}
func axpy(alpha float64, x, y []float64)    { axpyGeneric(alpha, x, y) }
func dot(sums *[32]float64, x, y []float64) { dotGeneric(sums, x, y) }
func finite(x []float64) bool               { return finiteGeneric(x) }
