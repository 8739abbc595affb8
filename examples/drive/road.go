package main

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
)

// A pose is a place on flat ground, x + iy in metres, and the unit step ahead from there. What is
// seen from it is a number as well: the metres ahead + i times those to the left.
type pose struct{ place, ahead complex128 }

// at returns the place of what is seen from p.
func (p pose) at(seen complex128) complex128 { return p.place + seen*p.ahead }

// seen is the inverse of at.
func (p pose) seen(place complex128) complex128 { return (place - p.place) * cmplx.Conj(p.ahead) }

// moved returns the pose at what is seen from p, turned to the left by so many radians.
func (p pose) moved(seen complex128, turn float64) pose {
	return pose{p.at(seen), p.ahead * cmplx.Rect(1, turn)}
}

// step goes a short way along a circle. Its curvature is in 1/m, above 0 to the left.
func (p pose) step(distance, curvature float64) pose {
	return p.moved(cmplx.Rect(distance, distance*curvature/2), distance*curvature)
}

// toward is the curvature of the circle that leads to what is seen: 2·left/distance².
func toward(seen complex128) float64 { return 2 * imag(seen) / real(seen*cmplx.Conj(seen)) }

const (
	length    = 500  // metres of road to be driven; the camera sees some more
	stride    = 0.5  // metres between the places in road.middle
	bend      = 0.03 // 1/m, the most that a road is bent
	lookahead = 10   // metres from the car to where the driver is going
	carWidth  = 2    // metres
)

// A car is on a road, so far along and to the left of the middle.
type car struct {
	pose
	along, left float64 // metres
}

// A road is where a car in the middle is every stride.
type road struct {
	middle  []car
	width   float64 // metres
	weather weather
	rand    *rand.Rand
}

// newRoad draws a road by chance. Its curvature changes all the time, toward another value every 15
// to 45 metres.
func newRoad(w weather, rng *rand.Rand) *road {
	r := &road{width: 5 + upTo(1, rng), weather: w, rand: rng}
	c, curvature := car{pose: pose{0, 1}}, 0.0
	for c.along < length+far {
		strides := 30 + rng.IntN(60)
		change := (upTo(bend, rng) - curvature) / float64(strides)
		for range strides {
			r.middle = append(r.middle, c)
			c = car{pose: c.step(stride, curvature), along: c.along + stride}
			curvature += change
		}
	}
	return r
}

// upTo is a number from −limit to limit by chance.
func upTo(limit float64, rng *rand.Rand) float64 { return limit * (2*rng.Float64() - 1) }

// after is the place in the middle after a distance.
func (r *road) after(along float64) car {
	return r.middle[max(0, min(int(math.Round(along/stride)), len(r.middle)-1))]
}

// locate returns how far along the road a place is, about near, and how far to the left of the
// middle.
func (r *road) locate(place complex128, near float64) (along, left float64) {
	for range 3 {
		c := r.after(near)
		seen := c.seen(place)
		near, left = c.along+real(seen), imag(seen)
	}
	return near, left
}

// stray returns a car that was led off the lane.
func (r *road) stray(along float64) car {
	left := upTo(0.8, r.rand)
	return car{r.after(along).moved(complex(0, left), upTo(0.1, r.rand)), along, left}
}

// driver steers to the middle of the road some way ahead. To do so all the time is called pure
// pursuit.
func (r *road) driver(c car) (curvature float64) { return toward(r.goal(c)) }

// goal is where the driver is going, as seen from the car.
func (r *road) goal(c car) (seen complex128) { return c.seen(r.after(c.along + lookahead).place) }

// drive drives on and returns where the car is at every metre, until the end of the road or until a
// wheel leaves it.
func (r *road) drive(c car, steer func(car) (curvature float64)) (path []car) {
	for c.along < length && math.Abs(c.left) <= (r.width-carWidth)/2 {
		path = append(path, c)
		c.pose = c.step(1, steer(c))
		c.along, c.left = r.locate(c.place, c.along+1)
	}
	return append(path, c)
}
