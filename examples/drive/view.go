package main

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat"
)

// The camera sees the ground from near to far, and at a distance d as wide as ±wide·d. It has twice
// as many rows and columns as the retina.
const (
	retinaRows, retinaCols = 30, 32
	cameraRows, cameraCols = 2 * retinaRows, 2 * retinaCols

	near, far = 4.0, 30.0 // metres
	wide      = 0.6
)

// A view is what the camera sees: brightnesses, the row of what is farthest first.
type view [cameraRows * cameraCols]float64

// ground returns the place on the ground, as seen from the car, that pixel i shows. In perspective
// the rows are equal steps of 1/distance.
func ground(i int) (ahead, left float64) {
	row, col := float64(i/cameraCols)+0.5, float64(i%cameraCols)+0.5
	ahead = 1 / (1/far + row/cameraRows*(1/near-1/far))
	return ahead, wide * ahead * (1 - 2*col/cameraCols)
}

// at is the brightness of a place on the ground: the inverse of ground. A place that is out of view
// has that of the nearest one straight ahead or behind that is in view.
func (v *view) at(ahead, left float64) float64 {
	ahead = max(near, min(max(ahead, math.Abs(left)/wide), far))
	row := int((1/ahead - 1/far) / (1/near - 1/far) * cameraRows)
	col := int((1 - left/(wide*ahead)) / 2 * cameraCols)
	return v[min(row, cameraRows-1)*cameraCols+max(0, min(col, cameraCols-1))]
}

// from makes of v, as well as goes, the view from another pose, which is given as seen from the
// car.
func (v *view) from(p pose) *view {
	var moved view
	for i := range moved {
		moved[i] = v.at(p.at(ground(i)))
	}
	return &moved
}

// A weather is what changes from drive to drive.
type weather struct {
	light   float64 // a factor of all brightnesses
	side    float64 // the part that it gains at the right edge of the view and loses at the left
	shadows float64 // a factor where there is shadow
	noise   float64 // the deviation of the retina's pixels
	gusts   float64 // radians by which the car is turned aside, every 50 metres or so
}

// look draws what the camera sees from a car.
func (r *road) look(c car, w weather) *view {
	var v view
	for i := range v {
		ahead, left := ground(i)
		x, y := c.at(ahead, left)
		light := w.light * (1 - w.side*left/(wide*ahead))
		along, left := r.locate(x, y, c.along+ahead)
		if w.shadows != 1 && chance(int((along+left)/4), r.trees) < 0.4 { // in bands across the road
			light *= w.shadows
		}
		brightness := r.surface
		if math.Abs(left) > r.width/2 {
			brightness = r.grass
		}
		v[i] = light * (brightness + 0.06*(chance(int(4*x), int(4*y))-0.5))
	}
	return &v
}

// chance is a number from 0 to 1 that belongs to i and j.
func chance(i, j int) float64 {
	return float64(rand.NewPCG(uint64(i), uint64(j)).Uint64()) / (1 << 64)
}

// retina returns the view as the network sees it: the means of four pixels each, with noise, and
// all of them brought to mean 0 and deviation 1, so that it does not matter how light it is.
func (v *view) retina(noise float64, rng *rand.Rand) []float64 {
	x := make([]float64, retinaRows*retinaCols)
	for i, brightness := range v {
		x[i/cameraCols/2*retinaCols+i%cameraCols/2] += brightness / 4
	}
	for i := range x {
		x[i] += noise * rng.NormFloat64()
	}
	mean, deviation := stat.PopMeanStdDev(x, nil)
	for i := range x {
		x[i] = (x[i] - mean) / deviation
	}
	return x
}
