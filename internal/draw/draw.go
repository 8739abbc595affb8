// Package draw fills matrices with random numbers.
package draw

import (
	"math"
	"math/rand/v2"
	"sync"

	"example.com/backprop/internal/kernel"
)

// Uniform draws the elements of m, which has no gaps between its rows, uniformly within ±limit.
func Uniform(m kernel.Matrix, limit float64, rng *rand.Rand) {
	for i := range m.Data {
		m.Data[i] = (2*float64(rng.Float64()) - 1) * limit
	}
}

// Normal draws them normally, with mean 0.
func Normal(m kernel.Matrix, deviation float64, rng *rand.Rand) {
	z := tables()
	for i := range m.Data {
		m.Data[i] = z.draw(rng) * deviation
	}
}

// Orthogonal draws a matrix with orthonormal rows or columns, whichever are fewer, uniformly from
// all of them: Q of a normal matrix's QR factorization with a positive diagonal of R, without which
// Q is not uniform (Mezzadri 2007). That is the matrix which Gram and Schmidt make orthonormal.
func Orthogonal(m kernel.Matrix, rng *rand.Rand) {
	q, z := m, tables() // orthonormal rows
	if m.Rows >= m.Cols {
		q = kernel.Matrix{Rows: m.Cols, Cols: m.Rows, Stride: m.Rows, Data: make([]float64, m.Rows*m.Cols)}
	}
	for j := range q.Cols {
		for i := range q.Rows {
			q.Row(i)[j] = z.draw(rng)
		}
	}
	const block = 16 // rows that stay in cache while those before them go by
	for lo := 0; lo < q.Rows; lo += block {
		hi := min(lo+block, q.Rows)
		for range 2 { // twice is enough (Giraud et al. 2005)
			for k := range hi {
				row := q.Row(k)
				if k >= lo {
					kernel.Scale(1/kernel.Norm2(row), row)
				}
				for i := max(lo, k+1); i < hi; i++ {
					kernel.Axpy(-kernel.Dot(row, q.Row(i)), row, q.Row(i))
				}
			}
		}
	}
	if m.Rows >= m.Cols {
		for i := range q.Rows {
			for j, v := range q.Row(i) {
				m.Row(j)[i] = v
			}
		}
	}
}

// A ziggurat is 128 strips of the same area over half of the normal density e^(−x²/2), which begin
// at its tail beyond end (Marsaglia and Tsang 2000). It draws the numbers of NormFloat64 in package
// math/rand/v2, a few of which depend on what a machine's package math and compiler make of the last
// bits.
type ziggurat struct {
	inside  [128]uint32  // below so much of 2³¹ an abscissa of the strip is under the density
	width   [128]float32 // of the strip, in parts of 2³¹
	density [128]float32 // at the strip's end
}

const end = 3.442619855899

var tables = sync.OnceValue(func() *ziggurat {
	const area, parts = 9.91256303526217e-3, 1 << 31
	z, x, f := &ziggurat{}, end, density(end)
	z.inside[0], z.width[0], z.density[0] = uint32(x/(area/f)*parts), float32(area/f/parts), 1
	for i := 127; i > 0; i-- {
		z.width[i], z.density[i] = float32(x/parts), float32(f)
		if i > 1 {
			next := math.Sqrt(-2 * kernel.Log(area/x+f))
			z.inside[i], x, f = uint32(next/x*parts), next, density(next)
		}
	}
	return z
})

// density is e^(−x²/2).
func density(x float64) float64 {
	e := [1]float64{-0.5 * x * x}
	kernel.Exp(e[:], e[:])
	return e[0]
}

// draw draws a number.
func (z *ziggurat) draw(rng *rand.Rand) float64 {
	for {
		u := rng.Uint64()
		j, i := int64(int32(u)), u>>32%128
		x := float64(j) * float64(z.width[i])
		switch {
		case uint32(max(j, -j)) < z.inside[i]:
			return x
		case i == 0:
			return math.Copysign(tail(rng), x)
		case z.density[i]+float32(float32(rng.Float64())*(z.density[i-1]-z.density[i])) < float32(density(x)):
			return x
		}
	}
}

// tail draws a number beyond end.
func tail(rng *rand.Rand) float64 {
	for {
		x, y := -kernel.Log(rng.Float64())*(1/end), -kernel.Log(rng.Float64())
		if y+y >= x*x {
			return end + float64(x)
		}
	}
}
