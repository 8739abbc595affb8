// Command layers trains networks of layers that are not the library's but its own, in files that can
// be copied: on small handwritten digits 1000 residual blocks with layer normalization and the usual
// initial weights, and on MNIST a convolutional network.
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
	"log"
	"os"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"example.com/backprop/examples/internal/mnist"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("layers: ")
	dir := flag.String("data", "", "the `folder` of MNIST's four files, on which to train the convolutional network")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("%q is not used; only flags are", flag.Arg(0))
	}
	train, test, err := digits.Split(0.25, 1)
	layers, config := residual(1000), residualConfig
	if *dir != "" {
		train, test, err = mnist.Load(*dir)
		layers, config = convolutional(), convolutionalConfig
	}
	check(err)
	config.Progress = os.Stderr
	fmt.Printf("%.2f %% of the test images are read\n", 100*run(layers, config, train, test))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
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
	residualConfig      = backprop.TrainConfig{LearningRate: 1e-3, Epochs: 20, BatchSize: 32}
	convolutionalConfig = backprop.TrainConfig{LearningRate: 2e-3, Epochs: 10, BatchSize: 64}
)

// run trains a network by Adam, with an η that falls to 0 along half a cosine, and returns which
// share of the test images it reads.
func run(layers []backprop.Layer, config backprop.TrainConfig, train, test backprop.Data) (accuracy float64) {
	_, inputs := train.X.Dims()
	net, err := backprop.New(inputs, layers...)
	check(err)
	config.Optimizer, config.Schedule = &backprop.Adam{}, backprop.CosineDecay{Epochs: config.Epochs}
	_, err = net.Train(context.Background(), train.X, train.Y, config)
	check(err)
	p, err := net.Predict(test.X)
	check(err)
	accuracy, err = backprop.Accuracy(p, test.Y)
	check(err)
	return accuracy
}
