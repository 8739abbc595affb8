// Package guard watches what a stage of somebody else's returns: a matrix of another shape than was
// promised would be read beyond its end.
package guard

import (
	"fmt"

	"gonum.org/v1/gonum/mat"
)

// A Stage is what is watched: a method forward, and one backward.
type Stage interface {
	Forward(x *mat.Dense) *mat.Dense
	Backward(da *mat.Dense) *mat.Dense
}

// A Guard is a stage whose results have the shapes that they should have, or it panics.
type Guard struct {
	Stage
	Name            string // of the layer
	Inputs, Outputs int    // columns of x and of a
	NeedDX          bool   // Backward must return something; else what it returns is not used
	rows            int
}

// Forward calls the stage's.
func (g *Guard) Forward(x *mat.Dense) *mat.Dense {
	g.rows = x.RawMatrix().Rows
	return g.checked("Forward", g.Stage.Forward(x), g.Outputs)
}

// Backward calls the stage's.
func (g *Guard) Backward(da *mat.Dense) *mat.Dense {
	dx := g.Stage.Backward(da)
	if !g.NeedDX {
		return nil
	}
	return g.checked("Backward", dx, g.Inputs)
}

func (g *Guard) checked(method string, m *mat.Dense, cols int) *mat.Dense {
	if m == nil {
		panic(fmt.Sprintf("backprop: %s of a %s returned nil, want a %d×%d matrix", method, g.Name, g.rows, cols))
	}
	r := m.RawMatrix()
	if r.Rows != g.rows || r.Cols != cols || r.Stride != cols {
		panic(fmt.Sprintf("backprop: %s of a %s returned %d×%d with stride %d, want %d×%d without gaps",
			method, g.Name, r.Rows, r.Cols, r.Stride, g.rows, cols))
	}
	if len(r.Data) != g.rows*cols { // of SetRawMatrix
		panic(fmt.Sprintf("backprop: %s of a %s returned %d×%d with %d elements behind it, want %d; Resize makes such",
			method, g.Name, r.Rows, r.Cols, len(r.Data), g.rows*cols))
	}
	return m
}
