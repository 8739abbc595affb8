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
	var b bytes.Buffer
	check(template.Must(template.New("").Parse(page)).Execute(&b, map[string]any{
		"View":    slices.Collect(slices.Chunk(view[:], cols)),
		"Outputs": outputs(net, view),
		"Driver":  hill(r.driver(at)),
		"Box":     fmt.Sprint(x, y, floats.Max(xs)-x, floats.Max(ys)-y),
		"Width":   r.width,
		"Room":    r.width - carWidth,
		"Limit":   (r.width - carWidth) / 2,
		"Road":    r.middle,
		"Path":    path,
		"Car":     at,
		"Lost":    lost,
		"Last":    lost[len(lost)-1],
	}))
	return b.Bytes()
}

// Above is the point of a polyline that is the car's place seen from above.
func (c car) Above() string { return fmt.Sprintf("%.2f,%.2f", real(c.place), -imag(c.place)) }

// Aside is the point where it is on the road made straight.
func (c car) Aside() string { return fmt.Sprintf("%.2f,%.2f", c.along, -c.left) }
