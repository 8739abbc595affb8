// Package compute uses the library and the kernel's assembly, for programs built in several ways
// that must all come to the same bits.
package compute

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"

	"example.com/backprop"
	"example.com/backprop/internal/kernel"
	"gonum.org/v1/gonum/mat"
)

// Print writes the results, the bits of one on each line.
func Print(w io.Writer) error {
	results, err := Results()
	if err != nil {
		return err
	}
	for _, r := range results {
		if _, err := fmt.Fprintf(w, "%016x\n", math.Float64bits(r)); err != nil {
			return err
		}
	}
	return nil
}

// Results are what every function of the kernel gives, then the activations, then networks after a
// little training and what they predict.
func Results() ([]float64, error) {
	results := append(elementwise(), products()...)
	results = append(results, activations()...)
	for _, layers := range [][]backprop.Layer{
		{
			backprop.Standardize{},
			backprop.Dense{Units: 24, Activation: backprop.Tanh},
			backprop.BatchNorm{Activation: backprop.Sigmoid},
			backprop.Dense{Units: 3, Activation: backprop.Softmax},
		},
		{
			backprop.Dense{Units: 64, Activation: backprop.ReLU},
			backprop.Dense{Units: 64, Activation: backprop.ReLU},
			backprop.Dense{Units: 3, Activation: backprop.Softmax},
		},
	} {
		trained, err := train(layers)
		if err != nil {
			return nil, err
		}
		results = append(results, trained...)
	}
	return results, nil
}

func normal(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = 4 * r.NormFloat64()
	}
	return x
}

func row(x []float64) *kernel.Matrix {
	return &kernel.Matrix{Rows: 1, Cols: len(x), Stride: len(x), Data: x}
}

// elementwise covers whole vectors and what is left of one, and arguments where the derivatives
// take the exponential.
func elementwise() (results []float64) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{3, 8, 13, 16, 39, 1000} {
		da, z := normal(r, n), normal(r, n)
		for i := 0; i < n; i += 5 {
			z[i] *= 4
		}
		e, s, t, u := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		kernel.Exp(e, z)
		kernel.Sigmoid(s, z)
		kernel.SigmoidBackward(u, da, z, s)
		results = append(append(append(results, e...), s...), u...)
		kernel.Tanh(t, z)
		kernel.TanhBackward(u, da, z, t)
		results = append(append(results, t...), u...)
		kernel.GELU(t, z)
		for _, f := range []func(){
			func() { copy(u, t) },
			func() { kernel.GELUBackward(u, da, z, t) },
			func() { kernel.LeakyReLU(u, da, z, 0.1) },
			func() { kernel.ELU(u, z, 1, 1) },
			func() { kernel.ELUBackward(u, da, z, 1, 1) },
			func() { kernel.MulSigmoid(u, da, z) },
			func() { kernel.SiLUBackward(u, da, z) },
			func() { kernel.Softplus(u, z) },
			func() { kernel.NormalizeRows(row(u), row(da), z, t, e) },
			func() { kernel.CorrelateRows(u, row(da), z, row(t), e) },
			func() { kernel.Dropout(u, da, 0.3, 7, 0) },
			func() { kernel.Huber(1).Gradient(u, da, z, 0.1) },
			func() { kernel.RMS(u, da, e, z, t, kernel.RMSStep{Decay: 0.9, Mean: 0.1, Mu: 0.5, Eta: 0.1}) },
		} {
			f()
			results = append(results, u...)
		}
		kernel.ReLU(t, z)
		kernel.ReLUBackward(u, da, z)
		kernel.Axpy(0.3, u, t)
		kernel.Adam(da, z, u, e, kernel.AdamStep{Beta1: 0.9, Beta2: 0.99, Step: 0.01, Epsilon: 1e-8})
		results = append(append(results, t...), da...)
		results = append(results, kernel.Dot(da, z))
		if kernel.Finite(z) {
			results = append(results, 1)
		}
	}
	return results
}

// products covers tiny, narrow, wide and sparse ones, and a single row.
func products() (results []float64) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, s := range [][3]int{{4, 2, 4}, {1, 50, 20}, {17, 13, 11}, {40, 70, 90}, {200, 300, 64}} {
		n, in, out := s[0], s[1], s[2]
		matrix := func(rows, cols int, data []float64) *kernel.Matrix {
			return &kernel.Matrix{Rows: rows, Cols: cols, Data: data, Stride: cols}
		}
		x, w := matrix(n, in, normal(r, n*in)), matrix(out, in, normal(r, out*in))
		z, dx, dw := matrix(n, out, make([]float64, n*out)), matrix(n, in, make([]float64, n*in)), matrix(out, in, make([]float64, out*in))
		db := make([]float64, out)
		for range 2 {
			kernel.Affine(z, x, w, normal(r, out))
			kernel.MulTN(dw, z, x)
			kernel.MulNN(dx, z, w)
			kernel.SumRows(db, z)
			for _, m := range [][]float64{z.Data, dw.Data, dx.Data, db} {
				results = append(results, m...)
			}
			kernel.ReLU(x.Data, x.Data) // the second time has zeros
		}
	}
	return results
}

func activations() (results []float64) {
	r := rand.New(rand.NewPCG(5, 6))
	z, da := normal(r, 77), normal(r, 77)
	for _, f := range []backprop.Activation{
		backprop.Sigmoid, backprop.Tanh, backprop.Softmax, backprop.GELU, backprop.SiLU, backprop.SELU, backprop.Softplus, backprop.ELU{}, backprop.LeakyReLU{},
	} {
		a, dz := make([]float64, len(z)), make([]float64, len(z))
		f.Forward(a, z)
		f.Backward(dz, da, z, a)
		results = append(append(results, a...), dz...)
	}
	return results
}

func train(layers []backprop.Layer) ([]float64, error) {
	const rows, inputs = 200, 20
	r := rand.New(rand.NewPCG(7, 8))
	labels := make([]int, rows)
	for i := range labels {
		labels[i] = r.IntN(3)
	}
	x := mat.NewDense(rows, inputs, normal(r, rows*inputs))
	y, err := backprop.OneHot(labels, 3)
	if err != nil {
		return nil, err
	}
	net, err := backprop.New(inputs, layers...)
	if err != nil {
		return nil, err
	}
	net.Init(9)
	config := backprop.TrainConfig{LearningRate: 0.01, Epochs: 3, BatchSize: 64, Optimizer: &backprop.Adam{}}
	if _, err := net.Train(context.Background(), x, y, config); err != nil {
		return nil, err
	}
	predicted, err := net.Predict(x)
	if err != nil {
		return nil, err
	}
	return append(append([]float64(nil), net.Params()...), predicted.RawMatrix().Data...), nil
}
