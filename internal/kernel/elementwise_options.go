package kernel

import (
	"math"
	"unsafe"
)

// This file has the elementwise functions of what a network may have besides: activations other
// than those of elementwise.go, batch norm, dropout, losses and optimizers. A few loops serve them
// all, in assembly and in Go; what takes several of them goes through the data piece by piece, so
// that it stays in the first level of cache from one to the next.

// operands are what a loop works on: n elements of each slice, of which it may not use all, and
// numbers.
type operands struct {
	dst, x, y, z, w *float64
	n               int
	p, q, r         float64
	key, threshold  uint64
}

// A loop sets each dst[i] from the elements with that index.
type loop int

const (
	leaky        loop = iota // x where z > 0, else p·x
	elu                      // p·z where z > 0, else q·(e^z − 1)
	eluBackward              // p·x where z > 0, else q·x·e^z
	mulSigmoid               // x·σ(z)
	siluBackward             // x·σ(z)·(1 + z·σ(−z))
	softplus                 // log(1+e^z)
	gelu                     // z·Φ(z)
	geluBackward             // x·(Φ(z) + z·φ(z)), w being z·Φ(z)
	rms                      // y = p·y + x²; then x/(√(y−z²) + r)
	axpby                    // p·x + q·dst
	difference               // q·c, where c is p·(x−y) clamped to ±r
	normalize                // (x−y)·z + w
	correlate                // dst + (x−y)·(z−w)
	dropout                  // p·x where mix(key + i·weyl)/2 is at least the threshold, else 0·x
)

// run runs a loop, some 30 µs of work at a time.
func (o *operands) run(f loop) {
	if o.n <= chunk {
		apply(f, o)
		return
	}
	part := *o // what is assigned to o itself would escape to the heap
	part.n = chunk
	for n := o.n; n > chunk; n -= chunk {
		apply(f, &part)
		part.dst, part.x, part.y, part.z, part.w = next(part.dst), next(part.x), next(part.y), next(part.z), next(part.w)
		part.key += chunk * weyl & math.MaxUint64
	}
	part.n = (o.n-1)%chunk + 1
	apply(f, &part)
}

// next is where the next chunk of a slice begins, if there is a slice.
func next(p *float64) *float64 {
	if p == nil {
		return nil
	}
	return &unsafe.Slice(p, chunk+1)[chunk]
}

// first is where a slice begins.
func first(x []float64) *float64 { return unsafe.SliceData(x) }

// LeakyReLU sets dst[i] = x[i] where z[i] > 0, else slope·x[i]: with x = z the activation, with x =
// da its derivative's product with da. dst may be x or z.
func LeakyReLU(dst, x, z []float64, slope float64) {
	checkLength(x, len(dst))
	checkLength(z, len(dst))
	o := operands{dst: first(dst), n: len(dst), x: first(x), z: first(z), p: slope}
	o.run(leaky)
}

// ELU sets a[i] = scale·z[i] where z[i] > 0, else alpha·(e^z[i] − 1), within 2 ulp. a may be z.
func ELU(a, z []float64, scale, alpha float64) {
	checkLength(z, len(a))
	o := operands{dst: first(a), n: len(a), z: first(z), p: scale, q: alpha}
	o.run(elu)
}

// ELUBackward sets dz[i] = da[i]·scale where z[i] > 0, else da[i]·alpha·e^z[i], within 2.5 ulp. dz
// may be da.
func ELUBackward(dz, da, z []float64, scale, alpha float64) {
	checkLength(da, len(dz))
	checkLength(z, len(dz))
	o := operands{dst: first(dz), n: len(dz), x: first(da), z: first(z), p: scale, q: alpha}
	o.run(eluBackward)
}

// MulSigmoid sets dst[i] = x[i]·σ(z[i]), within 3 ulp where σ is not subnormal: with x = z it is
// SiLU. dst may be x or z.
func MulSigmoid(dst, x, z []float64) {
	checkLength(x, len(dst))
	checkLength(z, len(dst))
	o := operands{dst: first(dst), n: len(dst), x: first(x), z: first(z)}
	o.run(mulSigmoid)
}

// SiLUBackward sets dz[i] = da[i]·σ(z[i])·(1 + z[i]·σ(−z[i])). dz may be da.
func SiLUBackward(dz, da, z []float64) {
	checkLength(da, len(dz))
	checkLength(z, len(dz))
	o := operands{dst: first(dz), n: len(dz), x: first(da), z: first(z)}
	o.run(siluBackward)
}

// Softplus sets a[i] = log(1 + e^z[i]), within 2 ulp. a may be z.
func Softplus(a, z []float64) {
	checkLength(z, len(a))
	o := operands{dst: first(a), n: len(a), z: first(z)}
	o.run(softplus)
}

// GELU sets a[i] = z[i]·Φ(z[i]), Φ being the normal distribution function, within 6 ulp; the Go
// version is less accurate in the lower tail. a may be z.
func GELU(a, z []float64) {
	checkLength(z, len(a))
	o := operands{dst: first(a), n: len(a), z: first(z)}
	o.run(gelu)
}

// GELUBackward sets dz[i] = da[i]·(Φ(z[i]) + z[i]·φ(z[i])), where φ(z) = e^(−z²/2)/√(2π) and a is
// z·Φ(z). dz may be da.
func GELUBackward(dz, da, z, a []float64) {
	checkLength(da, len(dz))
	checkLength(z, len(dz))
	checkLength(a, len(dz))
	o := operands{dst: first(dz), n: len(dz), x: first(da), z: first(z), w: first(a)}
	o.run(geluBackward)
}

// The generator of Dropout is SplitMix64 (Steele, Lea and Flood 2014) but for its last step, which
// changes no upper bits: the number of element i is a mixture of key + i·weyl.
const (
	weyl = 0x9e3779b97f4a7c15
	mix1 = 0xbf58476d1ce4e5b9
	mix2 = 0x94d049bb133111eb
)

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * mix1
	return (x ^ x>>27) * mix2
}

// Dropout sets dst[i] = 0·x[i] with probability rate, from 0 to 1, exactly but for 2⁻⁶³, and else
// x[i]/(1−rate). Which elements those are depends on the rate, the key and from+i alone. dst may be
// x.
func Dropout(dst, x []float64, rate float64, key uint64, from int) {
	checkLength(x, len(dst))
	o := operands{dst: first(dst), n: len(dst), x: first(x), p: 1 / (1 - rate), key: key + uint64(from)*weyl, threshold: uint64(rate * (1 << 63))}
	o.run(dropout)
}

// A piece is so many elements that all slices of an update stay in the first level of cache.
const piece = 512

var zeros [piece]float64

// Scale computes x ← α·x, but 0 for α = 0, whatever x is.
func Scale(alpha float64, x []float64) {
	switch {
	case alpha == 0:
		clear(x)
	case len(x) > 16:
		scaleClamped(x, math.Inf(1), alpha)
	default: // a row of classes, say: ten take 6 ns, and 20 by the loop for many
		for i := range x {
			x[i] *= alpha
		}
	}
}

// Clamp clamps each element of x to ±c. A NaN stays one.
func Clamp(x []float64, c float64) { scaleClamped(x, c, 1) }

func scaleClamped(x []float64, limit, alpha float64) {
	for len(x) > 0 {
		n := min(len(x), piece)
		o := operands{dst: first(x), x: first(x), y: &zeros[0], n: n, p: 1, q: alpha, r: limit}
		apply(difference, &o)
		x = x[n:]
	}
}

// A Residual is what a loss of regression makes of the differences e = a−y: with h = e clamped to
// ±limit, or its sign, the sum of h·(e − half·h), of which h is the derivative, or its half.
type Residual struct{ gain, limit, unit, half float64 }

// The residuals: h = e, and the sign of e, which is that of e·2⁷⁰⁰ clamped to ±2⁻⁴⁰⁰, times 2⁴⁰⁰.
var (
	Squared  = Residual{gain: 1, limit: math.Inf(1), unit: 1}
	Absolute = Residual{gain: 0x1p700, limit: 0x1p-400, unit: 0x1p400}
)

// Huber returns the residual of Huber's loss, h = e clamped to ±delta.
func Huber(delta float64) Residual { return Residual{gain: 1, limit: delta, unit: 1, half: 0.5} }

// of is h of e.
func (r Residual) of(e float64) float64 {
	if r.limit > math.MaxFloat64 {
		return e
	}
	return r.unit * max(-r.limit, min(r.limit, r.gain*e))
}

// Gradient sets da[i] = scale·h[i]. da may be a or y.
func (r Residual) Gradient(da, a, y []float64, scale float64) {
	checkLength(a, len(da))
	checkLength(y, len(da))
	if len(da) <= 4 { // half of the time, or less
		for i, a := range a {
			da[i] = scale * r.of(a-y[i])
		}
		return
	}
	o := operands{dst: first(da), n: len(da), x: first(a), y: first(y), p: r.gain, q: scale * r.unit, r: r.limit}
	o.run(difference)
}

// Sum returns the sum of h·(e − half·h).
func (r Residual) Sum(a, y []float64) (sum float64) {
	checkLength(y, len(a))
	if len(a) > 32 {
		return r.sumLong(a, y)
	}
	for i, a := range a {
		e := a - y[i]
		h := r.of(e)
		sum += float64(h * (e - float64(r.half*h)))
	}
	return sum
}

func (r Residual) sumLong(a, y []float64) (sum float64) {
	var e, h [piece]float64
	for len(a) > 0 {
		n := min(len(a), piece)
		Squared.Gradient(e[:n], a[:n], y[:n], 1)
		r.Gradient(h[:n], a[:n], y[:n], 1)
		Axpy(-r.half, h[:n], e[:n])
		sum += Dot(h[:n], e[:n])
		a, y = a[n:], y[n:]
	}
	return sum
}

// MomentumStep holds what a step of gradient descent with momentum takes besides slices.
type MomentumStep struct {
	Mu               float64 // μ
	Eta, NesterovEta float64 // of the velocity, and of the gradient
}

// Momentum updates parameters and their velocity v from the gradient:
//
//	v[i] = μ·v[i] + g[i]
//	θ[i] = θ[i] − Eta·v[i] − NesterovEta·g[i]
func Momentum(params, grad, v []float64, s MomentumStep) {
	checkLength(grad, len(params))
	checkLength(v, len(params))
	for len(params) > 0 {
		n := min(len(params), piece)
		o := operands{dst: first(v), x: first(grad), n: n, p: 1, q: s.Mu}
		apply(axpby, &o)
		if s.NesterovEta != 0 {
			axpy(-s.NesterovEta, grad[:n], params[:n])
		}
		axpy(-s.Eta, v[:n], params[:n])
		params, grad, v = params[n:], grad[n:], v[n:]
	}
}

// RMSStep holds what a step of RMSProp or AdaGrad takes besides slices.
type RMSStep struct {
	Decay   float64 // α; 1 for AdaGrad
	Mean    float64 // √(1−α)
	Mu      float64 // μ
	Eta     float64 // η/√(1−α); η for AdaGrad
	Epsilon float64 // ε/√(1−α); ε for AdaGrad
}

// RMS updates parameters from the gradient divided by its size. The factors 1−α of the mean square v
// and of the mean, but for one root, are in the step:
//
//	v[i] = Decay·v[i] + g[i]²
//	m[i] = Decay·m[i] + Mean·g[i]
//	b[i] = Mu·b[i] + g[i]/(√(v[i]−m[i]²) + Epsilon)
//	θ[i] = θ[i] − Eta·b[i]
//
// Without an m, nil, it is as if 0; without a b, nil, Mu is 0.
func RMS(params, grad, v, m, b []float64, s RMSStep) {
	checkLength(grad, len(params))
	checkLength(v, len(params))
	if m != nil {
		checkLength(m, len(params))
	}
	if b != nil {
		checkLength(b, len(params))
	}
	var q [piece]float64
	for lo := 0; lo < len(params); lo += piece {
		n := min(piece, len(params)-lo)
		g, step := &grad[lo], q[:n]
		o := operands{dst: &q[0], x: g, y: &v[lo], z: &zeros[0], n: n, p: s.Decay, r: s.Epsilon}
		if m != nil {
			o.z = &m[lo]
			mean := operands{dst: o.z, x: g, n: n, p: s.Mean, q: s.Decay}
			apply(axpby, &mean)
		}
		apply(rms, &o)
		if b != nil {
			step = b[lo : lo+n]
			momentum := operands{dst: &b[lo], x: &q[0], n: n, p: 1, q: s.Mu}
			apply(axpby, &momentum)
		}
		axpy(-s.Eta, step, params[lo:lo+n])
	}
}

// LogisticLoss returns the sum of −y·log σ(z) − (1−y)·log σ(−z) = max(z, 0) − z·y + log(1+e^−|z|).
// The first two terms cancel where z and y agree, so they are taken together: they are z·(1−y)
// above 0 and −z·y below.
func LogisticLoss(z, y []float64) (sum float64) {
	checkLength(y, len(z))
	var logs [32]float64
	for len(z) > 0 {
		n := min(len(z), len(logs))
		for i, z := range z[:n] {
			logs[i] = -math.Abs(z)
		}
		Softplus(logs[:n], logs[:n])
		for i, z := range z[:n] {
			if z > 0 {
				sum += float64(z*(1-y[i])) + logs[i]
			} else {
				sum += logs[i] - float64(z*y[i])
			}
		}
		z, y = z[n:], y[n:]
	}
	return sum
}
