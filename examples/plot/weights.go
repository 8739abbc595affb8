package main

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

const (
	hiddenUnits = 32
	tilesAcross = 8
	side        = 8 // of a digit's image, in pixels
	gap         = 1 // around it
	tileSide    = gap + side + gap
	zoom        = 8 // image points a pixel, so that pixels stay squares when they are scaled
)

// firstWeights draws the weights of the first layer of a network that has learnt the digits, each
// unit's as the 8×8 image that the unit looks for.
func firstWeights(e effort) (picture, string, error) {
	train, valid, err := digits.Split(0.25, 0)
	if err != nil {
		return picture{}, "", err
	}
	net, err := backprop.New(side*side,
		backprop.Dense{Units: hiddenUnits, Activation: backprop.Tanh},
		backprop.Dense{Units: 10, Activation: backprop.Softmax},
	)
	if err != nil {
		return picture{}, "", err
	}
	_, err = net.Train(context.Background(), train.X, train.Y, backprop.TrainConfig{
		LearningRate: 2e-3, Optimizer: &backprop.Adam{}, Epochs: e.digitsEpochs, BatchSize: 32, L2: 1e-2,
	})
	if err != nil {
		return picture{}, "", err
	}
	p, err := net.Predict(valid.X)
	if err != nil {
		return picture{}, "", err
	}
	accuracy, err := backprop.Accuracy(p, valid.Y)
	if err != nil {
		return picture{}, "", err
	}
	w := net.Weights(0)
	limit := max(mat.Max(w), -mat.Min(w))
	says := fmt.Sprintf("weights from %.2f to %.2f; the network reads %.1f %% of held-out digits", mat.Min(w), mat.Max(w), 100*accuracy)
	return picture{"weights", 5 * vg.Inch, 3.3 * vg.Inch, tilePlot(w, limit).Draw}, says, nil
}

// tilePlot shows every row of w as an image, in rows of tilesAcross.
func tilePlot(w *mat.Dense, limit float64) *plot.Plot {
	units, _ := w.Dims()
	down := (units + tilesAcross - 1) / tilesAcross
	title := fmt.Sprintf("First layer's weights, digits 64-32-10:\nblack −%.2f, grey 0, white %.2f", limit, limit)
	p := newPlot(title, "unit, counted from the row's first", "row's first unit")
	p.Add(plotter.NewImage(tiles(w, limit, down), -0.5, -0.5, tilesAcross-0.5, float64(down)-0.5))
	var across, upwards plot.ConstantTicks
	for i := range tilesAcross {
		across = append(across, plot.Tick{Value: float64(i), Label: "+" + strconv.Itoa(i)})
	}
	for i := range down {
		upwards = append(upwards, plot.Tick{Value: float64(down - 1 - i), Label: strconv.Itoa(i * tilesAcross)})
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = across, upwards
	return p
}

// tiles is the image of all units' images, with gaps between them.
func tiles(w *mat.Dense, limit float64, down int) image.Image {
	units, _ := w.Dims()
	img := image.NewGray(image.Rect(0, 0, tilesAcross*tileSide*zoom, down*tileSide*zoom))
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			unit := y/zoom/tileSide*tilesAcross + x/zoom/tileSide
			row, column := y/zoom%tileSide-gap, x/zoom%tileSide-gap
			grey := color.Gray{255}
			if unit < units && row >= 0 && row < side && column >= 0 && column < side {
				grey = shade(w.At(unit, row*side+column), limit)
			}
			img.SetGray(x, y, grey)
		}
	}
	return img
}

// shade goes from black at −limit over grey at 0 to white at limit.
func shade(v, limit float64) color.Gray {
	return color.Gray{uint8(math.Round(255 * (v + limit) / (2 * limit)))}
}
