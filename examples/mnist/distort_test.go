package main

import (
	"iter"
	"math"
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
	draw := func(seed uint64, epoch int) []float64 {
		x, _ := collect(t, distortions(grey(2*batchSize+1), seed, distorted.warpAt)(epoch))
		return x
	}
	want := draw(1, 1)
	if !slices.Equal(draw(1, 1), want) {
		t.Error("the same seed and epoch give other bits the second time")
	}
	if slices.Equal(draw(2, 1), want) || slices.Equal(draw(1, 0), want) {
		t.Error("another seed or epoch gives the same bits")
	}
}

func TestDistortionsWeakenToAFifth(t *testing.T) {
	if first := distorted.warpAt(0); first != distorted.warp {
		t.Errorf("the first epoch distorts by %v, want %v", first, distorted.warp)
	}
	last := distorted.warpAt(distorted.config.Epochs - 1)
	want := warp{Scale: 0.03, Shear: 0.03, Angle: 3, Shift: 0.2, Elastic: 6.8}
	for i, v := range []float64{
		last.Scale - want.Scale, last.Shear - want.Shear, last.Angle - want.Angle, last.Shift - want.Shift, last.Elastic - want.Elastic,
	} {
		if math.Abs(v) > 1e-14 {
			t.Errorf("the last epoch distorts by %v, want %v (field %d)", last, want, i)
		}
	}
}

func TestCopiesAreReadLikeTheirImage(t *testing.T) {
	r, images := distorted, grey(20)
	net, err := backprop.New(mnist.Side*mnist.Side, r.layers...)
	if err != nil {
		t.Fatal(err)
	}
	want, err := net.Predict(images.X)
	if err != nil {
		t.Fatal(err)
	}
	got := readCopies(net, images.X.(*mat.Dense), warp{})
	if !mat.EqualApprox(got, want, 1e-12) {
		t.Error("the mean over copies without distortion is another than of the images")
	}
	distortedCopies := readCopies(net, images.X.(*mat.Dense), r.warp)
	if mat.EqualApprox(distortedCopies, want, 1e-12) {
		t.Error("the copies are not distorted")
	}
}
