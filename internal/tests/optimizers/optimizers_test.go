// Package optimizers_test holds what optimizers remember from step to step and from training to
// training, clipping, and the rates of every schedule.
package optimizers_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

func TestOptimizersWorkByHandOnParamsAndGradient(t *testing.T) {
	for _, o := range []func() Optimizer{
		func() Optimizer { return &SGD{} }, func() Optimizer { return &SGD{Momentum: 0.9, Nesterov: true} }, func() Optimizer { return &RMSProp{Centered: true} },
		func() Optimizer { return &Adam{} }, func() Optimizer { return &AdaGrad{} },
	} {
		x, y := Pattern(5, 2), Pattern(5, 1)
		trained := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1})
		Value(trained.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 4, Optimizer: o()}))(t)
		net := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1})
		byHand, grad := o(), []float64(nil)
		for range 4 {
			_, g, err := net.Gradient(grad, x, y, nil)
			NoError(t, err)
			grad = g
			byHand.Step(net.Params(), grad, 0.1)
		}
		SameBits(t, fmt.Sprintf("%T", byHand), net.Params(), trained.Params())
	}
}

func TestOptimizerGoesOnWithItsStateAndAFreshOneStartsAfresh(t *testing.T) {
	x, y := Pattern(9, 2), Pattern(9, 1)
	config := TrainConfig{LearningRate: 0.05, BatchSize: 4, NoShuffle: true}
	train := func(net *Network, o Optimizer, epochs int) []float64 {
		config.Optimizer, config.Epochs = o, epochs
		Value(net.Train(t.Context(), x, y, config))(t)
		return slices.Clone(net.Params())
	}
	for _, o := range Optimizers {
		made := func() *Network { return NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1}) }
		whole := train(made(), Fresh(o), 6)
		net, same := made(), Fresh(o)
		half := train(net, same, 3)
		SameBits(t, fmt.Sprintf("%T in two trainings", o), train(net, same, 3), whole)

		copy(net.Params(), half)
		if slices.Equal(train(net, Fresh(o), 3), whole) {
			t.Errorf("a fresh %T remembers another's steps", o)
		}

		// State and SetState carry it over to a new value.
		net, same = made(), Fresh(o)
		train(net, same, 3)
		state := same.(Stateful).State()
		other := Fresh(o)
		NoError(t, other.(Stateful).SetState(state))
		clear(state) // which is a copy, and was copied
		SameBits(t, fmt.Sprintf("%T taken up", o), train(net, other, 3), whole)
		NoError(t, other.(Stateful).SetState(nil))
		if len(other.(Stateful).State()) != 0 {
			t.Errorf("%T: an empty state does not start afresh", o)
		}
	}
}

func TestStepPanicsWhereTheLengthsDiffer(t *testing.T) {
	for _, o := range Optimizers {
		o := Fresh(o)
		Panics(t, "backprop: Step: 2 parameters and 3 elements of the gradient", func() { o.Step(make([]float64, 2), make([]float64, 3), 1) })
		o.Step(make([]float64, 2), make([]float64, 2), 1)
		n := len(o.(Stateful).State()) - 1
		Panics(t, fmt.Sprintf("backprop: Step: the optimizer remembers %d values of another training, want %d for 4 parameters", n, 2*n),
			func() { o.Step(make([]float64, 4), make([]float64, 4), 1) })
	}
}

// Gradients whose squares leave the range of a float64 are still clipped to c.
func TestClipNormTakesHugeGradients(t *testing.T) {
	net := NewNetwork(t, 1, Dense{Units: 2, NoBias: true})
	copy(net.Params(), []float64{0, 0})
	x, y := mat.NewDense(1, 1, []float64{3e120}), mat.NewDense(1, 2, []float64{-1e60, 1e60})
	h := Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 1, Epochs: 1, ClipNorm: 1}))(t)
	EqualTo(t, "parameters", net.Params(), []float64{-math.Sqrt2 / 2, math.Sqrt2 / 2}, 1e-15)
	EqualTo(t, "norm", []float64{h.Epochs[0].GradNorm}, []float64{3e180 * math.Sqrt2}, 1e-15)
}

// Gradient descent has one way through the library, whoever names it.
func TestSGDWithoutMomentumIsNoOptimizerAtAll(t *testing.T) {
	for name, config := range map[string]TrainConfig{
		"all samples":  {Epochs: 5},
		"mini-batches": {Epochs: 5, BatchSize: 4},
		"penalties":    {Epochs: 5, BatchSize: 4, L2: 0.1, WeightDecay: 0.1, ClipNorm: 1, ClipValue: 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			train := func(o Optimizer) *Network {
				net := NewNetwork(t, 2, Dense{Units: 300, Activation: Tanh}, Dense{Units: 70}, Dense{Units: 1})
				config.LearningRate, config.Optimizer = 0.01, o
				Value(net.Train(t.Context(), Pattern(9, 2), Pattern(9, 1), config))(t)
				return net
			}
			sgd := &SGD{}
			SameBits(t, "parameters", train(sgd).Params(), train(nil).Params())
			if n := len(sgd.State()); n != 0 {
				t.Errorf("it remembers %d values", n)
			}
		})
	}
}
