package kernel

// chunk bounds the elements that assembly is given at a time, to some 30 µs of work.
const chunk = 1 << 14

// Exp sets dst[i] = e^src[i], within 1.1 ulp; the Go version is within 2.2. dst may be src.
func Exp(dst, src []float64) {
	checkLength(src, len(dst))
	for len(dst) > chunk {
		exp(dst[:chunk], src[:chunk])
		dst, src = dst[chunk:], src[chunk:]
	}
	exp(dst, src)
}

// Sigmoid sets a[i] = σ(z[i]) = 1/(1+e^−z[i]), within 2.3 ulp. a may be z.
func Sigmoid(a, z []float64) {
	checkLength(z, len(a))
	for len(a) > chunk {
		sigmoid(a[:chunk], z[:chunk])
		a, z = a[chunk:], z[chunk:]
	}
	sigmoid(a, z)
}

// SigmoidBackward sets dz[i] = da[i]·σ(z[i])·σ(−z[i]), where a = σ(z), without the cancellation of
// a·(1−a) close to a = 1: with a relative error below 2⁻³⁹ everywhere. dz may be da.
func SigmoidBackward(dz, da, z, a []float64) {
	checkLength(da, len(dz))
	checkLength(z, len(dz))
	checkLength(a, len(dz))
	for len(dz) > chunk {
		sigmoidBackward(dz[:chunk], da[:chunk], z[:chunk], a[:chunk])
		dz, da, z, a = dz[chunk:], da[chunk:], z[chunk:], a[chunk:]
	}
	sigmoidBackward(dz, da, z, a)
}

// Tanh sets a[i] = tanh z[i], within 2.5 ulp; the Go version is within 3. a may be z.
func Tanh(a, z []float64) {
	checkLength(z, len(a))
	for len(a) > chunk {
		tanh(a[:chunk], z[:chunk])
		a, z = a[chunk:], z[chunk:]
	}
	tanh(a, z)
}

// TanhBackward sets dz[i] = da[i]·(1−tanh² z[i]), where a = tanh z, with a relative error below
// 2⁻³⁹ everywhere. dz may be da.
func TanhBackward(dz, da, z, a []float64) {
	checkLength(da, len(dz))
	checkLength(z, len(dz))
	checkLength(a, len(dz))
	for len(dz) > chunk {
		tanhBackward(dz[:chunk], da[:chunk], z[:chunk], a[:chunk])
		dz, da, z, a = dz[chunk:], da[chunk:], z[chunk:], a[chunk:]
	}
	tanhBackward(dz, da, z, a)
}

// ReLU sets a[i] = max(z[i], 0): zero for −0, NaN for NaN. a may be z.
func ReLU(a, z []float64) {
	checkLength(z, len(a))
	for len(a) > chunk {
		relu(a[:chunk], z[:chunk])
		a, z = a[chunk:], z[chunk:]
	}
	relu(a, z)
}

// ReLUBackward sets dz[i] = da[i] where z[i] > 0, else 0. dz may be da.
func ReLUBackward(dz, da, z []float64) {
	checkLength(da, len(dz))
	checkLength(z, len(dz))
	for len(dz) > chunk {
		reluBackward(dz[:chunk], da[:chunk], z[:chunk])
		dz, da, z = dz[chunk:], da[chunk:], z[chunk:]
	}
	reluBackward(dz, da, z)
}

// AdamStep holds what one step of Adam takes besides slices.
type AdamStep struct {
	Beta1, Beta2 float64
	Step         float64 // η·(1−β₁)/(1−β₁ᵗ)·r, with r = √((1−β₂ᵗ)/(1−β₂))
	Epsilon      float64 // ε·r
}

// Adam updates parameters and moments from the gradient, in the order of operations at the end of
// section 2 of Kingma and Ba 2015. The factors 1−β₁ and 1−β₂ of the moments are in the step:
//
//	m[i] = β₁·m[i] + g[i]
//	v[i] = β₂·v[i] + g[i]²
//	θ[i] = θ[i] − Step·m[i]/(√v[i] + Epsilon)
func Adam(params, grad, m, v []float64, s AdamStep) {
	checkLength(grad, len(params))
	checkLength(m, len(params))
	checkLength(v, len(params))
	for len(params) > chunk {
		adam(params[:chunk], grad[:chunk], m[:chunk], v[:chunk], &s)
		params, grad, m, v = params[chunk:], grad[chunk:], m[chunk:], v[chunk:]
	}
	adam(params, grad, m, v, &s)
}

// Axpy sets y[i] = alpha·x[i] + y[i].
func Axpy(alpha float64, x, y []float64) {
	checkLength(x, len(y))
	for len(y) > chunk {
		axpy(alpha, x[:chunk], y[:chunk])
		x, y = x[chunk:], y[chunk:]
	}
	axpy(alpha, x, y)
}

// Dot returns Σ x[i]·y[i]. The product of index i is rounded and added to sum i mod 32, or i mod 4
// of fewer than 32 elements, and of the sums the upper half is added to the lower until one is
// left: the bits are the same on every machine.
func Dot(x, y []float64) float64 {
	checkLength(y, len(x))
	if len(x) < 32 {
		return dotShort(x, y)
	}
	var sums [32]float64
	for len(x) >= 32 {
		n := min(len(x)&^31, chunk)
		dot(&sums, x[:n], y[:n])
		x, y = x[n:], y[n:]
	}
	for i, v := range x {
		sums[i] += float64(v * y[i])
	}
	for half := 16; half > 0; half /= 2 {
		for i, v := range sums[half : 2*half] {
			sums[i] += v
		}
	}
	return sums[0]
}

func dotShort(x, y []float64) float64 {
	y = y[:len(x)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i < len(x)-3; i += 4 {
		s0 += float64(x[i] * y[i])
		s1 += float64(x[i+1] * y[i+1])
		s2 += float64(x[i+2] * y[i+2])
		s3 += float64(x[i+3] * y[i+3])
	}
	switch x, y = x[i:], y[i:]; len(x) {
	case 3:
		s2 += float64(x[2] * y[2])
		fallthrough
	case 2:
		s1 += float64(x[1] * y[1])
		fallthrough
	case 1:
		s0 += float64(x[0] * y[0])
	}
	return (s0 + s2) + (s1 + s3)
}

// Finite reports whether no element is ±Inf or NaN.
func Finite(x []float64) bool {
	for len(x) >= 16 {
		n := min(len(x)&^15, chunk)
		if !finite(x[:n]) {
			return false
		}
		x = x[n:]
	}
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}
