package training_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// The context is cancelled from inside a batch: the batch under way is the last.
func TestCancellationEndsTrainingWithinABatch(t *testing.T) {
	x, y := Pattern(20, 2), Pattern(20, 1)
	for name, c := range map[string]struct {
		arrange func(cancel func(), config *TrainConfig)
		steps   int // of 4 an epoch
		epochs  int
	}{
		"before the first batch": {func(cancel func(), _ *TrainConfig) { cancel() }, 0, 0},
		"in batch 2 of epoch 1": {func(cancel func(), config *TrainConfig) {
			config.Loss = &Counting{Loss: MSE, Then: map[int]func(){20 + 2*5 + 3: cancel}}
		}, 4 + 3, 1},
		"in OnEpoch": {func(cancel func(), config *TrainConfig) {
			config.OnEpoch = func(e Epoch) error { cancel(); return nil }
		}, 4, 1},
		"in the schedule of epoch 2": {func(cancel func(), config *TrainConfig) {
			config.Schedule = ScheduleFunc(func(base float64, history []Epoch) float64 {
				if len(history) == 2 {
					cancel()
				}
				return base
			})
		}, 8, 2},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			net := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1})
			steps := 0
			config := TrainConfig{LearningRate: 0.01, Epochs: 1000, BatchSize: 5, Loss: MSE,
				Optimizer: StepFunc(func(params, grad []float64, eta float64) {
					steps++
					params[0] += eta
				})}
			start := net.Params()[0]
			c.arrange(cancel, &config)
			h, err := net.Train(ctx, x, y, config)
			Fails(t, err, fmt.Sprintf("backprop: Train: cancelled in epoch %d: context canceled", c.epochs))
			if !errors.Is(err, context.Canceled) {
				t.Error("the error does not wrap context.Canceled")
			}
			if steps != c.steps || len(h.Epochs) != c.epochs || h.Stopped != StopCancelled {
				t.Errorf("%d steps, %d epochs, %q, want %d, %d", steps, len(h.Epochs), h.Stopped, c.steps, c.epochs)
			}
			EqualTo(t, "what was learnt", net.Params()[:1], []float64{start + 0.01*float64(steps)}, 1e-14)
			Value(net.Predict(x))(t)
			config.Epochs, config.OnEpoch, config.Schedule, config.Loss = 1, nil, nil, MSE
			Value(net.Train(t.Context(), x, y, config))(t)
		})
	}
}

func TestDeadlineIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		net := NewNetwork(t, 2, Dense{Units: 1})
		h, err := net.Train(ctx, Pattern(3, 2), Pattern(3, 1), TrainConfig{LearningRate: 0.01, Epochs: 1000,
			Loss: &Counting{Loss: MSE, Every: func() { time.Sleep(time.Second) }}}) // the bubble's second
		if !errors.Is(err, context.DeadlineExceeded) || len(h.Epochs) != 4 {
			t.Errorf("%v after %d epochs of three seconds, want the deadline's error after 4", err, len(h.Epochs))
		}
	})
}

// In each case a loss, a gradient or a parameter leaves the finite numbers. The network is to hold
// the parameters of the beginning of the epoch in which the loss was last seen finite.
func TestDivergenceKeepsTheParametersOfTheBestEpoch(t *testing.T) {
	x, y := Pattern(6, 2), Pattern(6, 1)
	poison := func(step, parameter int, v float64) Optimizer { // in one step of many
		n := 0
		return StepFunc(func(params, grad []float64, eta float64) {
			for i, g := range grad {
				params[i] -= eta * g
			}
			if n++; n == step {
				params[parameter] = v
			}
		})
	}
	relu := []Layer{Dense{Units: 3, Activation: ReLU}, Dense{Units: 1}}
	for name, c := range map[string]struct {
		layers       []Layer
		change       func(*TrainConfig)
		epoch, batch int // where it shows
		kept         int // the epoch at whose beginning the parameters were as they are to be
	}{
		// One step with ∂L/∂θ of about 1 overflows.
		"overflow in the very last epoch": {relu, func(c *TrainConfig) {
			c.Epochs, c.LearningRate, c.BatchSize = 1, 1e308, 0
			c.Loss = scaledLoss{1e3}
		}, 0, 0, 0},
		"a user's loss gives NaN": {relu, func(c *TrainConfig) {
			loss := &Counting{Loss: MSE}
			loss.Then = map[int]func(){2*6 + 3: func() { loss.Result = math.NaN() }}
			c.Loss = loss
		}, 2, 1, 2},
		"a user's loss gives infinity in the first batch of an epoch": {relu, func(c *TrainConfig) {
			loss := &Counting{Loss: MSE}
			loss.Then = map[int]func(){2*6 + 1: func() { loss.Result = math.Inf(1) }}
			c.Loss = loss
		}, 2, 0, 1},
		"a user's gradient gives NaN": {relu, func(c *TrainConfig) { c.Loss = nanGradient{} }, 0, 1, 0},
		"clipping meets a NaN":        {relu, func(c *TrainConfig) { c.Loss, c.ClipNorm = nanGradient{}, 1 }, 0, 0, 0},
		"NaN in a weight":             {relu, func(c *TrainConfig) { c.Optimizer = poison(5, 0, math.NaN()) }, 1, 2, 1},
		"ReLU hides −Inf in the last step": {relu, func(c *TrainConfig) {
			c.Optimizer, c.Epochs = poison(6, 6, math.Inf(-1)), 2 // parameter 6 is a bias
		}, 1, 2, 1},
		"ReLU hides −Inf for two batches": {relu, func(c *TrainConfig) {
			c.Optimizer = poison(4, 6, math.Inf(-1))
		}, 1, 2, 1},
		"an activation hides NaN": {[]Layer{Dense{Units: 3, Activation: nanIsZero{}}, Dense{Units: 1}}, func(c *TrainConfig) {
			c.Optimizer = poison(7, 0, math.NaN())
		}, 2, 2, 2},
		"only the validation loss overflows": {[]Layer{Dense{Units: 1}}, func(c *TrainConfig) {
			c.Validation = Data{X: mat.NewDense(1, 2, []float64{1e200, -1e200}), Y: mat.NewDense(1, 1, nil)}
		}, 0, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			net := NewNetwork(t, 2, c.layers...)
			begins := [][]float64{slices.Clone(net.Params())} // the parameters at the beginning of each epoch
			config := TrainConfig{LearningRate: 0.1, Epochs: 50, BatchSize: 2, Loss: MSE, OnEpoch: func(Epoch) error {
				begins = append(begins, slices.Clone(net.Params()))
				return nil
			}}
			c.change(&config)
			h, err := net.Train(t.Context(), x, y, config)
			Fails(t, err, fmt.Sprintf("backprop: Train: epoch %d, batch %d: loss or gradient is not finite; "+
				"the network holds the parameters of its best epoch so far; try a smaller LearningRate, ClipNorm, Standardize or BatchNorm", c.epoch, c.batch))
			if !errors.Is(err, ErrDiverged) || h.Stopped != StopDiverged || len(h.Epochs) != c.epoch {
				t.Errorf("%v, %q after %d epochs", err, h.Stopped, len(h.Epochs))
			}
			SameBits(t, "parameters", net.Params(), begins[c.kept])
			Value(net.Loss(x, y, MSE))(t) // is an error unless it is finite
		})
	}
}

func TestHugeLearningRateDiverges(t *testing.T) {
	for _, optimizer := range []Optimizer{nil, &SGD{Momentum: 0.9}, &RMSProp{}, &Adam{}, &AdaGrad{}} {
		t.Run(fmt.Sprintf("%T", optimizer), func(t *testing.T) {
			net := NewNetwork(t, 2, Dense{Units: 3}, Dense{Units: 1})
			x, y := Pattern(6, 2), Pattern(6, 1)
			h, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e100, Epochs: 1000, BatchSize: 2, Optimizer: optimizer})
			if !errors.Is(err, ErrDiverged) {
				t.Fatalf("%v after %d epochs, want ErrDiverged", err, len(h.Epochs))
			}
			NoNaN(t, "parameters", net.Params())
			Value(net.Loss(x, y, nil))(t)
			if o, ok := optimizer.(Stateful); ok && len(o.State()) != 0 {
				t.Error("the optimizer remembers the training that diverged")
			}
			_, err = net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1e-3, Epochs: 2, Optimizer: optimizer})
			NoError(t, err)
		})
	}
}

func TestOnEpochEndsTraining(t *testing.T) {
	full := errors.New("the disk is full")
	for name, c := range map[string]struct{ returned, wrapped error }{
		"ErrStop":         {ErrStop, nil},
		"ErrStop wrapped": {fmt.Errorf("enough: %w", ErrStop), nil},
		"another error":   {full, full},
	} {
		t.Run(name, func(t *testing.T) {
			net := NewNetwork(t, 1, Dense{Units: 1})
			h, err := net.Train(t.Context(), Pattern(3, 1), Pattern(3, 1), TrainConfig{LearningRate: 0.1, Epochs: 9,
				OnEpoch: func(e Epoch) error {
					if e.N == 2 {
						return c.returned
					}
					return nil
				}})
			if !errors.Is(err, c.wrapped) || len(h.Epochs) != 3 || h.Stopped != StopOnEpoch {
				t.Errorf("%v, %q after %d epochs", err, h.Stopped, len(h.Epochs))
			}
			if c.wrapped != nil {
				Fails(t, err, "backprop: Train: OnEpoch failed after epoch 2: the disk is full")
			}
		})
	}
}

// A network y = w·x on the one sample x = 1, y = 0 has the loss w² and the gradient 2w, and the
// optimizer sets w as a script says.
func scripted(t *testing.T, start float64, script []float64, config TrainConfig) (*Network, *History) {
	t.Helper()
	net := NewNetwork(t, 1, Dense{Units: 1, NoBias: true})
	net.Params()[0] = start
	step := 0
	config.Optimizer = StepFunc(func(params, grad []float64, eta float64) {
		params[0] = script[step]
		step++
	})
	config.LearningRate = 1
	config.NoShuffle = true
	rows := max(1, config.BatchSize*len(script)/max(1, config.Epochs))
	if config.BatchSize == 0 {
		rows = 1
	}
	ones := mat.NewDense(rows, 1, slices.Repeat([]float64{1}, rows))
	zeros := mat.NewDense(rows, 1, nil)
	if config.Patience > 0 {
		config.Validation = Data{X: ones, Y: zeros}
	}
	return net, Value(net.Train(t.Context(), ones, zeros, config))(t)
}

func TestPatienceRestoresTheBestParameters(t *testing.T) {
	script := []float64{3, 2, 1, 2, 1, 4, 9, 9, 9}
	net, h := scripted(t, 5, script, TrainConfig{Epochs: 9, Patience: 3})
	// The lowest validation loss comes after epoch 2; the equal one after epoch 4 is not lower.
	if h.Best != 2 || len(h.Epochs) != 6 || h.Stopped != StopPatience {
		t.Errorf("best %d of %d epochs, %q, want 2 of 6", h.Best, len(h.Epochs), h.Stopped)
	}
	EqualTo(t, "w", net.Params(), []float64{1}, 0)
	EqualTo(t, "validation loss", []float64{h.Epochs[2].ValidationLoss}, []float64{1}, 0)
	// They are restored too if the epochs or the target end it.
	net, h = scripted(t, 5, []float64{3, 1, 2}, TrainConfig{Epochs: 3, Patience: 3})
	if h.Best != 1 || h.Stopped != StopEpochs || net.Params()[0] != 1 {
		t.Errorf("best %d, %q, w = %v", h.Best, h.Stopped, net.Params()[0])
	}
}

func TestWithoutPatienceTheLastParametersStay(t *testing.T) {
	net, h := scripted(t, 5, []float64{3, 1, 2, 4}, TrainConfig{Epochs: 4})
	// The losses, taken before the updates, are 25, 9, 1 and 4.
	if h.Best != 2 || h.Stopped != StopEpochs || net.Params()[0] != 4 {
		t.Errorf("best %d, %q, w = %v, want 2, all epochs and 4", h.Best, h.Stopped, net.Params()[0])
	}
}

func TestPatienceRestoresTheStatisticsToo(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 3, NoBias: true}, BatchNorm{Activation: Tanh}, Dense{Units: 1})
	x, y := Pattern(12, 2), Pattern(12, 1)
	var states []State
	h := Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.5, Epochs: 30, BatchSize: 4, Patience: 2,
		Validation: Data{X: Pattern(9, 2), Y: Probabilities(9, 1)},
		OnEpoch:    func(Epoch) error { states = append(states, StateOf(net)); return nil }}))(t)
	if h.Stopped != StopPatience || h.Best == len(h.Epochs)-1 {
		t.Fatalf("the case does not stop by patience: %q", h.Stopped)
	}
	states[h.Best].MustEqual(t, net)
}

func TestTargetLossEndsTraining(t *testing.T) {
	_, h := scripted(t, 5, []float64{3, 2, 1, 0}, TrainConfig{Epochs: 4, TargetLoss: 4}) // losses 25, 9, 4, 1
	if len(h.Epochs) != 3 || h.Stopped != StopTarget || h.Best != 2 {
		t.Errorf("%q after %d epochs, best %d, want the target after 3", h.Stopped, len(h.Epochs), h.Best)
	}
}

// A step breaks the parameters, and training is cancelled before the loss shows it.
func TestCancellationBehindABrokenStepKeepsTheParametersOfTheBestEpoch(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 1})
	before := StateOf(net)
	broken := StepFunc(func(params, grad []float64, eta float64) { params[1] = math.NaN() })
	_, err := net.Train(&Countdown{Context: t.Context(), Left: 1}, Pattern(4, 2), Pattern(4, 1), TrainConfig{LearningRate: 0.1, Epochs: 1, BatchSize: 1, Optimizer: broken})
	Fails(t, err, "backprop: Train: cancelled in epoch 0: context canceled")
	before.MustEqual(t, net)
}

// A running variance overflows where the loss stays finite.
func TestAnInfiniteRunningVarianceIsDivergence(t *testing.T) {
	net := NewNetwork(t, 1, BatchNorm{}, Dense{Units: 1})
	before := StateOf(net)
	_, err := net.Train(t.Context(), ScaledMatrix(Pattern(4, 1), 1e160), Pattern(4, 1), TrainConfig{LearningRate: 0.1, Epochs: 2})
	if !errors.Is(err, ErrDiverged) {
		t.Error(err)
	}
	before.MustEqual(t, net)
}

// nanIsZero is the identity, but for a NaN.
type nanIsZero struct{ Named }

func (nanIsZero) Forward(a, z []float64) {
	for i, v := range z {
		if a[i] = v; math.IsNaN(v) {
			a[i] = 0
		}
	}
}

type scaledLoss struct{ k float64 }

func (l scaledLoss) Value(a, y []float64) float64 { return l.k * Squared{}.Value(a, y) }

func (l scaledLoss) Gradient(da, a, y []float64) {
	Squared{}.Gradient(da, a, y)
	for i := range da {
		da[i] *= l.k
	}
}

type nanGradient struct{ Squared }

func (nanGradient) Gradient(da, a, y []float64) {
	for i := range da {
		da[i] = math.NaN()
	}
}
