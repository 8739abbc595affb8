// Command mnist learns to read the handwritten digits of MNIST (Y. LeCun, C. Cortes and C. Burges).
//
//	go run ./examples/mnist -data DIR
//	go run ./examples/mnist -data DIR -best -seeds 3
//	go run ./examples/mnist -data DIR -distort -seeds 3
//
// DIR holds the four files of MNIST, plain or gzipped. The first is a hidden layer of 128 units and
// misreads 2.5 % of the test images after five epochs. The second is two of 512, and misreads
// 1.26 %. The third learns from images that are distorted anew in every epoch, reads each test
// image in 16 distorted copies, and misreads 0.54 %. (The last two are means of the seeds 0 to 2.)
// The pixels take 0.5 GB of memory.
//
// -seeds 3 trains three networks and tells the mean. With -validate they learn from the first
// 50,000 training images and are tested on the last 10,000, so that something can be chosen without
// a look at the test images.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"example.com/backprop"
	"example.com/backprop/examples/internal/mnist"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("data", "", "the `folder` that holds the four files of MNIST, plain or gzipped")
	best := flag.Bool("best", false, "train by the best recipe for images as they are")
	distort := flag.Bool("distort", false, "train on images that are distorted anew in every epoch")
	epochs := flag.Int("epochs", 0, "passes over the training images; 0 means as many as the recipe has")
	seeds := flag.Int("seeds", 1, "how many networks to train, each from the next seed")
	validate := flag.Bool("validate", false, "test on the last sixth of the training images, train on the others")
	flag.Parse()
	recipe := plain
	switch {
	case *best && *distort:
		log.Fatal("mnist: -best and -distort are two recipes, want one of them")
	case *best:
		recipe = bestKnown
	case *distort:
		recipe = distorted
	}
	training, test, err := load(*dir, *validate)
	if err == nil {
		_, err = run(os.Stdout, os.Stderr, training, test, recipe, *epochs, *seeds)
	}
	if err != nil {
		log.Fatal("mnist: ", err)
	}
}

// A recipe is a network and how it is trained.
type recipe struct {
	layers []backprop.Layer
	config backprop.TrainConfig
	warp   func(epoch int) warp // how images are distorted, epoch by epoch; nil means not at all
}

// plain is one hidden layer of 128 units.
func plain(epochs int) recipe {
	return recipe{
		layers: []backprop.Layer{
			backprop.Dense{Units: 128, Activation: backprop.ReLU},
			backprop.Dense{Units: mnist.Classes, Activation: backprop.Softmax},
		},
		config: backprop.TrainConfig{
			LearningRate: 1e-3,
			Optimizer:    &backprop.Adam{},
			Epochs:       cmp.Or(epochs, 5),
			BatchSize:    64,
		},
	}
}

// bestKnown is regularized by dropout of pixels and units. Adam with WeightDecay is AdamW.
func bestKnown(epochs int) recipe {
	epochs = cmp.Or(epochs, 40)
	return recipe{
		layers: []backprop.Layer{
			backprop.Dropout{Rate: 0.2},
			backprop.Dense{Units: 512, NoBias: true},
			backprop.BatchNorm{Activation: backprop.ReLU},
			backprop.Dropout{Rate: 0.5},
			backprop.Dense{Units: 512, NoBias: true},
			backprop.BatchNorm{Activation: backprop.ReLU},
			backprop.Dropout{Rate: 0.5},
			backprop.Dense{Units: mnist.Classes, Activation: backprop.Softmax},
		},
		config: backprop.TrainConfig{
			LearningRate: 2e-3,
			Optimizer:    &backprop.Adam{},
			Schedule:     backprop.CosineDecay{Epochs: epochs},
			WeightDecay:  0.01,
			Epochs:       epochs,
			BatchSize:    128,
		},
	}
}

// distorted needs no dropout, for no image comes twice. The distortions become weaker from epoch to
// epoch, so that what is learnt last is much like the images as they are.
func distorted(epochs int) recipe {
	epochs = cmp.Or(epochs, 30)
	return recipe{
		layers: []backprop.Layer{
			backprop.Dense{Units: 800, NoBias: true},
			backprop.BatchNorm{Activation: backprop.ReLU},
			backprop.Dense{Units: 800, NoBias: true},
			backprop.BatchNorm{Activation: backprop.ReLU},
			backprop.Dense{Units: mnist.Classes, Activation: backprop.Softmax},
		},
		config: backprop.TrainConfig{
			LearningRate: 2e-3,
			Optimizer:    &backprop.Adam{},
			Schedule:     backprop.CosineDecay{Epochs: epochs},
			Epochs:       epochs,
		},
		warp: func(epoch int) warp {
			s := 1 - 0.8*float64(epoch)/float64(max(1, epochs-1))
			return warp{Scale: s * 0.15, Shear: s * 0.15, Angle: s * 15, Shift: s, Elastic: s * 34}
		},
	}
}

// load reads what to train and what to test on.
func load(dir string, validate bool) (training, test backprop.Data, err error) {
	if dir == "" {
		return training, test, fmt.Errorf("-data is missing, want the folder of the data\n%s", mnist.Sources)
	}
	if training, test, err = mnist.Load(dir); err != nil || !validate {
		return training, test, err
	}
	x, y := training.X.(*mat.Dense), training.Y.(*mat.Dense)
	rows, _ := x.Dims()
	part := func(lo, hi int) backprop.Data {
		return backprop.Data{X: x.Slice(lo, hi, 0, mnist.Side*mnist.Side), Y: y.Slice(lo, hi, 0, mnist.Classes)}
	}
	return part(0, rows*5/6), part(rows*5/6, rows), nil
}

// run trains networks, each by a recipe of its own, whose optimizer remembers nothing of the last
// one, and returns the share of the test images that they misread in the mean.
func run(w, progress io.Writer, training, test backprop.Data, recipe func(epochs int) recipe, epochs, seeds int) (misread float64, err error) {
	if seeds < 1 {
		return 0, fmt.Errorf("-seeds is %d, want 1 or more", seeds)
	}
	all := make([]float64, seeds)
	for seed := range all {
		r, start := recipe(epochs), time.Now()
		net, err := r.train(training, uint64(seed), progress)
		if err != nil {
			return 0, err
		}
		if seed == 0 {
			fmt.Fprintln(w, net)
		}
		p, err := r.read(net, test.X)
		if err != nil {
			return 0, err
		}
		accuracy, err := backprop.Accuracy(p, test.Y)
		if err != nil {
			return 0, err
		}
		all[seed] = 1 - accuracy
		fmt.Fprintf(w, "seed %d: %.2f %% misread after %d epochs and %.0f s\n", seed, 100*all[seed], r.config.Epochs, time.Since(start).Seconds())
	}
	mean := stat.Mean(all, nil)
	if seeds > 1 {
		fmt.Fprintf(w, "mean of %d: %.2f %% misread\n", seeds, 100*mean)
	}
	return mean, nil
}

// train trains a network from a seed.
func (r recipe) train(images backprop.Data, seed uint64, progress io.Writer) (*backprop.Network, error) {
	net, err := backprop.New(mnist.Side*mnist.Side, r.layers...)
	if err != nil {
		return nil, err
	}
	net.Init(seed)
	r.config.Seed, r.config.Progress = seed, progress
	if r.warp == nil {
		_, err = net.Train(context.Background(), images.X, images.Y, r.config)
	} else {
		_, err = net.TrainBatches(context.Background(), distortions(images, seed, r.warp), r.config)
	}
	return net, err
}

// read predicts which digits are shown. A network that has learnt from distorted images reads them
// distorted as in its last epoch.
func (r recipe) read(net *backprop.Network, images mat.Matrix) (*mat.Dense, error) {
	if r.warp == nil {
		return net.Predict(images)
	}
	return readCopies(net, images.(*mat.Dense), r.warp(r.config.Epochs-1))
}
