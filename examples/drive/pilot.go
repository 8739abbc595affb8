package main

import (
	"context"
	"math"
	"math/rand/v2"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

const (
	units = 30
	sharp = 0.08 // 1/m, the curvature of the outermost units
)

// unitOf is the output unit, or the place between two of them, that stands for a curvature: 0 for a
// sharp turn to the left, units−1 for one to the right.
func unitOf(curvature float64) float64 { return (1 - curvature/sharp) / 2 * (units - 1) }

// curvatureOf is the inverse of unitOf.
func curvatureOf(unit float64) float64 { return sharp * (1 - 2*unit/(units-1)) }

// hill returns the targets for a curvature: e^(−d²/10) for the unit at a distance d of its own.
func hill(curvature float64) []float64 {
	y := make([]float64, units)
	for i := range y {
		d := float64(i) - unitOf(curvature)
		y[i] = math.Exp(-d * d / 10)
	}
	return y
}

// top is the centre of mass of the outputs around the largest.
func top(a []float64) (unit float64) {
	peak := floats.MaxIdx(a)
	reach := min(5, peak, units-1-peak)
	lo, hi := peak-reach, peak+reach
	return stat.Mean(floats.Span(make([]float64, 1+2*reach), float64(lo), float64(hi)), a[lo:hi+1])
}

// watch returns what a driver shows on some roads: a view every 5 metres, and so many that are made
// of it by moving, in the rows of X, and the hills of their steering in those of Y. A view that is
// moved is steered to where the driver was going.
func watch(roads, moved int) backprop.Data {
	rng := rand.New(rand.NewPCG(0, 0))
	var x, y []float64
	for range roads {
		r := newRoad(weather{}, rng)
		path := r.drive(r.middle[0], r.driver)
		for i := 0; i < len(path); i += 5 {
			r.weather = weather{side: upTo(0.2, rng), shadows: 0.2 + upTo(0.2, rng)}
			v := r.look(path[i])
			p := pose{0, 1} // that of the camera
			for range 1 + moved {
				x = append(x, v.from(p).retina()...)
				y = append(y, hill(toward(p.seen(r.goal(path[i]))))...)
				p = pose{0, 1}.moved(complex(0, upTo(1, rng)), upTo(0.12, rng))
			}
		}
	}
	n := len(y) / units
	return backprop.Data{X: mat.NewDense(n, rows*cols, x), Y: mat.NewDense(n, units, y)}
}

// learn returns a network that has learnt what a driver shows.
func learn(shown backprop.Data, epochs int) *backprop.Network {
	net, err := backprop.New(rows*cols,
		backprop.Dense{Units: 5, Activation: backprop.Tanh},
		backprop.Dense{Units: units, Activation: backprop.Sigmoid},
	)
	check(err)
	_, err = net.Train(context.Background(), shown.X, shown.Y, backprop.TrainConfig{
		LearningRate: 1e-3,
		Loss:         backprop.MSE,
		Optimizer:    &backprop.Adam{},
		Schedule:     backprop.CosineDecay{Epochs: epochs},
		Epochs:       epochs,
		BatchSize:    32,
	})
	check(err)
	return net
}

// outputs returns those of a network for a view.
func outputs(net *backprop.Network, v view) []float64 {
	a, err := net.Predict(mat.NewDense(1, len(v), v.retina()))
	check(err)
	return a.RawRowView(0)
}

// driveBy has a network drive a road from a start off the lane.
func (r *road) driveBy(net *backprop.Network) (path []car) {
	return r.drive(r.stray(0), func(c car) float64 { return curvatureOf(top(outputs(net, r.look(c)))) })
}
