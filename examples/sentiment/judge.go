package main

import (
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

const batchSize = 32

// A judge is a trained network and the words that it knows.
type judge struct {
	words *vocabulary
	net   *backprop.Network
}

// learn makes a judge of the sentences. What is to be chosen is chosen among them, too: how far a
// negation reaches by naive Bayes, and the number of epochs by the loss on a tenth of them, or of
// many some 500, while the others are learnt.
func learn(sentences []sentence, seed uint64) (*judge, error) {
	reach := bestReach(sentences)
	parts := deal(sentences, max(10, len(sentences)/500), seed)
	training := others(parts, 0)
	if len(training) == 0 {
		return nil, errors.New("nothing to learn from: every sentence is also one of those held out")
	}
	words := newVocabulary(training, reach)
	held := words.data(new(mat.Dense), new(mat.Dense), words.samples(parts[0]...))
	_, history, err := train(words, training, seed, backprop.TrainConfig{Epochs: 100, Validation: held, Patience: 2})
	if err != nil {
		return nil, err
	}
	words = newVocabulary(sentences, reach)
	net, _, err := train(words, sentences, seed, backprop.TrainConfig{Epochs: history.Best + 1})
	return &judge{words, net}, err
}

// train trains a network on the sentences that the vocabulary is of. Three times Adam's published
// rate takes a third of the epochs and leads to the same accuracy.
func train(words *vocabulary, sentences []sentence, seed uint64, config backprop.TrainConfig) (*backprop.Network, *backprop.History, error) {
	net, err := backprop.New(len(words.names),
		backprop.Dense{Units: 8, Activation: backprop.Tanh},
		backprop.Dense{Units: 1, Activation: backprop.Sigmoid},
	)
	if err != nil {
		return nil, nil, err
	}
	net.Init(seed)
	config.LearningRate, config.Optimizer = 3e-3, &backprop.Adam{}
	history, err := net.TrainBatches(context.Background(), words.batches(words.samples(sentences...), seed), config)
	return net, history, err
}

// batches gives the samples in an order of each epoch's own. A batch is a matrix of two megabytes;
// all sentences together, nearly all of it zeros, would be one of two hundred.
func (v *vocabulary) batches(samples []sample, seed uint64) backprop.Batches {
	return func(epoch int) iter.Seq2[backprop.Data, error] {
		order := slices.Clone(samples)
		rand.New(rand.NewPCG(seed, uint64(epoch))).Shuffle(len(order), func(i, k int) {
			order[i], order[k] = order[k], order[i]
		})
		return func(yield func(backprop.Data, error) bool) {
			var x, y mat.Dense
			for batch := range slices.Chunk(order, batchSize) {
				if !yield(v.data(&x, &y, batch), nil) {
					return
				}
			}
		}
	}
}

// data is the samples for a network, in the memory of x and y: a row of x holds the log-count
// ratios of the features that the sentence has and 0 for all others, and one of y the label.
func (v *vocabulary) data(x, y *mat.Dense, samples []sample) backprop.Data {
	backprop.Resize(x, len(samples), len(v.names)).Zero()
	backprop.Resize(y, len(samples), 1)
	for i, s := range samples {
		for _, f := range s.features {
			x.Set(i, f, logRatio(v.of[f], v.sum))
		}
		y.Set(i, 0, float64(s.praise))
	}
	return backprop.Data{X: x, Y: y}
}

// verdicts returns the probability p of praise for each sample, and what each feature did for it in
// all of them: the sum of x·∂z/∂x, with z = log(p/(1−p)), of which the Sigmoid makes p.
func (j *judge) verdicts(samples []sample) (praise, influence []float64, err error) {
	influence = make([]float64, len(j.words.names))
	var x, y mat.Dense
	for batch := range slices.Chunk(samples, batchSize) {
		j.words.data(&x, &y, batch)
		p, err := j.net.Predict(&x)
		if err != nil {
			return nil, nil, err
		}
		// The loss of the opposite judgement has ∂L/∂x = (p−y)/N·∂z/∂x with p−y not near 0.
		y.Apply(func(i, _ int, _ float64) float64 { return 1 - math.Round(p.At(i, 0)) }, p)
		dx, err := j.net.InputGradient(&x, &y, nil)
		if err != nil {
			return nil, nil, err
		}
		for i, s := range batch {
			dz := (p.At(i, 0) - y.At(i, 0)) / float64(len(batch))
			for _, f := range s.features {
				influence[f] += x.At(i, f) * dx.At(i, f) / dz
			}
		}
		praise = append(praise, p.RawMatrix().Data...)
	}
	return praise, influence, nil
}
