package lab

import (
	"errors"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// StepRate is η of Steps.
const StepRate = 1.0

// Steps are n steps of gradient descent on the exclusive or by a 2-3-1 network, and the numbers of
// one more, by their names: X, Y, η, L; for the layers 1 and 2 W, b, Z, A, their derivatives with a d
// before the name, and W and b after the step with a + behind it. Each is a matrix as rows, columns
// and the elements row by row.
func Steps(n int) (map[string][]float64, error) {
	// An activation as a layer of its own lets Slice end before it, at Z.
	net, err := backprop.New(2,
		backprop.Dense{Units: 3, Init: backprop.GlorotUniform}, backprop.Activate{F: backprop.Tanh},
		backprop.Dense{Units: 1}, backprop.Activate{F: backprop.Sigmoid},
	)
	if err != nil {
		return nil, err
	}
	x, y := mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1}), mat.NewDense(4, 1, []float64{0, 1, 1, 0})
	before, grad, loss := net.Clone(), net.Clone(), 0.0
	for range n + 1 {
		copy(before.Params(), net.Params())
		if loss, _, err = net.Gradient(grad.Params(), x, y, nil); err != nil {
			return nil, err
		}
		(&backprop.SGD{}).Step(net.Params(), grad.Params(), StepRate) // θ ← θ − η·∂L/∂θ
	}
	m := map[string]mat.Matrix{
		"X": x, "Y": y, "η": mat.NewDense(1, 1, []float64{StepRate}), "L": mat.NewDense(1, 1, []float64{loss}),
	}
	for k, layer := range map[string]int{"1": 0, "2": 2} {
		m["W"+k], m["b"+k] = before.Weights(layer), before.Biases(layer)
		m["dW"+k], m["db"+k] = grad.Weights(layer), grad.Biases(layer)
		m["W"+k+"+"], m["b"+k+"+"] = net.Weights(layer), net.Biases(layer)
	}
	names, a := []string{"X", "Z1", "A1", "Z2", "A2"}, x
	for i, name := range names[:4] {
		layer, err1 := before.Slice(i, i+1)
		rest, err2 := before.Slice(i, 4)
		da, err3 := rest.InputGradient(a, y, nil)
		next, err4 := layer.Predict(a)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return nil, err
		}
		m["d"+name], m[names[i+1]], a = da, next, next
	}
	da := mat.NewDense(4, 1, nil) // ∂L/∂A₂, of the mean loss over the four
	backprop.BinaryCrossEntropy.Gradient(da.RawMatrix().Data, a.RawMatrix().Data, y.RawMatrix().Data)
	m["dA2"] = da
	numbers := map[string][]float64{}
	for name, v := range m {
		rows, cols := v.Dims()
		numbers[name] = append([]float64{float64(rows), float64(cols)}, mat.DenseCopyOf(v).RawMatrix().Data...)
	}
	return numbers, nil
}
