// Command concrete learns the compressive strength of concrete from its mix and age. It trains on a
// random nine tenths of the samples and tests on the others, for 20 such splits:
//
//	go run ./examples/concrete
//
// concrete.txt is the "Concrete Compressive Strength" of the UCI Machine Learning Repository, by
// I-C. Yeh (1998), https://archive.ics.uci.edu/dataset/165, licensed under CC BY 4.0
// (https://creativecommons.org/licenses/by/4.0/). Each line holds cement, slag, fly ash, water,
// superplasticizer, coarse and fine aggregate in kg/m³, the age in days, and the strength in MPa.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"log"
	"math"
	"strconv"
	"strings"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

//go:embed concrete.txt
var file string

const (
	inputs = 8
	splits = 20
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("concrete: %q is not used; no argument is", flag.Arg(0))
	}
	data, err := load()
	if err != nil {
		log.Fatal("concrete: ", err)
	}
	rmse, r2 := make([]float64, splits), make([]float64, splits)
	for i := range rmse {
		if rmse[i], r2[i], err = run(data, uint64(i)); err != nil {
			log.Fatal("concrete: ", err)
		}
		fmt.Printf("split %2d: test RMSE %.2f MPa, R² %.3f\n", i+1, rmse[i], r2[i])
	}
	mean, deviation := stat.MeanStdDev(rmse, nil)
	fmt.Printf("mean of %d: test RMSE %.2f ± %.2f MPa (standard error), R² %.3f\n",
		splits, mean, stat.StdErr(deviation, splits), stat.Mean(r2, nil))
}

// load returns the samples, with the strengths in MPa.
func load() (data backprop.Data, err error) {
	fields := strings.Fields(file)
	values := make([]float64, len(fields))
	for i, field := range fields {
		if values[i], err = strconv.ParseFloat(field, 64); err != nil {
			return data, err
		}
	}
	n := len(values) / (inputs + 1)
	all := mat.NewDense(n, inputs+1, values)
	return backprop.Data{X: all.Slice(0, n, 0, inputs), Y: all.ColView(inputs)}, nil
}

// run trains a network on a random nine tenths of the samples and tests it on the others. Its
// settings were chosen by validation within the training parts of other splits. The units of inputs
// and strengths are learnt from the training part alone.
func run(data backprop.Data, seed uint64) (rmse, r2 float64, err error) {
	training, test, err := data.Split(0.1, seed)
	if err != nil {
		return 0, 0, err
	}
	net, err := backprop.New(inputs,
		backprop.Standardize{},
		backprop.Dense{Units: 50, Activation: backprop.ReLU},
		backprop.Dense{Units: 1},
		backprop.Unstandardize{},
	)
	if err != nil {
		return 0, 0, err
	}
	net.Init(seed)
	_, err = net.Train(context.Background(), training.X, training.Y, backprop.TrainConfig{
		LearningRate: 1e-2,
		Optimizer:    &backprop.Adam{},
		Schedule:     backprop.CosineDecay{Epochs: 400},
		Epochs:       400,
		BatchSize:    16,
		Seed:         seed,
	})
	if err != nil {
		return 0, 0, err
	}
	p, err := net.Predict(test.X)
	if err != nil {
		return 0, 0, err
	}
	if r2, err = backprop.R2(p, test.Y); err != nil {
		return 0, 0, err
	}
	var miss mat.Dense
	miss.Sub(p, test.Y)
	return mat.Norm(&miss, 2) / math.Sqrt(float64(miss.RawMatrix().Rows)), r2, nil
}
