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
	"fmt"
	"log"
	"math"
	"math/rand/v2"
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

// load returns one sample a row: eight inputs, then the strength in MPa.
func load() (*mat.Dense, error) {
	fields := strings.Fields(file)
	values := make([]float64, len(fields))
	for i, field := range fields {
		var err error
		if values[i], err = strconv.ParseFloat(field, 64); err != nil {
			return nil, err
		}
	}
	return mat.NewDense(len(values)/(inputs+1), inputs+1, values), nil
}

// run trains a network on a random nine tenths of the samples and tests it on the others. Its
// settings were chosen by validation within the training parts of other splits.
func run(data *mat.Dense, seed uint64) (rmse, r2 float64, err error) {
	n, _ := data.Dims()
	shuffled := mat.NewDense(n, inputs+1, nil)
	for i, sample := range rand.New(rand.NewPCG(seed, 0)).Perm(n) {
		shuffled.SetRow(i, data.RawRowView(sample))
	}
	tests := n / 10
	testX, testY := shuffled.Slice(0, tests, 0, inputs), shuffled.Slice(0, tests, inputs, inputs+1)
	trainX, trainY := shuffled.Slice(tests, n, 0, inputs), shuffled.Slice(tests, n, inputs, inputs+1)

	// The network learns strengths scaled to mean 0 and deviation 1, both taken from the training
	// part alone.
	var scaledY mat.Dense
	mean, deviation := stat.MeanStdDev(mat.Col(nil, 0, trainY), nil)
	scaledY.Apply(func(_, _ int, mpa float64) float64 { return (mpa - mean) / deviation }, trainY)

	net, err := backprop.New(inputs,
		backprop.Standardize{},
		backprop.Dense{Units: 50, Activation: backprop.ReLU},
		backprop.Dense{Units: 1},
	)
	if err != nil {
		return 0, 0, err
	}
	net.Init(seed)
	_, err = net.Train(context.Background(), trainX, &scaledY, backprop.TrainConfig{
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
	p, err := net.Predict(testX)
	if err != nil {
		return 0, 0, err
	}
	p.Apply(func(_, _ int, z float64) float64 { return z*deviation + mean }, p)
	if r2, err = backprop.R2(p, testY); err != nil {
		return 0, 0, err
	}
	var miss mat.Dense
	miss.Sub(p, testY)
	return mat.Norm(&miss, 2) / math.Sqrt(float64(tests)), r2, nil
}
