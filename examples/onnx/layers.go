package main

import (
	"cmp"
	"fmt"
	"math"

	"example.com/backprop"
	"example.com/backprop/examples/internal/columns"
	"gonum.org/v1/gonum/integrate/quad"
)

// remedy is that for a layer or an activation of somebody else's.
const remedy = "it has no ONNX until a case of it stands in layers.go"

// layers adds what computes the layers for x, and returns the name of the result.
func (g *graph) layers(x string, layers []backprop.Layer) string {
	for i, l := range layers {
		if x = g.layer(x, l); g.err != nil {
			g.err = fmt.Errorf("layer %d: %w", i, g.err)
			break
		}
	}
	return x
}

func (g *graph) layer(x string, l backprop.Layer) string {
	switch l := l.(type) {
	case backprop.Dense: // z = W·x + b
		in := []any{x, next(&g.params), message(1, "transB", 3, 1, 20, 2)} // 1, an INT
		if !l.NoBias {
			in = append(in, next(&g.params))
		}
		return g.activation(g.op("Gemm", in...), l.Activation)
	case backprop.BatchNorm: // z = (x−μ)·γ/√(σ²+ε) + β; the operator for it has its ε in float
		gamma, beta, mean, variance := next(&g.params), next(&g.params), next(&g.statistics), next(&g.statistics)
		gain := g.op("Div", gamma, g.op("Sqrt", g.op("Add", variance, cmp.Or(l.Epsilon, 1e-5))))
		return g.activation(g.op("Add", g.op("Mul", g.op("Sub", x, mean), gain), beta), l.Activation)
	case backprop.Standardize: // a = (x−μ)/σ
		mean, variance := next(&g.statistics), next(&g.statistics)
		return g.op("Div", g.op("Sub", x, mean), g.op("Sqrt", variance))
	case backprop.Unstandardize: // a = x·σ + μ
		mean, variance := next(&g.statistics), next(&g.statistics)
		return g.op("Add", g.op("Mul", x, g.op("Sqrt", variance)), mean)
	case backprop.Activate:
		return g.activation(x, l.F)
	case backprop.Sequential:
		return g.layers(x, l)
	case backprop.Dropout, columns.Table: // a = x
		return x
	}
	g.err = fmt.Errorf("a %T is not one of the library's layers; %s", l, remedy)
	return x
}

// next takes a layer's next parameter or statistic.
func next(list *[]backprop.Tensor) (name string) {
	name = (*list)[0].Name
	*list = (*list)[1:]
	return name
}

// activation adds an activation of z. Where ONNX or ONNX Runtime has the operator for float alone,
// and where theirs loses the digits of small results, it is a formula.
func (g *graph) activation(z string, f backprop.Activation) string {
	switch f {
	case nil, backprop.Identity:
		return z
	case backprop.ReLU:
		return g.op("Relu", z)
	case backprop.Tanh, backprop.Softmax:
		return g.op(f.String(), z)
	case backprop.Sigmoid: // 1/(1 + e⁻ᶻ); ONNX Runtime's own is 0 for −40
		return g.op("Div", 1.0, g.op("Add", 1.0, g.op("Exp", g.op("Neg", z))))
	case backprop.SiLU:
		return g.op("Div", z, g.op("Add", 1.0, g.op("Exp", g.op("Neg", z))))
	case backprop.GELU:
		return g.gelu(z)
	case backprop.SELU: // with its authors' λ and α
		return g.op("Mul", 1.0507009873554804934193349852946, g.elu(z, 1.6732632423543772848170429916717))
	case backprop.Softplus:
		return g.softplus(z)
	}
	switch f := f.(type) {
	case backprop.ELU:
		return g.elu(z, cmp.Or(f.Alpha, 1))
	case backprop.LeakyReLU: // max(0, z) + slope·min(0, z)
		return g.op("Add", g.op("Max", z, 0.0), g.op("Mul", cmp.Or(f.Slope, 0.01), g.op("Min", z, 0.0)))
	}
	g.err = fmt.Errorf("%v, a %T, is not one of the library's activations; %s", f, f, remedy)
	return z
}

// elu is max(0, z) + α·(e^min(0, z) − 1), without cancellation: eᶻ − 1 = 2t/(1−t), t = tanh(z/2).
func (g *graph) elu(z string, alpha float64) string {
	t := g.op("Tanh", g.op("Mul", 0.5, g.op("Min", z, 0.0)))
	return g.op("Add", g.op("Max", z, 0.0), g.op("Div", g.op("Mul", 2*alpha, t), g.op("Sub", 1.0, t)))
}

// softplus is max(0, z) + log(1+u), u = e^−|z|. With w, which is 1+u rounded, log(1+u) is
// log(w) + (u − (w−1))/w to all digits.
func (g *graph) softplus(z string) string {
	u := g.op("Exp", g.op("Neg", g.op("Abs", z)))
	w := g.op("Add", 1.0, u)
	rest := g.op("Div", g.op("Sub", u, g.op("Sub", w, 1.0)), w)
	return g.op("Add", g.op("Max", z, 0.0), g.op("Add", g.op("Log", w), rest))
}

// gelu is z·Φ(z) = max(0, z) − s·Φ(−s) with s = |z|, from erf in float. ONNX Runtime has no erf in
// double. There Φ(−s) = φ(s)·∫exp(−s·t − t²/2)dt over t > 0 (Mills' ratio), and the integral a sum
// by the Gauss-Legendre rule up to 9, behind which 1e-18 of it remains. Its terms are all positive,
// so that it is exact where it is small, too.
func (g *graph) gelu(z string) string {
	if g.numbers == float { // z·½·(1 + erf(z/√2))
		erf := g.op("Erf", g.op("Mul", z, math.Sqrt2/2))
		return g.op("Mul", g.op("Mul", z, 0.5), g.op("Add", 1.0, erf))
	}
	const points = 32
	t, w := make([]float64, points), make([]float64, points)
	quad.Legendre{}.FixedLocations(t, w, 0, 9)
	for k := range t {
		t[k], w[k] = -t[k], w[k]*math.Exp(-t[k]*t[k]/2)/math.Sqrt(2*math.Pi)
	}
	s := g.op("Abs", z)
	equation := message(1, "equation", 4, "ij,k->ijk", 20, 3) // a STRING
	locations := g.constant(g.name("locations"), []int{points}, t...)
	weights := g.constant(g.name("weights"), []int{points}, w...)
	decay := g.op("Exp", g.op("Einsum", equation, s, locations)) // exp(−s·t)
	density := g.op("Exp", g.op("Mul", -0.5, g.op("Mul", s, s))) // φ(s)·√(2π)
	tail := g.op("Mul", density, g.op("MatMul", decay, weights))
	return g.op("Sub", g.op("Max", z, 0.0), g.op("Mul", s, tail))
}
