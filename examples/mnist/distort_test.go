package main

import (
	"iter"
	"runtime"
	"slices"
	"testing"

	"example.com/backprop"
	"example.com/backprop/examples/internal/mnist"
	"gonum.org/v1/gonum/mat"
)

// grey are images of a brightness each, of 0 to 9 by turns.
func grey(n int) backprop.Data {
	x, y := mat.NewDense(n, mnist.Side*mnist.Side, nil), mat.NewDense(n, mnist.Classes, nil)
	for i := range n {
		for j := range mnist.Side * mnist.Side {
			x.Set(i, j, float64(i+1)/float64(n))
		}
		y.Set(i, i%mnist.Classes, 1)
	}
	return backprop.Data{X: x, Y: y}
}

// collect copies the batches of an epoch into one.
func collect(t *testing.T, batches iter.Seq2[backprop.Data, error]) (x, y []float64) {
	t.Helper()
	for batch, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		if rows, _ := batch.X.Dims(); rows < 2 {
			t.Errorf("a batch of %d images, on which batch norm cannot train", rows)
		}
		for range 100 {
			runtime.Gosched() // to whoever might write to this batch
		}
		x = append(x, batch.X.(*mat.Dense).RawMatrix().Data...)
		y = append(y, batch.Y.(*mat.Dense).RawMatrix().Data...)
	}
	return x, y
}

func TestAnEpochHasEveryImageOnceWithItsLabel(t *testing.T) {
	const n, pixels = 3*batchSize + 5, mnist.Side * mnist.Side
	images := grey(n)
	batches := distortions(images, 1, func(int) warp { return warp{} })
	var orders [2][]int
	for epoch := range orders {
		x, y := collect(t, batches(epoch))
		for row := range len(x) / pixels {
			i := int(x[row*pixels]*n+0.5) - 1
			orders[epoch] = append(orders[epoch], i)
			if !slices.Equal(x[row*pixels:][:pixels], mat.Row(nil, i, images.X)) || !slices.Equal(y[row*mnist.Classes:][:mnist.Classes], mat.Row(nil, i, images.Y)) {
				t.Fatalf("epoch %d: row %d is not image %d with its label", epoch, row, i)
			}
		}
	}
	if slices.Equal(orders[0], orders[1]) {
		t.Error("two epochs have the images in one order")
	}
	for epoch, order := range orders {
		slices.Sort(order)
		for i := range n {
			if len(order) != n || order[i] != i {
				t.Fatalf("epoch %d has %d images, want each of %d once", epoch, len(order), n)
			}
		}
	}
}

func TestDistortionsDependOnSeedAndEpochAlone(t *testing.T) {
	draw := func(processors int, seed uint64, epoch int) []float64 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		x, _ := collect(t, distortions(grey(2*batchSize+1), seed, distorted(2).warp)(epoch))
		return x
	}
	want := draw(1, 1, 1)
	if !slices.Equal(draw(4, 1, 1), want) {
		t.Error("the same seed and epoch give other bits on four processors")
	}
	if slices.Equal(draw(1, 2, 1), want) || slices.Equal(draw(1, 1, 0), want) {
		t.Error("another seed or epoch gives the same bits")
	}
}

func TestCopiesAreReadLikeTheirImage(t *testing.T) {
	r, images := distorted(1), grey(20)
	net, err := backprop.New(mnist.Side*mnist.Side, r.layers...)
	if err != nil {
		t.Fatal(err)
	}
	want, err := net.Predict(images.X)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readCopies(net, images.X.(*mat.Dense), warp{})
	if err != nil {
		t.Fatal(err)
	}
	if !mat.EqualApprox(got, want, 1e-12) {
		t.Error("the mean over copies without distortion is another than of the images")
	}
	distortedCopies, err := readCopies(net, images.X.(*mat.Dense), r.warp(0))
	if err != nil {
		t.Fatal(err)
	}
	if mat.EqualApprox(distortedCopies, want, 1e-12) {
		t.Error("the copies are not distorted")
	}
}

func TestASequenceEndsWithItsReader(t *testing.T) {
	const length = 100
	for _, read := range []int{1, 2, 3, length} {
		made, ended := 0, false
		sequence := func(yield func(int) bool) {
			defer func() { ended = true }()
			for made < length {
				made++
				if !yield(made) {
					return
				}
			}
		}
		got := 0
		for v := range ahead(sequence) {
			if got++; v != got {
				t.Errorf("value %d came, want %d", v, got)
			}
			if got == read {
				break
			}
		}
		if !ended || got != read || made > read+2 {
			t.Errorf("after %d values of %d that were to be read, %d had been made, and it is %v that the sequence had ended", got, read, made, ended)
		}
	}
}
