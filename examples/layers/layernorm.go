package main

import (
	"math"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// LayerNorm normalizes each sample over its inputs, x̂ = (x−μ)/√(σ²+ε), with their mean and
// population variance and ε = 1e-5, and computes a = γ·x̂ + β (Ba, Kiros and Hinton 2016). It has
// as many outputs as inputs, and a γ, from 1, and a β, from 0, for each: PyTorch's
// nn.LayerNorm(inputs).
type LayerNorm struct{}

// Shape is that of the inputs, γ and β.
func (LayerNorm) Shape(inputs int) (backprop.Shape, error) {
	gamma := backprop.Tensor{Name: "weight", Shape: []int{inputs}}
	beta := backprop.Tensor{Name: "bias", Shape: []int{inputs}}
	return backprop.Shape{Outputs: inputs, Params: []backprop.Tensor{gamma, beta}}, nil
}

// Reset makes γ 1 and β 0.
func (LayerNorm) Reset(at backprop.Place) {
	for j := range at.Inputs {
		at.Params[0].Set(0, j, 1)
	}
	at.Params[1].Zero()
}

// Stage computes A = γ ⊙ X̂ + β.
func (LayerNorm) Stage(at backprop.Place) backprop.Stage {
	if at.Grads == nil { // Backward needs memory for them all the same
		at.Grads = []*mat.Dense{mat.NewDense(1, at.Inputs, nil), mat.NewDense(1, at.Inputs, nil)}
	}
	return &layerNormStage{Place: at, scale: make([]float64, at.Rows)}
}

type layerNormStage struct {
	backprop.Place
	scale   []float64 // N: 1/√(σ²+ε)
	xhat, a mat.Dense // N×inputs
}

func (s *layerNormStage) Forward(x *mat.Dense) *mat.Dense {
	rows, cols := x.Dims()
	backprop.Resize(&s.xhat, rows, cols)
	backprop.Resize(&s.a, rows, cols)
	gamma, beta := s.Params[0].RawRowView(0), s.Params[1].RawRowView(0)
	for i := range rows {
		x, xhat, a := x.RawRowView(i), s.xhat.RawRowView(i), s.a.RawRowView(i)
		mean, variance := stat.PopMeanVariance(x, nil)
		s.scale[i] = 1 / math.Sqrt(variance+1e-5)
		for j, v := range x {
			xhat[j] = (v - mean) * s.scale[i]
			a[j] = gamma[j]*xhat[j] + beta[j]
		}
	}
	return &s.a
}

func (s *layerNormStage) Backward(da *mat.Dense) *mat.Dense {
	gamma := s.Params[0].RawRowView(0)
	dgamma, dbeta := s.Grads[0].RawRowView(0), s.Grads[1].RawRowView(0)
	clear(dgamma)
	clear(dbeta)
	rows, cols := da.Dims()
	for i := range rows {
		dx, xhat := da.RawRowView(i), s.xhat.RawRowView(i) // in place
		mean, slope := 0.0, 0.0
		for j, v := range dx {
			dgamma[j] += v * xhat[j] // dγ = (dA ⊙ X̂)ᵀ·1
			dbeta[j] += v            // dβ = dAᵀ·1
			dx[j] = v * gamma[j]     // dx̂ = da ⊙ γ
			mean += dx[j]
			slope += dx[j] * xhat[j]
		}
		mean, slope = mean/float64(cols), slope/float64(cols)
		for j, v := range dx { // μ and σ² are functions of x, too
			dx[j] = s.scale[i] * (v - mean - slope*xhat[j])
		}
	}
	if !s.NeedDX {
		return nil
	}
	return da
}
