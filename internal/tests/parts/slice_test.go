// Package parts_test holds that a network can be taken apart: slices and clones, layers that are
// frozen, and the steps of a training written out by hand.
package parts_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// whole is a network with every kind of layer, trained a little.
func whole(t testing.TB) (net *Network, x, y *mat.Dense) {
	net = NewNetwork(t, 4, Standardize{}, Dense{Units: 6, Activation: Tanh}, Sequential{Dropout{Rate: 0.2}, Dense{Units: 5, NoBias: true}},
		BatchNorm{Activation: ReLU}, Dense{Units: 2}, Unstandardize{})
	x, y = ScaledMatrix(Pattern(30, 4), 7), ScaledMatrix(Pattern(30, 2), 40)
	Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.05, Epochs: 3, BatchSize: 8}))(t)
	return net, x, y
}

func TestASliceComputesItsLayers(t *testing.T) {
	net, x, _ := whole(t)
	want := Predict(t, net, x)
	for cut := 2; cut < 6; cut++ {
		first, second := Value(net.Slice(0, cut))(t), Value(net.Slice(cut, 6))(t)
		if first.Inputs() != 4 || second.Outputs() != 2 || first.Outputs() != second.Inputs() {
			t.Errorf("cut at %d: %d→%d and %d→%d", cut, first.Inputs(), first.Outputs(), second.Inputs(), second.Outputs())
		}
		SameBits(t, fmt.Sprint("cut at ", cut), Predict(t, second, Value(first.Predict(x))(t)), want)
	}
	middle := Value(net.Slice(1, 3))(t)
	if got := middle.Layers(); len(got) != 2 || got[0] != (Dense{Units: 6, Activation: Tanh}) {
		t.Errorf("layers 1 and 2 are %v", got)
	}
	MustComeBack(t, middle, Pattern(3, 4))
}

func TestASliceSharesParametersAndStatistics(t *testing.T) {
	net, x, y := whole(t)
	part := Value(net.Slice(1, 4))(t)
	SameBits(t, "parameters", part.Params(), net.Params()[:len(part.Params())])
	hidden := ScaledMatrix(Pattern(20, 4), 1)
	before := StateOf(net)
	Value(part.Train(t.Context(), hidden, Pattern(20, 5), TrainConfig{LearningRate: 0.05, Epochs: 2}))(t)
	after := StateOf(net)
	if slices.Equal(before.Params, after.Params) {
		t.Error("the network does not see that its slice was trained")
	}
	SameBits(t, "the last layer", net.Weights(4).RawMatrix().Data, before.Params[len(before.Params)-12:len(before.Params)-2])
	mean, _ := part.Statistics(2)
	whole, _ := net.Statistics(3)
	if &mean[0] != &whole[0] {
		t.Error("the running mean is another one")
	}
	var inner error
	Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.05, Epochs: 1, OnEpoch: func(Epoch) error {
		_, inner = part.Train(t.Context(), hidden, Pattern(20, 5), TrainConfig{LearningRate: 0.05, Epochs: 1})
		return nil
	}}))(t)
	Fails(t, inner, "backprop: Train: another Train of this network is under way, want one at a time or a network each")
}

// What a slice with Standardize has learnt, the network has.
func TestWhatASliceLearnsTheNetworkKnows(t *testing.T) {
	net := NewNetwork(t, 2, Standardize{}, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1}, Unstandardize{})
	first := Value(net.Slice(0, 2))(t)
	x := ScaledMatrix(Pattern(9, 2), 5)
	Value(first.Train(t.Context(), x, Pattern(9, 3), TrainConfig{LearningRate: 0.1, Epochs: 1}))(t)
	mean, _ := net.Statistics(0)
	learnt := slices.Clone(mean)
	y := ScaledMatrix(Pattern(9, 1), 1000)
	Value(net.Train(t.Context(), ScaledMatrix(x, 3), y, TrainConfig{LearningRate: 0.1, Epochs: 1}))(t)
	SameBits(t, "the inputs' mean", mean, learnt)
	if m, _ := net.Statistics(3); m[0] == 0 {
		t.Error("the targets' mean was not learnt")
	}
}

// Statistics carried over by hand count as learnt.
func TestStatisticsCanBeCarriedOver(t *testing.T) {
	from, x, y := whole(t)
	to := NewNetwork(t, 4, from.Layers()...)
	for i := range from.Layers() {
		mean, variance := to.Statistics(i)
		m, v := from.Statistics(i)
		copy(mean, m)
		copy(variance, v)
	}
	copy(to.Params(), from.Params())
	SameBits(t, "predictions", Predict(t, to, x), Predict(t, from, x))
	StateOf(from).MustEqual(t, to)
	config := TrainConfig{LearningRate: 0.01, Epochs: 1}
	Value(to.Train(t.Context(), ScaledMatrix(x, 2), y, config))(t) // not learnt anew
	mean, _ := to.Statistics(0)
	want, _ := from.Statistics(0)
	SameBits(t, "mean", mean, want)
}

func TestACloneSharesNothing(t *testing.T) {
	net, x, y := whole(t)
	c := net.Clone()
	StateOf(net).MustEqual(t, c)
	before := StateOf(net)
	Value(c.Train(t.Context(), ScaledMatrix(x, 3), y, TrainConfig{LearningRate: 0.05, Epochs: 2}))(t)
	before.MustEqual(t, net)
	m, _ := net.Statistics(0)
	cm, _ := c.Statistics(0)
	SameBits(t, "a clone has learnt what its network had", cm, m)
	fresh := NewNetwork(t, 4, net.Layers()...).Clone() // has still to learn
	Value(fresh.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.05, Epochs: 1}))(t)
	fm, _ := fresh.Statistics(0)
	SameBits(t, "mean", fm, m)
}

func TestWeightsAreTheSameMatrixAtEveryCall(t *testing.T) {
	net, _, _ := whole(t)
	before := mat.DenseCopyOf(net.Weights(1))
	w := net.Weights(1)
	w.Scale(2, net.Weights(1)) // gonum refuses two views of one memory
	before.Scale(2, before)
	if !mat.Equal(w, before) {
		t.Error("the weights are not doubled")
	}
}

func TestSlicesThatCannotStandAloneAreErrors(t *testing.T) {
	net := NewNetwork(t, 2, Standardize{}, Dense{Units: 3}, Dropout{Rate: 0.5}, Dense{Units: 1})
	for _, c := range []struct {
		lo, hi int
		want   string
	}{
		{-1, 2, "layers -1 to 2 of 4, want 0 ≤ lo < hi ≤ 4"},
		{0, 5, "layers 0 to 5 of 4, want 0 ≤ lo < hi ≤ 4"},
		{2, 2, "layers 2 to 2 of 4, want 0 ≤ lo < hi ≤ 4"},
		{3, 1, "layers 3 to 1 of 4, want 0 ≤ lo < hi ≤ 4"},
		{0, 1, "layer 0: a Standardize cannot be the last layer, want a Dense or a BatchNorm"},
		{1, 3, "layer 1: a Dropout cannot be the last layer, want a Dense or a BatchNorm"},
	} {
		_, err := net.Slice(c.lo, c.hi)
		Fails(t, err, "backprop: Slice: "+c.want)
	}
	var none *Network
	_, err := none.Slice(0, 1)
	Fails(t, err, "backprop: Slice: the network has no layers; New makes one")
	if none.Inputs() != 0 || none.Outputs() != 0 || none.Layers() != nil || none.Clone() == nil {
		t.Error("a nil network has layers")
	}
	_, err = none.Clone().Predict(Pattern(1, 1))
	Fails(t, err, "backprop: Predict: the network has no layers; New makes one")
}

// Frozen layers keep every bit, whatever else is asked for, and the others move.
func TestFrozenLayersKeepEveryBit(t *testing.T) {
	optimizers := append([]Optimizer{nil, StepFunc(func(params, grad []float64, eta float64) {
		for i := range params {
			params[i] -= eta * (grad[i] + 1)
		}
	})}, Optimizers...)
	for _, o := range optimizers {
		for _, frozen := range [][]int{{1}, {0, 1, 2}, {3}, {2, 3, 3}, {4}, {1, 4}} {
			net, x, y := whole(t)
			config := TrainConfig{LearningRate: 0.05, Epochs: 2, BatchSize: 8, Optimizer: o, WeightDecay: 0.1, L2: 0.1, ClipNorm: 1, ClipValue: 0.5}
			if o != nil {
				config.Optimizer = Fresh(o)
				Value(net.Train(t.Context(), x, y, config))(t) // fills the optimizer's memory
			}
			before := net.Clone()
			config.Freeze = frozen
			Value(net.Train(t.Context(), x, y, config))(t)
			for i := range net.Layers() {
				was, is := part(before, i), part(net, i)
				same := slices.Equal(was, is)
				if keeps := slices.Contains(frozen, i) || len(was) == 0 || i == 0 || i == 5; same != keeps {
					t.Errorf("%T, frozen %v: layer %d is the same: %v", o, frozen, i, same)
				}
			}
		}
	}
}

// part is all that layer i keeps.
func part(net *Network, i int) (values []float64) {
	mean, variance := net.Statistics(i)
	values = slices.Concat(mean, variance)
	if alone, err := net.Slice(i, i+1); err == nil { // not Standardize, which has no parameters
		values = append(values, alone.Params()...)
	}
	return values
}

// The norm that is clipped, and shown, is of what moves.
func TestTheNormIsThatOfWhatMoves(t *testing.T) {
	net := NewNetwork(t, 3, Dense{Units: 4, Activation: Tanh}, Dense{Units: 2})
	x, y := Pattern(7, 3), Pattern(7, 2)
	_, grad, err := net.Gradient(nil, x, y, nil)
	NoError(t, err)
	moving := grad[:16]
	h := Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 1, Freeze: []int{1}}))(t)
	EqualTo(t, "norm", []float64{h.Epochs[0].GradNorm}, []float64{norm(moving)}, 1e-14)
}

func norm(v []float64) float64 { return mat.Norm(mat.NewVecDense(len(v), v), 2) }

// A single sample that is left over joins no other batch where the batch norm is frozen.
func TestALeftOverSampleIsABatchForAFrozenBatchNorm(t *testing.T) {
	for _, frozen := range [][]int{nil, {0}} {
		steps := 0
		net := NewNetwork(t, 2, BatchNorm{}, Dense{Units: 1})
		Value(net.Train(t.Context(), Pattern(5, 2), Pattern(5, 1), TrainConfig{LearningRate: 0.1, Epochs: 1, BatchSize: 2, Freeze: frozen,
			Optimizer: StepFunc(func([]float64, []float64, float64) { steps++ })}))(t)
		if want := 2 + len(frozen); steps != want {
			t.Errorf("frozen %v: %d steps, want %d", frozen, steps, want)
		}
	}
}

// A frozen batch norm is in inference, so that it takes a single sample, and Standardize that is
// frozen before it has learnt stays as it is.
func TestFrozenLayersWorkAsInInference(t *testing.T) {
	net := NewNetwork(t, 2, Standardize{}, BatchNorm{}, Dense{Units: 1})
	x, y := ScaledMatrix(Pattern(1, 2), 9), Pattern(1, 1)
	want := Value(net.Loss(x, y, nil))(t)
	h := Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 1, Freeze: []int{0, 1}}))(t)
	EqualTo(t, "loss", []float64{h.Epochs[0].Loss}, []float64{want}, 0)
	if mean, variance := net.Statistics(0); mean[0] != 0 || variance[0] != 1 {
		t.Errorf("Standardize has learnt %v and %v", mean, variance)
	}
	dropped := NewNetwork(t, 2, Dense{Units: 8}, Dropout{Rate: 0.9}, Dense{Units: 1})
	want = Value(dropped.Loss(x, y, nil))(t)
	h = Value(dropped.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 1, Freeze: []int{1}}))(t)
	EqualTo(t, "loss without dropout", []float64{h.Epochs[0].Loss}, []float64{want}, 0)
}

func TestFreezingWhatIsNotThereIsAnError(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 3}, Dense{Units: 1})
	train := func(frozen ...int) error {
		_, err := net.Train(t.Context(), Pattern(4, 2), Pattern(4, 1), TrainConfig{LearningRate: 0.1, Epochs: 1, Freeze: frozen})
		return err
	}
	Fails(t, train(0, 2), "backprop: Train: Freeze[1] is 2, want 0 to 1")
	Fails(t, train(-1), "backprop: Train: Freeze[0] is -1, want 0 to 1")
	Fails(t, train(0, 1), "backprop: Train: Freeze is [0 1], want a layer with parameters left to train")
}

// A resumed training with frozen layers ends with the same bits.
func TestAFrozenTrainingIsTakenUp(t *testing.T) {
	config := TrainConfig{LearningRate: 0.05, Epochs: 6, BatchSize: 8, Optimizer: &Adam{}, Freeze: []int{1}, SampleWeights: make([]float64, 30)}
	for i := range config.SampleWeights {
		config.SampleWeights[i] = float64(i % 4)
	}
	want, x, y := whole(t)
	start := want.Clone()
	Value(want.Train(t.Context(), x, y, config))(t)
	config.Checkpoint, config.Epochs, config.Optimizer = t.TempDir()+"/c", 3, &Adam{}
	Value(start.Clone().Train(t.Context(), x, y, config))(t)
	config.Epochs, config.Optimizer = 6, &Adam{}
	got := start.Clone()
	Value(got.Train(t.Context(), x, y, config))(t)
	StateOf(want).MustEqual(t, got)
	config.Epochs, config.SampleWeights = 7, slices.Clone(config.SampleWeights)
	config.SampleWeights[3] = 8
	_, err := start.Clone().Train(t.Context(), x, y, config)
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("it belongs to other data")) {
		t.Errorf("with other weights: %v", err)
	}
	config.SampleWeights[3], config.Freeze = 3, []int{3}
	_, err = start.Clone().Train(t.Context(), x, y, config)
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("its Freeze is")) {
		t.Errorf("with other layers frozen: %v", err)
	}
}

// What an optimizer of one's own does to the gradient of frozen parameters, as a coupled decay does,
// does not pile up in the norm.
func TestAnOptimizerMayChangeTheGradientOfFrozenLayers(t *testing.T) {
	train := func(decay float64) *History {
		net := NewNetwork(t, 3, Dense{Units: 4, Activation: Tanh}, Dense{Units: 2})
		return Value(net.Train(t.Context(), Pattern(7, 3), Pattern(7, 2), TrainConfig{LearningRate: 0.1, Epochs: 5, Freeze: []int{0}, ClipNorm: 0.1,
			Optimizer: StepFunc(func(params, grad []float64, eta float64) {
				for i := range params {
					params[i] -= eta * grad[i]
					grad[i] += decay * params[i]
				}
			})}))(t)
	}
	SameHistory(t, train(1), train(0))
}

// A network of which one part has learnt and another not comes back as it is.
func TestAHalfLearntNetworkComesBack(t *testing.T) {
	x, y := ScaledMatrix(Pattern(9, 2), 5), ScaledMatrix(Pattern(9, 1), 1000)
	for _, frozen := range []int{0, 2} {
		net := NewNetwork(t, 2, Standardize{}, Dense{Units: 1}, Unstandardize{})
		Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-9, Epochs: 1, Freeze: []int{frozen}}))(t)
		got := MustComeBack(t, net, x)
		NoError(t, got.Adapt(Data{X: x, Y: y}))
	}
}
