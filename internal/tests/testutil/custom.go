package testutil

import (
	"context"
	"math"
	"slices"

	"example.com/backprop"
)

// StepFunc makes a function an optimizer.
type StepFunc func(params, grad []float64, eta float64)

func (f StepFunc) Step(params, grad []float64, eta float64) { f(params, grad, eta) }

// Still is an optimizer that does nothing.
type Still struct{}

func (Still) Step(params, grad []float64, eta float64) {}

// Observed is an activation that shows what it computes.
type Observed struct {
	backprop.Activation
	See func(a, z []float64)
}

func (f Observed) Forward(a, z []float64) {
	f.Activation.Forward(a, z)
	f.See(a, z)
}

// Wrong has k times the derivative that it should have.
type Wrong struct {
	backprop.Activation
	K float64
}

func (f Wrong) Backward(dz, da, z, a []float64) {
	f.Activation.Backward(dz, da, z, a)
	for i := range dz {
		dz[i] *= f.K
	}
}

// Before is f as an output that l takes: losses of probabilities stand behind an activation of the
// package's only if it gives them, but behind any of the caller's own.
func Before(l backprop.Loss, f backprop.Activation) backprop.Activation {
	if l == backprop.CrossEntropy && f != backprop.Softmax || l == backprop.BinaryCrossEntropy && f != backprop.Sigmoid {
		return Wrong{Activation: f, K: 1} // times 1 is right
	}
	return f
}

// Named is a name for an activation.
type Named string

func (Named) Forward(a, z []float64) { copy(a, z) }

func (Named) Backward(dz, da, z, a []float64) { copy(dz, da) }

func (f Named) String() string { return string(f) }

// Sine is sin z, element by element.
type Sine struct{ Named }

func (Sine) Forward(a, z []float64) {
	for i, z := range z {
		a[i] = math.Sin(z)
	}
}

func (Sine) Backward(dz, da, z, a []float64) {
	for i, z := range z {
		dz[i] = da[i] * math.Cos(z)
	}
}

// UnitLength is z/√(1+‖z‖²), which mixes the units of a row.
type UnitLength struct{ Named }

func (UnitLength) length(z []float64) float64 {
	sum := 1.0
	for _, v := range z {
		sum += v * v
	}
	return math.Sqrt(sum)
}

func (f UnitLength) Forward(a, z []float64) {
	n := f.length(z)
	for i, v := range z {
		a[i] = v / n
	}
}

// With n = √(1+‖z‖²), ∂aⱼ/∂zᵢ = (δᵢⱼ − aᵢ·aⱼ)/n.
func (f UnitLength) Backward(dz, da, z, a []float64) {
	n, dot := f.length(z), 0.0
	for j, a := range a {
		dot += da[j] * a
	}
	for i, a := range a {
		dz[i] = (da[i] - a*dot) / n
	}
}

// Counting counts the values of a loss, keeps the targets, and calls out.
type Counting struct {
	backprop.Loss
	Values, total int
	Targets       []float64
	Then          map[int]func() // at the n-th value
	Every         func()
	Result        float64 // instead of the value, unless it is 0
}

func (c *Counting) Value(a, y []float64) float64 {
	c.Values++
	c.total++
	c.Targets = append(c.Targets, y...)
	if f := c.Then[c.total]; f != nil {
		f()
	}
	if c.Every != nil {
		c.Every()
	}
	if c.Result != 0 {
		return c.Result
	}
	return c.Loss.Value(a, y)
}

// Squared is what MSE is.
type Squared struct{}

func (Squared) Value(a, y []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - y[i]) * (a[i] - y[i])
	}
	return sum / float64(len(a))
}

func (Squared) Gradient(da, a, y []float64) {
	for i := range a {
		da[i] = 2 * (a[i] - y[i]) / float64(len(a))
	}
}

// LogCosh is Σ log cosh(a−y).
type LogCosh struct{}

func (LogCosh) Value(a, y []float64) (sum float64) {
	for i := range a {
		sum += math.Log(math.Cosh(a[i] - y[i]))
	}
	return sum
}

func (LogCosh) Gradient(da, a, y []float64) {
	for i := range a {
		da[i] = math.Tanh(a[i] - y[i])
	}
}

// Weighted is Σ (i+1)·(a−y)²: every unit has another weight.
type Weighted struct{}

func (Weighted) Value(a, y []float64) (sum float64) {
	for i := range a {
		sum += float64(i+1) * (a[i] - y[i]) * (a[i] - y[i])
	}
	return sum
}

func (Weighted) Gradient(da, a, y []float64) {
	for i := range a {
		da[i] = 2 * float64(i+1) * (a[i] - y[i])
	}
}

// Countdown is a context that is cancelled when it has been asked so often.
type Countdown struct {
	context.Context
	Left int
}

func (c *Countdown) Err() error {
	if c.Left--; c.Left < 0 {
		return context.Canceled
	}
	return nil
}

// heavyBall is momentum as a user writes it, with a state to be saved.
type heavyBall struct {
	Mu float64
	v  []float64
}

func (o *heavyBall) Step(params, grad []float64, eta float64) {
	if o.v == nil {
		o.v = make([]float64, len(params))
	}
	for i, g := range grad {
		o.v[i] = o.Mu*o.v[i] - eta*g
		params[i] += o.v[i]
	}
}

func (o *heavyBall) State() []float64 { return slices.Clone(o.v) }

func (o *heavyBall) SetState(state []float64) error {
	o.v = nil
	if len(state) > 0 {
		o.v = slices.Clone(state)
	}
	return nil
}

// WideLoss has fields of many kinds, and leads to itself.
type WideLoss struct {
	Squared
	Weights []float64
	Inner   *struct{ Kind kind }
	Any     any
	Kind    kind
	Text    string
	Self    *WideLoss
	F       func()
	Map     map[string]int
	hidden  int
}

// Hide sets the field that only this package sees.
func (l *WideLoss) Hide(v int) { l.hidden = v }

type kind int

// Wide is a WideLoss whose every field is set but the hidden one.
func Wide() *WideLoss {
	l := &WideLoss{Weights: []float64{1, 2}, Inner: &struct{ Kind kind }{3}, Any: backprop.Huber{}, Text: "t", Map: map[string]int{"a": 1}}
	l.Self = l
	return l
}
