// Command pytorch takes networks to PyTorch and back, together with backprop.py in its folder.
//
//	go run ./examples/pytorch make net.safetensors net.json    train a network here, for PyTorch
//	go run ./examples/pytorch check net.safetensors net.json   predict with a network from PyTorch
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"os"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/gonum/mat"
)

// predictions are a network's outputs Y for the inputs X, row by row.
type predictions struct {
	X [][]float64 `json:"x"`
	Y [][]float64 `json:"y"`
}

func main() {
	log.SetFlags(0)
	command := map[string]func(w io.Writer, network, predictions string) error{"make": train, "check": check}
	if len(os.Args) != 4 || command[os.Args[1]] == nil {
		log.Fatal("usage: pytorch make|check net.safetensors net.json")
	}
	if err := command[os.Args[1]](os.Stdout, os.Args[2], os.Args[3]); err != nil {
		log.Fatal("pytorch: ", err)
	}
}

// train learns the digits, and leaves predictions for PyTorch to compare.
func train(w io.Writer, networkPath, predictionsPath string) error {
	x, labels, err := digits.Load()
	if err != nil {
		return err
	}
	y, err := backprop.OneHot(labels, 10)
	if err != nil {
		return err
	}
	net, err := backprop.New(64,
		backprop.Standardize{},
		backprop.Dense{Units: 32, NoBias: true},
		backprop.BatchNorm{Activation: backprop.GELU},
		backprop.Dropout{Rate: 0.2},
		backprop.Dense{Units: 10, Activation: backprop.Softmax},
	)
	if err != nil {
		return err
	}
	h, err := net.Train(context.Background(), x, y, backprop.TrainConfig{
		LearningRate: 0.005, Optimizer: &backprop.Adam{}, Epochs: 10, BatchSize: 32,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "trained to a loss of %.3f\n", h.Epochs[h.Best].Loss)
	return write(net, x.Slice(0, 20, 0, 64), networkPath, predictionsPath)
}

// write saves a network and its predictions for x.
func write(net *backprop.Network, x mat.Matrix, networkPath, predictionsPath string) error {
	y, err := net.Predict(x)
	if err != nil {
		return err
	}
	var p predictions
	rows, _ := x.Dims()
	for i := range rows {
		p.X, p.Y = append(p.X, mat.Row(nil, i, x)), append(p.Y, mat.Row(nil, i, y))
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := net.Save(networkPath); err != nil {
		return err
	}
	return os.WriteFile(predictionsPath, text, 0o666)
}

// check prints the largest relative difference between PyTorch's predictions and those made here.
func check(w io.Writer, networkPath, predictionsPath string) error {
	net, err := backprop.Load(networkPath)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(predictionsPath)
	if err != nil {
		return err
	}
	var p predictions
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	largest := 0.0
	for i, x := range p.X {
		y, err := net.Predict(mat.NewDense(1, len(x), x))
		if err != nil {
			return err
		}
		for j, want := range p.Y[i] {
			largest = max(largest, math.Abs(y.At(0, j)-want)/max(1, math.Abs(want)))
		}
	}
	fmt.Fprintf(w, "%d predictions, largest difference %.1g\n", len(p.X), largest)
	return nil
}
