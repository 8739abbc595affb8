package fuzz_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

// The naive training is what Train does once more, straight from the formulas in the documentation:
// loops over slices of rows, the chain rule step by step, no closed forms. It shares the types of
// the options with the library, and no code.

type rows = [][]float64

func newRows(n, cols int) rows {
	m := make(rows, n)
	for i := range m {
		m[i] = make([]float64, cols)
	}
	return m
}

// A part is a layer. backward returns dx for da, and stores the gradient.
type part interface {
	forward(x rows, training bool) rows
	backward(da rows) rows
	params() []*param
}

// A param is W, b, γ or β.
type param struct {
	value, grad []float64
	weight      bool      // L2 and WeightDecay act on it
	m, v, b     []float64 // what the optimizer remembers of it
}

func newParam(from *[]float64, n int, weight bool) *param {
	p := &param{value: slices.Clone((*from)[:n]), weight: weight, m: make([]float64, n), v: make([]float64, n), b: make([]float64, n)}
	*from = (*from)[n:]
	return p
}

// affine is Z = X·Wᵀ + 1·bᵀ.
type affine struct {
	in, out int
	w, b    *param // b is nil without biases
	x       rows
}

func (l *affine) params() []*param {
	if l.b == nil {
		return []*param{l.w}
	}
	return []*param{l.w, l.b}
}

func (l *affine) forward(x rows, _ bool) rows {
	l.x = x
	z := newRows(len(x), l.out)
	for i := range x {
		for j := range l.out {
			for k := range l.in {
				z[i][j] += l.w.value[j*l.in+k] * x[i][k]
			}
			if l.b != nil {
				z[i][j] += l.b.value[j]
			}
		}
	}
	return z
}

func (l *affine) backward(dz rows) rows {
	l.w.grad = make([]float64, len(l.w.value))
	if l.b != nil {
		l.b.grad = make([]float64, l.out)
	}
	dx := newRows(len(dz), l.in)
	for i := range dz {
		for j := range l.out {
			for k := range l.in {
				l.w.grad[j*l.in+k] += dz[i][j] * l.x[i][k]
				dx[i][k] += dz[i][j] * l.w.value[j*l.in+k]
			}
			if l.b != nil {
				l.b.grad[j] += dz[i][j]
			}
		}
	}
	return dx
}

// activation is A = f(Z), row by row.
type activation struct {
	f    Activation
	z, a rows
}

func (l *activation) params() []*param { return nil }

func (l *activation) forward(z rows, _ bool) rows {
	l.z, l.a = z, newRows(len(z), len(z[0]))
	for i, row := range z {
		sum := 0.0
		for j, v := range row {
			if l.f == Softmax {
				l.a[i][j] = math.Exp(v - slices.Max(row))
				sum += l.a[i][j]
			} else {
				l.a[i][j], _ = valueAndSlope(l.f, v)
			}
		}
		for j := range row {
			if l.f == Softmax {
				l.a[i][j] /= sum
			}
		}
	}
	return l.a
}

func (l *activation) backward(da rows) rows {
	dz := newRows(len(da), len(da[0]))
	for i, a := range l.a {
		for j := range a {
			if l.f != Softmax {
				_, slope := valueAndSlope(l.f, l.z[i][j])
				dz[i][j] = da[i][j] * slope
				continue
			}
			for k := range a { // ∂aₖ/∂zⱼ = aₖ·(δⱼₖ − aⱼ)
				if j == k {
					dz[i][j] += da[i][k] * a[k] * (1 - a[j])
				} else {
					dz[i][j] -= da[i][k] * a[k] * a[j]
				}
			}
		}
	}
	return dz
}

// valueAndSlope are f(z) and f′(z).
func valueAndSlope(f Activation, z float64) (value, slope float64) {
	sigma := 1 / (1 + math.Exp(-z))
	elu := func(alpha float64) (value, slope float64) {
		if z > 0 {
			return z, 1
		}
		return alpha * (math.Exp(z) - 1), alpha * math.Exp(z)
	}
	switch f := f.(type) {
	case LeakyReLU:
		if z > 0 {
			return z, 1
		}
		return cmp.Or(f.Slope, 0.01) * z, cmp.Or(f.Slope, 0.01)
	case ELU:
		return elu(cmp.Or(f.Alpha, 1))
	case Sine:
		return math.Sin(z), math.Cos(z)
	}
	switch f {
	case Sigmoid:
		return sigma, sigma / (1 + math.Exp(z))
	case Tanh:
		return math.Tanh(z), 1 / (math.Cosh(z) * math.Cosh(z))
	case ReLU:
		if z > 0 {
			return z, 1
		}
		return 0, 0
	case GELU:
		normal := (1 + math.Erf(z/math.Sqrt2)) / 2
		return z * normal, normal + z*math.Exp(-z*z/2)/math.Sqrt(2*math.Pi)
	case SiLU:
		return z * sigma, sigma + z*sigma*(1-sigma)
	case SELU:
		value, slope := elu(1.6732632423543772)
		return 1.0507009873554805 * value, 1.0507009873554805 * slope
	case Softplus:
		return math.Log(1 + math.Exp(z)), sigma
	}
	return z, 1 // Identity
}

// normalize is x̂ = (x−μ)/√(σ²+ε) and z = γ·x̂ + β.
type normalize struct {
	gamma, beta       *param
	momentum, epsilon float64
	mean, variance    []float64 // the running ones
	batchMean, batchV []float64
	x, xhat           rows
	nested            bool // within a Sequential
}

func (l *normalize) params() []*param { return []*param{l.gamma, l.beta} }

func (l *normalize) forward(x rows, training bool) rows {
	l.x, l.xhat = x, newRows(len(x), len(x[0]))
	mean, variance := l.mean, l.variance
	if training {
		l.batchMean, l.batchV = columnMoments(x)
		mean, variance = l.batchMean, l.batchV
	}
	z := newRows(len(x), len(x[0]))
	for i := range x {
		for j := range x[i] {
			l.xhat[i][j] = (x[i][j] - mean[j]) / math.Sqrt(variance[j]+l.epsilon)
			z[i][j] = l.gamma.value[j]*l.xhat[i][j] + l.beta.value[j]
		}
	}
	return z
}

// backward follows Ioffe and Szegedy's own list: x̂, σ², μ, x.
func (l *normalize) backward(dz rows) rows {
	n, cols := float64(len(dz)), len(dz[0])
	l.gamma.grad, l.beta.grad = make([]float64, cols), make([]float64, cols)
	dx := newRows(len(dz), cols)
	for j := range cols {
		root := math.Sqrt(l.batchV[j] + l.epsilon)
		dVariance, dMean := 0.0, 0.0
		for i := range dz {
			l.gamma.grad[j] += dz[i][j] * l.xhat[i][j]
			l.beta.grad[j] += dz[i][j]
			dxhat := dz[i][j] * l.gamma.value[j]
			dVariance -= dxhat * (l.x[i][j] - l.batchMean[j]) / (2 * root * root * root)
			dMean -= dxhat / root
		}
		for i := range dz {
			dx[i][j] = dz[i][j]*l.gamma.value[j]/root + dVariance*2*(l.x[i][j]-l.batchMean[j])/n + dMean/n
		}
		l.mean[j] = (1-l.momentum)*l.mean[j] + l.momentum*l.batchMean[j]
		l.variance[j] = (1-l.momentum)*l.variance[j] + l.momentum*l.batchV[j]*n/(n-1)
	}
	return dx
}

// columnMoments are the mean and the biased variance of each column.
func columnMoments(x rows) (mean, variance []float64) {
	for j := range x[0] {
		column := []float64{}
		for i := range x {
			column = append(column, x[i][j])
		}
		m, v := Moments(column)
		mean, variance = append(mean, m), append(variance, v)
	}
	return mean, variance
}

// standardize is a = (x−μ)/σ; a constant column gets σ = 1.
type standardize struct{ mean, variance []float64 }

func (l *standardize) params() []*param { return nil }

func (l *standardize) learn(x rows) {
	l.mean, l.variance = columnMoments(x)
	for j := range l.mean {
		if !slices.ContainsFunc(x, func(row []float64) bool { return row[j] != x[0][j] }) {
			l.mean[j], l.variance[j] = x[0][j], 1
		}
	}
}

func (l *standardize) forward(x rows, _ bool) rows {
	a := newRows(len(x), len(x[0]))
	for i := range x {
		for j := range x[i] {
			a[i][j] = (x[i][j] - l.mean[j]) / math.Sqrt(l.variance[j])
		}
	}
	return a
}

func (l *standardize) backward(da rows) rows { return da } // the first: nobody asks

// A naive is a network and its training.
type naive struct {
	TrainConfig
	parts      []part
	losses     []float64 // of every epoch: the loss, the validation loss or 0, the last norm
	step       float64   // counted from 1
	roundings  float64   // on the longest way through the network and back
	normalized bool      // there is batch norm
}

// add appends the parts of a layer, with the parameters that params begins with.
func (n *naive) add(l Layer, inputs int, params *[]float64) (outputs int) {
	f := Identity
	switch l := l.(type) {
	case Sequential:
		begin := len(n.parts)
		for _, l := range l {
			inputs = n.add(l, inputs, params)
		}
		for _, p := range n.parts[begin:] {
			if b, ok := p.(*normalize); ok {
				b.nested = true
			}
		}
	case Standardize:
		n.parts = append(n.parts, &standardize{})
	case Activate:
		f = l.F
	case BatchNorm:
		n.normalized = true
		s := &normalize{momentum: cmp.Or(l.Momentum, 0.1), epsilon: cmp.Or(l.Epsilon, 1e-5), mean: make([]float64, inputs)}
		s.gamma, s.beta, s.variance = newParam(params, inputs, false), newParam(params, inputs, false), slices.Repeat([]float64{1}, inputs)
		n.parts, f = append(n.parts, s), l.Activation
	case Dense:
		s := &affine{in: inputs, out: l.Units, w: newParam(params, inputs*l.Units, true)}
		if !l.NoBias {
			s.b = newParam(params, l.Units, false)
		}
		n.parts, f = append(n.parts, s), l.Activation
		n.roundings += float64(inputs + l.Units)
		inputs = l.Units
	}
	if f != nil && f != Identity {
		n.parts = append(n.parts, &activation{f: f})
	}
	n.roundings += 8
	return inputs
}

func (n *naive) forward(x rows, training bool) rows {
	for _, p := range n.parts {
		x = p.forward(x, training)
	}
	return x
}

// lossOf is the mean loss, its derivative, and the parts through which that has to go back. They are
// all, and it is ∂L/∂a, or those before a Sigmoid or Softmax from whose z the loss is computed, and
// it is ∂L/∂z.
func (n *naive) lossOf(a, y rows) (loss float64, d rows, back []part) {
	back = n.parts
	output, z := Identity, a
	if last, ok := n.parts[len(n.parts)-1].(*activation); ok {
		output, z = last.f, last.z
	}
	l := n.Loss
	if l == nil {
		l = lossOfActivation(output)
	}
	closed := l == lossOfActivation(output) && l != MSE
	if closed {
		back = n.parts[:len(n.parts)-1]
	}
	count := float64(len(a) * len(a[0]))
	if l == CrossEntropy {
		count = float64(len(a))
	}
	d = newRows(len(a), len(a[0]))
	for i := range a {
		sum := 0.0 // of e^(z−m), for log a = z − m − log Σ e^(z−m)
		for _, v := range z[i] {
			sum += math.Exp(v - slices.Max(z[i]))
		}
		for j := range a[i] {
			value, slope := 0.0, a[i][j]-y[i][j]
			switch {
			case closed && output == Softmax:
				value = -y[i][j] * (z[i][j] - slices.Max(z[i]) - math.Log(sum))
			case closed: // −log σ(z) = log(1+e⁻ᶻ) and −log(1−σ(z)) = log(1+eᶻ)
				value = y[i][j]*math.Log1p(math.Exp(-z[i][j])) + (1-y[i][j])*math.Log1p(math.Exp(z[i][j]))
			default:
				value, slope = lossAt(l, a[i][j], y[i][j])
			}
			loss += value / count
			d[i][j] = slope / count
		}
	}
	return loss, d, back
}

// lossOfActivation is the loss that belongs to an output.
func lossOfActivation(output Activation) Loss {
	switch output {
	case Softmax:
		return CrossEntropy
	case Sigmoid:
		return BinaryCrossEntropy
	}
	return MSE
}

// lossAt is one element's part of a loss, and its derivative by a.
func lossAt(l Loss, a, y float64) (value, slope float64) {
	const low = 1e-12
	e := a - y
	switch l {
	case MSE:
		return e * e, 2 * e
	case MAE:
		if e == 0 {
			return 0, 0
		}
		return math.Abs(e), math.Copysign(1, e)
	case CrossEntropy:
		if a < low {
			return -y * math.Log(low), 0
		}
		return -y * math.Log(a), -y / a
	case BinaryCrossEntropy:
		inside := max(low, min(1-low, a))
		value = -y*math.Log(inside) - (1-y)*math.Log(1-inside)
		if a != inside {
			return value, 0
		}
		return value, (1-y)/(1-a) - y/a
	}
	delta := cmp.Or(l.(Huber).Delta, 1)
	if math.Abs(e) <= delta {
		return e * e / 2, e
	}
	return delta * (math.Abs(e) - delta/2), math.Copysign(delta, e)
}

// train is Train.
func (n *naive) train(x, y, validX, validY rows) {
	if s, ok := n.parts[0].(*standardize); ok {
		s.learn(x)
	}
	size := n.BatchSize
	if size == 0 || size > len(x) {
		size = len(x)
	}
	for epoch := range n.Epochs {
		order := make([]int, len(x))
		for i := range order {
			order[i] = i
		}
		if !n.NoShuffle {
			rng := rand.New(rand.NewPCG(n.Seed, uint64(epoch)))
			rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		loss, norm := 0.0, 0.0
		for lo := 0; lo < len(x); {
			hi := min(lo+size, len(x))
			if n.normalized && hi == len(x)-1 {
				hi++ // a single sample that is left over joins the batch before it
			}
			var bx, by rows
			for _, i := range order[lo:hi] {
				bx, by = append(bx, x[i]), append(by, y[i])
			}
			batch, d, back := n.lossOf(n.forward(bx, true), by)
			loss += batch * float64(hi-lo) / float64(len(x))
			for _, p := range slices.Backward(back) {
				d = p.backward(d)
			}
			norm = n.update()
			lo = hi
		}
		valid := 0.0
		if validX != nil {
			valid, _, _ = n.lossOf(n.forward(validX, false), validY)
		}
		n.losses = append(n.losses, loss, valid, norm)
	}
}

// update makes a step with the gradient, and returns its norm before clipping.
func (n *naive) update() float64 {
	n.step++
	squares := 0.0
	for p := range n.params() {
		for i := range p.grad {
			if p.weight {
				p.grad[i] += n.L2 * p.value[i]
			}
			squares += p.grad[i] * p.grad[i]
		}
	}
	norm := math.Sqrt(squares)
	for p := range n.params() {
		for i, g := range p.grad {
			if n.ClipNorm != 0 && norm > n.ClipNorm {
				g *= n.ClipNorm / norm
			}
			if n.ClipValue != 0 {
				g = max(-n.ClipValue, min(n.ClipValue, g))
			}
			if p.weight {
				p.value[i] *= 1 - n.LearningRate*n.WeightDecay
			}
			p.value[i] -= n.LearningRate * n.direction(p, i, g)
		}
	}
	return norm
}

// direction is what the optimizer multiplies by η, for element i of a parameter.
func (n *naive) direction(p *param, i int, g float64) float64 {
	switch o := n.Optimizer.(type) {
	case *SGD:
		p.v[i] = o.Momentum*p.v[i] + g
		if o.Nesterov {
			return g + o.Momentum*p.v[i]
		}
		return p.v[i]
	case *AdaGrad:
		p.v[i] += g * g
		return g / (math.Sqrt(p.v[i]) + cmp.Or(o.Epsilon, 1e-10))
	case *RMSProp:
		alpha := cmp.Or(o.Alpha, 0.99)
		p.v[i] = alpha*p.v[i] + (1-alpha)*g*g
		p.m[i] = alpha*p.m[i] + (1-alpha)*g
		under := p.v[i]
		if o.Centered {
			under = max(0, under-p.m[i]*p.m[i])
		}
		p.b[i] = o.Momentum*p.b[i] + g/(math.Sqrt(under)+cmp.Or(o.Epsilon, 1e-8))
		return p.b[i]
	case *Adam:
		beta1, beta2 := cmp.Or(o.Beta1, 0.9), cmp.Or(o.Beta2, 0.999)
		p.m[i] = beta1*p.m[i] + (1-beta1)*g
		p.v[i] = beta2*p.v[i] + (1-beta2)*g*g
		m, v := p.m[i]/(1-math.Pow(beta1, n.step)), p.v[i]/(1-math.Pow(beta2, n.step))
		return m / (math.Sqrt(v) + cmp.Or(o.Epsilon, 1e-8))
	}
	return g // no optimizer: gradient descent
}

// params are all parameters, in the order of Network.Params.
func (n *naive) params() func(yield func(*param) bool) {
	return func(yield func(*param) bool) {
		for _, part := range n.parts {
			for _, p := range part.params() {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// values are the parameters and the statistics as testutil.State has them, and the epochs' losses.
func (n *naive) values() (params, statistics, losses []float64) {
	for p := range n.params() {
		params = append(params, p.value...)
	}
	for _, p := range n.parts {
		switch p := p.(type) {
		case *normalize:
			if !p.nested { // Network.Statistics does not see those
				statistics = append(append(statistics, p.mean...), p.variance...)
			}
		case *standardize:
			statistics = append(append(statistics, p.mean...), p.variance...)
		}
	}
	return params, statistics, n.losses
}
