// Package kernel holds the inner loops of backpropagation over float64 slices: the three matrix
// products of a dense layer, what is done element by element (activations, losses, dropout, batch
// norm), and the update of the parameters.
//
// N is the number of samples, in and out are a layer's inputs and units; ldx is the stride of x.
// Shapes that do not agree and a shape that does not fit its slice panic before anything is
// computed; vectors must have just the length they should. Results must not overlap operands,
// except where a function says so. No function allocates, but for scratch memory that is kept for
// the next call, nor starts a goroutine; each may be called by many.
//
// On amd64 the work is done by assembly for AVX-512 or for AVX2 with FMA, chosen at start-up, on
// arm64 by assembly for NEON; elsewhere, and with the build tag purego, by Go. Each function's
// documentation is the loop that it computes.
//
// Every element of a product is one chain acc = math.FMA(aᵢₗ, bₗⱼ, acc) in the order of l, begun
// with the bias or zero. So its bits depend neither on the other rows and columns of the call nor
// on the vector width, and work may be split over rows or columns of a result at will. Terms with a
// zero from the left operand may be left out, but only where that changes no bit. Elementwise
// functions treat an element alike wherever it stands.
//
// AVX-512, AVX2 and NEON give the same bits: those of exact.go, of its test, and of what is written
// in Go alone. There a product to which something is added is a math.FMA or has an explicit
// conversion around it, since some compilers fuse the two where they may; and what package math has
// in assembly on some machines is computed by this package. Go's own version, in generic.go, keeps
// these promises on one machine, but rounds otherwise.
package kernel

// An instructionSet is what the loops are written for. Each function that has a loop in assembly
// switches on the active one and calls the loop by name: through a func value, the arrays of a
// caller would escape to the heap.
type instructionSet int

const (
	generic instructionSet = iota // Go
	avx2
	avx512
	neon
)

func (s instructionSet) String() string { return [...]string{"generic", "AVX2", "AVX-512", "NEON"}[s] }

// supported is what this processor and its operating system have, the best last, and active is the
// best; tests try the others.
var (
	supported = detect()
	active    = supported[len(supported)-1]
)

// Exact reports whether the loops are those of AVX-512, AVX2 or NEON, which all give the same bits.
func Exact() bool { return active != generic }

// Affine computes Z = X·Wᵀ + 1·bᵀ  (N×in · in×out); b is nil for zero.
//
//	z[i*ldz+j] = b[j] + Σₗ x[i*ldx+l]·w[j*ldw+l]
//
// Workers may share it by rows of X and Z or, when those are few, by rows of W, elements of b and
// columns of Z.
func Affine(z, x, w *Matrix, b []float64) {
	n, in, out := x.Rows, x.Cols, w.Rows
	if !z.is(n, out) || !x.is(n, in) || !w.is(out, in) {
		z.Check(n, out)
		x.Check(n, in)
		w.Check(out, in)
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
	case in == 0:
		fill(z, b)
	default:
		affine(z, x, w, b)
	}
}

// MulTN computes dW = dZᵀ·X  (out×N · N×in).
//
//	dw[j*lddw+l] = Σᵢ dz[i*lddz+j]·x[i*ldx+l]
func MulTN(dw, dz, x *Matrix) {
	out, in, n := dw.Rows, dw.Cols, x.Rows
	if !dw.is(out, in) || !dz.is(n, out) || !x.is(n, in) {
		dw.Check(out, in)
		dz.Check(n, out)
		x.Check(n, in)
	}
	switch {
	case out == 0 || in == 0:
	case tiny(out, in, n):
		tinyMulTN(dw, dz, x)
	case n == 0:
		fill(dw, nil)
	default:
		multiply(dw, dz.byColumns(), x)
	}
}

// MulNN computes dX = dZ·W  (N×out · out×in).
//
//	dx[i*lddx+l] = Σⱼ dz[i*lddz+j]·w[j*ldw+l]
func MulNN(dx, dz, w *Matrix) {
	n, in, out := dx.Rows, dx.Cols, w.Rows
	if !dx.is(n, in) || !dz.is(n, out) || !w.is(out, in) {
		dx.Check(n, in)
		dz.Check(n, out)
		w.Check(out, in)
	}
	switch {
	case n == 0 || in == 0:
	case tiny(n, in, out):
		tinyMulNN(dx, dz, w)
	case out == 0:
		fill(dx, nil)
	default:
		multiply(dx, dz.byRows(), w)
	}
}

// SumRows computes db = dZᵀ·1, the sum of the N rows of dZ, in their order.
func SumRows(db []float64, dz *Matrix) {
	n, out := dz.Rows, dz.Cols
	if !dz.is(n, out) {
		dz.Check(n, out)
	}
	checkLength(db, out)
	switch {
	case 1 < out && tiny(1, out, n):
		tinyMulNN(&Matrix{1, out, db, out}, &Matrix{1, n, ones[:], n}, dz)
	case n*out <= fewSums:
		for j := range db {
			sum := 0.0
			for i := range n {
				sum += dz.Data[i*dz.Stride+j]
			}
			db[j] = sum
		}
	default:
		multiply(&Matrix{1, out, db, out}, operand{data: ones[:]}, dz)
	}
}

// So many elements are added in Go: 4×1 takes 6 ns, as a product 11; 1×10 14 ns, as a product 27.
const fewSums = 16

// widest is the width of the widest panel of a product.
const widest = 64

var (
	ones = [4]float64{1, 1, 1, 1}
	zero [widest]float64 // where the chains of a panel's row begin without a bias
)
