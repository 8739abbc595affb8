package numerics_test

import (
	"math"
	"testing"

	"example.com/backprop/internal/difference"
)

// L = 1000·θ₀ + θ₁ + θ₂²/2, whose gradient is (1000, 1, θ₂).
func TestDifferencesAreRelativeToAThousandthOfTheLargest(t *testing.T) {
	params := []float64{0.5, 0.5, 0.25}
	loss := func() float64 { return 1000*params[0] + params[1] + params[2]*params[2]/2 }
	for _, c := range []struct {
		grad     []float64
		index    int
		relative float64
	}{
		{[]float64{1000, 1.25, 0.25}, 1, 0.2},  // of 1.25, the larger of the two
		{[]float64{1000, 0.75, 0.25}, 1, 0.25}, // of 1
		{[]float64{1000, 1, 0.35}, 2, 0.1},     // of 1, a thousandth of the largest
		{[]float64{1100, 1, 0.25}, 0, 1. / 11}, // of the largest itself
	} {
		w := difference.Compare(c.grad, params, loss)
		if w.Index != c.index || !(math.Abs(w.Relative-c.relative) < 1e-8) || w.Analytic != c.grad[c.index] {
			t.Errorf("%v: %+v, want %v at %d", c.grad, w, c.relative, c.index)
		}
	}
}

// The step grows with the parameter, or rounding would hide the derivative: L = θ², at a million.
func TestDifferencesOfALargeParameterAreExact(t *testing.T) {
	params := []float64{-1e6}
	w := difference.Compare([]float64{-2e6}, params, func() float64 { return params[0] * params[0] })
	if !(w.Relative < 1e-11) || params[0] != -1e6 {
		t.Errorf("%+v at %v", w, params)
	}
}

// Nothing is worse than a NaN, wherever it stands.
func TestADifferenceThatIsNaNIsTheWorst(t *testing.T) {
	for i := range 3 {
		params := []float64{1, 1, 1}
		loss := func() float64 { return params[0] + params[1] + params[2] + math.Sqrt(params[i]-1) }
		if w := difference.Compare([]float64{1, 1, 1}, params, loss); w.Index != i || !math.IsNaN(w.Relative) {
			t.Errorf("NaN at %d: %+v", i, w)
		}
	}
}
