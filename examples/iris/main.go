// Command iris learns the species of irises from a CSV file:
//
//	cd examples/iris && go run .
//
// iris.csv is the "Iris" of the UCI Machine Learning Repository, by R. A. Fisher (1936),
// https://archive.ics.uci.edu/dataset/53, licensed under CC BY 4.0
// (https://creativecommons.org/licenses/by/4.0/), with two rows as in Fisher's article. Lengths and
// widths are in cm.
package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

func main() {
	data, species := read("iris.csv")
	rest, test, err := data.Split(0.2, 0) // a fifth is for judging,
	check(err)
	training, validation, err := rest.Split(0.2, 0) // a fifth of the rest for stopping in time
	check(err)

	net, err := backprop.New(4,
		backprop.Standardize{},
		backprop.Dense{Units: 64, Activation: backprop.ReLU},
		backprop.Dense{Units: len(species), Activation: backprop.Softmax},
	)
	check(err)
	_, err = net.Train(context.Background(), training.X, training.Y, backprop.TrainConfig{
		LearningRate: 0.01, Epochs: 1000, BatchSize: 32, Optimizer: &backprop.Adam{},
		Validation: validation, Patience: 20, Progress: os.Stderr,
	})
	check(err)
	p, err := net.Predict(test.X)
	check(err)
	accuracy, err := backprop.Accuracy(p, test.Y)
	check(err)
	fmt.Printf("%.1f %% of the flowers held out are classified correctly\n", 100*accuracy)
	check(net.Save("iris.safetensors"))

	net, err = backprop.Load("iris.safetensors") // in another program, say
	check(err)
	flower := mat.NewDense(1, 4, []float64{6.0, 2.9, 4.9, 1.7}) // cm
	p, err = net.Predict(flower)
	check(err)
	class := backprop.Classes(p)[0]
	fmt.Printf("%v is %s with probability %.2f\n", flower.RawRowView(0), species[class], p.At(0, class))
}

// read reads a CSV file of numbers with a name behind them, below a line of titles.
func read(path string) (data backprop.Data, names []string) {
	file, err := os.Open(path)
	check(err)
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	check(err)
	if len(lines) < 2 || len(lines[0]) < 2 {
		log.Fatalf("%s: want a line of titles, and lines of numbers with a name behind them, with commas between", path)
	}
	var x []float64
	var labels []int
	for _, line := range lines[1:] {
		last := len(line) - 1
		for _, cell := range line[:last] {
			value, err := strconv.ParseFloat(cell, 64)
			check(err)
			x = append(x, value)
		}
		if !slices.Contains(names, line[last]) {
			names = append(names, line[last])
		}
		labels = append(labels, slices.Index(names, line[last]))
	}
	y, err := backprop.OneHot(labels, len(names))
	check(err)
	return backprop.Data{X: mat.NewDense(len(labels), len(x)/len(labels), x), Y: y}, names
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
