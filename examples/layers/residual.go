package main

import (
	"fmt"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// Residual adds to x what its layers make of it, a = x + Layers(x), so they have as many outputs as
// inputs (He et al. 2016). Values and derivatives pass the sum as they are, through however many
// blocks.
type Residual struct{ Layers backprop.Sequential }

// Shape is that of the inner layers. The sum is what the layer ends with, not their activation.
func (l Residual) Shape(inputs int) (backprop.Shape, error) {
	shape, err := l.Layers.Shape(inputs)
	if err == nil && shape.Outputs != inputs {
		err = fmt.Errorf("the layers of a Residual make %d outputs of %d inputs, want as many", shape.Outputs, inputs)
	}
	shape.Activation = nil
	return shape, err
}

// Reset resets the inner layers.
func (l Residual) Reset(at backprop.Place) { l.Layers.Reset(at) }

// Stage computes A = X + F, with F from the inner layers' stage.
func (l Residual) Stage(at backprop.Place) backprop.Stage {
	return &residualStage{Place: at, inner: l.Layers.Stage(at)}
}

type residualStage struct {
	backprop.Place
	inner backprop.Stage
	a, da mat.Dense // N×inputs
}

func (s *residualStage) Forward(x *mat.Dense) *mat.Dense {
	rows, cols := x.Dims()
	backprop.Resize(&s.a, rows, cols).Add(x, s.inner.Forward(x))
	return &s.a
}

func (s *residualStage) Backward(da *mat.Dense) *mat.Dense {
	rows, cols := da.Dims()
	backprop.Resize(&s.da, rows, cols).Copy(da) // the inner stage may use da up
	dx := s.inner.Backward(da)
	if !s.NeedDX {
		return nil
	}
	dx.Add(dx, &s.da) // dX = dA + the inner dX
	return dx
}
