package custom_test

import (
	"math"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// Wayward is a layer of as many outputs as inputs that does what its functions say.
type wayward struct {
	stage             func(at Place) Stage
	forward, backward func(m *mat.Dense) *mat.Dense
}

func (wayward) Shape(inputs int) (Shape, error) { return Shape{Outputs: inputs}, nil }

func (wayward) Reset(Place) {}

func (l wayward) Stage(at Place) Stage {
	if l.stage != nil {
		return l.stage(at)
	}
	return waywardStage{l}
}

type waywardStage struct{ wayward }

func (s waywardStage) Forward(x *mat.Dense) *mat.Dense {
	if s.forward != nil {
		return s.forward(x)
	}
	return mat.DenseCopyOf(x)
}

func (s waywardStage) Backward(da *mat.Dense) *mat.Dense {
	if s.backward != nil {
		return s.backward(da)
	}
	return da
}

// What a layer of one's own returns in a wrong shape is a panic that says so, not memory read
// beyond its end, and the network stays whole.
func TestWhatALayerReturnsIsWatched(t *testing.T) {
	wrong := func(m *mat.Dense) *mat.Dense { return mat.NewDense(4, 3, nil) }
	gaps := func(m *mat.Dense) *mat.Dense { return mat.NewDense(6, 4, nil).Slice(0, 6, 0, 3).(*mat.Dense) }
	nothing := func(m *mat.Dense) *mat.Dense { return nil }
	longer := func(m *mat.Dense) *mat.Dense {
		var d mat.Dense
		d.SetRawMatrix(blas64.General{Rows: 6, Cols: 3, Stride: 3, Data: make([]float64, 20)})
		return &d
	}
	inner := func(at Place) Stage { return Sequential{Dense{Units: 5, NoBias: true}}.Stage(withParams(at, 5)) }
	for _, c := range []struct {
		layer wayward
		want  string
	}{
		{wayward{forward: wrong}, "backprop: Forward of a custom_test.wayward returned 4×3 with stride 3, want 6×3 without gaps"},
		{wayward{forward: gaps}, "backprop: Forward of a custom_test.wayward returned 6×3 with stride 4, want 6×3 without gaps"},
		{wayward{forward: longer}, "backprop: Forward of a custom_test.wayward returned 6×3 with 20 elements behind it, want 18; Resize makes such"},
		{wayward{backward: longer}, "backprop: Backward of a custom_test.wayward returned 6×3 with 20 elements behind it, want 18; Resize makes such"},
		{wayward{forward: nothing}, "backprop: Forward of a custom_test.wayward returned nil, want a 6×3 matrix"},
		{wayward{backward: wrong}, "backprop: Backward of a custom_test.wayward returned 4×3 with stride 3, want 6×3 without gaps"},
		{wayward{backward: gaps}, "backprop: Backward of a custom_test.wayward returned 6×3 with stride 4, want 6×3 without gaps"},
		{wayward{backward: nothing}, "backprop: Backward of a custom_test.wayward returned nil, want a 6×3 matrix"},
		{wayward{stage: func(Place) Stage { return nil }}, "backprop: Stage of a custom_test.wayward returned nil"},
		{wayward{stage: inner}, "backprop: Forward of a custom_test.wayward returned 6×5 with stride 5, want 6×3 without gaps"},
		{wayward{forward: func(*mat.Dense) *mat.Dense { panic("mine") }}, "mine"},
		{wayward{backward: func(*mat.Dense) *mat.Dense { panic("mine") }}, "mine"},
	} {
		for _, layer := range []Layer{c.layer, Sequential{Dense{Units: 3}, c.layer}} {
			net := NewNetwork(t, 3, Dense{Units: 3}, layer, Dense{Units: 2})
			before := StateOf(net)
			train := func() {
				net.Train(t.Context(), Pattern(6, 3), Pattern(6, 2), TrainConfig{LearningRate: 0.1, Epochs: 2})
			}
			Panics(t, c.want, train)
			before.MustEqual(t, net)
			Panics(t, c.want, train) // and not: another Train is under way
		}
	}
}

// Busy is a layer that passes everything and panics once, after which its stage is of no use.
type busy struct{ panics *bool }

func (busy) Shape(inputs int) (Shape, error) { return Shape{Outputs: inputs}, nil }

func (busy) Reset(Place) {}

func (l busy) Stage(Place) Stage { return &busyStage{busy: l} }

type busyStage struct {
	busy
	spoilt bool
}

func (s *busyStage) Forward(x *mat.Dense) *mat.Dense {
	if s.spoilt {
		panic("used again")
	}
	if *s.panics {
		*s.panics, s.spoilt = false, true
		panic("mine")
	}
	return x
}

func (s *busyStage) Backward(da *mat.Dense) *mat.Dense { return da }

func TestAStageThatHasPanickedIsNotUsedAgain(t *testing.T) {
	panics := true
	net := NewNetwork(t, 3, busy{&panics}, Dense{Units: 2})
	x, y := Pattern(6, 3), Pattern(6, 2)
	for name, call := range map[string]func(){
		"Predict":       func() { Value(net.Predict(x))(t) },
		"Loss":          func() { Value(net.Loss(x, y, nil))(t) },
		"Gradient":      func() { _, _, err := net.Gradient(nil, x, y, nil); NoError(t, err) },
		"InputGradient": func() { Value(net.InputGradient(x, y, nil))(t) },
	} {
		t.Run(name, func(t *testing.T) {
			panics = false
			call() // which leaves a pass for the next one
			panics = true
			Panics(t, "mine", call)
			call()
		})
	}
}

// withParams is a place with a weight of so many units.
func withParams(at Place, units int) Place {
	at.Params = []*mat.Dense{mat.NewDense(units, at.Inputs, nil)}
	at.Grads = nil
	return at
}

// A derivative by inputs that nobody needs may be left out, or not.
func TestALayerMayReturnADerivativeThatNobodyNeeds(t *testing.T) {
	for _, backward := range []func(*mat.Dense) *mat.Dense{nil, func(*mat.Dense) *mat.Dense { return nil }} {
		net := NewNetwork(t, 3, wayward{backward: backward}, Dense{Units: 2})
		if _, err := net.Train(t.Context(), Pattern(6, 3), Pattern(6, 2), TrainConfig{LearningRate: 0.1, Epochs: 2}); err != nil {
			t.Error(err)
		}
	}
}

// NaN from a layer of one's own is an error, and the network keeps finite parameters.
func TestNaNFromALayerIsAnError(t *testing.T) {
	nan := func(m *mat.Dense) *mat.Dense {
		c := mat.DenseCopyOf(m)
		c.Set(1, 1, math.NaN())
		return c
	}
	for _, l := range []wayward{{forward: nan}, {backward: nan}} {
		net := NewNetwork(t, 3, Dense{Units: 3}, l, Dense{Units: 2})
		before := StateOf(net)
		_, err := net.Train(t.Context(), Pattern(6, 3), Pattern(6, 2), TrainConfig{LearningRate: 0.1, Epochs: 2})
		if err == nil {
			t.Error("no error")
		}
		before.MustEqual(t, net)
		if _, _, err := net.Gradient(nil, Pattern(6, 3), Pattern(6, 2), nil); err == nil {
			t.Error("no error of Gradient")
		}
	}
	_, err := NewNetwork(t, 3, wayward{forward: nan}).Predict(Pattern(6, 3))
	Fails(t, err, "backprop: Predict: output row 1, column 1 is NaN, want a finite number")
}
