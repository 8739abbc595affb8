package backprop

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"example.com/backprop/internal/crew"
	"example.com/backprop/internal/dataset"
	"example.com/backprop/internal/draw"
	"example.com/backprop/internal/guard"
	"example.com/backprop/internal/kernel"
	"example.com/backprop/internal/modelfile"
	"gonum.org/v1/gonum/mat"
)

// A Layer is a part of a network: a [Dense], a [BatchNorm], a [Dropout], a [Standardize], an
// [Unstandardize], an [Activate], a [Sequential] of layers, or one of the caller's own. It is a
// plain value of options and keeps nothing: parameters and statistics belong to the network, the
// values of a batch to a [Stage]. Once a network is made of it, it must not be changed, nor must the
// layers within a Sequential. Its methods may be called from several goroutines at once.
//
// A whole one, which trains, is checked by [Network.CheckGradient] and, once registered with
// [RegisterLayer], saved with its exported fields like those of the package:
//
//	// Scale multiplies each input by a weight of its own, which begins as Start.
//	type Scale struct{ Start float64 }
//
//	func (l Scale) Shape(inputs int) (backprop.Shape, error) {
//		weight := backprop.Tensor{Name: "weight", Shape: []int{inputs}}
//		return backprop.Shape{Outputs: inputs, Params: []backprop.Tensor{weight}}, nil
//	}
//
//	func (l Scale) Reset(at backprop.Place) {
//		for j := range at.Inputs {
//			at.Params[0].Set(0, j, l.Start)
//		}
//	}
//
//	func (l Scale) Stage(at backprop.Place) backprop.Stage {
//		s := &scaling{Place: at, dw: make([]float64, at.Inputs)}
//		if s.Grads != nil {
//			s.dw = s.Grads[0].RawRowView(0)
//		}
//		return s
//	}
//
//	type scaling struct {
//		backprop.Place
//		dw []float64
//		x  *mat.Dense
//		a  mat.Dense
//	}
//
//	func (s *scaling) Forward(x *mat.Dense) *mat.Dense {
//		rows, cols := x.Dims()
//		s.x = x
//		a, w := backprop.Resize(&s.a, rows, cols), s.Params[0].RawRowView(0)
//		for i := range rows {
//			for j, v := range x.RawRowView(i) {
//				a.Set(i, j, w[j]*v) // a = w ⊙ x
//			}
//		}
//		return a
//	}
//
//	func (s *scaling) Backward(da *mat.Dense) *mat.Dense {
//		w := s.Params[0].RawRowView(0)
//		clear(s.dw)
//		for i := range da.RawMatrix().Rows {
//			dx := da.RawRowView(i) // in place
//			for j, v := range dx {
//				s.dw[j] += v * s.x.At(i, j) // dw = Σ da ⊙ x
//				dx[j] = v * w[j]            // dx = da ⊙ w
//			}
//		}
//		if !s.NeedDX {
//			return nil
//		}
//		return da
//	}
type Layer interface {
	// Shape says what the layer needs in a place with so many inputs, or why it cannot stand there.
	Shape(inputs int) (Shape, error)

	// Reset gives the parameters and the statistics in a place the values with which they begin,
	// drawing from its Rand. Rows and Grads are none there.
	Reset(at Place)

	// Stage makes what computes the layer in a place.
	Stage(at Place) Stage
}

// A Stage computes a layer, batch by batch. It belongs to one pass and is used by one goroutine at
// a time, so it may keep what it likes between its calls. Once made it should allocate nothing. No
// matrix that it is given has gaps between its rows, and none that it returns may have; [Resize]
// makes such.
type Stage interface {
	// Forward returns the outputs, N×outputs, for the inputs x, N×inputs, with an N from 1 to
	// Place.Rows. x must not be changed and stays as it is until Backward has returned. What
	// Forward returns is the stage's own, valid until its next Forward.
	Forward(x *mat.Dense) (a *mat.Dense)

	// Backward takes the derivative of the loss by the outputs of the last Forward and returns that
	// by its inputs, N×inputs, or nil unless Place.NeedDX. It stores (does not add) the derivatives
	// by the parameters in Place.Grads, unless these are nil, and moves the statistics if
	// Place.Training. da may be used up: changed, and even returned as dx.
	Backward(da *mat.Dense) (dx *mat.Dense)
}

// A Shape is what a layer gives and needs.
type Shape struct {
	Outputs    int      // 1 or more
	Params     []Tensor // what training changes, in the order of Network.Params
	Statistics []Tensor // what the layer learns of its inputs otherwise
	MinRows    int      // the fewest samples of a batch in training; 0 means 1

	// Activation is the one that the layer ends with, if it does. It decides which loss is the
	// network's default, and counts as a module of its own in the names of tensors in files, as in
	// PyTorch's nn.Sequential. nil means Identity.
	Activation Activation

	mustBeFirst, mustBeLast, mustNotBeLast bool
	modules                                int // in files; 0 means 1, or 2 with an Activation
}

// A Tensor is a parameter or a statistic, by its name and its shape in files. As a matrix it has
// Shape[0] rows, or a single one if Shape has one element. L2 and WeightDecay act on parameters
// whose Shape has two elements or more. [Network.Weights], Biases and Statistics find the names
// "weight", "bias", "running_mean" and "running_var".
type Tensor struct {
	Name  string
	Shape []int

	least  *float64 // the least that an element may be; nil means any
	learnt bool     // by a learner
}

// A Place is where a layer works.
type Place struct {
	Inputs     int          // columns of x
	Rows       int          // the most rows of x
	Params     []*mat.Dense // views of the network's parameters, in the order of Shape
	Grads      []*mat.Dense // where Backward stores their derivatives; nil where nobody asks
	Statistics []*mat.Dense // views of the statistics
	Training   bool         // use the batch's own statistics, and let Backward move those learnt
	NeedDX     bool         // Backward is to return dx
	Rand       *rand.Rand   // the source of chance, for one goroutine at a time; nil for none
	crew       *crew.Crew   // who shares large operations
	frozen     []int        // layers of the network that training leaves as they are
	turns      *turns       // the memory of an inference; nil where each stage has its own
}

// Dense is a fully connected layer: z = W·x + b and a = f(z), with W of shape Units×inputs and b of
// Units elements.
type Dense struct {
	Units      int         // 1 or more
	Activation Activation  // f; nil means Identity
	Init       Initializer // how W is drawn; 0 means what suits the activation
	NoBias     bool        // leave b out, as before a BatchNorm
}

// String is the layer in a network's table, as "Dense Tanh".
func (d Dense) String() string {
	if d.NoBias {
		return withActivation("Dense", d.Activation) + " without bias"
	}
	return withActivation("Dense", d.Activation)
}

// Shape is Units outputs, a weight and a bias.
func (d Dense) Shape(inputs int) (Shape, error) {
	s := Shape{
		Outputs:    d.Units,
		Activation: d.Activation,
		Params:     []Tensor{{Name: "weight", Shape: []int{d.Units, inputs}}},
	}
	if !d.NoBias {
		s.Params = append(s.Params, Tensor{Name: "bias", Shape: []int{d.Units}})
	}
	return s, errors.Join(
		check(d.Units >= 1 && d.Units <= maxSize, "Dense Units", d.Units, "1 to 1073741824"),
		check(d.Init <= Orthogonal, "Dense Init", d.Init, "one of the package's initializers"))
}

// Reset draws W and makes b 0.
func (d Dense) Reset(at Place) {
	cmp.Or(d.Init, defaultInit(d.Activation)).draw(viewOf(at.Params[0]), at.Rand)
	if !d.NoBias {
		at.Params[1].Zero()
	}
}

// Stage computes Z = X·Wᵀ + 1·bᵀ, and A = f(Z) in a stage behind it.
func (d Dense) Stage(at Place) Stage {
	s := &affineStage{Crew: at.crew, w: viewOf(at.Params[0]), z: at.buffer(d.Units)}
	if !d.NoBias {
		s.b = dataOf(at.Params[1])
	}
	if at.Grads != nil {
		s.dw = viewOf(at.Grads[0])
		if !d.NoBias {
			s.db = dataOf(at.Grads[1])
		}
	}
	if at.NeedDX {
		s.dx = at.buffer(at.Inputs)
	}
	return activated(at, s, s.z, d.Activation)
}

type affineStage struct {
	*crew.Crew           // who computes the products
	w, dw      matrix    // out×in; dw is empty where nobody asks
	b, db      []float64 // out
	x          matrix    // N×in
	z          *buffer   // N×out
	dx         *buffer   // N×in; nil where nobody asks
}

func (s *affineStage) Forward(x *mat.Dense) *mat.Dense {
	s.x = viewOf(x)
	s.z.resize(s.x.Rows)
	s.Affine(&s.z.matrix, &s.x, &s.w, s.b) // Z = X·Wᵀ + 1·bᵀ
	return &s.z.dense
}

func (s *affineStage) Backward(da *mat.Dense) *mat.Dense {
	dz := viewOf(da)
	if s.dw.Data != nil {
		s.MulTN(&s.dw, &dz, &s.x) // dW = dZᵀ·X
	}
	if s.db != nil {
		kernel.SumRows(s.db, &dz) // db = dZᵀ·1
	}
	if s.dx == nil {
		return nil
	}
	s.dx.resize(dz.Rows)
	s.MulNN(&s.dx.matrix, &dz, &s.w) // dX = dZ·W
	return &s.dx.dense
}

// activated is s, whose result is z, with f behind it.
func activated(at Place, s Stage, z *buffer, f Activation) Stage {
	if f == nil || f == Identity {
		return s
	}
	a := z // in place where a tells what f′(z) is: behind ReLU a > 0 where z > 0
	if f != ReLU {
		a = at.buffer(z.Cols)
	}
	return chain{s, &activationStage{f: f, elementwise: at.crew.Elementwise(elementwise(f)), a: a}}
}

type activationStage struct {
	f           Activation
	elementwise crew.Function // f, if it can take any part of a batch in one call
	z           matrix
	a           *buffer // N×out
}

// Forward computes A = f(Z).
func (s *activationStage) Forward(z *mat.Dense) *mat.Dense {
	s.z = viewOf(z)
	s.a.resize(s.z.Rows)
	if s.elementwise != nil {
		s.elementwise.Forward(s.a.Data, s.z.Data)
	} else if s.f == Softmax {
		kernel.Softmax(s.a.Data, s.z.Data, s.z.Cols)
	} else {
		for i := range s.z.Rows {
			s.f.Forward(s.a.Row(i), s.z.Row(i))
		}
	}
	return &s.a.dense
}

// Backward computes dZ = dA ⊙ f′(Z), in place.
func (s *activationStage) Backward(da *mat.Dense) *mat.Dense {
	dz := viewOf(da)
	if s.elementwise != nil {
		s.elementwise.Backward(dz.Data, dz.Data, s.z.Data, s.a.Data)
		return da
	}
	for i := range dz.Rows {
		s.f.Backward(dz.Row(i), dz.Row(i), s.z.Row(i), s.a.Row(i))
	}
	return da
}

func withActivation(name string, f Activation) string {
	if f == nil || f == Identity {
		return name
	}
	return name + " " + f.String()
}

// BatchNorm normalizes each input over the batch, x̂ = (x−μ)/√(σ²+ε), and computes z = γ·x̂ + β and
// a = f(z) (Ioffe and Szegedy 2015). It has as many outputs as inputs, and a γ, from 1, and a β,
// from 0, for each. While it trains, μ and σ² are the batch's own mean and biased variance, and the
// running ones follow them: running ← (1−Momentum)·running + Momentum·batch, with the unbiased
// variance, as in PyTorch. In inference the running ones are used. Training takes batches of two
// samples or more.
type BatchNorm struct {
	Activation Activation // f; nil means Identity
	Momentum   float64    // in (0, 1]; 0 means 0.1
	Epsilon    float64    // ε, above 0; 0 means 1e-5
}

// String is the layer in a network's table, as "BatchNorm ReLU".
func (b BatchNorm) String() string { return withActivation("BatchNorm", b.Activation) }

// Shape is that of the inputs, γ and β, and the running mean and variance.
func (b BatchNorm) Shape(inputs int) (Shape, error) {
	s := Shape{
		Outputs:    inputs,
		Activation: b.Activation,
		Params:     []Tensor{{Name: "weight", Shape: []int{inputs}}, {Name: "bias", Shape: []int{inputs}}},
		Statistics: moments(inputs, 0),
		MinRows:    2,
	}
	return s, errors.Join(
		check(b.Momentum >= 0 && b.Momentum <= 1, "BatchNorm Momentum", b.Momentum, "0 to 1"),
		checkPositive("BatchNorm Epsilon", b.Epsilon))
}

// Reset makes γ and the running variance 1, β and the running mean 0.
func (b BatchNorm) Reset(at Place) {
	fill(dataOf(at.Params[0]), 1)
	at.Params[1].Zero()
	resetMoments(at, 0)
}

// Stage computes Z = γ ⊙ X̂ + β, and A = f(Z) in a stage behind it.
func (b BatchNorm) Stage(at Place) Stage {
	s := &batchNormStage{
		Place: at, momentum: cmp.Or(b.Momentum, 0.1), epsilon: cmp.Or(b.Epsilon, 1e-5),
		gamma: dataOf(at.Params[0]), beta: dataOf(at.Params[1]),
		mean: dataOf(at.Statistics[0]), variance: dataOf(at.Statistics[1]),
		z: at.buffer(at.Inputs), zero: make([]float64, at.Inputs),
	}
	for _, of := range []*[]float64{&s.mu, &s.sigma2, &s.scale, &s.gain, &s.offset, &s.trend, &s.row, &s.dgamma, &s.dbeta} {
		*of = make([]float64, at.Inputs)
	}
	if !at.Training {
		s.mu, s.sigma2 = s.mean, s.variance
	}
	s.forward, s.backward = s.columnsForward, s.columnsBackward
	if at.Grads != nil {
		s.dgamma, s.dbeta = dataOf(at.Grads[0]), dataOf(at.Grads[1])
	}
	return activated(at, s, s.z, b.Activation)
}

type batchNormStage struct {
	Place
	momentum, epsilon          float64
	gamma, beta, dgamma, dbeta []float64 // out
	mean, variance             []float64 // out: the running ones
	mu, sigma2                 []float64 // out: those in use, the batch's own or the running ones
	scale, gain                []float64 // out: 1/√(σ²+ε), and γ times that
	x, dz                      matrix    // N×out
	z                          *buffer   // N×out
	offset, trend, row, zero   []float64 // out: mean(dz), mean(dz ⊙ x̂)/√(σ²+ε), Backward's own, 0
	forward, backward          crew.Func
}

func (s *batchNormStage) Forward(in *mat.Dense) *mat.Dense {
	s.x = viewOf(in)
	s.x.Check(s.x.Rows, s.Inputs)
	s.z.resize(s.x.Rows)
	s.crew.ShareColumns(s.forward, &s.z.matrix)
	return &s.z.dense
}

// columnsForward computes columns lo to hi of Z.
func (s *batchNormStage) columnsForward(lo, hi int) {
	x, z, mu, sigma2 := s.x.Columns(lo, hi), s.z.Columns(lo, hi), s.mu[lo:hi], s.sigma2[lo:hi]
	if s.Training {
		kernel.ColumnMoments(mu, sigma2, &x)
	}
	for j := lo; j < hi; j++ {
		s.scale[j] = 1 / math.Sqrt(s.sigma2[j]+s.epsilon)
		s.gain[j] = s.gamma[j] * s.scale[j]
	}
	kernel.NormalizeRows(&z, &x, mu, s.gain[lo:hi], s.beta[lo:hi]) // z = γ·x̂ + β with x̂ = (x−μ)/√(σ²+ε)
}

func (s *batchNormStage) Backward(da *mat.Dense) *mat.Dense {
	s.dz = viewOf(da)
	s.dz.Check(s.x.Rows, s.Inputs)
	if s.Training { // the running statistics move towards those of the batch, n samples
		n, m := float64(s.dz.Rows), s.momentum
		for j := range s.mean {
			s.mean[j] = float64((1-m)*s.mean[j]) + float64(m*s.mu[j])
			s.variance[j] = float64((1-m)*s.variance[j]) + m*s.sigma2[j]*n/(n-1)
		}
	}
	s.crew.ShareColumns(s.backward, &s.dz)
	if !s.NeedDX {
		return nil
	}
	return da
}

// columnsBackward computes columns lo to hi of all derivatives.
func (s *batchNormStage) columnsBackward(lo, hi int) {
	x, dz, mu, zero := s.x.Columns(lo, hi), s.dz.Columns(lo, hi), s.mu[lo:hi], s.zero[lo:hi]
	kernel.SumRows(s.dbeta[lo:hi], &dz) // dβ = dZᵀ·1
	kernel.CorrelateRows(s.dgamma[lo:hi], &x, mu, &dz, zero)
	n := math.Inf(1) // the running ones are no functions of the batch
	if s.Training {
		n = float64(dz.Rows)
	}
	for j := lo; j < hi; j++ {
		s.dgamma[j] *= s.scale[j] // dγ = (dZ ⊙ X̂)ᵀ·1
		s.offset[j], s.trend[j] = s.dbeta[j]/n, s.dgamma[j]*s.scale[j]/n
	}
	if !s.NeedDX {
		return
	}
	// μ and σ² are functions of the batch too, so that dx = γ/√(σ²+ε) ·
	// (dz − mean(dz) − x̂·mean(dz ⊙ x̂)), in place.
	kernel.DetrendRows(&dz, &x, mu, s.trend[lo:hi], s.offset[lo:hi], s.gain[lo:hi], s.row[lo:hi], zero)
}

// moments are the tensors of a mean and a variance, of which the latter is at least as given.
func moments(inputs int, least float64) []Tensor {
	return []Tensor{{Name: "running_mean", Shape: []int{inputs}}, {Name: "running_var", Shape: []int{inputs}, least: &least}}
}

func resetMoments(at Place, mean float64) {
	fill(dataOf(at.Statistics[0]), mean)
	fill(dataOf(at.Statistics[1]), 1)
}

// Dropout sets each of its inputs to zero with probability Rate while training and divides the
// others by 1−Rate; in inference it passes them as they are (inverted dropout; Srivastava et al.
// 2014). It cannot be a network's last layer.
type Dropout struct {
	Rate float64 // in [0, 1); 0 drops nothing
}

// String is the layer in a network's table, as "Dropout 0.5".
func (d Dropout) String() string { return fmt.Sprint("Dropout ", d.Rate) }

// Shape is that of the inputs.
func (d Dropout) Shape(inputs int) (Shape, error) {
	return Shape{Outputs: inputs, mustNotBeLast: true}, checkDecay("Dropout Rate", d.Rate)
}

// Reset has nothing to do.
func (Dropout) Reset(Place) {}

// Stage computes A = X ⊙ mask.
func (d Dropout) Stage(at Place) Stage {
	if at.Rand == nil || d.Rate == 0 {
		return chain{}
	}
	return &dropoutStage{Place: at, rate: d.Rate, a: at.buffer(at.Inputs)}
}

type dropoutStage struct {
	Place
	rate float64
	key  uint64  // of the batch's mask, which is drawn twice and not kept
	a    *buffer // N×out
}

func (s *dropoutStage) Forward(x *mat.Dense) *mat.Dense {
	s.a.resize(x.RawMatrix().Rows)
	s.key = s.Rand.Uint64()
	s.crew.Dropout(s.a.Data, dataOf(x), s.rate, s.key) // a = x ⊙ mask
	return &s.a.dense
}

func (s *dropoutStage) Backward(da *mat.Dense) *mat.Dense {
	if !s.NeedDX {
		return nil
	}
	s.crew.Dropout(dataOf(da), dataOf(da), s.rate, s.key) // dx = da ⊙ mask, in place
	return da
}

// Standardize brings each input to mean 0 and variance 1, a = (x−μ)/σ. It stands first in a
// network. μ and the population variance σ² are learnt from the training data when [Network.Train]
// first starts, and saved with the network, so that the network takes raw data; until then a = x. A
// column of equal values gets variance 1, so it passes as zero.
type Standardize struct{}

// String is the layer in a network's table.
func (Standardize) String() string { return "Standardize" }

// Shape is that of the inputs, and their mean and variance.
func (Standardize) Shape(inputs int) (Shape, error) {
	return Shape{Outputs: inputs, Statistics: learntMoments(inputs), mustBeFirst: true, mustNotBeLast: true}, nil
}

// Reset makes the mean −0, which stands for one that is still to be learnt, and the variance 1.
func (Standardize) Reset(at Place) { resetMoments(at, unlearnt) }

// unlearnt is the mean of a layer that has still to learn: −0, which changes no x and no file.
var unlearnt = math.Copysign(0, -1)

// learntMoments are the moments of a learner. It divides by the variance as it is.
func learntMoments(inputs int) []Tensor {
	list := moments(inputs, math.SmallestNonzeroFloat64)
	list[0].learnt = true
	return list
}

// Stage computes A = (X−μ)/σ.
func (Standardize) Stage(at Place) Stage {
	s := newColumnStage(at, func(variance float64) float64 { return 1 / math.Sqrt(variance) })
	s.before = dataOf(at.Statistics[0])
	return s
}

func (l Standardize) learn(at Place, s *dataset.Samples) error { return learnColumns(l, at, "x", s) }

// A columnStage shifts and scales each column: a = (x−before)·gain + behind.
type columnStage struct {
	Place
	before, gain, behind, zero []float64
	gainOf                     func(variance float64) float64
	a                          *buffer // N×out
}

// newColumnStage makes one that shifts nothing.
func newColumnStage(at Place, gainOf func(variance float64) float64) *columnStage {
	zero := make([]float64, at.Inputs)
	return &columnStage{at, zero, make([]float64, at.Inputs), zero, zero, gainOf, at.buffer(at.Inputs)}
}

func (s *columnStage) Forward(in *mat.Dense) *mat.Dense {
	x := viewOf(in)
	s.a.resize(x.Rows)
	for j, v := range dataOf(s.Statistics[1]) {
		s.gain[j] = s.gainOf(v)
	}
	kernel.NormalizeRows(&s.a.matrix, &x, s.before, s.gain, s.behind)
	return &s.a.dense
}

// Backward computes dx = da·gain, in place.
func (s *columnStage) Backward(da *mat.Dense) *mat.Dense {
	if !s.NeedDX {
		return nil
	}
	dx := viewOf(da)
	kernel.NormalizeRows(&dx, &dx, s.zero, s.gain, s.zero)
	return da
}

// Unstandardize takes outputs of mean 0 and variance 1 to the targets' units, a = z·σ + μ. It
// stands last in a network. μ and the population variance σ² of each column of the targets are
// learnt and kept as those of the inputs by [Standardize]. The network is trained on standardized
// targets: every loss, in a history or by [Network.Loss], and with it every gradient, is one of
// (y−μ)/σ, while [Network.Predict], and what is measured of its results, is in the units of y.
type Unstandardize struct{}

// String is the layer in a network's table.
func (Unstandardize) String() string { return "Unstandardize" }

// Shape is that of the inputs, and the targets' mean and variance.
func (Unstandardize) Shape(inputs int) (Shape, error) {
	return Shape{Outputs: inputs, Statistics: learntMoments(inputs), mustBeLast: true}, nil
}

// Reset makes the mean −0, which stands for one that is still to be learnt, and the variance 1.
func (Unstandardize) Reset(at Place) { resetMoments(at, unlearnt) }

// Stage computes A = Z·σ + μ.
func (Unstandardize) Stage(at Place) Stage {
	s := newColumnStage(at, math.Sqrt)
	s.behind = dataOf(at.Statistics[0])
	at.turns = nil
	return &unstandardizeStage{s, Standardize{}.Stage(at)}
}

func (l Unstandardize) learn(at Place, s *dataset.Samples) error { return learnColumns(l, at, "y", s) }

type unstandardizeStage struct {
	*columnStage
	targets Stage // what the loss sees of y
}

// learnColumns makes the moments of the columns of x or y the statistics of a layer that has still
// to learn.
func learnColumns(l Layer, at Place, name string, s *dataset.Samples) (err error) {
	mean, variance := dataOf(at.Statistics[0]), dataOf(at.Statistics[1])
	if mean[0] != 0 || !math.Signbit(mean[0]) {
		return nil
	}
	if s == nil {
		return fmt.Errorf("%s has learnt nothing of the data yet; Adapt lets it", kindOf(l))
	}
	m := map[string]*matrix{"x": &s.X, "y": &s.Y}[name]
	for j := range mean {
		if mean[j], variance[j], err = s.Moments(m, j); err != nil {
			return fmt.Errorf("column %d of %s is %w", j, name, err)
		}
	}
	return nil
}

// Activate is an activation as a layer of its own, as behind a layer that has none.
type Activate struct {
	F Activation // nil means Identity
}

// String is the layer in a network's table, as "Activate Tanh".
func (l Activate) String() string { return withActivation("Activate", l.F) }

// Shape is that of the inputs.
func (l Activate) Shape(inputs int) (Shape, error) {
	return Shape{Outputs: inputs, Activation: l.F, modules: 1}, nil
}

// Reset has nothing to do.
func (Activate) Reset(Place) {}

// Stage computes A = f(X).
func (l Activate) Stage(at Place) Stage {
	f := cmp.Or(l.F, Identity)
	return &activationStage{f: f, elementwise: at.crew.Elementwise(elementwise(f)), a: at.buffer(at.Inputs)}
}

// layerTypes are the layers that a file may name, with the fields that it may leave out.
var layerTypes = modelfile.NewTypes[Layer](nameInFile, activations.Find).With(map[string]Layer{
	"Dense":         Dense{},
	"BatchNorm":     BatchNorm{},
	"Dropout":       Dropout{Rate: 0.5},
	"Standardize":   Standardize{},
	"Unstandardize": Unstandardize{},
	"Activate":      Activate{},
	"Sequential":    Sequential{},
})

// RegisterLayer lets [Load] and [Read] find layers of the type of l, by a name of 1 to 50 bytes of
// UTF-8. What is saved of a layer are its exported fields: booleans, numbers, strings, activations,
// layers, and slices, arrays and structs of these; a field that is left out of a file has the value
// that it has in l. A name or a type that is registered otherwise is an error.
func RegisterLayer(name string, l Layer) error {
	return door("RegisterLayer").wrap(layerTypes.Register(name, l))
}

// maxLayers bounds a network's number of layers, so that a file of nothing but layers is small
// where it is read.
const maxLayers = 1 << 14

// Sequential is layers one after the other: a network, or the parts of a layer of one's own, such
// as the inside of a residual block.
type Sequential []Layer

// String is the layer in a network's table, as "Sequential of 3 layers".
func (q Sequential) String() string { return fmt.Sprintf("Sequential of %d layers", len(q)) }

// kindOf is the first word of a layer's name.
func kindOf(l Layer) string {
	kind, _, _ := strings.Cut(nameOf(l), " ")
	return kind
}

func nameOf(l Layer) string {
	if s, ok := l.(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprintf("%T", l)
}

// Shape is that of all layers together, each tensor's name behind its module's number, as in
// PyTorch's nn.Sequential. It reports every layer that cannot stand where it does.
func (q Sequential) Shape(inputs int) (Shape, error) {
	all, size, module, errs := Shape{Outputs: inputs, modules: 1}, 0, 0, []error(nil)
	all.Params, all.Statistics = make([]Tensor, 0, 2*len(q)), make([]Tensor, 0, 2*len(q))
	for i, l := range q {
		s, err := shapeOf(l, all.Outputs)
		if s.mustBeFirst && i > 0 {
			err = fmt.Errorf("a %s stands behind another layer, want it first", kindOf(l))
		} else if s.mustBeLast && i < len(q)-1 {
			err = fmt.Errorf("%s stands before another layer, want it last", kindOf(l))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("layer %d: %w", i, err))
			if s.Outputs < 2 || s.Outputs > maxSize {
				s.Outputs = 2 // so that the layers behind it can be checked
			}
		} else if size = sizeOf(s.Statistics, sizeOf(s.Params, size)); size > maxSize {
			errs = append(errs, fmt.Errorf("layer %d: its parameters and statistics take the network over %d", i, maxSize))
			break
		}
		all.Params = appendNumbered(all.Params, s.Params, module)
		all.Statistics = appendNumbered(all.Statistics, s.Statistics, module)
		module += cmp.Or(s.modules, 1)
		if s.modules == 0 && s.Activation != nil && s.Activation != Identity {
			module++
		}
		all.Outputs, all.Activation, all.MinRows = s.Outputs, s.Activation, max(all.MinRows, s.MinRows)
		all.mustBeFirst, all.mustBeLast, all.mustNotBeLast = all.mustBeFirst || s.mustBeFirst, s.mustBeLast, s.mustNotBeLast
	}
	if len(q) == 0 {
		errs = append(errs, errors.New("no layers, want at least one"))
	}
	return all, errors.Join(errs...)
}

// shapeOf is a layer's shape in a place that it can stand in.
func shapeOf(l Layer, inputs int) (Shape, error) {
	if l == nil {
		return Shape{}, errors.New("it is nil, want a layer such as a Dense")
	}
	if err := cmp.Or(checkFields(l), checkValue("it", l)); err != nil {
		return Shape{}, err
	}
	s, err := l.Shape(inputs)
	if err != nil {
		return s, err
	}
	if s.Outputs < 1 || s.Outputs > maxSize {
		return s, fmt.Errorf("it has %d outputs, want 1 to %d", s.Outputs, maxSize)
	}
	for _, tensors := range [][]Tensor{s.Params, s.Statistics} {
		for _, t := range tensors {
			if t.size() == 0 {
				return s, fmt.Errorf("its %s has shape %v, want 1 to %d elements", t.Name, t.Shape, maxSize)
			}
		}
	}
	if _, ok := l.(learner); !ok && s.mustBeFirst {
		return s, errors.New("a Standardize within it could not learn, want it first in the network")
	} else if !ok && s.mustBeLast {
		return s, errors.New("an Unstandardize within it could not learn, want it last in the network")
	}
	if s.Activation == Softmax && s.Outputs == 1 {
		return s, errors.New("a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid")
	}
	return s, cmp.Or(checkFields(s.Activation), checkValue("its Activation", s.Activation))
}

// checkValue returns an error if v points to a layer or an activation of the package's.
func checkValue(name string, v any) error {
	if t := reflect.TypeOf(v); t != nil && t.Kind() == reflect.Pointer && t.Elem().PkgPath() == packagePath {
		return fmt.Errorf("%s is a %v, want it without &", name, t)
	}
	return nil
}

// appendNumbered appends the tensors of a module.
func appendNumbered(list, tensors []Tensor, module int) []Tensor {
	for _, t := range tensors {
		t.Name = strconv.Itoa(module) + "." + t.Name
		list = append(list, t)
	}
	return list
}

// size is the number of elements, or 0 if that is not 1 to maxSize.
func (t Tensor) size() int {
	n := 1
	for _, d := range t.Shape {
		if d < 1 || n > maxSize/d {
			return 0
		}
		n *= d
	}
	return n
}

// sizeOf is n and the number of elements of all tensors, or more than maxSize if it is that.
func sizeOf(tensors []Tensor, n int) int {
	for _, t := range tensors {
		if t.size() > maxSize-n {
			return maxSize + 1
		}
		n += t.size()
	}
	return n
}

// views are matrices for the tensors, one behind the other in memory.
func views(tensors []Tensor, memory []float64) []*mat.Dense {
	list := make([]*mat.Dense, len(tensors))
	for i, t := range tensors {
		rows, n := 1, t.size()
		if len(t.Shape) > 1 {
			rows = t.Shape[0]
		}
		list[i], memory = mat.NewDense(rows, n/rows, memory[:n:n]), memory[n:]
	}
	return list
}

// A slot is a layer in its place in a Sequential.
type slot struct {
	Layer
	shape Shape
	at    Place
}

// slots cut the place of all layers up.
func (q Sequential) slots(at Place) []slot {
	list, trained := make([]slot, len(q)), at.NeedDX
	for i, l := range q {
		shape, err := l.Shape(at.Inputs)
		if err != nil {
			panic(err) // no error when the network was made
		}
		inner := at
		inner.Params, at.Params = at.Params[:len(shape.Params)], at.Params[len(shape.Params):]
		inner.Statistics, at.Statistics = at.Statistics[:len(shape.Statistics)], at.Statistics[len(shape.Statistics):]
		if at.Grads != nil {
			inner.Grads, at.Grads = at.Grads[:len(shape.Params)], at.Grads[len(shape.Params):]
		}
		if inner.frozen = nil; slices.Contains(at.frozen, i) { // works as in inference
			inner.Grads, inner.Training, inner.Rand = nil, false, nil
		}
		if !isOurs(l) { // it may read what it was given after it has written
			inner.turns = nil
		}
		inner.NeedDX = trained // by a layer before
		trained = trained || len(inner.Grads) > 0
		list[i] = slot{Layer: l, shape: shape, at: inner}
		at.Inputs = shape.Outputs
	}
	return list
}

// Reset resets layer by layer.
func (q Sequential) Reset(at Place) {
	for _, s := range q.slots(at) {
		s.Reset(s.at)
	}
}

// Stage is the chain of the layers' stages.
func (q Sequential) Stage(at Place) Stage {
	stages := chain{}
	for _, s := range q.slots(at) {
		stages = append(stages, s.stages()...)
	}
	return stages
}

// A learner learns its statistics from the data before training, if it has not done so before. With
// no samples that it has still to learn is an error.
type learner interface {
	learn(at Place, s *dataset.Samples) error
}

// learn lets the layers learn that do that.
func (q Sequential) learn(at Place, s *dataset.Samples) error { return learnAll(q.slots(at), nil, s) }

// learnAll lets the layers in the slots learn that do that, but for those that are frozen.
func learnAll(slots []slot, frozen []int, s *dataset.Samples) error {
	for i, slot := range slots {
		if l, ok := slot.Layer.(learner); ok && !slices.Contains(frozen, i) {
			if err := l.learn(slot.at, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// A chain is stages, one after the other, as one.
type chain []Stage

func (c chain) Forward(x *mat.Dense) *mat.Dense {
	for _, s := range c {
		x = s.Forward(x)
	}
	return x
}

// Backward ends at a stage before which no derivative is needed.
func (c chain) Backward(da *mat.Dense) *mat.Dense {
	for i := len(c) - 1; i >= 0 && da != nil; i-- {
		da = c[i].Backward(da)
	}
	return da
}

// stages are those of a slot. Those of somebody else's layer are watched, but for an activation at
// the end, which the loss may take apart.
func (s *slot) stages() chain {
	stage := s.Stage(s.at)
	if isNil(stage) {
		panic(fmt.Sprintf("backprop: Stage of a %T returned nil", s.Layer))
	}
	inner, ok := stage.(chain)
	if !ok {
		inner = chain{stage}
	}
	if isOurs(s.Layer) {
		return inner
	}
	end := len(inner)
	if end > 0 {
		if _, ok := inner[end-1].(*activationStage); ok {
			end--
		}
	}
	g := &guard.Guard{Stage: inner[:end:end], Name: fmt.Sprintf("%T", s.Layer), Inputs: s.at.Inputs, Outputs: s.shape.Outputs, NeedDX: s.at.NeedDX}
	return append(chain{g}, inner[end:]...)
}

// An Initializer says how a dense layer's weights are drawn. Biases begin at zero. Fan-in is the
// layer's number of inputs, fan-out its number of units.
type Initializer uint8

// The initializers. The zero value stands for HeNormal before ReLU, LeakyReLU, ELU, GELU and SiLU,
// for LeCunNormal before SELU, and for GlorotUniform before everything else.
const (
	_ Initializer = iota

	// GlorotUniform is uniform within ±√(6/(fan-in + fan-out)) (Glorot and Bengio 2010).
	GlorotUniform

	// GlorotNormal is normal with variance 2/(fan-in + fan-out).
	GlorotNormal

	// HeUniform is uniform within ±√(6/fan-in) (He et al. 2015).
	HeUniform

	// HeNormal is normal with variance 2/fan-in.
	HeNormal

	// LeCunNormal is normal with variance 1/fan-in (LeCun et al. 1998).
	LeCunNormal

	// Orthogonal draws a matrix with orthonormal rows or columns, whichever are fewer, uniformly
	// from all of them (Saxe et al. 2014). Square ones keep the length of what passes through,
	// which is what deep networks need.
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

// MarshalText is the initializer's name, for files.
func (i Initializer) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText takes it back.
func (i *Initializer) UnmarshalText(name []byte) error {
	k := slices.Index(initializerNames[:], string(name))
	if k < 0 {
		return fmt.Errorf("initializer %.50q is not known", name)
	}
	*i = Initializer(k)
	return nil
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

// draw draws w, out×in.
func (i Initializer) draw(w matrix, rng *rand.Rand) {
	in, out := float64(w.Cols), float64(w.Rows)
	switch i {
	case GlorotUniform:
		draw.Uniform(w, math.Sqrt(6/(in+out)), rng)
	case GlorotNormal:
		draw.Normal(w, math.Sqrt(2/(in+out)), rng)
	case HeUniform:
		draw.Uniform(w, math.Sqrt(6/in), rng)
	case HeNormal:
		draw.Normal(w, math.Sqrt(2/in), rng)
	case LeCunNormal:
		draw.Normal(w, math.Sqrt(1/in), rng)
	case Orthogonal:
		draw.Orthogonal(w, rng)
	}
}
