package numerics_test

import (
	"math"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// The loss of so many samples is that of one of them, where they are all alike.
func TestCrossEntropyOfManySamplesIsThatOfOne(t *testing.T) {
	for _, classes := range []int{2, 10} {
		net := NewNetwork(t, 1, Dense{Units: classes, Activation: Softmax})
		clear(net.Params()) // every class is as likely
		const rows = 2000
		x, y, want := mat.NewDense(rows, 1, nil), ClassTargets(rows, classes), []float64{math.Log(float64(classes))}
		EqualTo(t, "Loss", []float64{Value(net.Loss(x, y, nil))(t)}, want, 1e-13)
		loss, _, err := net.Gradient(nil, x, y, nil)
		NoError(t, err)
		EqualTo(t, "the loss of Gradient", []float64{loss}, want, 1e-13)
	}
}
