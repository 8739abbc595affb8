// Command plot draws how networks learn, as PNG: the plane as a network sees it that has learnt two
// spirals, the losses of a network that ends by learning its data by heart, and the gradient on its
// way through hundreds of layers.
//
//	cd examples/plot && go run . -out DIR
//
// It is a module of its own, so that the library does not depend on gonum.org/v1/plot. The pictures
// beside it are what it draws.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	imagedraw "image/draw"
	"image/png"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("out", ".", "the `folder` to draw into, made if it is missing")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("plot: %q is not used; only flags are", flag.Arg(0))
	}
	check(drawAll(*dir))
}

// drawAll draws every picture into a folder.
func drawAll(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range []picture{spiralsPicture(), lossPicture(), gradientsPicture()} {
		canvas := vgimg.NewWith(vgimg.UseWH(p.width, p.height), vgimg.UseDPI(144))
		p.drawOn(draw.New(canvas))
		img := image.NewPaletted(canvas.Image().Bounds(), tints()) // so that the file is small
		imagedraw.Draw(img, img.Rect, canvas.Image(), img.Rect.Min, imagedraw.Src)
		var file bytes.Buffer
		check(png.Encode(&file, img))
		if err := os.WriteFile(filepath.Join(dir, p.name+".png"), file.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// check ends the program where what does not fail with these data has failed.
func check(err error) {
	if err != nil {
		log.Fatal("plot: ", err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

// A picture is a plot below a title and a line of texts.
type picture struct {
	*plot.Plot
	name          string
	width, height vg.Length
	title         string
	line          []run
}

// A run is a text of one colour.
type run struct {
	text  string
	color color.Color
}

// drawOn draws on white with a margin, so that the picture is seen on any page.
func (p picture) drawOn(c draw.Canvas) {
	const margin = 14
	c = draw.Crop(c, margin, -margin, margin, -margin)
	at, style := vg.Point{X: c.Min.X, Y: c.Max.Y}, p.Title.TextStyle
	style.XAlign, style.Font.Size, style.Color = text.XLeft, 13, ink
	c.FillText(style, at, p.title)
	style.Font.Size = 11
	at.Y -= 18
	for _, r := range p.line {
		style.Color = r.color
		c.FillText(style, at, r.text)
		at.X += style.Width(r.text) + margin
	}
	p.Draw(draw.Crop(c, 0, 0, 0, -42))
}

// spirals are the 194 points of two intertwined spirals, three turns each (Lang and Witbrock 1988,
// "Learning to tell two spirals apart").
func spirals() (x, y *mat.Dense) {
	const points = 97 // a spiral
	x, y = mat.NewDense(2*points, 2, nil), mat.NewDense(2*points, 1, nil)
	for i := range points {
		angle, radius := float64(i)*math.Pi/16, 6.5*float64(104-i)/104
		u, v := radius*math.Sin(angle), radius*math.Cos(angle)
		x.SetRow(2*i, []float64{u, v})
		x.SetRow(2*i+1, []float64{-u, -v})
		y.Set(2*i, 0, 1)
	}
	return x, y
}

// learnSpirals trains a network to tell the two apart. SiLU and decaying weights make the boundary
// smooth.
func learnSpirals(x, y *mat.Dense) *backprop.Network {
	hidden := backprop.Dense{Units: 64, Activation: backprop.SiLU}
	net := must(backprop.New(2, hidden, hidden, backprop.Dense{Units: 1, Activation: backprop.Sigmoid}))
	must(net.Train(context.Background(), x, y, backprop.TrainConfig{
		LearningRate: 5e-3, Optimizer: &backprop.Adam{}, WeightDecay: 0.1,
		Epochs: 1500, Schedule: backprop.CosineDecay{Epochs: 1500},
	}))
	return net
}

// spiralsPicture draws the points, and the plane in the colours of what a network takes it for.
func spiralsPicture() picture {
	x, y := spirals()
	const edge = 7.5
	p := newPlot(ticks(-edge, edge, 2*edge, "%g"), ticks(-edge, edge, 2*edge, "%g"))
	p.HideAxes()
	p.X.Padding, p.Y.Padding = 0, 0
	p.Add(plotter.NewImage(plane(learnSpirals(x, y), edge), -edge, -edge, edge, edge))
	for i, c := range []color.Color{blue, orange} { // turn about, as spirals has them
		var points plotter.XYs
		for ; i < 194; i += 2 {
			points = append(points, plotter.XY{X: x.At(i, 0), Y: x.At(i, 1)})
		}
		p.Add(discs(points, c, 2.7))
	}
	return picture{p, "spirals", 316, 358, "Two spirals, told apart by a 2-64-64-1 network",
		[]run{{"● class 0", orange}, {"● class 1", blue}, {"white: undecided", grey}}}
}

// plane is what a network predicts from −edge to edge, from sand for 0 over white to sky for 1.
func plane(net *backprop.Network, edge float64) image.Image {
	const pixels = 576 // as the picture has
	x := mat.NewDense(pixels*pixels, 2, nil)
	for i := range pixels * pixels {
		column, row := float64(i%pixels), float64(i/pixels)
		x.SetRow(i, []float64{edge * ((2*column+1)/pixels - 1), -edge * ((2*row+1)/pixels - 1)})
	}
	img := image.NewRGBA(image.Rect(0, 0, pixels, pixels))
	for i, p := range must(net.Predict(x)).RawMatrix().Data {
		c := sand
		if p > 0.5 {
			c = sky
		}
		img.SetRGBA(i%pixels, i/pixels, tint(c, math.Abs(2*p-1)))
	}
	return img
}

// lossPicture draws the losses of a network that learns digits, some of which have a wrong label: to
// learn these by heart harms the others, and early stopping keeps what was before.
func lossPicture() picture {
	x, labels, err := digits.Load()
	check(err)
	rng := rand.New(rand.NewPCG(0, 0))
	for i := 0; i < len(labels); i += 10 {
		labels[i] = rng.IntN(10)
	}
	train, valid, err := backprop.Data{X: x, Y: must(backprop.OneHot(labels, 10))}.Split(0.25, 0)
	check(err)
	net := must(backprop.New(64,
		backprop.Standardize{},
		backprop.Dense{Units: 64, Activation: backprop.ReLU},
		backprop.Dense{Units: 10, Activation: backprop.Softmax},
	))
	const epochs = 80
	history := must(net.Train(context.Background(), train.X, train.Y, backprop.TrainConfig{
		LearningRate: 1e-3, Optimizer: &backprop.Adam{}, Epochs: epochs, BatchSize: 32,
		Validation: valid, Patience: epochs,
	}))
	var training, validation plotter.XYs
	for i, e := range history.Epochs {
		training = append(training, plotter.XY{X: float64(i + 1), Y: e.Loss})
		validation = append(validation, plotter.XY{X: float64(i + 1), Y: e.ValidationLoss})
	}
	best := validation[history.Best]
	down := line(plotter.XYs{{X: best.X, Y: 1.22}, {X: best.X, Y: 0}}, grey)
	down.Width, down.Dashes = 1, []vg.Length{3, 3}

	p := newPlot(ticks(0, epochs, 20, "%g"), ticks(0, 2, 0.5, "%.1f"))
	p.X.Label.Text, p.Y.Max = "epoch", 2.1
	p.Add(line(training, blue), line(validation, orange), down, discs(plotter.XYs{best}, orange, 4.5),
		label(71, training[epochs-1].Y+0.18, run{"training", blue}),
		label(68, validation[epochs-1].Y+0.18, run{"validation", orange}),
		label(best.X-1, 1.36, run{fmt.Sprintf("epoch %g, the lowest validation loss, is kept", best.X), ink}))
	return picture{p, "loss", 374, 245, "Early stopping keeps what generalizes",
		[]run{{"cross-entropy, 64-64-10, digits with one label in ten drawn at random", grey}}}
}

const depth = 300

// gradientsPicture draws the norm of the gradient in each layer of deep networks before training.
func gradientsPicture() picture {
	powersOf10 := ticks(-8, 6, 2, "10^%g")
	for i := range powersOf10 {
		powersOf10[i].Value = math.Pow(10, powersOf10[i].Value)
	}
	p := newPlot(ticks(0, depth, 100, "%g"), powersOf10)
	p.X.Label.Text, p.Y.Scale = "layer", plot.LogScale{}
	for _, c := range []struct {
		name  string
		init  backprop.Initializer
		f     backprop.Activation
		color color.Color
		x, y  float64 // of the name
	}{
		{"He, tanh", backprop.HeNormal, backprop.Tanh, orange, 130, 1e5},
		{"orthogonal, tanh", backprop.Orthogonal, backprop.Tanh, blue, 20, 6},
		{"Glorot, tanh", backprop.GlorotUniform, backprop.Tanh, grey, 20, 1e-3},
		{"Glorot, sigmoid", backprop.GlorotUniform, backprop.Sigmoid, ink, 205, 1e-5},
	} {
		p.Add(line(gradientNorms(c.init, c.f), c.color), label(c.x, c.y, run{c.name, c.color}))
	}
	p.Y.Min = powersOf10[0].Value // what lies below is cut off
	return picture{p, "gradients", 374, 260, "The gradient on its way back through 300 layers",
		[]run{{"norm of ∂L/∂W before training", grey}}}
}

// gradientNorms are ‖∂L/∂W‖ in each of depth layers, counted from 1, for 64 digits.
func gradientNorms(init backprop.Initializer, f backprop.Activation) (norms plotter.XYs) {
	layers := slices.Repeat([]backprop.Layer{backprop.Dense{Units: 64, Init: init, Activation: f}}, depth)
	net := must(backprop.New(64, append(layers, backprop.Dense{Units: 10, Activation: backprop.Softmax})...))
	x, labels, err := digits.Load()
	check(err)
	x = x.Slice(0, 64, 0, 64).(*mat.Dense)
	x.Scale(1./16, x)
	_, grad, err := net.Gradient(nil, x, must(backprop.OneHot(labels[:64], 10)), nil)
	check(err)
	for i := range depth {
		dw := grad[i*(64*64+64):][:64*64] // db behind it
		norms = append(norms, plotter.XY{X: float64(i + 1), Y: mat.Norm(mat.NewVecDense(len(dw), dw), 2)})
	}
	return norms
}

var (
	ink    = color.RGBA{0x24, 0x29, 0x2f, 0xff}
	grey   = color.RGBA{0x65, 0x6d, 0x76, 0xff}
	blue   = color.RGBA{0x1b, 0x5f, 0xaa, 0xff}
	sky    = color.RGBA{0xa9, 0xcb, 0xee, 0xff}
	orange = color.RGBA{0xd9, 0x6c, 0x0f, 0xff}
	sand   = color.RGBA{0xfb, 0xd3, 0xa8, 0xff}
)

// tints are all colours on their way from white, in steps that are not seen.
func tints() (p color.Palette) {
	const steps = 42
	for _, c := range []color.RGBA{ink, grey, blue, sky, orange, sand} {
		for i := range steps {
			p = append(p, tint(c, float64(i)/(steps-1)))
		}
	}
	return p
}

// tint is white for t = 0, and c for t = 1.
func tint(c color.RGBA, t float64) color.RGBA {
	mix := func(v uint8) uint8 { return uint8(math.Round(255 - t*(255-float64(v)))) }
	return color.RGBA{mix(c.R), mix(c.G), mix(c.B), 255}
}

// newPlot is an empty plot in the style of all pictures: one font, and no lines but a faint grid.
func newPlot(xTicks, yTicks []plot.Tick) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	plotter.DefaultFont = plot.DefaultFont
	plot.DefaultTextHandler = powers{text.Plain{Fonts: font.DefaultCache}}
	p := plot.New()
	for axis, ticks := range map[*plot.Axis][]plot.Tick{&p.X: xTicks, &p.Y: yTicks} {
		axis.Tick.Marker = plot.ConstantTicks(ticks)
		axis.Min, axis.Max = ticks[0].Value, ticks[len(ticks)-1].Value
		axis.Width, axis.Tick.Length, axis.Padding = 0, 0, 4
		axis.Tick.Label.Color, axis.Tick.Label.Font.Size = grey, 11
		axis.Label.TextStyle.Color, axis.Label.TextStyle.Font.Size, axis.Label.Padding = grey, 11, 4
	}
	grid := plotter.NewGrid()
	grid.Vertical.Width, grid.Horizontal.Width, grid.Horizontal.Color = 0, 0.8, tint(grey, 0.17)
	p.Add(grid)
	return p
}

// ticks are labels at every step from lo to hi, with a minus sign, which is longer than a hyphen.
func ticks(lo, hi, step float64, format string) (list []plot.Tick) {
	for v := lo; v <= hi; v += step {
		list = append(list, plot.Tick{Value: v, Label: strings.ReplaceAll(fmt.Sprintf(format, v), "-", "−")})
	}
	return list
}

func line(points plotter.XYs, c color.Color) *plotter.Line {
	l := must(plotter.NewLine(points))
	l.Width, l.Color = 2, c
	return l
}

// label is a text that begins at a point.
func label(x, y float64, r run) *plotter.Labels {
	l := must(plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: x, Y: y}}, Labels: []string{r.text}}))
	l.TextStyle[0].Color, l.TextStyle[0].Font.Size, l.TextStyle[0].YAlign = r.color, 11, text.YCenter
	return l
}

func discs(points plotter.XYs, c color.Color, radius vg.Length) *plotter.Scatter {
	s := must(plotter.NewScatter(points))
	s.GlyphStyle = draw.GlyphStyle{Color: c, Radius: radius, Shape: disc{}}
	return s
}

// A disc has a white rim.
type disc struct{}

func (disc) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	c.SetColor(color.White)
	draw.CircleGlyph{}.DrawGlyph(c, draw.GlyphStyle{Radius: s.Radius + 0.8}, at)
	c.SetColor(s.Color)
	draw.CircleGlyph{}.DrawGlyph(c, s, at)
}

// powers is plain text but for what stands behind a ^, an exponent, in a text aligned to the right.
type powers struct{ text.Plain }

func (h powers) Box(s string, f font.Font) (width, height, depth vg.Length) {
	base, exponent, _ := strings.Cut(s, "^")
	width, height, depth = h.Plain.Box(base, f)
	f.Size *= 0.75
	raised, _, _ := h.Plain.Box(exponent, f)
	return width + raised, height, depth
}

func (h powers) Draw(c vg.Canvas, s string, style text.Style, at vg.Point) {
	base, exponent, _ := strings.Cut(s, "^")
	small := style
	small.Font.Size *= 0.75
	h.Plain.Draw(c, exponent, small, vg.Point{X: at.X, Y: at.Y + 0.4*style.Font.Size})
	h.Plain.Draw(c, base, style, vg.Point{X: at.X - small.Width(exponent), Y: at.Y})
}
