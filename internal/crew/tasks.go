package crew

import "example.com/backprop/internal/kernel"

// The operations of package kernel, shared if they are large. A task keeps copies of the matrices,
// not pointers, lest a caller's escape to the heap.

// Affine is [kernel.Affine], shared by units.
func (c *Crew) Affine(z, x, w *kernel.Matrix, b []float64) {
	if c.alone(x.Rows * w.Rows * w.Cols) {
		kernel.Affine(z, x, w, b)
		return
	}
	c.affine = affine{*z, *x, *w, b}
	c.share(&c.affine, w.Rows)
}

type affine struct {
	z, x, w kernel.Matrix
	b       []float64
}

// Part computes units lo to hi.
func (t *affine) Part(lo, hi int) {
	b := t.b
	if b != nil {
		b = b[lo:hi]
	}
	z, w := t.z.Columns(lo, hi), t.w.Slice(lo, hi)
	kernel.Affine(&z, &t.x, &w, b)
}

// MulTN is [kernel.MulTN], shared by rows of dW.
func (c *Crew) MulTN(dw, dz, x *kernel.Matrix) {
	if c.alone(x.Rows * dw.Rows * dw.Cols) {
		kernel.MulTN(dw, dz, x)
		return
	}
	c.mulTN = mulTN{*dw, *dz, *x}
	c.share(&c.mulTN, dw.Rows)
}

type mulTN struct{ dw, dz, x kernel.Matrix }

// Part computes rows lo to hi of dW.
func (t *mulTN) Part(lo, hi int) {
	dw, dz := t.dw.Slice(lo, hi), t.dz.Columns(lo, hi)
	kernel.MulTN(&dw, &dz, &t.x)
}

// MulNN is [kernel.MulNN], shared by rows of dX.
func (c *Crew) MulNN(dx, dz, w *kernel.Matrix) {
	if c.alone(dz.Rows * w.Rows * w.Cols) {
		kernel.MulNN(dx, dz, w)
		return
	}
	c.mulNN = mulNN{*dx, *dz, *w}
	c.share(&c.mulNN, dx.Rows)
}

type mulNN struct{ dx, dz, w kernel.Matrix }

// Part computes rows lo to hi of dX.
func (t *mulNN) Part(lo, hi int) {
	dx, dz := t.dx.Slice(lo, hi), t.dz.Slice(lo, hi)
	kernel.MulNN(&dx, &dz, &t.w)
}

// costOfMove is what an element that is moved costs, in multiplications.
const costOfMove = 16

// Gather copies the rows of src named by index to the first rows of dst, in order.
func (c *Crew) Gather(dst, src *kernel.Matrix, index []int) {
	if len(index) > dst.Rows || dst.Cols != src.Cols {
		panic("crew: shapes do not agree")
	}
	t := gather{*dst, *src, index}
	if c.alone(costOfMove * len(index) * dst.Cols) {
		t.Part(0, len(index))
		return
	}
	c.gather = t
	c.share(&c.gather, len(index))
}

type gather struct {
	dst, src kernel.Matrix
	index    []int
}

// Part copies to rows lo to hi of dst.
func (t *gather) Part(lo, hi int) {
	for i := lo; i < hi; i++ {
		copy(t.dst.Row(i), t.src.Row(t.index[i]))
	}
}
