//go:build !amd64 || purego

package kernel

var implementations = []*implementation{&generic}

// tiny reports that no product needs the functions for tiny ones.
func tiny(m, n, k int) bool { return false }

func tinyAffine(z, x, w *Matrix, c0 *float64) {}
func tinyMulTN(dw, dz, x *Matrix)             {}
func tinyMulNN(dx, dz, w *Matrix)             {}

func affine(z []float64, ldz int, x []float64, ldx int, w []float64, ldw int, b []float64, n, in, out int) {
	affineGeneric(z, ldz, x, ldx, w, ldw, b, n, in, out)
}

func canAdd(n, k int) bool { return false }

func multiply(c []float64, ldc int, a []float64, ars, acs int, b []float64, ldb int, m, n, k int, _ *float64) {
	multiplyGeneric(c, ldc, a, ars, acs, b, ldb, m, n, k)
}

func dot(sums *[32]float64, x, y []float64) { dotGeneric(sums, x, y) }

func finite(x []float64) bool { return finiteGeneric(x) }
