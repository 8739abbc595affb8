package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"example.com/backprop/examples/internal/mnist"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// ramps are two images as bright as a pixel's x and y. Interpolation between their pixels is exact,
// so that distorted they tell from where each pixel comes.
func ramps() (x, y []float64) {
	for i := range mnist.Side * mnist.Side {
		x, y = append(x, float64(i%mnist.Side)), append(y, float64(i/mnist.Side))
	}
	return x, y
}

// sources tells from where a warp takes the pixels.
func sources(w warp, seed uint64) (x, y []float64) {
	x, y = ramps()
	for _, image := range [][]float64{x, y} {
		w.apply(image, slices.Clone(image), rand.New(rand.NewPCG(seed, 0)))
	}
	return x, y
}

func TestTheZeroWarpIsTheIdentity(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	image, got := make([]float64, mnist.Side*mnist.Side), make([]float64, mnist.Side*mnist.Side)
	for i := range image {
		image[i] = rng.Float64()
	}
	warp{}.apply(got, image, rng)
	if !slices.Equal(got, image) {
		t.Error("an image that nothing distorts is not the same bits")
	}
}

// A turn leads from each pixel to a place as far from the centre, whatever the angle is.
func TestTurnsAndScalesKeepTheCentre(t *testing.T) {
	const centre, side = 13.5, mnist.Side
	inner := []int{9*side + 9, 9*side + 18, 18*side + 9, 18*side + 18} // 4.5 across and down from it
	angles := make([]float64, 200)
	for seed := range angles {
		x, y := sources(warp{Angle: 30}, uint64(seed))
		for _, i := range inner {
			if r := math.Hypot(x[i]-centre, y[i]-centre); math.Abs(r-4.5*math.Sqrt2) > 1e-12 {
				t.Fatalf("seed %d: turned, pixel %d comes from %v pixels off the centre, want %v", seed, i, r, 4.5*math.Sqrt2)
			}
		}
		angles[seed] = (math.Atan2(y[inner[3]]-centre, x[inner[3]]-centre) - math.Pi/4) * 180 / math.Pi

		x, y = sources(warp{Angle: 30, Scale: 0.2}, uint64(seed))
		for _, v := range [][]float64{x, y} {
			if mean := (v[inner[0]] + v[inner[1]] + v[inner[2]] + v[inner[3]]) / 4; math.Abs(mean-centre) > 1e-12 {
				t.Fatalf("seed %d: the centre comes from %v, want %v", seed, mean, centre)
			}
		}
	}
	// Uniform in ±30: a deviation of 30/√3, whose own of 200 seeds is 0.5.
	if least, most, d := floats.Min(angles), floats.Max(angles), stat.StdDev(angles, nil); least < -30 || most > 30 || math.Abs(d-30/math.Sqrt(3)) > 2 {
		t.Errorf("turned by %v to %v degrees, deviation %v, want uniform in ±30", least, most, d)
	}
}

func TestShiftsMoveEveryPixelAlikeAndBringBlackIn(t *testing.T) {
	x0, y0 := ramps()
	var dx, dy []float64
	for seed := range uint64(200) {
		x, y := sources(warp{Shift: 2}, seed)
		white := make([]float64, mnist.Side*mnist.Side)
		for i := range white {
			white[i] = 1
		}
		warp{Shift: 2}.apply(white, slices.Clone(white), rand.New(rand.NewPCG(seed, 0)))
		const p, q = 5*mnist.Side + 5, 20*mnist.Side + 17
		if math.Abs((x[p]-x0[p])-(x[q]-x0[q])) > 1e-12 || math.Abs((y[p]-y0[p])-(y[q]-y0[q])) > 1e-12 {
			t.Fatalf("seed %d: two pixels are shifted apart", seed)
		}
		dx, dy = append(dx, x[p]-x0[p]), append(dy, y[p]-y0[p])
		left := (mnist.Side - math.Abs(x[p]-x0[p])) * (mnist.Side - math.Abs(y[p]-y0[p]))
		if got := floats.Sum(white); math.Abs(got-left) > 1e-9 {
			t.Fatalf("seed %d: %v of a white image is left, want %v: around it all is black", seed, got, left)
		}
	}
	for _, d := range [][]float64{dx, dy} {
		if floats.Min(d) < -2 || floats.Max(d) > 2 || math.Abs(stat.StdDev(d, nil)-2/math.Sqrt(3)) > 0.15 {
			t.Errorf("shifted by %v to %v, deviation %v, want uniform in ±2", floats.Min(d), floats.Max(d), stat.StdDev(d, nil))
		}
	}
	if c := stat.Correlation(dx, dy, nil); math.Abs(c) > 0.25 {
		t.Errorf("shifts across and down are correlated by %v", c)
	}
}

// Noise uniform in ±α in every pixel, smoothed by a Gaussian of σ pixels, has the deviation
// α/√3/(2σ√π), and over a distance d the correlation exp(−d²/4σ²).
func TestElasticNoiseIsThatOfSimard(t *testing.T) {
	const alpha, p, d, seeds = 34, 11*mnist.Side + 12, 4, 2000
	x0, y0 := ramps()
	moves := make([][]float64, 4) // of a pixel across and down, of its neighbours d to the right and below
	for seed := range uint64(seeds) {
		x, y := sources(warp{Elastic: alpha}, seed)
		for k, v := range []float64{x[p] - x0[p], y[p] - y0[p], x[p+d] - x0[p+d], x[p+d*mnist.Side] - x0[p+d*mnist.Side]} {
			moves[k] = append(moves[k], v)
		}
	}
	want := alpha / math.Sqrt(3) / (2 * sigma * math.Sqrt(math.Pi))
	for k, m := range moves {
		if got := stat.StdDev(m, nil); math.Abs(got/want-1) > 0.05 {
			t.Errorf("deviation %d is %v pixels, want %v", k, got, want)
		}
	}
	for k, want := range []float64{1, 0, math.Exp(-d * d / (4 * sigma * sigma)), math.Exp(-d * d / (4 * sigma * sigma))} {
		if got := stat.Correlation(moves[0], moves[k], nil); math.Abs(got-want) > 0.05 {
			t.Errorf("correlation %d is %v, want %v", k, got, want)
		}
	}
}
