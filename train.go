package backprop

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"example.com/backprop/internal/kernel"
	"example.com/backprop/internal/safetensors"
	"gonum.org/v1/gonum/mat"
)

// TrainConfig says how [Network.Train] trains. LearningRate and Epochs are
// required; every other zero field means what its comment says.
type TrainConfig struct {
	LearningRate float64   // η, above 0
	Epochs       int       // passes over the data, 1 or more
	BatchSize    int       // samples a step; 0 means all of them: batch gradient descent
	KeepOrder    bool      // do not shuffle the samples before every epoch
	Loss         Loss      // nil means what belongs to the output's activation, as for Network.Loss
	Optimizer    Optimizer // nil means gradient descent, θ ← θ − η·∂L/∂θ
	Schedule     Schedule  // η by epoch; nil means LearningRate throughout
	Seed         uint64    // of shuffling and dropout

	L2          float64 // λ: adds λ·W to the gradient of every W (coupled)
	WeightDecay float64 // λ: multiplies every W by 1 − ηλ before each step (decoupled; Adam with it is AdamW)
	ClipNorm    float64 // c: scales the gradient by min(1, c/‖g‖), L2 included; 0 means no clipping
	ClipValue   float64 // c: clamps each component of the gradient to ±c, L2 included; 0 means no clipping

	Validation Data    // held-out samples whose loss is taken after every epoch; none by default
	Patience   int     // ends training after so many epochs without a new lowest validation loss; 0 means never
	TargetLoss float64 // ends training once an epoch's loss is at most this; 0 means never

	OnEpoch  func(Epoch) error // called after every epoch; ErrStop ends training, any other error fails it
	Progress io.Writer         // where progress is shown: a live line on a terminal, else some 20 plain lines; nil: silent

	// Checkpoint is the path of a file that keeps the training, written at its
	// beginning, at the end of epochs as often as takes no more than a few per
	// cent of the time, and when training ends; "" means none. Where the file
	// exists, training goes on from it, and (on the same kind of processor)
	// ends with the same bits as if it had not been interrupted; a training
	// that had ended returns at once, unless Epochs has been raised. Epochs
	// done before are not shown to OnEpoch again. A file of another network,
	// configuration or data is an error, and not overwritten. A Schedule, Loss
	// or OnEpoch that is a function is not compared. The optimizer must be
	// Stateful.
	Checkpoint string
}

// Data is a set of N samples: the inputs in the rows of X, N×inputs, and their
// targets in the rows of Y, N×outputs. The zero Data is none.
type Data struct{ X, Y mat.Matrix }

// An Epoch tells how one pass over the training data went.
type Epoch struct {
	N              int           // its number, from 0
	Loss           float64       // mean over the samples, each taken before its batch's update, without penalties
	ValidationLoss float64       // after the epoch, in inference mode; 0 without validation data
	LearningRate   float64       // η
	GradNorm       float64       // ‖∂L/∂θ‖₂ of the last batch, L2 included, before clipping
	Elapsed        time.Duration // the time it took; the mean of several where nothing watches epochs of less than 10 µs
}

// A History tells how a training went.
type History struct {
	Epochs  []Epoch    // every completed epoch
	Best    int        // the epoch with the lowest validation loss, or without validation the lowest loss; -1 if there is none
	Stopped StopReason // why training ended
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
	StopFailed    StopReason = "failed"              // by the schedule or the checkpoint, as the error says
)

// ErrStop, returned by [TrainConfig.OnEpoch], ends training without an error.
var ErrStop = errors.New("backprop: stop training")

// ErrDiverged is what an error of [Network.Train], [Network.Loss],
// [Network.Gradient] or [Network.CheckGradient] wraps when the loss, its
// gradient or a parameter has left the finite numbers.
var ErrDiverged = errors.New("loss or gradient is not finite")

// Train minimizes the mean loss over the samples in the rows of x, with their
// targets in the rows of y, by gradient descent on mini-batches or by another
// optimizer: x is N×inputs, y N×outputs. It returns the history, which is nil
// only if nothing could begin.
//
// x and y are not changed, nor copied if they are a *mat.Dense. The last, short
// batch of an epoch is used; where the network has batch norm, a single
// left-over sample joins the batch before it. Gradients are means, so η does
// not depend on the batch size. The same network, data, configuration and seed
// give the same bits on the same kind of processor, whatever GOMAXPROCS is;
// without shuffling and with a single batch the seed matters to dropout only.
//
// A first training lets a [Standardize] learn its statistics from x; another
// one goes on from there, with the parameters that the first has left. With
// Patience, training that ends without an error leaves the parameters of the
// epoch with the lowest validation loss.
//
// When ctx is cancelled Train returns within one batch with an error that wraps
// ctx.Err(); the network keeps what it has learnt. Arguments that cannot be used,
// NaN and infinities in the data among them, are errors before the first step.
// When the loss leaves the finite numbers the error wraps [ErrDiverged], names
// epoch and batch, and the network holds the parameters with which the loss was
// last seen finite at the beginning of an epoch; an optimizer with SetState
// is made to start afresh. An error that OnEpoch returns is wrapped.
//
// Besides the data and the network, Train holds a copy of the parameters, the
// optimizer's state and the values of one batch; the gradient only in networks of fewer
// than 2¹⁴ parameters, with ClipNorm and for an optimizer of the caller's own.
//
// Products of more than half a million multiplications are shared among
// GOMAXPROCS goroutines, which spin for some 75 µs after each before they
// sleep. None outlives the call. During Train nothing else may use the network,
// but for OnEpoch.
func (n *Network) Train(ctx context.Context, x, y mat.Matrix, config TrainConfig) (*History, error) {
	t, err := n.newTrainer(ctx, x, y, config)
	if err != nil {
		return nil, err
	}
	err = t.run(ctx)
	return &t.history, err
}

// A trainer is a training under way.
type trainer struct {
	TrainConfig
	net            *Network
	history        History
	x, y           matrix
	validX, validY matrix
	order          []int // the epoch's order of samples; nil as they lie
	batches        int   // an epoch
	batchX, batchY matrix
	pass           *pass
	grad           []float64 // of all parameters, or nil
	norms          []float64 // of the rows of a gradient that is used up row by row
	pcg            *rand.PCG // reseeded for every epoch
	rng            *rand.Rand
	weights        [][]float64 // every W, without biases, γ and β
	weightGrads    [][]float64
	finite, best   snapshot
	lowest         float64 // the best epoch's loss
	start          time.Time
	began          time.Duration // when the epoch began, or the first that has no time yet, after start
	timed          int           // epochs that have a time
	together       int           // how many are timed at once
	progress       *progress
	crew           *crew
	descent        update      // the step, in parts if the optimizer is one of the package's
	checkpoint     *checkpoint // nil for none
}

// A snapshot is a copy of all that training changes in a network.
type snapshot struct{ params, statistics []float64 }

func (n *Network) snapshot(s *snapshot) {
	if len(s.params) != len(n.params) {
		*s = snapshot{make([]float64, len(n.params)), make([]float64, len(n.statistics))}
	}
	duplicate(s.params, n.params)
	duplicate(s.statistics, n.statistics)
}

// finite tells whether all that training changes has stayed finite. A running
// variance may have overflowed behind a loss that does not show it.
func (n *Network) finite() bool { return kernel.Finite(n.params) && kernel.Finite(n.statistics) }

func (n *Network) restore(s snapshot) {
	duplicate(n.params, s.params)
	duplicate(n.statistics, s.statistics)
}

func (n *Network) newTrainer(ctx context.Context, x, y mat.Matrix, c TrainConfig) (*trainer, error) {
	if ctx == nil {
		return nil, errors.New("backprop: Train: ctx is nil, want a context")
	}
	t := &trainer{net: n, TrainConfig: c, history: History{Best: -1}}
	var err error
	if t.x, t.y, t.Loss, err = n.batch("Train", x, y, c.Loss); err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	if c.Validation != (Data{}) {
		where := door("Train")
		if t.validX, err = where.matrix("Validation.X", c.Validation.X, -1, n.inputs); err != nil {
			return nil, err
		}
		if err := where.finite("Validation.X", t.validX); err != nil {
			return nil, err
		}
		if t.validY, err = n.targets(where, "Validation.Y", c.Validation.Y, t.validX.Rows, t.Loss); err != nil {
			return nil, err
		}
	}
	if err := t.plan(); err != nil {
		return nil, err
	}
	if c.Checkpoint != "" {
		t.checkpoint = t.newCheckpoint()
	}
	if err := t.resume(); err != nil {
		return nil, fmt.Errorf("backprop: Train: Checkpoint %s: %w", c.Checkpoint, err)
	}
	if err := n.fit(t.x); err != nil {
		return nil, err
	}
	if c.Progress != nil {
		t.progress = newProgress(c.Progress, len(t.history.Epochs), c.Epochs)
	}
	return t, nil
}

// check reports every field of the configuration that cannot be used.
func (t *trainer) check() error {
	var errs []error
	want := func(ok bool, field string, v any, what string) {
		if !ok {
			errs = append(errs, fmt.Errorf("backprop: Train: %s is %v, want %s", field, v, what))
		}
	}
	want(isFinite(t.LearningRate) && t.LearningRate > 0, "LearningRate", t.LearningRate, "a finite number above 0")
	want(t.Epochs > 0, "Epochs", t.Epochs, "1 or more")
	want(t.BatchSize >= 0, "BatchSize", t.BatchSize, "0 (all samples) or more")
	want(t.Patience >= 0, "Patience", t.Patience, "0 (none) or more")
	want(t.Patience == 0 || t.Validation != (Data{}), "Patience", t.Patience, "Validation data with it")
	for _, f := range []struct {
		name  string
		value float64
	}{
		{"L2", t.L2}, {"WeightDecay", t.WeightDecay}, {"ClipNorm", t.ClipNorm},
		{"ClipValue", t.ClipValue}, {"TargetLoss", t.TargetLoss},
	} {
		want(isFinite(f.value) && f.value >= 0, f.name, f.value, "a finite number, 0 (none) or more")
	}
	for _, v := range []any{t.Optimizer, t.Schedule} {
		for _, err := range leaves(checkParameter(v)) {
			errs = append(errs, fmt.Errorf("backprop: Train: %w", err))
		}
	}
	if _, ok := t.Optimizer.(Stateful); t.Checkpoint != "" && t.Optimizer != nil && !ok {
		want(false, "Optimizer", fmt.Sprintf("a %T", t.Optimizer), "one with State and SetState for a Checkpoint")
	}
	if o, ok := t.Optimizer.(rule); ok && len(errs) == 0 {
		if err := o.remembered().holds(len(t.net.params), o.slices()); err != nil {
			errs = append(errs, fmt.Errorf("backprop: Train: %w", err))
		}
	}
	return errors.Join(errs...)
}

// leaves lists what errors.Join has joined.
func leaves(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return slices.DeleteFunc([]error{err}, func(err error) bool { return err == nil })
	}
	var list []error
	for _, err := range joined.Unwrap() {
		list = append(list, leaves(err)...)
	}
	return list
}

// worthRows is the number of parameters from which on the gradient is used up
// by rows. A smaller network's is cheap to keep, and one update is quicker than many.
const worthRows = 1 << 14

// plan divides the samples into batches and takes the memory for one.
func (t *trainer) plan() error {
	rows := t.x.Rows
	if t.BatchSize == 0 || t.BatchSize > rows {
		t.BatchSize = rows
	}
	if err := t.net.batchNormRows("Train", t.BatchSize); err != nil {
		return err
	}
	t.batches = (rows + t.BatchSize - 1) / t.BatchSize
	capacity := t.BatchSize
	if rows%t.BatchSize == 1 && t.net.batchNormRows("Train", 1) != nil {
		t.batches-- // the left-over sample joins the batch before it
		capacity++
	}
	if t.batches > 1 && !t.KeepOrder {
		t.order = make([]int, rows)
		t.batchX, t.batchY = newMatrix(capacity, t.x.Cols), newMatrix(capacity, t.y.Cols)
	}
	t.pass = t.net.newPass(capacity, true)
	t.pass.use(t.Loss)
	t.descent = update{params: t.net.params, l2: t.L2, decay: t.WeightDecay, clip: t.ClipValue}
	switch o := t.Optimizer.(type) {
	case *Momentum, *AdaGrad, *RMSProp, *Adam: // not a user's own that embeds one of these
		t.descent.rule = o.(rule)
	}
	if len(t.net.params) >= worthRows && t.ClipNorm == 0 && (t.Optimizer == nil || t.descent.rule != nil) {
		t.norms = t.pass.bindRows(&t.descent)
	} else {
		t.grad = make([]float64, len(t.net.params))
		t.descent.grad = t.grad
		t.pass.bind(t.grad)
	}
	t.pcg = rand.NewPCG(0, 0)
	t.rng = rand.New(t.pcg)
	for i := range t.pass.states {
		s := &t.pass.states[i]
		s.rng = t.rng
		if _, ok := s.Layer.(Dense); ok && t.grad != nil {
			t.weights, t.weightGrads = append(t.weights, s.w.Data), append(t.weightGrads, s.dw.Data)
		}
	}
	return nil
}

// fit lets a Standardize learn its statistics, once.
func (n *Network) fit(x matrix) error {
	if s, ok := n.slots[0].Layer.(Standardize); ok && !n.fitted {
		if err := s.learn(n.slots[0], x); err != nil {
			return fmt.Errorf("backprop: Train: %w", err)
		}
	}
	n.fitted = true
	return nil
}

// run trains epoch by epoch.
func (t *trainer) run(ctx context.Context) error {
	t.start, t.timed, t.together = time.Now(), len(t.history.Epochs), 1
	defer t.readClock()
	t.net.snapshot(&t.finite)
	t.history.Epochs = slices.Grow(t.history.Epochs, min(t.Epochs, 1<<16)) // grown beyond
	defer t.progress.end()
	t.hire()
	defer t.crew.dismiss()
	t.checkpoint.capture(t)
	defer t.checkpoint.leave(t.net)
	if len(t.history.Epochs) == 0 { // so that a path that cannot be written is found before any work is
		if err := t.checkpoint.write(t, true); err != nil {
			t.history.Stopped = StopFailed
			return err
		}
	}
	for n := len(t.history.Epochs); n < t.Epochs && t.history.Stopped == ""; n++ {
		t.history.Epochs = append(t.history.Epochs, Epoch{})
		e := &t.history.Epochs[n] // filled where it lies: copies of what was just written are slow
		e.N = n
		if err := t.epoch(ctx, e); err != nil {
			t.history.Epochs = t.history.Epochs[:n]
			t.history.Stopped = cmp.Or(t.history.Stopped, StopFailed)
			return err
		}
		t.noteBest(e)
		if t.progress != nil {
			t.progress.epoch(*e, t.validX.Data != nil)
		}
		stop, err := t.callOnEpoch(e)
		if stop == "" {
			stop = t.done(e)
		}
		if err == nil {
			t.history.Stopped = stop
		}
		if t.checkpoint != nil {
			t.checkpoint.capture(t)
			err = errors.Join(err, t.checkpoint.write(t, err != nil || stop != ""))
			t.began = time.Since(t.start)
		}
		if err != nil {
			t.history.Stopped = cmp.Or(stop, StopFailed)
			return err
		}
	}
	if t.Patience > 0 {
		t.net.restore(t.best)
	}
	return nil
}

// hire takes on a crew for the products, if the network has large ones.
func (t *trainer) hire() {
	largest := 0
	for _, s := range t.net.slots {
		largest = max(largest, t.pass.capacity*s.rows*s.cols)
	}
	t.crew = newCrew(largest)
	for i := range t.pass.states {
		t.pass.states[i].crew = t.crew
	}
	if t.pass.descent != nil {
		t.descent.newRows(t.pass.states, t.crew.workers())
	}
}

// epoch goes once over the data and fills in e, whose number is given.
func (t *trainer) epoch(ctx context.Context, e *Epoch) (err error) {
	if e.LearningRate, err = t.eta(e.N); err != nil {
		return err
	}
	t.shuffle(e.N)
	for b := range t.batches {
		if err := ctx.Err(); err != nil {
			return t.cancelled(e.N, err)
		}
		x, y := t.batch(b)
		loss, norm := t.step(b, x, y, e.LearningRate)
		if !isFinite(loss) || !isFinite(norm) {
			return t.diverged(e.N, b)
		}
		e.Loss += loss * (float64(y.Rows) / float64(t.y.Rows))
		e.GradNorm = norm
		if t.progress != nil {
			t.progress.batch(e.N, b, t.batches, e.Loss*float64(t.batches)/float64(b+1))
		}
	}
	if t.validX.Data != nil {
		if e.ValidationLoss, err = t.net.meanLoss(ctx, t.validX, t.validY, t.Loss); err != nil {
			return t.cancelled(e.N, err)
		}
	}
	if !isFinite(e.ValidationLoss) || !t.net.finite() {
		return t.diverged(e.N, t.batches-1)
	}
	if e.N+1-t.timed >= t.together {
		t.readClock()
	}
	return nil
}

// readClock gives the epochs that have no time yet each its share of the time
// since they began. The clock takes as long as a tenth of a tiny epoch, so it
// is read about every 10 µs, or after every epoch if something watches them.
func (t *trainer) readClock() {
	const often = 10 * time.Microsecond
	epochs := t.history.Epochs[t.timed:]
	if len(epochs) == 0 {
		return
	}
	now := time.Since(t.start)
	passed := now - t.began
	for i := range epochs {
		epochs[i].Elapsed = passed / time.Duration(len(epochs))
	}
	t.began, t.timed = now, len(t.history.Epochs)
	watched := t.OnEpoch != nil || t.Progress != nil || t.Schedule != nil || t.checkpoint != nil
	switch {
	case watched || passed > 2*often:
		t.together = 1
	case passed < often:
		t.together *= 2
	}
}

// eta is η of epoch n.
func (t *trainer) eta(n int) (float64, error) {
	if t.Schedule == nil {
		return t.LearningRate, nil
	}
	eta := t.Schedule.Rate(t.LearningRate, t.history.Epochs[:n:n])
	if !isFinite(eta) || eta < 0 {
		return 0, fmt.Errorf("backprop: Train: Schedule gives η = %v for epoch %d, want a finite number, 0 or more", eta, n)
	}
	return eta, nil
}

// shuffle draws epoch n's order of samples. Order and dropout depend on the
// seed and the epoch alone, so that training can be taken up at any epoch.
func (t *trainer) shuffle(n int) {
	t.pcg.Seed(t.Seed, uint64(n))
	for i := range t.order {
		t.order[i] = i
	}
	if t.order != nil {
		t.rng.Shuffle(len(t.order), func(i, j int) { t.order[i], t.order[j] = t.order[j], t.order[i] })
	}
	// Dropout draws from a stream of its own: the one above has drawn the weights
	// too, if Init was given the same seed, and would drop units by their weights.
	t.pcg.Seed(t.Seed, ^uint64(n))
}

// batch is batch b of the epoch.
func (t *trainer) batch(b int) (x, y *matrix) {
	if t.batches == 1 {
		return &t.x, &t.y
	}
	lo, hi := b*t.BatchSize, (b+1)*t.BatchSize
	if b == t.batches-1 {
		hi = t.x.Rows
	}
	if t.order == nil {
		t.batchX, t.batchY = t.x.slice(lo, hi), t.y.slice(lo, hi)
		return &t.batchX, &t.batchY
	}
	t.batchX, t.batchY = t.batchX.first(hi-lo), t.batchY.first(hi-lo)
	t.crew.gather(t.batchX, t.x, t.order[lo:hi])
	t.crew.gather(t.batchY, t.y, t.order[lo:hi])
	return &t.batchX, &t.batchY
}

// step trains on batch b: forward, backward, update. It returns the mean loss
// before the update and the gradient's norm where that is asked for: for
// clipping, and of the last batch.
func (t *trainer) step(b int, x, y *matrix, eta float64) (loss, norm float64) {
	t.pass.forward(x)
	if loss = t.pass.value(y); !isFinite(loss) {
		return loss, 0
	}
	if b == 0 {
		t.net.snapshot(&t.finite) // the loss of these parameters is finite
	}
	t.pass.outputError(y)
	t.descent.begin(eta)
	if t.pass.descent != nil {
		return loss, t.descend(b == t.batches-1)
	}
	t.pass.backward()
	if t.L2 != 0 {
		for i, w := range t.weights {
			kernel.Axpy(t.L2, w, t.weightGrads[i]) // dW ← dW + λ·W
		}
	}
	if t.ClipNorm != 0 || b == t.batches-1 {
		if norm = norm2(t.grad); !isFinite(norm) {
			return loss, norm
		}
	}
	if t.ClipNorm != 0 && norm > t.ClipNorm {
		scale(t.ClipNorm/norm, t.grad)
	}
	clamp(t.grad, t.ClipValue)
	if t.WeightDecay != 0 {
		for _, w := range t.weights {
			scale(1-eta*t.WeightDecay, w)
		}
	}
	t.update()
	t.pass.learn()
	return loss, norm
}

// update lets the optimizer update the parameters.
func (t *trainer) update() {
	d := &t.descent
	if d.rule == nil && t.Optimizer != nil {
		t.Optimizer.Step(d.params, d.grad, d.eta)
		return
	}
	t.crew.update(d)
}

// descend is backward and update layer by layer, without memory for the whole
// gradient. It returns the gradient's norm, if that is asked for.
func (t *trainer) descend(norm bool) float64 {
	t.descent.norms = norm
	t.pass.backward()
	t.pass.learn()
	if !norm {
		return 0
	}
	return norm2(t.norms)
}

// learn lets batch norm follow the batch.
func (p *pass) learn() {
	for _, s := range p.norms {
		s.Layer.(BatchNorm).learn(s)
	}
}

// noteBest keeps the best epoch, and its parameters if they may be wanted.
func (t *trainer) noteBest(e *Epoch) {
	loss := t.watched(e)
	if t.history.Best >= 0 && !(loss < t.lowest) {
		return
	}
	t.history.Best, t.lowest = e.N, loss
	if t.Patience > 0 {
		t.net.snapshot(&t.best)
	}
}

// watched is the loss by which epochs are compared.
func (t *trainer) watched(e *Epoch) float64 {
	if t.validX.Data != nil {
		return e.ValidationLoss
	}
	return e.Loss
}

func (t *trainer) callOnEpoch(e *Epoch) (StopReason, error) {
	if t.OnEpoch == nil {
		return "", nil
	}
	err := t.OnEpoch(*e)
	t.began = time.Since(t.start)
	if errors.Is(err, ErrStop) {
		return StopOnEpoch, nil
	}
	if err != nil {
		return StopOnEpoch, fmt.Errorf("backprop: Train: OnEpoch failed after epoch %d: %w", e.N, err)
	}
	return "", nil
}

// done is the reason to end after an epoch, or "".
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

func (t *trainer) cancelled(n int, err error) error {
	t.history.Stopped = StopCancelled
	if !t.net.finite() {
		t.net.restore(t.finite)
	}
	err = fmt.Errorf("backprop: Train: cancelled in epoch %d: %w", n, err)
	return errors.Join(err, t.checkpoint.write(t, true))
}

func (t *trainer) diverged(n, b int) error {
	t.history.Stopped = StopDiverged
	t.net.restore(t.finite)
	if o, ok := t.Optimizer.(Stateful); ok {
		o.SetState(nil) // an empty state is always taken
	}
	return fmt.Errorf("backprop: Train: epoch %d, batch %d: %w; the network holds its last finite parameters; "+
		"try a smaller LearningRate, ClipNorm, Standardize or BatchNorm", n, b, ErrDiverged)
}

// An Optimizer updates the parameters. Step changes params, given the gradient
// of the same length and the learning rate η; it may change grad too. What it
// remembers between steps is kept in the value: handed to another training it
// goes on, a new one starts afresh.
//
// The formulas and defaults of the package's optimizers are PyTorch's. They are
// handed over as pointers, as &Adam{}, a zero field meaning its default. Their
// Step panics if params and grad differ in length, or have not the length of the
// steps before.
type Optimizer interface {
	Step(params, grad []float64, eta float64)
}

// A Stateful optimizer can be saved in the middle of a training and taken up
// again. State is a copy of what it remembers, empty before the first step;
// SetState takes it back, and starts afresh when it is empty.
type Stateful interface {
	State() []float64
	SetState(state []float64) error
}

// An update is a step of one of the package's optimizers, which can be made in
// parts: each parameter is updated by itself. So a large network needs no
// memory for its gradient: as soon as backward has a few rows of a layer's dW, while
// they are close to the processor, their weights are updated.
type update struct {
	rule         rule      // nil means gradient descent
	params, grad []float64 // grad is nil where rows are used up one after the other
	eta          float64

	// Of an update by rows only:
	l2, decay, clip float64   // as TrainConfig's L2, WeightDecay and ClipValue
	rows            []float64 // memory for as many rows as are computed at a time, for the layers with none to spare
	norms           bool      // whether the states are to keep the norms of their gradient's rows
}

// A rule is one of the package's optimizers.
type rule interface {
	Optimizer
	slices() int                                      // how many it remembers, each as long as the parameters
	remembered() *memory                              // its memory
	part(params, grad []float64, eta float64, at int) // updates the parameters from number at on
}

// begin begins a step.
func (u *update) begin(eta float64) {
	u.eta = eta
	if u.rule != nil {
		u.rule.remembered().count(u.params, u.params, u.rule.slices())
	}
}

// part updates the parameters from number at on by a part of the gradient.
func (u *update) part(at int, grad []float64) {
	params := u.params[at : at+len(grad)]
	if u.rule == nil {
		kernel.Axpy(-u.eta, grad, params) // θ ← θ − η·∂L/∂θ
	} else {
		u.rule.part(params, grad, u.eta, at)
	}
}

// newRows takes the memory for the rows of dW that are computed before their
// weights are updated, where a layer has not enough to spare: an eighth of the
// layer's or 64, so that it is little, but at least 32 KB and whole tiles of the
// product for each worker.
func (u *update) newRows(states []state, workers int) {
	most := 0
	for i := range states {
		s := &states[i]
		if _, ok := s.Layer.(Dense); ok {
			rows := max(min(64, s.rows/8), 1<<12/s.cols, 8*workers)
			size := min(rows, s.rows+7) * s.cols // a worker's share is at least eight rows, or what there are
			if len(s.spare) < size {
				most = max(most, size)
			}
		}
	}
	u.rows = make([]float64, most)
}

// weights computes rows lo to hi of dW = dZᵀ·X and updates these of W, with the
// i-th of so many shares of the memory, at most 128 rows at a time.
func (u *update) weights(s *state, dz, x *matrix, lo, hi, i, shares int) {
	// Where nobody else wants to see dW, it need not be anywhere.
	if u.rule == nil && !u.norms && u.l2 == 0 && u.decay == 0 && u.clip == 0 {
		w, dz := s.w.slice(lo, hi), dz.columns(lo, hi)
		if addMulTrans(&w, -u.eta, &dz, x) { // W ← W − η·dZᵀ·X
			return
		}
	}
	memory := u.rows
	if len(s.spare) > len(memory) {
		memory = s.spare // the more rows a product has, the faster it is
	}
	share := len(memory) / shares
	memory, step := memory[i*share:(i+1)*share], min(share/s.cols, 128)
	if step > 8 {
		step &^= 7 // whole tiles of the product
	}
	for ; lo < hi; lo += step {
		rows := min(step, hi-lo)
		dw, dz := matrixOf(memory, rows, s.cols), dz.columns(lo, lo+rows)
		mulTrans(&dw, &dz, x)
		at := s.offset + lo*s.cols
		w := u.params[at : at+len(dw.Data)]
		if u.l2 != 0 {
			kernel.Axpy(u.l2, w, dw.Data) // dW ← dW + λ·W
		}
		if u.norms {
			for r := range rows {
				s.norms[lo+r] = norm2(dw.row(r))
			}
		}
		clamp(dw.Data, u.clip)
		if u.decay != 0 {
			scale(1-u.eta*u.decay, w)
		}
		u.part(at, dw.Data)
	}
}

// rest updates what else a layer has: b, or γ and β.
func (u *update) rest(s *state) {
	if u.norms {
		s.norms[len(s.norms)-1] = norm2(s.others)
	}
	clamp(s.others, u.clip)
	u.part(s.offset+s.rows*s.cols+s.biases-len(s.others), s.others)
}

// clamp clamps each element to ±c; a c of 0 means no bound.
func clamp(x []float64, c float64) {
	if c == 0 {
		return
	}
	for i, v := range x {
		x[i] = max(-c, min(c, v))
	}
}

// step makes a whole step of a rule.
func step(r rule, params, grad []float64, eta float64) {
	r.remembered().count(params, grad, r.slices())
	r.part(params, grad, eta, 0)
}

// Momentum is gradient descent with momentum, v ← μ·v + g and θ ← θ − η·v, or
// with Nesterov's θ ← θ − η·(g + μ·v). v begins at 0, so the first step is
// that of gradient descent (Sutskever et al. 2013).
type Momentum struct {
	Mu       float64 // μ, in [0, 1); 0 means 0.9
	Nesterov bool    // step along g + μ·v in place of v
	memory
}

func (o *Momentum) check() error { return checkDecay("Momentum Mu", o.Mu) }

func (o *Momentum) slices() int { return 1 }

// Step updates params.
func (o *Momentum) Step(params, grad []float64, eta float64) { step(o, params, grad, eta) }

func (o *Momentum) part(params, grad []float64, eta float64, at int) {
	mu, v := cmp.Or(o.Mu, 0.9), o.values[at:]
	for i, g := range grad {
		v[i] = mu*v[i] + g
		if o.Nesterov {
			params[i] -= eta * (g + mu*v[i])
		} else {
			params[i] -= eta * v[i]
		}
	}
}

// AdaGrad divides by the root of the sum of all squared gradients: s ← s + g²
// and θ ← θ − η·g/(√s + ε) (Duchi et al. 2011).
type AdaGrad struct {
	Epsilon float64 // ε; 0 means 1e-10
	memory
}

func (o *AdaGrad) check() error { return checkEpsilon("AdaGrad Epsilon", o.Epsilon) }

func (o *AdaGrad) slices() int { return 1 }

// Step updates params.
func (o *AdaGrad) Step(params, grad []float64, eta float64) { step(o, params, grad, eta) }

func (o *AdaGrad) part(params, grad []float64, eta float64, at int) {
	epsilon, s := cmp.Or(o.Epsilon, 1e-10), o.values[at:]
	for i, g := range grad {
		s[i] += g * g
		params[i] -= eta * g / (math.Sqrt(s[i]) + epsilon)
	}
}

// RMSProp divides by the root of a running mean of squared gradients:
// v ← α·v + (1−α)·g² and θ ← θ − η·g/(√v + ε) (Hinton 2012). Centered, it
// subtracts the square of a running mean m of the gradients from v under the
// root. With momentum, the quotient q goes through b ← μ·b + q and
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
		checkEpsilon("RMSProp Epsilon", o.Epsilon))
}

func (o *RMSProp) slices() int { return 3 }

// Step updates params.
func (o *RMSProp) Step(params, grad []float64, eta float64) { step(o, params, grad, eta) }

func (o *RMSProp) part(params, grad []float64, eta float64, at int) {
	n := len(o.values) / 3
	v, m, b := o.values[at:n], o.values[n+at:2*n], o.values[2*n+at:]
	alpha, epsilon := cmp.Or(o.Alpha, 0.99), cmp.Or(o.Epsilon, 1e-8)
	for i, g := range grad {
		v[i] = alpha*v[i] + (1-alpha)*g*g
		square := v[i]
		if o.Centered {
			m[i] += (1 - alpha) * (g - m[i])
			square = max(0, v[i]-m[i]*m[i]) // a variance; rounding may take it below 0
		}
		b[i] = o.Momentum*b[i] + g/(math.Sqrt(square)+epsilon)
		params[i] -= eta * b[i]
	}
}

// Adam follows running means of the gradients and of their squares,
// m ← β₁·m + (1−β₁)·g and v ← β₂·v + (1−β₂)·g², and corrects both for their
// beginning at 0: in step t, θ ← θ − η·m̂/(√v̂ + ε) with m̂ = m/(1−β₁ᵗ) and
// v̂ = v/(1−β₂ᵗ) (Kingma and Ba 2015). With TrainConfig.WeightDecay it is AdamW
// (Loshchilov and Hutter 2019).
type Adam struct {
	Beta1   float64 // β₁, in [0, 1); 0 means 0.9
	Beta2   float64 // β₂, in [0, 1); 0 means 0.999
	Epsilon float64 // ε; 0 means 1e-8
	memory
}

func (o *Adam) check() error {
	return errors.Join(checkDecay("Adam Beta1", o.Beta1), checkDecay("Adam Beta2", o.Beta2),
		checkEpsilon("Adam Epsilon", o.Epsilon))
}

func (o *Adam) slices() int { return 2 }

// Step updates params.
func (o *Adam) Step(params, grad []float64, eta float64) { step(o, params, grad, eta) }

func (o *Adam) part(params, grad []float64, eta float64, at int) {
	n := len(o.values) / 2
	m, v := o.values[at:at+len(grad)], o.values[n+at:n+at+len(grad)]
	beta1, beta2, t := cmp.Or(o.Beta1, 0.9), cmp.Or(o.Beta2, 0.999), float64(o.steps)
	root := math.Sqrt(1 - math.Pow(beta2, t)) // taken out of the quotient: η·m̂/(√v̂ + ε) = η·m̂·root/(√v + ε·root)
	kernel.Adam(params, grad, m, v, kernel.AdamStep{
		Beta1: beta1, Beta2: beta2,
		Step:    eta * root / (1 - math.Pow(beta1, t)),
		Epsilon: cmp.Or(o.Epsilon, 1e-8) * root,
	})
}

// memory is what an optimizer remembers: its number of steps, and some
// slices as long as the parameters, one behind the other.
type memory struct {
	steps  int
	values []float64
}

func (m *memory) remembered() *memory { return m }

// count counts a step and, in the first one, makes the slices.
func (m *memory) count(params, grad []float64, slices int) {
	if len(params) != len(grad) {
		panic(fmt.Sprintf("backprop: Step: %d parameters and %d elements of the gradient", len(params), len(grad)))
	}
	if err := m.holds(len(params), slices); err != nil {
		panic("backprop: Step: " + err.Error())
	}
	if m.values == nil {
		m.values = make([]float64, slices*len(params))
	}
	m.steps++
}

// holds is the error of a memory that is neither empty nor that of n parameters.
func (m *memory) holds(n, count int) error {
	if len(m.values) != 0 && len(m.values) != count*n {
		return fmt.Errorf("the optimizer remembers %d values of another training, want %d for %d parameters",
			len(m.values), count*n, n)
	}
	return nil
}

// State is a copy of what the optimizer remembers, empty before the first step.
func (m *memory) State() []float64 {
	if m.values == nil {
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

func checkDecay(name string, v float64) error {
	if !(v >= 0 && v < 1) {
		return fmt.Errorf("%s is %v, want 0 to 1, 1 not included", name, v)
	}
	return nil
}

func checkEpsilon(name string, v float64) error {
	if !isFinite(v) || v < 0 {
		return fmt.Errorf("%s is %v, want a finite number above 0", name, v)
	}
	return nil
}

func checkMin(name string, v float64) error {
	if !isFinite(v) || v < 0 {
		return fmt.Errorf("%s is %v, want a finite number, 0 or more", name, v)
	}
	return nil
}

// A Schedule gives η of the next epoch, number len(history), from the
// configured learning rate and the epochs so far. It keeps nothing of its
// own, so that a training can be taken up at any epoch.
type Schedule interface {
	Rate(base float64, history []Epoch) float64
}

// ScheduleFunc makes a function a [Schedule].
type ScheduleFunc func(base float64, history []Epoch) float64

func (f ScheduleFunc) check() error {
	if f == nil {
		return errors.New("ScheduleFunc is nil, want a function")
	}
	return nil
}

// Rate calls f.
func (f ScheduleFunc) Rate(base float64, history []Epoch) float64 { return f(base, history) }

// StepDecay multiplies η by Factor after every Every epochs, as PyTorch's
// StepLR.
type StepDecay struct {
	Every  int     // 1 or more
	Factor float64 // above 0; 0 means 0.1
}

func (s StepDecay) check() error {
	return errors.Join(checkEpochs("StepDecay Every", s.Every), checkEpsilon("StepDecay Factor", s.Factor))
}

// Rate is base·Factor^⌊n/Every⌋ in epoch n.
func (s StepDecay) Rate(base float64, history []Epoch) float64 {
	return base * math.Pow(cmp.Or(s.Factor, 0.1), float64(len(history)/s.Every))
}

// ExponentialDecay multiplies η by Factor after every epoch, as PyTorch's
// ExponentialLR.
type ExponentialDecay struct {
	Factor float64 // above 0; 0 means 0.95
}

func (s ExponentialDecay) check() error { return checkEpsilon("ExponentialDecay Factor", s.Factor) }

// Rate is base·Factorⁿ in epoch n.
func (s ExponentialDecay) Rate(base float64, history []Epoch) float64 {
	return base * math.Pow(cmp.Or(s.Factor, 0.95), float64(len(history)))
}

// CosineDecay takes η along half a cosine from its base to Min in Epochs
// epochs, as PyTorch's CosineAnnealingLR, and leaves it there (Loshchilov and
// Hutter 2017).
type CosineDecay struct {
	Epochs int     // 1 or more
	Min    float64 // the lowest η; 0 or more
}

func (s CosineDecay) check() error {
	return errors.Join(checkEpochs("CosineDecay Epochs", s.Epochs), checkMin("CosineDecay Min", s.Min))
}

// Rate is Min + (base−Min)·(1 + cos(π·n/Epochs))/2 in epoch n.
func (s CosineDecay) Rate(base float64, history []Epoch) float64 {
	n := min(len(history), s.Epochs)
	return s.Min + (base-s.Min)*(1+math.Cos(math.Pi*float64(n)/float64(s.Epochs)))/2
}

// Warmup raises η linearly from Start·base in the first epoch to base after
// Epochs epochs, as PyTorch's LinearLR, and then follows Then, which sees the
// history from there on.
type Warmup struct {
	Epochs int      // 1 or more
	Start  float64  // in (0, 1]; 0 means 1/3
	Then   Schedule // nil means a constant η
}

func (s Warmup) check() error {
	errs := []error{checkEpochs("Warmup Epochs", s.Epochs), checkParameter(s.Then)}
	if !(s.Start >= 0 && s.Start <= 1) {
		errs = append(errs, fmt.Errorf("Warmup Start is %v, want 0 to 1", s.Start))
	}
	return errors.Join(errs...)
}

// Rate is base·(Start + (1−Start)·n/Epochs) in the first epochs n.
func (s Warmup) Rate(base float64, history []Epoch) float64 {
	n := len(history)
	if n < s.Epochs {
		start := cmp.Or(s.Start, 1.0/3)
		return base * (start + (1-start)*float64(n)/float64(s.Epochs))
	}
	if s.Then == nil {
		return base
	}
	return s.Then.Rate(base, history[s.Epochs:])
}

// ReduceOnPlateau multiplies η by Factor when the validation loss, or without
// validation the loss, has not fallen below (1−Threshold) times its lowest for
// more than Patience epochs. After each reduction Cooldown epochs do not count.
// A change below 1e-8 is not made. All this is as in PyTorch's
// ReduceLROnPlateau. Every epoch costs a walk through the history.
type ReduceOnPlateau struct {
	Factor    float64 // in (0, 1); 0 means 0.1
	Patience  int     // 0 means 10
	Threshold float64 // in [0, 1); 0 means 1e-4
	Cooldown  int     // epochs after a reduction; 0 means none
	Min       float64 // the lowest η; 0 or more
}

func (s ReduceOnPlateau) check() error {
	errs := []error{
		checkDecay("ReduceOnPlateau Factor", s.Factor), checkDecay("ReduceOnPlateau Threshold", s.Threshold),
		checkMin("ReduceOnPlateau Min", s.Min),
	}
	if s.Patience < 0 || s.Cooldown < 0 {
		errs = append(errs, fmt.Errorf("ReduceOnPlateau Patience is %d and Cooldown %d, want 0 or more", s.Patience, s.Cooldown))
	}
	return errors.Join(errs...)
}

// Rate goes through the history from its beginning.
func (s ReduceOnPlateau) Rate(base float64, history []Epoch) float64 {
	factor, patience := cmp.Or(s.Factor, 0.1), cmp.Or(s.Patience, 10)
	threshold := 1 - cmp.Or(s.Threshold, 1e-4)
	validated := slices.ContainsFunc(history, func(e Epoch) bool { return e.ValidationLoss != 0 })
	eta, best, bad, cooldown := base, math.Inf(1), 0, 0
	for _, e := range history {
		loss := e.Loss
		if validated {
			loss = e.ValidationLoss
		}
		if bad++; loss < best*threshold {
			best, bad = loss, 0
		}
		if cooldown > 0 {
			cooldown--
			bad = 0
		}
		if bad > patience {
			if lower := max(eta*factor, s.Min); eta-lower > 1e-8 {
				eta = lower
			}
			cooldown, bad = s.Cooldown, 0
		}
	}
	return eta
}

func checkEpochs(name string, n int) error {
	if n < 1 {
		return fmt.Errorf("%s is %d, want 1 or more", name, n)
	}
	return nil
}

// A checkpoint is what [TrainConfig.Checkpoint] keeps: all that a training was
// at the end of an epoch.
type checkpoint struct {
	fingerprint
	net       *Network // a copy
	optimizer []float64
	epochs    int
	stopped   StopReason
	pending   bool          // there is something to be written
	cost      time.Duration // of the last writing
	written   time.Time     // the end of the last writing
}

// A fingerprint tells trainings apart.
type fingerprint struct {
	Config  map[string]string `json:"config"`  // what decides where training leads, but for Epochs
	Data    string            `json:"data"`    // SHA-256 of all samples
	Initial string            `json:"initial"` // SHA-256 of the parameters at the beginning
}

type checkpointJSON struct {
	Fingerprint fingerprint `json:"fingerprint"`
	Stopped     StopReason  `json:"stopped,omitempty"`
	Best        int         `json:"best"`
}

// newCheckpoint describes the training that is about to begin.
func (t *trainer) newCheckpoint() *checkpoint {
	c := &checkpoint{}
	c.Config = map[string]string{
		"LearningRate": fmt.Sprint(t.LearningRate), "BatchSize": fmt.Sprint(t.BatchSize), "KeepOrder": fmt.Sprint(t.KeepOrder),
		"Loss": describe(t.Loss), "Optimizer": describe(t.Optimizer), "Schedule": describe(t.Schedule),
		"Seed": fmt.Sprint(t.Seed), "L2": fmt.Sprint(t.L2), "WeightDecay": fmt.Sprint(t.WeightDecay),
		"ClipNorm": fmt.Sprint(t.ClipNorm), "ClipValue": fmt.Sprint(t.ClipValue),
		"Patience": fmt.Sprint(t.Patience), "TargetLoss": fmt.Sprint(t.TargetLoss),
	}
	c.Data = digest(t.x, t.y, t.validX, t.validY)
	c.Initial = snapshot{t.net.params, t.net.statistics}.digest()
	return c
}

// digest is a fingerprint of parameters and statistics.
func (s snapshot) digest() string {
	return digest(matrixOf(s.params, 1, len(s.params)), matrixOf(s.statistics, 1, len(s.statistics)))
}

// describe is a value's type and exported fields, without addresses.
func describe(v any) string { return describeValue(reflect.ValueOf(v), 8) }

// describeValue goes no deeper than depth, since a value may lead to itself.
func describeValue(r reflect.Value, depth int) string {
	for ; depth > 0 && (r.Kind() == reflect.Pointer || r.Kind() == reflect.Interface); depth-- {
		r = r.Elem()
	}
	var parts []string
	switch k := r.Kind(); {
	case k == reflect.Invalid:
		return "none"
	case depth <= 0 || k == reflect.Func || k == reflect.Chan || k == reflect.Map || k == reflect.UnsafePointer:
		return r.Type().String()
	case k == reflect.Struct:
		for i := range r.NumField() {
			if f := r.Type().Field(i); f.IsExported() {
				parts = append(parts, f.Name+":"+describeValue(r.Field(i), depth-1))
			}
		}
	case k == reflect.Slice || k == reflect.Array:
		for i := range r.Len() {
			parts = append(parts, describeValue(r.Index(i), depth-1))
		}
	case r.Type().PkgPath() == "": // a plain number or string
		return fmt.Sprint(r)
	default:
		parts = append(parts, fmt.Sprint(r))
	}
	return r.Type().String() + "{" + strings.Join(parts, " ") + "}"
}

// capture copies what is to be written, if there is a checkpoint.
func (c *checkpoint) capture(t *trainer) {
	if c == nil {
		return
	}
	if c.net == nil {
		c.net = t.net.clone()
	}
	copy(c.net.params, t.net.params)
	copy(c.net.statistics, t.net.statistics)
	if o, ok := t.Optimizer.(Stateful); ok {
		c.optimizer = o.State()
	}
	c.epochs, c.stopped, c.pending = len(t.history.Epochs), t.history.Stopped, true
}

// leave notes between which parameters the training went.
func (c *checkpoint) leave(n *Network) {
	if c != nil {
		n.began, n.ended = c.Initial, snapshot{n.params, n.statistics}.digest()
	}
}

// checkpointShare is how many times longer than writing a checkpoint training
// goes on before the next one.
const checkpointShare = 20

// write writes what was captured last, now or if it is cheap.
func (c *checkpoint) write(t *trainer, now bool) error {
	if c == nil || !c.pending || !now && time.Since(c.written) < checkpointShare*c.cost {
		return nil
	}
	start := time.Now()
	file, err := c.file(t)
	if err == nil {
		err = file.Replace(t.Checkpoint)
	}
	if err != nil {
		return fmt.Errorf("backprop: Train: Checkpoint %s: %w", t.Checkpoint, err)
	}
	c.written, c.pending = time.Now(), false
	c.cost = c.written.Sub(start)
	return nil
}

// historyColumns is the number of figures kept of an epoch.
const historyColumns = 6

// file is the checkpoint as a file: that of its network, and more.
func (c *checkpoint) file(t *trainer) (*safetensors.File, error) {
	file, err := c.net.encode()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(checkpointJSON{c.fingerprint, c.stopped, t.history.Best})
	if err != nil {
		return nil, err
	}
	file.Metadata[checkpointKey] = string(text)
	var history []float64
	for _, e := range t.history.Epochs[:c.epochs] {
		history = append(history, float64(e.N), e.Loss, e.ValidationLoss, e.LearningRate, e.GradNorm, float64(e.Elapsed))
	}
	add := func(name string, data []float64, shape ...int) {
		file.Tensors = append(file.Tensors, safetensors.Tensor{Name: checkpointPrefix + name, Type: "F64", Shape: shape, Data: data})
	}
	add("history", history, c.epochs, historyColumns)
	add("optimizer", c.optimizer, len(c.optimizer))
	add("best_params", t.best.params, len(t.best.params))
	add("best_statistics", t.best.statistics, len(t.best.statistics))
	return file, nil
}

// resume takes up the training that the checkpoint's file keeps, if there is
// one and it is this one.
func (t *trainer) resume() error {
	if t.checkpoint == nil {
		return nil
	}
	f, err := os.Open(t.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	file, err := safetensors.Read(f)
	if err != nil {
		return err
	}
	kept, err := decodeNetwork(file)
	if err != nil {
		return err
	}
	var c checkpointJSON
	if err := strictJSON(file.Metadata[checkpointKey], &c); err != nil {
		return fmt.Errorf("%s: %w", checkpointKey, err)
	}
	return t.takeUp(file, kept, c)
}

// takeUp checks a checkpoint against this training and goes on from it.
func (t *trainer) takeUp(file *safetensors.File, kept *Network, c checkpointJSON) error {
	tensors := map[string][]float64{}
	for _, tensor := range file.Tensors {
		tensors[tensor.Name] = tensor.Data
	}
	best := snapshot{tensors[checkpointPrefix+"best_params"], tensors[checkpointPrefix+"best_statistics"]}
	if err := t.compare(kept, best, c.Fingerprint); err != nil {
		return err
	}
	history, err := decodeHistory(tensors[checkpointPrefix+"history"])
	if err != nil {
		return err
	}
	if len(history) > t.Epochs {
		return fmt.Errorf("it has %d epochs, Epochs is %d", len(history), t.Epochs)
	}
	if c.Best >= len(history) || c.Best < 0 && len(history) > 0 || t.Patience > 0 && len(history) > 0 && !best.fits(t.net) {
		return errors.New("its best epoch is damaged")
	}
	if o, ok := t.Optimizer.(Stateful); ok {
		if err := o.SetState(tensors[checkpointPrefix+"optimizer"]); err != nil {
			return err
		}
		if r, ok := t.Optimizer.(rule); ok {
			if err := r.remembered().holds(len(t.net.params), r.slices()); err != nil {
				return errors.Join(err, o.SetState(nil))
			}
		}
	}
	t.net.restore(snapshot{kept.params, kept.statistics})
	t.net.fitted = kept.fitted
	t.checkpoint.Initial = c.Fingerprint.Initial
	t.best = best
	t.history = History{Epochs: history, Best: c.Best, Stopped: c.Stopped}
	if c.Best >= 0 {
		t.lowest = t.watched(&history[c.Best])
	}
	if n := len(history); n > 0 && c.Stopped != StopOnEpoch {
		t.history.Stopped = t.done(&history[n-1]) // Epochs may have been raised
	}
	return nil
}

// compare is the error of a checkpoint that is not one of this training.
func (t *trainer) compare(kept *Network, best snapshot, f fingerprint) error {
	want, err := t.net.describe()
	if err != nil {
		return err
	}
	got, err := kept.describe()
	if err != nil {
		return err
	}
	if got.String() != want.String() {
		return fmt.Errorf("it belongs to another network, %v, want %v", got, want)
	}
	for _, name := range slices.Sorted(maps.Keys(t.checkpoint.Config)) {
		if got, want := f.Config[name], t.checkpoint.Config[name]; got != want {
			return fmt.Errorf("it belongs to another configuration: its %s is %q, want %q", name, got, want)
		}
	}
	if f.Data != t.checkpoint.Data {
		return errors.New("it belongs to other data")
	}
	// The network is as it was when that training began, or as that training
	// left it.
	switch t.checkpoint.Initial {
	case f.Initial, snapshot{kept.params, kept.statistics}.digest(), best.digest():
		return nil
	case t.net.ended: // in the middle of an epoch
		if t.net.began == f.Initial {
			return nil
		}
	}
	return errors.New("it belongs to a training that began with other parameters")
}

// fits tells whether a snapshot read from a file can be restored.
func (s snapshot) fits(n *Network) bool {
	return len(s.params) == len(n.params) && len(s.statistics) == len(n.statistics) &&
		kernel.Finite(s.params) && kernel.Finite(s.statistics)
}

func decodeHistory(figures []float64) ([]Epoch, error) {
	if len(figures)%historyColumns != 0 || !kernel.Finite(figures) {
		return nil, errors.New("its history is damaged")
	}
	var history []Epoch
	for r := range slices.Chunk(figures, historyColumns) {
		if r[0] != float64(len(history)) {
			return nil, errors.New("its history is damaged")
		}
		history = append(history, Epoch{len(history), r[1], r[2], r[3], r[4], time.Duration(r[5])})
	}
	return history, nil
}

// progress shows how a training goes. A nil progress shows nothing. What the
// writer says is not listened to: training is worth more than a line of it.
type progress struct {
	w        io.Writer
	live     bool // w is a terminal: one line is written over and over
	first    int  // the epoch that this training begins with
	epochs   int
	start    time.Time
	shown    time.Time // when the live line was last written
	last     string    // the last finished epoch
	finished bool
}

func newProgress(w io.Writer, first, epochs int) *progress {
	p := &progress{w: w, first: first, epochs: epochs, start: time.Now()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.live = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// barWidth is the width of the bar within the epoch.
const barWidth = 20

// batch shows, on a terminal and ten times a second, that batch b is done.
func (p *progress) batch(epoch, b, batches int, loss float64) {
	if p == nil || !p.live || time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	done := barWidth * (b + 1) / batches
	bar := strings.Repeat("█", done) + strings.Repeat("░", barWidth-done)
	left := p.left(float64(epoch) + float64(b+1)/float64(batches))
	p.show(fmt.Sprintf("epoch %d/%d %s loss %.4g, %v left", epoch+1, p.epochs, bar, loss, left))
}

// epoch shows a finished epoch: on a terminal over the live line, elsewhere if
// it is one of some twenty, or the last.
func (p *progress) epoch(e Epoch, validated bool) {
	if p == nil {
		return
	}
	p.last = fmt.Sprintf("epoch %d/%d loss %.4g", e.N+1, p.epochs, e.Loss)
	if validated {
		p.last += fmt.Sprintf(", validation loss %.4g", e.ValidationLoss)
	}
	p.last += fmt.Sprintf(", η %.3g, ", e.LearningRate)
	if e.N == p.epochs-1 {
		p.last += fmt.Sprintf("%v in all", rounded(time.Since(p.start)))
	} else {
		p.last += fmt.Sprintf("%v left", p.left(float64(e.N+1)))
	}
	every := max(1, p.epochs/20)
	p.finished = e.N%every == every-1 || e.N == p.epochs-1
	switch {
	case !p.live && p.finished:
		fmt.Fprintln(p.w, p.last)
	case p.live && time.Since(p.shown) >= 100*time.Millisecond:
		p.show(p.last)
	}
}

// end leaves the last epoch to be read.
func (p *progress) end() {
	switch {
	case p == nil || p.last == "":
	case p.live:
		p.show(p.last)
		fmt.Fprintln(p.w)
	case !p.finished:
		fmt.Fprintln(p.w, p.last)
	}
}

// show writes over the live line.
func (p *progress) show(line string) {
	p.shown = time.Now()
	fmt.Fprintf(p.w, "\r%s\x1b[K", line)
}

// left estimates the time left when so many epochs are done.
func (p *progress) left(done float64) time.Duration {
	elapsed := time.Since(p.start)
	return rounded(time.Duration(float64(elapsed) * (float64(p.epochs) - done) / (done - float64(p.first))))
}

func rounded(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
