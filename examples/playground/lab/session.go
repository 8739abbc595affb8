package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
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
	Settings Settings
	Points   []float64 // x1, x2 and y of every sample, those for training first
	Training int       // how many those are
	Blocks   []Block
	Side     int // points in a row and in a column of the output's map; those of units have half

	net         *backprop.Network
	config      backprop.TrainConfig // what Train would be given
	train, test backprop.Data
	grad        []float64
	epoch, next int       // the epoch, and its batch that is the next
	order       []int     // of the samples in this epoch
	x, y        mat.Dense // of a batch
	dropping    *rand.Rand
	grid        *mat.Dense
	frame, maps []byte
	resting     time.Time // until when the maps stay as they are
}

// A Block is a dense layer of the network with what belongs to it: batch norm, dropout.
type Block struct {
	Units, Inputs int
	At, End       int // its part of Params, which begins with W, Units×Inputs

	part *backprop.Network
	a    mat.Dense // what it gives for the grid
}

// New begins a training.
func New(s Settings) (*Session, error) {
	var layers []backprop.Layer
	var ends []int
	activation, init := activations[s["activation"]], initializers[s["init"]]
	hidden, _ := parseLayers(s["layers"])
	for _, units := range hidden {
		if s["norm"] == "batch" {
			layers = append(layers, backprop.Dense{Units: units, Init: init, NoBias: true}, backprop.BatchNorm{Activation: activation})
		} else {
			layers = append(layers, backprop.Dense{Units: units, Init: init, Activation: activation})
		}
		ends = append(ends, len(layers))
		if rate := s.number("dropout"); rate > 0 {
			layers = append(layers, backprop.Dropout{Rate: rate})
		}
	}
	output := backprop.Dense{Units: 1, Activation: backprop.Sigmoid}
	if s.regression() {
		output.Activation = backprop.Identity
	}
	net, err := backprop.New(strings.Count(s["features"], ",")+1, append(layers, output)...)
	if err != nil {
		return nil, err
	}
	t := &Session{Settings: s, net: net, grad: make([]float64, len(net.Params())), config: backprop.TrainConfig{
		LearningRate: s.number("rate"), BatchSize: int(s.number("batch")), Seed: uint64(s.number("seed")),
		Optimizer: optimizers[s["optimizer"]](), L2: s.number("l2"), WeightDecay: s.number("decay"),
		ClipNorm: s.number("clipnorm"), ClipValue: s.number("clipvalue"),
	}}
	net.Init(t.config.Seed)
	if t.train, t.test, t.Points, err = draw(s); err != nil {
		return nil, err
	}
	t.Training = t.train.X.(*mat.Dense).RawMatrix().Rows
	return t, t.divide(append(ends, len(layers)+1))
}

// divide finds the blocks, of which each ends before the layer given.
func (t *Session) divide(ends []int) error {
	layer, at := 0, 0
	for _, end := range ends {
		part, err := t.net.Slice(layer, end)
		if err != nil {
			return err
		}
		n := len(part.Params())
		t.Blocks = append(t.Blocks, Block{Units: part.Outputs(), Inputs: part.Inputs(), At: at, End: at + n, part: part})
		layer, at = end, at+n
	}
	t.grid = inputs(t.Settings, t.plane())
	return nil
}

func (t *Session) units() (n int) {
	for _, b := range t.Blocks {
		n += b.Units
	}
	return n
}

// plane is the points of the output's map, of fewer the more units there are to compute for each.
func (t *Session) plane() *mat.Dense {
	if t.Side = 50; t.units() > 64 {
		t.Side = 40
	}
	points := mat.NewDense(t.Side*t.Side, 2, nil)
	along := func(k int) float64 { return extent * ((2*float64(k)+1)/float64(t.Side) - 1) }
	for i := range t.Side * t.Side {
		points.SetRow(i, []float64{along(i % t.Side), -along(i / t.Side)})
	}
	return points
}

// Advance trains for so many epochs, or until the time is over, and for one batch at least.
func (t *Session) Advance(epochs int, until time.Time) error {
	for end := t.epoch + epochs; ; {
		if err := t.Step(); err != nil || t.epoch >= end || !time.Now().Before(until) {
			return err
		}
	}
}

// Step trains on one batch, as Network.Train does, and by the same random numbers.
func (t *Session) Step() error {
	if t.next == 0 {
		t.shuffle()
	}
	size, least := t.config.BatchSize, 1
	if t.Settings["norm"] == "batch" {
		least = 2
	}
	end := min(t.next+size, t.Training)
	if t.Training-end < least { // too few for a batch of their own
		end = t.Training
	}
	_, grad, err := t.net.TrainingGradient(t.grad, t.batch(t.order[t.next:end]), nil, t.dropping)
	if err != nil {
		return err
	}
	if t.next = end; end == t.Training {
		t.epoch, t.next = t.epoch+1, 0
	}
	t.update(grad)
	return nil
}

// shuffle draws the order of an epoch's samples.
func (t *Session) shuffle() {
	seed, epoch := t.config.Seed, uint64(t.epoch)
	t.order = make([]int, t.Training)
	for i := range t.order {
		t.order[i] = i
	}
	if t.config.BatchSize < t.Training {
		rand.New(rand.NewPCG(seed, epoch)).Shuffle(t.Training, func(i, j int) { t.order[i], t.order[j] = t.order[j], t.order[i] })
	}
	t.dropping = rand.New(rand.NewPCG(seed, ^epoch))
}

func (t *Session) batch(rows []int) backprop.Data {
	x, y := backprop.Resize(&t.x, len(rows), t.net.Inputs()), backprop.Resize(&t.y, len(rows), 1)
	for i, row := range rows {
		x.SetRow(i, t.train.X.(*mat.Dense).RawRowView(row))
		y.Set(i, 0, t.train.Y.At(row, 0))
	}
	return backprop.Data{X: x, Y: y}
}

// update takes a step against the gradient, with penalties and clipping.
func (t *Session) update(grad []float64) {
	c := &t.config
	if c.L2 > 0 {
		for _, b := range t.Blocks {
			w := b.Units * b.Inputs
			floats.AddScaled(grad[b.At:b.At+w], c.L2, t.net.Params()[b.At:b.At+w]) // dW ← dW + λ·W
		}
	}
	if c.ClipNorm > 0 {
		backprop.ClipNorm(grad, c.ClipNorm)
	}
	if c.ClipValue > 0 {
		for i, g := range grad {
			grad[i] = min(max(g, -c.ClipValue), c.ClipValue)
		}
	}
	if c.WeightDecay > 0 {
		for _, b := range t.Blocks {
			floats.Scale(1-c.LearningRate*c.WeightDecay, t.net.Params()[b.At:b.At+b.Units*b.Inputs]) // W ← (1 − ηλ)·W
		}
	}
	c.Optimizer.Step(t.net.Params(), grad, c.LearningRate)
}

// Frame is what the page draws, in memory that the next call uses again: as float64 the epoch, the
// losses on training and test data, the gradient's norm block by block, the parameters, and the
// gradient of the loss on all training data; then as bytes, 0 for −1 to 255 for 1, the maps of the
// inputs, of the hidden units and of the output. What is not finite is NaN, and 128 in maps. Maps
// that take long to compute are not computed for every frame.
func (t *Session) Frame() []byte {
	b := t.frame[:0]
	put := func(v float64) { b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v)) }
	loss := func(d backprop.Data) float64 {
		v, err := t.net.Loss(d.X, d.Y, nil)
		if err != nil {
			return math.NaN()
		}
		return v
	}
	value, grad, err := t.net.Gradient(t.grad, t.train.X, t.train.Y, nil)
	if err != nil {
		value, grad = math.NaN(), t.grad
		floats.AddConst(math.NaN(), grad)
	}
	if t.Settings["norm"] == "batch" { // the gradient's loss is by the batch's own statistics
		value = loss(t.train)
	}
	put(float64(t.epoch) + float64(t.next)/float64(t.Training))
	put(value)
	put(loss(t.test))
	for _, block := range t.Blocks {
		put(floats.Norm(grad[block.At:block.End], 2))
	}
	for _, v := range t.net.Params() {
		put(v)
	}
	for _, v := range grad {
		put(v)
	}
	if begin := time.Now(); !begin.Before(t.resting) {
		t.draw()
		now := time.Now()
		t.resting = now.Add(2*now.Sub(begin) - 20*time.Millisecond)
	}
	t.frame = append(b, t.maps...)
	return t.frame
}

// Refresh makes the next frame have maps of its own.
func (t *Session) Refresh() { t.resting = time.Time{} }

// draw computes the maps.
func (t *Session) draw() {
	a := t.grid
	b := appendMaps(t.maps[:0], a, 1/extent, 0, 2)
	for i := range t.Blocks {
		block := &t.Blocks[i]
		if err := block.part.PredictTo(&block.a, a); err != nil {
			block.a = *mat.NewDense(t.Side*t.Side, block.Units, nil)
			block.a.Apply(func(_, _ int, _ float64) float64 { return math.NaN() }, &block.a)
		}
		a = &block.a
		if i < len(t.Blocks)-1 {
			b = appendMaps(b, a, 1, 0, 2)
		}
	}
	if t.Settings.regression() {
		t.maps = appendMaps(b, a, 1, 0, 1)
	} else {
		t.maps = appendMaps(b, a, 2, -1, 1) // a probability
	}
}

// appendMaps appends the columns of a times scale plus shift, at every stride-th point of the
// plane.
func appendMaps(b []byte, a *mat.Dense, scale, shift float64, stride int) []byte {
	m := a.RawMatrix()
	side := int(math.Sqrt(float64(m.Rows)))
	for j := range m.Cols {
		for row := 0; row < side; row += stride {
			for col := 0; col < side; col += stride {
				switch v := m.Data[(row*side+col)*m.Cols+j]*scale + shift; {
				case v <= -1:
					b = append(b, 0)
				case v >= 1:
					b = append(b, 255)
				case v == v:
					b = append(b, byte(127.5*(v+1)+0.5))
				default:
					b = append(b, 128)
				}
			}
		}
	}
	return b
}

// Check compares the gradient with central differences, over as many samples as are soon computed.
func (t *Session) Check() (string, error) {
	n := len(t.grad)
	cost := 4 * n * (n + 40*t.units()) // of a sample: four losses a parameter, an activation as much as 40 weights
	rows := min(t.Training, max(2, 500_000_000/cost))
	x := t.train.X.(*mat.Dense).Slice(0, rows, 0, t.net.Inputs())
	e, err := t.net.CheckGradient(x, t.train.Y.(*mat.Dense).Slice(0, rows, 0, 1), nil)
	if err != nil {
		return "", err
	}
	layer := 1 + slices.IndexFunc(t.Blocks, func(b Block) bool { return e.Index < b.End })
	return fmt.Sprintf("%d derivatives over %d samples, compared with central differences: the largest relative difference is %.1e, "+
		"in layer %d, by backpropagation %.10g, by differences %.10g.", n, rows, e.MaxRelative, layer, e.Analytic, e.Numeric), nil
}

// Explain is an error in plain words, with the remedy.
func Explain(err error) string {
	if errors.Is(err, backprop.ErrDiverged) {
		return "The training diverged: numbers have left the range of a float64. Lower the learning rate, " +
			"clip the gradient's norm, or choose another initializer, and start again. (" + err.Error() + ")"
	}
	return err.Error()
}
