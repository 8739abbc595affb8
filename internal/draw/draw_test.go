package draw

import (
	"math"
	"math/rand/v2"
	"testing"

	"example.com/backprop/internal/kernel"
	"gonum.org/v1/gonum/mat"
)

func TestNormalDrawsTheNumbersOfNormFloat64(t *testing.T) {
	n := 1 << 21
	if testing.Short() {
		n = 1 << 17
	}
	got, beyond := kernel.Matrix{Rows: 1, Cols: n, Stride: n, Data: make([]float64, n)}, 0
	r := rand.New(rand.NewPCG(1, 2))
	Normal(got, 3, rand.New(rand.NewPCG(1, 2)))
	for i, v := range got.Data {
		want := 3 * r.NormFloat64()
		if math.Abs(v-want) > 0x1p-52*math.Abs(want) {
			t.Fatalf("number %d is %v, want %v", i, v, want)
		}
		if math.Abs(want) > 3*end {
			beyond++
		}
	}
	if beyond < n/4000 {
		t.Errorf("%d numbers of the tail among %d", beyond, n)
	}
}

// The shapes have their rows or columns in a part of a block, in one and in several.
func TestOrthogonalIsQOfItsDrawsQRFactorization(t *testing.T) {
	for _, shape := range [][2]int{{1, 1}, {1, 50}, {50, 1}, {7, 9}, {16, 16}, {40, 17}, {33, 90}, {70, 70}} {
		rows, cols := shape[0], shape[1]
		got := kernel.Matrix{Rows: rows, Cols: cols, Stride: cols, Data: make([]float64, rows*cols)}
		Orthogonal(got, rand.New(rand.NewPCG(3, 4)))
		long, short := max(rows, cols), min(rows, cols)
		drawn := mat.NewDense(long, short, nil)
		Normal(kernel.Matrix(drawn.RawMatrix()), 1, rand.New(rand.NewPCG(3, 4)))
		var qr mat.QR
		var q, r mat.Dense
		qr.Factorize(drawn)
		qr.QTo(&q)
		qr.RTo(&r)
		for i := range long {
			for j := range short {
				value, want := 0.0, math.Copysign(q.At(i, j), q.At(i, j)*r.At(j, j))
				if rows >= cols {
					value = got.Row(i)[j]
				} else {
					value = got.Row(j)[i]
				}
				if math.Abs(value-want) > 1e-12 {
					t.Fatalf("%d×%d: element (%d, %d) of Q is %v, want %v", rows, cols, i, j, value, want)
				}
			}
		}
	}
}
