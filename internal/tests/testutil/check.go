// Package testutil has what the tests of several packages need: checks, data, networks, and
// activations, losses and optimizers as a user writes them.
package testutil

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// FewUlps is the relative error of a few roundings.
const FewUlps = 4 * 0x1p-53

// NoError ends the test at an error.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Value is value(f())(t): what f returns beside its error, which must be nil.
func Value[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		NoError(t, err)
		return v
	}
}

// Fails checks an error's full text.
func Fails(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", want)
	} else if err.Error() != want {
		t.Errorf("the error is\n\t%q, want\n\t%q", err, want)
	}
}

// Panics checks that f panics, and with what.
func Panics(t testing.TB, want string, f func()) {
	t.Helper()
	defer func() {
		if got := fmt.Sprint(recover()); got != want {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}()
	f()
}

// EqualTo compares to a relative bound.
func EqualTo(t testing.TB, what string, got, want []float64, relative float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= relative*math.Abs(want[i])) {
			t.Errorf("%s: [%d] is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// SameBits compares bit for bit.
func SameBits(t testing.TB, what string, got, want []float64) {
	t.Helper()
	same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("%s: not the same bits", what)
	}
}

// NoNaN checks that every value is finite.
func NoNaN(t testing.TB, what string, values []float64) {
	t.Helper()
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("%s: [%d] is %v", what, i, v)
		}
	}
}

// Near fails unless every element is within 1e-12 of what is wanted, relative to the larger of it
// and floor times the largest.
func Near(t *testing.T, what string, got, want []float64, floor float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	for i, w := range want {
		if bound := 1e-12 * max(math.Abs(w), floor*largest); !(math.Abs(got[i]-w) <= bound) {
			t.Fatalf("%s[%d] is %v, want %v", what, i, got[i], w)
		}
	}
}
