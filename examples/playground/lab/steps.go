package lab

import (
	"slices"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// Steps is gradient descent on the exclusive or by a 2-3-1 network, with every number of a step.
type Steps struct {
	N    int // steps taken
	net  *backprop.Network
	x, y *mat.Dense
}

// StepRate is η of Steps.
const StepRate = 1.0

// NewSteps begins at parameters drawn from the seed.
func NewSteps(seed uint64) (*Steps, error) {
	// An activation as a layer of its own lets Slice end before it, at Z.
	net, err := backprop.New(2,
		backprop.Dense{Units: 3, Init: backprop.GlorotUniform}, backprop.Activate{F: backprop.Tanh},
		backprop.Dense{Units: 1}, backprop.Activate{F: backprop.Sigmoid},
	)
	if err != nil {
		return nil, err
	}
	net.Init(seed)
	return &Steps{
		net: net,
		x:   mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1}),
		y:   mat.NewDense(4, 1, []float64{0, 1, 1, 0}),
	}, nil
}

// Take takes n steps.
func (s *Steps) Take(n int) error {
	for range n {
		_, grad, err := s.net.Gradient(nil, s.x, s.y, nil)
		if err != nil {
			return err
		}
		(&backprop.SGD{}).Step(s.net.Params(), grad, StepRate) // θ ← θ − η·∂L/∂θ
		s.N++
	}
	return nil
}

// Numbers are the matrices of the next step by their names: X, Y, L; for the layers 1 and 2 W, b,
// Z, A, their derivatives with a d before the name, and W and b after the step with a + behind it.
func (s *Steps) Numbers() (map[string]mat.Matrix, error) {
	loss, grad, err := s.net.Gradient(nil, s.x, s.y, nil)
	if err != nil {
		return nil, err
	}
	m := map[string]mat.Matrix{"X": s.x, "Y": s.y, "L": mat.NewDense(1, 1, []float64{loss})}
	for i, name := range []string{"Z1", "A1", "Z2", "A2"} {
		front, err := s.net.Slice(0, i+1)
		if err != nil {
			return nil, err
		}
		a, err := front.Predict(s.x)
		if err != nil {
			return nil, err
		}
		if m[name] = a; name == "A2" {
			break
		}
		behind, err := s.net.Slice(i+1, 4)
		if err != nil {
			return nil, err
		}
		if m["d"+name], err = behind.InputGradient(a, s.y, nil); err != nil {
			return nil, err
		}
	}
	m["dA2"] = lossGradient(m["A2"].(*mat.Dense), s.y)
	next := s.net.Clone()
	(&backprop.SGD{}).Step(next.Params(), slices.Clone(grad), StepRate)
	for _, layer := range []int{0, 2} {
		k := string('1' + rune(layer/2))
		w, b := s.net.Weights(layer), s.net.Biases(layer)
		units, inputs := w.Dims()
		m["W"+k], m["b"+k] = w, b
		m["dW"+k], grad = mat.NewDense(units, inputs, grad[:units*inputs]), grad[units*inputs:]
		m["db"+k], grad = mat.NewDense(units, 1, grad[:units]), grad[units:]
		m["W"+k+"+"], m["b"+k+"+"] = next.Weights(layer), next.Biases(layer)
	}
	return m, nil
}

// lossGradient is ∂L/∂A of the mean loss.
func lossGradient(a, y *mat.Dense) *mat.Dense {
	rows, cols := a.Dims()
	da := mat.NewDense(rows, cols, nil)
	for i := range rows {
		backprop.BinaryCrossEntropy.Gradient(da.RawRowView(i), a.RawRowView(i), y.RawRowView(i))
	}
	da.Scale(1/float64(rows), da)
	return da
}

// Flat is a matrix as rows, columns and its elements row by row.
func Flat(m mat.Matrix) []any {
	rows, cols := m.Dims()
	list := []any{rows, cols}
	for i := range rows {
		for j := range cols {
			list = append(list, m.At(i, j)+0) // 0 for −0
		}
	}
	return list
}
