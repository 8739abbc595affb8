package crew

import "example.com/backprop/internal/kernel"

// The operations of package kernel, shared if they are large. A task keeps copies of the matrices,
// not pointers, lest a caller's escape to the heap. Shapes are checked before a task is cut: a part
// may fit where the whole does not, and a helper's panic is nobody's to recover.

// shareLonger computes a task whose result is a matrix, cut between its rows or between its columns,
// whichever are more.
func (c *Crew) shareLonger(t Task, result *kernel.Matrix) { c.share(t, max(result.Rows, result.Cols)) }

// byRows reports where shareLonger cuts.
func byRows(result *kernel.Matrix) bool { return result.Rows >= result.Cols }

// enoughUnits is from how many units a worker Affine is shared by units, however many the samples: a
// part transposes the rows of W that it uses, which takes as long as some five samples. Shared by
// samples 100×784×30 takes 1.06 and 256×784×128 1.04 of the time, 256×128×10 0.76.
const enoughUnits = 12

// Affine is [kernel.Affine], shared by samples or units.
func (c *Crew) Affine(z, x, w *kernel.Matrix, b []float64) {
	if c.alone(x.Rows * w.Rows * w.Cols) {
		kernel.Affine(z, x, w, b)
		return
	}
	z.Check(x.Rows, w.Rows)
	x.Check(x.Rows, w.Cols)
	c.affine = affine{*z, *x, *w, b, byRows(z) && z.Cols < enoughUnits*(len(c.wake)+1)}
	if c.affine.bySamples {
		c.share(&c.affine, z.Rows)
	} else {
		c.share(&c.affine, z.Cols)
	}
}

type affine struct {
	z, x, w   kernel.Matrix
	b         []float64
	bySamples bool
}

// Part computes samples or units lo to hi.
func (t *affine) Part(lo, hi int) {
	if t.bySamples {
		z, x := t.z.Slice(lo, hi), t.x.Slice(lo, hi)
		kernel.Affine(&z, &x, &t.w, t.b)
		return
	}
	b := t.b
	if b != nil {
		b = b[lo:hi]
	}
	z, w := t.z.Columns(lo, hi), t.w.Slice(lo, hi)
	kernel.Affine(&z, &t.x, &w, b)
}

// MulTN is [kernel.MulTN], shared by rows or columns of dW.
func (c *Crew) MulTN(dw, dz, x *kernel.Matrix) {
	if c.alone(x.Rows * dw.Rows * dw.Cols) {
		kernel.MulTN(dw, dz, x)
		return
	}
	dz.Check(x.Rows, dw.Rows)
	x.Check(x.Rows, dw.Cols)
	c.mulTN = mulTN{*dw, *dz, *x}
	c.shareLonger(&c.mulTN, dw)
}

type mulTN struct{ dw, dz, x kernel.Matrix }

// Part computes rows or columns lo to hi of dW.
func (t *mulTN) Part(lo, hi int) {
	if byRows(&t.dw) {
		dw, dz := t.dw.Slice(lo, hi), t.dz.Columns(lo, hi)
		kernel.MulTN(&dw, &dz, &t.x)
		return
	}
	dw, x := t.dw.Columns(lo, hi), t.x.Columns(lo, hi)
	kernel.MulTN(&dw, &t.dz, &x)
}

// MulNN is [kernel.MulNN], shared by rows or columns of dX.
func (c *Crew) MulNN(dx, dz, w *kernel.Matrix) {
	if c.alone(dz.Rows * w.Rows * w.Cols) {
		kernel.MulNN(dx, dz, w)
		return
	}
	dx.Check(dz.Rows, w.Cols)
	dz.Check(dz.Rows, w.Rows)
	c.mulNN = mulNN{*dx, *dz, *w}
	c.shareLonger(&c.mulNN, dx)
}

type mulNN struct{ dx, dz, w kernel.Matrix }

// Part computes rows or columns lo to hi of dX.
func (t *mulNN) Part(lo, hi int) {
	if byRows(&t.dx) {
		dx, dz := t.dx.Slice(lo, hi), t.dz.Slice(lo, hi)
		kernel.MulNN(&dx, &dz, &t.w)
		return
	}
	dx, w := t.dx.Columns(lo, hi), t.w.Columns(lo, hi)
	kernel.MulNN(&dx, &t.dz, &w)
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

// perElement is what an element costs that is computed from others at its place alone, in
// multiplications.
const perElement = 32

// checkLengths panics unless all slices have n elements, whatever their capacity.
func checkLengths(n int, slices ...[]float64) {
	for _, s := range slices {
		if len(s) != n {
			panic("crew: slices differ in length")
		}
	}
}

// enoughColumns is from how many columns a worker what is computed column by column is shared: half
// of 16 columns take 0.86 of the time of all, of 64 0.67, of 512 0.58. Two workers took 1.45 of the
// time of one with batch norm of 1000×64, 1.3 of 256×128, and 0.6 of 256×1024.
const enoughColumns = 128

// ShareColumns calls f for parts of m's columns, from lo to hi, that make up all of them.
func (c *Crew) ShareColumns(f Func, m *kernel.Matrix) {
	if c == nil || m.Cols < enoughColumns*(len(c.wake)+1) {
		f(0, m.Cols)
		return
	}
	c.Share(f, m.Cols, perElement*m.Rows*m.Cols)
}

// Dropout is [kernel.Dropout], shared by elements.
func (c *Crew) Dropout(dst, x []float64, rate float64, key uint64) {
	if c.alone(perElement * len(x)) {
		kernel.Dropout(dst, x, rate, key, 0)
		return
	}
	checkLengths(len(x), dst)
	c.dropout = dropout{dst, x, rate, key}
	c.share(&c.dropout, len(x))
}

type dropout struct {
	dst, x []float64
	rate   float64
	key    uint64
}

// Part computes elements lo to hi.
func (t *dropout) Part(lo, hi int) { kernel.Dropout(t.dst[lo:hi], t.x[lo:hi], t.rate, t.key, lo) }

// A Function takes each element by itself, so that slices can be cut.
type Function interface {
	Forward(a, z []float64)
	Backward(dz, da, z, a []float64)
}

// Elementwise is f, shared by elements. A nil f stays nil.
func (c *Crew) Elementwise(f Function) Function {
	if c == nil || f == nil {
		return f
	}
	return &elementwise{crew: c, f: f}
}

type elementwise struct {
	crew         *Crew
	f            Function
	dz, da, z, a []float64 // dz is nil in Forward
}

func (t *elementwise) Forward(a, z []float64) {
	checkLengths(len(z), a)
	t.dz, t.z, t.a = nil, z, a
	t.crew.Share(t, len(z), perElement*len(z))
}

func (t *elementwise) Backward(dz, da, z, a []float64) {
	checkLengths(len(z), dz, da, a)
	t.dz, t.da, t.z, t.a = dz, da, z, a
	t.crew.Share(t, len(z), perElement*len(z))
}

// Part computes elements lo to hi.
func (t *elementwise) Part(lo, hi int) {
	if a, z := t.a[lo:hi], t.z[lo:hi]; t.dz == nil {
		t.f.Forward(a, z)
	} else {
		t.f.Backward(t.dz[lo:hi], t.da[lo:hi], z, a)
	}
}
