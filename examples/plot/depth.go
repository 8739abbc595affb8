package main

import (
	"fmt"
	"strings"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// vanished is the norm below which a line ends.
const vanished = 1e-8

// gradientNorms draws ‖∂L/∂W‖ of every hidden layer of deep networks before training, their weights
// drawn in different ways.
func gradientNorms(e effort) (picture, string, error) {
	data, _, err := digits.Split(0.25, 0)
	if err != nil {
		return picture{}, "", err
	}
	p := newPlot(fmt.Sprintf("Gradient through %d layers of 64 units, before training", e.depth), "layer", "‖∂L/∂W‖")
	says := "the gradient's norm in the last hidden layer and in the first:"
	for _, c := range []struct {
		name   string
		layer  backprop.Dense
		dashes []vg.Length
	}{
		{"He, tanh", backprop.Dense{Init: backprop.HeNormal, Activation: backprop.Tanh}, dotted},
		{"orthogonal, tanh", backprop.Dense{Init: backprop.Orthogonal, Activation: backprop.Tanh}, solid},
		{"Glorot, tanh", backprop.Dense{Init: backprop.GlorotUniform, Activation: backprop.Tanh}, dashed},
		{"Glorot, sigmoid", backprop.Dense{Init: backprop.GlorotUniform, Activation: backprop.Sigmoid}, dashDotted},
	} {
		norms, err := normsByLayer(e.depth, c.layer, data)
		if err != nil {
			return picture{}, "", err
		}
		says += fmt.Sprintf(" %s %.0e, %.0e;", c.name, norms[e.depth-1].Y, norms[0].Y)
		for norms[0].Y < vanished {
			norms = norms[1:]
		}
		if err := addLine(p, c.name, norms, c.dashes); err != nil {
			return picture{}, "", err
		}
	}
	logAxis(&p.Y, 2)
	p.X.Min = 0
	p.Legend.Top = true
	return picture{"gradients", 4.5 * vg.Inch, 3.2 * vg.Inch, p.Draw}, strings.TrimSuffix(says, ";"), nil
}

// normsByLayer is ‖∂L/∂W‖ of each of depth hidden layers, counted from 1.
func normsByLayer(depth int, layer backprop.Dense, data backprop.Data) (plotter.XYs, error) {
	var layers []backprop.Layer
	layer.Units = 64
	for range depth {
		layers = append(layers, layer)
	}
	net, err := backprop.New(64, append(layers, backprop.Dense{Units: 10, Activation: backprop.Softmax})...)
	if err != nil {
		return nil, err
	}
	var x mat.Dense
	x.Scale(1./16, data.X.(*mat.Dense).Slice(0, 64, 0, 64))
	_, grad, err := net.Gradient(nil, &x, data.Y.(*mat.Dense).Slice(0, 64, 0, 10), nil)
	if err != nil {
		return nil, err
	}
	var norms plotter.XYs
	for i := range depth {
		rows, columns := net.Weights(i).Dims()
		norms = append(norms, plotter.XY{X: float64(i + 1), Y: floats.Norm(grad[:rows*columns], 2)})
		grad = grad[rows*columns+net.Biases(i).Len():]
	}
	return norms, nil
}
