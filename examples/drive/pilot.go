package main

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const (
	hidden = 5
	units  = 30
	sharp  = 0.08 // 1/m, the curvature of the outermost units
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
	mass, moment := 0.0, 0.0
	for i := peak - reach; i <= peak+reach; i++ {
		mass, moment = mass+a[i], moment+a[i]*float64(i)
	}
	return moment / mass
}

// A lesson is what a driver shows to a network.
type lesson struct {
	roads, frames int // how many roads, and frames on each of them, 5 metres apart
	moved         int // views made of each frame, besides its own
	epochs        int
	seed          uint64
}

// watch returns views, in the rows of X, and the hills of their steering, in those of Y. Roads and
// weather are drawn by chance. A view that is moved is steered to where the driver was going.
func (l lesson) watch() backprop.Data {
	rng := rand.New(rand.NewPCG(l.seed, 0))
	within := func(limit float64) float64 { return limit * (2*rng.Float64() - 1) }
	var views, hills [][]float64
	for range l.roads {
		length := 5 * float64(l.frames)
		r := newRoad(length+far, rng)
		path, _ := r.drive(length, r.driver)
		for i := 0; i < len(path); i += 5 {
			v := r.look(path[i], weather{light: 1, side: within(0.2), shadows: 0.8 + within(0.2)})
			for n := range 1 + l.moved {
				var p pose
				if n > 0 {
					p = pose{0, within(1), within(0.12)}
				}
				views = append(views, v.from(p).retina(0, rng))
				hills = append(hills, hill(toward(p.seen(r.goal(path[i])))))
			}
		}
	}
	return backprop.Data{
		X: mat.NewDense(len(views), retinaRows*retinaCols, slices.Concat(views...)),
		Y: mat.NewDense(len(hills), units, slices.Concat(hills...)),
	}
}

// learn returns a network that has learnt what is shown.
func (l lesson) learn() (*backprop.Network, error) {
	net, err := backprop.New(retinaRows*retinaCols,
		backprop.Dense{Units: hidden, Activation: backprop.Tanh},
		backprop.Dense{Units: units, Activation: backprop.Sigmoid},
	)
	if err != nil {
		return nil, err
	}
	net.Init(l.seed)
	data := l.watch()
	_, err = net.Train(context.Background(), data.X, data.Y, backprop.TrainConfig{
		LearningRate: 1e-3,
		Loss:         backprop.MSE,
		Optimizer:    &backprop.Adam{},
		Schedule:     backprop.CosineDecay{Epochs: l.epochs},
		Epochs:       l.epochs,
		BatchSize:    32,
		Seed:         l.seed,
	})
	return net, err
}

// A pilot steers on a road by what a network makes of the view.
type pilot struct {
	net     *backprop.Network
	road    *road
	weather weather
	rand    *rand.Rand // of noise and gusts
}

// see returns the view from a car on the retina, and the outputs for it.
func (p pilot) see(c car) (x, a []float64, err error) {
	x = p.road.look(c, p.weather).retina(p.weather.noise, p.rand)
	out, err := p.net.Predict(mat.NewDense(1, len(x), x))
	if err != nil {
		return nil, nil, err
	}
	return x, out.RawRowView(0), nil
}

func (p pilot) steer(c car) (curvature float64, err error) {
	_, a, err := p.see(c)
	if err != nil {
		return 0, err
	}
	curvature = curvatureOf(top(a))
	if p.rand.IntN(50) == 0 {
		curvature += p.weather.gusts * float64(2*p.rand.IntN(2)-1)
	}
	return curvature, nil
}
