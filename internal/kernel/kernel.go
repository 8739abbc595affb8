// Package kernel holds the inner loops of backpropagation over float64 slices: the three matrix products
// of a dense layer, the exponential family and its derivatives, and the update of the parameters.
//
// Matrices are row-major slices with a stride: element (i, j) of x is x[i*ldx+j]. N is the number of samples,
// in and out are a layer's inputs and units. A size that does not fit its slice panics before anything is
// computed; vectors must have just the length they should. Results must not overlap operands, except where a
// function says so. No function allocates, but for scratch memory that is kept for the next call, nor starts a
// goroutine; each may be called by many.
//
// On amd64 the work is done by assembly for AVX-512 or for AVX2 with FMA, chosen at start-up; elsewhere,
// and with the build tag purego, by Go. Each function's documentation is the loop that it computes.
//
// Every element of a product is one chain acc = math.FMA(aᵢₗ, bₗⱼ, acc) in the order of l, begun with the bias
// or zero. So its bits depend neither on the other rows and columns of the call nor on the vector width, and
// work may be split over rows or columns of a result at will. The Go version keeps these promises on one
// machine, but sums with other roundings. Elementwise functions treat an element alike wherever it stands, and
// AVX2 and AVX-512 give the same bits, but for the root in Adam.
package kernel

import "math/bits"

// Affine computes Z = X·Wᵀ + 1·bᵀ  (N×in · in×out); b is nil for zero.
//
//	z[i*ldz+j] = b[j] + Σₗ x[i*ldx+l]·w[j*ldw+l]
//
// Workers may share it by rows of X and Z or, when those are few, by rows of W, elements of b and columns of Z.
func Affine(z []float64, ldz int, x []float64, ldx int, w []float64, ldw int, b []float64, n, in, out int) {
	checkMatrix(z, ldz, n, out)
	checkMatrix(x, ldx, n, in)
	checkMatrix(w, ldw, out, in)
	if b != nil {
		checkLength(b, out)
	}
	if n == 0 || out == 0 {
		return
	}
	if tiny(n, out, in) {
		c0 := &zero[0]
		if b != nil {
			c0 = &b[0]
		}
		tinyProduct(&z[0], ldz, &x[0], ldx, 1, &w[0], ldw, true, c0, n, out, in)
		return
	}
	affine(z, ldz, x, ldx, w, ldw, b, n, in, out)
}

// MulTN computes dW = dZᵀ·X  (out×N · N×in).
//
//	dw[j*lddw+l] = Σᵢ dz[i*lddz+j]·x[i*ldx+l]
func MulTN(dw []float64, lddw int, dz []float64, lddz int, x []float64, ldx int, out, in, n int) {
	checkMatrix(dw, lddw, out, in)
	checkMatrix(dz, lddz, n, out)
	checkMatrix(x, ldx, n, in)
	if out == 0 || in == 0 {
		return
	}
	if tiny(out, in, n) {
		tinyProduct(&dw[0], lddw, &dz[0], 1, lddz, &x[0], ldx, false, &zero[0], out, in, n)
		return
	}
	multiply(dw, lddw, dz, 1, lddz, x, ldx, out, in, n)
}

// MulNN computes dX = dZ·W  (N×out · out×in).
//
//	dx[i*lddx+l] = Σⱼ dz[i*lddz+j]·w[j*ldw+l]
func MulNN(dx []float64, lddx int, dz []float64, lddz int, w []float64, ldw int, n, in, out int) {
	checkMatrix(dx, lddx, n, in)
	checkMatrix(dz, lddz, n, out)
	checkMatrix(w, ldw, out, in)
	if n == 0 || in == 0 {
		return
	}
	if tiny(n, in, out) {
		tinyProduct(&dx[0], lddx, &dz[0], lddz, 1, &w[0], ldw, false, &zero[0], n, in, out)
		return
	}
	multiply(dx, lddx, dz, lddz, 1, w, ldw, n, in, out)
}

// SumRows computes db = dZᵀ·1, the sum of the N rows of dZ, in their order.
func SumRows(db []float64, dz []float64, lddz, n, out int) {
	checkMatrix(dz, lddz, n, out)
	checkLength(db, out)
	if 1 < out && tiny(1, out, n) {
		tinyProduct(&db[0], out, &one[0], 0, 0, &dz[0], lddz, false, &zero[0], 1, out, n)
		return
	}
	if n*out <= 16 {
		for j := range db {
			var sum float64
			for i := range n {
				sum += dz[i*lddz+j]
			}
			db[j] = sum
		}
		return
	}
	multiply(db, out, one[:], 0, 0, dz, lddz, 1, out, n)
}

// maxPanel is the width of the widest panel of a product.
const maxPanel = 24

var (
	one  = [1]float64{1}
	zero [maxPanel]float64 // where the chains of a panel's row begin without a bias
)

// checkMatrix panics unless x holds a rows×cols matrix of stride ld.
func checkMatrix(x []float64, ld, rows, cols int) {
	if rows < 0 || cols < 0 || ld < cols && rows > 1 {
		panic("kernel: impossible shape")
	}
	if rows == 0 || cols == 0 {
		return
	}
	high, last := bits.Mul64(uint64(rows-1), uint64(ld))
	if high != 0 || last > uint64(len(x)) || uint64(cols) > uint64(len(x))-last {
		panic("kernel: matrix exceeds its slice")
	}
}

// checkLength panics unless x has n elements, whatever its capacity.
func checkLength(x []float64, n int) {
	if len(x) != n {
		panic("kernel: slices differ in length")
	}
}

// An implementation is a set of elementwise loops. The products and the reductions look at which is active
// instead: small arrays that are passed to them stay on the stack.
type implementation struct {
	name                          string
	exp, sigmoid, tanh, relu      func(dst, src []float64)
	sigmoidBackward, tanhBackward func(dz, da, z, a []float64)
	reluBackward                  func(dz, da, z []float64)
	adam                          func(params, grad, m, v []float64, alpha1, beta2, alpha2, step, eps float64)
	axpy                          func(alpha float64, x, y []float64)
}

// active is the best implementation; tests try the others.
var active = implementations[len(implementations)-1]
