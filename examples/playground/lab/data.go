package lab

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

const (
	samples = 500
	extent  = 6.0 // the plane is from −6 to 6 in both directions
)

// A sample draws point i of a set, given the noise as a share of 1. Targets are 0 and 1 of a
// classification, −1 to 1 of a regression.
type sample func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64)

// The data sets are those of TensorFlow's playground.
var dataSets = map[string]sample{
	"circle": func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64) {
		r, t := uniform(rng, 0, 2.5), uniform(rng, 0, 2*math.Pi)
		if i%2 == 1 {
			r = uniform(rng, 3.5, 5)
		}
		x1, x2 = r*math.Sin(t), r*math.Cos(t)
		d1, d2 := uniform(rng, -5, 5)*noise, uniform(rng, -5, 5)*noise
		return x1, x2, indicator(math.Hypot(x1+d1, x2+d2) < 2.5)
	},
	"xor": func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64) {
		x1, x2 = uniform(rng, -5, 5), uniform(rng, -5, 5)
		x1, x2 = x1+math.Copysign(0.3, x1), x2+math.Copysign(0.3, x2)
		d1, d2 := uniform(rng, -5, 5)*noise, uniform(rng, -5, 5)*noise
		return x1, x2, indicator((x1+d1)*(x2+d2) >= 0)
	},
	"gauss": func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64) {
		centre, deviation := 2-4*float64(i%2), math.Sqrt(0.5+7*noise)
		return centre + deviation*rng.NormFloat64(), centre + deviation*rng.NormFloat64(), indicator(centre > 0)
	},
	"spiral": func(i int, noise float64, rng *rand.Rand) (x1, x2, y float64) {
		along := float64(i/2) / (samples / 2)
		t := 1.75*along*2*math.Pi + math.Pi*float64(i%2)
		return 5*along*math.Sin(t) + uniform(rng, -1, 1)*noise, 5*along*math.Cos(t) + uniform(rng, -1, 1)*noise, indicator(i%2 == 0)
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

func (s Settings) regression() bool { return s["data"] == "plane" || s["data"] == "multigauss" }

func uniform(rng *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*rng.Float64() }

func indicator(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// A feature is what the network may be given of a point.
type feature struct {
	name string
	of   func(x1, x2 float64) float64
}

var features = []feature{
	{"x1", func(x1, x2 float64) float64 { return x1 }},
	{"x2", func(x1, x2 float64) float64 { return x2 }},
	{"x1x1", func(x1, x2 float64) float64 { return x1 * x1 }},
	{"x2x2", func(x1, x2 float64) float64 { return x2 * x2 }},
	{"x1x2", func(x1, x2 float64) float64 { return x1 * x2 }},
	{"sinx1", func(x1, x2 float64) float64 { return math.Sin(x1) }},
	{"sinx2", func(x1, x2 float64) float64 { return math.Sin(x2) }},
}

// draw makes the points and parts them. points are x1, x2 and y of each, those for training first.
func draw(s Settings) (train, test backprop.Data, points []float64, err error) {
	seed, noise := uint64(s.number("seed")), s.number("noise")/100
	rng := rand.New(rand.NewPCG(seed, 1))
	x, y := mat.NewDense(samples, 2, nil), mat.NewDense(samples, 1, nil)
	for i := range samples {
		x1, x2, target := dataSets[s["data"]](i, noise, rng)
		x.SetRow(i, []float64{x1, x2})
		y.Set(i, 0, target)
	}
	train, test, err = backprop.Data{X: x, Y: y}.Split(1-s.number("train")/100, seed)
	for _, part := range []*backprop.Data{&train, &test} {
		x := part.X.(*mat.Dense)
		for i := range x.RawMatrix().Rows {
			points = append(points, x.At(i, 0), x.At(i, 1), part.Y.At(i, 0))
		}
		part.X = inputs(s, x)
	}
	return train, test, points, err
}

// inputs are the chosen features of points.
func inputs(s Settings, points *mat.Dense) *mat.Dense {
	rows, _ := points.Dims()
	names := strings.Split(s["features"], ",")
	x := mat.NewDense(rows, len(names), nil)
	for j, name := range names {
		f := features[slices.IndexFunc(features, func(f feature) bool { return f.name == name })]
		for i := range rows {
			x.Set(i, j, f.of(points.At(i, 0), points.At(i, 1)))
		}
	}
	return x
}
