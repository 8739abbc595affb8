// Command lbfgs trains a network with L-BFGS, of gonum/optimize, in place of gradient descent. Any
// optimizer that asks for a function and its gradient is put to work the same way.
//
//	cd examples/lbfgs && go run .
//
// It is a module of its own, because gonum/optimize requires one that the library does not.
package main

import (
	"fmt"
	"log"
	"math"
	"slices"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

func main() {
	x, y := mat.NewDense(100, 1, nil), mat.NewDense(100, 1, nil)
	for i := range 100 {
		x.Set(i, 0, float64(i)/50-1)
		y.Set(i, 0, math.Sin(3*x.At(i, 0)))
	}
	net, err := backprop.New(1, backprop.Dense{Units: 8, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	result, err := minimize(net, x, y, 200)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("loss below 1e-5:", result.F < 1e-5)
}

// minimize trains the network, in so many iterations at most.
func minimize(net *backprop.Network, x, y mat.Matrix, iterations int) (*optimize.Result, error) {
	grad := make([]float64, len(net.Params()))
	evaluate := func(grad, params []float64) float64 {
		copy(net.Params(), params)
		loss, _, err := net.Gradient(grad, x, y, nil)
		if err != nil {
			return math.Inf(1) // the step was too long
		}
		return loss
	}
	problem := optimize.Problem{
		Func: func(params []float64) float64 { return evaluate(grad, params) },
		Grad: func(dst, params []float64) { evaluate(dst, params) },
	}
	settings := &optimize.Settings{MajorIterations: iterations}
	result, err := optimize.Minimize(problem, slices.Clone(net.Params()), settings, &optimize.LBFGS{})
	if err == nil {
		copy(net.Params(), result.X)
	}
	return result, err
}
