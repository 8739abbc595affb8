package main

import (
	"io"
	"testing"

	"example.com/backprop/examples/internal/digits"
)

// Chance is 20 %, and ten seeds of either way are within a point of 97 %.
func TestAFrozenTrunkServesOtherDigits(t *testing.T) {
	scratch, transferred, err := run(io.Discard, 50, 1)
	if err != nil {
		t.Fatal(err)
	}
	if scratch < 0.93 || transferred < 0.93 {
		t.Errorf("%.3f from scratch and %.3f with a frozen trunk, want 0.93 of each", scratch, transferred)
	}
}

func TestPickTakesSoManyOfEach(t *testing.T) {
	training, _, err := digits.Split(0.25, 1)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := pick(training, classes, 7).X.Dims(); n != 7*classes {
		t.Errorf("%d samples, want %d", n, 7*classes)
	}
}
