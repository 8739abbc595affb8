package kernel

import "math"

// Softmax sets every row of out elements of a to e^z/Σe^z of the same row of z. The row's largest z
// is subtracted first, so that no exponential overflows.
func Softmax(a, z []float64, out int) {
	checkLength(z, len(a))
	for i := 0; i < len(z); i += out {
		row, top := z[i:i+out], largest(z[i:i+out])
		for j, v := range row {
			a[i+j] = v - top
		}
	}
	Exp(a, a)
	for i := 0; i < len(a); i += out {
		Scale(1/Sum(a[i:i+out]), a[i:i+out])
	}
}

// SoftmaxBackward sets dzᵢ = aᵢ·(daᵢ − Σⱼ daⱼ·aⱼ) of one row. dz may be da.
func SoftmaxBackward(dz, da, a []float64) {
	checkLength(da, len(dz))
	dot := Dot(da, a)
	for i, a := range a {
		dz[i] = a * (da[i] - dot)
	}
}

// CrossEntropy returns the sum of −Σ y·log a over the rows of out elements, a being Softmax of z. A
// row's loss is log Σe^z − Σ y·z. With m the unit of the largest z, log Σe^z is zₘ + log(1+r),
// where r = Σ e^(zᵢ−zₘ) over i≠m, and e^(zᵢ−zₘ) is aᵢ/aₘ, so that no exponential is taken twice and
// a small loss keeps its digits. Nor is a logarithm taken for each row: Σ log(1+r) is log(1+p) with
// 1+p = Π(1+r).
func CrossEntropy(z, a, y []float64, out int) (loss float64) {
	checkLength(a, len(z))
	checkLength(y, len(z))
	p := 0.0
	for lo := 0; lo < len(z); lo += out {
		z, a, y := z[lo:lo+out], a[lo:lo+out], y[lo:lo+out]
		zm, am, rest := z[0], a[0], 0.0
		if out < 32 {
			for i := 1; i < out; i++ { // without branches, which nobody could predict
				rest += min(am, a[i])
				zm, am = max(zm, z[i]), max(am, a[i])
			}
		} else {
			m := 0
			for i, v := range a {
				if v > am {
					m, am = i, v
				}
			}
			zm, rest = largest(z), Sum(a[:m])+Sum(a[m+1:])
		}
		loss += sumOfGaps(zm, z, y)
		r := rest / am
		if p += r + float64(p*r); p > 1e100 {
			loss += Log1p(p)
			p = 0
		}
	}
	return loss + Log1p(p)
}

// What follows goes through a slice in several parts, which do not wait for each other.

// largest is the largest element, or NaN if there is one.
func largest(x []float64) float64 {
	t0 := math.Inf(-1)
	t1, t2, t3 := t0, t0, t0
	for ; len(x) >= 4; x = x[4:] {
		t0, t1, t2, t3 = max(t0, x[0]), max(t1, x[1]), max(t2, x[2]), max(t3, x[3])
	}
	for _, v := range x {
		t0 = max(t0, v)
	}
	return max(t0, t1, t2, t3)
}

// Sum is the sum of x.
func Sum(x []float64) float64 {
	var s0, s1, s2, s3 float64
	for ; len(x) >= 4; x = x[4:] {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
	}
	for _, v := range x {
		s0 += v
	}
	return (s0 + s1) + (s2 + s3)
}

// sumOfGaps is Σ y·(top − z).
func sumOfGaps(top float64, z, y []float64) float64 {
	y = y[:len(z)]
	var s0, s1 float64
	i := 0
	for ; i < len(z)-1; i += 2 {
		s0 += float64(y[i] * (top - z[i]))
		s1 += float64(y[i+1] * (top - z[i+1]))
	}
	if i < len(z) {
		s0 += float64(y[i] * (top - z[i]))
	}
	return s0 + s1
}
