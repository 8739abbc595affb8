package main

import (
	"context"
	"errors"
	"iter"
	"slices"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// A judge is a trained network and the words that it knows.
type judge struct {
	*vocabulary
	net *backprop.Network
}

// learn makes a judge of the sentences.
func learn(sentences []sentence, seed uint64) (*judge, error) {
	v := newVocabulary(sentences)
	if len(v.names) == 0 {
		return nil, errors.New("nothing to learn from: every sentence is also one of those held out")
	}
	net, err := backprop.New(len(v.names),
		backprop.Dense{Units: 8, Activation: backprop.Tanh},
		backprop.Dense{Units: 1, Activation: backprop.Sigmoid},
	)
	check(err)
	net.Init(seed)
	_, err = net.TrainBatches(context.Background(), v.batches(sentences, seed), backprop.TrainConfig{
		LearningRate: 2e-3,
		Optimizer:    &backprop.Adam{},
		Epochs:       max(5, 13500/len(sentences)), // of a small file as many steps as of the large one
	})
	return &judge{v, net}, err
}

// accuracy is the share of the sentences that is judged right.
func (j *judge) accuracy(sentences []sentence) float64 {
	right := 0.0
	for _, s := range sentences {
		if p, _ := j.judge(s); (p >= 0.5) == (s.praise == 1) {
			right++
		}
	}
	return right / float64(len(sentences))
}

// batches gives the sentences in an order of each epoch's own, 32 at a time. A batch is a matrix of
// two megabytes; all sentences together, nearly all of it zeros, would be one of two hundred.
func (v *vocabulary) batches(sentences []sentence, seed uint64) backprop.Batches {
	return func(epoch int) iter.Seq2[backprop.Data, error] {
		return func(yield func(backprop.Data, error) bool) {
			var x, y mat.Dense
			for batch := range slices.Chunk(shuffled(sentences, seed, 1+uint64(epoch)), 32) {
				if !yield(v.data(&x, &y, batch), nil) {
					return
				}
			}
		}
	}
}

// judge returns the probability p of praise, and what each feature did for it: x·∂z/∂x, with
// z = log(p/(1−p)), of which the Sigmoid makes p.
func (j *judge) judge(s sentence) (p float64, influence []float64) {
	var x, y mat.Dense
	j.data(&x, &y, []sentence{s})
	out, err := j.net.Predict(&x)
	check(err)
	p = out.At(0, 0)
	y.Zero() // the loss of blame, −log(1−p), has ∂L/∂x = p·∂z/∂x
	dx, err := j.net.InputGradient(&x, &y, nil)
	check(err)
	dx.MulElem(dx, &x)
	dx.Scale(1/p, dx)
	return p, dx.RawRowView(0)
}
