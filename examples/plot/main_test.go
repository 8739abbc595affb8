package main

import (
	"encoding/xml"
	"errors"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/backprop"
)

func TestEveryPictureIsDrawnAsPNGAndSVG(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pictures")
	var says strings.Builder
	if err := drawAll(&says, dir, effort{digitsEpochs: 3, moonsEpochs: 100, depth: 20}); err != nil {
		t.Fatal(err)
	}
	for name, labels := range map[string][]string{
		"loss":      {"epoch", "cross-entropy", "training", "validation", "lowest validation loss"},
		"moons":     {"Two moons"},
		"spirals":   {"Two spirals", "194 of 194 points right"},
		"weights":   {"First layer", "black −"},
		"gradients": {"layer", "∂L/∂W", "orthogonal, tanh", "Glorot, tanh", "He, tanh", "Glorot, sigmoid"},
	} {
		checkPNG(t, filepath.Join(dir, name+".png"))
		checkSVG(t, filepath.Join(dir, name+".svg"), labels)
		if !strings.Contains(says.String(), name+": ") {
			t.Errorf("%s is drawn in silence", name)
		}
	}
}

func TestThePicturesBesideTheProgramAreSmall(t *testing.T) {
	for _, path := range []string{"spirals.png", "loss.png"} {
		checkPNG(t, path)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 60_000 {
			t.Errorf("%s has %d bytes, want 60,000 at most", path, info.Size())
		}
	}
}

func TestAllSpiralPointsAreLearnt(t *testing.T) {
	x, y := spirals()
	net, err := learnSpirals(x, y)
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.Predict(x)
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

func TestAFolderThatCannotBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := drawAll(io.Discard, filepath.Join(file, "folder"), full); err == nil {
		t.Error("no error")
	}
}

// checkPNG wants an image with some black on white.
func checkPNG(t *testing.T, path string) {
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
	if black, white := share(img, 0), share(img, 0xffff); black < 0.002 || white < 0.1 {
		t.Errorf("%s: %.4f of it is black and %.4f white", path, black, white)
	}
}

// share is the share of an image that has a shade of grey.
func share(img image.Image, grey uint32) float64 {
	b, n := img.Bounds(), 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if r, _, _, _ := img.At(x, y).RGBA(); r == grey {
				n++
			}
		}
	}
	return float64(n) / float64(b.Dx()*b.Dy())
}

// checkSVG wants well-formed XML with something drawn and with the labels.
func checkSVG(t *testing.T, path string, labels []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var text strings.Builder
	drawn := 0
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		switch token := token.(type) {
		case xml.CharData:
			text.Write(token)
		case xml.StartElement:
			if token.Name.Local == "path" || token.Name.Local == "image" {
				drawn++
			}
		}
	}
	if drawn < 10 {
		t.Errorf("%s draws %d things", path, drawn)
	}
	for _, label := range labels {
		if !strings.Contains(text.String(), label) {
			t.Errorf("%s has no label %q", path, label)
		}
	}
}
