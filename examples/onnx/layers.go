package main

import (
	"cmp"
	"fmt"
	"math"

	"example.com/backprop"
	"example.com/backprop/examples/table/columns"
	"gonum.org/v1/gonum/integrate/quad"
)

// remedy is that for a layer or an activation of somebody else's.
const remedy = "it has no ONNX until a case of it stands in layers.go"

// layers adds what computes the layers for x, and returns the name of the result.
func (g *graph) layers(x string, layers []backprop.Layer) (string, error) {
	for i, l := range layers {
		var err error
		if x, err = g.layer(x, l); err != nil {
			return "", fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return x, nil
}

func (g *graph) layer(x string, l backprop.Layer) (string, error) {
	switch l := l.(type) {
	case backprop.Dense: // z = W·x + b
		in := []string{x, g.next(&g.params)}
		if !l.NoBias {
			in = append(in, g.next(&g.params))
		}
		transB := message(1, "transB", 3, 1, 20, 2) // 1, an INT
		return g.activation(g.node("Gemm", transB, in...), l.Activation)
	case backprop.BatchNorm: // z = (x−μ)·γ/√(σ²+ε) + β; the operator for it has its ε in float
		gamma, beta, mean, variance := g.next(&g.params), g.next(&g.params), g.next(&g.statistics), g.next(&g.statistics)
		gain := g.op("Div", gamma, g.op("Sqrt", g.op("Add", variance, g.scalar(cmp.Or(l.Epsilon, 1e-5)))))
		return g.activation(g.op("Add", g.op("Mul", g.op("Sub", x, mean), gain), beta), l.Activation)
	case backprop.Standardize: // a = (x−μ)/σ
		mean, variance := g.next(&g.statistics), g.next(&g.statistics)
		return g.op("Div", g.op("Sub", x, mean), g.op("Sqrt", variance)), nil
	case backprop.Unstandardize: // a = x·σ + μ
		mean, variance := g.next(&g.statistics), g.next(&g.statistics)
		return g.op("Add", g.op("Mul", x, g.op("Sqrt", variance)), mean), nil
	case backprop.Activate:
		return g.activation(x, l.F)
	case backprop.Sequential:
		return g.layers(x, l)
	case backprop.Dropout, columns.Table: // a = x
		return x, nil
	}
	return "", fmt.Errorf("a %T is not one of the library's layers; %s", l, remedy)
}

// activation adds an activation of z. Where ONNX or ONNX Runtime has the operator for float alone,
// and where theirs loses the digits of small results, it is a formula.
func (g *graph) activation(z string, f backprop.Activation) (string, error) {
	switch f {
	case nil, backprop.Identity:
		return z, nil
	case backprop.ReLU:
		return g.op("Relu", z), nil
	case backprop.Tanh, backprop.Softmax:
		return g.op(f.String(), z), nil
	case backprop.Sigmoid:
		return g.timesSigmoid(g.scalar(1), z), nil
	case backprop.SiLU:
		return g.timesSigmoid(z, z), nil
	case backprop.GELU:
		return g.gelu(z), nil
	case backprop.SELU:
		const lambda, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
		return g.op("Mul", g.scalar(lambda), g.elu(z, alpha)), nil
	case backprop.Softplus:
		return g.softplus(z), nil
	}
	switch f := f.(type) {
	case backprop.ELU:
		return g.elu(z, cmp.Or(f.Alpha, 1)), nil
	case backprop.LeakyReLU: // max(0, z) + slope·min(0, z)
		return g.op("Add", g.positive(z), g.op("Mul", g.scalar(cmp.Or(f.Slope, 0.01)), g.negative(z))), nil
	}
	return "", fmt.Errorf("%v, a %T, is not one of the library's activations; %s", f, f, remedy)
}

// timesSigmoid is v·σ(z) = v/(1 + e⁻ᶻ). ONNX Runtime's own σ(−40) is 0.
func (g *graph) timesSigmoid(v, z string) string {
	return g.op("Div", v, g.op("Add", g.scalar(1), g.op("Exp", g.op("Neg", z))))
}

func (g *graph) positive(z string) string { return g.op("Max", z, g.scalar(0)) }
func (g *graph) negative(z string) string { return g.op("Min", z, g.scalar(0)) }

// elu is max(0, z) + α·(e^min(0, z) − 1), without cancellation: eᶻ − 1 = 2t/(1−t), t = tanh(z/2).
func (g *graph) elu(z string, alpha float64) string {
	t := g.op("Tanh", g.op("Mul", g.scalar(0.5), g.negative(z)))
	return g.op("Add", g.positive(z), g.op("Div", g.op("Mul", g.scalar(2*alpha), t), g.op("Sub", g.scalar(1), t)))
}

// softplus is max(0, z) + log(1+u), u = e^−|z|. With w, which is 1+u rounded, log(1+u) is
// log(w) + (u − (w−1))/w to all digits.
func (g *graph) softplus(z string) string {
	u := g.op("Exp", g.op("Neg", g.op("Abs", z)))
	w := g.op("Add", g.scalar(1), u)
	rest := g.op("Div", g.op("Sub", u, g.op("Sub", w, g.scalar(1))), w)
	return g.op("Add", g.positive(z), g.op("Add", g.op("Log", w), rest))
}

// gelu is z·Φ(z) = max(0, z) − s·Φ(−s) with s = |z|, from erf in float. ONNX Runtime has no erf in
// double. There Φ(−s) = φ(s)·∫exp(−s·t − t²/2)dt over t > 0 (Mills' ratio), and the integral a sum
// by the Gauss-Legendre rule up to 9, behind which 1e-18 of it remains. Its terms are all positive,
// so that it is exact where it is small, too.
func (g *graph) gelu(z string) string {
	if g.numbers == float { // z·½·(1 + erf(z/√2))
		erf := g.op("Erf", g.op("Mul", z, g.scalar(math.Sqrt2/2)))
		return g.op("Mul", g.op("Mul", z, g.scalar(0.5)), g.op("Add", g.scalar(1), erf))
	}
	const points = 32
	t, w := make([]float64, points), make([]float64, points)
	quad.Legendre{}.FixedLocations(t, w, 0, 9)
	for k := range t {
		t[k], w[k] = -t[k], w[k]*math.Exp(-t[k]*t[k]/2)/math.Sqrt(2*math.Pi)
	}
	locations := g.constant(tensor{"gelu.locations", []int{points}, t})
	weights := g.constant(tensor{"gelu.weights", []int{points}, w})
	s := g.op("Abs", z)
	equation := message(1, "equation", 4, "ij,k->ijk", 20, 3)              // a STRING
	decay := g.op("Exp", g.node("Einsum", equation, s, locations))         // exp(−s·t)
	density := g.op("Exp", g.op("Mul", g.scalar(-0.5), g.op("Mul", s, s))) // φ(s)·√(2π)
	tail := g.op("Mul", density, g.op("MatMul", decay, weights))
	return g.op("Sub", g.positive(z), g.op("Mul", s, tail))
}
