// Package dataset holds samples in memory, and cuts them into batches.
package dataset

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"example.com/backprop/internal/crew"
	"example.com/backprop/internal/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Samples are inputs, targets and weights, a sample a row. X or Y may be empty where nobody asks.
// The weights are a column, which is empty where all samples count alike.
type Samples struct{ X, Y, Weights kernel.Matrix }

// Slice views the samples lo to hi, hi not included.
func (s *Samples) Slice(lo, hi int) Samples {
	part := Samples{X: s.X.Slice(lo, hi), Y: s.Y.Slice(lo, hi)}
	if s.Weights.Data != nil {
		part.Weights = s.Weights.Slice(lo, hi)
	}
	return part
}

// Weight is the weight of sample i.
func (s *Samples) Weight(i int) float64 {
	if s.Weights.Data == nil {
		return 1
	}
	return s.Weights.Data[i]
}

// Gather is a copy of the samples named by index.
func (s *Samples) Gather(index []int) Samples {
	g := s.reserve(len(index))
	g.gather(s, index, nil)
	return g
}

// reserve is memory for so many samples.
func (s *Samples) reserve(rows int) Samples {
	like := func(m kernel.Matrix) kernel.Matrix {
		if m.Data == nil {
			return kernel.Matrix{}
		}
		return kernel.Matrix{Rows: rows, Cols: m.Cols, Stride: m.Cols, Data: make([]float64, rows*m.Cols)}
	}
	return Samples{X: like(s.X), Y: like(s.Y), Weights: like(s.Weights)}
}

// gather copies the samples of src named by index. A crew shares the copying.
func (s *Samples) gather(src *Samples, index []int, c *crew.Crew) {
	gather(&s.X, &src.X, index, c)
	gather(&s.Y, &src.Y, index, c)
	gather(&s.Weights, &src.Weights, index, c)
}

func gather(dst, src *kernel.Matrix, index []int, c *crew.Crew) {
	if src.Data != nil {
		dst.Rows, dst.Data = len(index), dst.Data[:len(index)*dst.Cols]
		c.Gather(dst, src, index)
	}
}

// Parts are the three matrices. No samples have none.
func (s *Samples) Parts() []*kernel.Matrix {
	if s == nil {
		return nil
	}
	return []*kernel.Matrix{&s.X, &s.Y, &s.Weights}
}

// ScaleWeights gives the weights, by their name, a mean of 1, in memory of their own. It returns an
// error if that cannot be done.
func (s *Samples) ScaleWeights(name string) error {
	w := s.Weights.Data
	if w == nil {
		return nil
	}
	sum := kernel.Sum(w)
	scale := float64(len(w)) / sum // infinite too of a sum that is next to nothing
	if !(scale > 0 && scale <= math.MaxFloat64) {
		return fmt.Errorf("%s sum to %v, want a finite number above 0", name, sum)
	}
	s.Weights.Data = floats.ScaleTo(make([]float64, len(w)), scale, w)
	return nil
}

// smallestNormal is the smallest float64 with all its digits.
const smallestNormal = 0x1p-1022

// Moments computes the weighted mean and population variance of column j of m, which is X or Y. For
// a column of equal values the variance is 1. Samples of weight 0 are not looked at.
func (s *Samples) Moments(m *kernel.Matrix, j int) (mean, variance float64, err error) {
	var column, weights []float64
	for i := range m.Rows {
		if w := s.Weight(i); w > 0 {
			column, weights = append(column, m.Row(i)[j]), append(weights, w)
		}
	}
	if first := column[0]; slices.Min(column) == slices.Max(column) {
		return first + 0, 1, nil // 0 for −0
	}
	sum := kernel.Sum(weights)
	mean = kernel.Dot(weights, column) / sum
	for i := range column {
		column[i] -= mean
	}
	rest := kernel.Dot(weights, column) / sum // of rounding
	floats.Mul(weights, column)
	variance = kernel.Dot(weights, column)/sum - float64(rest*rest)
	switch {
	case mean-mean != 0 || variance-variance != 0:
		return 0, 0, errors.New("too large to standardize: its variance is not finite")
	case variance < smallestNormal:
		return 0, 0, errors.New("too small to standardize: its variance underflows")
	}
	return mean + 0, variance, nil
}

// A Dense shows samples or targets as gonum has them, without gaps between their rows, so that what
// is computed of them does not depend on how they lie in memory.
type Dense struct {
	rows   int      // of what is shown
	first  *float64 // its first element
	shown  mat.Dense
	copied mat.Dense
}

// Show shows m itself, or a copy if m has gaps, until the next call.
func (d *Dense) Show(m *kernel.Matrix) *mat.Dense {
	if m.Stride != m.Cols && m.Rows > 1 {
		return d.copy(m)
	}
	if d.rows != m.Rows || d.first != &m.Data[0] {
		d.rows, d.first = m.Rows, &m.Data[0]
		d.shown.SetRawMatrix(blas64.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Cols, Data: m.Data[:m.Rows*m.Cols]})
	}
	return &d.shown
}

func (d *Dense) copy(m *kernel.Matrix) *mat.Dense {
	if rows, _ := d.copied.Dims(); rows != m.Rows {
		d.copied.Reset()
		d.copied.ReuseAs(m.Rows, m.Cols) // in the memory that it has, if that is enough
	}
	for i := range m.Rows {
		d.copied.SetRow(i, m.Row(i))
	}
	return &d.copied
}

// Batches are samples, cut into batches.
type Batches struct {
	Samples
	Count, Largest int // how many there are, and the samples of the largest
	size           int
	order          []int   // of the samples; nil as they lie
	batch          Samples // the last one, in memory of its own if there is an order
}

// Cut cuts samples into batches of size samples. Fewer are left for the last one, but at least
// least: still fewer join the batch before it.
func Cut(s Samples, size, least int) *Batches {
	b := &Batches{Samples: s, Count: (s.X.Rows + size - 1) / size, Largest: size, size: size}
	if left := s.X.Rows % size; left > 0 && left < least {
		b.Count--
		b.Largest += left
	}
	return b
}

// Shuffle draws an order of the samples for the batches to come, of which a single one needs none.
func (b *Batches) Shuffle(rng *rand.Rand) {
	if b.Count == 1 {
		return
	}
	if b.order == nil {
		b.order = make([]int, b.X.Rows)
		b.batch = b.reserve(b.Largest)
	}
	for i := range b.order {
		b.order[i] = i
	}
	rng.Shuffle(len(b.order), func(i, j int) { b.order[i], b.order[j] = b.order[j], b.order[i] })
}

// Batch returns batch i, which is valid until the next call. A crew shares the copying.
func (b *Batches) Batch(i int, c *crew.Crew) *Samples {
	if b.Count == 1 {
		return &b.Samples
	}
	lo, hi := i*b.size, (i+1)*b.size
	if i == b.Count-1 {
		hi = b.X.Rows
	}
	if b.order == nil {
		b.batch = b.Slice(lo, hi)
		return &b.batch
	}
	b.batch.gather(&b.Samples, b.order[lo:hi], c)
	return &b.batch
}
