// Command layers trains networks of layers that are not the library's but its own, each in a file
// that can be copied: on small handwritten digits 1000 residual blocks with layer normalization,
// whose weights begin the ordinary way, and on those of MNIST a convolutional network.
//
//	go run ./examples/layers
//	go run ./examples/layers -data DIR
//
// DIR holds the four files of MNIST, plain or gzipped. The first reads 97 % of the test images
// after a minute, the second 99.3 % after three.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"time"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"example.com/backprop/examples/internal/mnist"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("data", "", "the `folder` of MNIST's four files, on which to train the convolutional network")
	blocks := flag.Int("blocks", 1000, "the `number` of residual blocks")
	flag.Parse()
	load, layers, config := loadDigits, residual(*blocks), residualConfig
	if *dir != "" {
		load = func() (train, test backprop.Data, err error) { return mnist.Load(*dir) }
		layers, config = convolutional(), convolutionalConfig
	}
	train, test, err := load()
	if err == nil {
		_, err = run(os.Stdout, layers, config, train, test)
	}
	if err != nil {
		log.Fatal("layers: ", err)
	}
}

// residual is the layers of so many blocks for the digits.
func residual(blocks int) []backprop.Layer {
	layers := []backprop.Layer{backprop.Standardize{}, backprop.Dropout{Rate: 0.1}}
	for range blocks {
		layers = append(layers, Residual{backprop.Sequential{
			LayerNorm{},
			backprop.Dense{Units: 64, Activation: backprop.Tanh},
		}})
	}
	return append(layers, LayerNorm{}, backprop.Dense{Units: 10, Activation: backprop.Softmax})
}

// convolutional is the layers of a network for MNIST, after LeNet-5 (LeCun et al. 1998).
func convolutional() []backprop.Layer {
	return []backprop.Layer{
		Conv{Height: 28, Width: 28, Kernel: 5, Filters: backprop.Dense{Units: 16, Activation: backprop.ReLU}},
		MaxPool{Height: 24, Width: 24, Size: 2},
		Conv{Height: 12, Width: 12, Kernel: 5, Filters: backprop.Dense{Units: 32, Activation: backprop.ReLU}},
		MaxPool{Height: 8, Width: 8, Size: 2},
		backprop.Dense{Units: 128, Activation: backprop.ReLU},
		backprop.Dense{Units: mnist.Classes, Activation: backprop.Softmax},
	}
}

// η was chosen by what networks trained on a part of the training images read of the others, for
// the blocks among 1e-4, 3e-4, 1e-3 and 2e-3, for the convolutions among 5e-4, 1e-3 and 2e-3; so
// were tanh against ReLU, dropout and the number of epochs for the blocks.
var (
	residualConfig = backprop.TrainConfig{
		LearningRate: 1e-3,
		Schedule:     backprop.CosineDecay{Epochs: 20},
		Epochs:       20,
		BatchSize:    32,
	}
	convolutionalConfig = backprop.TrainConfig{
		LearningRate: 2e-3,
		Schedule:     backprop.CosineDecay{Epochs: 10},
		Epochs:       10,
		BatchSize:    64,
	}
)

// loadDigits holds out a random quarter of the digits.
func loadDigits() (train, test backprop.Data, err error) {
	x, labels, err := digits.Load()
	if err != nil {
		return train, test, err
	}
	rand.New(rand.NewPCG(1, 0)).Shuffle(len(labels), func(i, j int) {
		labels[i], labels[j] = labels[j], labels[i]
		a, b := x.RawRowView(i), x.RawRowView(j)
		for k := range a {
			a[k], b[k] = b[k], a[k]
		}
	})
	y, err := backprop.OneHot(labels, 10)
	if err != nil {
		return train, test, err
	}
	n, pixels := x.Dims()
	part := func(lo, hi int) backprop.Data {
		return backprop.Data{X: x.Slice(lo, hi, 0, pixels), Y: y.Slice(lo, hi, 0, 10)}
	}
	return part(n/4, n), part(0, n/4), nil
}

// run trains a network by Adam and tells after each epoch which share of the test images it reads,
// and returns the last.
func run(w io.Writer, layers []backprop.Layer, config backprop.TrainConfig, train, test backprop.Data) (accuracy float64, err error) {
	_, inputs := train.X.Dims()
	net, err := backprop.New(inputs, layers...)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(w, "%d layers, %d parameters\n", len(layers), len(net.Params()))
	start := time.Now()
	config.Optimizer = &backprop.Adam{}
	config.OnEpoch = func(e backprop.Epoch) error {
		p, err := net.Predict(test.X)
		if err != nil {
			return err
		}
		accuracy, err = backprop.Accuracy(p, test.Y)
		fmt.Fprintf(w, "epoch %d: loss %.4f, test accuracy %.2f %%, %.0f s\n",
			e.N, e.Loss, 100*accuracy, time.Since(start).Seconds())
		return err
	}
	_, err = net.Train(context.Background(), train.X, train.Y, config)
	return accuracy, err
}
