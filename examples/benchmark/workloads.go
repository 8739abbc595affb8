package main

import (
	"context"
	"log"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// A workload is a network and its training, or its prediction.
type workload struct {
	title  string
	data   *data
	net    *backprop.Network // with the initial parameters
	config config            // with the epochs of one run; without them it is a prediction
	calls  int               // of a prediction, in one run
	best   []result          // the fastest run of each side
}

type data struct{ x, y *mat.Dense }

type config = backprop.TrainConfig

// A table is workloads in the order of their rows, those with the same data together.
type table []*workload

func (t *table) add(title string, d *data, c config, layers ...backprop.Layer) {
	rows, inputs := d.x.Dims()
	net, err := backprop.New(inputs, layers...)
	if err != nil {
		log.Fatalf("%s: %v", title, err)
	}
	*t = append(*t, &workload{title: title, data: d, net: net, config: c, calls: 10000 / rows})
}

var activations = []backprop.Activation{backprop.ReLU, backprop.Tanh, backprop.Sigmoid, backprop.LeakyReLU{},
	backprop.ELU{}, backprop.SELU, backprop.GELU, backprop.SiLU, backprop.Softplus}

var optimizers = []struct {
	name   string
	config config
}{
	{"gradient descent", config{}},
	{"momentum", config{Optimizer: &backprop.SGD{Momentum: 0.9}}},
	{"Nesterov", config{Optimizer: &backprop.SGD{Momentum: 0.9, Nesterov: true}}},
	{"RMSProp", config{Optimizer: &backprop.RMSProp{}}},
	{"AdaGrad", config{Optimizer: &backprop.AdaGrad{}}},
	{"Adam", config{Optimizer: &backprop.Adam{}}},
	{"AdamW", config{Optimizer: &backprop.Adam{}, WeightDecay: 0.01}},
}

// workloads are all rows of the table.
func workloads() (t table) {
	t.addLarge()
	t.addSmall()
	t.addOptions()
	return t
}

func dense(units int, f backprop.Activation) backprop.Layer {
	return backprop.Dense{Units: units, Activation: f}
}

var softmax = dense(10, backprop.Softmax)

func (t *table) addLarge() {
	t.add("1797×64, 64-64(ReLU)-10, batch 32, Adam: an epoch", clusters(1797, 64, 10),
		config{LearningRate: 1e-3, Epochs: 10, BatchSize: 32, Optimizer: &backprop.Adam{}},
		dense(64, backprop.ReLU), softmax)
	mnist, relu128 := clusters(12800, 784, 10), dense(128, backprop.ReLU)
	for _, o := range optimizers {
		o.config.LearningRate, o.config.Epochs, o.config.BatchSize = 1e-4, 2, 64
		t.add("12800×784, 784-128(ReLU)-10, batch 64, "+o.name+": an epoch", mnist, o.config, relu128, softmax)
	}
	wide := dense(1024, backprop.ReLU)
	t.add("2048×512, 512-1024-1024(ReLU)-10, batch 256, gradient descent: an epoch", clusters(2048, 512, 10),
		config{LearningRate: 1e-2, Epochs: 2, BatchSize: 256}, wide, wide, softmax)
	deep := clusters(1024, 64, 10)
	narrow := []backprop.Layer{backprop.Dense{Units: 64, Activation: backprop.Tanh, Init: backprop.Orthogonal}}
	t.add("1024×64, 100 hidden layers of 64 tanh, batch 32, gradient descent: an epoch", deep,
		config{LearningRate: 1e-2, Epochs: 3, BatchSize: 32}, append(slices.Repeat(narrow, 100), softmax)...)
	t.add("1024×64, 1000 hidden layers of 64 tanh, batch 32, gradient descent: an epoch", deep,
		config{LearningRate: 1e-2, Epochs: 1, BatchSize: 32}, append(slices.Repeat(narrow, 1000), softmax)...)
	t.add("784-128(ReLU)-10, forward of 1000 samples", clusters(1000, 784, 10), config{}, relu128, softmax)
}

func (t *table) addSmall() {
	tanh := func(units int) backprop.Layer { return dense(units, backprop.Tanh) }
	xor := &data{mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1}), mat.NewDense(4, 1, []float64{0, 1, 1, 0})}
	t.add("XOR 2-4-1, gradient descent: an epoch", xor, config{LearningRate: 1, Epochs: 4000, Loss: backprop.MSE},
		dense(4, backprop.Sigmoid), dense(1, backprop.Sigmoid))
	t.add("24-8(tanh)-2, all of 200 samples, gradient descent: an epoch", clusters(200, 24, 2),
		config{LearningRate: 1e-2, Epochs: 1000}, tanh(8), dense(2, nil))
	t.add("4-32-16(tanh)-4, all of 10,000 samples, Adam: an epoch", clusters(10000, 4, 4),
		config{LearningRate: 1e-3, Epochs: 20, Optimizer: &backprop.Adam{}}, tanh(32), tanh(16), dense(4, nil))
	t.add("2-8(tanh)-1, forward of 1 sample", clusters(1, 2, 1), config{}, tanh(8), dense(1, nil))
	t.add("16-64-64(tanh)-1, forward of 1 sample", clusters(1, 16, 1), config{},
		tanh(64), tanh(64), dense(1, nil))
	t.add("784-128(ReLU)-10, forward of 1 sample", clusters(1, 784, 10), config{}, dense(128, backprop.ReLU), softmax)
}

// addOptions adds what a network may have, one after the other.
func (t *table) addOptions() {
	samples := clusters(6400, 784, 10)
	add := func(name string, c config, layers ...backprop.Layer) {
		c.LearningRate, c.Epochs, c.BatchSize = 1e-3, 1, 128
		t.add("6400×784, batch 128, "+name+": an epoch", samples, c, layers...)
	}
	const net = "784-256-256-10, "
	for _, f := range activations {
		add(net+f.String(), config{}, dense(256, f), dense(256, f), softmax)
	}
	relu, affine := dense(256, backprop.ReLU), backprop.Dense{Units: 256, NoBias: true}
	norm, drop := backprop.BatchNorm{Activation: backprop.ReLU}, backprop.Dropout{Rate: 0.5}
	add(net+"batch norm", config{}, affine, norm, affine, norm, softmax)
	add(net+"dropout 0.5", config{}, relu, drop, relu, drop, softmax)
	add(net+"standardize", config{}, backprop.Standardize{}, relu, relu, softmax)
	for _, o := range optimizers[1:] {
		add(net+o.name, o.config, relu, relu, softmax)
	}
	add(net+"AdamW clipped", config{Optimizer: &backprop.Adam{}, WeightDecay: 0.01, ClipNorm: 1}, relu, relu, softmax)
	add(net+"L2 clamped", config{L2: 1e-4, ClipValue: 0.5}, relu, relu, softmax)
	add(net+"MSE", config{Loss: backprop.MSE}, relu, relu, dense(10, nil))
	add(net+"MAE", config{Loss: backprop.MAE}, relu, relu, dense(10, nil))
	add(net+"Huber", config{Loss: backprop.Huber{}}, relu, relu, dense(10, nil))
	affine.Units = 512 // the best network of examples/mnist
	add("784-512-512-10, batch norm, dropout, AdamW", config{Optimizer: &backprop.Adam{}, WeightDecay: 0.01},
		backprop.Dropout{Rate: 0.2}, affine, norm, drop, affine, norm, drop, softmax)
}

// clusters draws each sample from a normal distribution around the centre of its class.
func clusters(rows, inputs, classes int) *data {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := mat.NewDense(rows, inputs, nil), mat.NewDense(rows, classes, nil)
	x.Apply(func(i, j int, v float64) float64 { return rng.NormFloat64() / 2 }, x)
	for i := range rows {
		class := i % classes
		x.Set(i, class, x.At(i, class)+2)
		y.Set(i, class, 1)
	}
	return &data{x, y}
}

// run trains or predicts once, on our side.
func (w *workload) run() (r result, err error) {
	net := w.net.Clone()
	if o, ok := w.config.Optimizer.(backprop.Stateful); ok {
		o.SetState(nil) // as new
	}
	runtime.GC()
	if w.config.Epochs > 0 {
		h, err := net.Train(context.Background(), w.data.x, w.data.y, w.config)
		if err != nil {
			return r, err
		}
		return result{Seconds: h.Elapsed.Seconds(), First: h.Epochs[0].Loss, Last: h.Epochs[w.config.Epochs-1].Loss}, nil
	}
	var p mat.Dense
	start := time.Now()
	for range w.calls {
		if err := net.PredictTo(&p, w.data.x); err != nil {
			return r, err
		}
	}
	r.Seconds = time.Since(start).Seconds()
	r.Last, err = net.Loss(w.data.x, w.data.y, nil)
	return r, err
}
