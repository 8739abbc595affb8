//go:build !(amd64 || arm64) || purego

package kernel

func detect() []instructionSet { return []instructionSet{generic} }

func affine(z, x, w *Matrix, b []float64)      { affineGeneric(z, x, w, b) }
func multiply(c *Matrix, a operand, b *Matrix) { multiplyGeneric(c, a, b) }
