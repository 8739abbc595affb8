package main

import (
	"context"
	"fmt"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
)

// lossCurves draws the training loss and the validation loss of a network that learns the digits,
// 64-64-10, epoch by epoch.
func lossCurves(e effort) (picture, string, error) {
	train, valid, err := digits.Split(0.25, 0)
	if err != nil {
		return picture{}, "", err
	}
	net, err := backprop.New(64,
		backprop.Standardize{},
		backprop.Dense{Units: 64, Activation: backprop.ReLU},
		backprop.Dense{Units: 10, Activation: backprop.Softmax},
	)
	if err != nil {
		return picture{}, "", err
	}
	history, err := net.Train(context.Background(), train.X, train.Y, backprop.TrainConfig{
		LearningRate: 3e-3, Optimizer: &backprop.Adam{}, Epochs: e.digitsEpochs, BatchSize: 32, Validation: valid,
	})
	if err != nil {
		return picture{}, "", err
	}
	var training, validation plotter.XYs
	for _, epoch := range history.Epochs {
		n := float64(epoch.N + 1)
		training = append(training, plotter.XY{X: n, Y: epoch.Loss})
		validation = append(validation, plotter.XY{X: n, Y: epoch.ValidationLoss})
	}
	best := validation[history.Best]

	p := newPlot("Digits, 64-64-10, Adam", "epoch", "cross-entropy")
	p.X.Min = 0
	p.Legend.Top = true
	if err := addLine(p, "training", training, solid); err != nil {
		return picture{}, "", err
	}
	if err := addLine(p, "validation", validation, dashed); err != nil {
		return picture{}, "", err
	}
	if err := addMarkers(p, "lowest validation loss", plotter.XYs{best}, vgdraw.CircleGlyph{}, vg.Points(4)); err != nil {
		return picture{}, "", err
	}
	logAxis(&p.Y, 1)
	says := fmt.Sprintf("lowest validation loss %.3f in epoch %.0f, training loss %.1e at the end",
		best.Y, best.X, training[len(training)-1].Y)
	return picture{"loss", 4.5 * vg.Inch, 3.2 * vg.Inch, p.Draw}, says, nil
}
