// Package lab is what the playground computes: the data, the training, and one step of
// backpropagation by its numbers. It is plain Go; the folder wasm hands it to the page.
package lab

import (
	"strconv"
	"strings"

	"example.com/backprop"
)

// Settings are all that can be chosen, by their names in the page's address. The form of the page
// gives them, and says what each of them may be.
type Settings map[string]string

func (s Settings) number(name string) float64 {
	v, _ := strconv.ParseFloat(s[name], 64)
	return v
}

// list is a setting of none or more, with commas between them.
func (s Settings) list(name string) []string {
	return strings.FieldsFunc(s[name], func(c rune) bool { return c == ',' })
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

// layers are the layers of the network, each with dropout before it and batch norm behind it.
func (s Settings) layers() (layers []backprop.Layer) {
	activation, init := activations[s["activation"]], initializers[s["init"]]
	dropout := backprop.Dropout{} // of the network's inputs: none
	for _, units := range s.list("layers") {
		n, _ := strconv.Atoi(units)
		layer := backprop.Sequential{dropout, backprop.Dense{Units: n, Init: init, Activation: activation}}
		if s["norm"] == "batch" {
			dense := backprop.Dense{Units: n, Init: init, NoBias: true}
			layer = backprop.Sequential{dropout, dense, backprop.BatchNorm{Activation: activation}}
		}
		layers = append(layers, layer)
		dropout.Rate = s.number("dropout")
	}
	output := backprop.Dense{Units: 1, Activation: backprop.Sigmoid}
	if s.regression() {
		output.Activation = backprop.Identity
	}
	return append(layers, backprop.Sequential{dropout, output})
}
