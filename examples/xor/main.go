// Command xor learns the exclusive or.
package main

import (
	"context"
	"fmt"
	"log"
	"math"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

func main() {
	x := mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1})
	y := mat.NewDense(4, 1, []float64{0, 1, 1, 0})

	net, err := backprop.New(2,
		backprop.Dense{Units: 8, Activation: backprop.Tanh},
		backprop.Dense{Units: 1, Activation: backprop.Sigmoid},
	)
	check(err)
	_, err = net.Train(context.Background(), x, y, backprop.TrainConfig{
		LearningRate: 0.5,
		Epochs:       5000,
		OnEpoch: func(e backprop.Epoch) error {
			if e.N%1000 == 0 {
				fmt.Printf("Epoch %d, Loss: %.4f\n", e.N, e.Loss)
			}
			return nil
		},
	})
	check(err)
	p, err := net.Predict(x)
	check(err)
	for i := range 4 {
		fmt.Printf("%v xor %v = %.4f\n", x.At(i, 0), x.At(i, 1), p.At(i, 0))
		if math.Round(p.At(i, 0)) != y.At(i, 0) {
			log.Fatal("not learnt")
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
