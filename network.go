// Package backprop trains neural networks of dense layers by backpropagation,
// in float64 on gonum's matrices. Its six files can be read in the order mat,
// activation, layer, loss, network, train as a course on how that is done.
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
// A batch of N samples goes through a layer with weights W and biases b, its
// rows X in, its rows A out:
//
//	Z = X·Wᵀ + 1·bᵀ    N×out, with X N×in, W out×in, b out
//	A = f(Z)           N×out, f being the activation
//
// The loss L compares the last layer's A with the targets and gives ∂L/∂A. With
// dA, dZ, dW, db, dX for the derivatives of L by A, Z, W, b, X, backpropagation
// is four equations a layer, from the last one to the first
// (Rumelhart, Hinton and Williams 1986):
//
//	dZ = dA ⊙ f′(Z)    N×out, the chain rule
//	dW = dZᵀ·X         out×in
//	db = dZᵀ·1         out
//	dX = dZ·W          N×in, the dA of the layer before
//
// Gradient descent then takes a step of the learning rate η against the
// gradient, for all parameters θ at once:
//
//	θ ← θ − η·∂L/∂θ
//
// # Conventions
//
//   - Samples are rows, as in gonum's stat. W is out×in, as in PyTorch.
//   - Losses and gradients are means over the samples, so that η need not change
//     with the batch size.
//   - A zero field of a struct means the default that its comment names.
//   - Layers are counted from 0, as given to [New], and epochs and batches from 0.
//   - Everything random comes from a seed, 0 by default, and never from a clock:
//     the same program gives the same bits, on any number of processors of the
//     same kind.
//   - What a caller hands in is never changed; [Network.Params],
//     [Network.Weights] and [Network.Biases] are views to be written to.
//   - What depends on data fails with an error, not a panic: a [*ShapeError] for
//     a matrix of the wrong shape, a [*ValueError] for a NaN or a target that the
//     loss cannot take, one that wraps [ErrDiverged] where numbers overflow.
//
// # The names
//
// A network is made by [New] of layers: [Dense], [BatchNorm], [Dropout] and
// [Standardize]. A dense layer or batch norm has an [Activation]: [Identity],
// [Sigmoid], [Tanh], [ReLU], [LeakyReLU], [ELU], [GELU], [SiLU], [SELU],
// [Softplus], [Softmax] or one of the caller's own. Weights are drawn by an
// [Initializer].
//
// [Network.Train] trains it. [TrainConfig] has all that can be chosen: the
// [Loss] ([MSE], [MAE], [Huber], [BinaryCrossEntropy], [CrossEntropy]), the
// [Optimizer] (gradient descent, [Momentum], [RMSProp], [Adam], [AdaGrad]), the
// [Schedule] of the learning rate ([StepDecay], [ExponentialDecay],
// [CosineDecay], [Warmup], [ReduceOnPlateau], [ScheduleFunc]), weight decay,
// clipping, early stopping, checkpoints. [History] and [Epoch] tell how it went.
//
// [Network.Predict] and [Network.PredictTo] use it, and [Accuracy],
// [ConfusionMatrix] and [R2] judge it. [OneHot] makes targets for classes.
//
// [Network.Save] and [Load], or [Network.WriteTo] and [Read], keep it in a
// safetensors file that PyTorch reads too. [RegisterActivation] lets Load find an
// activation of the caller's own.
//
// [Network.Params] and [Network.Gradient] are what another optimizer or a
// training loop of one's own needs. [Network.CheckGradient] compares
// backpropagation with central differences.
package backprop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"example.com/backprop/internal/kernel"
	"example.com/backprop/internal/safetensors"
	"gonum.org/v1/gonum/mat"
)

// maxSize bounds a network's number of parameters and the width of a layer, so
// that a slip of the pen is an error and not the end of the process.
const maxSize = 1 << 30

// maxLayers bounds a network's number of layers, so that a file of nothing but
// layers is small where it is read.
const maxLayers = 1 << 14

// A Network is a stack of layers with their parameters. [New], [Load] and
// [Read] make one.
//
// Its parameters are one flat slice, layer by layer as given to New: W
// (row-major, out×in), then b; for batch norm γ, then β.
//
// Predict, PredictTo, Loss, Gradient, CheckGradient and String may be called
// from several goroutines at once, as long as nothing changes the parameters
// meanwhile: Train, Init or the caller.
type Network struct {
	inputs     int
	slots      []*slot
	params     []float64
	statistics []float64 // the means and variances that layers have learnt
	fitted     bool      // Standardize has learnt its own

	// Fingerprints of the parameters with which the last training that kept a
	// checkpoint began and ended, so that it can be taken up in the same program.
	began, ended string

	inference, training sync.Pool // of *pass
}

// New makes a network for samples of the given number of inputs, 1 or more. The
// last layer, a [Dense] or a [BatchNorm], gives the output. Parameters are
// drawn as by [Network.Init](0), so the same program always gets the same
// network.
//
// All layers that cannot be used are reported in one error, by their index. A
// network has at most 2¹⁴ layers and 2³⁰ parameters.
func New(inputs int, layers ...Layer) (*Network, error) {
	n, errs := newNetwork(inputs, layers)
	if len(errs) > 0 {
		for i, err := range errs {
			errs[i] = fmt.Errorf("backprop: New: %w", err)
		}
		return nil, errors.Join(errs...)
	}
	n.allocate()
	n.Init(0)
	return n, nil
}

// newNetwork checks the layers in their places and makes a network that has
// no memory yet.
func newNetwork(inputs int, layers []Layer) (n *Network, errs []error) {
	if inputs < 1 || inputs > maxSize {
		return nil, []error{fmt.Errorf("%d inputs, want 1 to %d", inputs, maxSize)}
	}
	if len(layers) == 0 {
		return nil, []error{errors.New("no layers, want at least one")}
	}
	if len(layers) > maxLayers {
		return nil, []error{fmt.Errorf("%d layers, want at most %d", len(layers), maxLayers)}
	}
	n = &Network{inputs: inputs}
	in, params := inputs, 0
	for i, l := range layers {
		s, err := newSlot(l, in, i == 0, i == len(layers)-1)
		if err != nil {
			errs = append(errs, fmt.Errorf("layer %d: %w", i, err))
			if in = 2; s.out > 1 && s.out <= maxSize { // so that the layers behind it can be checked
				in = s.out
			}
			continue
		}
		if s.cols > 0 && s.rows > (maxSize-params-s.biases)/s.cols {
			return nil, append(errs, fmt.Errorf(
				"layer %d: %d×%d weights take the network over %d parameters", i, s.rows, s.cols, maxSize))
		}
		in, s.offset = s.out, params
		params += s.rows*s.cols + s.biases
		n.slots = append(n.slots, s)
	}
	return n, errs
}

// allocate takes the memory for the parameters and the statistics.
func (n *Network) allocate() {
	params, statistics := 0, 0
	for _, s := range n.slots {
		params += s.rows*s.cols + s.biases
		statistics += 2 * s.statistics
	}
	n.params, n.statistics = make([]float64, params), make([]float64, statistics)
	n.bind()
}

// newSlot checks a layer in its place.
func newSlot(l Layer, in int, first, last bool) (*slot, error) {
	s := &slot{in: in}
	switch l := l.(type) {
	case Dense, BatchNorm:
		s.Layer = l
	case Dropout:
		s.Layer = l
		if last {
			return s, errors.New("a Dropout cannot be the last layer, want a Dense or a BatchNorm")
		}
	case Standardize:
		s.Layer = l
		if last {
			return s, errors.New("a Standardize cannot be the last layer, want a Dense or a BatchNorm")
		}
		if !first {
			return s, errors.New("a Standardize stands behind another layer, want it first")
		}
	default:
		return s, fmt.Errorf("it is a %T, want a Dense, BatchNorm, Dropout or Standardize", l)
	}
	var err error
	if s.plan, err = s.fit(in); err != nil {
		return s, err
	}
	if s.out < 1 || s.out > maxSize {
		return s, fmt.Errorf("Dense Units is %d, want 1 to %d", s.out, maxSize)
	}
	if s.activation == nil {
		s.activation = Identity
	}
	if s.activation == Softmax && s.out == 1 {
		return s, errors.New("a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid")
	}
	if err := checkParameter(s.activation); err != nil {
		return s, err
	}
	s.rowwise = !elementwise(s.activation)
	return s, nil
}

// checkParameter is the error of an activation, a loss, an optimizer or a
// schedule that is a nil pointer or whose fields are no use.
func checkParameter(v any) error {
	if v != nil && isNil(v) {
		return fmt.Errorf("a %T is nil, want a value", v)
	}
	if c, ok := v.(interface{ check() error }); ok {
		return c.check()
	}
	return nil
}

// bind points every slot's views into the network's flat memory.
func (n *Network) bind() {
	rest := n.statistics
	for _, s := range n.slots {
		s.w, s.b = s.split(n.params)
		s.mean, s.variance = rest[:s.statistics], rest[s.statistics:2*s.statistics]
		rest = rest[2*s.statistics:]
	}
}

// split finds the slot's weights and biases in a slice as long as the
// network's parameters.
func (s *slot) split(flat []float64) (w matrix, b []float64) {
	end := s.offset + s.rows*s.cols
	if s.rows > 0 {
		w = matrixOf(flat[s.offset:end], s.rows, s.cols)
	}
	if s.biases > 0 {
		b = flat[end : end+s.biases]
	}
	return w, b
}

// Init draws fresh parameters from the seed and forgets what the layers have
// learnt of the data: the same seed, the same bits. Biases and β become 0, γ
// becomes 1.
func (n *Network) Init(seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, s := range n.slots {
		s.init(s, rng)
	}
	n.fitted = false
}

// Params is a live view of all parameters, layer by layer as [Network] says:
// writing to it changes the network. It is the same slice at every call.
func (n *Network) Params() []float64 { return n.params }

// Weights is a live view of layer i's weights, i counting the layers as given
// to [New]: W of a Dense, Units×inputs, or γ of a BatchNorm, 1×inputs. It is
// nil where there is no such layer or it has none.
func (n *Network) Weights(i int) *mat.Dense {
	if i < 0 || i >= len(n.slots) || n.slots[i].rows == 0 {
		return nil
	}
	s := n.slots[i]
	return mat.NewDense(s.rows, s.cols, s.w.Data)
}

// Biases is a live view of layer i's biases: b of a Dense, Units elements, or
// β of a BatchNorm. It is nil where there is no such layer or it has none.
func (n *Network) Biases(i int) *mat.VecDense {
	if i < 0 || i >= len(n.slots) || n.slots[i].biases == 0 {
		return nil
	}
	return mat.NewVecDense(n.slots[i].biases, n.slots[i].b)
}

// Statistics is a copy of what layer i has learnt of its inputs: a BatchNorm's
// running mean and variance, or a Standardize's mean and population variance.
// Both are nil where there is no such layer or it learns none.
func (n *Network) Statistics(i int) (mean, variance []float64) {
	if i < 0 || i >= len(n.slots) || n.slots[i].statistics == 0 {
		return nil, nil
	}
	return slices.Clone(n.slots[i].mean), slices.Clone(n.slots[i].variance)
}

// String is a table of the layers, their numbers of units and of parameters.
func (n *Network) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "layer\ttype\toutput\tparameters\n\tinput\t%d\t0\n", n.inputs)
	for i, s := range n.slots {
		fmt.Fprintf(w, "%d\t%v\t%d\t%d\n", i, s.name(), s.out, s.rows*s.cols+s.biases)
	}
	fmt.Fprintf(w, "\t\ttotal\t%d\n", len(n.params))
	w.Flush()
	return b.String()
}

// name is the layer's type and activation, as "Dense Tanh".
func (s *slot) name() string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", s.Layer), "backprop.")
	if s.activation != Identity {
		name += " " + s.activation.String()
	}
	return name
}

// output is the last layer.
func (n *Network) output() *slot { return n.slots[len(n.slots)-1] }

// A pass is the memory of passes over batches of up to capacity samples.
// Nothing of a pass is kept in the network, so any number of them can be on
// their way at once.
type pass struct {
	capacity int
	states   []state
	norms    []*state // those of batch norm
	descent  *update  // not nil: backward updates the parameters, too

	loss        Loss
	fused       logitLoss // the loss, if it has a closed form in the last layer's z
	elementwise bool      // the loss can take a batch in one call
}

// newPass makes a pass for inference or for training.
func (n *Network) newPass(capacity int, training bool) *pass {
	p := &pass{capacity: capacity, states: make([]state, len(n.slots))}
	first, widest := n.firstTrained()
	// ∂L/∂a of a layer and that of the one before it take turns in two buffers.
	var turns [2][]float64
	if training {
		turns[0], turns[1] = make([]float64, capacity*widest), make([]float64, capacity*widest)
	}
	for i, l := range n.slots {
		s := &p.states[i]
		s.slot, s.training = l, training
		_, dropout := l.Layer.(Dropout)
		if s.idle = dropout && !training; s.idle {
			continue
		}
		s.a = newMatrix(capacity, l.out)
		s.z = s.a
		if l.activation != Identity && l.activation != ReLU { // a > 0 tells what z > 0 does
			s.z = newMatrix(capacity, l.out)
		}
		if _, ok := l.Layer.(BatchNorm); ok {
			s.xhat = newMatrix(capacity, l.out)
			s.scale = make([]float64, l.out)
			s.batchMean, s.batchVar = make([]float64, l.out), make([]float64, l.out)
			p.norms = append(p.norms, s)
		}
		if !training {
			continue
		}
		if dropout {
			s.mask = newMatrix(capacity, l.out)
		}
		s.da = matrixOf(turns[i%2], capacity, l.out)
		if i > first {
			s.dx = matrixOf(turns[(i+1)%2], capacity, l.in)
		} else {
			s.spare = turns[(i+1)%2]
		}
	}
	return p
}

// firstTrained is the index of the first layer with parameters, before which
// no gradient is needed, and the width of the widest layer.
func (n *Network) firstTrained() (first, widest int) {
	first = -1
	for i, s := range n.slots {
		widest = max(widest, s.in, s.out)
		if first < 0 && s.rows > 0 {
			first = i
		}
	}
	return first, widest
}

// bind points dw and db of every layer into grad.
func (p *pass) bind(grad []float64) {
	for i := range p.states {
		s := &p.states[i]
		s.dw, s.db = s.split(grad)
	}
}

// bindRows lets backward update the parameters by rows of dense layers' dW,
// which are not kept. It returns where the norms of the gradient's parts will be.
func (p *pass) bindRows(u *update) (norms []float64) {
	p.descent = u
	parts := 0
	for i := range p.states {
		parts += p.states[i].rows + 1
	}
	norms = make([]float64, parts)
	rest := norms
	for i := range p.states {
		s := &p.states[i]
		s.norms, rest = rest[:s.rows+1], rest[s.rows+1:]
		if _, ok := s.Layer.(Dense); !ok {
			s.others = make([]float64, s.rows*s.cols+s.biases) // γ and β
			s.dw, s.db = matrixOf(s.others, s.rows, s.cols), s.others[s.rows*s.cols:]
			continue
		}
		s.descent = u
		if s.biases > 0 {
			s.others = make([]float64, s.biases)
			s.db = s.others
		}
	}
	return norms
}

// resize makes every matrix of the state N×something, within its capacity.
func (s *state) resize(x *matrix) {
	s.x = *x
	if s.a.Rows == x.Rows {
		return
	}
	for _, m := range []*matrix{&s.z, &s.a, &s.da, &s.dx, &s.xhat, &s.mask} {
		if m.Data != nil {
			*m = m.first(x.Rows)
		}
	}
}

// forward computes the network's output for a batch. It stays valid until the
// next forward of the same pass.
func (p *pass) forward(x *matrix) (a *matrix) {
	for i := range p.states {
		s := &p.states[i]
		if s.idle {
			continue
		}
		s.resize(x)
		s.forward(s)
		x = &s.a
	}
	return x
}

// backward computes the gradient of every layer, the last one's da being
// given.
func (p *pass) backward() {
	for i := len(p.states) - 1; i >= 0; i-- {
		s := &p.states[i]
		s.backward(s)
		if p.descent != nil {
			p.descent.rest(s)
		}
	}
}

// use makes l the loss of the passes to come.
func (p *pass) use(l Loss) {
	p.loss, p.fused, p.elementwise = l, nil, elementwise(l)
	if f, ok := l.(logitLoss); ok && f.output() == p.output().activation {
		p.fused = f
	}
}

// output is the last layer's state.
func (p *pass) output() *state { return &p.states[len(p.states)-1] }

// value is the mean loss over the batch that went forward last.
func (p *pass) value(y *matrix) float64 {
	s := p.output()
	switch {
	case p.fused != nil && y.contiguous():
		return p.fused.valueZ(s.z.Data, s.a.Data, y.all(), y.Cols)
	case p.elementwise && y.contiguous():
		return p.loss.Value(s.a.Data, y.all())
	}
	sum := 0.0
	for i := range y.Rows {
		if p.fused != nil {
			sum += p.fused.valueZ(s.z.row(i), s.a.row(i), y.row(i), y.Cols)
		} else {
			sum += p.loss.Value(s.a.row(i), y.row(i))
		}
	}
	return sum / float64(y.Rows)
}

// outputError stores the derivative of the batch's mean loss by the last
// layer's a in its da, or by z where the loss knows that.
func (p *pass) outputError(y *matrix) {
	s := p.output()
	if s.dzIn = p.fused != nil; s.dzIn {
		subtract(&s.da, &s.a, y, 1/float64(p.fused.terms(y.Rows, y.Cols))) // dZ = (A − Y)/terms
		return
	}
	if p.elementwise && y.contiguous() {
		p.loss.Gradient(s.da.Data, s.a.Data, y.all())
		return
	}
	for i := range y.Rows {
		p.loss.Gradient(s.da.row(i), s.a.row(i), y.row(i))
	}
	scale(1/float64(y.Rows), s.da.Data)
}

// lossGradient runs a batch forward and backward: the mean loss, and its
// gradient in what the pass is bound to.
func (p *pass) lossGradient(x, y *matrix) float64 {
	p.forward(x)
	value := p.value(y)
	p.outputError(y)
	p.backward()
	return value
}

// take gets a pass for at least rows samples from the pool.
func (n *Network) take(pool *sync.Pool, rows int) *pass {
	if p, ok := pool.Get().(*pass); ok && p.capacity >= rows {
		return p
	}
	return n.newPass(rows, pool == &n.training)
}

// inferenceRows is how many samples are predicted at a time, so that the memory
// of a prediction stays small and close to the processor.
const inferenceRows = 256

// Predict returns the network's outputs for the samples in the rows of x,
// N×outputs for N×inputs, in memory of the caller's own. It is inference:
// dropout is inactive, batch norm uses its running statistics. A matrix of
// another width is a [*ShapeError], a NaN or an infinity in x a [*ValueError].
func (n *Network) Predict(x mat.Matrix) (*mat.Dense, error) {
	dst := new(mat.Dense)
	if err := n.predictTo("Predict", dst, x); err != nil {
		return nil, err
	}
	return dst, nil
}

// PredictTo is [Network.Predict] into dst, which is N×outputs, or empty and
// then sized. It allocates nothing once as many samples have been
// predicted before, if dst has its size and x is a *mat.Dense. After an error
// that names the output, what dst holds is not defined.
func (n *Network) PredictTo(dst *mat.Dense, x mat.Matrix) error {
	return n.predictTo("PredictTo", dst, x)
}

func (n *Network) predictTo(where door, dst *mat.Dense, x mat.Matrix) error {
	xm, err := n.input(where, x)
	if err != nil {
		return err
	}
	if dst == nil {
		return fmt.Errorf("backprop: %s: dst is nil, want a matrix", string(where))
	}
	if dst.IsEmpty() {
		dst.ReuseAs(xm.Rows, n.output().out)
	}
	out, err := where.matrix("dst", dst, xm.Rows, n.output().out)
	if err != nil {
		return err
	}
	if shareMemory(out.Data, n.params) {
		return fmt.Errorf("backprop: %s: dst overlaps the network's Params, want other memory", string(where))
	}
	if shareMemory(out.Data, xm.Data) {
		xm = xm.clone()
	}
	p := n.take(&n.inference, min(xm.Rows, inferenceRows))
	defer n.inference.Put(p)
	for lo := 0; lo < xm.Rows; lo += inferenceRows {
		hi := min(lo+inferenceRows, xm.Rows)
		part := xm.slice(lo, hi)
		out.slice(lo, hi).copy(*p.forward(&part))
	}
	return where.finite("output", out)
}

// input checks the samples handed to a network.
func (n *Network) input(where door, x mat.Matrix) (matrix, error) {
	if err := n.made(where); err != nil {
		return matrix{}, err
	}
	xm, err := where.matrix("x", x, -1, n.inputs)
	if err != nil {
		return xm, err
	}
	return xm, where.finite("x", xm)
}

// made is the error of a network that New has not made.
func (n *Network) made(where door) error {
	if n == nil || len(n.slots) == 0 {
		return fmt.Errorf("backprop: %s: the network has no layers; New makes one", string(where))
	}
	return nil
}

// batch checks samples, their targets and the loss, which by default is what
// belongs to the output's activation.
func (n *Network) batch(where door, x, y mat.Matrix, l Loss) (xm, ym matrix, _ Loss, err error) {
	if xm, err = n.input(where, x); err != nil {
		return xm, ym, l, err
	}
	if l == nil {
		l = defaultLoss(n.output().activation)
	}
	if err := checkParameter(l); err != nil {
		return xm, ym, l, fmt.Errorf("backprop: %s: %w", string(where), err)
	}
	ym, err = n.targets(where, "y", y, xm.Rows, l)
	return xm, ym, l, err
}

// targets checks the targets of rows samples.
func (n *Network) targets(where door, name string, y mat.Matrix, rows int, l Loss) (matrix, error) {
	ym, err := where.matrix(name, y, rows, n.output().out)
	if err != nil {
		return ym, err
	}
	if err := where.finite(name, ym); err != nil {
		return ym, err
	}
	if c, ok := l.(logitLoss); ok {
		return ym, c.checkTargets(where, name, ym)
	}
	return ym, nil
}

// Loss returns the mean loss over the samples in the rows of x, with the
// targets in the rows of y, N×outputs, in inference mode. A nil l is what
// belongs to the output's activation: CrossEntropy for Softmax,
// BinaryCrossEntropy for Sigmoid, MSE for any other. A loss that is not finite
// is an error that wraps [ErrDiverged].
func (n *Network) Loss(x, y mat.Matrix, l Loss) (float64, error) {
	xm, ym, l, err := n.batch("Loss", x, y, l)
	if err != nil {
		return 0, err
	}
	value, err := n.meanLoss(context.Background(), xm, ym, l)
	if err != nil {
		return 0, err
	}
	if !isFinite(value) {
		return 0, fmt.Errorf("backprop: Loss: %w: it is %v", ErrDiverged, value)
	}
	return value, nil
}

// meanLoss is the loss in inference mode. It gives up when ctx is cancelled.
func (n *Network) meanLoss(ctx context.Context, x, y matrix, l Loss) (float64, error) {
	p := n.take(&n.inference, min(x.Rows, inferenceRows))
	defer n.inference.Put(p)
	p.use(l)
	sum := 0.0
	for lo := 0; lo < x.Rows; lo += inferenceRows {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		hi := min(lo+inferenceRows, x.Rows)
		xPart, yPart := x.slice(lo, hi), y.slice(lo, hi)
		p.forward(&xPart)
		sum += p.value(&yPart) * float64(hi-lo)
	}
	return sum / float64(x.Rows), nil
}

// Gradient returns the mean loss over the samples in the rows of x, with the
// targets in the rows of y, and its derivatives by the parameters, in the order
// of [Network.Params], by backpropagation. They are stored in dst, which is as
// long as the parameters or nil, and then made.
// Batch norm uses the batch's own statistics and leaves the running ones
// alone; dropout is inactive. A nil l is chosen as by [Network.Loss]. A loss or
// a gradient that is not finite is an error that wraps [ErrDiverged], after
// which what dst holds is not defined.
//
// Params and Gradient together drive any other optimizer, such as L-BFGS of
// gonum/optimize:
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
	return n.gradient("Gradient", dst, x, y, l)
}

func (n *Network) gradient(where door, dst []float64, x, y mat.Matrix, l Loss) (value float64, grad []float64, err error) {
	xm, ym, l, err := n.batch(where, x, y, l)
	if err != nil {
		return 0, nil, err
	}
	if dst == nil {
		dst = make([]float64, len(n.params))
	}
	if len(dst) != len(n.params) {
		return 0, nil, &ShapeError{string(where), "dst", len(dst), 1, len(n.params), 1}
	}
	if shareMemory(dst, n.params) || shareMemory(dst, xm.Data) || shareMemory(dst, ym.Data) {
		return 0, nil, fmt.Errorf("backprop: %s: dst overlaps the network's Params, x or y, want other memory", string(where))
	}
	if err := n.batchNormRows(where, xm.Rows); err != nil {
		return 0, nil, err
	}
	p := n.take(&n.training, xm.Rows)
	defer n.training.Put(p)
	p.bind(dst)
	p.use(l)
	value = p.lossGradient(&xm, &ym)
	if !isFinite(value) || !kernel.Finite(dst) {
		return 0, nil, fmt.Errorf("backprop: %s: %w: the loss is %v", string(where), ErrDiverged, value)
	}
	return value, dst, nil
}

// batchNormRows is the error of a batch that is too small for batch norm.
func (n *Network) batchNormRows(where door, rows int) error {
	for i, s := range n.slots {
		if _, ok := s.Layer.(BatchNorm); ok && rows < 2 {
			return fmt.Errorf("backprop: %s: a batch of %d sample has no variance for layer %d's batch norm, want 2 or more",
				string(where), rows, i)
		}
	}
	return nil
}

// A GradientCheck tells how well backpropagation and central differences
// agree, by the parameter at which they agree least.
type GradientCheck struct {
	MaxRelative       float64 // the relative difference of the two, see CheckGradient
	Analytic, Numeric float64 // by backpropagation, and by central differences
	Layer             int     // the parameter's layer, as given to New
	Index             int     // its place in Params
}

// CheckGradient compares every element of the gradient with a central
// difference, extrapolated from two steps: with D(h) = (L(θ+h) − L(θ−h))/2h it
// is (4·D(h/2) − D(h))/3, exact to O(h⁴). The difference of the two is taken
// relative to the larger of them, or to a thousandth of the gradient's largest
// element if that is more, because below it rounding hides what is compared. At
// a minimum the whole gradient is rounding: check elsewhere.
//
// A correct gradient gives some 1e-9. It gives more where a step leads across a
// kink, as ReLU has at 0. The cost is four losses a parameter. Arguments are
// as for [Network.Gradient]; the network is not changed.
func (n *Network) CheckGradient(x, y mat.Matrix, l Loss) (GradientCheck, error) {
	_, grad, err := n.gradient("CheckGradient", nil, x, y, l)
	if err != nil {
		return GradientCheck{}, err
	}
	xm, ym, l, err := n.batch("CheckGradient", x, y, l)
	if err != nil {
		return GradientCheck{}, err
	}
	c := n.clone()
	p := c.newPass(xm.Rows, true)
	p.use(l)
	lossAt := func(i int, v float64) float64 {
		old := c.params[i]
		defer func() { c.params[i] = old }()
		c.params[i] = v
		p.forward(&xm)
		return p.value(&ym)
	}
	largest := 0.0
	for _, g := range grad {
		largest = max(largest, math.Abs(g))
	}
	worst := GradientCheck{MaxRelative: -1}
	for i, analytic := range grad {
		h := 1e-3 * max(1, math.Abs(c.params[i]))
		central := func(h float64) float64 {
			up, down := c.params[i]+h, c.params[i]-h
			return (lossAt(i, up) - lossAt(i, down)) / (up - down)
		}
		numeric := (4*central(h/2) - central(h)) / 3
		relative := 0.0
		if numeric != analytic {
			relative = math.Abs(numeric-analytic) / max(math.Abs(numeric), math.Abs(analytic), largest/1000)
		}
		if !(relative <= worst.MaxRelative) { // a NaN is worse than anything
			worst = GradientCheck{relative, analytic, numeric, n.layerOf(i), i}
		}
	}
	return worst, nil
}

// layerOf is the layer that parameter i belongs to.
func (n *Network) layerOf(i int) int {
	for l, s := range n.slots {
		if i < s.offset+s.rows*s.cols+s.biases {
			return l
		}
	}
	return -1
}

// clone copies the network.
func (n *Network) clone() *Network {
	c := &Network{inputs: n.inputs, fitted: n.fitted}
	c.params, c.statistics = slices.Clone(n.params), slices.Clone(n.statistics)
	for _, s := range n.slots {
		s := *s
		c.slots = append(c.slots, &s)
	}
	c.bind()
	return c
}

// Save writes the network to a file, which at any moment holds what it held
// before or all of the new network: the network is written to path + ".tmp",
// which is then renamed. A symbolic link is followed; a path that holds anything
// but a regular file is an error. The file is a standard safetensors file, with
// tensors named as PyTorch's nn.Sequential names them; the layers are described in
// its metadata. The same network always gives the same bytes.
//
// One path may be saved to from several goroutines at once, but not from several
// processes.
//
// A network with a NaN or an infinity in it is an error. One with an
// activation that is not the package's own can be loaded by programs that have
// called [RegisterActivation] with it.
func (n *Network) Save(path string) error {
	file, err := n.file("Save")
	if err != nil {
		return err
	}
	if err := file.Replace(path); err != nil {
		return fmt.Errorf("backprop: Save: %w", err)
	}
	return nil
}

// WriteTo writes what [Network.Save] writes to w, and returns the number of
// bytes written.
func (n *Network) WriteTo(w io.Writer) (int64, error) {
	file, err := n.file("WriteTo")
	if err != nil {
		return 0, err
	}
	written, err := file.WriteTo(w)
	if err != nil {
		return written, fmt.Errorf("backprop: WriteTo: %w", err)
	}
	return written, nil
}

// Load reads a network that [Network.Save] has written, or a checkpoint of its
// training, or another program in the same form with tensors of type F64 or
// F32. The file is not trusted: whatever is wrong with it is an error that says
// what and where. That of a file that does not exist wraps [fs.ErrNotExist].
func Load(path string) (*Network, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("backprop: Load: %w", err)
	}
	defer f.Close()
	n, err := readNetwork(f)
	if err != nil {
		return nil, fmt.Errorf("backprop: Load: %s: %w", path, err)
	}
	return n, nil
}

// Read reads a network as [Load] does, to the end of r.
func Read(r io.Reader) (*Network, error) {
	n, err := readNetwork(r)
	if err != nil {
		return nil, fmt.Errorf("backprop: Read: %w", err)
	}
	return n, nil
}

func readNetwork(r io.Reader) (*Network, error) {
	file, err := safetensors.Read(r)
	if err != nil {
		return nil, err
	}
	return decodeNetwork(file)
}

// The keys of a file's metadata.
const (
	versionKey    = "backprop.version"
	networkKey    = "backprop.network"
	checkpointKey = "backprop.checkpoint"
)

// formatVersion is the version of what the metadata says.
const formatVersion = "1"

// checkpointPrefix begins the name of every tensor that belongs to a checkpoint
// and not to its network.
const checkpointPrefix = "checkpoint."

// networkJSON describes a network in a file's metadata.
type networkJSON struct {
	Inputs int        `json:"inputs"`
	Fitted bool       `json:"fitted,omitempty"`
	Layers layersJSON `json:"layers"`
}

// layersJSON is decoded one by one, so that a long list ends at the first layer
// that is wrong or one too many, and takes no memory before.
type layersJSON []layerJSON

// UnmarshalJSON decodes an array of layers.
func (l *layersJSON) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if open, err := decoder.Token(); open != json.Delim('[') {
		return errors.Join(err, errors.New("layers is not an array"))
	}
	for *l = nil; decoder.More(); {
		i, layer := len(*l), layerJSON{}
		if i == maxLayers {
			return fmt.Errorf("more than %d layers", maxLayers)
		}
		err := decoder.Decode(&layer)
		if err == nil {
			_, err = layer.layer()
		}
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		*l = append(*l, layer)
	}
	return nil
}

// layerJSON describes a layer. A field that is left out has its default.
type layerJSON struct {
	Type       string  `json:"type"`
	Units      int     `json:"units,omitempty"`
	Activation string  `json:"activation,omitempty"`
	Init       string  `json:"init,omitempty"`
	NoBias     bool    `json:"no_bias,omitempty"`
	Momentum   float64 `json:"momentum,omitempty"`
	Epsilon    float64 `json:"epsilon,omitempty"`
	Rate       float64 `json:"rate,omitempty"`
}

// file is the network as a file.
func (n *Network) file(where door) (*safetensors.File, error) {
	if err := n.made(where); err != nil {
		return nil, err
	}
	file, err := n.encode()
	if err != nil {
		return nil, fmt.Errorf("backprop: %s: %w", string(where), err)
	}
	return file, nil
}

func (n *Network) encode() (*safetensors.File, error) {
	description, err := n.describe()
	if err != nil {
		return nil, err
	}
	description.Fitted = n.fitted
	file := &safetensors.File{Metadata: map[string]string{versionKey: formatVersion, networkKey: description.String()}}
	for t := range n.tensors() {
		if !kernel.Finite(t.Data) {
			return nil, fmt.Errorf("tensor %q has an element that is not finite", t.Name)
		}
		file.Tensors = append(file.Tensors, t.Tensor)
	}
	return file, nil
}

// describe is the network's description, Fitted left out.
func (n *Network) describe() (d networkJSON, err error) {
	d.Inputs = n.inputs
	for i, s := range n.slots {
		l := layerJSON{Type: strings.TrimPrefix(fmt.Sprintf("%T", s.Layer), "backprop.")}
		switch layer := s.Layer.(type) {
		case Dense:
			l.Units, l.NoBias = layer.Units, layer.NoBias
			if layer.Init != 0 {
				l.Init = layer.Init.String()
			}
		case BatchNorm:
			l.Momentum, l.Epsilon = layer.Momentum, layer.Epsilon
		case Dropout:
			l.Rate = layer.Rate
		}
		if s.activation != Identity {
			l.Activation = s.activation.String()
			if err := savedName(s.activation); err != nil {
				return d, fmt.Errorf("layer %d: %w", i, err)
			}
		}
		d.Layers = append(d.Layers, l)
	}
	return d, nil
}

func (d networkJSON) String() string {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // its floats are finite, New has seen to it
	}
	return string(text)
}

// layer is what the description describes.
func (l layerJSON) layer() (Layer, error) {
	var f Activation
	if l.Activation != "" {
		var err error
		if f, err = loadedActivation(l.Activation); err != nil {
			return nil, err
		}
	}
	var layer Layer
	switch l.Type {
	case "Dense":
		init := slices.Index(initializerNames[:], l.Init)
		if l.Init == "" {
			init = 0
		}
		if init < 0 {
			return nil, fmt.Errorf("initializer %.50q is not known", l.Init)
		}
		layer = Dense{Units: l.Units, Activation: f, Init: Initializer(init), NoBias: l.NoBias}
	case "BatchNorm":
		layer = BatchNorm{Activation: f, Momentum: l.Momentum, Epsilon: l.Epsilon}
	case "Dropout":
		layer = Dropout{Rate: l.Rate}
	case "Standardize":
		layer = Standardize{}
	default:
		return nil, fmt.Errorf("layer type %.50q is not known", l.Type)
	}
	return layer, nil
}

// A namedTensor is a view of parameters or statistics as it stands in a file.
type namedTensor struct {
	safetensors.Tensor
	least float64 // the least that an element may be
}

// tensors lists the network's parameters and statistics, named as the modules
// of an nn.Sequential name them in which activations and dropout are modules of
// their own.
func (n *Network) tensors() iter.Seq[namedTensor] {
	return func(yield func(namedTensor) bool) {
		module := 0
		for _, s := range n.slots {
			for _, t := range s.tensors(module) {
				if !yield(t) {
					return
				}
			}
			module++
			if s.activation != Identity {
				module++
			}
		}
	}
}

// tensors lists those of a layer, the given module.
func (s *slot) tensors(module int) (list []namedTensor) {
	add := func(name string, least float64, data []float64, shape ...int) {
		name = fmt.Sprintf("%d.%s", module, name)
		list = append(list, namedTensor{safetensors.Tensor{Name: name, Type: "F64", Shape: shape, Data: data}, least})
	}
	leastVariance := math.SmallestNonzeroFloat64 // nothing is added to that of a Standardize
	switch s.Layer.(type) {
	case Dense:
		add("weight", math.Inf(-1), s.w.Data, s.rows, s.cols)
	case BatchNorm:
		add("weight", math.Inf(-1), s.w.Data, s.cols)
		leastVariance = 0
	}
	if s.biases > 0 {
		add("bias", math.Inf(-1), s.b, s.biases)
	}
	if s.statistics > 0 {
		add("running_mean", math.Inf(-1), s.mean, s.statistics)
		add("running_var", leastVariance, s.variance, s.statistics)
	}
	return list
}

// decodeNetwork makes the network that a file describes. Nothing is allocated
// for it before its shapes are known to be those of the file's tensors.
func decodeNetwork(file *safetensors.File) (*Network, error) {
	version, ok := file.Metadata[versionKey]
	if !ok {
		return nil, fmt.Errorf("the metadata has no %q; this is not a file of a network", versionKey)
	}
	if version != formatVersion {
		return nil, fmt.Errorf("%s is %.20q, want %q", versionKey, version, formatVersion)
	}
	var d networkJSON
	if err := strictJSON(file.Metadata[networkKey], &d); err != nil {
		return nil, fmt.Errorf("%s: %w", networkKey, err)
	}
	layers := make([]Layer, len(d.Layers))
	for i, l := range d.Layers {
		layers[i], _ = l.layer() // seen to be one of ours while it was decoded
	}
	n, errs := newNetwork(d.Inputs, layers)
	if len(errs) > 0 {
		return nil, fmt.Errorf("%s: %w", networkKey, errs[0])
	}
	n.fitted = d.Fitted
	return n, n.fill(file)
}

// fill takes the parameters and statistics from a file.
func (n *Network) fill(file *safetensors.File) error {
	given, wanted := map[string]safetensors.Tensor{}, map[string]bool{}
	for _, t := range file.Tensors {
		given[t.Name] = t
	}
	for w := range n.tensors() {
		wanted[w.Name] = true
		if module, ok := strings.CutSuffix(w.Name, ".running_mean"); ok {
			wanted[module+".num_batches_tracked"] = true // PyTorch's, which nothing of ours depends on
		}
		t, ok := given[w.Name]
		if !ok {
			return fmt.Errorf("there is no tensor %q", w.Name)
		}
		if err := w.check(t); err != nil {
			return fmt.Errorf("tensor %q %w", w.Name, err)
		}
	}
	_, checkpoint := file.Metadata[checkpointKey]
	for _, t := range file.Tensors {
		if !wanted[t.Name] && !(checkpoint && strings.HasPrefix(t.Name, checkpointPrefix)) {
			return fmt.Errorf("tensor %.50q belongs to no layer", t.Name)
		}
	}
	n.allocate()
	for t := range n.tensors() {
		copy(t.Data, given[t.Name].Data)
	}
	return nil
}

// check compares a file's tensor with the wanted one.
func (w namedTensor) check(t safetensors.Tensor) error {
	if !slices.Equal(t.Shape, w.Shape) {
		return fmt.Errorf("has shape %v, want %v", t.Shape, w.Shape)
	}
	if t.Type != "F64" && t.Type != "F32" {
		return fmt.Errorf("is of type %s, want F64 or F32", t.Type)
	}
	for i, v := range t.Data {
		if !isFinite(v) {
			return fmt.Errorf("has %v at index %d, want finite numbers", v, i)
		}
		if v < w.least {
			return fmt.Errorf("has %v at index %d, which cannot be a variance", v, i)
		}
	}
	return nil
}

// strictJSON decodes text, all of it, and nothing that v has no field for.
func strictJSON(text string, v any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("something follows the JSON")
	}
	return nil
}
