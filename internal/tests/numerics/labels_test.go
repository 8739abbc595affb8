package numerics_test

import (
	"testing"

	"example.com/backprop"
	"example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

func TestSeveralLabelsAreJudgedAColumnAtATime(t *testing.T) {
	p := mat.NewDense(3, 2, []float64{0.9, 0.2, 0.4, 0.8, 0.7, 0.6})
	y := mat.NewDense(3, 2, []float64{1, 0, 0, 0, 0, 1})
	for j, want := range []float64{2. / 3, 2. / 3} {
		if got := testutil.Value(backprop.Accuracy(p.ColView(j), y.ColView(j)))(t); got != want {
			t.Errorf("label %d: %v, want %v", j, got, want)
		}
	}
}
