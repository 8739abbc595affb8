package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// A workload is a network and its training, or its prediction, on data drawn from a fixed seed.
type workload struct {
	Name    string // also the name of its files
	Title   string
	Inputs  int
	Layers  []backprop.Layer
	Rows    int
	Batch   int                                 // samples a step; all of them are not shuffled
	Epochs  int                                 // in a round; 0 for a prediction
	Calls   int                                 // of a prediction, in a round
	Rate    float64                             // η
	Adam    bool                                // else gradient descent
	Draw    func(w *workload) (x, y *mat.Dense) // the data
	Small   bool                                // of the table of small networks
	Workers bool                                // also measured with two workers

	// Of an option.
	Data                     string               // the name of the files of the data; "" means Name
	Config                   backprop.TrainConfig // what else there is
	Modules, Optimizer, Clip string               // the same for PyTorch

	x, y   *mat.Dense
	net    *backprop.Network
	params []float64 // the initial ones
}

// The workloads, in the order of the tables.
var workloads = append([]*workload{
	{
		Name: "digits", Title: "1797×64, 64-64(ReLU)-10, batch 32, Adam: an epoch",
		Inputs: 64, Layers: classifier(backprop.ReLU, 0, 64), Rows: 1797, Batch: 32, Epochs: 10, Rate: 1e-3, Adam: true, Draw: clusters,
	},
	{
		Name: "mnist", Title: "12800×784, 784-128(ReLU)-10, batch 64, gradient descent: an epoch",
		Inputs: 784, Layers: classifier(backprop.ReLU, 0, 128), Rows: 12800, Batch: 64, Epochs: 2, Rate: 1e-2, Draw: clusters,
		Workers: true,
	},
	{
		Name: "mnist-adam", Title: "the same, Adam: an epoch",
		Inputs: 784, Layers: classifier(backprop.ReLU, 0, 128), Rows: 12800, Batch: 64, Epochs: 2, Rate: 1e-4, Adam: true, Draw: clusters,
		Workers: true,
	},
	{
		Name: "wide", Title: "2048×512, 512-1024-1024(ReLU)-10, batch 256, gradient descent: an epoch",
		Inputs: 512, Layers: classifier(backprop.ReLU, 0, 1024, 1024), Rows: 2048, Batch: 256, Epochs: 2, Rate: 1e-2, Draw: clusters,
		Workers: true,
	},
	{
		Name: "deep", Title: "1024×64, 100 hidden layers of 64 tanh, batch 32, gradient descent: an epoch",
		Inputs: 64, Layers: classifier(backprop.Tanh, backprop.Orthogonal, repeat(64, 100)...), Rows: 1024, Batch: 32, Epochs: 10, Rate: 1e-2, Draw: clusters,
	},
	{
		Name: "deeper", Title: "the same, 1000 hidden layers: an epoch",
		Inputs: 64, Layers: classifier(backprop.Tanh, backprop.Orthogonal, repeat(64, 1000)...), Rows: 1024, Batch: 32, Epochs: 2, Rate: 1e-2, Draw: clusters,
	},
	{
		Name: "thousand", Title: "784-128(ReLU)-10, forward of 1000 samples",
		Inputs: 784, Layers: classifier(backprop.ReLU, 0, 128), Rows: 1000, Batch: 1000, Calls: 10, Draw: clusters,
	},
	{
		Name: "xor", Title: "XOR 2-4-1, gradient descent: an epoch", Small: true,
		Inputs: 2, Layers: dense(backprop.Sigmoid, backprop.Sigmoid, 4, 1), Rows: 4, Batch: 4, Epochs: 4000, Rate: 1, Draw: xor,
	},
	{
		Name: "gradient", Title: "24-8(tanh)-2, all of 200 samples, gradient descent: an epoch", Small: true,
		Inputs: 24, Layers: dense(backprop.Tanh, nil, 8, 2), Rows: 200, Batch: 200, Epochs: 1000, Rate: 1e-2, Draw: waves,
	},
	{
		Name: "batch", Title: "4-32-16(tanh)-4, all of 10,000 samples, Adam: an epoch", Small: true,
		Inputs: 4, Layers: dense(backprop.Tanh, nil, 32, 16, 4), Rows: 10000, Batch: 10000, Epochs: 20, Rate: 1e-3, Adam: true, Draw: waves,
		Workers: true,
	},
	{
		Name: "two", Title: "2-8(tanh)-1, forward of 1 sample", Small: true,
		Inputs: 2, Layers: dense(backprop.Tanh, nil, 8, 1), Rows: 1, Batch: 1, Calls: 3000, Draw: waves,
	},
	{
		Name: "sixteen", Title: "16-64-64(tanh)-1, forward of 1 sample", Small: true,
		Inputs: 16, Layers: dense(backprop.Tanh, nil, 64, 64, 1), Rows: 1, Batch: 1, Calls: 3000, Draw: waves,
	},
	{
		Name: "one", Title: "784-128(ReLU)-10, forward of 1 sample", Small: true,
		Inputs: 784, Layers: classifier(backprop.ReLU, 0, 128), Rows: 1, Batch: 1, Calls: 3000, Draw: clusters,
	},
}, options()...)

// dense has the given numbers of units, the last ones being the outputs.
func dense(hidden, output backprop.Activation, units ...int) (layers []backprop.Layer) {
	for _, n := range units {
		layers = append(layers, backprop.Dense{Units: n, Activation: hidden})
	}
	layers[len(layers)-1] = backprop.Dense{Units: units[len(units)-1], Activation: output}
	return layers
}

// classifier has ten classes behind hidden layers.
func classifier(f backprop.Activation, init backprop.Initializer, hidden ...int) (layers []backprop.Layer) {
	for _, n := range hidden {
		layers = append(layers, backprop.Dense{Units: n, Activation: f, Init: init})
	}
	return append(layers, backprop.Dense{Units: 10, Activation: backprop.Softmax})
}

func repeat(n, times int) []int {
	s := make([]int, times)
	for i := range s {
		s[i] = n
	}
	return s
}

func xor(*workload) (x, y *mat.Dense) {
	return mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1}), mat.NewDense(4, 1, []float64{0, 1, 1, 0})
}

// clusters draws each sample from a normal distribution around the centre of its class.
func clusters(w *workload) (x, y *mat.Dense) {
	rng := rand.New(rand.NewPCG(1, 2))
	const classes = 10
	centres := mat.NewDense(classes, w.Inputs, nil)
	centres.Apply(func(i, j int, v float64) float64 { return 0.2 * rng.NormFloat64() }, centres)
	x, y = mat.NewDense(w.Rows, w.Inputs, nil), mat.NewDense(w.Rows, classes, nil)
	for i := range w.Rows {
		class := rng.IntN(classes)
		y.Set(i, class, 1)
		row := x.RawRowView(i)
		for j, c := range centres.RawRowView(class) {
			row[j] = c + 0.5*rng.NormFloat64()
		}
	}
	return x, y
}

// waves are normal inputs and the sines of their sums, one output shifted against the next.
func waves(w *workload) (x, y *mat.Dense) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y = mat.NewDense(w.Rows, w.Inputs, nil), mat.NewDense(w.Rows, w.Layers[len(w.Layers)-1].(backprop.Dense).Units, nil)
	x.Apply(func(i, j int, v float64) float64 { return rng.NormFloat64() }, x)
	y.Apply(func(i, j int, v float64) float64 { return math.Sin(mat.Sum(x.RowView(i)) + float64(j)) }, y)
	return x, y
}

// prepare draws the data and makes the network.
func (w *workload) prepare() error {
	w.x, w.y = w.Draw(w)
	net, err := backprop.New(w.Inputs, w.Layers...)
	if err != nil {
		return err
	}
	w.net, w.params = net, append([]float64(nil), net.Params()...)
	return nil
}

// loss is that of the training: the tutorial's XOR has squares, a classifier what belongs to its
// softmax.
func (w *workload) loss() (name string, l backprop.Loss) {
	switch output := w.Layers[len(w.Layers)-1].(backprop.Dense); {
	case output.Activation == backprop.Softmax:
		return "CrossEntropy", backprop.CrossEntropy
	case w.Config.Loss == backprop.MAE:
		return "L1", backprop.MAE
	case w.Config.Loss == backprop.Huber{}:
		return "Huber", backprop.Huber{}
	}
	return "MSE", backprop.MSE
}

// A result is what one round of a workload gives.
type result struct {
	Seconds     float64
	First, Last float64 // mean losses of the first and the last epoch; of the prediction, Last
}

// run is one round of our own side, from the initial parameters.
func (w *workload) run() (r result, err error) {
	copy(w.net.Params(), w.params)
	runtime.GC()
	if w.Epochs == 0 {
		return w.predict()
	}
	_, loss := w.loss()
	config := w.Config
	config.LearningRate, config.Epochs, config.BatchSize, config.Loss = w.Rate, w.Epochs, w.Batch, loss
	if w.Adam {
		config.Optimizer = &backprop.Adam{}
	} else if o, ok := config.Optimizer.(backprop.Stateful); ok {
		o.SetState(nil) // as new
	}
	h, err := w.net.Train(context.Background(), w.x, w.y, config)
	if err != nil {
		return r, err
	}
	r.Seconds = h.Elapsed.Seconds()
	r.First, r.Last = h.Epochs[0].Loss, h.Epochs[w.Epochs-1].Loss
	return r, nil
}

func (w *workload) predict() (r result, err error) {
	var p mat.Dense
	start := time.Now()
	for range w.Calls {
		if err := w.net.PredictTo(&p, w.x); err != nil {
			return r, err
		}
	}
	r.Seconds = time.Since(start).Seconds()
	r.Last, err = w.net.Loss(w.x, w.y, nil)
	return r, err
}

// order is the order in which Train takes the samples in each epoch, with seed 0. That the losses
// agree shows that it is.
func (w *workload) order() (order []int64) {
	for epoch := range w.Epochs {
		o := make([]int64, w.Rows)
		for i := range o {
			o[i] = int64(i)
		}
		rng := rand.New(rand.NewPCG(0, uint64(epoch)))
		rng.Shuffle(len(o), func(i, j int) { o[i], o[j] = o[j], o[i] })
		order = append(order, o...)
	}
	return order
}

// save writes what the peers need to dir, all in little-endian: NAME.x, NAME.y and NAME.params as
// float64, NAME.order as int64. It returns the workload's description.
func (w *workload) save(dir string) (json.RawMessage, error) {
	shuffle := w.Epochs > 0 && w.Batch < w.Rows
	data := cmp.Or(w.Data, w.Name)
	files := map[string]any{data + ".x": w.x.RawMatrix().Data, data + ".y": w.y.RawMatrix().Data, w.Name + ".params": w.params}
	if shuffle {
		files[data+".order"] = w.order()
	}
	for name, data := range files {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil { // the options share their data
			continue
		}
		b, err := binary.Append(nil, binary.LittleEndian, data)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return nil, err
		}
	}
	loss, _ := w.loss()
	optimizer := "SGD"
	if w.Adam {
		optimizer = "Adam"
	}
	var units []int
	var activations []string
	for _, l := range w.Layers {
		if l, ok := l.(backprop.Dense); ok && w.Modules == "" {
			units, activations = append(units, l.Units), append(activations, fmt.Sprint(cmp.Or(l.Activation, backprop.Identity)))
		}
	}
	return json.Marshal(map[string]any{
		"dir": dir, "name": w.Name, "inputs": w.Inputs, "units": units, "activations": activations,
		"rows": w.Rows, "batch": w.Batch, "epochs": w.Epochs, "calls": w.Calls, "shuffle": shuffle,
		"loss": loss, "optimizer": cmp.Or(w.Optimizer, optimizer), "rate": w.Rate,
		"data": data, "outputs": w.y.RawMatrix().Cols, "modules": w.Modules, "clip": w.Clip,
	})
}
