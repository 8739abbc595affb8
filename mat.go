package backprop

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"example.com/backprop/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"
)

// This file is the dense-matrix core: the products of a dense layer, the
// movements of rows, the checks at the library's door, and last the goroutines
// that share a large product. It alone knows how a matrix lies in memory; the
// other files see its rows, or all its elements at once.
//
// Dimension letters, used everywhere: N is the number of samples in a batch,
// in and out are a layer's numbers of inputs and units. Rows are samples.

// matrix is a row-major view of float64s. Its Data may belong to the caller,
// to the network's flat parameters or to a pass.
type matrix kernel.Matrix

func newMatrix(rows, cols int) matrix {
	return matrixOf(make([]float64, rows*cols), rows, cols)
}

// matrixOf views the first rows·cols elements of data as a matrix.
func matrixOf(data []float64, rows, cols int) matrix {
	return matrix{Rows: rows, Cols: cols, Stride: cols, Data: data[:rows*cols]}
}

// row is row i of m.
func (m matrix) row(i int) []float64 {
	return m.Data[i*m.Stride : i*m.Stride+m.Cols : i*m.Stride+m.Cols]
}

// contiguous reports whether the rows of m follow each other without a gap.
func (m matrix) contiguous() bool { return m.Stride == m.Cols || m.Rows == 1 }

// all is the elements of a contiguous m.
func (m matrix) all() []float64 { return m.Data[:m.Rows*m.Cols] }

// slice is rows lo to hi of m, hi not included.
func (m matrix) slice(lo, hi int) matrix {
	return matrix{
		Rows: hi - lo, Cols: m.Cols, Stride: m.Stride,
		Data: m.Data[lo*m.Stride : (hi-1)*m.Stride+m.Cols],
	}
}

// column is a copy of column j of m.
func (m matrix) column(j int) []float64 {
	c := make([]float64, m.Rows)
	for i := range c {
		c[i] = m.row(i)[j]
	}
	return c
}

// copy copies src, of the same shape, to m.
func (m matrix) copy(src matrix) {
	for i := range m.Rows {
		copy(m.row(i), src.row(i))
	}
}

func (m matrix) clone() matrix {
	c := newMatrix(m.Rows, m.Cols)
	c.copy(m)
	return c
}

// first is m with another number of rows, for which there is memory.
func (m matrix) first(rows int) matrix { return matrixOf(m.Data[:cap(m.Data)], rows, m.Cols) }

// columns is columns lo to hi of m, hi not included.
func (m matrix) columns(lo, hi int) matrix {
	return matrix{Rows: m.Rows, Cols: hi - lo, Stride: m.Stride, Data: m.Data[lo:]}
}

// affine computes Z = X·Wᵀ + 1·bᵀ  (N×out = N×in · in×out + N×1 · 1×out).
// A nil b counts as zero.
func affine(z, x, w *matrix, b []float64) {
	kernel.Affine((*kernel.Matrix)(z), (*kernel.Matrix)(x), (*kernel.Matrix)(w), b)
}

// mulTrans computes dW = dZᵀ·X  (out×in = out×N · N×in).
func mulTrans(dw, dz, x *matrix) {
	kernel.MulTN((*kernel.Matrix)(dw), (*kernel.Matrix)(dz), (*kernel.Matrix)(x))
}

// addMulTrans computes W = W + α·dZᵀ·X, to the bits of mulTrans and an addition,
// if that is one operation here, and reports whether it is.
func addMulTrans(w *matrix, alpha float64, dz, x *matrix) bool {
	return false
}

// mul computes dX = dZ·W  (N×in = N×out · out×in).
func mul(dx, dz, w *matrix) {
	kernel.MulNN((*kernel.Matrix)(dx), (*kernel.Matrix)(dz), (*kernel.Matrix)(w))
}

// sumRows computes db = dZᵀ·1  (out = out×N · N).
func sumRows(db []float64, dz *matrix) {
	kernel.SumRows(db, (*kernel.Matrix)(dz))
}

// subtract computes D = (A − Y)·factor.
func subtract(d, a, y *matrix, factor float64) {
	for i := range y.Rows {
		di, ai := d.row(i), a.row(i)
		for j, v := range y.row(i) {
			di[j] = (ai[j] - v) * factor
		}
	}
}

// columnMoments computes the mean and the population variance of each column
// of x, in two passes.
func columnMoments(mean, variance []float64, x matrix) {
	sumRows(mean, &x)
	for j := range mean {
		mean[j] /= float64(x.Rows)
	}
	clear(variance)
	for i := range x.Rows {
		for j, v := range x.row(i) {
			variance[j] += (v - mean[j]) * (v - mean[j])
		}
	}
	for j := range variance {
		variance[j] /= float64(x.Rows)
	}
}

// orthonormalize replaces m, with no more columns than rows, by the Q of its
// QR factorization in which R has a positive diagonal.
func orthonormalize(m matrix) {
	q, tau, size := blas64.General(m), make([]float64, m.Cols), make([]float64, 1)
	lapack64.Geqrf(q, tau, size, -1)
	work := make([]float64, int(size[0]))
	lapack64.Geqrf(q, tau, work, len(work))
	signs := make([]float64, m.Cols)
	for j := range signs {
		signs[j] = math.Copysign(1, m.row(j)[j])
	}
	lapack64.Orgqr(q, tau, work, len(work))
	for i := range m.Rows {
		for j := range signs {
			m.row(i)[j] *= signs[j]
		}
	}
}

// gather copies the rows of src named by index to the rows of dst, in order.
func gather(dst, src matrix, index []int) {
	for i, r := range index {
		copy(dst.row(i), src.row(r))
	}
}

// digest is the SHA-256 of the shapes and elements of matrices.
func digest(matrices ...matrix) string {
	h := sha256.New()
	var buf []byte
	for _, m := range matrices {
		buf = fmt.Appendf(buf[:0], "%d×%d\n", m.Rows, m.Cols)
		for i := range m.Rows {
			for _, v := range m.row(i) {
				buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(v))
			}
			h.Write(buf)
			buf = buf[:0]
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// duplicate copies src to dst, piece by piece: the garbage collector would have
// to wait for the end of a single copy, however long.
func duplicate(dst, src []float64) {
	const piece = 1 << 16
	for len(src) > piece {
		duplicatePiece(dst[:piece], src[:piece])
		dst, src = dst[piece:], src[piece:]
	}
	copy(dst, src)
}

//go:noinline
func duplicatePiece(dst, src []float64) { copy(dst, src) }

// scale computes x ← α·x.
func scale(alpha float64, x []float64) {
	for i := range x {
		x[i] *= alpha
	}
}

// norm2 is the Euclidean norm of x. The squares are summed as they are, or
// scaled first where they would leave the range of a float64.
func norm2(x []float64) float64 {
	if sum := kernel.Dot(x, x); sum > 1e-280 && sum <= math.MaxFloat64 {
		return math.Sqrt(sum)
	}
	return blas64.Nrm2(blas64.Vector{N: len(x), Inc: 1, Data: x})
}

// A ShapeError reports a matrix or a vector of the wrong shape.
type ShapeError struct {
	Func, Name         string // the function and its argument, such as "Predict" and "x"
	Rows, Cols         int    // what came
	WantRows, WantCols int    // what was expected; -1 stands for any number above zero
}

// Error says which argument of which function came with which shape, and
// which was expected.
func (e *ShapeError) Error() string {
	rows, cols := fmt.Sprint(e.WantRows), fmt.Sprint(e.WantCols)
	if e.WantRows < 0 {
		rows = "N"
	}
	if e.WantCols < 0 {
		cols = "M"
	}
	return fmt.Sprintf("backprop: %s: %s is %d×%d, want %s×%s", e.Func, e.Name, e.Rows, e.Cols, rows, cols)
}

// A ValueError reports an element that cannot be used: a NaN or an infinity,
// or a target that does not fit the loss.
type ValueError struct {
	Func, Name string // the function and its argument, such as "Train" and "x"
	Row, Col   int    // where it stands, both from 0; Col is -1 where the whole row is meant
	Value      float64
	Want       string // what was expected
}

// Error says where the element stands, what it is and what was expected.
func (e *ValueError) Error() string {
	if e.Col < 0 {
		return fmt.Sprintf("backprop: %s: %s row %d sums to %v, want %s", e.Func, e.Name, e.Row, e.Value, e.Want)
	}
	return fmt.Sprintf("backprop: %s: %s row %d, column %d is %v, want %s", e.Func, e.Name, e.Row, e.Col, e.Value, e.Want)
}

// door checks what a caller hands in. It carries the name of the function for
// its errors.
type door string

// matrix views m without copying where its layout is known, and copies it
// otherwise. Rows or cols below zero accept any number.
func (d door) matrix(name string, m mat.Matrix, rows, cols int) (matrix, error) {
	if isNil(m) {
		return matrix{}, fmt.Errorf("backprop: %s: %s is nil, want a matrix", string(d), name)
	}
	r, c := m.Dims()
	if r <= 0 || c <= 0 || rows >= 0 && r != rows || cols >= 0 && c != cols {
		return matrix{}, &ShapeError{string(d), name, r, c, rows, cols}
	}
	switch m := m.(type) {
	case mat.RawMatrixer:
		return matrix(m.RawMatrix()), nil
	case mat.RawVectorer:
		v := m.RawVector()
		return matrix{Rows: r, Cols: 1, Stride: v.Inc, Data: v.Data}, nil
	}
	return matrix(mat.DenseCopyOf(m).RawMatrix()), nil
}

// finite is an error if an element of m is NaN or infinite.
func (d door) finite(name string, m matrix) error {
	for i := range m.Rows {
		if kernel.Finite(m.row(i)) {
			continue
		}
		for j, v := range m.row(i) {
			if !isFinite(v) {
				return &ValueError{string(d), name, i, j, v, "a finite number"}
			}
		}
	}
	return nil
}

// isNil reports whether v is nil or holds a nil pointer.
func isNil(v any) bool {
	return v == nil || nilPointer(reflect.ValueOf(v))
}

func nilPointer(v reflect.Value) bool {
	return v.Kind() == reflect.Pointer && v.IsNil()
}

func isFinite(v float64) bool { return v-v == 0 }

// shareMemory reports whether two slices have an element in common.
func shareMemory(a, b []float64) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	address := func(v *float64) uintptr { return uintptr(unsafe.Pointer(v)) }
	return address(&a[0]) <= address(&b[len(b)-1]) && address(&b[0]) <= address(&a[len(a)-1])
}

// OneHot returns the len(labels)×classes matrix whose row i holds 1 in column
// labels[i] and 0 elsewhere: targets for [CrossEntropy]. A label outside
// [0, classes) is an error, and so are no labels and fewer than two classes.
func OneHot(labels []int, classes int) (*mat.Dense, error) {
	if len(labels) == 0 {
		return nil, fmt.Errorf("backprop: OneHot: no labels")
	}
	if most := maxSize / len(labels); classes < 2 || classes > most {
		return nil, fmt.Errorf("backprop: OneHot: classes is %d, want 2 to %d for %d labels", classes, most, len(labels))
	}
	for i, c := range labels {
		if c < 0 || c >= classes {
			return nil, fmt.Errorf("backprop: OneHot: label %d is %d, want 0 to %d", i, c, classes-1)
		}
	}
	m := mat.NewDense(len(labels), classes, nil)
	for i, c := range labels {
		m.Set(i, c, 1)
	}
	return m, nil
}

// A crew is a number of goroutines that share one large operation. It is cut
// into parts, and each goroutine takes the next one until there are none: which
// parts there are and who computes them changes no bit of the result, and a
// goroutine that has no processor holds up nobody. A nil crew is the caller
// alone.
type crew struct {
	job     job
	next    atomic.Uint32   // the job's number of parts and, in the lower 16 bits, its next part
	left    atomic.Int64    // parts of the job that are not computed yet
	wake    []chan struct{} // one a helper
	running sync.WaitGroup
}

// A job is an operation to be shared.
type job struct {
	op      operation
	size    int // what is divided: rows, units or parameters
	parts   int
	c, a, b matrix
	bias    []float64
	index   []int
	update  *update
	state   *state
}

type operation int

const (
	opAffine operation = iota
	opMulTrans
	opMul
	opDescend
	opGather
	opUpdate
)

// part computes lo to hi of the result, as part i.
func (j *job) part(i, lo, hi int) {
	switch j.op {
	case opAffine: // units of Z
		bias := j.bias
		if bias != nil {
			bias = bias[lo:hi]
		}
		z, w := j.c.columns(lo, hi), j.b.slice(lo, hi)
		affine(&z, &j.a, &w, bias)
	case opMulTrans: // rows of dW
		dw, dz := j.c.slice(lo, hi), j.a.columns(lo, hi)
		mulTrans(&dw, &dz, &j.b)
	case opMul: // rows of dX
		dx, dz := j.c.slice(lo, hi), j.a.slice(lo, hi)
		mul(&dx, &dz, &j.b)
	case opDescend: // rows of dW, and of W
		j.update.weights(j.state, &j.a, &j.b, lo, hi, i, j.parts)
	case opGather: // rows
		gather(j.c.slice(lo, hi), j.a, j.index[lo:hi])
	case opUpdate: // parameters
		j.update.part(lo, j.update.grad[lo:hi])
	}
}

// worthSharing is the number of multiplications from which an operation is
// shared: some 20 µs of them, several times what it takes to wake a goroutine.
const worthSharing = 1 << 19

// newCrew starts a crew for GOMAXPROCS goroutines, the caller included, or
// returns nil if no operation of up to largest multiplications is worth it.
func newCrew(largest int) *crew {
	helpers := min(runtime.GOMAXPROCS(0), 1<<10) - 1
	if helpers < 1 || largest < worthSharing {
		return nil
	}
	c := &crew{}
	for range helpers {
		wake := make(chan struct{}, 1)
		c.wake = append(c.wake, wake)
		c.running.Go(func() {
			for await(wake) {
				c.work()
			}
		})
	}
	return c
}

// share runs a job on all of the crew.
func (c *crew) share(j job) {
	j.parts = min(c.workers(), (j.size+7)/8)
	c.job = j // nobody reads it: every part of the last one is computed
	c.left.Store(int64(j.parts))
	c.next.Store(uint32(j.parts) << 16)
	for _, wake := range c.wake {
		select {
		case wake <- struct{}{}:
		default: // it has not looked yet
		}
	}
	c.work()
	for c.left.Load() > 0 {
		runtime.Gosched()
	}
}

// work takes parts of the job, as long as there are any.
func (c *crew) work() {
	for {
		next := c.next.Load()
		part, parts := int(next&0xffff), int(next>>16)
		if part >= parts {
			return
		}
		if !c.next.CompareAndSwap(next, next+1) {
			continue
		}
		// The part is taken, if not of the job that was there before, then of the one
		// that has come, which stays until the part is computed. Parts are cut at
		// multiples of 8, a vector's width.
		size := c.job.size
		cut := func(i int) int { return min(size, (size*i/parts+7)&^7) }
		if lo, hi := cut(part), cut(part+1); lo < hi {
			c.job.part(part, lo, hi)
		}
		c.left.Add(-1)
	}
}

// await receives from c and reports whether c is open. It spins for some 75 µs
// before it sleeps: from one shared operation to the next there is less time
// than it takes to wake a thread.
func await(c <-chan struct{}) bool {
	for range 500 {
		select {
		case _, ok := <-c:
			return ok
		default:
			runtime.Gosched()
		}
	}
	_, ok := <-c
	return ok
}

// dismiss ends the crew's goroutines.
func (c *crew) dismiss() {
	if c == nil {
		return
	}
	for _, wake := range c.wake {
		close(wake)
	}
	c.running.Wait()
}

// workers is how many goroutines work, the caller included.
func (c *crew) workers() int {
	if c == nil {
		return 1
	}
	return len(c.wake) + 1
}

// alone reports whether an operation of so many multiplications is not shared.
func (c *crew) alone(multiplications int) bool {
	return c == nil || multiplications < worthSharing
}

// The operations below are those above, shared if they are large.

func (c *crew) affine(z, x, w *matrix, b []float64) {
	if c.alone(x.Rows * w.Rows * w.Cols) {
		affine(z, x, w, b)
		return
	}
	c.share(job{op: opAffine, size: w.Rows, c: *z, a: *x, b: *w, bias: b})
}

func (c *crew) mulTrans(dw, dz, x *matrix) {
	if c.alone(x.Rows * dw.Rows * dw.Cols) {
		mulTrans(dw, dz, x)
		return
	}
	c.share(job{op: opMulTrans, size: dw.Rows, c: *dw, a: *dz, b: *x})
}

// descend is mulTrans for an update by rows.
func (c *crew) descend(u *update, s *state, dz, x *matrix) {
	if c.alone(x.Rows * s.rows * s.cols) {
		u.weights(s, dz, x, 0, s.rows, 0, 1)
		return
	}
	c.share(job{op: opDescend, size: s.rows, a: *dz, b: *x, update: u, state: s})
}

func (c *crew) mul(dx, dz, w *matrix) {
	if c.alone(dz.Rows * w.Rows * w.Cols) {
		mul(dx, dz, w)
		return
	}
	c.share(job{op: opMul, size: dx.Rows, c: *dx, a: *dz, b: *w})
}

func (c *crew) gather(dst, src matrix, index []int) {
	if c.alone(16 * dst.Rows * dst.Cols) { // an element moved costs some 16 multiplications
		gather(dst, src, index)
		return
	}
	c.share(job{op: opGather, size: dst.Rows, c: dst, a: src, index: index})
}

func (c *crew) update(u *update) {
	if c.alone(16 * len(u.params)) {
		u.part(0, u.grad)
		return
	}
	c.share(job{op: opUpdate, size: len(u.params), update: u})
}
