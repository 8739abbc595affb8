//go:build !amd64 || purego

package kernel

// Where there is no assembly for them, the elementwise functions are those in Go.

func exp(dst, src []float64)                 { expGeneric(dst, src) }
func sigmoid(a, z []float64)                 { sigmoidGeneric(a, z) }
func sigmoidBackward(dz, da, z, a []float64) { sigmoidBackwardGeneric(dz, da, z, a) }
func tanh(a, z []float64)                    { tanhGeneric(a, z) }
func tanhBackward(dz, da, z, a []float64)    { tanhBackwardGeneric(dz, da, z, a) }
