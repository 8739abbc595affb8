package main

import (
	"math"
	"math/rand/v2"
)

// A pose is a place on flat ground, in metres, and a heading, in radians from x toward y, which is
// to the left.
type pose struct{ x, y, heading float64 }

// at returns the place that lies so far ahead of p and to its left.
func (p pose) at(ahead, left float64) (x, y float64) {
	sin, cos := math.Sincos(p.heading)
	return p.x + ahead*cos - left*sin, p.y + ahead*sin + left*cos
}

// seen returns how far ahead of p and to its left a place lies: the inverse of at.
func (p pose) seen(x, y float64) (ahead, left float64) {
	sin, cos := math.Sincos(p.heading)
	return (x-p.x)*cos + (y-p.y)*sin, (y-p.y)*cos - (x-p.x)*sin
}

// step goes a short way along a circle. Its curvature is in 1/m, above 0 to the left.
func (p pose) step(distance, curvature float64) pose {
	p.heading += distance * curvature / 2
	p.x, p.y = p.at(distance, 0)
	p.heading += distance * curvature / 2
	return p
}

// toward is the curvature of the circle that leads to a place so far ahead and to the left.
func toward(ahead, left float64) float64 { return 2 * left / (ahead*ahead + left*left) }

const (
	stride    = 0.5  // metres between the poses of a road
	bend      = 0.03 // 1/m, the most that a road is bent
	lookahead = 10.0 // metres from the car to where the driver is going
	carWidth  = 2.0  // metres
)

// A road begins at the zero pose.
type road struct {
	middle         []pose // every stride
	width          float64
	surface, grass float64 // brightnesses, from 0 to 1
	trees          int     // the number of those that throw shadows
}

// newRoad draws a road by chance. Its curvature changes all the time, toward another value every 15
// to 45 metres.
func newRoad(length float64, rng *rand.Rand) *road {
	r := &road{
		width:   4 + 2*rng.Float64(),
		surface: 0.45 + 0.2*rng.Float64(),
		grass:   0.15 + 0.15*rng.Float64(),
		trees:   rng.Int(),
	}
	var p pose
	var from, to, begin, end float64
	for s := 0.0; s < length; s += stride {
		if s >= end {
			from, to, begin, end = to, bend*(2*rng.Float64()-1), s, s+15+30*rng.Float64()
		}
		r.middle = append(r.middle, p)
		p = p.step(stride, from+(to-from)*(s-begin)/(end-begin))
	}
	return r
}

// pose is the middle of the road after a distance.
func (r *road) pose(along float64) pose {
	return r.middle[max(0, min(int(math.Round(along/stride)), len(r.middle)-1))]
}

// locate returns how far along the road a place is, about near, and how far to the left of the
// middle.
func (r *road) locate(x, y, near float64) (along, left float64) {
	for range 8 {
		i := max(0, min(int(math.Round(near/stride)), len(r.middle)-1))
		along, left = r.middle[i].seen(x, y)
		along += float64(i) * stride
		if math.Abs(along-near) < stride {
			break
		}
		near = along
	}
	return along, left
}

// A car is on a road, so far along and to the left of the middle.
type car struct {
	pose
	along, left float64
}

// beside returns a car to the left of the middle, turned to the left.
func (r *road) beside(along, left, turn float64) car {
	p := r.pose(along)
	p.x, p.y = p.at(0, left)
	p.heading += turn
	return car{p, along, left}
}

// goal is the place, as seen from a car, where the driver is going: the middle of the road some way
// ahead. To steer toward it all the time is called pure pursuit.
func (r *road) goal(c car) (ahead, left float64) {
	p := r.pose(c.along + lookahead)
	return c.seen(p.x, p.y)
}

func (r *road) driver(c car) (curvature float64, err error) { return toward(r.goal(c)), nil }

// drive drives from the beginning of the road and returns where the car is at every metre: after
// the whole distance, or where a wheel leaves the road, it ends.
func (r *road) drive(distance float64, steer func(car) (curvature float64, err error)) ([]car, error) {
	var path []car
	var c car
	for {
		path = append(path, c)
		if c.along >= distance || math.Abs(c.left) > (r.width-carWidth)/2 {
			return path, nil
		}
		curvature, err := steer(c)
		if err != nil {
			return path, err
		}
		c.pose = c.step(1, curvature)
		c.along, c.left = r.locate(c.x, c.y, c.along+1)
	}
}
