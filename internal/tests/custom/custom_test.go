// Package custom_test holds that what users write themselves, layers, activations, losses and
// optimizers, works like what the library brings along.
package custom_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

func TestUserMadeLossAndActivationWorkLikeTheBuiltInOnes(t *testing.T) {
	x, y := Pattern(20, 2), Pattern(20, 2)
	config := TrainConfig{LearningRate: 0.1, Epochs: 20, BatchSize: 6, Loss: MSE}
	want := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2})
	Value(want.Train(t.Context(), x, y, config))(t)
	net := NewNetwork(t, 2, Dense{Units: 3, Activation: Wrong{Activation: Tanh, K: 1}}, Dense{Units: 2}) // times 1 is right
	config.Loss = Squared{}
	Value(net.Train(t.Context(), x, y, config))(t)
	EqualTo(t, "parameters", net.Params(), want.Params(), 1e-12)
}

// A user's type that embeds one of the package's keeps its own methods: they are not passed over
// for what the package can do faster.
func TestUserMadeMethodsWinOverEmbeddedOnes(t *testing.T) {
	x, y := Pattern(9, 2), Pattern(9, 3)
	train := func(f Activation, l Loss, o Optimizer) []float64 {
		net := NewNetwork(t, 2, Dense{Units: 3, Activation: f, Init: HeNormal}, Dense{Units: 3})
		Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 5, Loss: l, Optimizer: o}))(t)
		return net.Params()
	}
	SameBits(t, "activation", train(embedsELU{}, MSE, nil), train(UnitLength{}, MSE, nil))
	SameBits(t, "loss", train(Tanh, embedsHuber{}, nil), train(Tanh, Weighted{}, nil))
	SameBits(t, "optimizer", train(Tanh, MSE, &embedsAdam{}), train(Tanh, MSE, Still{}))
}

// A layer that embeds one of the package's is a layer of the user's own.
type renamed struct{ Layer }

func TestALayerThatEmbedsOneTrainsAsThatOne(t *testing.T) {
	x, y := Pattern(9, 2), Pattern(9, 1)
	train := func(hidden Layer) []float64 {
		net := NewNetwork(t, 2, hidden, Dense{Units: 1})
		copy(net.Params(), Pattern(1, len(net.Params())).RawMatrix().Data)
		Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 5, BatchSize: 4}))(t)
		return slices.Concat(net.Params(), Predict(t, net, x))
	}
	for _, l := range []Layer{Dense{Units: 3, Activation: Tanh}, BatchNorm{Activation: Sigmoid}, Dropout{Rate: 0.5}} {
		SameBits(t, fmt.Sprintf("%T", l), train(renamed{l}), train(l))
	}
	_, err := New(2, renamed{Standardize{}}, Dense{Units: 1})
	Fails(t, err, "backprop: New: layer 0: a Standardize within it could not learn, want it first in the network")
	_, err = New(2, Dense{Units: 1}, renamed{Unstandardize{}})
	Fails(t, err, "backprop: New: layer 1: an Unstandardize within it could not learn, want it last in the network")
}

// With a layer of one's own at the end, the loss still goes by the stage behind it: in closed form,
// so that nothing is lost where Softmax or Sigmoid is saturated.
func TestTheLossTakesTheActivationOfALayerOfOnesOwn(t *testing.T) {
	for _, c := range []struct {
		f Activation
		y *mat.Dense
	}{{Softmax, ClassTargets(6, 3)}, {Sigmoid, Probabilities(6, 3)}} {
		train := func(last Layer) []float64 {
			net := NewNetwork(t, 2, last)
			copy(net.Params(), Pattern(1, 9).RawMatrix().Data)
			floats.Scale(500, net.Params())
			config := TrainConfig{LearningRate: 0.1, Epochs: 2}
			h := Value(net.Train(t.Context(), Pattern(6, 2), c.y, config))(t)
			return append(net.Params(), h.Epochs[0].Loss, h.Epochs[1].Loss)
		}
		d := Dense{Units: 3, Activation: c.f}
		SameBits(t, c.f.String(), train(renamed{d}), train(d))
	}
}

// What a layer of one's own gives is its business: it may be probabilities by any name.
func TestALayerOfOnesOwnMayGiveProbabilities(t *testing.T) {
	net := NewNetwork(t, 2, renamed{Dense{Units: 3, Activation: Softplus}})
	Value(net.Loss(Pattern(6, 2), ClassTargets(6, 3), CrossEntropy))(t)
}

func TestRegisteredActivationNamesAreUnique(t *testing.T) {
	f := Named(fmt.Sprint("test ", rand.Uint64())) // new when the test runs again
	NoError(t, RegisterActivation(f))
	Fails(t, RegisterActivation(f), fmt.Sprintf("backprop: RegisterActivation: the name %q is taken", f))
}

func TestUserMadeOptimizerWorksLikeTheBuiltInOne(t *testing.T) {
	train := func(o Optimizer) []float64 {
		net := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 1})
		Value(net.Train(t.Context(), Pattern(9, 2), Pattern(9, 1), TrainConfig{LearningRate: 0.1, Epochs: 5, BatchSize: 4, Optimizer: o, ClipNorm: 1, L2: 0.01}))(t)
		return net.Params()
	}
	var v []float64
	own := StepFunc(func(params, grad []float64, eta float64) {
		if v == nil {
			v = make([]float64, len(grad))
		}
		for i, g := range grad {
			v[i] = 0.9*v[i] + g
			params[i] -= eta * v[i]
		}
	})
	EqualTo(t, "Momentum", train(own), train(&SGD{Momentum: 0.9}), 1e-13)
	plain := StepFunc(func(params, grad []float64, eta float64) {
		for i, g := range grad {
			params[i] -= eta * g
		}
	})
	EqualTo(t, "gradient descent", train(plain), train(nil), 1e-13)
}

// What embeds a type of the package, and does something else.
type (
	embedsELU   struct{ ELU }
	embedsHuber struct{ Huber }
	embedsAdam  struct{ Adam }
)

func (embedsELU) Forward(a, z []float64) { UnitLength{}.Forward(a, z) }

func (embedsELU) Backward(dz, da, z, a []float64) { UnitLength{}.Backward(dz, da, z, a) }

func (embedsHuber) Value(a, y []float64) float64 { return Weighted{}.Value(a, y) }

func (embedsHuber) Gradient(da, a, y []float64) { Weighted{}.Gradient(da, a, y) }

func (*embedsAdam) Step(params, grad []float64, eta float64) {}
