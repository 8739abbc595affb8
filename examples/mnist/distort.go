package main

import (
	"iter"
	"math/rand/v2"
	"slices"

	"example.com/backprop"
	"example.com/backprop/examples/internal/mnist"
	"gonum.org/v1/gonum/mat"
)

const batchSize = 128 // distorted images; of a last batch of one, batch norm could not learn

// distortions gives the images in batches, in another order and distorted anew in every epoch. They
// depend on nothing but the seed and the epoch's number.
func distortions(images backprop.Data, seed uint64, at func(epoch int) warp) backprop.Batches {
	x, y := images.X.(*mat.Dense), images.Y.(*mat.Dense)
	return func(epoch int) iter.Seq2[backprop.Data, error] {
		return func(yield func(backprop.Data, error) bool) {
			rng, w := rand.New(rand.NewPCG(seed, uint64(epoch))), at(epoch)
			rows, pixels := x.Dims()
			var batchX, batchY mat.Dense
			for batch := range slices.Chunk(rng.Perm(rows), batchSize) {
				backprop.Resize(&batchX, len(batch), pixels)
				backprop.Resize(&batchY, len(batch), mnist.Classes)
				for row, image := range batch {
					w.apply(batchX.RawRowView(row), x.RawRowView(image), rng)
					batchY.SetRow(row, y.RawRowView(image))
				}
				if !yield(backprop.Data{X: &batchX, Y: &batchY}, nil) {
					return
				}
			}
		}
	}
}

const copies = 16 // of each image that are read

// readCopies is the mean of what a network predicts for copies of an image, each distorted by
// chance. The same images give the same mean.
func readCopies(net *backprop.Network, images *mat.Dense, w warp) *mat.Dense {
	rows, pixels := images.Dims()
	mean, distorted := mat.NewDense(rows, mnist.Classes, nil), mat.NewDense(rows, pixels, nil)
	rng := rand.New(rand.NewPCG(0, 0))
	for range copies {
		for i := range rows {
			w.apply(distorted.RawRowView(i), images.RawRowView(i), rng)
		}
		p, err := net.Predict(distorted)
		check(err)
		p.Scale(1./copies, p)
		mean.Add(mean, p)
	}
	return mean
}
