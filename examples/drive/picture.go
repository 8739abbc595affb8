package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"text/template"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
)

//go:embed picture.svg.tmpl
var page string

// draw returns a picture, as SVG, of how two networks drive a road, and of the view and the outputs
// of the first one half-way.
func draw(net, plain *backprop.Network) []byte {
	r := unseen(0, weather{})
	path, lost := r.driveBy(net), unseen(0, weather{}).driveBy(plain)
	at := path[len(path)/2]
	view := r.look(at)
	var xs, ys []float64 // from above, y downwards
	for _, c := range r.middle {
		xs, ys = append(xs, real(c.place)), append(ys, -imag(c.place))
	}
	x, y := floats.Min(xs), floats.Min(ys)
	above := func(c car) complex128 { return c.place }
	limit := (r.width - carWidth) / 2
	aside := func(c car) complex128 { return complex(c.along, c.left/limit) }
	var b bytes.Buffer
	check(template.Must(template.New("").Parse(page)).Execute(&b, map[string]any{
		"View":      slices.Collect(slices.Chunk(view[:], cols)),
		"Outputs":   outputs(net, view),
		"Driver":    hill(r.driver(at)),
		"Box":       fmt.Sprint(x, y, floats.Max(xs)-x, floats.Max(ys)-y),
		"Width":     r.width,
		"Road":      points(above, r.middle...),
		"Path":      points(above, path...),
		"Car":       points(above, at),
		"PathAside": points(aside, path...),
		"LostAside": points(aside, lost...),
		"LastAside": points(aside, lost[len(lost)-1]),
	}))
	return b.Bytes()
}

// points are those of a polyline through the places of cars.
func points(place func(car) complex128, cars ...car) (all string) {
	for _, c := range cars {
		all += fmt.Sprintf("%.2f,%.2f ", real(place(c)), -imag(place(c)))
	}
	return all
}
