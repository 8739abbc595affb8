package testutil

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// NewNetwork is New for layers that must be valid.
func NewNetwork(t testing.TB, inputs int, layers ...backprop.Layer) *backprop.Network {
	t.Helper()
	net, err := backprop.New(inputs, layers...)
	NoError(t, err)
	return net
}

// State is all that can change in a network.
type State struct{ Params, Statistics []float64 }

// StateOf copies a network's state.
func StateOf(net *backprop.Network) (s State) {
	s.Params = slices.Clone(net.Params())
	for i := range strings.Count(net.String(), "\n") {
		mean, variance := net.Statistics(i)
		s.Statistics = append(append(s.Statistics, mean...), variance...)
	}
	return s
}

// MustEqual checks that a network is in this state, bit for bit.
func (s State) MustEqual(t testing.TB, net *backprop.Network) {
	t.Helper()
	now := StateOf(net)
	SameBits(t, "parameters", now.Params, s.Params)
	SameBits(t, "statistics", now.Statistics, s.Statistics)
}

// BytesOf is the file that WriteTo writes.
func BytesOf(t testing.TB, net *backprop.Network) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := net.WriteTo(&b)
	NoError(t, err)
	if n != int64(b.Len()) {
		t.Errorf("WriteTo returns %d, wrote %d", n, b.Len())
	}
	return b.Bytes()
}

// Predict is the elements of a prediction, row by row.
func Predict(t testing.TB, net *backprop.Network, x mat.Matrix) []float64 {
	t.Helper()
	p, err := net.Predict(x)
	NoError(t, err)
	return p.RawMatrix().Data
}

// SameHistory compares all but the times.
func SameHistory(t testing.TB, got, want *backprop.History) {
	t.Helper()
	same := func(a, b backprop.Epoch) bool {
		a.Elapsed, b.Elapsed = 0, 0
		if math.IsNaN(a.ValidationLoss) && math.IsNaN(b.ValidationLoss) {
			a.ValidationLoss, b.ValidationLoss = 0, 0 // without validation data
		}
		return a == b
	}
	if !slices.EqualFunc(got.Epochs, want.Epochs, same) || got.Best != want.Best || got.Stopped != want.Stopped {
		t.Errorf("the history is\n\t%v, want\n\t%v", got, want)
	}
}
