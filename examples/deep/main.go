// Command deep trains a plain dense network of 1000 hidden layers on handwritten digits: nothing
// skips a layer, nothing is normalized; what makes it trainable is that its weights begin
// orthogonal. First it shows the gradient's norm layer by layer, for this beginning and for the
// ordinary ones, from which the gradient vanishes or explodes.
//
//	go run ./examples/deep
//	go run ./examples/deep -depth 300 -remedies
//
// The second shows what clipping, Adam and batch norm do without it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"text/tabwriter"
	"time"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const (
	pixels  = 64
	classes = 10
	width   = 64 // units of a hidden layer
	epochs  = 20
)

func main() {
	log.SetFlags(0)
	depth := flag.Int("depth", 1000, "the `number` of hidden layers")
	remedies := flag.Bool("remedies", false, "compare clipping, Adam and batch norm with an orthogonal beginning")
	flag.Parse()
	train, test, err := load()
	if err == nil && *remedies {
		err = compareRemedies(os.Stdout, *depth, train, test)
	} else if err == nil {
		err = run(*depth, train, test)
	}
	if err != nil {
		log.Fatal("deep: ", err)
	}
}

// run shows the gradients and trains from the orthogonal beginning.
func run(depth int, train, test backprop.Data) error {
	if err := compareNorms(os.Stdout, depth, train); err != nil {
		return err
	}
	net, err := plain(depth, orthogonal)
	if err != nil {
		return err
	}
	start := time.Now()
	c := config(depth, epochs)
	c.Progress = os.Stderr
	accuracy, err := fit(net, train, test, c)
	if err != nil {
		return err
	}
	fmt.Printf("%d hidden layers, %v: test accuracy %.1f %% after %.0f s\n",
		depth, orthogonal, 100*accuracy, time.Since(start).Seconds())
	return nil
}

// A beginning is what the hidden layers are and how their weights are drawn.
type beginning struct {
	init       backprop.Initializer
	activation backprop.Activation
	batchNorm  bool
}

func (b beginning) String() string { return fmt.Sprintf("%v %v", b.init, b.activation) }

var (
	// An orthogonal matrix keeps the length of what passes through, forwards and backwards. tanh
	// takes the less away the smaller it is (Saxe et al. 2014; Pennington, Schoenholz and Ganguli
	// 2017).
	orthogonal = beginning{init: backprop.Orthogonal, activation: backprop.Tanh}
	glorot     = beginning{init: backprop.GlorotUniform, activation: backprop.Tanh}
	normalized = beginning{init: backprop.GlorotUniform, activation: backprop.Tanh, batchNorm: true}

	beginnings = []beginning{
		orthogonal,
		glorot,
		{init: backprop.GlorotUniform, activation: backprop.Sigmoid},
		{init: backprop.HeNormal, activation: backprop.ReLU},
		{init: backprop.HeNormal, activation: backprop.Tanh},
		{init: backprop.LeCunNormal, activation: backprop.SELU},
	}
)

// plain makes a network of so many hidden layers.
func plain(depth int, b beginning) (*backprop.Network, error) {
	var layers []backprop.Layer
	for range depth {
		if b.batchNorm {
			layers = append(layers, backprop.Dense{Units: width, Init: b.init}, backprop.BatchNorm{Activation: b.activation})
		} else {
			layers = append(layers, backprop.Dense{Units: width, Init: b.init, Activation: b.activation})
		}
	}
	return backprop.New(pixels, append(layers, backprop.Dense{Units: classes, Activation: backprop.Softmax})...)
}

// config is how the orthogonal beginning is trained. The more layers act one after another, the
// smaller the step that each may take.
func config(depth, epochs int) backprop.TrainConfig {
	return backprop.TrainConfig{
		LearningRate: 0.02 / float64(depth),
		Optimizer:    &backprop.Adam{},
		Schedule:     backprop.CosineDecay{Epochs: epochs},
		ClipNorm:     1,
		Epochs:       epochs,
		BatchSize:    32,
	}
}

// compareNorms prints the gradient's norm in some ten layers, one column a beginning.
func compareNorms(w io.Writer, depth int, s backprop.Data) error {
	norms := make([][]float64, len(beginnings))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "‖gradient‖")
	for i, b := range beginnings {
		net, err := plain(depth, b)
		if err != nil {
			return err
		}
		if norms[i], err = gradientNorms(net, s); err != nil {
			return fmt.Errorf("%v: %w", b, err)
		}
		fmt.Fprintf(t, "\t%v", b.init)
	}
	fmt.Fprint(t, "\nin layer")
	for _, b := range beginnings {
		fmt.Fprintf(t, "\t%v", b.activation)
	}
	for layer := 0; layer <= depth; layer += max(1, depth/10) {
		fmt.Fprintf(t, "\n%d", layer)
		for _, n := range norms {
			fmt.Fprintf(t, "\t%.0e", n[layer])
		}
	}
	fmt.Fprint(t, "\n\n")
	return t.Flush()
}

// gradientNorms is the norm of the loss's gradient by the weights and biases of each layer, over 64
// samples.
func gradientNorms(net *backprop.Network, s backprop.Data) ([]float64, error) {
	_, grad, err := net.Gradient(nil, s.X.(*mat.Dense).Slice(0, 64, 0, pixels), s.Y.(*mat.Dense).Slice(0, 64, 0, classes), nil)
	if err != nil {
		return nil, err
	}
	var norms []float64
	for i := 0; net.Weights(i) != nil; i++ {
		rows, cols := net.Weights(i).Dims()
		n := rows*cols + net.Biases(i).Len()
		norms = append(norms, floats.Norm(grad[:n], 2))
		grad = grad[n:]
	}
	return norms, nil
}

// compareRemedies trains from an ordinary beginning with each remedy and with all of them, and then
// from the orthogonal one with fewer and fewer. Each η is the best of three for 300 layers: 1e-3,
// 1e-2 and 1e-1 for gradient descent, 2e-5, 1e-4 and 1e-3 for Adam.
func compareRemedies(w io.Writer, depth int, train, test backprop.Data) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%d hidden layers\ttraining\tη\ttest accuracy\n", depth)
	for _, r := range []struct {
		training string
		beginning
		adam bool
		clip float64
		eta  float64
	}{
		{"gradient descent", glorot, false, 0, 1e-3},
		{"… with clipping", glorot, false, 1, 1e-3},
		{"… with batch norm", normalized, false, 0, 1e-3},
		{"Adam", glorot, true, 0, 2e-5},
		{"… with clipping and batch norm", normalized, true, 1, 2e-5},
		{"Adam with clipping", orthogonal, true, 1, 2e-5},
		{"gradient descent with clipping", orthogonal, false, 1, 1e-2},
		{"gradient descent", orthogonal, false, 0, 1e-3},
	} {
		net, err := plain(depth, r.beginning)
		if err != nil {
			return err
		}
		c := backprop.TrainConfig{LearningRate: r.eta, ClipNorm: r.clip, Epochs: epochs, BatchSize: 32}
		if r.adam {
			c.Optimizer = &backprop.Adam{}
		}
		accuracy, err := fit(net, train, test, c)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%v\t%s\t%.0e\t%.1f %%\n", r.beginning, r.training, r.eta, 100*accuracy)
	}
	return t.Flush()
}

// load holds out a random quarter of the digits. Pixels are 0 to 1.
func load() (train, test backprop.Data, err error) {
	if train, test, err = digits.Split(0.25, 1); err != nil {
		return train, test, err
	}
	for _, x := range []mat.Matrix{train.X, test.X} {
		x := x.(*mat.Dense)
		x.Scale(1./16, x)
	}
	return train, test, nil
}

// fit trains the network and returns the share of the test images that it reads.
func fit(net *backprop.Network, train, test backprop.Data, c backprop.TrainConfig) (accuracy float64, err error) {
	if _, err := net.Train(context.Background(), train.X, train.Y, c); err != nil {
		return 0, err
	}
	p, err := net.Predict(test.X)
	if err != nil {
		return 0, err
	}
	return backprop.Accuracy(p, test.Y)
}
