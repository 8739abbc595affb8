package backprop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"example.com/backprop/internal/checkpoint"
	"example.com/backprop/internal/crew"
	"example.com/backprop/internal/dataset"
	"example.com/backprop/internal/kernel"
	"example.com/backprop/internal/progress"
	"gonum.org/v1/gonum/mat"
)

// TrainConfig says how [Network.Train] trains. LearningRate and Epochs are required; every other
// zero field means what its comment says.
type TrainConfig struct {
	LearningRate float64   // η, above 0
	Epochs       int       // passes over the data, 1 or more
	BatchSize    int       // samples a step; 0 means all of them: batch gradient descent
	NoShuffle    bool      // leave the samples in their order, which is else drawn anew for every epoch
	Loss         Loss      // nil means what belongs to the output's activation, as for Network.Loss
	Optimizer    Optimizer // nil means &SGD{}, gradient descent: θ ← θ − η·∂L/∂θ
	Schedule     Schedule  // η by epoch; nil means LearningRate throughout
	Seed         uint64    // of shuffling and dropout

	L2          float64 // λ: adds λ·W to the gradient of every W (coupled)
	WeightDecay float64 // λ: multiplies every W by 1 − ηλ before each step (decoupled; Adam with it is AdamW)
	ClipNorm    float64 // c: scales the gradient by min(1, c/‖g‖), L2 included; 0 means no clipping
	ClipValue   float64 // c: clamps each component of the gradient to ±c, L2 included; 0 means no clipping

	SampleWeights []float64 // N weights of the samples in the loss, as in Data; nil means all count alike
	Freeze        []int     // layers, as given to New, that keep parameters and statistics and work as in inference

	Validation Data    // held-out samples whose loss is taken after every epoch; none by default
	Patience   int     // ends training after so many epochs without a new lowest validation loss; 0 means never
	TargetLoss float64 // ends training once an epoch's loss is at most this; 0 means never

	OnEpoch  func(Epoch) error // called after every epoch; ErrStop ends training, any other error fails it
	Progress io.Writer         // where progress is shown: a live line on a terminal, else some 20 plain lines; nil: silent

	// Checkpoint is the path of a file that keeps the training and from which, where it exists, the
	// training goes on, as the package's documentation says; "" means none.
	Checkpoint string
}

// An Epoch tells how one pass over the training data went.
type Epoch struct {
	N              int           // its number, from 0
	Loss           float64       // mean over the samples, each taken before its batch's update, without penalties
	ValidationLoss float64       // after the epoch, in inference mode; NaN without validation data
	LearningRate   float64       // η
	GradNorm       float64       // ‖∂L/∂θ‖₂ of the last batch, L2 included, before clipping
	Elapsed        time.Duration // the time it took, if OnEpoch, Progress or Schedule watch; else 0
}

// A History tells how a training went.
type History struct {
	Epochs  []Epoch       // every completed epoch
	Best    int           // the epoch with the lowest validation loss, or without validation the lowest loss; -1 if there is none
	Stopped StopReason    // why training ended
	Elapsed time.Duration // the time that this call of Train took
}

// A StopReason says why training ended.
type StopReason string

// The reasons for which training ends.
const (
	StopEpochs    StopReason = "all epochs done"     // TrainConfig.Epochs of them
	StopTarget    StopReason = "target loss reached" // TrainConfig.TargetLoss
	StopPatience  StopReason = "no improvement"      // for TrainConfig.Patience epochs
	StopOnEpoch   StopReason = "stopped by OnEpoch"  // it returned ErrStop or an error
	StopCancelled StopReason = "cancelled"           // the context ended
	StopDiverged  StopReason = "diverged"            // the error wraps ErrDiverged
	StopFailed    StopReason = "failed"              // by the schedule, the checkpoint or a sequence of batches, as the error says
)

// Train minimizes the mean loss over the samples in the rows of x, with their targets in the rows
// of y, by gradient descent on mini-batches or by another optimizer: x is N×inputs, y N×outputs. It
// returns the history, which is nil only if nothing could begin.
//
// x and y are not changed, nor copied if they are a *mat.Dense. They must stay as they are until
// Train returns: they are checked before the first step, and a checkpoint compares them. Samples
// that change from epoch to epoch are for [Network.TrainBatches]. The last, short batch of an epoch
// is used; one too short for a layer, as a single sample is for batch norm, joins the batch before
// it. Gradients are means, so η does not depend on the batch size. The same network, data,
// configuration and seed give the same bits, whatever GOMAXPROCS is; without shuffling and with a
// single batch the seed matters to dropout only.
//
// A first training lets a [Standardize] learn its statistics from x, and an [Unstandardize] from y;
// another one goes on from there, with the parameters that the first has left. With Patience,
// training that ends without an error leaves the parameters of the epoch with the lowest validation
// loss.
//
// When ctx is cancelled Train returns within one batch with an error that wraps ctx.Err(); the
// network keeps what it has learnt. Arguments that cannot be used, NaN and infinities in the data
// among them, are errors before the first step. When the loss leaves the finite numbers the error
// wraps [ErrDiverged], names epoch and batch, and the network holds the parameters of the best
// epoch so far: with full batches those that had its loss, else those after it, unless that has
// taken the loss beyond the first epoch's. An optimizer with SetState is made to start afresh then.
// An error that OnEpoch returns is wrapped.
//
// Besides the data and the network, Train holds a copy of the parameters, the gradient, the
// optimizer's state, with a Checkpoint another copy of the parameters and of that state, and the
// values of one batch.
//
// Large operations, from products of half a million multiplications on, are shared among GOMAXPROCS
// goroutines, which spin for some 75 µs after each before they sleep. None outlives the call. During
// Train nothing else may use the network, but for OnEpoch; another Train of it is an error.
func (n *Network) Train(ctx context.Context, x, y mat.Matrix, config TrainConfig) (*History, error) {
	data := Data{X: x, Y: y, SampleWeights: config.SampleWeights}
	return (&trainer{TrainConfig: config, where: "Train", ctx: ctx, net: n}).train(data)
}

// Batches gives the batches of an epoch, whose number counts from 0.
type Batches func(epoch int) iter.Seq2[Data, error]

// TrainBatches is [Network.Train] on batches from a sequence, which is asked for anew at the
// beginning of every epoch: of data larger than memory, of an endless stream that is cut into
// epochs, of samples that are distorted by chance. Order and sizes are the sequence's, so BatchSize
// and SampleWeights are to be left out; a batch's weights count as they are. The sequence may use
// the memory of a batch again for the next one. Its error ends training, and is wrapped, as is that
// of a batch that cannot be used, which names epoch and batch; the network keeps what it has learnt.
// A sequence that waits for its data has to watch ctx itself.
//
// The same batches give the same bits as Train with NoShuffle. Where they depend on nothing but the
// epoch's number, so does a training that is taken up from its Checkpoint, which compares the
// configuration, but not what the sequence gives. A [Standardize] or an [Unstandardize] must have
// learnt before, by [Network.Adapt] say.
func (n *Network) TrainBatches(ctx context.Context, batches Batches, config TrainConfig) (*History, error) {
	t := &trainer{TrainConfig: config, where: "TrainBatches", ctx: ctx, net: n, sequence: batches}
	if batches == nil {
		return nil, t.where.errorf("batches is nil, want a function")
	}
	return t.train(Data{})
}

// train checks everything and trains.
func (t *trainer) train(data Data) (*History, error) {
	if err := t.net.checkMade(); err != nil {
		return nil, t.where.wrap(err)
	}
	if !t.net.training.CompareAndSwap(false, true) {
		return nil, t.where.errorf("another Train of this network is under way, want one at a time or a network each")
	}
	defer func() { t.net.training.Store(false) }()
	t.history, t.lowest = History{Best: -1}, math.Inf(1)
	if err := t.check(data); err != nil {
		return nil, err
	}
	start := time.Now()
	err := t.run()
	t.history.Elapsed = time.Since(start)
	return &t.history, err
}

// A trainer is a training under way.
type trainer struct {
	TrainConfig
	where       door
	ctx         context.Context
	net         *Network
	history     History
	data        *dataset.Batches // in memory
	sequence    Batches          // or not
	batches     int              // an epoch; 0 of a sequence
	validation  *dataset.Samples // nil for none
	e           *Epoch           // under way
	b, seen     int              // its batches and samples so far
	pcg         rand.PCG         // reseeded for every epoch
	rng         *rand.Rand       // draws from it
	crew        *crew.Crew
	pass        *pass
	weights     [][]float64 // every W, without biases, γ and β
	weightGrads [][]float64
	moving      [][2]int  // from where to where parameters are not frozen
	fixed       []float64 // the parameters, if an optimizer may change frozen ones
	rule        rule      // the optimizer, if it is one of the package's
	from        int       // where the parameters begin that it updates
	best        *Network  // as in the best epoch so far
	lowest      float64   // its loss
	plateau     plateau
	progress    *progress.Line
	keeper      *checkpoint.Keeper // nil for none
	kept        *Network           // the copy that it writes
}

// run trains epoch by epoch.
func (t *trainer) run() error {
	defer func() { t.crew.Dismiss() }()
	t.prepare()
	defer func() { t.progress.End(string(t.history.Stopped)) }()
	if t.keeper != nil {
		defer func() { t.net.began, t.net.ended = t.keeper.Initial, t.net.digest() }()
	}
	t.capture()
	if len(t.history.Epochs) == 0 { // so that a path that cannot be written is found before any work is
		if err := t.where.wrap(t.keeper.Write()); err != nil {
			t.history.Stopped = StopFailed
			return err
		}
	}
	for n := len(t.history.Epochs); n < t.Epochs && t.history.Stopped == ""; n++ {
		t.history.Epochs = append(t.history.Epochs, Epoch{})
		e := &t.history.Epochs[n] // filled where it lies: a copy of what was just written is slow
		e.N, e.ValidationLoss = n, math.NaN()
		if err := t.epoch(e); err != nil {
			t.history.Epochs = t.history.Epochs[:n]
			t.history.Stopped = cmp.Or(t.history.Stopped, StopFailed)
			return err
		}
		t.noteBest(e)
		stop, err := t.stop(e)
		t.progress.Epoch(n, e.Loss, e.ValidationLoss, e.LearningRate, stop != "")
		if err == nil {
			t.history.Stopped = stop
		}
		t.capture()
		if stop != "" || t.keeper.Due() {
			err = errors.Join(err, t.where.wrap(t.keeper.Write()))
		}
		if err != nil {
			t.history.Stopped = cmp.Or(stop, StopFailed)
			return err
		}
	}
	if t.Patience > 0 {
		t.net.become(t.best)
		t.progress.Keep(t.history.Best, t.lowest)
	}
	return nil
}

// prepare takes the memory for training.
func (t *trainer) prepare() {
	t.weights, t.moving = t.net.matrices(t.net.params, t.Freeze), t.net.moving(t.Freeze)
	t.rng = rand.New(&t.pcg)
	if t.data != nil {
		t.reserve(t.data.Largest)
	}
	switch o := t.Optimizer.(type) {
	case *SGD, *AdaGrad, *RMSProp, *Adam: // not an optimizer that embeds one of these
		t.rule = o.(rule)
	default:
		if len(t.Freeze) > 0 {
			t.fixed = slices.Clone(t.net.params)
		}
	}
	if t.best == nil {
		t.best = t.net.Clone()
	}
	t.history.Epochs = slices.Grow(t.history.Epochs, min(t.Epochs, 1<<16)) // grown beyond
}

// reserve takes the memory for batches of so many samples.
func (t *trainer) reserve(rows int) {
	if t.pass != nil && rows <= t.pass.rows {
		return
	}
	largest := 0 // product
	for _, w := range t.net.matrices(t.net.params, nil) {
		largest = max(largest, rows*len(w))
	}
	t.crew.Dismiss()
	t.crew = crew.New(largest)
	at := t.net.place
	at.Rows, at.Training, at.Rand, at.crew, at.frozen = rows, true, t.rng, t.crew, t.Freeze
	t.pass = t.net.newPass(at)
	t.pass.use(t.Loss)
	t.weightGrads = t.net.matrices(t.pass.grad, t.Freeze)
}

// epoch goes once over the data and fills in e.
func (t *trainer) epoch(e *Epoch) (err error) {
	if t.OnEpoch != nil || t.Progress != nil || t.Schedule != nil {
		defer func(start time.Time) { e.Elapsed = time.Since(start) }(time.Now())
	}
	if e.LearningRate, err = t.learningRate(e.N); err != nil {
		return err
	}
	t.e, t.b, t.seen = e, 0, 0
	if t.sequence != nil {
		err = t.fromSequence()
	} else {
		err = t.inMemory()
	}
	if err != nil {
		return err
	}
	if t.validation != nil {
		if e.ValidationLoss, err = t.net.meanLoss(t.ctx, t.validation, t.Loss); err != nil {
			return t.cancelled(err)
		}
	}
	if t.validation != nil && !isFinite(e.ValidationLoss) || !t.net.isFinite() {
		return t.diverged(t.b - 1)
	}
	return nil
}

// inMemory trains on the batches of the epoch. Their order and dropout depend on the seed and the
// epoch's number alone, so that training can be taken up at any epoch.
func (t *trainer) inMemory() error {
	if !t.NoShuffle {
		t.pcg.Seed(t.Seed, uint64(t.e.N))
		t.data.Shuffle(t.rng)
	}
	// Dropout draws from a stream of its own: the one above has drawn the weights too, if Init was
	// given the same seed, and would drop units by their weights.
	t.pcg.Seed(t.Seed, ^uint64(t.e.N))
	for b := range t.batches {
		if err := t.on(t.data.Batch(b, t.crew)); err != nil {
			return err
		}
	}
	return nil
}

// fromSequence trains on the batches that the sequence gives for an epoch.
func (t *trainer) fromSequence() error {
	t.pcg.Seed(t.Seed, ^uint64(t.e.N))
	batches := t.sequence(t.e.N)
	if batches == nil {
		return t.where.errorf("epoch %d: the sequence is nil, want one of batches", t.e.N)
	}
	for data, err := range batches {
		if t.ctx.Err() != nil { // and not a sequence's error that says the same
			return t.cancelled(t.ctx.Err())
		}
		where := door(fmt.Sprintf("%s: epoch %d, batch %d", t.where, t.e.N, t.b))
		if err != nil {
			return where.wrap(err)
		}
		s, err := t.net.checkData(where, "X", data, &t.Loss)
		if err != nil {
			return err
		}
		if err := t.net.checkRows(where, s.X.Rows, t.Freeze); err != nil {
			return err
		}
		t.reserve(s.X.Rows)
		if err := t.on(&s); err != nil {
			return err
		}
	}
	if t.b == 0 {
		return t.where.errorf("epoch %d: the sequence has no batches", t.e.N)
	}
	return nil
}

// on trains on the next batch of the epoch.
func (t *trainer) on(s *dataset.Samples) error {
	if err := t.ctx.Err(); err != nil {
		return t.cancelled(err)
	}
	loss, norm := t.step(s)
	if !isFinite(loss) || !isFinite(norm) {
		return t.diverged(t.b)
	}
	t.seen += s.X.Rows
	t.e.Loss += float64((loss - t.e.Loss) * (float64(s.X.Rows) / float64(t.seen))) // the mean so far
	t.e.GradNorm = norm
	t.progress.Batch(t.e.N, t.b, t.batches, t.e.Loss)
	t.b++
	return nil
}

// learningRate is η of epoch n.
func (t *trainer) learningRate(n int) (float64, error) {
	eta := rate(t.Schedule, t.LearningRate, t.history.Epochs[:n:n], &t.plateau)
	want := "a finite number, 0 or more"
	if isFinite(eta) && eta >= 0 {
		want = "less than 1/WeightDecay"
		if eta*t.WeightDecay < 1 {
			return eta, nil
		}
	}
	return 0, t.where.errorf("Schedule gives η = %v for epoch %d, want %s", eta, n, want)
}

// rate is what a schedule gives, nil for a constant one. One that waits for a plateau goes on from
// what it has seen of the history before.
func rate(s Schedule, base float64, history []Epoch, p *plateau) float64 {
	switch s := s.(type) {
	case nil:
		return base
	case Warmup:
		return s.track(base, history, p)
	case ReduceLROnPlateau:
		return s.track(base, history, p)
	}
	return s.Rate(base, history)
}

// step trains on a batch: forward, loss, backward, penalty, clipping, decay, update. It returns the
// mean loss before the update and the gradient's norm where that is asked for: for clipping, and of
// what may be the last batch.
func (t *trainer) step(s *dataset.Samples) (loss, norm float64) {
	t.pass.forward(&s.X)
	if loss = t.pass.value(s); !isFinite(loss) {
		return loss, 0
	}
	if t.b == 0 && t.beginsBest(loss) {
		t.best.become(t.net)
	}
	t.pass.backward() // fills the gradient
	grad := t.pass.grad
	if t.L2 != 0 {
		for i, w := range t.weights {
			kernel.Axpy(t.L2, w, t.weightGrads[i]) // dW ← dW + λ·W
		}
	}
	if t.ClipNorm != 0 {
		norm = ClipNorm(grad, t.ClipNorm)
	} else if t.b == t.batches-1 || t.batches == 0 {
		norm = kernel.Norm2(grad)
	}
	if !isFinite(norm) {
		return loss, norm
	}
	if t.ClipValue != 0 {
		kernel.Clamp(grad, t.ClipValue)
	}
	if t.WeightDecay != 0 {
		for _, w := range t.weights {
			kernel.Scale(1-float64(t.e.LearningRate*t.WeightDecay), w) // W ← (1 − ηλ)·W
		}
	}
	t.update() // θ ← θ − η·g, or as the optimizer has it
	return loss, norm
}

// ClipNorm scales a gradient by min(1, c/‖g‖) and returns ‖g‖, as TrainConfig's ClipNorm, for a
// training loop of one's own. A c of 0 or less means no clipping. A gradient whose norm is not
// finite stays as it is. (PyTorch's clip_grad_norm_, which adds 1e-6 to ‖g‖.)
func ClipNorm(grad []float64, c float64) (norm float64) {
	if norm = kernel.Norm2(grad); norm > c && c > 0 && isFinite(norm) {
		kernel.Scale(c/norm, grad) // g ← g·c/‖g‖
	}
	return norm
}

// An Optimizer updates the parameters. Step changes params, given the gradient of the same length
// and the learning rate η; it may change grad too. What it remembers between steps is kept in the
// value: handed to another training it goes on, a new one starts afresh.
//
// The formulas and defaults of the package's optimizers are PyTorch's. They are handed over as
// pointers, as &Adam{}, a zero field meaning its default. Their Step panics if params and grad
// differ in length, or have not the length of the steps before. Beta1 and Beta2 of an [Adam] and
// Alpha of an [RMSProp] must stay as they are while it remembers steps, here or in a State: the
// means in it are without the factors 1−β₁, 1−β₂ and 1−α.
type Optimizer interface {
	Step(params, grad []float64, eta float64)
}

// A Stateful optimizer can be saved in the middle of a training and taken up again. State is a copy
// of what it remembers, empty before the first step; SetState takes it back, and starts afresh when
// it is empty.
type Stateful interface {
	State() []float64
	SetState(state []float64) error
}

// SGD is gradient descent, θ ← θ − η·g, on batches drawn by chance (stochastic gradient descent).
// With momentum it is v ← μ·v + g and θ ← θ − η·v, or with Nesterov's θ ← θ − η·(g + μ·v). v begins
// at 0, so the first step is that without momentum (Sutskever et al. 2013).
type SGD struct {
	Momentum float64 // μ, in [0, 1); 0 means none
	Nesterov bool    // step along g + μ·v in place of v
	memory
}

func (o *SGD) check() error {
	return errors.Join(checkDecay("SGD Momentum", o.Momentum),
		check(!o.Nesterov || o.Momentum != 0, "SGD Nesterov", o.Nesterov, "a Momentum with it"))
}

func (o *SGD) remembered() (*memory, int) {
	if o.Momentum == 0 {
		return &o.memory, 0
	}
	return &o.memory, 1
}

// Step updates params.
func (o *SGD) Step(params, grad []float64, eta float64) { step(o, params, grad, eta) }

func (o *SGD) part(params, grad []float64, eta float64, at int) {
	if o.Momentum == 0 {
		kernel.Axpy(-eta, grad, params)
		return
	}
	s := kernel.MomentumStep{Mu: o.Momentum, Eta: eta}
	if o.Nesterov {
		s.Eta, s.NesterovEta = eta*o.Momentum, eta
	}
	kernel.Momentum(params, grad, o.values[at:at+len(grad)], s)
}

// A rule is one of the package's optimizers, which treat each parameter by itself.
type rule interface {
	Optimizer
	remembered() (m *memory, slices int)              // how many, each as long as the parameters
	part(params, grad []float64, eta float64, at int) // updates the parameters from number at on
}

// update takes a step of the optimizer, shared by goroutines if it is one of the package's.
func (t *trainer) update() {
	params, grad := t.net.params, t.pass.grad
	if t.rule != nil {
		count(t.rule, params, grad)
		for _, part := range t.moving {
			t.from = part[0]
			t.crew.Share(t, part[1]-part[0], 16*(part[1]-part[0])) // a parameter costs some 16 multiplications
		}
		return
	}
	t.Optimizer.Step(params, grad, t.e.LearningRate)
	if t.fixed != nil {
		for _, part := range t.moving {
			copy(t.fixed[part[0]:part[1]], params[part[0]:part[1]])
		}
		copy(params, t.fixed)
		clear(grad) // it may have changed that of frozen layers, which backward leaves alone
	}
}

// Part updates the parameters from lo to hi of a part.
func (t *trainer) Part(lo, hi int) {
	lo, hi = t.from+lo, t.from+hi
	t.rule.part(t.net.params[lo:hi], t.pass.grad[lo:hi], t.e.LearningRate, lo)
}

// AdaGrad divides by the root of the sum of all squared gradients: s ← s + g² and
// θ ← θ − η·g/(√s + ε) (Duchi et al. 2011).
type AdaGrad struct {
	Epsilon float64 // ε; 0 means 1e-10
	memory
}

func (o *AdaGrad) check() error { return checkPositive("AdaGrad Epsilon", o.Epsilon) }

func (o *AdaGrad) remembered() (*memory, int) { return &o.memory, 1 }

// Step updates params.
func (o *AdaGrad) Step(params, grad []float64, eta float64) { step(o, params, grad, eta) }

func (o *AdaGrad) part(params, grad []float64, eta float64, at int) {
	kernel.RMS(params, grad, o.values[at:at+len(grad)], nil, nil,
		kernel.RMSStep{Decay: 1, Eta: eta, Epsilon: cmp.Or(o.Epsilon, 1e-10)})
}

// RMSProp divides by the root of a running mean of squared gradients: v ← α·v + (1−α)·g² and
// θ ← θ − η·g/(√v + ε) (Hinton 2012). Centered, it subtracts the square of a running mean m of the
// gradients from v under the root. With momentum, the quotient q goes through b ← μ·b + q and
// θ ← θ − η·b.
type RMSProp struct {
	Alpha    float64 // α, in [0, 1); 0 means 0.99
	Epsilon  float64 // ε; 0 means 1e-8
	Momentum float64 // μ, in [0, 1); 0 means none
	Centered bool    // divide by the gradient's deviation in place of its size
	memory
}

func (o *RMSProp) check() error {
	return errors.Join(checkDecay("RMSProp Alpha", o.Alpha), checkDecay("RMSProp Momentum", o.Momentum),
		checkPositive("RMSProp Epsilon", o.Epsilon))
}

func (o *RMSProp) remembered() (*memory, int) { return &o.memory, 3 }

// Step updates params.
func (o *RMSProp) Step(params, grad []float64, eta float64) { step(o, params, grad, eta) }

func (o *RMSProp) part(params, grad []float64, eta float64, at int) {
	n, alpha := len(o.values)/3, cmp.Or(o.Alpha, 0.99)
	root := math.Sqrt(1 - alpha) // of the factor that v is kept without
	slice := func(k int) []float64 { return o.values[k*n+at : k*n+at+len(grad)] }
	var m, b []float64
	if o.Centered {
		m = slice(1)
	}
	if o.Momentum != 0 {
		b = slice(2)
	}
	kernel.RMS(params, grad, slice(0), m, b, kernel.RMSStep{
		Decay: alpha, Mean: root, Mu: o.Momentum, Eta: eta / root, Epsilon: cmp.Or(o.Epsilon, 1e-8) / root,
	})
}

// Adam follows running means of the gradients and of their squares, m ← β₁·m + (1−β₁)·g and
// v ← β₂·v + (1−β₂)·g², and corrects both for their beginning at 0: in step t,
// θ ← θ − η·m̂/(√v̂ + ε) with m̂ = m/(1−β₁ᵗ) and v̂ = v/(1−β₂ᵗ) (Kingma and Ba 2015). With
// TrainConfig.WeightDecay it is AdamW (Loshchilov and Hutter 2019). t counts the steps of the
// optimizer, also for layers that were frozen in some of them, where PyTorch counts each layer's.
type Adam struct {
	Beta1   float64 // β₁, in [0, 1); 0 means 0.9
	Beta2   float64 // β₂, in [0, 1); 0 means 0.999
	Epsilon float64 // ε; 0 means 1e-8
	memory
}

func (o *Adam) check() error {
	return errors.Join(checkDecay("Adam Beta1", o.Beta1), checkDecay("Adam Beta2", o.Beta2),
		checkPositive("Adam Epsilon", o.Epsilon))
}

func (o *Adam) remembered() (*memory, int) { return &o.memory, 2 }

// Step updates params.
func (o *Adam) Step(params, grad []float64, eta float64) { step(o, params, grad, eta) }

func (o *Adam) part(params, grad []float64, eta float64, at int) {
	n := len(o.values) / 2
	m, v := o.values[at:at+len(grad)], o.values[n+at:n+at+len(grad)]
	beta1, beta2, t := cmp.Or(o.Beta1, 0.9), cmp.Or(o.Beta2, 0.999), float64(o.steps)
	root := math.Sqrt((1 - math.Pow(beta2, t)) / (1 - beta2)) // taken out of the quotient, as 1−β₁ and 1−β₂ of m and v
	kernel.Adam(params, grad, m, v, kernel.AdamStep{
		Beta1: beta1, Beta2: beta2,
		Step:    eta * (1 - beta1) * root / (1 - math.Pow(beta1, t)),
		Epsilon: cmp.Or(o.Epsilon, 1e-8) * root,
	})
}

// memory is what an optimizer remembers: its number of steps, and some slices as long as the
// parameters, one behind the other.
type memory struct {
	steps  int
	values []float64
}

// count counts a step of a rule and, in the first one, makes its memory.
func count(r rule, params, grad []float64) {
	m, slices := r.remembered()
	if len(params) != len(grad) {
		panic(fmt.Sprintf("backprop: Step: %d parameters and %d elements of the gradient", len(params), len(grad)))
	}
	if err := checkMemory(r, len(params)); err != nil {
		panic("backprop: Step: " + err.Error())
	}
	if m.values == nil {
		m.values = make([]float64, slices*len(params))
	}
	m.steps++
}

// checkMemory returns an error if a rule remembers anything but n parameters.
func checkMemory(r rule, n int) error {
	m, slices := r.remembered()
	if len(m.values) != 0 && len(m.values) != slices*n {
		return fmt.Errorf("the optimizer remembers %d values of another training, want %d for %d parameters",
			len(m.values), slices*n, n)
	}
	return nil
}

// State is a copy of what the optimizer remembers, empty before the first step.
func (m *memory) State() []float64 {
	if len(m.values) == 0 {
		return nil
	}
	return append([]float64{float64(m.steps)}, m.values...)
}

// SetState takes back what State returned. An empty state starts afresh.
func (m *memory) SetState(state []float64) error {
	if len(state) == 0 {
		*m = memory{}
		return nil
	}
	// An infinity may be genuine: of a gradient whose square overflows.
	if s := state[0]; len(state) == 1 || s != math.Trunc(s) || !(s >= 1 && s <= 1<<53) || slices.ContainsFunc(state, math.IsNaN) {
		return errors.New("backprop: SetState: this is not the state of an optimizer")
	}
	*m = memory{int(state[0]), slices.Clone(state[1:])}
	return nil
}

// step makes a whole step of a rule.
func step(r rule, params, grad []float64, eta float64) {
	count(r, params, grad)
	r.part(params, grad, eta, 0)
}

// A Schedule gives η of the next epoch, number len(history), from the configured learning rate and
// the epochs so far. It keeps nothing of its own, so that a training can be taken up at any epoch.
type Schedule interface {
	Rate(base float64, history []Epoch) float64
}

// ScheduleFunc makes a function a [Schedule].
type ScheduleFunc func(base float64, history []Epoch) float64

func (f ScheduleFunc) check() error { return check(f != nil, "ScheduleFunc", "nil", "a function") }

// Rate calls f.
func (f ScheduleFunc) Rate(base float64, history []Epoch) float64 { return f(base, history) }

// StepDecay multiplies η by Factor after every Every epochs, as PyTorch's StepLR; with Every 1 that
// is ExponentialLR.
type StepDecay struct {
	Every  int     // 1 or more
	Factor float64 // above 0; 0 means 0.1
}

func (s StepDecay) check() error {
	return errors.Join(checkEpochs("StepDecay Every", s.Every), checkPositive("StepDecay Factor", s.Factor))
}

// Rate is base·Factor^⌊n/Every⌋ in epoch n.
func (s StepDecay) Rate(base float64, history []Epoch) float64 {
	return base * math.Pow(cmp.Or(s.Factor, 0.1), float64(len(history)/s.Every))
}

// CosineDecay takes η along half a cosine from its base to Min in Epochs epochs, as PyTorch's
// CosineAnnealingLR, and leaves it there (Loshchilov and Hutter 2017).
type CosineDecay struct {
	Epochs int     // 1 or more
	Min    float64 // the lowest η; 0 or more
}

func (s CosineDecay) check() error {
	return errors.Join(checkEpochs("CosineDecay Epochs", s.Epochs), checkNotNegative("CosineDecay Min", s.Min))
}

// Rate is Min + (base−Min)·(1 + cos(π·n/Epochs))/2 in epoch n.
func (s CosineDecay) Rate(base float64, history []Epoch) float64 {
	n := min(len(history), s.Epochs)
	return s.Min + float64((base-s.Min)*kernel.HalfCosine(float64(n)/float64(s.Epochs)))
}

// Warmup raises η linearly from Start·base in the first epoch to base after Epochs epochs, as
// PyTorch's LinearLR, and then follows Then, which sees the history from there on.
type Warmup struct {
	Epochs int      // 1 or more
	Start  float64  // in (0, 1]; 0 means 1/3
	Then   Schedule // nil means a constant η
}

func (s Warmup) check() error {
	return errors.Join(
		checkEpochs("Warmup Epochs", s.Epochs), checkFields(s.Then),
		check(s.Start >= 0 && s.Start <= 1, "Warmup Start", s.Start, "0 to 1"))
}

// Rate is base·(Start + (1−Start)·n/Epochs) in the first epochs n.
func (s Warmup) Rate(base float64, history []Epoch) float64 {
	return s.track(base, history, &plateau{})
}

func (s Warmup) track(base float64, history []Epoch, p *plateau) float64 {
	n := len(history)
	if n < s.Epochs {
		start := cmp.Or(s.Start, 1.0/3)
		return base * (start + (1-start)*float64(n)/float64(s.Epochs))
	}
	return rate(s.Then, base, history[s.Epochs:], p)
}

// ReduceLROnPlateau multiplies η by Factor when the validation loss, or without validation the
// loss, has not fallen below (1−Threshold) times its lowest for more than Patience epochs. After
// each reduction Cooldown epochs do not count. A change below 1e-8 is not made. All this is as in
// PyTorch's.
type ReduceLROnPlateau struct {
	Factor    float64 // in (0, 1); 0 means 0.1
	Patience  int     // 0 means 10
	Threshold float64 // in [0, 1); 0 means 1e-4
	Cooldown  int     // epochs after a reduction; 0 means none
	Min       float64 // the lowest η; 0 or more
}

func (s ReduceLROnPlateau) check() error {
	return errors.Join(
		checkDecay("ReduceLROnPlateau Factor", s.Factor), checkDecay("ReduceLROnPlateau Threshold", s.Threshold),
		checkNotNegative("ReduceLROnPlateau Min", s.Min),
		check(s.Patience >= 0, "ReduceLROnPlateau Patience", s.Patience, "0 or more"),
		check(s.Cooldown >= 0, "ReduceLROnPlateau Cooldown", s.Cooldown, "0 or more"))
}

// Rate goes through the history from its beginning.
func (s ReduceLROnPlateau) Rate(base float64, history []Epoch) float64 {
	return s.track(base, history, &plateau{})
}

// A plateau is what a ReduceLROnPlateau has seen.
type plateau struct {
	epochs, bad, cooldown int
	eta, best             float64
}

func (s ReduceLROnPlateau) track(base float64, history []Epoch, p *plateau) float64 {
	factor, patience := cmp.Or(s.Factor, 0.1), cmp.Or(s.Patience, 10)
	threshold := 1 - cmp.Or(s.Threshold, 1e-4)
	if p.epochs == 0 {
		p.eta, p.best = base, math.Inf(1)
	}
	for ; p.epochs < len(history); p.epochs++ {
		if p.bad++; history[p.epochs].watched() < p.best*threshold {
			p.best, p.bad = history[p.epochs].watched(), 0
		}
		if p.cooldown > 0 {
			p.cooldown--
			p.bad = 0
		}
		if p.bad > patience {
			if lower := max(p.eta*factor, s.Min); p.eta-lower > 1e-8 {
				p.eta = lower
			}
			p.cooldown, p.bad = s.Cooldown, 0
		}
	}
	return p.eta
}

// beginsBest tells whether the parameters at the beginning of an epoch, the loss of whose first
// batch is given, are those of the best epoch so far: of this one where the batch is all samples,
// else of the one before, unless their loss is beyond that of the first epoch.
func (t *trainer) beginsBest(loss float64) bool {
	n := len(t.history.Epochs) - 1
	switch {
	case t.validation != nil: // noteBest keeps those after the epoch
		return false
	case t.batches == 1:
		return loss <= t.lowest
	}
	return t.history.Best == n-1 && loss <= t.history.Epochs[0].Loss
}

// noteBest keeps the best epoch, and its parameters if its loss was measured after it.
func (t *trainer) noteBest(e *Epoch) {
	if loss := e.watched(); loss < t.lowest {
		t.history.Best, t.lowest = e.N, loss
		if t.validation != nil {
			t.best.become(t.net)
		}
	}
}

// watched is the loss by which epochs are compared.
func (e *Epoch) watched() float64 {
	if math.IsNaN(e.ValidationLoss) {
		return e.Loss
	}
	return e.ValidationLoss
}

// stop is the reason to end after an epoch, or "".
func (t *trainer) stop(e *Epoch) (StopReason, error) {
	if t.OnEpoch != nil {
		if err := t.OnEpoch(*e); errors.Is(err, ErrStop) {
			return StopOnEpoch, nil
		} else if err != nil {
			return StopOnEpoch, t.where.errorf("OnEpoch failed after epoch %d: %w", e.N, err)
		}
	}
	return t.done(e), nil
}

// done is the reason of the training's own to end after an epoch.
func (t *trainer) done(e *Epoch) StopReason {
	switch {
	case t.TargetLoss > 0 && e.Loss <= t.TargetLoss:
		return StopTarget
	case t.Patience > 0 && e.N-t.history.Best >= t.Patience:
		return StopPatience
	case e.N == t.Epochs-1:
		return StopEpochs
	}
	return ""
}

func (t *trainer) cancelled(err error) error {
	t.history.Stopped = StopCancelled
	if !t.net.isFinite() {
		t.net.become(t.best)
	}
	err = t.where.errorf("cancelled in epoch %d: %w", t.e.N, err)
	return errors.Join(err, t.where.wrap(t.keeper.Write()))
}

func (t *trainer) diverged(b int) error {
	t.history.Stopped = StopDiverged
	t.net.become(t.best)
	if o, ok := t.Optimizer.(Stateful); ok {
		o.SetState(nil) // an empty state is always taken
	}
	remedies := "a smaller LearningRate, ClipNorm"
	if !t.net.shape.mustBeFirst {
		remedies += ", Standardize"
	}
	largest := max(slices.Max(t.pass.y), -slices.Min(t.pass.y))
	if largest > 10 && !t.net.shape.mustBeLast {
		remedies += fmt.Sprintf(", Unstandardize (targets reach %.3g)", largest)
	}
	return t.where.errorf("epoch %d, batch %d: %w; the network holds the parameters of its best epoch so far; "+
		"try %s or BatchNorm", t.e.N, b, ErrDiverged, remedies)
}

// capture hands what the training is at the end of an epoch to the keeper of the checkpoint.
func (t *trainer) capture() {
	k := t.keeper
	if k == nil {
		return
	}
	for _, e := range t.history.Epochs[len(k.History)/checkpoint.Columns:] {
		k.History = append(k.History,
			float64(e.N), e.Loss, e.ValidationLoss, e.LearningRate, e.GradNorm, float64(e.Elapsed))
	}
	if k.Best = t.history.Best; k.Best >= 0 {
		k.BestParams, k.BestStatistics = t.best.params, t.best.statistics
	}
	k.Stopped, k.Optimizer = string(t.history.Stopped), t.Optimizer.(Stateful).State()
	t.kept.become(t.net)
	k.Captured()
}

// keep describes the training that is about to begin, and takes it up where it is the one that the
// file keeps, if there is a file.
func (t *trainer) keep(set *dataset.Samples) error {
	text, err := t.net.describe(true)
	if err != nil {
		return err
	}
	if _, err := layerTypes.Parse(text, maxLayers); err != nil {
		return fmt.Errorf("it could not be taken up: %w", err)
	}
	t.kept = t.net.Clone()
	t.keeper = &checkpoint.Keeper{Path: t.Checkpoint, Description: text, Network: t.kept.tensors()}
	t.keeper.Fingerprint = checkpoint.Fingerprint{
		Config:  checkpoint.Describe(t.TrainConfig, "Epochs", "SampleWeights", "Validation", "OnEpoch", "Progress", "Checkpoint"),
		Data:    checkpoint.Digest(slices.Concat(set.Parts(), t.validation.Parts())...),
		Initial: t.net.digest(),
	}
	want := checkpoint.Wanted{
		Fingerprint: t.keeper.Fingerprint, Epochs: t.Epochs, Optimizer: math.MaxInt, Patience: t.Patience,
		Params: len(t.net.params), Statistics: len(t.net.statistics),
		Reasons: []string{string(StopEpochs), string(StopTarget), string(StopPatience), string(StopOnEpoch)},
	}
	if r, ok := t.Optimizer.(rule); ok {
		_, slices := r.remembered()
		want.Optimizer = 1 + slices*len(t.net.params)
	}
	state, err := t.keeper.Resume(want)
	if state == nil || err != nil {
		return err
	}
	return t.takeUp(state)
}

// takeUp goes on from a checkpoint, if its training began as this one does.
func (t *trainer) takeUp(state *checkpoint.State) error {
	t.best = t.kept.Clone()
	copy(t.best.params, state.BestParams) // empty if no epoch is done
	copy(t.best.statistics, state.BestStatistics)
	switch t.keeper.Initial {
	case state.Initial, t.kept.digest(), t.best.digest():
	default: // it may be where that training has left the network in the middle of an epoch
		if t.keeper.Initial != t.net.ended || t.net.began != state.Initial {
			return checkpoint.Another("a training that began with other parameters")
		}
	}
	o := t.Optimizer.(Stateful)
	before, err := o.State(), o.SetState(state.Optimizer)
	if r, ok := o.(rule); ok && err == nil {
		err = checkMemory(r, len(t.net.params))
	}
	if err != nil {
		return errors.Join(err, o.SetState(before))
	}
	t.net.become(t.kept)
	t.keeper.State = *state
	h := &t.history
	h.Best, h.Stopped = state.Best, StopReason(state.Stopped)
	for r := range slices.Chunk(state.History, checkpoint.Columns) {
		h.Epochs = append(h.Epochs, Epoch{
			N: int(r[0]), Loss: r[1], ValidationLoss: r[2], LearningRate: r[3], GradNorm: r[4], Elapsed: time.Duration(r[5]),
		})
	}
	if h.Best >= 0 {
		t.lowest = h.Epochs[h.Best].watched()
	}
	if n := len(h.Epochs); n > 0 && h.Stopped != StopOnEpoch {
		h.Stopped = t.done(&h.Epochs[n-1]) // Epochs may have been raised
	}
	return nil
}

// check checks everything before the first step, and takes up a training that was interrupted.
func (t *trainer) check(data Data) (err error) {
	if t.ctx == nil {
		return t.where.errorf("ctx is nil, want a context")
	}
	var set *dataset.Samples // nil of a sequence
	if t.sequence == nil {
		if set, err = t.checkSet("x", data); err != nil {
			return err
		}
	}
	if t.Optimizer == nil {
		t.Optimizer = &SGD{}
	}
	if err := t.checkConfig(); err != nil {
		return err
	}
	if t.Validation.X != nil || t.Validation.Y != nil || t.Validation.SampleWeights != nil {
		if t.validation, err = t.checkSet("Validation.X", t.Validation); err != nil {
			return err
		}
	}
	if set != nil {
		t.BatchSize = min(cmp.Or(t.BatchSize, set.X.Rows), set.X.Rows)
		if err := t.net.checkRows(t.where, t.BatchSize, t.Freeze); err != nil {
			return err
		}
		least, _ := t.net.minRows(t.Freeze)
		t.data = dataset.Cut(*set, t.BatchSize, least)
		t.batches = t.data.Count
	}
	if t.Checkpoint != "" {
		if err := t.keep(set); err != nil {
			return t.where.errorf("Checkpoint %s: %w", t.Checkpoint, err)
		}
	}
	err = t.net.learn(set, t.Freeze)
	t.progress = progress.New(t.Progress, len(t.history.Epochs), t.Epochs)
	return t.where.wrap(err)
}

// checkSet views a whole set of samples.
func (t *trainer) checkSet(x string, d Data) (*dataset.Samples, error) {
	s, err := t.net.checkData(t.where, x, d, &t.Loss)
	if err != nil {
		return nil, err
	}
	y, weights := names(x)
	if kernel.Overlap(s.X.Data, t.net.params) || kernel.Overlap(s.Y.Data, t.net.params) {
		return nil, t.where.errorf("%s or %s overlaps the network's Params, want a copy", x, y)
	}
	return &s, t.where.wrap(s.ScaleWeights(weights))
}

// checkConfig reports every field of the configuration that cannot be used.
func (t *trainer) checkConfig() error {
	_, stateful := t.Optimizer.(Stateful)
	err := errors.Join(
		check(isFinite(t.LearningRate) && t.LearningRate > 0, "LearningRate", t.LearningRate, "a finite number above 0"),
		checkEpochs("Epochs", t.Epochs),
		check(t.BatchSize >= 0, "BatchSize", t.BatchSize, "0 (all samples) or more"),
		check(t.Patience >= 0, "Patience", t.Patience, "0 (none) or more"),
		check(t.Patience == 0 || t.Validation.X != nil, "Patience", t.Patience, "Validation data with it"),
		check(t.sequence == nil || t.BatchSize == 0, "BatchSize", t.BatchSize, "0, as the sequence has its own"),
		check(t.sequence == nil || t.SampleWeights == nil, "SampleWeights", "given", "those of each batch's Data"),
		check(len(t.Freeze) == 0 || len(t.net.moving(t.Freeze)) > 0, "Freeze", t.Freeze, "a layer with parameters left to train"),
		checkNotNegative("L2", t.L2), checkNotNegative("WeightDecay", t.WeightDecay),
		checkNotNegative("ClipNorm", t.ClipNorm), checkNotNegative("ClipValue", t.ClipValue), checkNotNegative("TargetLoss", t.TargetLoss),
		check(!(t.LearningRate*t.WeightDecay >= 1), "LearningRate·WeightDecay", t.LearningRate*t.WeightDecay, "less than 1"),
		t.net.checkLoss(&t.Loss), checkFields(t.Optimizer), checkFields(t.Schedule),
		check(t.Checkpoint == "" || stateful, "Optimizer", fmt.Sprintf("a %T", t.Optimizer), "one with State and SetState for a Checkpoint"),
	)
	for i, layer := range t.Freeze {
		err = errors.Join(err, check(layer >= 0 && layer < len(t.net.layers), fmt.Sprintf("Freeze[%d]", i), layer,
			fmt.Sprintf("0 to %d", len(t.net.layers)-1)))
	}
	if o, ok := t.Optimizer.(rule); ok && err == nil {
		err = checkMemory(o, len(t.net.params))
	}
	return t.where.wrap(err)
}
