// Package difference compares a gradient with central differences.
package difference

import "math"

// A Worst is the parameter at which the two agree least.
type Worst struct {
	Index             int     // −1 if there are no parameters
	Relative          float64 // the difference of the two, relative to the larger or to a thousandth of the gradient's largest element
	Analytic, Numeric float64
}

// Compare compares every element of grad with the derivative of loss by that parameter, which it
// changes and changes back: D(h) = (L(θ+h) − L(θ−h))/2h, extrapolated to (4·D(h/2) − D(h))/3.
func Compare(grad, params []float64, loss func() float64) Worst {
	largest := 0.0
	for _, g := range grad {
		largest = max(largest, math.Abs(g))
	}
	worst := Worst{Index: -1}
	for i, analytic := range grad {
		numeric := derivative(&params[i], loss)
		relative := 0.0
		if numeric != analytic {
			relative = math.Abs(numeric-analytic) / max(math.Abs(numeric), math.Abs(analytic), largest/1000)
		}
		if i == 0 || !(relative <= worst.Relative) && !math.IsNaN(worst.Relative) { // a NaN is worse than anything
			worst = Worst{Index: i, Relative: relative, Analytic: analytic, Numeric: numeric}
		}
	}
	return worst
}

func derivative(param *float64, loss func() float64) float64 {
	at := *param
	defer func() { *param = at }()
	lossAt := func(v float64) float64 {
		*param = v
		return loss()
	}
	h := float64(1e-3 * max(1, math.Abs(at)))
	central := func(h float64) float64 {
		up, down := at+h, at-h
		return (lossAt(up) - lossAt(down)) / (up - down)
	}
	return (float64(4*central(float64(h/2))) - central(h)) / 3
}
