package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"

	"example.com/backprop"
	"example.com/backprop/examples/table/columns"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// learn trains a network on a table, shows what it reaches beside two baselines, and saves it.
func learn(w, progress io.Writer, o options) {
	s, err := readSheet(o.data)
	check(err)
	t, err := s.describe(o)
	check(err)
	n := len(s.rows)
	fmt.Fprintf(w, "%d rows: %v from %v\n", n, t.Target, t.Inputs)
	rand.New(rand.NewPCG(0, 0)).Shuffle(n, func(i, j int) { s.rows[i], s.rows[j] = s.rows[j], s.rows[i] })
	if o.missing == "fill" {
		s.learnFills(t.Inputs, s.rows[2*n/5:]) // which are for training
	}
	x, err := s.encode(t.Inputs)
	check(err)
	y, err := s.encode(columns.List{t.Target})
	check(err)
	test, validation, training := split(x, y)
	linear := train(t, training, validation, nil)
	network := train(t, training, validation, progress, backprop.Dense{Units: 64, Activation: backprop.ReLU})
	report(w, t.Target.Categories, training, test, linear, network)
	if o.save != "" {
		check(network.Save(o.save))
	}
}

// split takes the first fifth of the rows for testing, the next for validation, and the rest for
// training.
func split(x, y *mat.Dense) (test, validation, training backprop.Data) {
	n, inputs := x.Dims()
	_, outputs := y.Dims()
	part := func(lo, hi int) backprop.Data {
		return backprop.Data{X: x.Slice(lo, hi, 0, inputs), Y: y.Slice(lo, hi, 0, outputs)}
	}
	return part(0, n/5), part(n/5, 2*n/5), part(2*n/5, n)
}

// train trains a network with these hidden layers; with none it is a linear model. The table is a
// layer of it, so that the file of the network holds the columns.
func train(t columns.Table, training, validation backprop.Data, progress io.Writer, hidden ...backprop.Layer) *backprop.Network {
	layers := append([]backprop.Layer{backprop.Standardize{}, t}, hidden...)
	if classes := len(t.Target.Categories); classes > 0 {
		layers = append(layers, backprop.Dense{Units: classes, Activation: backprop.Softmax})
	} else {
		layers = append(layers, backprop.Dense{Units: 1}, backprop.Unstandardize{})
	}
	network, err := backprop.New(t.Inputs.Width(), layers...)
	check(err)
	_, err = network.Train(context.Background(), training.X, training.Y, backprop.TrainConfig{
		LearningRate: 3e-3,
		Optimizer:    &backprop.Adam{},
		WeightDecay:  0.01,
		Epochs:       500,
		BatchSize:    32,
		Validation:   validation,
		Patience:     30,
		Progress:     progress,
	})
	check(err)
	return network
}

// report shows how well the rows for testing are predicted by the mean of the targets, which in a
// classification is the largest class, by a linear model and by the network.
func report(w io.Writer, classes []string, training, test backprop.Data, linear, network *backprop.Network) {
	byLinear, err := linear.Predict(test.X)
	check(err)
	byNetwork, err := network.Predict(test.X)
	check(err)
	constant, metric, measure := "mean", "R²", backprop.R2
	if len(classes) > 0 {
		constant, metric, measure = "majority class", "accuracy", backprop.Accuracy
	}
	fmt.Fprintf(w, "\n%-15s %s\n", "on test rows", metric)
	names := []string{constant, "linear model", "network"}
	for i, p := range []*mat.Dense{mean(training, test), byLinear, byNetwork} {
		score, err := measure(p, test.Y)
		check(err)
		fmt.Fprintf(w, "%-15s %.3f\n", names[i], score)
	}
	if len(classes) > 0 {
		confusion, err := backprop.ConfusionMatrix(byNetwork, test.Y)
		check(err)
		fmt.Fprintf(w, "\nhow often the network takes the class of a row for that of a column, in the order %.20q:\n%v\n",
			classes, mat.Formatted(confusion))
	}
}

// mean predicts the mean of the targets for training.
func mean(training, test backprop.Data) *mat.Dense {
	_, cols := training.Y.Dims()
	means := make([]float64, cols)
	for j := range means {
		means[j] = stat.Mean(mat.Col(nil, j, training.Y), nil)
	}
	var p mat.Dense
	p.Apply(func(_, j int, _ float64) float64 { return means[j] }, test.Y)
	return &p
}
