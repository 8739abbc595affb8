package testutil

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// Pattern is a matrix of values in [−1, 1], always the same.
func Pattern(rows, cols int) *mat.Dense {
	rng, m := rand.New(rand.NewPCG(uint64(rows), uint64(cols))), mat.NewDense(rows, cols, nil)
	m.Apply(func(i, j int, _ float64) float64 { return 2*rng.Float64() - 1 }, m)
	return m
}

// Probabilities is a matrix of values in [0, 1], always the same.
func Probabilities(rows, cols int) *mat.Dense {
	m := Pattern(rows, cols)
	m.Apply(func(i, j int, v float64) float64 { return (1 + v) / 2 }, m)
	return m
}

// ClassTargets is a one-hot matrix.
func ClassTargets(rows, n int) *mat.Dense {
	m := mat.NewDense(rows, n, nil)
	for i := range rows {
		m.Set(i, i*i%n, 1)
	}
	return m
}

// ScaledMatrix is k·m.
func ScaledMatrix(m mat.Matrix, k float64) *mat.Dense {
	var s mat.Dense
	s.Scale(k, m)
	return &s
}

// SetIdentity makes m the identity.
func SetIdentity(m *mat.Dense) {
	m.Apply(func(i, j int, _ float64) float64 {
		if i == j {
			return 1
		}
		return 0
	}, m)
}

// Largest is the largest magnitude.
func Largest(values []float64) (top float64) {
	for _, v := range values {
		top = max(top, math.Abs(v))
	}
	return top
}

// Moments are the mean and the variance.
func Moments(values []float64) (mean, variance float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, variance
}

// RowsOf is the number of rows.
func RowsOf(m mat.Matrix) int {
	r, _ := m.Dims()
	return r
}

// Cols is the number of columns.
func Cols(m mat.Matrix) int {
	_, c := m.Dims()
	return c
}

// Xor is the exclusive or, all four rows of it.
func Xor() (x, y *mat.Dense) {
	return mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1}), mat.NewDense(4, 1, []float64{0, 1, 1, 0})
}
