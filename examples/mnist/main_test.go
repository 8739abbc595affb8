package main

import (
	"io"
	"testing"

	"gonum.org/v1/gonum/mat"
)

const testdata = "../internal/mnist/testdata" // 600 images to learn from, 100 to be tested on

func TestEveryRecipeLearnsToReadDigits(t *testing.T) {
	training, test, err := load(testdata, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]recipe{"plain": plain, "best": bestKnown, "distorted": distorted} {
		if testing.Short() && name != "plain" {
			continue // minutes where a processor is emulated
		}
		r.config.Epochs = 10
		misread := run(io.Discard, training, test, r, 1)
		t.Logf("%s: %v misread", name, misread)
		if misread > 0.2 {
			t.Errorf("%s: %v of the test images misread, want at most 0.2", name, misread)
		}
	}
}

func TestValidationNeverSeesTheTestImages(t *testing.T) {
	all, _, err := load(testdata, false)
	if err != nil {
		t.Fatal(err)
	}
	training, held, err := load(testdata, true)
	if err != nil {
		t.Fatal(err)
	}
	var x, y mat.Dense
	x.Stack(training.X, held.X)
	y.Stack(training.Y, held.Y)
	if rows, _ := held.X.Dims(); rows != 100 || !mat.Equal(&x, all.X) || !mat.Equal(&y, all.Y) {
		t.Errorf("%d images are held out, want the last 100 of the 600, and the others to learn from", rows)
	}
}
