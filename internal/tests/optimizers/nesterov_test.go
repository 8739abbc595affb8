package optimizers_test

import (
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

func TestNesterovWithoutAMomentumIsAnError(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 1})
	before := StateOf(net)
	_, err := net.Train(t.Context(), Pattern(3, 2), Pattern(3, 1), TrainConfig{LearningRate: 0.1, Epochs: 1, Optimizer: &SGD{Nesterov: true}})
	Fails(t, err, "backprop: Train: SGD Nesterov is true, want a Momentum with it")
	before.MustEqual(t, net)
}
