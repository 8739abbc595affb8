package main

import (
	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// MaxPool takes the largest of each Size×Size pixels, channel by channel. Images lie as those of a
// [Conv]; pixels at the right and at the bottom that fill no square are left out, as by PyTorch's
// nn.MaxPool2d(size).
type MaxPool struct {
	Height, Width int // of the image; the inputs say how many channels it has
	Size          int
}

// Shape is an image of Height/Size × Width/Size pixels, both rounded down.
func (l MaxPool) Shape(inputs int) (backprop.Shape, error) {
	channels, err := channelsOf(inputs, l.Height, l.Width, l.Size)
	if err != nil {
		return backprop.Shape{}, err
	}
	return backprop.Shape{Outputs: (l.Height / l.Size) * (l.Width / l.Size) * channels}, nil
}

// Reset has nothing to do.
func (MaxPool) Reset(backprop.Place) {}

// Stage computes the maxima.
func (l MaxPool) Stage(at backprop.Place) backprop.Stage {
	s := &maxPoolStage{Place: at, size: l.Size * l.Size}
	channels := at.Inputs / l.Height / l.Width
	for y := range l.Height / l.Size {
		for x := range l.Width / l.Size {
			for c := range channels {
				for i := range s.size {
					y, x := y*l.Size+i/l.Size, x*l.Size+i%l.Size
					s.squares = append(s.squares, (y*l.Width+x)*channels+c)
				}
			}
		}
	}
	s.outputs = len(s.squares) / s.size
	s.largest = make([]int, at.Rows*s.outputs)
	return s
}

type maxPoolStage struct {
	backprop.Place
	outputs, size int
	squares       []int     // outputs×size: which inputs each output is the largest of
	largest       []int     // N×outputs: which one that is
	a, dx         mat.Dense // N×outputs, N×inputs
}

func (s *maxPoolStage) Forward(x *mat.Dense) *mat.Dense {
	n, _ := x.Dims()
	backprop.Resize(&s.a, n, s.outputs)
	for i := range n {
		x, a, largest := x.RawRowView(i), s.a.RawRowView(i), s.largest[i*s.outputs:]
		for j := range a {
			square := s.squares[j*s.size : (j+1)*s.size]
			top, at := x[square[0]], square[0]
			for _, k := range square[1:] {
				if x[k] > top { // at alone, so that it is no jump, which could not be foreseen
					at = k
				}
				top = max(top, x[k]) // a NaN stays
			}
			a[j], largest[j] = top, at
		}
	}
	return &s.a
}

func (s *maxPoolStage) Backward(da *mat.Dense) *mat.Dense {
	if !s.NeedDX {
		return nil
	}
	n, _ := da.Dims()
	backprop.Resize(&s.dx, n, s.Inputs).Zero()
	for i := range n {
		dx, largest := s.dx.RawRowView(i), s.largest[i*s.outputs:]
		for j, v := range da.RawRowView(i) {
			dx[largest[j]] += v
		}
	}
	return &s.dx
}
