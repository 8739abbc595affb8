package custom_test

import (
	"io"
	"path/filepath"
	"slices"
	"testing"

	"example.com/backprop"
	"example.com/backprop/internal/tests/testutil"
)

// A layer of one's own is sliced, cloned, frozen and checkpointed like any other, and trains the
// same from a sequence.
func TestALayerOfOnesOwnIsLikeAnyOther(t *testing.T) {
	testutil.NoError(t, backprop.RegisterLayer("custom.Scale", Scale{Start: 1}))
	layers := []backprop.Layer{
		backprop.Dense{Units: 4, Activation: backprop.Tanh}, Scale{2}, backprop.Dense{Units: 2}, backprop.Unstandardize{}}
	x, y := testutil.Pattern(20, 3), testutil.ScaledMatrix(testutil.Pattern(20, 2), 50)
	config := func(epochs int) backprop.TrainConfig {
		return backprop.TrainConfig{LearningRate: 0.05, Epochs: epochs, BatchSize: 6, Optimizer: &backprop.Adam{}, WeightDecay: 0.1}
	}
	net := testutil.NewNetwork(t, 3, layers...)
	testutil.Value(net.Train(t.Context(), x, y, config(6)))(t)

	again, c := testutil.NewNetwork(t, 3, layers...), config(3)
	c.Checkpoint = filepath.Join(t.TempDir(), "c")
	testutil.Value(again.Train(t.Context(), x, y, c))(t)
	again, c.Optimizer, c.Epochs = testutil.NewNetwork(t, 3, layers...), &backprop.Adam{}, 6
	testutil.Value(again.Train(t.Context(), x, y, c))(t)
	testutil.StateOf(net).MustEqual(t, again)

	hidden := testutil.Value(net.Slice(0, 2))(t)
	rest := testutil.Value(net.Slice(2, 4))(t)
	testutil.SameBits(t, "in two parts", testutil.Predict(t, rest, testutil.Value(hidden.Predict(x))(t)), testutil.Predict(t, net, x))
	testutil.SameBits(t, "its weights", hidden.Weights(1).RawMatrix().Data, net.Weights(1).RawMatrix().Data)

	frozen, c := net.Clone(), config(2)
	c.Freeze = []int{1}
	testutil.Value(frozen.Train(t.Context(), x, y, c))(t)
	testutil.SameBits(t, "frozen", frozen.Weights(1).RawMatrix().Data, net.Weights(1).RawMatrix().Data)
	if frozen.Weights(0).At(0, 0) == net.Weights(0).At(0, 0) {
		t.Error("the layer before a frozen one of one's own was not trained")
	}
	dx := testutil.Value(net.InputGradient(x, y, nil))(t)
	testutil.NoNaN(t, "derivatives by the inputs", dx.RawMatrix().Data)
	if testutil.Largest(dx.RawMatrix().Data) == 0 {
		t.Error("no derivative by the inputs")
	}
}

// A network that could not be read again is not written: layers within others count, too.
func TestANetworkOfTooManyInnerLayersIsNotSaved(t *testing.T) {
	block := backprop.Sequential{backprop.Activate{}, backprop.Activate{}}
	net := testutil.NewNetwork(t, 1, slices.Repeat([]backprop.Layer{block}, 1<<14/3)...)
	testutil.MustComeBack(t, net, testutil.Pattern(1, 1))
	net = testutil.NewNetwork(t, 1, slices.Repeat([]backprop.Layer{block}, 1<<14/3+1)...)
	_, err := net.WriteTo(io.Discard)
	testutil.Fails(t, err, "backprop: WriteTo: layer 5461: layer 0: more layers, with those within others, than can be read again")
}
