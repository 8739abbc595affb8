package training_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// cut yields the samples as they lie, in batches of so many, through memory that it uses again.
func cut(x, y *mat.Dense, weights []float64, size int) Batches {
	return func(int) iter.Seq2[Data, error] {
		return func(yield func(Data, error) bool) {
			var bx, by mat.Dense
			rows, in := x.Dims()
			for lo := 0; lo < rows; lo += size {
				hi := min(lo+size, rows)
				bx.Reset()
				by.Reset()
				bx.CloneFrom(x.Slice(lo, hi, 0, in))
				by.CloneFrom(y.Slice(lo, hi, 0, Cols(y)))
				d := Data{X: &bx, Y: &by}
				if weights != nil {
					d.SampleWeights = weights[lo:hi]
				}
				if !yield(d, nil) {
					return
				}
				bx.Zero() // nobody needs it any more
				by.Zero()
			}
		}
	}
}

// Equal batches give equal bits, from memory and from a sequence, for any number of processors.
func TestASequenceOfTheSameBatchesGivesTheSameBits(t *testing.T) {
	weights := make([]float64, 41)
	for i := range weights {
		weights[i] = 1
	}
	weights[3], weights[7] = 0.5, 1.5 // their mean stays 1
	for i := range Trainings {
		for _, w := range [][]float64{nil, weights} {
			want, x, y, config := Training(t, i)
			config.NoShuffle, config.BatchSize, config.SampleWeights = true, 9, w
			h := Value(want.Train(t.Context(), x, y, config))(t)

			got, _, _, config := Training(t, i)
			NoError(t, got.Adapt(Data{X: x, Y: y, SampleWeights: w}))
			config.NoShuffle, config.BatchSize = true, 0
			h2 := Value(got.TrainBatches(t.Context(), cut(x, y, w, 9), config))(t)
			StateOf(want).MustEqual(t, got)
			SameHistory(t, h2, h)
		}
	}
}

// The sequence is asked for by its epoch's number, so that a training that is taken up goes on with
// the same samples.
func TestATrainingFromASequenceIsTakenUp(t *testing.T) {
	x, y := Pattern(20, 3), Pattern(20, 1)
	noisy := func(epoch int) iter.Seq2[Data, error] {
		rng := rand.New(rand.NewPCG(7, uint64(epoch)))
		distorted := mat.DenseCopyOf(x)
		distorted.Apply(func(i, j int, v float64) float64 { return v + 0.1*rng.NormFloat64() }, distorted)
		return cut(distorted, y, nil, 6)(epoch)
	}
	layers := []Layer{Dense{Units: 4, Activation: Tanh}, Dropout{Rate: 0.3}, Dense{Units: 1}}
	config := TrainConfig{LearningRate: 0.05, Epochs: 6, Optimizer: &Adam{}}
	want := NewNetwork(t, 3, layers...)
	h := Value(want.TrainBatches(t.Context(), noisy, config))(t)

	config.Checkpoint, config.Epochs, config.Optimizer = t.TempDir()+"/c", 2, &Adam{}
	Value(NewNetwork(t, 3, layers...).TrainBatches(t.Context(), noisy, config))(t)
	got := NewNetwork(t, 3, layers...)
	config.Epochs, config.Optimizer = 6, &Adam{}
	h2 := Value(got.TrainBatches(t.Context(), noisy, config))(t)
	StateOf(want).MustEqual(t, got)
	SameHistory(t, h2, h)
}

// An error of the sequence ends the training, with what was learnt before it, and so does a batch
// that cannot be used. The sequence is told that it has ended.
func TestABadBatchEndsTheTrainingWithTheNetworkWhole(t *testing.T) {
	broken := errors.New("the file is broken")
	x, y := Pattern(4, 3), Pattern(4, 2)
	nan := Pattern(4, 3)
	nan.Set(2, 1, math.NaN())
	for _, c := range []struct {
		bad  Data
		err  error
		want string
	}{
		{Data{}, broken, "the file is broken"},
		{Data{X: Pattern(4, 2), Y: y}, nil, "X is 4×2, want N×3"},
		{Data{X: x, Y: Pattern(3, 2)}, nil, "Y is 3×2, want 4×2"},
		{Data{X: nan, Y: y}, nil, "X row 2, column 1 is NaN, want a finite number"},
		{Data{X: x}, nil, "Y is nil, want a matrix"},
		{Data{X: x, Y: y, SampleWeights: []float64{1, 2}}, nil, "SampleWeights is 2×1, want 4×1"},
		{Data{X: x, Y: y, SampleWeights: []float64{1, 2, -1, 0}}, nil, "SampleWeights row 2, column 0 is -1, want a finite number, 0 or more"},
		{Data{X: Pattern(1, 3), Y: Pattern(1, 2)}, nil, "a batch of 1 is too small for layer 0, a BatchNorm, want 2 samples or more"},
	} {
		ended := false
		batches := func(epoch int) iter.Seq2[Data, error] {
			return func(yield func(Data, error) bool) {
				defer func() { ended = true }()
				if !yield(Data{X: x, Y: y}, nil) {
					return
				}
				if epoch == 1 && !yield(c.bad, c.err) {
					return
				}
				yield(Data{X: x, Y: y}, nil)
			}
		}
		want := NewNetwork(t, 3, BatchNorm{}, Dense{Units: 2})
		got := want.Clone()
		Value(want.TrainBatches(t.Context(), func(epoch int) iter.Seq2[Data, error] {
			return cut(mat.DenseCopyOf(stack(x, x, epoch)), mat.DenseCopyOf(stack(y, y, epoch)), nil, 4)(epoch)
		}, TrainConfig{LearningRate: 0.1, Epochs: 2}))(t)
		h, err := got.TrainBatches(t.Context(), batches, TrainConfig{LearningRate: 0.1, Epochs: 3})
		Fails(t, err, "backprop: TrainBatches: epoch 1, batch 1: "+c.want)
		if errors.Is(err, broken) != (c.err != nil) || h == nil || h.Stopped != StopFailed || len(h.Epochs) != 1 || !ended {
			t.Errorf("%v: history %+v, sequence ended: %v", err, h, ended)
		}
		StateOf(want).MustEqual(t, got)
	}
}

// stack is a above b, or a alone in epoch 1.
func stack(a, b *mat.Dense, epoch int) *mat.Dense {
	if epoch == 1 {
		return a
	}
	var m mat.Dense
	m.Stack(a, b)
	return &m
}

func TestASequenceThatCannotBeUsedIsAnError(t *testing.T) {
	x, y := Pattern(4, 3), Pattern(4, 2)
	train := func(change func(c *TrainConfig), batches Batches, layers ...Layer) error {
		net := NewNetwork(t, 3, append(layers, Dense{Units: 2})...)
		before := StateOf(net)
		c := TrainConfig{LearningRate: 0.1, Epochs: 2}
		if change != nil {
			change(&c)
		}
		_, err := net.TrainBatches(t.Context(), batches, c)
		before.MustEqual(t, net)
		return err
	}
	none := func(int) iter.Seq2[Data, error] { return func(func(Data, error) bool) {} }
	Fails(t, train(nil, nil), "backprop: TrainBatches: batches is nil, want a function")
	Fails(t, train(nil, none), "backprop: TrainBatches: epoch 0: the sequence has no batches")
	Fails(t, train(nil, cut(x, y, nil, 2), Standardize{}),
		"backprop: TrainBatches: Standardize has learnt nothing of the data yet; Adapt lets it")
	Fails(t, train(func(c *TrainConfig) { c.BatchSize = 2 }, none), "backprop: TrainBatches: BatchSize is 2, want 0, as the sequence has its own")
	Fails(t, train(func(c *TrainConfig) { c.SampleWeights = []float64{1} }, none),
		"backprop: TrainBatches: SampleWeights is given, want those of each batch's Data")
	Fails(t, train(func(c *TrainConfig) { c.Epochs = 0 }, none), "backprop: TrainBatches: Epochs is 0, want 1 or more")
	var net *Network
	_, err := net.TrainBatches(t.Context(), none, TrainConfig{})
	Fails(t, err, "backprop: TrainBatches: the network has no layers; New makes one")
}

// An endless stream is cut into epochs by the function, and cancelled within a batch.
func TestAnEndlessStreamIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	given := 0
	endless := func(int) iter.Seq2[Data, error] {
		return func(yield func(Data, error) bool) {
			for {
				if given++; given == 5 {
					cancel()
				}
				if !yield(Data{X: Pattern(2, 3), Y: Pattern(2, 1)}, nil) {
					return
				}
			}
		}
	}
	h, err := NewNetwork(t, 3, Dense{Units: 1}).TrainBatches(ctx, endless, TrainConfig{LearningRate: 0.1, Epochs: 1})
	if !errors.Is(err, context.Canceled) || h.Stopped != StopCancelled || given != 5 {
		t.Errorf("%v, %v after %d batches", err, h.Stopped, given)
	}
}

// What the stream costs does not grow with what it holds.
func TestATrainingFromASequenceHoldsOneBatch(t *testing.T) {
	train := func(batches int) int {
		net := NewNetwork(t, 50, Dense{Units: 20, Activation: ReLU}, Dense{Units: 1})
		x, y := Pattern(64, 50), Pattern(64, 1)
		return BytesAllocated(func() {
			Value(net.TrainBatches(t.Context(), func(int) iter.Seq2[Data, error] {
				return func(yield func(Data, error) bool) {
					for range batches {
						if !yield(Data{X: x, Y: y}, nil) {
							return
						}
					}
				}
			}, TrainConfig{LearningRate: 0.01, Epochs: 2}))(t)
		})
	}
	few, many := train(4), train(4000)
	if many > few+4000*2*200 { // a name for errors is made for each batch
		t.Errorf("%d bytes for 4 batches, %d for 4000", few, many)
	}
}

// Sizes may differ from batch to batch and from epoch to epoch.
func TestBatchesOfASequenceMayGrow(t *testing.T) {
	x, y := Pattern(40, 3), Pattern(40, 1)
	net := NewNetwork(t, 3, Dense{Units: 300, Activation: ReLU}, Dropout{Rate: 0.1}, Dense{Units: 300}, Dense{Units: 1})
	h := Value(net.TrainBatches(t.Context(), func(epoch int) iter.Seq2[Data, error] {
		return cut(x, y, nil, 3+5*epoch)(epoch)
	}, TrainConfig{LearningRate: 0.01, Epochs: 9}))(t)
	if first, last := h.Epochs[0].Loss, h.Epochs[8].Loss; !(last < first) {
		t.Error(fmt.Sprint("the loss goes from ", first, " to ", last))
	}
}

// A batch norm that is frozen works as in inference, so that it takes a single sample.
func TestASequenceMayGiveSingleSamplesToAFrozenBatchNorm(t *testing.T) {
	net := NewNetwork(t, 3, BatchNorm{}, Dense{Units: 1})
	config := TrainConfig{LearningRate: 0.1, Epochs: 1, Freeze: []int{0}}
	Value(net.TrainBatches(t.Context(), cut(Pattern(5, 3), Pattern(5, 1), nil, 2), config))(t)
}

// A sequence that gives up because the context has ended has not failed.
func TestACancelledSequenceIsACancelledTraining(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	batches := func(int) iter.Seq2[Data, error] {
		return func(yield func(Data, error) bool) {
			cancel()
			yield(Data{}, ctx.Err())
		}
	}
	h, err := NewNetwork(t, 3, Dense{Units: 1}).TrainBatches(ctx, batches, TrainConfig{LearningRate: 0.1, Epochs: 1})
	Fails(t, err, "backprop: TrainBatches: cancelled in epoch 0: context canceled")
	if h.Stopped != StopCancelled {
		t.Errorf("stopped because %v", h.Stopped)
	}
}

// A batch all of whose weights are 0 moves nothing, from memory and from a sequence.
func TestABatchOfNoWeightIsNoError(t *testing.T) {
	x, y, weights := Pattern(6, 3), Pattern(6, 1), []float64{0, 0, 1, 2, 2, 1}
	want := NewNetwork(t, 3, Dense{Units: 1})
	got := want.Clone()
	h := Value(want.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 2, BatchSize: 2, NoShuffle: true, SampleWeights: weights}))(t)
	h2 := Value(got.TrainBatches(t.Context(), cut(x, y, weights, 2), TrainConfig{LearningRate: 0.1, Epochs: 2}))(t)
	StateOf(want).MustEqual(t, got)
	SameHistory(t, h2, h)
}

// A loss that cannot be used is found before a checkpoint is written that would be in the way.
func TestALossThatCannotBeUsedIsFoundBeforeTheSequence(t *testing.T) {
	config := TrainConfig{LearningRate: 0.1, Epochs: 1, Loss: Huber{Delta: -1}, Checkpoint: t.TempDir() + "/c"}
	net, batches := NewNetwork(t, 3, Dense{Units: 1}), cut(Pattern(4, 3), Pattern(4, 1), nil, 2)
	_, err := net.TrainBatches(t.Context(), batches, config)
	Fails(t, err, "backprop: TrainBatches: Huber Delta is -1, want a finite number above 0")
	config.Loss = CrossEntropy
	_, err = net.TrainBatches(t.Context(), batches, config)
	Fails(t, err, "backprop: TrainBatches: CrossEntropy takes what a Softmax gives, and the last layer ends with Identity; set its Activation to Softmax, or choose another loss")
	config.Loss = Huber{}
	Value(net.TrainBatches(t.Context(), batches, config))(t)
}

func TestASequenceThatIsNilIsAnError(t *testing.T) {
	_, err := NewNetwork(t, 3, Dense{Units: 1}).TrainBatches(t.Context(), func(int) iter.Seq2[Data, error] { return nil },
		TrainConfig{LearningRate: 0.1, Epochs: 1})
	Fails(t, err, "backprop: TrainBatches: epoch 0: the sequence is nil, want one of batches")
}

// A terminal is shown how many batches are done, though nobody knows of how many.
func TestASequenceShowsItsProgress(t *testing.T) {
	terminal := Value(os.OpenFile(os.DevNull, os.O_WRONLY, 0))(t)
	defer terminal.Close()
	Value(NewNetwork(t, 3, Dense{Units: 1}).TrainBatches(t.Context(), cut(Pattern(4, 3), Pattern(4, 1), nil, 2),
		TrainConfig{LearningRate: 0.1, Epochs: 2, Progress: terminal}))(t)
}
