package main

import (
	"iter"
	"math/rand/v2"

	"example.com/backprop"
	"example.com/backprop/examples/internal/mnist"
	"gonum.org/v1/gonum/mat"
)

const batchSize = 128 // distorted images

// distortions gives the images in batches, in another order and distorted anew in every epoch. They
// depend on nothing but the seed and the epoch's number.
func distortions(images backprop.Data, seed uint64, at func(epoch int) warp) backprop.Batches {
	x, y := images.X.(*mat.Dense), images.Y.(*mat.Dense)
	return func(epoch int) iter.Seq2[backprop.Data, error] {
		return ahead(func(yield func(backprop.Data) bool) {
			rng, w := rand.New(rand.NewPCG(seed, uint64(epoch))), at(epoch)
			rows, pixels := x.Dims()
			order := rng.Perm(rows)
			var xs, ys [2]mat.Dense // one batch is made while the other is used
			for b := 0; len(order) > 0; b = 1 - b {
				n := min(batchSize, len(order))
				if len(order) == batchSize+1 { // batch norm cannot train on a single image
					n++
				}
				batchX, batchY := backprop.Resize(&xs[b], n, pixels), backprop.Resize(&ys[b], n, mnist.Classes)
				for row, image := range order[:n] {
					w.apply(batchX.RawRowView(row), x.RawRowView(image), rng)
					batchY.SetRow(row, y.RawRowView(image))
				}
				order = order[n:]
				if !yield(backprop.Data{X: batchX, Y: batchY}) {
					return
				}
			}
		})
	}
}

const copies = 16 // of each image that are read

// readCopies is the mean of what a network predicts for copies of an image, each distorted by
// chance. The same images give the same mean.
func readCopies(net *backprop.Network, images *mat.Dense, w warp) (*mat.Dense, error) {
	rows, pixels := images.Dims()
	mean, distorted := mat.NewDense(rows, mnist.Classes, nil), mat.NewDense(rows, pixels, nil)
	rng := rand.New(rand.NewPCG(0, 0))
	for range copies {
		for i := range rows {
			w.apply(distorted.RawRowView(i), images.RawRowView(i), rng)
		}
		p, err := net.Predict(distorted)
		if err != nil {
			return nil, err
		}
		p.Scale(1./copies, p)
		mean.Add(mean, p)
	}
	return mean, nil
}

// ahead lets a sequence make its next value while the last one is used. It is done with the
// sequence when it ends.
func ahead[T any](sequence iter.Seq[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		values, stop := make(chan T), make(chan struct{})
		defer func() {
			close(stop)
			for range values { // until the goroutine has ended
			}
		}()
		go func() {
			defer close(values)
			for v := range sequence {
				select {
				case values <- v:
				case <-stop:
					return
				}
			}
		}()
		for v := range values {
			if !yield(v, nil) {
				return
			}
		}
	}
}
