package main

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/backprop"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/recorder"
)

var names = []string{"spirals.png", "loss.png", "gradients.png"}

// But for rounding, which differs between processors, they are the same to the pixel.
func TestThePicturesBesideTheProgramAreWhatItDraws(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pictures")
	if err := drawAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		here, drawn := read(t, name), read(t, filepath.Join(dir, name))
		if here.Bounds() != drawn.Bounds() {
			t.Fatalf("%s is %v, drawn anew %v", name, here.Bounds(), drawn.Bounds())
		}
		differ := share(here, func(x, y int) bool { return here.At(x, y) != drawn.At(x, y) })
		if differ > 0.002 {
			t.Errorf("%.4f of %s is not as it is drawn anew", differ, name)
		}
	}
}

func TestThePicturesAreSmallAndWhiteAtTheirEdges(t *testing.T) {
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 120_000 {
			t.Errorf("%s has %d bytes, want 120,000 at most", name, info.Size())
		}
		img := read(t, name)
		inner := img.Bounds().Inset(20)
		if share(img, func(x, y int) bool { return !image.Pt(x, y).In(inner) && !isWhite(img, x, y) }) > 0 {
			t.Errorf("%s has something on its margin", name)
		}
		if white := share(img, func(x, y int) bool { return isWhite(img, x, y) }); white < 0.1 || white > 0.96 {
			t.Errorf("%.3f of %s is white", white, name)
		}
	}
}

// What is written, in one font, with the typographic minus before a number.
func TestThePicturesSayWhatTheyShow(t *testing.T) {
	for _, c := range []struct {
		picture
		says []string
	}{
		{spiralsPicture(), []string{"class 0", "class 1", "undecided"}},
		{lossPicture(), []string{
			"epoch", "cross-entropy", "training", "validation", ", the lowest validation loss, is kept", "2.0",
		}},
		{gradientsPicture(), []string{
			"layer", "∂L/∂W", "orthogonal, tanh", "Glorot, tanh", "He, tanh", "Glorot, sigmoid", "10 −8", "10 6", "300",
		}},
	} {
		var canvas recorder.Canvas
		c.drawOn(draw.NewCanvas(&canvas, c.width, c.height))
		var texts, fonts []string
		for _, action := range canvas.Actions {
			if s, ok := action.(*recorder.FillString); ok {
				texts, fonts = append(texts, s.String), append(fonts, s.Font.Name())
			}
		}
		slices.Sort(fonts)
		if fonts = slices.Compact(fonts); len(fonts) != 1 {
			t.Errorf("%s is written in %q, want one font", c.name, fonts)
		}
		all := strings.Join(texts, "\n")
		exponents := regexp.MustCompile(`(?m)^(−?\d+)\n(10)$`).ReplaceAllString(all, "$2 $1")
		for _, want := range append(c.says, c.title) {
			if !strings.Contains(exponents, want) {
				t.Errorf("%s does not say %q but %q", c.name, want, texts)
			}
		}
		if hyphen := regexp.MustCompile(`(?m)^-\d`).FindString(all); hyphen != "" {
			t.Errorf("%s has a hyphen for a minus: %s", c.name, hyphen)
		}
	}
}

func TestAllSpiralPointsAreLearnt(t *testing.T) {
	x, y := spirals()
	p, err := learnSpirals(x, y).Predict(x)
	if err != nil {
		t.Fatal(err)
	}
	accuracy, err := backprop.Accuracy(p, y)
	if err != nil {
		t.Fatal(err)
	}
	if accuracy != 1 {
		t.Errorf("%.0f of 194 points classified right, want all", 194*accuracy)
	}
}

// The formula's own figures: the outermost point is 6.5 from the middle, a quarter turn takes eight
// points, and the spirals are each other turned by half a turn.
func TestTheSpiralsAreTheClassicOnes(t *testing.T) {
	x, y := spirals()
	if n, _ := x.Dims(); n != 194 {
		t.Fatalf("%d points, want 194", n)
	}
	if u, v := x.At(0, 0), x.At(0, 1); u != 0 || v != 6.5 {
		t.Errorf("the first point is %v, %v, want 0, 6.5", u, v)
	}
	if u, v := x.At(16, 0), x.At(16, 1); u != 6 || v > 1e-12 {
		t.Errorf("the ninth point is %v, %v, want 6, 0", u, v)
	}
	for i := 0; i < 194; i += 2 {
		if x.At(i, 0) != -x.At(i+1, 0) || x.At(i, 1) != -x.At(i+1, 1) || y.At(i, 0) != 1 || y.At(i+1, 0) != 0 {
			t.Errorf("points %d and %d are not opposite, in different classes", i, i+1)
		}
	}
}

// Orthogonal weights keep the gradient's norm, sigmoids lose it.
func TestTheGradientIsKeptByOrthogonalWeightsOnly(t *testing.T) {
	kept, lost := gradientNorms(backprop.Orthogonal, backprop.Tanh), gradientNorms(backprop.GlorotUniform, backprop.Sigmoid)
	if ratio := kept[0].Y / kept[depth-1].Y; ratio < 0.5 || ratio > 2 {
		t.Errorf("orthogonal: the norm of the first layer's is %.3g of the last one's", ratio)
	}
	if ratio := lost[0].Y / lost[depth-1].Y; ratio == 0 || ratio > 1e-100 {
		t.Errorf("sigmoid: the norm of the first layer's is %.3g of the last one's", ratio)
	}
}

func TestAFolderThatCannotBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := drawAll(filepath.Join(file, "folder")); err == nil {
		t.Error("no error")
	}
}

func read(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return img
}

// share is the share of an image's pixels for which something holds.
func share(img image.Image, holds func(x, y int) bool) float64 {
	b, n := img.Bounds(), 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if holds(x, y) {
				n++
			}
		}
	}
	return float64(n) / float64(b.Dx()*b.Dy())
}

func isWhite(img image.Image, x, y int) bool {
	r, g, b, _ := img.At(x, y).RGBA()
	return min(r, g, b) == 0xffff
}
