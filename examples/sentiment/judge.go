package main

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// A judge is the features that it knows, their log-count ratios, and a network.
type judge struct {
	names  []string
	index  map[string]int // of a name
	ratios []float64
	net    *backprop.Network
}

// newJudge knows the words of the sentences and the pairs that stand in two of them or more, but has
// no network yet. Two thirds of all features would be pairs that stand in one. The ratio of a
// feature is log((p/‖p‖₁)/(q/‖q‖₁)), p and q being 1 + the numbers of sentences of praise and of
// blame that have it (Wang and Manning 2012).
func newJudge(sentences []sentence) *judge {
	counts := make(map[string][2]float64) // of blame and praise
	for _, s := range sentences {
		for _, name := range s.features {
			c := counts[name]
			c[s.praise]++
			counts[name] = c
		}
	}
	maps.DeleteFunc(counts, func(name string, c [2]float64) bool {
		return c[0]+c[1] < 2 && strings.Contains(name, " ")
	})
	j := &judge{names: slices.Sorted(maps.Keys(counts)), index: make(map[string]int)}
	blame, praise := 0.0, 0.0
	for f, name := range j.names {
		c := counts[name]
		j.index[name] = f
		j.ratios = append(j.ratios, math.Log((1+c[1])/(1+c[0])))
		blame, praise = blame+1+c[0], praise+1+c[1]
	}
	floats.AddConst(math.Log(blame/praise), j.ratios)
	return j
}

// data is the sentences for a network: a row of X, in the memory of x, holds the ratios of the
// features that the sentence has and 0 for all others, and one of Y the label.
func (j *judge) data(x *mat.Dense, sentences []sentence) backprop.Data {
	backprop.Resize(x, len(sentences), len(j.names)).Zero()
	y := mat.NewDense(len(sentences), 1, nil)
	for i, s := range sentences {
		for _, name := range s.features {
			if f, known := j.index[name]; known {
				x.Set(i, f, j.ratios[f])
			}
		}
		y.Set(i, 0, float64(s.praise))
	}
	return backprop.Data{X: x, Y: y}
}

// learn makes a judge of the sentences, network and all.
func learn(sentences []sentence, seed uint64) (*judge, error) {
	j := newJudge(sentences)
	if len(j.names) == 0 {
		return nil, errors.New("nothing to learn from: every sentence is also one of those held out")
	}
	var err error
	j.net, err = backprop.New(len(j.names),
		backprop.Dense{Units: 8, Activation: backprop.Tanh},
		backprop.Dense{Units: 1, Activation: backprop.Sigmoid},
	)
	check(err)
	j.net.Init(seed)
	_, err = j.net.TrainBatches(context.Background(), j.batches(sentences, seed), backprop.TrainConfig{
		LearningRate: 2e-3,
		Optimizer:    &backprop.Adam{},
		Epochs:       max(5, 13500/len(sentences)), // of a small file as many steps as of the large one
	})
	return j, err
}

// accuracy is the share of the sentences that is classified correctly.
func (j *judge) accuracy(sentences []sentence) float64 {
	data := j.data(new(mat.Dense), sentences)
	p, err := j.net.Predict(data.X)
	check(err)
	share, err := backprop.Accuracy(p, data.Y)
	check(err)
	return share
}

// batches gives the sentences in an order of each epoch's own, 32 at a time. A batch is a matrix of
// two megabytes; all sentences together, nearly all of it zeros, would be one of two hundred.
func (j *judge) batches(sentences []sentence, seed uint64) backprop.Batches {
	return func(epoch int) iter.Seq2[backprop.Data, error] {
		return func(yield func(backprop.Data, error) bool) {
			var x mat.Dense
			for batch := range slices.Chunk(shuffled(sentences, seed, 1+uint64(epoch)), 32) {
				if !yield(j.data(&x, batch), nil) {
					return
				}
			}
		}
	}
}

// judge returns the probability p of praise for a sentence with these features, and what each of
// those that are known did for it: x·∂z/∂x, with z = log(p/(1−p)), of which the Sigmoid makes p.
func (j *judge) judge(features []string) (p float64, influence []float64) {
	blame := j.data(new(mat.Dense), []sentence{{features: features}})
	out, err := j.net.Predict(blame.X)
	check(err)
	p = out.At(0, 0)
	dx, err := j.net.InputGradient(blame.X, blame.Y, nil) // of the loss of blame, −log(1−p): p·∂z/∂x
	check(err)
	dx.MulElem(dx, blame.X)
	dx.Scale(1/p, dx)
	return p, dx.RawRowView(0)
}
