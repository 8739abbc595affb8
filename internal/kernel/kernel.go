// Package kernel holds the inner loops of backpropagation over float64 slices: the three matrix products
// of a dense layer, the exponential family and its derivatives, and the update of the parameters.
//
// N is the number of samples, in and out are a layer's inputs and units; ldx is the stride of x. Shapes that do not
// agree and a shape that does not fit its slice panic before anything is computed; vectors must have just
// the length they should. Results must not overlap operands, except where a
// function says so. No function allocates, but for scratch memory that is kept for the next call, nor starts a
// goroutine; each may be called by many.
//
// On amd64 the work is done by assembly for AVX-512 or for AVX2 with FMA, chosen at start-up; elsewhere,
// and with the build tag purego, by Go. Each function's documentation is the loop that it computes.
//
// Every element of a product is one chain acc = math.FMA(aᵢₗ, bₗⱼ, acc) in the order of l, begun with the bias
// or zero. So its bits depend neither on the other rows and columns of the call nor on the vector width, and
// work may be split over rows or columns of a result at will. Terms with a zero from the left operand may be left
// out, but only where that changes no bit. The Go version keeps these promises on one
// machine, but sums with other roundings. Elementwise functions treat an element alike wherever it stands, and
// AVX2 and AVX-512 give the same bits, but for the root in Adam.
package kernel

import "math/bits"

// A Matrix is row-major: element (i, j) is Data[i*Stride+j]. Its fields are those of blas64.General.
type Matrix struct {
	Rows, Cols int
	Data       []float64
	Stride     int
}

// Affine computes Z = X·Wᵀ + 1·bᵀ  (N×in · in×out); b is nil for zero.
//
//	z[i*ldz+j] = b[j] + Σₗ x[i*ldx+l]·w[j*ldw+l]
//
// Workers may share it by rows of X and Z or, when those are few, by rows of W, elements of b and columns of Z.
func Affine(z, x, w *Matrix, b []float64) {
	n, in, out := x.Rows, x.Cols, w.Rows
	if !z.is(n, out) || !x.is(n, in) || !w.is(out, in) {
		z.check(n, out)
		x.check(n, in)
		w.check(out, in)
	}
	c0 := &zero[0]
	if b != nil {
		checkLength(b, out)
		if out > 0 {
			c0 = &b[0]
		}
	}
	switch {
	case n == 0 || out == 0:
	case tiny(n, out, in):
		tinyAffine(z, x, w, c0)
	default:
		affine(z.Data, z.Stride, x.Data, x.Stride, w.Data, w.Stride, b, n, in, out)
	}
}

// MulTN computes dW = dZᵀ·X  (out×N · N×in).
//
//	dw[j*lddw+l] = Σᵢ dz[i*lddz+j]·x[i*ldx+l]
func MulTN(dw, dz, x *Matrix) {
	out, in, n := dw.Rows, dw.Cols, x.Rows
	if !dw.is(out, in) || !dz.is(n, out) || !x.is(n, in) {
		dw.check(out, in)
		dz.check(n, out)
		x.check(n, in)
	}
	switch {
	case out == 0 || in == 0:
	case tiny(out, in, n):
		tinyMulTN(dw, dz, x)
	default:
		multiply(dw.Data, dw.Stride, dz.Data, 1, dz.Stride, x.Data, x.Stride, out, in, n, nil)
	}
}

// AddMulTN computes W = W + α·dZᵀ·X, with the bits of MulTN and then Axpy, where that is one operation, and reports
// whether it is: with AVX-512, for more than four inputs and at most 512 samples, but not nine to twelve inputs.
//
//	w[j*ldw+l] = fma(α, Σᵢ dz[i*lddz+j]·x[i*ldx+l], w[j*ldw+l])
func AddMulTN(w *Matrix, alpha float64, dz, x *Matrix) bool {
	out, in, n := w.Rows, w.Cols, x.Rows
	w.check(out, in)
	dz.check(n, out)
	x.check(n, in)
	if out == 0 || !canAdd(in, n) {
		return false
	}
	multiply(w.Data, w.Stride, dz.Data, 1, dz.Stride, x.Data, x.Stride, out, in, n, &alpha)
	return true
}

// MulNN computes dX = dZ·W  (N×out · out×in).
//
//	dx[i*lddx+l] = Σⱼ dz[i*lddz+j]·w[j*ldw+l]
func MulNN(dx, dz, w *Matrix) {
	n, in, out := dx.Rows, dx.Cols, w.Rows
	if !dx.is(n, in) || !dz.is(n, out) || !w.is(out, in) {
		dx.check(n, in)
		dz.check(n, out)
		w.check(out, in)
	}
	switch {
	case n == 0 || in == 0:
	case tiny(n, in, out):
		tinyMulNN(dx, dz, w)
	default:
		multiply(dx.Data, dx.Stride, dz.Data, dz.Stride, 1, w.Data, w.Stride, n, in, out, nil)
	}
}

// SumRows computes db = dZᵀ·1, the sum of the N rows of dZ, in their order.
func SumRows(db []float64, dz *Matrix) {
	n, out := dz.Rows, dz.Cols
	if !dz.is(n, out) {
		dz.check(n, out)
	}
	checkLength(db, out)
	switch {
	case 1 < out && tiny(1, out, n):
		tinyMulNN(&Matrix{1, out, db, out}, &Matrix{1, n, ones[:], n}, dz)
	case n*out <= 16:
		for j := range db {
			sum := 0.0
			for i := range n {
				sum += dz.Data[i*dz.Stride+j]
			}
			db[j] = sum
		}
	default:
		multiply(db, out, ones[:], 0, 0, dz.Data, dz.Stride, 1, out, n, nil)
	}
}

// widest is the width of the widest panel of a product.
const widest = 64

var (
	ones = [4]float64{1, 1, 1, 1}
	zero [widest]float64 // where the chains of a panel's row begin without a bias
)

// is reports whether m is rows×cols and has the memory, in the few steps that a small product can afford. It may
// deny that of a matrix that is empty, huge, or a row shorter than its stride would be; check knows.
func (m *Matrix) is(rows, cols int) bool {
	return m.Rows == rows && m.Cols == cols &&
		uint(rows|cols|m.Stride) < 1<<31 && cols <= m.Stride && uint((rows-1)*m.Stride+cols) <= uint(len(m.Data))
}

// check panics unless m is rows×cols and has the memory.
func (m *Matrix) check(rows, cols int) {
	if m.Rows != rows || m.Cols != cols {
		panic("kernel: shapes do not agree")
	}
	if rows == 0 || cols == 0 {
		return
	}
	high, last := bits.Mul64(uint64(rows-1), uint64(m.Stride))
	if rows < 0 || cols < 0 || m.Stride < cols && rows > 1 ||
		high != 0 || last > uint64(len(m.Data)) || uint64(cols) > uint64(len(m.Data))-last {
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
