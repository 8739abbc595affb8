package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var one = double{1, 0}

// square is x², exactly.
func square(x float64) double {
	p := float64(x * x)
	return double{p, math.FMA(x, x, -p)}
}

func refExpm1(x float64) double {
	if math.Abs(x) > 0x1p-10 {
		return refExp(double{x, 0}).plain().add(one.scale(-1))
	}
	sum, term := double{x, 0}, double{x, 0} // x + x²/2 + x³/6 + …
	for i := 2; i <= 12; i++ {
		term = term.mul(double{x, 0}).div(double{float64(i), 0})
		sum = sum.add(term)
	}
	return sum
}

// refBell is e^(−x²/2).
func refBell(x float64) reference { return refExp(square(x).scale(-0.5)) }

var rootOf2Pi = double{0x1.40d931ff62706p+1, -0x1.a6a0d6f814637p-53}

// refNormal is Φ(x)·e^(x²/2) for x ≤ 0, and Φ(x) for x > 0: the series Φ = 1/2 + φ·(x + x³/3 +
// x⁵/15 + …) or, in the tail, the continued fraction Φ(−y) = φ/(y + 1/(y + 2/(y + 3/…))).
func refNormal(x float64) double {
	if x > 0 {
		return one.add(refNormal(-x).mul(refBell(x).plain()).scale(-1))
	}
	y := double{-x, 0}
	if x < -3 {
		f := y
		for k := 50.; k >= 1; k-- {
			f = y.add(double{k, 0}.div(f))
		}
		return one.div(f.mul(rootOf2Pi))
	}
	sum, term := y, y
	for k := 3.; k < 100; k += 2 {
		term = term.mul(y).mul(y).div(double{k, 0})
		sum = sum.add(term)
	}
	return double{0.5, 0}.div(refBell(x).plain()).add(sum.div(rootOf2Pi).scale(-1))
}

// refSoftplus is log(1+e^x) by Newton's method from a y that is good to 1e-16: y + (1+e^x)·e^−y −
// 1, or where e^x is small by its series.
func refSoftplus(of double) reference {
	x, e := of.hi, refExp(of)
	switch {
	case x < -40:
		return e // less e^2x/2
	case x < -10:
		u, sum, term := e.plain(), double{}, one
		for k := 1.; k < 14; k++ {
			term = term.mul(u).scale(-1)
			sum = sum.add(term.div(double{-k, 0}))
		}
		return reference{sum, 0}
	case x > 80:
		return reference{double{x, 0}, 0}
	}
	y := double{max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))), 0}
	d := one.add(e.plain()).mul(refExp(y.scale(-1)).plain()).add(one.scale(-1))
	return reference{y.add(d).add(d.mul(d).scale(-0.5)), 0}
}

func refGELU(of double) reference {
	x := of.hi
	p := refNormal(x).mul(double{x, 0})
	if x > 0 {
		return reference{p, 0}
	}
	e := refBell(x)
	return reference{p.mul(e.value), e.exponent}
}

// TestDerivativesOfActivationsAreAccurate bounds the errors by those of the terms, which cancel
// where the derivative changes its sign.
func TestDerivativesOfActivationsAreAccurate(t *testing.T) {
	z := points()
	da := slices.Repeat([]float64{1}, len(z))
	plain := func(r reference) float64 { return r.plain().hi }
	functions := []struct {
		name  string
		f     func(dz []float64)
		terms func(x float64) (a, b float64) // the derivative is a + b
		ulps  func(x float64) float64        // of the larger, for the assembly
		goUlp func(x float64) float64
	}{
		{"SiLUBackward", func(dz []float64) { SiLUBackward(dz, da, z) }, func(x float64) (a, b float64) {
			s := refSigmoid(double{x, 0})
			return plain(s), plain(reference{s.value.mul(double{x, 0}).mul(refSigmoid(double{-x, 0}).plain()), s.exponent})
		}, func(float64) float64 { return 4 }, func(float64) float64 { return 6 }},
		{"GELUBackward", func(dz []float64) {
			a := make([]float64, len(z))
			GELU(a, z)
			GELUBackward(dz, da, z, a)
		}, func(x float64) (a, b float64) {
			e, p := refBell(x), refNormal(x)
			a = p.hi
			if x <= 0 {
				a = plain(reference{p.mul(e.value), e.exponent})
			}
			return a, plain(reference{e.value.mul(double{x, 0}).div(rootOf2Pi), e.exponent})
		}, func(float64) float64 { return 6 }, func(x float64) float64 { return 4 + x*x }},
	}
	for _, f := range functions {
		t.Run(f.name, func(t *testing.T) {
			type pair struct{ a, b float64 }
			want := make([]pair, len(z))
			for i, x := range z {
				want[i].a, want[i].b = f.terms(x)
			}
			each(t, func(t *testing.T) {
				bound, worst := f.ulps, 0.0
				if active == generic {
					bound = f.goUlp
				}
				dz := make([]float64, len(z))
				f.f(dz)
				for i, got := range dz {
					unit := 0x1p-52*max(math.Abs(want[i].a), math.Abs(want[i].b)) + 0x1p-1060
					off := math.Abs(got-(want[i].a+want[i].b)) / unit
					worst = max(worst, off/bound(z[i]))
					if !(off <= bound(z[i])) {
						t.Fatalf("at %v it is %v, want %v: off by %.3g ulp of a term", z[i], got, want[i].a+want[i].b, off)
					}
				}
				t.Logf("at most %.2f of the bound", worst)
			})
		})
	}
}

func TestActivationsOfSpecialValues(t *testing.T) {
	inf, nan, negZero, tiny := math.Inf(1), math.NaN(), math.Copysign(0, -1), 0x1p-1074
	x := []float64{nan, inf, -inf, 0, negZero, tiny, -tiny, 0x1p-1022, -0x1p-1000, 1e308, -1e308, -800}
	tests := []struct {
		name string
		f    func(dst, z []float64)
		want []float64
	}{
		{"LeakyReLU", func(a, z []float64) { LeakyReLU(a, z, z, 0.5) },
			[]float64{nan, inf, -inf, 0, negZero, tiny, negZero, 0x1p-1022, -0x1p-1001, 1e308, -5e307, -400}},
		{"LeakyReLU's derivative", func(dz, z []float64) { LeakyReLU(dz, []float64{8}, z, 0.5) },
			[]float64{4, 8, 4, 4, 4, 8, 4, 8, 4, 8, 4, 4}},
		{"ELU", func(a, z []float64) { ELU(a, z, 2, 1) },
			[]float64{nan, inf, -1, 0, negZero, 2 * tiny, -tiny, 0x1p-1021, -0x1p-1000, inf, -1, -1}},
		{"ELUBackward", func(dz, z []float64) { ELUBackward(dz, []float64{8}, z, 2, 1) },
			[]float64{nan, 16, 0, 8, 8, 16, 8, 16, 8, 16, 0, 0}},
		{"Softplus", Softplus,
			[]float64{nan, inf, 0, math.Ln2, math.Ln2, math.Ln2, math.Ln2, math.Ln2, math.Ln2, 1e308, 0, 0}},
		{"SiLU", func(a, z []float64) { MulSigmoid(a, z, z) },
			[]float64{nan, inf, nan, 0, negZero, 0, negZero, 0x1p-1023, -0x1p-1001, 1e308, negZero, negZero}},
		{"SiLUBackward", func(dz, z []float64) { SiLUBackward(dz, []float64{8}, z) },
			[]float64{nan, nan, nan, 4, 4, 4, 4, 4, 4, 8, negZero, negZero}},
		{"GELU", GELU,
			[]float64{nan, inf, negZero, 0, negZero, 0, negZero, 0x1p-1023, -0x1p-1001, 1e308, negZero, negZero}},
		{"GELUBackward", func(dz, z []float64) {
			a := []float64{0}
			GELU(a, z)
			GELUBackward(dz, []float64{8}, z, a)
		}, []float64{nan, nan, 0, 4, 4, 4, 4, 4, 4, 8, 0, 0}},
	}
	each(t, func(t *testing.T) {
		for _, test := range tests {
			for i, x := range x {
				got := []float64{7}
				test.f(got, []float64{x})
				near := got[0] != 0 && math.Abs(got[0]-test.want[i]) <= 0x1p-51*math.Abs(test.want[i])+0x1p-1074
				if !near && !same(got[0], test.want[i]) {
					t.Errorf("%s of %v is %v, want %v", test.name, x, got[0], test.want[i])
				}
			}
		}
	})
}

// normalizeRow sets dst[i] = (x[i]−mean[i])·scale[i] + shift[i]. dst may be any of them.
func normalizeRow(dst, x, mean, scale, shift []float64) {
	o := operands{dst: first(dst), n: len(dst), x: first(x), y: first(mean), z: first(scale), w: first(shift)}
	o.run(normalize)
}

// correlateRow adds (x[i]−xMean[i])·(y[i]−yMean[i]) to sum[i].
func correlateRow(sum, x, xMean, y, yMean []float64) {
	o := operands{dst: first(sum), n: len(sum), x: first(x), y: first(xMean), z: first(y), w: first(yMean)}
	o.run(correlate)
}

func TestArithmeticFollowsItsFormulas(t *testing.T) {
	const n = 2*piece + 100
	r := rand.New(rand.NewPCG(21, 22))
	of := func() []float64 { return draw(r, make([]float64, n), 1, n, n) }
	x, m, y, c := of(), of(), of(), of()
	y[3], y[4], y[5] = x[3], x[4]+0x1p-1074, x[5]+100
	each(t, func(t *testing.T) {
		check := func(name string, got []float64, want func(i int) float64) {
			t.Helper()
			for i, v := range got {
				if w := want(i); math.Abs(v-w) > 1e-14*max(1, math.Abs(w)) {
					t.Fatalf("%s: element %d is %v, want %v", name, i, v, w)
				}
			}
		}
		got := make([]float64, n)
		normalizeRow(got, x, m, y, c)
		check("Normalize", got, func(i int) float64 { return (x[i]-m[i])*y[i] + c[i] })
		copy(got, c)
		correlateRow(got, x, m, y, c)
		check("Correlate", got, func(i int) float64 { return c[i] + (x[i]-m[i])*(y[i]-c[i]) })
		copy(got, x)
		Scale(-3, got)
		check("Scale", got, func(i int) float64 { return -3 * x[i] })
		copy(got, x)
		Clamp(got, 0.7)
		check("Clamp", got, func(i int) float64 { return max(-0.7, min(0.7, x[i])) })
		for _, f := range []struct {
			name           string
			residual       Residual
			gradient, term func(e float64) float64
		}{
			{"Squared", Squared, func(e float64) float64 { return e }, func(e float64) float64 { return e * e }},
			{"Absolute", Absolute, func(e float64) float64 {
				if e == 0 {
					return 0
				}
				return math.Copysign(1, e)
			}, math.Abs},
			{"Huber", Huber(0.7), func(e float64) float64 { return max(-0.7, min(0.7, e)) }, func(e float64) float64 {
				if e = math.Abs(e); e > 0.7 {
					return 0.7 * (e - 0.35)
				}
				return e * e / 2
			}},
		} {
			for _, n := range []int{0, 3, 8, 20, n} {
				f.residual.Gradient(got[:n], x[:n], y[:n], 0.3)
				check(f.name, got[:n], func(i int) float64 { return 0.3 * f.gradient(x[i]-y[i]) })
				sum := 0.0
				for i := range n {
					sum += f.term(x[i] - y[i])
				}
				if got := f.residual.Sum(x[:n], y[:n]); math.Abs(got-sum) > 1e-13*sum {
					t.Errorf("%s: the sum of %d is %v, want %v", f.name, n, got, sum)
				}
			}
		}
		sum := 0.0
		for _, z := range x {
			sum += math.Log1p(math.Exp(z)) - 0.3*z
		}
		if got := LogisticLoss(x, slices.Repeat([]float64{0.3}, n)); math.Abs(got-sum) > 1e-13*sum {
			t.Errorf("the logistic loss is %v, want %v", got, sum)
		}
		got = got[:1]
		for _, e := range []float64{0x1p-1074, -0x1p-1074, 0x1p-1022, math.MaxFloat64, -math.MaxFloat64} {
			if Absolute.Gradient(got, []float64{e}, []float64{0}, 0.1); got[0] != math.Copysign(0.1, e) {
				t.Errorf("the sign of %v times 0.1 is %v", e, got[0])
			}
		}
	})
}

func TestUpdatesFollowTheirFormulas(t *testing.T) {
	const n = 2*piece + 100
	root := math.Sqrt(1 - 0.9)
	each(t, func(t *testing.T) {
		for name, s := range map[string]struct {
			momentum *MomentumStep
			rms      RMSStep
			rate     float64 // 1−α
			epsilon  float64
			m, b     bool
		}{
			"momentum":           {momentum: &MomentumStep{Mu: 0.9, Eta: 0.1}},
			"Nesterov":           {momentum: &MomentumStep{Mu: 0.9, Eta: 0.09, NesterovEta: 0.1}},
			"AdaGrad":            {rms: RMSStep{Decay: 1, Eta: 0.1, Epsilon: 1e-10}, rate: 1, epsilon: 1e-10},
			"RMSProp":            {rms: RMSStep{Decay: 0.9, Eta: 0.1 / root, Epsilon: 1e-8 / root}, rate: 1 - 0.9, epsilon: 1e-8},
			"centered, momentum": {rms: RMSStep{Decay: 0.9, Mean: root, Mu: 0.5, Eta: 0.1 / root, Epsilon: 1e-8 / root}, rate: 1 - 0.9, epsilon: 1e-8, m: true, b: true},
		} {
			r := rand.New(rand.NewPCG(23, 24))
			theta, g := draw(r, make([]float64, n), 1, n, n), make([]float64, n)
			v, m, b := make([]float64, n), make([]float64, n), make([]float64, n)
			theta1, v1, m1, b1 := slices.Clone(theta), slices.Clone(v), slices.Clone(m), slices.Clone(b)
			var mean, velocity []float64
			if s.m {
				mean = m
			}
			if s.b {
				velocity = b
			}
			for step := range 4 {
				draw(r, g, 1, n, n)
				if s.momentum != nil {
					Momentum(theta, g, v, *s.momentum)
				} else {
					RMS(theta, g, v, mean, velocity, s.rms)
				}
				for i, g := range g {
					if k := s.momentum; k != nil {
						v1[i] = k.Mu*v1[i] + g
						theta1[i] -= k.Eta*v1[i] + k.NesterovEta*g
					} else {
						v1[i] = s.rms.Decay*v1[i] + s.rate*g*g
						if s.m {
							m1[i] += s.rate * (g - m1[i])
						}
						b1[i] = s.rms.Mu*b1[i] + g/(math.Sqrt(max(0, v1[i]-m1[i]*m1[i]))+s.epsilon)
						theta1[i] -= 0.1 * b1[i]
					}
					if math.Abs(theta[i]-theta1[i]) > 1e-12*max(1, math.Abs(theta1[i])) {
						t.Fatalf("%s, step %d: parameter %d is %v, want %v", name, step, i, theta[i], theta1[i])
					}
				}
			}
		}
	})
}

// TestRMSRootIsRounded makes steps of g/√v, with a g whose square is nothing.
func TestRMSRootIsRounded(t *testing.T) {
	const g, epsilon = 0x1p-540, 0x1p-1074
	v := roots()
	each(t, func(t *testing.T) {
		theta := make([]float64, len(v))
		RMS(theta, slices.Repeat([]float64{g}, len(v)), slices.Clone(v), nil, nil, RMSStep{Decay: 1, Eta: -1, Epsilon: epsilon})
		for i, v := range v {
			if got, want := theta[i], g/(math.Sqrt(max(v, 0))+epsilon); !same(got, want) {
				t.Fatalf("g/√%x is %x, want %x", v, got, want)
			}
		}
	})
}

// TestDropoutDrawsSplitMix64 compares with the numbers of the generator's reference implementation
// for the seed 1234567 (https://prng.di.unimi.it/splitmix64.c), of which only the last step is left
// out, and then, element by element, with the generator.
func TestDropoutDrawsSplitMix64(t *testing.T) {
	key := uint64(1234567)
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		x := mix(key + uint64(i+1)*weyl)
		if got := x ^ x>>31; got != want {
			t.Errorf("number %d is %d, want %d", i, got, want)
		}
	}
	special := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(-1)}
	xs := arena(newArena(t, chunk+200))
	r := rand.New(rand.NewPCG(27, 28))
	each(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 31, 40, chunk + 100} {
			for _, rate := range []float64{0, 0.1, 0.5, 0.999, 1 - 0x1p-53} {
				x, key := xs.matrix(1, n, n), r.Uint64()
				for i := range x {
					x[i] = r.NormFloat64()
					if r.IntN(8) == 0 {
						x[i] = special[r.IntN(len(special))]
					}
				}
				for lo := 0; lo+8 <= n; lo += 24 {
					clear(x[lo : lo+8])
				}
				want := make([]float64, n)
				for i, v := range x {
					want[i] = 0 * v
					if float64(mix(key+uint64(i)*weyl)>>1) >= rate*(1<<63) {
						want[i] = v * (1 / (1 - rate))
					}
				}
				cut := n / 3
				Dropout(x[:cut], x[:cut], rate, key, 0)
				Dropout(x[cut:], x[cut:], rate, key, cut)
				for i, v := range x {
					if !same(v, want[i]) {
						t.Fatalf("rate %v: element %d of %d is %v, want %v", rate, i, n, v, want[i])
					}
				}
				if n > 0 {
					xs.check(t, "Dropout", 1, n, n)
				}
			}
		}
	})
}

// TestDropoutsNumbersAreIndependent counts, for the same and the next element and key, how often
// elements are kept and how often two are. Off by more than 5 standard deviations is a chance of
// one in a million.
func TestDropoutsNumbersAreIndependent(t *testing.T) {
	const n = 1 << 16
	ones := slices.Repeat([]float64{1}, n)
	kept := func(rate float64, key uint64) []float64 {
		x := make([]float64, n)
		Dropout(x, ones, rate, key, 0)
		Scale(1-rate, x)
		return x
	}
	for _, rate := range []float64{0.05, 0.5, 0.9} {
		keys := rand.New(rand.NewPCG(29, 30))
		for range 8 {
			key := keys.Uint64()
			x := kept(rate, key)
			check := func(name string, got, p float64) {
				t.Helper()
				if off := (got - n*p) / math.Sqrt(n*p*(1-p)); math.Abs(off) > 5 {
					t.Errorf("rate %v, %s: %v of %d, %.1f standard deviations from %v", rate, name, got, n, off, n*p)
				}
			}
			p := 1 - rate
			check("kept", math.Round(Dot(x, ones)), p)
			for name, y := range map[string][]float64{
				"the next element":      append(slices.Clone(x[1:]), x[0]),
				"another of its vector": append(slices.Clone(x[8:]), x[:8]...),
				"the next key":          kept(rate, key+1), "another key": kept(rate, keys.Uint64()),
			} {
				check("kept with "+name, math.Round(Dot(x, y)), p*p)
			}
		}
	}
}

// TestSoftmaxAndCrossEntropyFollowTheirDefinitions at widths that take each of their ways.
func TestSoftmaxAndCrossEntropyFollowTheirDefinitions(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	each(t, func(t *testing.T) {
		for _, out := range []int{2, 3, 5, 10, 31, 32, 33, 100} {
			const rows = 7
			z, y, da := make([]float64, rows*out), make([]float64, rows*out), draw(r, make([]float64, rows*out), 1, rows*out, 0)
			a, dz := make([]float64, rows*out), make([]float64, rows*out)
			loss := 0.0
			for i := range rows {
				z := draw(r, z[i*out:(i+1)*out], 1, out, 0)
				for j := range z {
					z[j] = 1000 + 200*float64(i)*z[j]
				}
				for j, share := range []float64{0.75, 0.25} { // the largest z has a share, or none
					y[i*out+(i+j*(out-1))%out] += share
				}
			}
			Softmax(a, z, out)
			for i := range rows {
				z, y := z[i*out:(i+1)*out], y[i*out:(i+1)*out]
				top, sum, dot := slices.Max(z), 0.0, 0.0
				for _, v := range z {
					sum += math.Exp(v - top)
				}
				for j, v := range z {
					want := math.Exp(v-top) / sum
					if got := a[i*out+j]; math.Abs(got-want) > 1e-15 {
						t.Fatalf("%d units: element (%d, %d) is %v, want %v", out, i, j, got, want)
					}
					dot += da[i*out+j] * want
					loss += y[j] * (top - v + math.Log(sum))
				}
				SoftmaxBackward(dz[i*out:(i+1)*out], da[i*out:(i+1)*out], a[i*out:(i+1)*out])
				for j, v := range z {
					want := math.Exp(v-top) / sum * (da[i*out+j] - dot)
					if got := dz[i*out+j]; math.Abs(got-want) > 1e-14 {
						t.Fatalf("%d units: derivative (%d, %d) is %v, want %v", out, i, j, got, want)
					}
				}
			}
			if got := CrossEntropy(z, a, y, out); math.Abs(got-loss) > 1e-13*loss {
				t.Errorf("%d units: the cross-entropy is %v, want %v", out, got, loss)
			}
			z[out+1] = math.NaN()
			if Softmax(a, z, out); !math.IsNaN(a[out]) || math.IsNaN(a[0]) {
				t.Errorf("%d units: a NaN gives %v in its row, %v in the one before", out, a[out], a[0])
			}
		}
		// A loss far smaller than the precision of 1: one z is 60 above all others.
		for _, out := range []int{3, 40} {
			z, a, y := make([]float64, out), make([]float64, out), make([]float64, out)
			z[1], y[1] = 60, 1
			Softmax(a, z, out)
			if got, want := CrossEntropy(z, a, y, out), float64(out-1)*math.Exp(-60); math.Abs(got/want-1) > 1e-14 {
				t.Errorf("%d units: the loss is %v, want %v", out, got, want)
			}
		}
	})
}
