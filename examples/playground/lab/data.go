package lab

import (
	"math"
	"math/rand/v2"
	"strings"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

const (
	samples = 500
	extent  = 6.0 // the plane is from −6 to 6 in both directions
)

// A sample draws point i of a set, given the noise as a share of 1. Targets y are −1
// and 1 of a classification, −1 to 1 of a regression.
type sample func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64)

// The data sets are those of TensorFlow's playground.
var dataSets = map[string]sample{
	"circle": func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64) {
		r, t := uniform(rng, 0, 2.5), uniform(rng, 0, 2*math.Pi)
		if i%2 == 1 {
			r = uniform(rng, 3.5, 5)
		}
		x1, x2 = r*math.Sin(t), r*math.Cos(t)
		return x1, x2, math.Copysign(1, 2.5-math.Hypot(x1+uniform(rng, -5, 5)*noise, x2+uniform(rng, -5, 5)*noise))
	},
	"xor": func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64) {
		x1, x2 = uniform(rng, -5, 5), uniform(rng, -5, 5)
		x1, x2 = x1+math.Copysign(0.3, x1), x2+math.Copysign(0.3, x2)
		return x1, x2, math.Copysign(1, (x1+uniform(rng, -5, 5)*noise)*(x2+uniform(rng, -5, 5)*noise))
	},
	"gauss": func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64) {
		centre, deviation := 2-4*float64(i%2), math.Sqrt(0.5+7*noise)
		return centre + deviation*rng.NormFloat64(), centre + deviation*rng.NormFloat64(), math.Copysign(1, centre)
	},
	"spiral": func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64) {
		along := float64(i/2) / (samples / 2)
		t := 1.75*along*2*math.Pi + math.Pi*float64(i%2)
		return 5*along*math.Sin(t) + uniform(rng, -1, 1)*noise, 5*along*math.Cos(t) + uniform(rng, -1, 1)*noise, 1 - 2*float64(i%2)
	},
	"plane": func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64) {
		x1, x2 = uniform(rng, -6, 6), uniform(rng, -6, 6)
		return x1, x2, min(max((x1+x2+uniform(rng, -6, 6)*2*noise)/10, -1), 1)
	},
	"multigauss": func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64) {
		x1, x2 = uniform(rng, -6, 6), uniform(rng, -6, 6)
		n1, n2 := x1+uniform(rng, -6, 6)*noise, x2+uniform(rng, -6, 6)*noise
		for k := range 6 { // hills and valleys in turn
			c1, c2 := 4*float64(k%3-1), 2.5-5*float64(k/3)
			height := max(0, 1-math.Hypot(n1-c1, n2-c2)/2)
			if height > math.Abs(y) {
				y = math.Copysign(height, 0.5-float64(k%2))
			}
		}
		return x1, x2, y
	},
}

func uniform(rng *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*rng.Float64() }

// features are what the network may be given of a point.
var features = map[string]func(x1, x2 float64) float64{
	"x1":    func(x1, x2 float64) float64 { return x1 },
	"x2":    func(x1, x2 float64) float64 { return x2 },
	"x1x1":  func(x1, x2 float64) float64 { return x1 * x1 },
	"x2x2":  func(x1, x2 float64) float64 { return x2 * x2 },
	"x1x2":  func(x1, x2 float64) float64 { return x1 * x2 },
	"sinx1": func(x1, x2 float64) float64 { return math.Sin(x1) },
	"sinx2": func(x1, x2 float64) float64 { return math.Sin(x2) },
}

// draw makes the points and parts them. points are x1, x2 and y of each, those for training first.
func draw(s Settings) (train, test backprop.Data, points []float64, err error) {
	seed, noise := uint64(s.number("seed")), s.number("noise")/100
	rng := rand.New(rand.NewPCG(seed, 1))
	all := mat.NewDense(samples, 3, nil)
	for i := range samples {
		x1, x2, y := dataSets[s["data"]](i, noise, rng)
		if !s.regression() {
			y = (1 + y) / 2 // a probability
		}
		all.SetRow(i, []float64{x1, x2, y})
	}
	train, test, err = backprop.Data{X: all, Y: all.Slice(0, samples, 2, 3)}.Split(1-s.number("train")/100, seed)
	if err != nil {
		return train, test, nil, err
	}
	for _, part := range []*backprop.Data{&train, &test} {
		drawn := part.X.(*mat.Dense)
		points = append(points, drawn.RawMatrix().Data...)
		part.X = inputsOf(s, drawn)
	}
	return train, test, points, nil
}

// plane is the middles of side×side squares, row by row from the top.
func plane(side int) *mat.Dense {
	points := mat.NewDense(side*side, 2, nil)
	along := func(k int) float64 { return extent * ((2*float64(k)+1)/float64(side) - 1) }
	for i := range side * side {
		points.SetRow(i, []float64{along(i % side), -along(i / side)})
	}
	return points
}

// inputsOf are the chosen features of points, whose first columns are x1 and x2.
func inputsOf(s Settings, points *mat.Dense) *mat.Dense {
	rows, _ := points.Dims()
	names := strings.Split(s["features"], ",")
	x := mat.NewDense(rows, len(names), nil)
	for j, name := range names {
		for i := range rows {
			x.Set(i, j, features[name](points.At(i, 0), points.At(i, 1)))
		}
	}
	return x
}
