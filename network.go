// Package backprop trains neural networks of dense layers by backpropagation, in float64 on gonum's
// matrices. Its files can be read in the order activation, loss, layer, network, train as a course
// on how that is done; mat is where one looks things up.
//
// # A first program
//
// Four samples, two inputs, one output: the exclusive or.
//
//	x := mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1})
//	y := mat.NewDense(4, 1, []float64{0, 1, 1, 0})
//
//	net, err := backprop.New(2,
//		backprop.Dense{Units: 8, Activation: backprop.Tanh},
//		backprop.Dense{Units: 1, Activation: backprop.Sigmoid},
//	)
//	if err != nil {
//		log.Fatal(err)
//	}
//	_, err = net.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.5, Epochs: 2000})
//	if err != nil {
//		log.Fatal(err)
//	}
//	p, err := net.Predict(x) // 0.00, 1.00, 1.00, 0.00
//
// # The four equations
//
// A batch of N samples goes through a layer with weights W and biases b, its rows X in, its rows A
// out:
//
//	Z = X·Wᵀ + 1·bᵀ    N×out, with X N×in, W out×in, b out
//	A = f(Z)           N×out, f being the activation
//
// The loss L compares the last layer's A with the targets and gives ∂L/∂A. With dA, dZ, dW, db, dX
// for the derivatives of L by A, Z, W, b, X, backpropagation is four equations a layer, from the
// last one to the first (Rumelhart, Hinton and Williams 1986):
//
//	dZ = dA ⊙ f′(Z)    N×out, the chain rule
//	dW = dZᵀ·X         out×in
//	db = dZᵀ·1         out
//	dX = dZ·W          N×in, the dA of the layer before
//
// Gradient descent then takes a step of the learning rate η against the gradient, for all
// parameters θ at once:
//
//	θ ← θ − η·∂L/∂θ
//
// # Conventions
//
//   - Samples are rows, as in gonum's stat. W is out×in, as in PyTorch.
//   - Losses and gradients are means over the samples, so that η need not change with the batch
//     size.
//   - A zero field of a struct means the default that its comment names.
//   - Layers are counted from 0, as given to [New], and epochs and batches from 0.
//   - Everything random comes from a seed, 0 by default, and never from a clock: the same program
//     gives the same bits, on any number of processors of any kind that has assembly: AVX-512, AVX2
//     or NEON. Elsewhere the last digits may differ, as may those that functions of the caller's own
//     take from package math.
//   - What a caller hands in is never changed; [Network.Params], [Network.Weights],
//     [Network.Biases] and [Network.Statistics] are views to be written to.
//   - What depends on data fails with an error, not a panic: a [*ShapeError] for a matrix of the
//     wrong shape, a [*ValueError] for a NaN or a target that the loss cannot take, one that wraps
//     [ErrDiverged] where numbers overflow.
//
// # Checkpoints
//
// With [TrainConfig].Checkpoint a training keeps all that it is in a file: at its beginning, at the
// end of epochs as often as takes no more than a few per cent of the time, and when it ends. Where
// the file exists, the training goes on from it and ends with the same bits as if it had not been
// interrupted. Epochs done before are not shown to OnEpoch again.
//
// A training that had ended returns at once. One that had done all its Epochs goes on where Epochs
// has been raised; one that had reached its TargetLoss, lost its Patience or was stopped by OnEpoch
// does not.
//
// A file of another network, configuration or data is an error, and neither overwritten nor taken
// up in part. A Schedule, Loss or OnEpoch that is a function is not compared. The optimizer must be
// [Stateful], and every activation known to [Load].
//
// Two processes with one path do not disturb each other: each writes whole files, goes on from what
// it found at its beginning, and ends as if it was alone; the file is that of the last to write.
//
// # The names
//
// A network is made by [New] of layers: [Dense], [BatchNorm], [Dropout], [Standardize],
// [Unstandardize], [Activate], [Sequential], or any other [Layer]. A dense layer or batch norm has an
// [Activation]: [Identity], [Sigmoid], [Tanh], [ReLU], [LeakyReLU], [ELU], [GELU], [SiLU], [SELU],
// [Softplus], [Softmax] or one of the caller's own. Weights are drawn by an [Initializer].
//
// [Network.Train] trains it. [TrainConfig] has all that can be chosen: the [Loss] ([MSE], [MAE],
// [Huber], [BinaryCrossEntropy], [CrossEntropy]), the [Optimizer] ([SGD], [RMSProp], [Adam],
// [AdaGrad]), the [Schedule] of the learning rate ([StepDecay], [CosineDecay], [Warmup],
// [ReduceLROnPlateau], [ScheduleFunc]), weights of samples, frozen layers, weight decay, clipping,
// early stopping, checkpoints. [Network.TrainBatches] takes the samples from a sequence. [History]
// and [Epoch] tell how it went. [Network.Init] draws the parameters anew, [Network.Adapt] lets
// standardization learn of other data.
//
// [Network.Predict] and [Network.PredictTo] use it, and [Accuracy], [ConfusionMatrix],
// [ClassScores], [LabelAccuracies] and [R2] judge it. [OneHot] makes targets for classes, [Classes]
// takes them back, [BalancedWeights] weighs them, [Data.Split] holds samples out.
//
// [Network.Slice] takes layers out of a network, [Network.Clone] copies it.
//
// [Network.Save] and [Load], or [Network.WriteTo] and [Read], keep it in a safetensors file that
// PyTorch reads too. [RegisterActivation] and [RegisterLayer] let Load find what is of the caller's
// own.
//
// [Network.Params] and [Network.Gradient], or [Network.TrainingGradient], are what another optimizer
// or a training loop of one's own needs, with [ClipNorm], [Network.InputGradient] what a network in
// front does. [Network.CheckGradient] compares backpropagation with central differences.
//
// A [Layer] of one's own has a [Shape] with [Tensor]s, and a [Stage] in each [Place], with results
// that [Resize] sizes. An [Optimizer] of one's own is [Stateful] if its training is to be kept.
package backprop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"

	"example.com/backprop/internal/checkpoint"
	"example.com/backprop/internal/dataset"
	"example.com/backprop/internal/difference"
	"example.com/backprop/internal/kernel"
	"example.com/backprop/internal/modelfile"
	"example.com/backprop/internal/safetensors"
	"gonum.org/v1/gonum/mat"
)

// A Network is a stack of layers with their parameters. [New], [Load] and [Read] make one, and
// [Network.Slice] and [Network.Clone] make one of another.
//
// Its parameters are one flat slice, layer by layer as given to New: W (row-major, out×in), then b;
// for batch norm γ, then β.
//
// Everything but Train, TrainBatches, TrainingGradient, Adapt and Init may be called from several
// goroutines at once, as long as none of these, nor the caller, changes the parameters or the
// statistics meanwhile.
type Network struct {
	layers     Sequential
	shape      Shape     // of all layers
	place      Place     // of all layers: where the parameters and statistics are
	slots      []slot    // the layers in their places
	width      int       // outputs of the widest layer
	step       int       // samples predicted at a time: 256, or fewer, so that two buffers take 256 MB at most
	params     []float64 // of all layers, one behind the other
	statistics []float64

	// Fingerprints of the parameters with which the last training that kept a checkpoint began and
	// ended, so that it can be taken up in the same program.
	began, ended string

	inference, gradients, steps sync.Pool    // of *pass
	training                    *atomic.Bool // of all networks that share parameters
}

// New makes a network for samples of the given number of inputs, 1 or more. The last layer, a
// [Dense] or a [BatchNorm] say, gives the output. Parameters are drawn as by [Network.Init](0), so
// the same program always gets the same network.
//
// All layers that cannot be used are reported in one error, by their index. A network has at most
// 2¹⁴ layers and 2³⁰ parameters and statistics.
func New(inputs int, layers ...Layer) (*Network, error) {
	n, err := newNetwork(inputs, layers)
	if err != nil {
		return nil, door("New").wrap(err)
	}
	n.allocate()
	n.Init(0)
	return n, nil
}

// newNetwork checks the layers in their places and makes a network that has no memory yet.
func newNetwork(inputs int, layers Sequential) (*Network, error) {
	if inputs < 1 || inputs > maxSize {
		return nil, fmt.Errorf("%d inputs, want 1 to %d", inputs, maxSize)
	}
	if len(layers) > maxLayers {
		return nil, fmt.Errorf("%d layers, want at most %d", len(layers), maxLayers)
	}
	shape, err := layers.Shape(inputs)
	if last := len(layers) - 1; shape.mustNotBeLast {
		err = errors.Join(err, fmt.Errorf("layer %d: a %s cannot be the last layer, want a Dense or a BatchNorm",
			last, kindOf(layers[last])))
	}
	n := &Network{layers: slices.Clone(layers), shape: shape, place: Place{Inputs: inputs}, training: new(atomic.Bool)}
	return n, err
}

// allocate takes the memory for the parameters and the statistics.
func (n *Network) allocate() {
	n.bind(make([]float64, sizeOf(n.shape.Params, 0)), make([]float64, sizeOf(n.shape.Statistics, 0)))
}

// bind makes the beginning of two slices the parameters and the statistics.
func (n *Network) bind(params, statistics []float64) {
	p, s := sizeOf(n.shape.Params, 0), sizeOf(n.shape.Statistics, 0)
	n.params, n.statistics = params[:p:p], statistics[:s:s]
	n.place.Params, n.place.Statistics = views(n.shape.Params, n.params), views(n.shape.Statistics, n.statistics)
	n.slots = n.layers.slots(n.place)
	for _, s := range n.slots {
		n.width = max(n.width, s.shape.Outputs)
	}
	n.step = max(1, min(256, 1<<24/n.width))
}

// Slice is layers lo to hi, hi not included, as a network of its own: an encoder, a head, what a
// hidden layer gives. It shares parameters and statistics with n, as a slice of a gonum matrix
// shares its elements, so that training one changes the other; [Network.Clone] parts them. Layers
// that cannot stand alone, such as a Dropout at the end, are an error, which counts them from lo.
func (n *Network) Slice(lo, hi int) (*Network, error) {
	const where = door("Slice")
	if err := n.checkMade(); err != nil {
		return nil, where.wrap(err)
	}
	if lo < 0 || hi > len(n.layers) || lo >= hi {
		return nil, where.errorf("layers %d to %d of %d, want 0 ≤ lo < hi ≤ %[3]d", lo, hi, len(n.layers))
	}
	part, err := newNetwork(n.slots[lo].at.Inputs, n.layers[lo:hi])
	if err != nil {
		return nil, where.wrap(err)
	}
	before, _ := n.layers[:lo].Shape(n.place.Inputs) // no error when n was made, but that they may be none
	part.bind(n.params[sizeOf(before.Params, 0):], n.statistics[sizeOf(before.Statistics, 0):])
	part.training = n.training
	return part, nil
}

// Clone is a copy of the network that shares nothing with it.
func (n *Network) Clone() *Network {
	if n.checkMade() != nil {
		return &Network{}
	}
	c := &Network{layers: n.layers, shape: n.shape, place: n.place, training: new(atomic.Bool)}
	c.allocate()
	c.become(n)
	return c
}

// Layers are the layers as given to [New].
func (n *Network) Layers() []Layer { return slices.Clone(n.orNone().layers) }

// Inputs is the number of columns that the network takes.
func (n *Network) Inputs() int { return n.orNone().place.Inputs }

// Outputs is the number of columns that it gives.
func (n *Network) Outputs() int { return n.orNone().shape.Outputs }

// orNone is n, or a network without layers where that is nil.
func (n *Network) orNone() *Network {
	if n == nil {
		return &Network{}
	}
	return n
}

// Init draws fresh parameters from the seed and forgets what the layers have learnt of the data:
// the same seed, the same bits. Biases and β become 0, γ becomes 1.
func (n *Network) Init(seed uint64) {
	if n.checkMade() != nil {
		return
	}
	at := n.place
	at.Rand = rand.New(rand.NewPCG(seed, 0))
	n.layers.Reset(at)
}

// learn lets the layers that have learnt nothing of the data yet do so: all of them or, where that
// is an error, none.
func (n *Network) learn(s *dataset.Samples, frozen []int) error {
	before := slices.Clone(n.statistics)
	err := learnAll(n.slots, frozen, s)
	if err != nil {
		copy(n.statistics, before)
	}
	return err
}

// checkLearnt returns an error if a layer has still to learn of the data.
func (n *Network) checkLearnt() error { return learnAll(n.slots, nil, nil) }

// unlearn makes the layers forget what they have learnt.
func (n *Network) unlearn() {
	for i, t := range n.shape.Statistics {
		if t.learnt {
			fill(dataOf(n.place.Statistics[i]), unlearnt)
		}
	}
}

// Adapt lets a [Standardize] learn its statistics of data.X and an [Unstandardize] of data.Y, anew
// if they have learnt before. [Network.Train] does it by itself when it first starts; a training
// from batches or by a loop of one's own is preceded by Adapt, with the data or, where these are
// too many, with a sample of them. It takes X and Y whatever is to learn.
func (n *Network) Adapt(data Data) error {
	const where = door("Adapt")
	if err := n.checkMade(); err != nil {
		return where.wrap(err)
	}
	s, err := data.view(where, "X", n.place.Inputs, n.shape.Outputs)
	if err != nil {
		return err
	}
	if err := s.ScaleWeights("SampleWeights"); err != nil {
		return where.wrap(err)
	}
	before := slices.Clone(n.statistics)
	n.unlearn()
	if err = learnAll(n.slots, nil, &s); err != nil {
		copy(n.statistics, before)
	}
	return where.wrap(err)
}

// Params is a live view of all parameters, layer by layer as [Network] says: writing to it changes
// the network. It is the same slice at every call.
func (n *Network) Params() []float64 { return n.orNone().params }

// Weights is a live view of layer i's weights, i counting the layers as given to [New]: W of a
// Dense, Units×inputs, or γ of a BatchNorm, 1×inputs. It is nil where there is no such layer or it
// has none of its own, as a Sequential, and the same matrix at every call.
func (n *Network) Weights(i int) *mat.Dense { return n.tensor(i, "weight") }

// Biases is a live view of layer i's biases: b of a Dense, Units elements, or β of a BatchNorm. It
// is nil where there is no such layer or it has none.
func (n *Network) Biases(i int) *mat.VecDense {
	m := n.tensor(i, "bias")
	if m == nil {
		return nil
	}
	return mat.NewVecDense(len(dataOf(m)), dataOf(m))
}

// Statistics are live views of what layer i has learnt of its inputs: a BatchNorm's running mean and
// variance, or the mean and population variance of a Standardize's inputs or of an Unstandardize's
// targets, of which a first mean of −0 says that they are still to be learnt. Both are nil where
// there is no such layer or it learns none.
func (n *Network) Statistics(i int) (mean, variance []float64) {
	m, v := n.tensor(i, "running_mean"), n.tensor(i, "running_var")
	if m == nil || v == nil {
		return nil, nil
	}
	return dataOf(m), dataOf(v)
}

// matrices are the parts of flat, as long as the parameters, that L2 and WeightDecay act on: those
// of parameters of two dimensions or more, of layers that are not frozen.
func (n *Network) matrices(flat []float64, frozen []int) (list [][]float64) {
	all := views(n.shape.Params, flat)
	for i, s := range n.slots {
		for k, t := range s.shape.Params {
			if len(t.Shape) > 1 && !slices.Contains(frozen, i) {
				list = append(list, dataOf(all[k]))
			}
		}
		all = all[len(s.shape.Params):]
	}
	return list
}

// moving are the parts of the parameters, from where to where, of layers that are not frozen.
func (n *Network) moving(frozen []int) (parts [][2]int) {
	end := 0
	for i, s := range n.slots {
		begin, last := end, len(parts)-1
		end += sizeOf(s.shape.Params, 0)
		switch {
		case begin == end || slices.Contains(frozen, i):
		case last >= 0 && parts[last][1] == begin:
			parts[last][1] = end
		default:
			parts = append(parts, [2]int{begin, end})
		}
	}
	return parts
}

// tensor is the parameter or statistic of that name of layer i, or nil.
func (n *Network) tensor(i int, name string) *mat.Dense {
	if n == nil || i < 0 || i >= len(n.slots) {
		return nil
	}
	s := n.slots[i]
	for k, t := range slices.Concat(s.shape.Params, s.shape.Statistics) {
		if t.Name == name {
			return slices.Concat(s.at.Params, s.at.Statistics)[k]
		}
	}
	return nil
}

// String is a table of the layers, their numbers of units and of parameters.
func (n *Network) String() string {
	if err := n.checkMade(); err != nil {
		return err.Error()
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "layer\ttype\toutput\tparameters\n\tinput\t%d\t0\n", n.place.Inputs)
	for i, s := range n.slots {
		fmt.Fprintf(w, "%d\t%s\t%d\t%d\n", i, nameOf(s.Layer), s.shape.Outputs, sizeOf(s.shape.Params, 0))
	}
	fmt.Fprintf(w, "\t\ttotal\t%d\n", len(n.params))
	w.Flush()
	return b.String()
}

// A pass computes the network, and in training its gradient, for batches of up to rows samples.
// Nothing of a pass is kept in the network, so any number of them can be on their way at once.
type pass struct {
	rows       int
	stages     chain
	body       chain      // the stages, but for the head
	head       Stage      // the last stage, if the loss is one of its input; else nil
	grad       []float64  // what backward fills, as long as the parameters; nil in inference
	statistics []float64  // of a gradient, which moves no others
	rand       *rand.Rand // the source of chance in a step of TrainingGradient, which gives it one
	samples    dataset.Dense
	targets    dataset.Dense
	outputs    int       // columns of y, z, a and da
	y          []float64 // N×outputs
	weights    []float64 // of the samples; nil means 1 each
	z, a       []float64 // N×outputs: what goes into the head, and what the loss sees
	da         *buffer   // N×outputs: ∂L/∂a, or ∂L/∂z where there is a head

	loss   Loss
	closed logitLoss // the loss, if it has a closed form in the head's input
	whole  bool      // the loss can take a batch in one call
}

// newPass makes a pass for inference or, in a place with Training, for training.
func (n *Network) newPass(at Place) *pass {
	p := &pass{rows: at.Rows, outputs: n.shape.Outputs}
	if at.Training {
		p.grad = make([]float64, len(n.params))
		at.Grads = views(n.shape.Params, p.grad)
	}
	if at.Training || at.NeedDX {
		p.da = at.buffer(n.shape.Outputs)
	}
	p.stages = n.layers.Stage(at).(chain)
	p.body = p.stages
	return p
}

func (n *Network) newInference(rows int) *pass {
	at := n.place
	at.Rows, at.turns = rows, &turns{size: rows * n.width}
	return n.newPass(at)
}

// newGradient makes a pass of Gradient.
func (n *Network) newGradient(rows int) *pass { return n.newTraining(rows, nil) }

// newStep makes a pass of TrainingGradient.
func (n *Network) newStep(rows int) *pass { return n.newTraining(rows, &rand.Rand{}) }

// newTraining makes a pass with the batch's own statistics that leaves the running ones as they
// are. Dropout draws from rng, unless that is nil.
func (n *Network) newTraining(rows int, rng *rand.Rand) *pass {
	at, statistics := n.place, make([]float64, len(n.statistics))
	at.Rows, at.Training, at.Rand = rows, true, rng
	at.Statistics = views(n.shape.Statistics, statistics)
	p := n.newPass(at)
	p.statistics, p.rand = statistics, rng
	return p
}

// take gets a pass for at least so many samples from a pool, or makes one. One in which a stage has
// panicked is not put back.
func take(pool *sync.Pool, rows int, newPass func(rows int) *pass) *pass {
	if p, ok := pool.Get().(*pass); ok && p.rows >= rows {
		return p
	}
	return newPass(rows)
}

// use makes l the loss of the batches to come.
func (p *pass) use(l Loss) {
	p.loss, p.closed, p.whole = l, nil, isElementwise(l)
	p.body, p.head = p.stages, nil
	last := len(p.stages) - 1
	switch s := p.stages[last].(type) {
	case *activationStage:
		if closed, ok := l.(logitLoss); ok && s.f == closed.output() {
			p.body, p.head, p.closed, p.whole = p.stages[:last], s, closed, true
		}
	case *unstandardizeStage:
		p.body, p.head = p.stages[:last], s // the loss is one of standardized targets
	}
}

// forward computes the network's output for a batch. It stays valid until the next forward of the
// same pass.
func (p *pass) forward(x *matrix) (out *mat.Dense) {
	out = p.body.Forward(p.samples.Show(x))
	p.z = dataOf(out)
	p.a = p.z
	if p.head != nil {
		out = p.head.Forward(out)
	}
	if p.closed != nil {
		p.a = dataOf(out)
	}
	return out
}

// value is the mean loss over the batch that went forward last, each sample's times its weight.
func (p *pass) value(s *dataset.Samples) float64 {
	y := p.targets.Show(&s.Y)
	if u, ok := p.head.(*unstandardizeStage); ok {
		y = u.targets.Forward(y)
	}
	p.y, p.weights = dataOf(y), s.Weights.Data
	if p.weights == nil && p.whole {
		return p.valueOf(p.z, p.a, p.y)
	}
	sum := 0.0
	for i := range s.Y.Rows {
		if w := s.Weight(i); w != 0 { // else its loss may be infinite
			sum += float64(w * p.valueOf(p.row(p.z, i), p.row(p.a, i), p.row(p.y, i)))
		}
	}
	return sum / float64(s.Y.Rows)
}

func (p *pass) row(m []float64, i int) []float64 { return m[i*p.outputs : (i+1)*p.outputs] }

// valueOf is the loss of a row, or of all where the loss can take them in one call.
func (p *pass) valueOf(z, a, y []float64) float64 {
	if p.closed != nil {
		return p.closed.valueZ(z, a, y, p.outputs)
	}
	return p.loss.Value(a, y)
}

// differentiate goes forward and backward, and returns the loss and what backward does.
func (p *pass) differentiate(s *dataset.Samples, l Loss) (value float64, dx *mat.Dense) {
	p.use(l)
	p.forward(&s.X)
	value = p.value(s)
	return value, p.backward()
}

// backward computes the gradient of the mean loss of which the value was computed last, and its
// derivative by the inputs where the pass needs that.
func (p *pass) backward() (dx *mat.Dense) {
	rows := len(p.y) / p.outputs
	p.da.resize(rows)
	switch {
	case p.closed != nil:
		kernel.Squared.Gradient(p.da.Data, p.a, p.y, 1/float64(p.closed.terms(rows, p.outputs))) // dZ = (A − Y)/terms
	case p.whole:
		p.loss.Gradient(p.da.Data, p.a, p.y)
	default:
		for i := range rows {
			p.loss.Gradient(p.da.Row(i), p.row(p.a, i), p.row(p.y, i))
		}
		kernel.Scale(1/float64(rows), p.da.Data)
	}
	for i, w := range p.weights {
		kernel.Scale(w, p.da.Row(i))
	}
	return p.body.Backward(&p.da.dense)
}

// Predict returns the network's outputs for the samples in the rows of x, N×outputs for N×inputs,
// in memory of the caller's own. It is inference: dropout is inactive, batch norm uses its running
// statistics. A matrix of another width is a [*ShapeError], a NaN or an infinity in x, or in the
// output, a [*ValueError].
func (n *Network) Predict(x mat.Matrix) (*mat.Dense, error) {
	dst := new(mat.Dense)
	if err := n.predictTo("Predict", dst, x); err != nil {
		return nil, err
	}
	return dst, nil
}

// PredictTo is [Network.Predict] into dst, which is N×outputs, or empty and then sized. It
// allocates nothing once as many samples have been predicted before, if dst has its size and x is a
// *mat.Dense that does not lie between dst's elements. After an error that names the output, what
// dst holds is not defined.
func (n *Network) PredictTo(dst *mat.Dense, x mat.Matrix) error {
	return n.predictTo("PredictTo", dst, x)
}

func (n *Network) predictTo(where door, dst *mat.Dense, x mat.Matrix) error {
	if err := n.checkMade(); err != nil {
		return where.wrap(err)
	}
	var xm, out matrix
	if err := where.viewFinite(&xm, "x", x, -1, n.place.Inputs); err != nil {
		return err
	}
	if dst != nil && dst.IsEmpty() {
		dst.ReuseAs(xm.Rows, n.shape.Outputs)
	}
	if err := where.view(&out, "dst", dst, xm.Rows, n.shape.Outputs); err != nil {
		return err
	}
	if kernel.Overlap(out.Data, n.params) {
		return where.errorf("dst overlaps the network's Params, want other memory")
	}
	if kernel.Overlap(out.Data, xm.Data) {
		xm = xm.Clone()
	}
	step := min(xm.Rows, n.step)
	p := take(&n.inference, step, n.newInference)
	part, some := &xm, matrix{}
	for lo := 0; lo < xm.Rows; lo += step {
		if step < xm.Rows { // a copy of a matrix waits for what was stored in it
			some = xm.Slice(lo, min(lo+step, xm.Rows))
			part = &some
		}
		a := p.forward(part)
		for i := range part.Rows {
			copy(out.Row(lo+i), a.RawRowView(i))
		}
	}
	n.inference.Put(p)
	return where.checkFinite("output", &out)
}

// checkMade returns an error if New has not made the network.
func (n *Network) checkMade() error {
	if n == nil || len(n.layers) == 0 {
		return errors.New("the network has no layers; New makes one")
	}
	return nil
}

// Data is a set of N samples: the inputs in the rows of X, N×inputs, and their targets in the rows
// of Y, N×outputs. The zero Data is none.
//
// SampleWeights are N weights of 0 or more that the samples have in the loss, or nil where all
// count alike. Where the set is known they are scaled to a mean of 1, so that a weight of 2 is the
// row twice, and 0 the row absent; in a batch of [Network.TrainBatches] or
// [Network.TrainingGradient] they count as they are. Batch norm does not look at them.
type Data struct {
	X, Y          mat.Matrix
	SampleWeights []float64
}

// Split holds a share of the samples out, drawn by chance from the seed: ⌈share·N⌉ of them, as
// scikit-learn's train_test_split, and the rest, each with the weights along. Both are copies, and
// neither may be empty.
func (d Data) Split(share float64, seed uint64) (rest, held Data, err error) {
	const where = door("Split")
	s, err := d.view(where, "X", -1, -1)
	if err != nil {
		return rest, held, err
	}
	n := math.Ceil(share * float64(s.X.Rows))
	if !(n >= 1 && n < float64(s.X.Rows)) {
		return rest, held, where.errorf("share is %v of %d samples, want some of them held out, and not all", share, s.X.Rows)
	}
	order := rand.New(rand.NewPCG(seed, 0)).Perm(s.X.Rows)
	part := func(rows []int) Data {
		p := s.Gather(rows)
		dense := func(m matrix) *mat.Dense { return mat.NewDense(m.Rows, m.Cols, m.Data) }
		return Data{X: dense(p.X), Y: dense(p.Y), SampleWeights: p.Weights.Data}
	}
	return part(order[int(n):]), part(order[:int(n)]), nil
}

// view views the samples, X by its name, as "Validation.X". Numbers of columns below 0 accept any.
func (d Data) view(where door, x string, inputs, outputs int) (s dataset.Samples, err error) {
	y, weights := names(x)
	if err = where.viewFinite(&s.X, x, d.X, -1, inputs); err != nil {
		return s, err
	}
	if err = where.viewFinite(&s.Y, y, d.Y, s.X.Rows, outputs); err != nil {
		return s, err
	}
	err = where.viewWeights(&s.Weights, weights, d.SampleWeights, s.X.Rows)
	return s, err
}

// names are those of what belongs to x: "y" or "Validation.Y", and "Validation.SampleWeights".
func names(x string) (y, weights string) {
	last := len(x) - 1
	return x[:last] + string(x[last]+1), x[:last] + "SampleWeights"
}

// checkData views samples, X by its name, and checks them and the loss.
func (n *Network) checkData(where door, x string, d Data, l *Loss) (dataset.Samples, error) {
	if err := n.checkMade(); err != nil {
		return dataset.Samples{}, where.wrap(err)
	}
	s, err := d.view(where, x, n.place.Inputs, n.shape.Outputs)
	if err != nil {
		return s, err
	}
	if err := n.checkLoss(l); err != nil {
		return s, where.wrap(err)
	}
	if c, ok := (*l).(logitLoss); ok {
		y, _ := names(x)
		return s, c.checkTargets(where, y, s.Y)
	}
	return s, nil
}

// checkLoss makes a loss that is nil what belongs to the output's activation, and returns an error
// if one cannot be used here, as one of probabilities behind a layer and an activation of the
// package's that give none. Those of the caller's own may.
func (n *Network) checkLoss(l *Loss) error {
	last, f := n.layers[len(n.layers)-1], cmp.Or(n.shape.Activation, Identity)
	if *l == nil {
		*l = defaultLoss(f)
	}
	if err := checkFields(*l); err != nil {
		return err
	}
	if c, ok := (*l).(logitLoss); ok && f != c.output() && isOurs(f) && isOurs(last) {
		return fmt.Errorf("%v takes what a %v gives, and the last layer ends with %v; set its Activation to %[2]v, or choose another loss",
			c, c.output(), f)
	}
	return nil
}

// Loss returns the mean loss over the samples in the rows of x, with the targets in the rows of y,
// N×outputs, in inference mode. A nil l is what belongs to the output's activation: CrossEntropy
// for Softmax, BinaryCrossEntropy for Sigmoid, MSE for any other. A loss that is not finite is an
// error that wraps [ErrDiverged].
func (n *Network) Loss(x, y mat.Matrix, l Loss) (float64, error) {
	const where = door("Loss")
	s, err := n.checkData(where, "x", Data{X: x, Y: y}, &l)
	if err != nil {
		return 0, err
	}
	value, _ := n.meanLoss(context.Background(), &s, l) // no error without an end of the context
	if !isFinite(value) {
		return 0, where.errorf("%w: it is %v", ErrDiverged, value)
	}
	return value, nil
}

// meanLoss is the loss in inference mode. It gives up when ctx is cancelled.
func (n *Network) meanLoss(ctx context.Context, s *dataset.Samples, l Loss) (float64, error) {
	rows, sum := s.X.Rows, 0.0
	step := min(rows, n.step)
	p := take(&n.inference, step, n.newInference)
	p.use(l)
	for lo := 0; lo < rows; lo += step {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		part := s.Slice(lo, min(lo+step, rows))
		p.forward(&part.X)
		sum += float64(p.value(&part) * float64(part.X.Rows))
	}
	n.inference.Put(p)
	return sum / float64(rows), nil
}

// Gradient returns the mean loss over the samples in the rows of x, with the targets in the rows of
// y, and its derivatives by the parameters, in the order of [Network.Params], by backpropagation.
// They are stored in dst, which is as long as the parameters or nil, and then made. Batch norm uses
// the batch's own statistics and leaves the running ones alone; dropout is inactive. A nil l is
// chosen as by [Network.Loss]. A loss or a gradient that is not finite is an error that wraps
// [ErrDiverged], after which what dst holds is not defined.
//
// Params and Gradient together drive any other optimizer, such as L-BFGS of gonum/optimize:
//
//	problem := optimize.Problem{
//		Func: func(params []float64) float64 {
//			copy(net.Params(), params)
//			loss, _, err := net.Gradient(nil, x, y, nil)
//			if err != nil {
//				return math.Inf(1) // the step was too long
//			}
//			return loss
//		},
//		Grad: func(grad, params []float64) {
//			copy(net.Params(), params)
//			net.Gradient(grad, x, y, nil)
//		},
//	}
//	settings := &optimize.Settings{MajorIterations: 200}
//	result, err := optimize.Minimize(problem, slices.Clone(net.Params()), settings, &optimize.LBFGS{})
//	if err == nil {
//		copy(net.Params(), result.X)
//	}
func (n *Network) Gradient(dst []float64, x, y mat.Matrix, l Loss) (value float64, grad []float64, err error) {
	return n.gradient("Gradient", dst, Data{X: x, Y: y}, l, nil)
}

// TrainingGradient is [Network.Gradient] as [Network.Train] computes it, for a training loop of
// one's own: each sample has its weight, as it is, dropout draws from rng, and batch norm's running
// statistics move. A layer that has still to learn of the data is an error that says how.
//
// With rand.New(rand.NewPCG(seed, ^n)) for the rng of epoch n, TrainConfig's Seed being seed, a
// loop over the same batches gives Train's bits:
//
//	for n := range uint64(epochs) {
//		rng := rand.New(rand.NewPCG(seed, ^n))
//		for _, batch := range batches {
//			loss, grad, err = net.TrainingGradient(grad, batch, nil, rng)
//			if err != nil {
//				return err
//			}
//			backprop.ClipNorm(grad, 1)
//			optimizer.Step(net.Params(), grad, 0.01)
//		}
//	}
func (n *Network) TrainingGradient(dst []float64, batch Data, l Loss, rng *rand.Rand) (value float64, grad []float64, err error) {
	const where = door("TrainingGradient")
	if rng == nil {
		return 0, nil, where.errorf("rng is nil, want rand.New(rand.NewPCG(seed, epoch))")
	}
	return n.gradient(where, dst, batch, l, rng)
}

// gradient is that of Gradient, or with an rng that of TrainingGradient.
func (n *Network) gradient(where door, dst []float64, data Data, l Loss, rng *rand.Rand) (value float64, grad []float64, err error) {
	s, err := n.checkData(where, "x", data, &l)
	if err != nil {
		return 0, nil, err
	}
	if dst == nil {
		dst = make([]float64, len(n.params))
	}
	if len(dst) != len(n.params) {
		return 0, nil, &ShapeError{string(where), "dst", len(dst), 1, len(n.params), 1}
	}
	if kernel.Overlap(dst, n.params) || kernel.Overlap(dst, s.X.Data) || kernel.Overlap(dst, s.Y.Data) || kernel.Overlap(dst, s.Weights.Data) {
		return 0, nil, where.errorf("dst overlaps the network's Params, x or y, want other memory")
	}
	if err := n.checkRows(where, s.X.Rows, nil); err != nil {
		return 0, nil, err
	}
	pool, newPass := &n.gradients, n.newGradient
	if rng != nil {
		if err := n.checkLearnt(); err != nil {
			return 0, nil, where.wrap(err)
		}
		pool, newPass = &n.steps, n.newStep
	}
	p := take(pool, s.X.Rows, newPass)
	if rng != nil {
		*p.rand = *rng // both draw from one source
	}
	kernel.Copy(p.statistics, n.statistics)
	value, _ = p.differentiate(&s, l)
	fine := isFinite(value) && kernel.Finite(p.grad) && kernel.Finite(p.statistics) // a variance may overflow behind them
	if fine && rng != nil {
		kernel.Copy(n.statistics, p.statistics)
	}
	kernel.Copy(dst, p.grad)
	pool.Put(p)
	if !fine {
		return 0, nil, where.errorf("%w: the loss is %v", ErrDiverged, value)
	}
	return value, dst, nil
}

// InputGradient returns the derivatives of the mean loss over the samples in the rows of x, with
// the targets in the rows of y, by their inputs: N×inputs, in memory of the caller's own. It is
// inference, as in [Network.Loss], by which a nil l is chosen. The derivatives tell which inputs an
// output goes by (saliency), lead to adversarial examples, and are the dA of a network that
// computes x. What is not finite is an error that wraps [ErrDiverged].
func (n *Network) InputGradient(x, y mat.Matrix, l Loss) (*mat.Dense, error) {
	const where = door("InputGradient")
	s, err := n.checkData(where, "x", Data{X: x, Y: y}, &l)
	if err != nil {
		return nil, err
	}
	at := n.place
	at.Rows, at.NeedDX = s.X.Rows, true
	value, dx := n.newPass(at).differentiate(&s, l)
	if !isFinite(value) || !kernel.Finite(dataOf(dx)) {
		return nil, where.errorf("%w: the loss is %v", ErrDiverged, value)
	}
	return mat.DenseCopyOf(dx), nil
}

// minRows is the fewest samples of a batch in training, and the layer that asks for so many. Frozen
// layers ask for none.
func (n *Network) minRows(frozen []int) (rows, layer int) {
	for i, s := range n.slots {
		if s.shape.MinRows > rows && !slices.Contains(frozen, i) {
			rows, layer = s.shape.MinRows, i
		}
	}
	return rows, layer
}

// checkRows returns an error if a batch of so many samples is too small to train a layer.
func (n *Network) checkRows(where door, rows int, frozen []int) error {
	if least, i := n.minRows(frozen); rows < least {
		return where.errorf("a batch of %d is too small for layer %d, a %s, want %d samples or more",
			rows, i, kindOf(n.layers[i]), least)
	}
	return nil
}

// A GradientError tells how well backpropagation and central differences agree, by the parameter at
// which they agree least.
type GradientError struct {
	MaxRelative       float64 // the relative difference of the two, see CheckGradient
	Analytic, Numeric float64 // by backpropagation, and by central differences
	Layer             int     // the parameter's layer, as given to New; -1 of a network without any
	Index             int     // its place in Params; -1 of a network without any
}

// CheckGradient compares every element of the gradient with a central difference, extrapolated from
// two steps: with D(h) = (L(θ+h) − L(θ−h))/2h it is (4·D(h/2) − D(h))/3, exact to O(h⁴). The
// difference of the two is taken relative to the larger of them, or to a thousandth of the
// gradient's largest element if that is more, because below it rounding hides what is compared. At
// a minimum the whole gradient is rounding: check elsewhere.
//
// A correct gradient gives some 1e-9. It gives more where a step leads across a kink, as ReLU has
// at 0. The cost is four losses a parameter. Arguments are as for [Network.Gradient]; the network
// is not changed.
func (n *Network) CheckGradient(x, y mat.Matrix, l Loss) (GradientError, error) {
	const where = door("CheckGradient")
	_, grad, err := n.gradient(where, nil, Data{X: x, Y: y}, l, nil)
	if err != nil {
		return GradientError{}, err
	}
	s, _ := n.checkData(where, "x", Data{X: x, Y: y}, &l) // no error in gradient
	c := n.Clone()
	p := c.newGradient(s.X.Rows)
	copy(p.statistics, c.statistics)
	p.use(l)
	worst := difference.Compare(grad, c.params, func() float64 {
		p.forward(&s.X)
		return p.value(&s)
	})
	return GradientError{
		MaxRelative: worst.Relative, Analytic: worst.Analytic, Numeric: worst.Numeric,
		Layer: n.layerOf(worst.Index), Index: worst.Index,
	}, nil
}

// layerOf is the layer that parameter i belongs to, or −1.
func (n *Network) layerOf(i int) int {
	end := 0
	return slices.IndexFunc(n.slots, func(s slot) bool {
		begin := end
		end += sizeOf(s.shape.Params, 0)
		return begin <= i && i < end
	})
}

// become takes over all that training changes from another network of the same layers.
func (n *Network) become(m *Network) {
	kernel.Copy(n.params, m.params)
	kernel.Copy(n.statistics, m.statistics)
}

// digest is a fingerprint of all that training changes.
func (n *Network) digest() string {
	params, statistics := matrixOf(n.params, 1, len(n.params)), matrixOf(n.statistics, 1, len(n.statistics))
	return checkpoint.Digest(&params, &statistics)
}

// isFinite tells whether all that training changes has stayed finite. A running variance may have
// overflowed behind a loss that does not show it.
func (n *Network) isFinite() bool { return kernel.Finite(n.params) && kernel.Finite(n.statistics) }

// Save writes the network to a file, which at any moment holds what it held before or all of the
// new network: the network is written to a file with a name of its own in the same folder, which is
// synced and then renamed. A symbolic link is followed; a path that holds anything but a regular
// file is an error. The file is a standard safetensors file, with tensors named as PyTorch's
// nn.Sequential names them; the layers are described in its metadata. The same network always gives
// the same bytes.
//
// One path may be saved to from several goroutines and processes at once: the last one wins, whole.
// What a killed process has left beside the file, path.saving-…, the next Save to it takes away.
// The file is a new one each time: it keeps the old one's permissions, but belongs to the user who
// saves, and other hard links to the old one keep the old network. On Windows a file that another
// program has open cannot be replaced; after two seconds that is an error.
//
// A network with a NaN or an infinity in it is an error. One with an activation that is not the
// package's own can be loaded by programs that have called [RegisterActivation] with it.
func (n *Network) Save(path string) error {
	file, err := n.file()
	if err != nil {
		return door("Save").wrap(err)
	}
	if err := file.Replace(path); err != nil {
		return door("Save").errorf("%s: %w", path, err)
	}
	return nil
}

// WriteTo writes what [Network.Save] writes to w, and returns the number of bytes written.
func (n *Network) WriteTo(w io.Writer) (int64, error) {
	file, err := n.file()
	if err != nil {
		return 0, door("WriteTo").wrap(err)
	}
	written, err := file.WriteTo(w)
	return written, door("WriteTo").wrap(err)
}

// Load reads a network that [Network.Save] has written, or another program in the same form with
// tensors of type F64 or F32, or a checkpoint of its training, of which it takes the parameters
// after the last epoch, with Patience as well. The file is not trusted: whatever is wrong with it is
// an error that says what and where, and what it claims is compared with its description before
// anything else is read, so that Load takes little more memory than the network and twice the
// file's header. A path that holds anything but a regular file is an error, and that
// of a file that does not exist wraps [fs.ErrNotExist].
func Load(path string) (*Network, error) {
	var n *Network
	err := modelfile.Open(path, func(file *modelfile.Reader) (err error) {
		n, err = readNetwork(file)
		return err
	})
	if err != nil {
		return nil, door("Load").errorf("%s: %w", path, err)
	}
	return n, nil
}

// Read reads a network as [Load] does, to the end of r.
func Read(r io.Reader) (*Network, error) {
	file, err := modelfile.NewReader(r)
	if err != nil {
		return nil, door("Read").wrap(err)
	}
	n, err := readNetwork(file)
	return n, door("Read").wrap(err)
}

// file is the network as a file.
func (n *Network) file() (*safetensors.File, error) {
	if err := n.checkMade(); err != nil {
		return nil, err
	}
	text, err := n.describe(n.checkLearnt() == nil)
	if err != nil {
		return nil, err
	}
	return modelfile.Encode(text, n.tensors())
}

// describe is the network's description in a file.
func (n *Network) describe(fitted bool) (string, error) {
	return layerTypes.Describe(modelfile.Description[Layer]{Inputs: n.place.Inputs, Fitted: fitted, Layers: n.layers}, maxLayers)
}

// tensors are the parameters and the statistics as they stand in a file, without their memory where
// the network has none yet.
func (n *Network) tensors() []modelfile.Tensor {
	list := make([]modelfile.Tensor, 0, len(n.shape.Params)+len(n.shape.Statistics))
	list = appendTensors(list, n.shape.Params, n.place.Params)
	return appendTensors(list, n.shape.Statistics, n.place.Statistics)
}

func appendTensors(list []modelfile.Tensor, tensors []Tensor, memory []*mat.Dense) []modelfile.Tensor {
	for i, t := range tensors {
		m := modelfile.Tensor{Name: t.Name, Shape: t.Shape, Least: t.least}
		if memory != nil {
			m.Data = dataOf(memory[i])
		}
		list = append(list, m)
	}
	return list
}

// readNetwork makes the network that a file describes. Nothing is allocated for it before its
// shapes are known to be those of the file's tensors.
func readNetwork(file *modelfile.Reader) (*Network, error) {
	d, err := layerTypes.Parse(file.Description, maxLayers)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", modelfile.NetworkKey, err)
	}
	n, err := newNetwork(d.Inputs, d.Layers)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n") // of perhaps 2¹⁴
		return nil, fmt.Errorf("%s: %s", modelfile.NetworkKey, first)
	}
	if err := file.Check(n.tensors()); err != nil {
		return nil, err
	}
	n.allocate()
	if err := file.Read(n.tensors()); err != nil {
		return nil, err
	}
	if !d.Fitted && n.checkLearnt() == nil { // so an earlier version says it; now the mean does, layer by layer
		n.unlearn()
	}
	return n, nil
}
