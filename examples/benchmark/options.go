package main

import (
	"fmt"
	"sync"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// A torch is what an option is in PyTorch, in Python: what stands behind a hidden layer, the
// optimizer of W and b, all weights and all other parameters, and what is done to the gradients of
// p, all of them, before its step.
type torch struct{ front, bias, behind, optimizer, clip string }

// option is 784-256-256-10 on 6,400 samples, batch 128, with something other than ReLU, softmax and
// gradient descent, each hidden layer being the given ones.
func option(title string, hidden []backprop.Layer, c backprop.TrainConfig, t torch) *workload {
	layers := append(append([]backprop.Layer{}, hidden...), hidden...)
	if t.front != "" {
		layers = append([]backprop.Layer{backprop.Standardize{}}, layers...)
	}
	output := backprop.Dense{Units: 10, Activation: backprop.Softmax}
	if c.Loss != nil {
		output.Activation = nil
	}
	if t.optimizer == "" {
		t.optimizer = "optim.SGD(W + b, lr=1e-3)"
	}
	return &workload{
		Name: title, Title: title, Data: "options", Inputs: 784, Layers: append(layers, output), Rows: 6400, Batch: 128,
		Epochs: 1, Rate: 1e-3, Config: c, Draw: optionsData, Optimizer: t.optimizer, Clip: t.clip,
		Modules: fmt.Sprintf("%s nn.Linear(784, 256%[2]s), %[3]s, nn.Linear(256, 256%[2]s), %[3]s, nn.Linear(256, 10)", t.front, t.bias, t.behind),
	}
}

var drawn = sync.OnceValue(func() (d backprop.Data) {
	d.X, d.Y = clusters(&workload{Inputs: 784, Rows: 6400})
	return d
})

func optionsData(*workload) (x, y *mat.Dense) { return drawn().X.(*mat.Dense), drawn().Y.(*mat.Dense) }

func hidden(f backprop.Activation, behind ...backprop.Layer) []backprop.Layer {
	return append([]backprop.Layer{backprop.Dense{Units: 256, Activation: f}}, behind...)
}

func options() []*workload {
	type config = backprop.TrainConfig
	relu, norm := hidden(backprop.ReLU), []backprop.Layer{backprop.Dense{Units: 256, NoBias: true}, backprop.BatchNorm{Activation: backprop.ReLU}}
	const decay = "[{'params': W, 'weight_decay': %v}, {'params': b, 'weight_decay': 0}], lr=1e-3)"
	return []*workload{
		option("ReLU", relu, config{}, torch{behind: "nn.ReLU()"}),
		option("tanh", hidden(backprop.Tanh), config{}, torch{behind: "nn.Tanh()"}),
		option("sigmoid", hidden(backprop.Sigmoid), config{}, torch{behind: "nn.Sigmoid()"}),
		option("leaky ReLU", hidden(backprop.LeakyReLU{}), config{}, torch{behind: "nn.LeakyReLU()"}),
		option("ELU", hidden(backprop.ELU{}), config{}, torch{behind: "nn.ELU()"}),
		option("SELU", hidden(backprop.SELU), config{}, torch{behind: "nn.SELU()"}),
		option("GELU", hidden(backprop.GELU), config{}, torch{behind: "nn.GELU()"}),
		option("SiLU", hidden(backprop.SiLU), config{}, torch{behind: "nn.SiLU()"}),
		option("softplus", hidden(backprop.Softplus), config{}, torch{behind: "nn.Softplus()"}),
		option("batch norm", norm, config{}, torch{bias: ", bias=False", behind: "nn.BatchNorm1d(256), nn.ReLU()"}),
		option("dropout 0.5", hidden(backprop.ReLU, backprop.Dropout{Rate: 0.5}), config{}, torch{behind: "nn.ReLU(), nn.Dropout(0.5)"}),
		option("standardize", relu, config{}, torch{front: "Standardize(),", behind: "nn.ReLU()"}),
		option("momentum", relu, config{Optimizer: &backprop.SGD{Momentum: 0.9}},
			torch{behind: "nn.ReLU()", optimizer: "optim.SGD(W + b, lr=1e-3, momentum=0.9)"}),
		option("RMSProp", relu, config{Optimizer: &backprop.RMSProp{}}, torch{behind: "nn.ReLU()", optimizer: "optim.RMSprop(W + b, lr=1e-3)"}),
		option("Adam", relu, config{Optimizer: &backprop.Adam{}}, torch{behind: "nn.ReLU()", optimizer: "optim.Adam(W + b, lr=1e-3)"}),
		option("AdaGrad", relu, config{Optimizer: &backprop.AdaGrad{}}, torch{behind: "nn.ReLU()", optimizer: "optim.Adagrad(W + b, lr=1e-3)"}),
		option("AdamW clipped", relu, config{Optimizer: &backprop.Adam{}, WeightDecay: 0.01, ClipNorm: 1},
			torch{behind: "nn.ReLU()", optimizer: fmt.Sprintf("optim.AdamW("+decay, 0.01), clip: "nn.utils.clip_grad_norm_(p, 1)"}),
		option("L2 clamped", relu, config{L2: 1e-4, ClipValue: 0.5},
			torch{behind: "nn.ReLU()", optimizer: fmt.Sprintf("optim.SGD("+decay, 1e-4), clip: "nn.utils.clip_grad_value_(p, 0.5)"}),
		best(fmt.Sprintf("optim.AdamW("+decay, 0.01)),
		option("MSE", relu, config{Loss: backprop.MSE}, torch{behind: "nn.ReLU()"}),
		option("MAE", relu, config{Loss: backprop.MAE}, torch{behind: "nn.ReLU()"}),
		option("Huber", relu, config{Loss: backprop.Huber{}}, torch{behind: "nn.ReLU()"}),
	}
}

// best is the best network of examples/mnist.
func best(optimizer string) *workload {
	w := &workload{
		Name: "best", Title: "784-512-512-10, batch norm, dropout, AdamW", Data: "options", Inputs: 784, Rows: 6400, Batch: 128,
		Epochs: 1, Rate: 1e-3, Draw: optionsData, Workers: true, Optimizer: optimizer,
		Config: backprop.TrainConfig{Optimizer: &backprop.Adam{}, WeightDecay: 0.01},
	}
	w.Layers, w.Modules = []backprop.Layer{backprop.Dropout{Rate: 0.2}}, "nn.Dropout(0.2), "
	for _, inputs := range []int{784, 512} {
		w.Layers = append(w.Layers, backprop.Dense{Units: 512, NoBias: true}, backprop.BatchNorm{Activation: backprop.ReLU}, backprop.Dropout{Rate: 0.5})
		w.Modules += fmt.Sprintf("nn.Linear(%d, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.5), ", inputs)
	}
	w.Layers = append(w.Layers, backprop.Dense{Units: 10, Activation: backprop.Softmax})
	w.Modules += "nn.Linear(512, 10)"
	return w
}
