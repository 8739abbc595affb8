//go:build !amd64 || purego

package kernel

// tiny reports that no product needs the functions for tiny ones.
func tiny(m, n, k int) bool { return false }

func tinyAffine(z, x, w *Matrix, c0 *float64) {}
func tinyMulTN(dw, dz, x *Matrix)             {}
func tinyMulNN(dx, dz, w *Matrix)             {}
