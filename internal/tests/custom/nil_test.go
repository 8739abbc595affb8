package custom_test

import (
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

// sized is a layer that has its options behind a pointer.
type sized struct{ units int }

func (l *sized) dense() Dense { return Dense{Units: l.units} }

func (l *sized) Shape(inputs int) (Shape, error) { return l.dense().Shape(inputs) }

func (l *sized) Reset(at Place) { l.dense().Reset(at) }

func (l *sized) Stage(at Place) Stage { return l.dense().Stage(at) }

func TestANilPointerToALayerOfOnesOwnIsAnError(t *testing.T) {
	_, err := New(2, (*sized)(nil), Dense{Units: 1})
	Fails(t, err, "backprop: New: layer 0: a *custom_test.sized is nil, want a value")
	NewNetwork(t, 2, &sized{3}, Dense{Units: 1})
}

func TestCheckGradientOfNoParametersFindsNothing(t *testing.T) {
	net := NewNetwork(t, 2, Activate{F: Tanh})
	c, err := net.CheckGradient(Pattern(3, 2), Pattern(3, 2), MSE)
	NoError(t, err)
	if c != (GradientError{Layer: -1, Index: -1}) {
		t.Errorf("%+v, want none", c)
	}
}
