// Command transfer learns the digits 5 to 9 from few samples, once from scratch and once with what
// a network has learnt of the digits 0 to 4: its layers but the last are taken over and frozen, and
// a new last layer is trained behind them. On images as small as these nothing is lost by it and
// nothing won but work: the hidden layer serves both halves of the digits, and a fourteenth of the
// parameters is trained.
//
//	go run ./examples/transfer
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

const classes = 5 // in each half of the digits

func main() {
	log.SetFlags(0)
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("transfer: %q is not used; no argument is", flag.Arg(0))
	}
	for _, samples := range []int{5, 10, 50} {
		if _, _, err := run(os.Stdout, samples, 10); err != nil {
			log.Fatal("transfer: ", err)
		}
	}
}

// run tells the mean accuracy on held-out digits 5 to 9 after training on so many of each, over
// several seeds.
func run(w io.Writer, samples, seeds int) (scratch, transferred float64, err error) {
	a, b := make([]float64, seeds), make([]float64, seeds)
	for seed := range a {
		if a[seed], b[seed], err = compare(samples, uint64(seed)); err != nil {
			return 0, 0, err
		}
	}
	scratch, transferred = stat.Mean(a, nil), stat.Mean(b, nil)
	fmt.Fprintf(w, "%2d samples of each digit: from scratch %.1f %%, with a frozen trunk %.1f %%\n", samples, 100*scratch, 100*transferred)
	return scratch, transferred, nil
}

func compare(samples int, seed uint64) (scratch, transferred float64, err error) {
	training, test, err := digits.Split(0.25, seed)
	if err != nil {
		return 0, 0, err
	}
	low, high, held := pick(training, 0, 1<<30), pick(training, classes, samples), pick(test, classes, 1<<30)

	old, err := backprop.New(64, layers()...)
	if err != nil {
		return 0, 0, err
	}
	old.Init(seed)
	if _, err := fit(old, low, held, nil); err != nil {
		return 0, 0, err
	}

	net, err := backprop.New(64, layers()...)
	if err != nil {
		return 0, 0, err
	}
	net.Init(seed + 1000)
	fresh := net.Clone()
	if scratch, err = fit(fresh, high, held, nil); err != nil {
		return 0, 0, err
	}
	trunk, err := old.Slice(0, 2)
	if err != nil {
		return 0, 0, err
	}
	copy(net.Params(), trunk.Params()) // which come first
	mean, variance := net.Statistics(0)
	oldMean, oldVariance := trunk.Statistics(0)
	copy(mean, oldMean)
	copy(variance, oldVariance)
	transferred, err = fit(net, high, held, []int{0, 1})
	return scratch, transferred, err
}

func layers() []backprop.Layer {
	return []backprop.Layer{
		backprop.Standardize{},
		backprop.Dense{Units: 512, Activation: backprop.ReLU},
		backprop.Dense{Units: classes, Activation: backprop.Softmax},
	}
}

// pick returns at most so many samples of each of five digits, from first on.
func pick(d backprop.Data, first, most int) backprop.Data {
	labels, counts := backprop.Classes(d.Y), make([]int, 10)
	var x []float64
	var y []int
	for i, digit := range labels {
		if digit -= first; digit >= 0 && digit < classes && counts[digit] < most {
			counts[digit]++
			x, y = append(x, mat.Row(nil, i, d.X)...), append(y, digit)
		}
	}
	targets, _ := backprop.OneHot(y, classes) // no error of labels below classes
	return backprop.Data{X: mat.NewDense(len(y), 64, x), Y: targets}
}

// fit trains a network and returns its accuracy on held-out samples.
func fit(net *backprop.Network, training, held backprop.Data, frozen []int) (accuracy float64, err error) {
	_, err = net.Train(context.Background(), training.X, training.Y, backprop.TrainConfig{
		LearningRate: 3e-3, Optimizer: &backprop.Adam{}, Epochs: 60, BatchSize: 16, Freeze: frozen})
	if err != nil {
		return 0, err
	}
	p, err := net.Predict(held.X)
	if err != nil {
		return 0, err
	}
	return backprop.Accuracy(p, held.Y)
}
