package main

import (
	"fmt"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

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

// reshape makes view show the elements of m, which has no gaps between its rows, as rows×cols.
func reshape(view, m *mat.Dense, rows, cols int) *mat.Dense {
	data := m.RawMatrix().Data
	view.SetRawMatrix(blas64.General{Rows: rows, Cols: cols, Stride: cols, Data: data})
	return view
}
