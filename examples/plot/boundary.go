package main

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/recorder"
)

// spirals are the 194 points of two intertwined spirals, three turns each (Lang and Witbrock 1988,
// "Learning to tell two spirals apart").
func spirals() (x, y *mat.Dense) {
	const points = 97 // a spiral
	x, y = mat.NewDense(2*points, 2, nil), mat.NewDense(2*points, 1, nil)
	for i := range points {
		angle := float64(i) * math.Pi / 16
		radius := 6.5 * float64(104-i) / 104
		u, v := radius*math.Sin(angle), radius*math.Cos(angle)
		x.SetRow(2*i, []float64{u, v})
		x.SetRow(2*i+1, []float64{-u, -v})
		y.Set(2*i, 0, 1)
	}
	return x, y
}

// moons are two interleaved half circles of radius 1, with noise.
func moons(n int, noise float64) (x, y *mat.Dense) {
	rng := rand.New(rand.NewPCG(0, 0))
	x, y = mat.NewDense(n, 2, nil), mat.NewDense(n, 1, nil)
	for i := range n {
		angle := math.Pi * rng.Float64()
		u, v := math.Cos(angle), math.Sin(angle)
		if i%2 == 1 {
			u, v = 1-u, 0.5-v
			y.Set(i, 0, 1)
		}
		x.SetRow(i, []float64{u + noise*rng.NormFloat64(), v + noise*rng.NormFloat64()})
	}
	return x, y
}

func moonsBoundary(e effort) (picture, string, error) {
	x, y := moons(200, 0.2)
	net, err := learn(x, y, 16, e.moonsEpochs)
	if err != nil {
		return picture{}, "", err
	}
	return boundary("moons", "Two moons, 2-16-16-1", net, x, y, 0.5)
}

func spiralsBoundary(effort) (picture, string, error) {
	x, y := spirals()
	net, err := learnSpirals(x, y)
	if err != nil {
		return picture{}, "", err
	}
	return boundary("spirals", "Two spirals, 2-64-64-1", net, x, y, 1)
}

func learnSpirals(x, y mat.Matrix) (*backprop.Network, error) { return learn(x, y, 64, 1500) }

// learn trains a network of two hidden layers to tell two classes apart. SiLU and decaying weights
// make the boundary smooth.
func learn(x, y mat.Matrix, units, epochs int) (*backprop.Network, error) {
	net, err := backprop.New(2,
		backprop.Dense{Units: units, Activation: backprop.SiLU},
		backprop.Dense{Units: units, Activation: backprop.SiLU},
		backprop.Dense{Units: 1, Activation: backprop.Sigmoid},
	)
	if err != nil {
		return nil, err
	}
	_, err = net.Train(context.Background(), x, y, backprop.TrainConfig{
		LearningRate: 5e-3, Optimizer: &backprop.Adam{}, WeightDecay: 0.1,
		Epochs: epochs, Schedule: backprop.CosineDecay{Epochs: epochs},
	})
	return net, err
}

// boundary draws the samples of two classes, what the network takes the plane around them for, as
// shades of grey, and the line where it is undecided.
func boundary(name, title string, net *backprop.Network, x, y *mat.Dense, margin float64) (picture, string, error) {
	predicted, err := net.Predict(x)
	if err != nil {
		return picture{}, "", err
	}
	accuracy, err := backprop.Accuracy(predicted, y)
	if err != nil {
		return picture{}, "", err
	}
	n, _ := x.Dims()
	says := fmt.Sprintf("%.0f of %d points right", accuracy*float64(n), n)
	var classes [2]plotter.XYs
	for i := range n {
		c := int(y.At(i, 0))
		classes[c] = append(classes[c], plotter.XY{X: x.At(i, 0), Y: x.At(i, 1)})
	}
	f, err := newField(net, x, margin)
	if err != nil {
		return picture{}, "", err
	}
	line := plotter.NewContour(f, []float64{0.5}, nil)
	line.LineStyles = []vgdraw.LineStyle{{Color: color.Black, Width: vg.Points(1.2)}}

	p := newPlot(title+": "+says, "x₁", "x₂")
	p.X.Tick.Marker, p.Y.Tick.Marker = evenTicks(margin*2), evenTicks(margin*2)
	p.Add(plotter.NewImage(f.image(), f.xs[0], f.ys[0], f.xs[len(f.xs)-1], f.ys[len(f.ys)-1]), line)
	if err := addMarkers(p, "", classes[0], whiteDisc{}, vg.Points(3)); err != nil {
		return picture{}, "", err
	}
	if err := addMarkers(p, "", classes[1], vgdraw.CircleGlyph{}, vg.Points(3)); err != nil {
		return picture{}, "", err
	}
	width := 4.2 * vg.Inch
	return picture{name, width, f.height(p, width), p.Draw}, says, nil
}

// A field is what a network predicts on a grid.
type field struct {
	xs, ys []float64
	p      *mat.Dense // a row for each y
}

// gridPoints is the number of grid points along the longer side.
const gridPoints = 200

// newField predicts around the samples, as far as margin from them.
func newField(net *backprop.Network, x *mat.Dense, margin float64) (field, error) {
	var f field
	n, _ := x.Dims()
	lo, hi := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for i := range n {
		for j := range 2 {
			lo[j], hi[j] = min(lo[j], x.At(i, j)-margin), max(hi[j], x.At(i, j)+margin)
		}
	}
	step := max(hi[0]-lo[0], hi[1]-lo[1]) / gridPoints
	for v := lo[0]; v <= hi[0]; v += step {
		f.xs = append(f.xs, v)
	}
	for v := lo[1]; v <= hi[1]; v += step {
		f.ys = append(f.ys, v)
	}
	grid := mat.NewDense(len(f.xs)*len(f.ys), 2, nil)
	for i, v := range f.ys {
		for j, u := range f.xs {
			grid.SetRow(i*len(f.xs)+j, []float64{u, v})
		}
	}
	p, err := net.Predict(grid)
	if err != nil {
		return f, err
	}
	f.p = mat.NewDense(len(f.ys), len(f.xs), p.RawMatrix().Data)
	return f, nil
}

// The methods of a plotter.GridXYZ.

func (f field) Dims() (columns, rows int) { return len(f.xs), len(f.ys) }
func (f field) Z(column, row int) float64 { return f.p.At(row, column) }
func (f field) X(column int) float64      { return f.xs[column] }
func (f field) Y(row int) float64         { return f.ys[row] }

// image is the field in shades of grey, dark where class 1 is predicted, none so dark or light that
// a marker would not be seen on it.
func (f field) image() image.Image {
	const shades, dark, light = 5, 153, 238
	img := image.NewGray(image.Rect(0, 0, len(f.xs), len(f.ys)))
	for i := range f.ys {
		for j := range f.xs {
			shade := math.Round(f.p.At(i, j)*shades) / shades
			img.SetGray(j, len(f.ys)-1-i, color.Gray{uint8(light - (light-dark)*shade)})
		}
	}
	return img
}

// height is the picture's height at which both axes have one scale.
func (f field) height(p *plot.Plot, width vg.Length) vg.Length {
	c := vgdraw.NewCanvas(new(recorder.Canvas), width, width) // to measure on
	data := p.DataCanvas(c).Size()
	ratio := (f.ys[len(f.ys)-1] - f.ys[0]) / (f.xs[len(f.xs)-1] - f.xs[0])
	return width - data.Y + data.X*vg.Length(ratio)
}
