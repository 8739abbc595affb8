package testutil

import (
	"math"

	"example.com/backprop"
)

// Activations are the package's, those with a parameter with another one too.
var Activations = []backprop.Activation{
	backprop.Identity, backprop.Sigmoid, backprop.Tanh, backprop.ReLU, backprop.GELU, backprop.SiLU, backprop.SELU, backprop.Softplus, backprop.Softmax,
	backprop.LeakyReLU{}, backprop.LeakyReLU{Slope: 0.3}, backprop.ELU{}, backprop.ELU{Alpha: 1.5},
}

// Losses are the package's.
var Losses = []backprop.Loss{backprop.MSE, backprop.MAE, backprop.Huber{}, backprop.Huber{Delta: 0.5}, backprop.BinaryCrossEntropy, backprop.CrossEntropy}

// EveryActivation has also what is hard to write into a file and to read again.
var EveryActivation = []backprop.Activation{
	nil, backprop.Identity, backprop.Sigmoid, backprop.Tanh, backprop.ReLU, backprop.GELU, backprop.SiLU, backprop.SELU, backprop.Softplus, backprop.Softmax,
	backprop.LeakyReLU{}, backprop.LeakyReLU{Slope: 0.2}, backprop.LeakyReLU{Slope: -1.5}, backprop.LeakyReLU{Slope: 1e-300}, backprop.LeakyReLU{Slope: 1.0 / 3},
	backprop.ELU{}, backprop.ELU{Alpha: 0.3}, backprop.ELU{Alpha: 1234567}, backprop.ELU{Alpha: math.Pi},
}

// Optimizers are the package's.
var Optimizers = []backprop.Optimizer{&backprop.SGD{Momentum: 0.9, Nesterov: true}, &backprop.RMSProp{Centered: true, Momentum: 0.5}, &backprop.Adam{}, &backprop.AdaGrad{}}

// Fresh is a new optimizer of the same kind with the same parameters.
func Fresh(o backprop.Optimizer) backprop.Optimizer {
	switch o := o.(type) {
	case *backprop.SGD:
		return &backprop.SGD{Momentum: o.Momentum, Nesterov: o.Nesterov}
	case *backprop.RMSProp:
		return &backprop.RMSProp{Alpha: o.Alpha, Epsilon: o.Epsilon, Momentum: o.Momentum, Centered: o.Centered}
	case *backprop.Adam:
		return &backprop.Adam{Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon}
	case *backprop.AdaGrad:
		return &backprop.AdaGrad{Epsilon: o.Epsilon}
	}
	return o
}
