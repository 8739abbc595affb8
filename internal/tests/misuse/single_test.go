package misuse_test

import (
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

// A single parameter is overlapped as well as many are.
func TestASingleParameterIsNotWrittenTo(t *testing.T) {
	net := NewNetwork(t, 1, Dense{Units: 1, NoBias: true})
	before, x, y := StateOf(net), Pattern(1, 1), Pattern(1, 1)
	_, _, err := net.Gradient(net.Params(), x, y, nil)
	Fails(t, err, "backprop: Gradient: dst overlaps the network's Params, x or y, want other memory")
	_, _, err = net.Gradient(x.RawMatrix().Data, x, y, nil)
	Fails(t, err, "backprop: Gradient: dst overlaps the network's Params, x or y, want other memory")
	Fails(t, net.PredictTo(net.Weights(0), x), "backprop: PredictTo: dst overlaps the network's Params, want other memory")
	_, err = net.Train(t.Context(), net.Weights(0), y, TrainConfig{LearningRate: 0.1, Epochs: 1})
	Fails(t, err, "backprop: Train: x or y overlaps the network's Params, want a copy")
	before.MustEqual(t, net)
}
