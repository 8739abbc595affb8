package main

import (
	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Conv is a two-dimensional convolution without padding: a dense layer, whose units are the
// filters, that sees Kernel×Kernel pixels of an image at a time, at every place where they fit. A
// sample is an image of Height×Width pixels, row by row, and each pixel the values of its channels;
// what comes out is such an image of (Height−Kernel+1)×(Width−Kernel+1) pixels, whose channels are
// the filters.
//
// The weight is Filters.Units×(Kernel·Kernel·channels), and L2 and WeightDecay act on it. PyTorch
// has the channels first: the weight of its nn.Conv2d is this one's .view(filters, kernel, kernel,
// channels).permute(0, 3, 1, 2), and the bias is the same.
type Conv struct {
	Height, Width int // of the image that goes in; the number of its channels follows
	Kernel        int
	Filters       backprop.Dense
}

// Shape is that of the dense layer, but for the outputs.
func (l Conv) Shape(inputs int) (backprop.Shape, error) {
	channels, err := channelsOf(inputs, l.Height, l.Width, l.Kernel)
	if err != nil {
		return backprop.Shape{}, err
	}
	shape, err := l.Filters.Shape(l.Kernel * l.Kernel * channels)
	shape.Outputs *= (l.Height - l.Kernel + 1) * (l.Width - l.Kernel + 1)
	return shape, err
}

// Reset resets the dense layer.
func (l Conv) Reset(at backprop.Place) { l.Filters.Reset(at) }

// Stage computes the dense layer with the patches of all images as its samples. Its place is a copy
// of the one given, which carries along who shares the products.
func (l Conv) Stage(at backprop.Place) backprop.Stage {
	channels := at.Inputs / l.Height / l.Width
	s := &convStage{Place: at, units: l.Filters.Units}
	s.run, s.patch = l.Kernel*channels, l.Kernel*l.Kernel*channels
	for y := range l.Height - l.Kernel + 1 {
		for x := range l.Width - l.Kernel + 1 {
			for row := range l.Kernel {
				s.runs = append(s.runs, ((y+row)*l.Width+x)*channels)
			}
			s.pixels++
		}
	}
	at.Inputs, at.Rows = s.patch, at.Rows*s.pixels
	s.filters = l.Filters.Stage(at)
	return s
}

type convStage struct {
	backprop.Place
	pixels, units int   // of an image that comes out
	patch, run    int   // inputs under the kernel, and in one row of it
	runs          []int // where in an image the rows of its patches begin
	filters       backprop.Stage
	patches, da   mat.Dense // (N·pixels)×patch, (N·pixels)×units
	a, dx         mat.Dense // N×(pixels·units), N×inputs
}

func (s *convStage) Forward(x *mat.Dense) *mat.Dense {
	n, _ := x.Dims()
	backprop.Resize(&s.patches, n*s.pixels, s.patch)
	to := s.patches.RawMatrix().Data
	for i := range n {
		image := x.RawRowView(i)
		for _, k := range s.runs {
			copy(to[:s.run], image[k:])
			to = to[s.run:]
		}
	}
	return reshape(&s.a, s.filters.Forward(&s.patches), n, s.pixels*s.units)
}

func (s *convStage) Backward(da *mat.Dense) *mat.Dense {
	n, _ := da.Dims()
	dpatches := s.filters.Backward(reshape(&s.da, da, n*s.pixels, s.units))
	if !s.NeedDX {
		return nil
	}
	from := dpatches.RawMatrix().Data
	backprop.Resize(&s.dx, n, s.Inputs).Zero()
	for i := range n {
		image := s.dx.RawRowView(i)
		for _, k := range s.runs {
			floats.Add(image[k:k+s.run], from[:s.run])
			from = from[s.run:]
		}
	}
	return &s.dx
}
