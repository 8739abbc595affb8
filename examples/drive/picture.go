package main

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"slices"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
)

var (
	ink    = color.RGBA{40, 40, 40, 255}
	meadow = color.RGBA{224, 234, 214, 255}
	tar    = color.RGBA{176, 176, 176, 255}
	blue   = color.RGBA{0, 92, 190, 255}
	red    = color.RGBA{214, 39, 40, 255}
)

// draw writes a picture in three rows. The first has one frame of a drive: what the camera sees,
// what of it is on the retina, and the output units, blue, with the hill around the driver's
// direction. The second has the road from above, the path and the frame's place. The third has the
// same road, made straight, and how far to the side of its middle the gusts take the network, blue,
// and the one that was not shown moved views, red. The road is the first, if any, that the latter
// leaves.
func (e exam) draw(file string, net, plain *backprop.Network) error {
	var p pilot
	var path, lost []car
	for i := range e.roads {
		var err error
		p = e.pilot(net, gusty, i)
		if path, err = p.road.drive(e.length, p.steer); err != nil {
			return err
		}
		if lost, err = p.road.drive(e.length, e.pilot(plain, gusty, i).steer); err != nil {
			return err
		}
		if lost[len(lost)-1].along < e.length {
			break
		}
	}
	c := slices.MaxFunc(path, func(a, b car) int { // in the sharpest turn
		return cmp.Compare(math.Abs(toward(p.road.goal(a))), math.Abs(toward(p.road.goal(b))))
	})
	x, a, err := p.see(c)
	if err != nil {
		return err
	}

	img := image.NewRGBA(image.Rect(0, 0, 832, 704))
	fill(img, img.Bounds(), color.White)
	panel := func(x, y, width, height int) *image.RGBA {
		return img.SubImage(image.Rect(x, y, x+width, y+height)).(*image.RGBA)
	}
	drawGrey(panel(16, 16, 256, 240), p.road.look(c, p.weather)[:], 4, 0, 0.8)
	drawGrey(panel(288, 16, 256, 240), x, 8, floats.Min(x), floats.Max(x))
	drawUnits(panel(568, 16, 8*units, 240), a, hill(toward(p.road.goal(c))))
	drawMap(panel(16, 272, 800, 272), p.road, path, c)
	drawBand(panel(16, 560, 800, 128), p.road, path, lost, c)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o666)
}

func fill(img *image.RGBA, r image.Rectangle, c color.Color) {
	draw.Draw(img, r, image.NewUniform(c), image.Point{}, draw.Src)
}

// drawGrey draws a panel full of squares, from black for lo to white for hi.
func drawGrey(img *image.RGBA, values []float64, size int, lo, hi float64) {
	box := img.Bounds()
	for i, v := range values {
		at := image.Pt(i%(box.Dx()/size), i/(box.Dx()/size)).Mul(size).Add(box.Min)
		grey := color.Gray{uint8(255 * max(0, min((v-lo)/(hi-lo), 1)))}
		fill(img, image.Rectangle{at, at.Add(image.Pt(size, size))}, grey)
	}
}

func drawUnits(img *image.RGBA, a, targets []float64) {
	box, height := img.Bounds(), float64(img.Bounds().Dy()-8)
	var line []point
	for i := range a {
		x := box.Min.X + 8*i
		fill(img, image.Rect(x, box.Max.Y-int(height*a[i]), x+7, box.Max.Y), blue)
		line = append(line, point{float64(x) + 3.5, float64(box.Max.Y) - height*targets[i]})
	}
	stroke(img, line, 1, ink)
}

// drawMap shows the road from above, turned so that its end is to the right of its beginning.
func drawMap(img *image.RGBA, r *road, path []car, at car) {
	end := r.middle[len(r.middle)-1]
	turned := pose{heading: math.Atan2(end.y, end.x)}
	var xs, ys []float64
	for _, p := range r.middle {
		x, y := turned.seen(p.x, p.y)
		xs, ys = append(xs, x), append(ys, y)
	}
	box, left, right, low, high := img.Bounds(), floats.Min(xs), floats.Max(xs), floats.Min(ys), floats.Max(ys)
	zoom := min(float64(box.Dx())/(right-left+20), float64(box.Dy())/(high-low+20))
	place := func(p pose) point {
		x, y := turned.seen(p.x, p.y)
		return point{
			float64(box.Min.X+box.Max.X)/2 + zoom*(x-(left+right)/2),
			float64(box.Min.Y+box.Max.Y)/2 - zoom*(y-(low+high)/2),
		}
	}
	fill(img, box, meadow)
	stroke(img, points(r.middle, place), zoom*r.width/2, tar)
	stroke(img, points(path, func(c car) point { return place(c.pose) }), 1, blue)
	stroke(img, []point{place(at.pose)}, 4, ink)
}

// drawBand shows as grey how far from the middle the car can be with all wheels on the road.
func drawBand(img *image.RGBA, r *road, path, lost []car, at car) {
	box := img.Bounds()
	zoom := 0.8 * float64(box.Dy()) / (r.width - carWidth)
	place := func(c car) point {
		return point{
			float64(box.Min.X) + c.along/path[len(path)-1].along*float64(box.Dx()),
			float64(box.Min.Y+box.Max.Y)/2 - zoom*c.left,
		}
	}
	fill(img, box, meadow)
	fill(img, image.Rect(box.Min.X, box.Min.Y+box.Dy()/10, box.Max.X, box.Max.Y-box.Dy()/10), tar)
	stroke(img, points(lost, place), 1, red)
	stroke(img, points(path, place), 1, blue)
	stroke(img, []point{place(lost[len(lost)-1])}, 4, red)
	stroke(img, []point{place(at)}, 4, ink)
}

type point struct{ x, y float64 }

func points[T any](all []T, place func(T) point) (line []point) {
	for _, v := range all {
		line = append(line, place(v))
	}
	return line
}

// stroke draws a line of the given half width with smooth edges, or a disc if it is but one point.
func stroke(img *image.RGBA, line []point, radius float64, c color.Color) {
	mask := image.NewAlpha(img.Bounds())
	for n, p := range line {
		q := line[max(n-1, 0)]
		steps := 1 + int(2*math.Hypot(p.x-q.x, p.y-q.y))
		for k := range steps {
			t := float64(k) / float64(steps)
			x, y := p.x+t*(q.x-p.x), p.y+t*(q.y-p.y)
			for i := int(x - radius - 1); i <= int(x+radius+1); i++ {
				for j := int(y - radius - 1); j <= int(y+radius+1); j++ {
					cover := min(max(radius+0.5-math.Hypot(float64(i)+0.5-x, float64(j)+0.5-y), 0), 1)
					mask.SetAlpha(i, j, color.Alpha{max(mask.AlphaAt(i, j).A, uint8(255*cover))})
				}
			}
		}
	}
	draw.DrawMask(img, img.Bounds(), image.NewUniform(c), image.Point{}, mask, img.Bounds().Min, draw.Over)
}
