package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"example.com/backprop"
	"example.com/backprop/examples/table/columns"
	"gonum.org/v1/gonum/mat"
)

const (
	hidden   = 64  // units of the hidden layer
	share    = 0.2 // of the rows for testing, and of the others for validation
	epochs   = 500 // at most
	patience = 30
)

// learn trains a network on a table, shows what it reaches beside two baselines, and saves it.
func learn(w, progress io.Writer, o options) error {
	s, err := readSheet(o.data)
	if err != nil {
		return err
	}
	t, err := describe(s, o)
	if err != nil {
		return fmt.Errorf("%s: %w", o.data, err)
	}
	training, validation, test, err := split(&t, s, o.seed)
	if err != nil {
		return fmt.Errorf("%s: %w", o.data, err)
	}
	describeTo(w, t, s)
	fmt.Fprintf(w, "%d rows for training, %d for validation, %d for testing\n",
		rowsOf(training), rowsOf(validation), rowsOf(test))
	linear, err := train(t, training, validation, o.seed, nil)
	if err != nil {
		return err
	}
	network, err := train(t, training, validation, o.seed, progress, backprop.Dense{Units: hidden, Activation: backprop.ReLU})
	if err != nil {
		return err
	}
	if err := report(w, t, training, test, linear, network); err != nil {
		return err
	}
	if o.save == "" {
		return nil
	}
	return network.Save(o.save)
}

// split parts the rows by chance. What stands for a missing number is learnt from the rows for
// training alone.
func split(t *columns.Table, s *sheet, seed uint64) (training, validation, test backprop.Data, err error) {
	n := len(s.rows)
	numbers := mat.NewDense(n, 1, nil) // of the rows
	for i := range n {
		numbers.Set(i, 0, float64(i))
	}
	training, test, err = backprop.Data{X: numbers, Y: numbers}.Split(share, seed)
	if err != nil {
		return training, validation, test, err
	}
	training, validation, err = training.Split(share, seed)
	if err != nil {
		return training, validation, test, err
	}
	learnMeans(t, s, indices(training))
	for _, part := range []*backprop.Data{&training, &validation, &test} {
		if *part, err = encode(*t, s, indices(*part)); err != nil {
			break
		}
	}
	return training, validation, test, err
}

// indices are row numbers as integers.
func indices(d backprop.Data) []int {
	rows := make([]int, rowsOf(d))
	for i := range rows {
		rows[i] = int(d.X.At(i, 0))
	}
	return rows
}

func rowsOf(d backprop.Data) int {
	n, _ := d.X.Dims()
	return n
}

// train trains a network with these hidden layers; with none it is a linear model. The table is a
// layer of it, so that the file of the network holds the columns.
func train(t columns.Table, training, validation backprop.Data, seed uint64, progress io.Writer, hidden ...backprop.Layer) (*backprop.Network, error) {
	layers := append([]backprop.Layer{backprop.Standardize{}, t}, hidden...)
	if classes := len(t.Target.Categories); classes > 0 {
		layers = append(layers, backprop.Dense{Units: classes, Activation: backprop.Softmax})
	} else {
		layers = append(layers, backprop.Dense{Units: 1}, backprop.Unstandardize{})
	}
	network, err := backprop.New(t.Width(), layers...)
	if err != nil {
		return nil, err
	}
	network.Init(seed)
	_, err = network.Train(context.Background(), training.X, training.Y, backprop.TrainConfig{
		LearningRate: 3e-3,
		Optimizer:    &backprop.Adam{},
		WeightDecay:  0.01,
		Epochs:       epochs,
		BatchSize:    32,
		Seed:         seed,
		Validation:   validation,
		Patience:     patience,
		Progress:     progress,
	})
	return network, err
}

// rmse is the root of the mean squared error.
func rmse(p, y mat.Matrix) float64 {
	var miss mat.Dense
	miss.Sub(p, y)
	n, _ := miss.Dims()
	return mat.Norm(&miss, 2) / math.Sqrt(float64(n))
}
