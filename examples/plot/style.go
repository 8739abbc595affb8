package main

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Lines are told apart by their dashes, so that no colour is needed.
var (
	solid      []vg.Length
	dashed     = []vg.Length{vg.Points(6), vg.Points(3)}
	dotted     = []vg.Length{vg.Points(1.5), vg.Points(2.5)}
	dashDotted = []vg.Length{vg.Points(8), vg.Points(2.5), vg.Points(1.5), vg.Points(2.5)}
)

// newPlot is an empty plot in the style of all pictures.
func newPlot(title, x, y string) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size = vg.Points(12)
	p.Title.Padding = vg.Points(6)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Size = vg.Points(11)
		axis.Label.Padding = vg.Points(4)
		axis.Tick.Label.Font.Size = vg.Points(10)
	}
	p.Legend.TextStyle.Font.Size = vg.Points(10)
	p.Legend.ThumbnailWidth = vg.Points(28)
	p.Legend.Padding = vg.Points(3)
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(-8), vg.Points(-8)
	return p
}

// addLine adds a line through the points, with an entry in the legend.
func addLine(p *plot.Plot, name string, points plotter.XYs, dashes []vg.Length) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Width, line.Dashes = vg.Points(1.5), dashes
	p.Add(line)
	p.Legend.Add(name, line)
	return nil
}

// addMarkers adds markers without a line; an empty name has no entry in the legend.
func addMarkers(p *plot.Plot, name string, points plotter.XYs, shape draw.GlyphDrawer, radius vg.Length) error {
	markers, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	markers.GlyphStyle = draw.GlyphStyle{Color: color.Black, Radius: radius, Shape: shape}
	p.Add(markers)
	if name != "" {
		p.Legend.Add(name, markers)
	}
	return nil
}

// A whiteDisc is white with a black rim.
type whiteDisc struct{}

func (whiteDisc) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	c.SetColor(color.White)
	draw.CircleGlyph{}.DrawGlyph(c, s, at)
	c.SetColor(s.Color)
	draw.RingGlyph{}.DrawGlyph(c, s, at)
}

// logAxis makes an axis logarithmic, from a power of ten to another, with a label at every so many
// of them.
func logAxis(a *plot.Axis, every int) {
	a.Min = math.Pow(10, math.Floor(math.Log10(a.Min)))
	a.Max = math.Pow(10, math.Ceil(math.Log10(a.Max)))
	a.Scale = plot.LogScale{}
	a.Tick.Marker = plot.TickerFunc(func(lowest, highest float64) (ticks []plot.Tick) {
		for e := math.Round(math.Log10(lowest)); e <= math.Round(math.Log10(highest)); e++ {
			if int(e)%every == 0 {
				ticks = append(ticks, plot.Tick{Value: math.Pow(10, e), Label: powerOfTen(int(e))})
			}
			for digit := 2.0; digit < 10 && every == 1 && e < math.Round(math.Log10(highest)); digit++ {
				ticks = append(ticks, plot.Tick{Value: digit * math.Pow(10, e)})
			}
		}
		return ticks
	})
}

// evenTicks labels the multiples of step.
func evenTicks(step float64) plot.Ticker {
	return plot.TickerFunc(func(lowest, highest float64) (ticks []plot.Tick) {
		for i := math.Ceil(lowest / step); i*step <= highest; i++ {
			ticks = append(ticks, plot.Tick{Value: i * step, Label: strconv.FormatFloat(i*step, 'g', -1, 64)})
		}
		return ticks
	})
}

// powerOfTen is 10^e, in plain figures where they are short.
func powerOfTen(e int) string {
	if e >= -4 && e <= 3 {
		return strconv.FormatFloat(math.Pow(10, float64(e)), 'f', -1, 64)
	}
	return "1e" + strconv.Itoa(e)
}
