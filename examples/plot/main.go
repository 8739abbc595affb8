// Command plot draws how networks learn, as PNG and SVG: the loss of a run, the decision boundary
// on two moons and on two spirals, the weights of a network that reads digits, and the gradient's
// norm through hundreds of layers.
//
//	cd examples/plot && go run . -out DIR
//
// It is a module of its own, so that the library does not depend on gonum.org/v1/plot. Its
// spirals.png and loss.png are two of what it draws.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"log"
	"os"
	"path/filepath"

	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// An effort says how much is trained for the pictures.
type effort struct {
	digitsEpochs int // of the loss curves and of the weights
	moonsEpochs  int
	depth        int // hidden layers that the gradient goes through
}

var full = effort{digitsEpochs: 100, moonsEpochs: 1500, depth: 300}

func main() {
	log.SetFlags(0)
	out := flag.String("out", "", "the `folder` to draw into, made if it is missing")
	flag.Parse()
	if *out == "" {
		log.Fatal("plot: -out is missing, want a folder")
	}
	if err := drawAll(os.Stdout, *out, full); err != nil {
		log.Fatal("plot: ", err)
	}
}

// A picture is drawn on a canvas of its size.
type picture struct {
	name          string
	width, height vg.Length
	draw          func(vgdraw.Canvas)
}

// drawAll draws every picture into a folder, and tells what each shows.
func drawAll(w io.Writer, dir string, e effort) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, learn := range []func(effort) (picture, string, error){
		lossCurves, moonsBoundary, spiralsBoundary, firstWeights, gradientNorms,
	} {
		p, says, err := learn(e)
		if err != nil {
			return err
		}
		if err := p.save(dir); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: %s\n", p.name, says)
	}
	return nil
}

// resolution is that of the PNG files, in dots an inch.
const resolution = 144

// border is the white around every picture.
const border vg.Length = 6

// drawOn draws within the border.
func (p picture) drawOn(c vg.CanvasSizer) {
	p.draw(vgdraw.Crop(vgdraw.New(c), border, -border, border, -border))
}

// save writes the picture as a PNG and as an SVG file.
func (p picture) save(dir string) error {
	raster := vgimg.NewWith(vgimg.UseWH(p.width, p.height), vgimg.UseDPI(resolution))
	p.drawOn(raster)
	// All is black, white or grey, so that few shades do and the file is small.
	grey := image.NewPaletted(raster.Image().Bounds(), greys())
	draw.Draw(grey, grey.Rect, raster.Image(), grey.Rect.Min, draw.Src)
	var file bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&file, grey); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, p.name+".png"), file.Bytes(), 0o644); err != nil {
		return err
	}
	vectors := vgsvg.New(p.width, p.height)
	p.drawOn(vectors)
	file.Reset()
	if _, err := vectors.WriteTo(&file); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, p.name+".svg"), file.Bytes(), 0o644)
}

// greys are 16 shades from black to white.
func greys() (p color.Palette) {
	for i := range 16 {
		p = append(p, color.Gray{uint8(17 * i)})
	}
	return p
}
