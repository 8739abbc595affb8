// Package lab is what the playground computes: the data, the training, and one step of
// backpropagation by its numbers. It is plain Go; the folder wasm hands it to the page.
package lab

import (
	"strconv"
	"strings"

	"example.com/backprop"
)

// Settings are all that can be chosen, by their names in the page's address. The form of the page
// says what each of them may be, and gives the layers as the units of each, parted by spaces.
type Settings map[string]string

func (s Settings) number(name string) float64 {
	v, _ := strconv.ParseFloat(s[name], 64)
	return v
}

func (s Settings) regression() bool { return s["data"] == "plane" || s["data"] == "multigauss" }

var activations = map[string]backprop.Activation{
	"tanh": backprop.Tanh, "relu": backprop.ReLU, "sigmoid": backprop.Sigmoid, "identity": backprop.Identity,
	"leakyrelu": backprop.LeakyReLU{}, "elu": backprop.ELU{}, "gelu": backprop.GELU, "silu": backprop.SiLU,
	"selu": backprop.SELU, "softplus": backprop.Softplus,
}

var initializers = map[string]backprop.Initializer{
	"default": 0, "glorotuniform": backprop.GlorotUniform, "glorotnormal": backprop.GlorotNormal,
	"heuniform": backprop.HeUniform, "henormal": backprop.HeNormal, "lecunnormal": backprop.LeCunNormal,
	"orthogonal": backprop.Orthogonal,
}

var optimizers = map[string]func() backprop.Optimizer{
	"sgd":      func() backprop.Optimizer { return &backprop.SGD{} },
	"momentum": func() backprop.Optimizer { return &backprop.SGD{Momentum: 0.9} },
	"nesterov": func() backprop.Optimizer { return &backprop.SGD{Momentum: 0.9, Nesterov: true} },
	"rmsprop":  func() backprop.Optimizer { return &backprop.RMSProp{} },
	"adam":     func() backprop.Optimizer { return &backprop.Adam{} },
	"adagrad":  func() backprop.Optimizer { return &backprop.AdaGrad{} },
}

// blocks are the layers of the network: for each dense one dropout before it, and batch norm.
func (s Settings) blocks() (blocks [][]backprop.Layer) {
	activation, init := activations[s["activation"]], initializers[s["init"]]
	dropout := backprop.Dropout{} // of the network's inputs: none
	for _, text := range strings.Fields(s["layers"]) {
		units, _ := strconv.Atoi(text)
		block := []backprop.Layer{dropout, backprop.Dense{Units: units, Init: init, Activation: activation}}
		if s["norm"] == "batch" {
			dense := backprop.Dense{Units: units, Init: init, NoBias: true}
			block = []backprop.Layer{dropout, dense, backprop.BatchNorm{Activation: activation}}
		}
		blocks = append(blocks, block)
		dropout.Rate = s.number("dropout")
	}
	output := backprop.Dense{Units: 1, Activation: backprop.Sigmoid}
	if s.regression() {
		output.Activation = backprop.Identity
	}
	return append(blocks, []backprop.Layer{dropout, output})
}
