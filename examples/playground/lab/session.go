package lab

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// A Session is a training.
type Session struct {
	Points   []float64 // x1, x2 and y of every sample, those for training first
	Training int       // how many those are
	Blocks   []Block
	Side     int    // points in a row and in a column of the maps
	Stop     func() // ends the training

	settings    Settings
	net         *backprop.Network
	train, test backprop.Data
	grid        *mat.Dense // the inputs at the points of the maps
	maps        []float64
	next        func() (error, bool) // trains on a batch
	epoch       float64              // how many are done
}

// A Block is a dense layer of the network with what belongs to it: dropout, batch norm.
type Block struct {
	Inputs, Units int
	At, End       int // its part of Params, which begins with W, Units×Inputs

	part *backprop.Network
}

// New begins a training.
func New(s Settings) (t *Session, err error) {
	t = &Session{settings: s, Side: 50}
	if t.train, t.test, t.Points, err = draw(s); err != nil {
		return nil, err
	}
	t.Training, _ = t.train.X.Dims()
	blocks, inputs := s.blocks(), strings.Count(s["features"], ",")+1
	if t.net, err = backprop.New(inputs, slices.Concat(blocks...)...); err != nil {
		return nil, err
	}
	t.net.Init(uint64(s.number("seed")))
	layer, at, width := 0, 0, inputs
	for _, layers := range blocks {
		part, err := t.net.Slice(layer, layer+len(layers))
		if err != nil {
			return nil, err
		}
		end := at + len(part.Params())
		t.Blocks = append(t.Blocks, Block{Inputs: part.Inputs(), Units: part.Outputs(), At: at, End: end, part: part})
		layer, at, width = layer+len(layers), end, width+part.Outputs()
	}
	if width > 64 { // a large network takes long
		t.Side = 40
	}
	t.grid, t.maps = inputsOf(s, plane(t.Side)), make([]float64, t.Side*t.Side*width)
	t.next, t.Stop = iter.Pull(t.run)
	return t, nil
}

// run trains as Network.Train does, to the same bits, and hands over after every batch. Train itself
// would bring its checkpoints along, by which the program would be a third of a megabyte larger.
func (t *Session) run(yield func(error) bool) {
	seed, size, least := uint64(t.settings.number("seed")), int(t.settings.number("batch")), 1
	if t.settings["norm"] == "batch" {
		least = 2 // samples of a batch
	}
	optimizer, all := optimizers[t.settings["optimizer"]](), t.train.X.(*mat.Dense)
	var x, y mat.Dense
	grad := make([]float64, len(t.net.Params()))
	for epoch := uint64(0); ; epoch++ {
		order := rand.New(rand.NewPCG(seed, epoch)).Perm(t.Training)
		if t.Training-size < least { // a single batch
			slices.Sort(order)
		}
		dropping := rand.New(rand.NewPCG(seed, ^epoch))
		for begin, end := 0, 0; end < t.Training; begin = end {
			if end = begin + size; t.Training-end < least { // what is left is no batch of its own
				end = t.Training
			}
			batch := backprop.Data{X: backprop.Resize(&x, end-begin, t.net.Inputs()), Y: backprop.Resize(&y, end-begin, 1)}
			for i, row := range order[begin:end] {
				x.SetRow(i, all.RawRowView(row))
				y.Set(i, 0, t.train.Y.At(row, 0))
			}
			_, _, err := t.net.TrainingGradient(grad, batch, nil, dropping)
			if err == nil {
				t.update(optimizer, grad)
				t.epoch = float64(epoch) + float64(end)/float64(t.Training)
			}
			if !yield(err) {
				return
			}
		}
	}
}

// update takes a step against the gradient, with penalties and clipping.
func (t *Session) update(optimizer backprop.Optimizer, grad []float64) {
	s, params := t.settings, t.net.Params()
	eta, l2, decay, norm, value := s.number("rate"), s.number("l2"), s.number("decay"), s.number("clipnorm"), s.number("clipvalue")
	for _, b := range t.Blocks {
		w, dw := params[b.At:][:b.Units*b.Inputs], grad[b.At:][:b.Units*b.Inputs]
		floats.AddScaled(dw, l2, w)           // dW ← dW + λ·W
		floats.Scale(1-float64(eta*decay), w) // W ← (1 − ηλ)·W
	}
	if norm > 0 {
		backprop.ClipNorm(grad, norm)
	}
	if value > 0 {
		for i, g := range grad {
			grad[i] = min(max(g, -value), value)
		}
	}
	optimizer.Step(params, grad, eta)
}

// Advance trains for so many epochs, or until the time is over, and for one batch at least.
func (t *Session) Advance(epochs int, until time.Time) error {
	for end := math.Floor(t.epoch) + float64(epochs); ; {
		if err, _ := t.next(); err != nil {
			return fmt.Errorf("the training diverged in epoch %.2f: lower the learning rate, clip the gradient's norm, "+
				"or choose another initializer, and begin again (%w)", t.epoch, err)
		}
		if t.epoch >= end || !time.Now().Before(until) {
			return nil
		}
	}
}

// Frame is what the network is now: the epoch, the losses on training and test data, the norm of
// the gradient block by block, the parameters, and the gradient of the loss on all training data,
// with batch norm by their own statistics. Losses and gradients are NaN where one is not finite.
func (t *Session) Frame() []float64 {
	train, grad, err1 := t.net.Gradient(nil, t.train.X, t.train.Y, nil)
	test, err2 := t.net.Loss(t.test.X, t.test.Y, nil)
	if nan := math.NaN(); err1 != nil || err2 != nil {
		train, test, grad = nan, nan, slices.Repeat([]float64{nan}, len(t.net.Params()))
	}
	frame := []float64{t.epoch, train, test}
	for _, b := range t.Blocks {
		frame = append(frame, floats.Norm(grad[b.At:b.End], 2))
	}
	return slices.Concat(frame, t.net.Params(), grad)
}

// Maps are what the inputs and the units of all blocks give over the plane: for the inputs, and then
// for each block, a row for every point. They end before the first block that is not finite, and are
// good until the next call.
func (t *Session) Maps() []float64 {
	a := t.grid
	points, end := a.RawMatrix().Rows, copy(t.maps, a.RawMatrix().Data)
	for _, b := range t.Blocks {
		next := mat.NewDense(points, b.Units, t.maps[end:][:points*b.Units])
		if err := b.part.PredictTo(next, a); err != nil {
			break
		}
		a, end = next, end+points*b.Units
	}
	return t.maps[:end]
}

// Check compares the gradient with central differences, over as many samples as are soon computed.
func (t *Session) Check() (string, error) {
	n := len(t.net.Params())
	rows := min(t.Training, 2+20_000/n)
	x, y := t.train.X.(*mat.Dense).Slice(0, rows, 0, t.net.Inputs()), t.train.Y.(*mat.Dense).Slice(0, rows, 0, 1)
	e, err := t.net.CheckGradient(x, y, nil)
	if err != nil {
		return "", err
	}
	layer := 1 + slices.IndexFunc(t.Blocks, func(b Block) bool { return e.Index < b.End })
	return fmt.Sprintf("%d derivatives over %d samples, compared with central differences: the largest relative difference is %.1e, "+
		"in layer %d, by backpropagation %.10g, by differences %.10g.", n, rows, e.MaxRelative, layer, e.Analytic, e.Numeric), nil
}
