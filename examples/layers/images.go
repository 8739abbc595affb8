package main

import (
	"fmt"
	"slices"

	"example.com/backprop"
	"gonum.org/v1/gonum/blas/blas64"
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
	row := at.Inputs / l.Height
	channels := row / l.Width
	runs := strided([]int{l.Height - l.Kernel + 1, l.Width - l.Kernel + 1, l.Kernel}, []int{row, channels, row})
	s := &convStage{inputs: at.Inputs, run: l.Kernel * channels, runs: runs}
	at.Inputs, at.Rows = l.Kernel*s.run, at.Rows*len(runs)/l.Kernel
	s.filters, s.patch = l.Filters.Stage(at), at.Inputs
	return s
}

type convStage struct {
	filters            backprop.Stage
	inputs, patch, run int       // numbers in an image, under the kernel, and in one row of it
	runs               []int     // where in an image the rows of its patches begin
	patches, da        mat.Dense // (N·pixels)×patch, (N·pixels)×units
	a, dx              mat.Dense // N×(pixels·units), N×inputs
}

func (s *convStage) Forward(x *mat.Dense) *mat.Dense {
	n, _ := x.Dims()
	to := backprop.Resize(&s.patches, n*len(s.runs)*s.run/s.patch, s.patch).RawMatrix().Data
	for i := range n {
		image := x.RawRowView(i)
		for _, k := range s.runs {
			copy(to[:s.run], image[k:])
			to = to[s.run:]
		}
	}
	return reshape(&s.a, s.filters.Forward(&s.patches), n)
}

func (s *convStage) Backward(da *mat.Dense) *mat.Dense {
	n, _ := da.Dims()
	dpatches := s.filters.Backward(reshape(&s.da, da, s.patches.RawMatrix().Rows))
	if dpatches == nil { // nobody needs dx
		return nil
	}
	from := dpatches.RawMatrix().Data
	backprop.Resize(&s.dx, n, s.inputs).Zero()
	for i := range n {
		image := s.dx.RawRowView(i)
		for _, k := range s.runs {
			floats.Add(image[k:k+s.run], from[:s.run])
			from = from[s.run:]
		}
	}
	return &s.dx
}

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
	row := at.Inputs / l.Height
	channels := row / l.Width
	squares := strided([]int{l.Height / l.Size, l.Width / l.Size, channels, l.Size, l.Size},
		[]int{l.Size * row, l.Size * channels, 1, row, channels})
	s := &maxPoolStage{Place: at, squares: slices.Collect(slices.Chunk(squares, l.Size*l.Size))}
	s.largest = make([]int, at.Rows*len(s.squares))
	return s
}

type maxPoolStage struct {
	backprop.Place
	squares [][]int   // outputs×size: which inputs each output is the largest of
	largest []int     // N×outputs: which one that is
	a, dx   mat.Dense // N×outputs, N×inputs
}

func (s *maxPoolStage) Forward(x *mat.Dense) *mat.Dense {
	n, _ := x.Dims()
	backprop.Resize(&s.a, n, len(s.squares))
	for i := range n {
		x, a := x.RawRowView(i), s.a.RawRowView(i)
		for j, square := range s.squares {
			top, at := x[square[0]], square[0]
			for _, k := range square[1:] {
				if x[k] > top { // at alone, so that it is no jump, which could not be foreseen
					at = k
				}
				top = max(top, x[k]) // a NaN stays
			}
			a[j], s.largest[i*len(a)+j] = top, at
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
		dx, largest := s.dx.RawRowView(i), s.largest[i*len(s.squares):]
		for j, v := range da.RawRowView(i) {
			dx[largest[j]] += v
		}
	}
	return &s.dx
}

// channelsOf is how many channels the pixels of an image of so many inputs have. It returns an
// error if they are no image, or if window×window pixels do not fit in it.
func channelsOf(inputs, height, width, window int) (int, error) {
	if window < 1 || window > min(height, width) {
		return 0, fmt.Errorf("it sees %d×%d pixels of an image of %d×%d, want 1×1 or more that fit in it",
			window, window, height, width)
	}
	if inputs%height != 0 || inputs/height%width != 0 {
		return 0, fmt.Errorf("%d inputs are no image of %d×%d pixels, want a multiple of these",
			inputs, height, width)
	}
	return inputs / height / width, nil
}

// strided is where the elements of a view lie that has a shape and a stride in each of its
// dimensions, as NumPy's as_strided. The last dimension's follow one another.
func strided(shape, strides []int) []int {
	places := []int{0}
	for d, size := range shape {
		var next []int
		for _, k := range places {
			for i := range size {
				next = append(next, k+i*strides[d])
			}
		}
		places = next
	}
	return places
}

// reshape makes view show the elements of m, which has no gaps between its rows, in so many rows.
func reshape(view, m *mat.Dense, rows int) *mat.Dense {
	data := m.RawMatrix().Data
	cols := len(data) / rows
	view.SetRawMatrix(blas64.General{Rows: rows, Cols: cols, Stride: cols, Data: data})
	return view
}
