package digits

import (
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// The counts are those of scikit-learn's description of the same file.
func TestLoadHoldsThePublishedDigits(t *testing.T) {
	x, labels, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if r, c := x.Dims(); r != 1797 || c != 64 || len(labels) != r {
		t.Fatalf("%d×%d pixels and %d labels, want 1797×64 and 1797", r, c, len(labels))
	}
	if lo, hi := mat.Min(x), mat.Max(x); lo != 0 || hi != 16 {
		t.Errorf("pixels from %v to %v, want 0 to 16", lo, hi)
	}
	counts := make([]int, 10)
	for _, digit := range labels {
		counts[digit]++
	}
	if want := []int{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}; !slices.Equal(counts, want) {
		t.Errorf("digits 0 to 9 come %v times, want %v", counts, want)
	}
}
