package main

import (
	"math"
	"math/rand/v2"

	"example.com/backprop/examples/internal/mnist"
)

// A warp is how far an image is distorted: scaled, slanted, turned and shifted as a whole, its
// centre being what stays, and bent as if it were rubber (P. Simard, D. Steinkraus and J. Platt
// 2003, Best practices for convolutional neural networks). The zero warp is the identity.
type warp struct {
	Scale   float64 // width and height are each multiplied by 1/(1 ± at most Scale)
	Shear   float64 // at most so many pixels to the side for each up
	Angle   float64 // at most so many degrees either way
	Shift   float64 // at most so many pixels, across and down
	Elastic float64 // Simard's α: noise of ±α in every pixel, smoothed over sigma pixels, moves it
}

// times is a warp whose limits are s times as wide.
func (w warp) times(s float64) warp {
	return warp{Scale: s * w.Scale, Shear: s * w.Shear, Angle: s * w.Angle, Shift: s * w.Shift, Elastic: s * w.Elastic}
}

// A Gaussian leaves nothing of noise much finer than sigma. So one value in every sixth pixel
// across and down, six times as strong, does for one in each, at a tenth of the work.
const (
	sigma = 4.0
	step  = 6
	knots = 7 // where the values are: −4, 2, … 32
)

// bumps[i][k] is what the value in knot k moves pixel i by: a Gaussian whose sum over pixels is 1.
var bumps = func() (b [mnist.Side][knots]float64) {
	for i := range b {
		for k := range b[i] {
			d := (float64(i) - float64(k*step-4)) / sigma
			b[i][k] = math.Exp(-d*d/2) / (sigma * math.Sqrt(2*math.Pi))
		}
	}
	return b
}()

// apply stores in dst the image src distorted by chance. Each pixel's brightness is that of the
// place in src which the whole of the distortion takes there: one interpolation, so that as little
// as may be is blurred.
func (w warp) apply(dst, src []float64, rng *rand.Rand) {
	within := func(most float64) float64 { return most * (2*rng.Float64() - 1) }
	scaleX, scaleY, shear := 1+within(w.Scale), 1+within(w.Scale), within(w.Shear)
	sin, cos := math.Sincos(within(w.Angle) * math.Pi / 180)
	shiftX, shiftY := within(w.Shift), within(w.Shift)
	noiseX, noiseY := w.noise(rng), w.noise(rng)
	for i := range mnist.Side {
		var rowX, rowY [knots]float64 // the noise, smoothed down to this row
		for k, b := range bumps[i] {
			for l := range knots {
				rowX[l] += b * noiseX[k][l]
				rowY[l] += b * noiseY[k][l]
			}
		}
		row := dst[i*mnist.Side:][:mnist.Side]
		for j := range row {
			x, y := float64(j)-centre, float64(i)-centre
			x += shear * y
			x, y = cos*scaleX*x-sin*scaleY*y+shiftX, sin*scaleX*x+cos*scaleY*y+shiftY
			bump := &bumps[j]
			for l, b := range bump {
				x += b * rowX[l]
				y += b * rowY[l]
			}
			row[j] = brightness(src, x+centre, y+centre)
		}
	}
}

const centre = (mnist.Side - 1) / 2.0 // of an image, across and down

// noise draws the values in the knots.
func (w warp) noise(rng *rand.Rand) (n [knots][knots]float64) {
	deviation := step * w.Elastic / math.Sqrt(3) // α/√3 is that of what is uniform in ±α
	for k := range n {
		for l := range n[k] {
			n[k][l] = deviation * rng.NormFloat64()
		}
	}
	return n
}

// brightness is that at a point of an image, by bilinear interpolation between four pixels.
func brightness(image []float64, x, y float64) float64 {
	x, y = x+1, y+1 // counted from the black around it
	i, j := int(math.Floor(x)), int(math.Floor(y))
	fx, fy := x-float64(i), y-float64(j)
	p, q := pixel(image, i-1, j-1), pixel(image, i-1, j)
	top, bottom := p+fx*(pixel(image, i, j-1)-p), q+fx*(pixel(image, i, j)-q)
	return top + fy*(bottom-top)
}

// pixel is the brightness of a pixel. Around the image all is black.
func pixel(image []float64, x, y int) float64 {
	if x < 0 || x >= mnist.Side || y < 0 || y >= mnist.Side {
		return 0
	}
	return image[y*mnist.Side+x]
}
