// Package draw fills matrices with random numbers.
package draw

import (
	"math"
	"math/rand/v2"

	"example.com/backprop/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// Uniform draws the elements of m, which has no gaps between its rows, uniformly within ±limit.
func Uniform(m kernel.Matrix, limit float64, rng *rand.Rand) {
	for i := range m.Data {
		m.Data[i] = (2*rng.Float64() - 1) * limit
	}
}

// Normal draws them normally, with mean 0.
func Normal(m kernel.Matrix, deviation float64, rng *rand.Rand) {
	for i := range m.Data {
		m.Data[i] = rng.NormFloat64() * deviation
	}
}

// Orthogonal draws a matrix with orthonormal rows or columns, whichever are fewer, uniformly from
// all of them: Q of a normal matrix's QR factorization with a positive diagonal of R, without which
// Q is not uniform (Mezzadri 2007).
func Orthogonal(m kernel.Matrix, rng *rand.Rand) {
	if m.Rows >= m.Cols {
		Normal(m, 1, rng)
		orthonormalize(m)
		return
	}
	t := kernel.Matrix{Rows: m.Cols, Cols: m.Rows, Stride: m.Rows, Data: make([]float64, m.Rows*m.Cols)}
	Normal(t, 1, rng)
	orthonormalize(t)
	for i := range t.Rows {
		for j, v := range t.Row(i) {
			m.Row(j)[i] = v
		}
	}
}

// orthonormalize replaces m, with no more columns than rows, by the Q of its QR factorization in
// which R has a positive diagonal.
func orthonormalize(m kernel.Matrix) {
	q, tau, size := blas64.General(m), make([]float64, m.Cols), make([]float64, 1)
	lapack64.Geqrf(q, tau, size, -1)
	work := make([]float64, int(size[0]))
	lapack64.Geqrf(q, tau, work, len(work))
	signs := make([]float64, m.Cols)
	for j := range signs {
		signs[j] = math.Copysign(1, m.Row(j)[j])
	}
	lapack64.Orgqr(q, tau, work, len(work))
	for i := range m.Rows {
		for j := range signs {
			m.Row(i)[j] *= signs[j]
		}
	}
}
