package kernel

import "math/bits"

// A Matrix is row-major: element (i, j) is Data[i*Stride+j]. Its fields are those of
// blas64.General.
type Matrix struct {
	Rows, Cols int
	Data       []float64
	Stride     int
}

// Row returns row i of m.
func (m *Matrix) Row(i int) []float64 {
	return m.Data[i*m.Stride : i*m.Stride+m.Cols : i*m.Stride+m.Cols]
}

// Slice returns rows lo to hi of m, hi not included, which share its memory.
func (m *Matrix) Slice(lo, hi int) Matrix {
	return Matrix{Rows: hi - lo, Cols: m.Cols, Stride: m.Stride, Data: m.Data[lo*m.Stride : (hi-1)*m.Stride+m.Cols]}
}

// Clone returns a copy of m without gaps between its rows.
func (m *Matrix) Clone() Matrix {
	c := Matrix{Rows: m.Rows, Cols: m.Cols, Stride: m.Cols, Data: make([]float64, m.Rows*m.Cols)}
	for i := range m.Rows {
		copy(c.Row(i), m.Row(i))
	}
	return c
}

// Column returns a copy of column j of m.
func (m *Matrix) Column(j int) []float64 {
	column := make([]float64, m.Rows)
	for i := range column {
		column[i] = m.Row(i)[j]
	}
	return column
}

// Columns returns columns lo to hi of m, hi not included, which share its memory.
func (m *Matrix) Columns(lo, hi int) Matrix {
	return Matrix{Rows: m.Rows, Cols: hi - lo, Stride: m.Stride, Data: m.Data[lo:]}
}

// Finite reports whether all elements of m are finite.
func (m *Matrix) Finite() bool {
	if m.Stride == m.Cols {
		return Finite(m.Data[:m.Rows*m.Cols])
	}
	for i := range m.Rows {
		if !Finite(m.Row(i)) {
			return false
		}
	}
	return true
}

// is reports whether m is rows×cols and has the memory, in the few steps that a small product can
// afford. It may deny that of a matrix that is empty, huge, or a row shorter than its stride would
// be; Check knows.
func (m *Matrix) is(rows, cols int) bool {
	return m.Rows == rows && m.Cols == cols &&
		uint(rows|cols|m.Stride) < 1<<31 && cols <= m.Stride && uint((rows-1)*m.Stride+cols) <= uint(len(m.Data))
}

// Check panics unless m is rows×cols and has the memory.
func (m *Matrix) Check(rows, cols int) {
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

// byRows is m as an operand.
func (m *Matrix) byRows() operand { return operand{m.Data, m.Stride, 1} }

// byColumns is mᵀ as an operand.
func (m *Matrix) byColumns() operand { return operand{m.Data, 1, m.Stride} }

// An operand of a product lies by rows or by columns: element (i, l) is data[i*row+l*col]. It is
// passed in registers, or by pointer: a copy in memory waits for the stores of its parts.
type operand struct {
	data     []float64
	row, col int
}
