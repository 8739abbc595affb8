package main

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// The camera sees the ground from near to far, and at a distance d as wide as ±wide·d.
const (
	rows, cols = 30, 32
	near, far  = 4.0, 30.0 // metres
	wide       = 0.6
)

// A view is what the camera sees: brightnesses, the row of what is farthest first.
type view [rows * cols]float64

// viewOf returns the view of a ground of the given brightness. In perspective the rows are equal
// steps of 1/distance.
func viewOf(brightness func(seen complex128) float64) (v view) {
	for i := range v {
		row, col := float64(i/cols)+0.5, float64(i%cols)+0.5
		ahead := 1 / (1/far + row/rows*(1/near-1/far))
		v[i] = brightness(complex(ahead, wide*ahead*(1-2*col/cols)))
	}
	return v
}

// at is the brightness of what is seen. What is out of view has that of the nearest place straight
// ahead or behind that is in view.
func (v view) at(seen complex128) float64 {
	left := imag(seen)
	ahead := max(near, min(max(real(seen), math.Abs(left)/wide), far))
	row := int((1/ahead - 1/far) / (1/near - 1/far) * rows)
	col := int((1 - left/(wide*ahead)) / 2 * cols)
	return v[min(row, rows-1)*cols+max(0, min(col, cols-1))]
}

// from makes of v, as well as goes, the view from another pose, which is given as seen from the
// car.
func (v view) from(p pose) view {
	return viewOf(func(seen complex128) float64 { return v.at(p.at(seen)) })
}

// A weather is what changes from drive to drive, the zero value being a calm one.
type weather struct {
	name    string
	dim     float64 // the part of the light that is missing
	side    float64 // the part that it gains at the right edge of the view and loses at the left
	shadows float64 // the part that is missing in shadows
	noise   float64 // the deviation of the pixels
}

// look returns what the camera sees from a car: light road, dark grass, both with a grain, and
// shadows in bands across them.
func (r *road) look(c car) view {
	return viewOf(func(seen complex128) float64 {
		place := c.at(seen)
		along, left := r.locate(place, c.along+real(seen))
		brightness := 0.55
		if math.Abs(left) > r.width/2 {
			brightness = 0.22
		}
		brightness += 0.03 * math.Sin(20*real(place)) * math.Sin(20*imag(place))
		if math.Sin(along+left) > 0.3 {
			brightness *= 1 - r.weather.shadows
		}
		brightness *= (1 - r.weather.dim) * (1 - r.weather.side*imag(seen)/(wide*real(seen)))
		return brightness + r.weather.noise*r.rand.NormFloat64()
	})
}

// retina returns the view as the network sees it: brought to mean 0 and deviation 1, so that it does
// not matter how light it is.
func (v view) retina() []float64 {
	x := v[:]
	mean, deviation := stat.PopMeanStdDev(x, nil)
	floats.AddConst(-mean, x)
	floats.Scale(1/deviation, x)
	return x
}
