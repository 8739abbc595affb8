package main

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// LayerNorm normalizes each sample over its inputs, a = (z−μ)/√(σ²+ε), with their mean and
// population variance and ε = 1e-5 (Ba, Kiros and Hinton 2016). A function of a sample's row is an
// activation, also where every output depends on all inputs, as those of Softmax do.
//
// It is PyTorch's nn.LayerNorm(inputs, elementwise_affine=False). The paper's γ and β, a factor and
// a summand for each output, are nothing new where a dense layer stands behind it: its weights can
// be W·diag(γ), and its biases W·β + b.
type LayerNorm struct{}

const epsilon = 1e-5

func (LayerNorm) String() string { return "LayerNorm" }

// Forward stores the normalized z in a.
func (LayerNorm) Forward(a, z []float64) {
	mean, variance := stat.PopMeanVariance(z, nil)
	deviation := math.Sqrt(variance + epsilon)
	for i, v := range z {
		a[i] = (v - mean) / deviation
	}
}

// Backward stores dz = (da − mean(da) − a·mean(da ⊙ a))/√(σ²+ε), for μ and σ² are functions of z,
// too.
func (LayerNorm) Backward(dz, da, z, a []float64) {
	n := float64(len(z))
	mean, slope := floats.Sum(da)/n, floats.Dot(da, a)/n
	deviation := math.Sqrt(stat.PopVariance(z, nil) + epsilon)
	for i, v := range da {
		dz[i] = (v - mean - slope*a[i]) / deviation
	}
}
