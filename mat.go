package backprop

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"example.com/backprop/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// This file is the dense-matrix core, where one looks things up: views of matrices, the memory of a
// stage's results, and the checks at the library's door.
//
// Dimension letters, used everywhere: N is the number of samples in a batch, in and out are a
// layer's numbers of inputs and units. Rows are samples.

// A matrix is a row-major view of float64s, which may belong to the caller, to the network's flat
// parameters or to a pass.
type matrix = kernel.Matrix

// maxSize bounds a network's number of parameters and the width of a layer, so that a slip of the
// pen is an error and not the end of the process.
const maxSize = 1 << 30

// matrixOf views the first rows·cols elements of data as a matrix.
func matrixOf(data []float64, rows, cols int) matrix {
	return matrix{Rows: rows, Cols: cols, Stride: cols, Data: data[:rows*cols]}
}

// viewOf is m as the kernels see it.
func viewOf(m *mat.Dense) matrix { return matrix(m.RawMatrix()) }

// dataOf is all elements of m, which has no gaps between its rows.
func dataOf(m *mat.Dense) []float64 { return m.RawMatrix().Data }

// A buffer is the memory of a stage's result, as the kernels and as gonum see it. There are no gaps
// between its rows.
type buffer struct {
	matrix
	dense mat.Dense
}

// Turns are the two pieces of memory that the stages of an inference write to in turn: what comes
// out of one is read by the next and by nobody else.
type turns struct {
	memory [2][]float64 // the one taken last, and the next
	size   int          // of either, at least
}

// take is memory for n numbers: of its own where there are no turns.
func (t *turns) take(n int) []float64 {
	if t == nil {
		return make([]float64, n)
	}
	t.memory[0], t.memory[1] = t.memory[1], t.memory[0]
	if len(t.memory[0]) < n {
		t.memory[0] = make([]float64, max(t.size, n))
	}
	return t.memory[0]
}

// buffer is the memory of a stage's result in a place.
func (p *Place) buffer(cols int) *buffer {
	b := &buffer{matrix: matrixOf(p.turns.take(p.Rows*cols), p.Rows, cols)}
	b.dense.SetRawMatrix(blas64.General(b.matrix))
	return b
}

// resize makes b have so many rows, of which the elements are not defined.
func (b *buffer) resize(rows int) {
	if b.Rows != rows {
		b.matrix = viewOf(Resize(&b.dense, rows, b.Cols))
	}
}

// Resize makes m a rows×cols matrix without gaps between its rows, in the memory that it has if
// that is enough, and returns it. The elements are not defined then. It is what a [Stage] of one's
// own keeps its results with.
func Resize(m *mat.Dense, rows, cols int) *mat.Dense {
	r := m.RawMatrix()
	if r.Rows == rows && r.Cols == cols && r.Stride == cols {
		return m
	}
	if cap(r.Data) < rows*cols {
		r.Data = make([]float64, rows*cols)
	}
	m.SetRawMatrix(blas64.General(matrixOf(r.Data[:cap(r.Data)], rows, cols)))
	return m
}

func fill(x []float64, v float64) {
	for i := range x {
		x[i] = v
	}
}

func isFinite(v float64) bool { return v-v == 0 }

var packagePath = reflect.TypeFor[door]().PkgPath()

// isOurs reports whether a value is of a type of this package.
func isOurs(v any) bool { return reflect.TypeOf(v).PkgPath() == packagePath }

// ErrStop, returned by [TrainConfig.OnEpoch], ends training without an error.
var ErrStop = errors.New("stop training")

// ErrDiverged is what an error of [Network.Train], [Network.TrainBatches], [Network.Loss],
// [Network.Gradient], [Network.TrainingGradient], [Network.InputGradient] or [Network.CheckGradient]
// wraps when the loss, its gradient or a parameter has left the finite numbers.
var ErrDiverged = errors.New("loss or gradient is not finite")

// A ShapeError reports a matrix or a vector of the wrong shape.
type ShapeError struct {
	Func, Name         string // the function and its argument, such as "Predict" and "x"
	Rows, Cols         int    // what came
	WantRows, WantCols int    // what was expected; -1 stands for any number above zero
}

// Error says which argument of which function came with which shape, and which was expected.
func (e *ShapeError) Error() string {
	rows, cols := fmt.Sprint(e.WantRows), fmt.Sprint(e.WantCols)
	if e.WantRows < 0 {
		rows = "N"
	}
	if e.WantCols < 0 {
		cols = "M"
	}
	hint := ""
	switch {
	case e.WantRows < 0 && e.Rows == e.WantCols:
		hint = "; samples are rows, so the transpose may be meant"
	case e.Rows == e.WantRows && e.Cols == 1 && e.WantCols > 1 && strings.HasSuffix(strings.ToLower(e.Name), "y"):
		hint = "; OneHot makes it of labels"
	}
	return fmt.Sprintf("backprop: %s: %s is %d×%d, want %s×%s%s", e.Func, e.Name, e.Rows, e.Cols, rows, cols, hint)
}

// A ValueError reports an element that cannot be used: a NaN or an infinity, or a target that does
// not fit the loss.
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

// A door checks what a caller hands in. It carries the name of the function for its errors.
type door string

// errorf makes an error that names the function.
func (d door) errorf(format string, args ...any) error {
	return fmt.Errorf("backprop: "+string(d)+": "+format, args...)
}

// wrap names the function in every error that err has joined. No error stays none.
func (d door) wrap(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs := slices.Clone(joined.Unwrap())
		for i, err := range errs {
			errs[i] = d.wrap(err)
		}
		return errors.Join(errs...)
	}
	if err == nil {
		return nil
	}
	return d.errorf("%w", err)
}

// view makes v a view of m, without copying where its layout is known, and of a copy otherwise. Rows
// or cols below zero accept any number.
func (d door) view(v *matrix, name string, m mat.Matrix, rows, cols int) error {
	if m, ok := m.(*mat.Dense); ok && m != nil {
		if *v = viewOf(m); fits(v.Rows, v.Cols, rows, cols) {
			return nil
		}
	}
	if isNil(m) {
		return d.errorf("%s is nil, want a matrix", name)
	}
	r, c := m.Dims()
	if !fits(r, c, rows, cols) {
		return &ShapeError{string(d), name, r, c, rows, cols}
	}
	switch m := m.(type) {
	case mat.RawMatrixer:
		if *v = matrix(m.RawMatrix()); v.Rows == r && v.Cols == c { // not a type that embeds another matrix
			return nil
		}
	case mat.RawVectorer:
		if raw := m.RawVector(); raw.N == r && c == 1 {
			*v = matrix{Rows: r, Cols: 1, Stride: raw.Inc, Data: raw.Data}
			return nil
		}
	}
	*v = matrixOf(make([]float64, r*c), r, c)
	for i := range r {
		for j := range c {
			v.Row(i)[j] = m.At(i, j)
		}
	}
	return nil
}

// fits reports whether a matrix has the shape that is wanted, of any number where that is below zero.
func fits(r, c, rows, cols int) bool {
	return r > 0 && c > 0 && (rows < 0 || r == rows) && (cols < 0 || c == cols)
}

// viewFinite is view of a matrix without NaN and infinities.
func (d door) viewFinite(v *matrix, name string, m mat.Matrix, rows, cols int) error {
	if err := d.view(v, name, m, rows, cols); err != nil {
		return err
	}
	return d.checkFinite(name, v)
}

// checkFinite returns an error if an element of m is NaN or infinite.
func (d door) checkFinite(name string, m *matrix) error {
	if m.Finite() {
		return nil
	}
	return d.checkRange(name, m, -math.MaxFloat64, math.MaxFloat64, "a finite number")
}

// checkRange returns an error that says what is wanted, in words that are joined only then, if an
// element of m is not from lo to hi.
func (d door) checkRange(name string, m *matrix, lo, hi float64, want ...string) error {
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			if !(v >= lo && v <= hi) { // a NaN is not
				return &ValueError{string(d), name, i, j, v, strings.Join(want, " ")}
			}
		}
	}
	return nil
}

// viewWeights views the weights of so many samples as a column. There may be none, and all may be 0.
func (d door) viewWeights(v *matrix, name string, w []float64, rows int) error {
	if w == nil {
		return nil
	}
	if len(w) != rows {
		return &ShapeError{string(d), name, len(w), 1, rows, 1}
	}
	*v = matrixOf(w, rows, 1)
	return d.checkRange(name, v, 0, math.MaxFloat64, "a finite number, 0 or more")
}

// isNil reports whether v is nil or holds a nil pointer.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return v == nil || r.Kind() == reflect.Pointer && r.IsNil()
}

// checkFields returns an error if an activation, a loss, an optimizer or a schedule is a nil
// pointer or has fields that cannot be used.
func checkFields(v any) error {
	if v != nil && isNil(v) {
		return fmt.Errorf("a %T is nil, want a value", v)
	}
	if c, ok := v.(interface{ check() error }); ok {
		return c.check()
	}
	return nil
}

func checkDecay(name string, v float64) error {
	return check(v >= 0 && v < 1, name, v, "0 to 1, 1 not included")
}

// checkPositive lets 0 pass, which stands for the default.
func checkPositive(name string, v float64) error {
	return check(isFinite(v) && v >= 0, name, v, "a finite number above 0")
}

func checkNotNegative(name string, v float64) error {
	return check(isFinite(v) && v >= 0, name, v, "a finite number, 0 (none) or more")
}

func checkEpochs(name string, n int) error { return check(n >= 1, name, n, "1 or more") }

// check returns an error that says what is wanted, unless the value is fine.
func check(fine bool, name string, v any, want string) error {
	if fine {
		return nil
	}
	return fmt.Errorf("%s is %v, want %s", name, v, want)
}
