package backprop

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// A Layer is a [Dense], a [BatchNorm], a [Dropout] or a [Standardize].
type Layer interface {
	// fit checks the layer and says what it needs in a place with in inputs.
	fit(in int) (plan, error)
	// init draws the parameters and resets the statistics.
	init(l *slot, rng *rand.Rand)
	// forward computes s.a from s.x.
	forward(s *state)
	// backward computes s.dw, s.db and s.dx from s.da, after forward.
	backward(s *state)
}

// A plan is what a layer needs.
type plan struct {
	out        int        // units
	activation Activation // nil counts as Identity
	rows, cols int        // shape of the weights; 0×0 for none
	biases     int
	statistics int // means, and as many variances
}

// A slot is a layer in its place in a network, with views into the network's
// flat memory.
type slot struct {
	Layer
	plan
	in, offset     int       // inputs, and where w begins in the parameters; b follows
	rowwise        bool      // the activation works on one row at a time
	w              matrix    // out×in, or 1×out for batch norm's γ
	b              []float64 // out; batch norm's β
	mean, variance []float64 // what batch norm and standardization have learnt
}

// A state is what one layer holds and sees during one pass over a batch of N
// samples. It belongs to the pass, not to the layer.
type state struct {
	*slot
	*crew // who computes the products

	x    matrix    // N×in, the layer's input: the a before it
	z    matrix    // N×out
	a    matrix    // N×out; z's memory where f is Identity or ReLU
	da   matrix    // N×out: ∂L/∂a, turned into ∂L/∂z in place
	dx   matrix    // N×in: the da before it; empty where nobody needs it
	dw   matrix    // as w
	db   []float64 // as b
	dzIn bool      // the loss has put ∂L/∂z into da already

	// In a training that uses the gradient up by rows:
	descent *update   // what updates W, by rows of dW; nil where dW is kept
	others  []float64 // what else the gradient has: db, or dγ and dβ
	norms   []float64 // of dW's rows, and last of the others
	spare   []float64 // the memory of a dx that nobody needs

	training                   bool       // use the batch's own statistics
	xhat                       matrix     // N×out: batch norm's normalized input
	batchMean, batchVar, scale []float64  // out: batch norm's statistics and 1/√(σ²+ε)
	idle                       bool       // a dropout that passes x on, in inference
	mask                       matrix     // N×out: dropout's factors
	rng                        *rand.Rand // dropout's source; nil leaves it inactive
}

// activate computes A = f(Z).
func (s *state) activate() {
	if s.activation == Identity {
		return
	}
	if f, ok := s.activation.(softmax); ok {
		f.forwardRows(s.a.Data, s.z.Data, s.out)
		return
	}
	if !s.rowwise {
		s.activation.Forward(s.a.Data, s.z.Data)
		return
	}
	for i := range s.z.Rows {
		s.activation.Forward(s.a.row(i), s.z.row(i))
	}
}

// chain computes dZ = dA ⊙ f′(Z), in place.
func (s *state) chain() (dz *matrix) {
	dz = &s.da
	if s.dzIn || s.activation == Identity {
		return dz
	}
	if !s.rowwise {
		s.activation.Backward(dz.Data, s.da.Data, s.z.Data, s.a.Data)
		return dz
	}
	for i := range dz.Rows {
		s.activation.Backward(dz.row(i), s.da.row(i), s.z.row(i), s.a.row(i))
	}
	return dz
}

// mulTrans computes dW = dZᵀ·X. Where W is updated by rows it does that, too.
func (s *state) mulTrans(dw, dz, x *matrix) {
	if s.descent != nil {
		s.crew.descend(s.descent, s, dz, x)
		return
	}
	s.crew.mulTrans(dw, dz, x)
}

// Dense is a fully connected layer: z = W·x + b and a = f(z), with W of shape
// Units×inputs and b of Units elements.
type Dense struct {
	Units      int         // 1 or more
	Activation Activation  // f; nil means Identity
	Init       Initializer // how W is drawn; 0 means what suits the activation
	NoBias     bool        // leave b out, as before a BatchNorm
}

func (d Dense) fit(in int) (plan, error) {
	p := plan{out: d.Units, activation: d.Activation, rows: d.Units, cols: in, biases: d.Units}
	if d.NoBias {
		p.biases = 0
	}
	if d.Init > Orthogonal {
		return p, fmt.Errorf("Dense Init is %v, want one of the package's initializers", d.Init)
	}
	return p, nil
}

func (d Dense) init(l *slot, rng *rand.Rand) {
	cmp.Or(d.Init, defaultInit(l.activation)).fill(l.w, rng)
	clear(l.b)
}

func (d Dense) forward(s *state) {
	s.affine(&s.z, &s.x, &s.w, s.b) // Z = X·Wᵀ + 1·bᵀ
	s.activate()                    // A = f(Z)
}

func (d Dense) backward(s *state) {
	dz := s.chain() // dZ = dA ⊙ f′(Z)
	if s.dx.Data != nil {
		s.mul(&s.dx, dz, &s.w) // dX = dZ·W; first, since an update by rows changes W with dW
	}
	s.mulTrans(&s.dw, dz, &s.x) // dW = dZᵀ·X
	if s.db != nil {
		sumRows(s.db, dz) // db = dZᵀ·1
	}
}

// BatchNorm normalizes each input over the batch, x̂ = (x−μ)/√(σ²+ε), and
// computes z = γ·x̂ + β and a = f(z) (Ioffe and Szegedy 2015). It has as many
// outputs as inputs, and a γ, from 1, and a β, from 0, for each. While it trains,
// μ and σ² are the batch's own mean and biased variance, and the running ones
// follow them: running ← (1−Momentum)·running + Momentum·batch, with the
// unbiased variance, as in PyTorch. In inference the running ones are used.
// Training takes batches of two samples or more.
type BatchNorm struct {
	Activation Activation // f; nil means Identity
	Momentum   float64    // in (0, 1]; 0 means 0.1
	Epsilon    float64    // ε, above 0; 0 means 1e-5
}

func (b BatchNorm) fit(in int) (plan, error) {
	p := plan{out: in, activation: b.Activation, rows: 1, cols: in, biases: in, statistics: in}
	if !(b.Momentum >= 0 && b.Momentum <= 1) {
		return p, fmt.Errorf("BatchNorm Momentum is %v, want 0 to 1", b.Momentum)
	}
	if !(b.Epsilon >= 0) || math.IsInf(b.Epsilon, 1) {
		return p, fmt.Errorf("BatchNorm Epsilon is %v, want a finite number above 0", b.Epsilon)
	}
	return p, nil
}

func (b BatchNorm) init(l *slot, _ *rand.Rand) {
	fill(l.w.Data, 1)
	clear(l.b)
	clear(l.mean)
	fill(l.variance, 1)
}

func (b BatchNorm) forward(s *state) {
	mean, variance := s.mean, s.variance
	if s.training {
		mean, variance = s.batchMean, s.batchVar
		columnMoments(mean, variance, s.x)
	}
	for j, v := range variance {
		s.scale[j] = 1 / math.Sqrt(v+cmp.Or(b.Epsilon, 1e-5))
	}
	gamma, beta := s.w.Data, s.b
	for i := range s.x.Rows {
		x, xhat, z := s.x.row(i), s.xhat.row(i), s.z.row(i)
		for j, v := range x {
			xhat[j] = (v - mean[j]) * s.scale[j]
			z[j] = gamma[j]*xhat[j] + beta[j]
		}
	}
	s.activate()
}

func (b BatchNorm) backward(s *state) {
	dz, gamma := s.chain(), s.w.Data
	dgamma, dbeta := s.dw.Data, s.db
	clear(dgamma)
	sumRows(dbeta, dz) // dβ = dZᵀ·1
	for i := range dz.Rows {
		xhat := s.xhat.row(i)
		for j, v := range dz.row(i) {
			dgamma[j] += v * xhat[j] // dγ = (dZ ⊙ X̂)ᵀ·1
		}
	}
	if s.dx.Data == nil {
		return
	}
	// μ and σ² are functions of the batch too, so that
	// dx = γ/√(σ²+ε) · (dz − mean(dz) − x̂·mean(dz ⊙ x̂)).
	n := float64(dz.Rows)
	for i := range dz.Rows {
		dx, xhat := s.dx.row(i), s.xhat.row(i)
		for j, v := range dz.row(i) {
			dx[j] = gamma[j] * s.scale[j] * (v - dbeta[j]/n - xhat[j]*dgamma[j]/n)
		}
	}
}

// learn moves the running statistics towards those of the last batch.
func (b BatchNorm) learn(s *state) {
	m, n := cmp.Or(b.Momentum, 0.1), float64(s.x.Rows)
	for j := range s.mean {
		s.mean[j] = (1-m)*s.mean[j] + m*s.batchMean[j]
		s.variance[j] = (1-m)*s.variance[j] + m*s.batchVar[j]*n/(n-1)
	}
}

// Dropout sets each of its inputs to zero with probability Rate while
// training and divides the others by 1−Rate; in inference it passes them as
// they are (inverted dropout; Srivastava et al. 2014).
type Dropout struct {
	Rate float64 // in (0, 1); 0 means 0.5
}

func (d Dropout) fit(in int) (plan, error) {
	if !(d.Rate >= 0 && d.Rate < 1) {
		return plan{}, fmt.Errorf("Dropout Rate is %v, want 0 to 1, 1 not included", d.Rate)
	}
	return plan{out: in}, nil
}

func (d Dropout) init(*slot, *rand.Rand) {}

func (d Dropout) forward(s *state) {
	for i := range s.x.Rows {
		copy(s.a.row(i), s.x.row(i))
	}
	if s.rng == nil {
		return
	}
	rate := cmp.Or(d.Rate, 0.5)
	for i := range s.mask.Data {
		s.mask.Data[i] = 0
		if s.rng.Float64() >= rate {
			s.mask.Data[i] = 1 / (1 - rate)
		}
		s.a.Data[i] *= s.mask.Data[i] // a = x ⊙ mask
	}
}

func (d Dropout) backward(s *state) {
	if s.dx.Data == nil {
		return
	}
	copy(s.dx.Data, s.da.Data)
	if s.rng == nil {
		return
	}
	for i, m := range s.mask.Data {
		s.dx.Data[i] *= m // dx = da ⊙ mask
	}
}

// Standardize brings each input to mean 0 and variance 1, a = (x−μ)/σ. It
// stands first in a network. μ and the population variance σ² are learnt from
// the training data when [Network.Train] first starts, and saved with the
// network, so that the network takes raw data; until then a = x. A column of
// equal values gets variance 1, so it passes as zero.
type Standardize struct{}

func (Standardize) fit(in int) (plan, error) { return plan{out: in, statistics: in}, nil }

func (Standardize) init(l *slot, _ *rand.Rand) {
	clear(l.mean)
	fill(l.variance, 1)
}

func (Standardize) forward(s *state) {
	for i := range s.x.Rows {
		a := s.a.row(i)
		for j, v := range s.x.row(i) {
			a[j] = (v - s.mean[j]) / math.Sqrt(s.variance[j])
		}
	}
}

// Nothing before it has a parameter, so there is nothing to compute.
func (Standardize) backward(*state) {}

// smallestNormal is the smallest float64 with all its digits.
const smallestNormal = 0x1p-1022

// learn computes the statistics of the training data.
func (Standardize) learn(l *slot, x matrix) error {
	mean, variance := make([]float64, l.out), make([]float64, l.out)
	columnMoments(mean, variance, x)
	for j := range mean {
		if !isFinite(mean[j]) || !isFinite(variance[j]) {
			return fmt.Errorf("column %d of x is too large to standardize: its variance is not finite", j)
		}
		if c := x.column(j); slices.Min(c) == slices.Max(c) {
			mean[j], variance[j] = c[0], 1
		} else if variance[j] < smallestNormal {
			return fmt.Errorf("column %d of x is too small to standardize: its variance underflows", j)
		}
	}
	copy(l.mean, mean)
	copy(l.variance, variance)
	return nil
}

// An Initializer says how a dense layer's weights are drawn. Biases begin at
// zero. Fan-in is the layer's number of inputs, fan-out its number of units.
type Initializer uint8

// The initializers. The zero value stands for HeNormal before ReLU,
// LeakyReLU, ELU, GELU and SiLU, for LeCunNormal before SELU, and for
// GlorotUniform before everything else.
const (
	_ Initializer = iota

	// GlorotUniform is uniform within ±√(6/(fan-in + fan-out)) (Glorot and
	// Bengio 2010).
	GlorotUniform

	// GlorotNormal is normal with variance 2/(fan-in + fan-out).
	GlorotNormal

	// HeUniform is uniform within ±√(6/fan-in) (He et al. 2015).
	HeUniform

	// HeNormal is normal with variance 2/fan-in.
	HeNormal

	// LeCunNormal is normal with variance 1/fan-in (LeCun et al. 1998).
	LeCunNormal

	// Orthogonal draws a matrix with orthonormal rows or columns, whichever are
	// fewer, uniformly from all of them (Saxe et al. 2014). Square ones keep
	// the length of what passes through, which is what deep networks need.
	Orthogonal
)

var initializerNames = [...]string{
	"Default", "GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LeCunNormal", "Orthogonal",
}

// String is the initializer's name.
func (i Initializer) String() string {
	if int(i) < len(initializerNames) {
		return initializerNames[i]
	}
	return fmt.Sprintf("Initializer(%d)", uint8(i))
}

func defaultInit(f Activation) Initializer {
	switch f.(type) {
	case relu, LeakyReLU, ELU, gelu, silu:
		return HeNormal
	case selu:
		return LeCunNormal
	}
	return GlorotUniform
}

// fill draws w, out×in.
func (i Initializer) fill(w matrix, rng *rand.Rand) {
	in, out := float64(w.Cols), float64(w.Rows)
	switch i {
	case GlorotUniform:
		uniform(w, math.Sqrt(6/(in+out)), rng)
	case GlorotNormal:
		normal(w, math.Sqrt(2/(in+out)), rng)
	case HeUniform:
		uniform(w, math.Sqrt(6/in), rng)
	case HeNormal:
		normal(w, math.Sqrt(2/in), rng)
	case LeCunNormal:
		normal(w, math.Sqrt(1/in), rng)
	case Orthogonal:
		orthogonal(w, rng)
	}
}

func uniform(w matrix, limit float64, rng *rand.Rand) {
	for i := range w.Data {
		w.Data[i] = (2*rng.Float64() - 1) * limit
	}
}

func normal(w matrix, deviation float64, rng *rand.Rand) {
	for i := range w.Data {
		w.Data[i] = rng.NormFloat64() * deviation
	}
}

// orthogonal takes Q of a normal matrix's QR factorization with a positive
// diagonal of R, without which Q is not uniform (Mezzadri 2007).
func orthogonal(w matrix, rng *rand.Rand) {
	if w.Rows >= w.Cols {
		normal(w, 1, rng)
		orthonormalize(w)
		return
	}
	t := newMatrix(w.Cols, w.Rows)
	normal(t, 1, rng)
	orthonormalize(t)
	for i := range w.Rows {
		copy(w.row(i), t.column(i))
	}
}

func fill(s []float64, v float64) {
	for i := range s {
		s[i] = v
	}
}
