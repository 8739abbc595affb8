package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// each runs a test with every implementation that this machine has.
func each(t *testing.T, test func(t *testing.T)) {
	best := active
	t.Cleanup(func() { active = best })
	for _, active = range supported {
		t.Run(active.String(), test)
	}
}

// guard is what lies before and between the rows of every buffer.
var guard = math.Float64frombits(0x7ff8_0000_dead_beef)

// arena hands out matrices that end where its memory ends, at a page that must not be touched.
type arena []float64

// matrix returns room for rows×cols of stride ld, full of guards.
func (a arena) matrix(rows, cols, ld int) []float64 {
	size := max(0, (rows-1)*ld+cols)
	for i := range min(size+64, len(a)) {
		a[len(a)-1-i] = guard
	}
	return a[len(a)-size:]
}

// check fails if a guard before the matrix or between its rows is gone.
func (a arena) check(t *testing.T, name string, rows, cols, ld int) {
	t.Helper()
	size := (rows-1)*ld + cols
	start := len(a) - size
	for i := range a {
		inside := i >= start && (i-start)%ld < cols
		if i >= start-64 && !inside && math.Float64bits(a[i]) != math.Float64bits(guard) {
			t.Fatalf("%s: element %d of the slice, outside the %d×%d matrix of stride %d, was written", name, i-start, rows, cols, ld)
		}
	}
}

// thin sets about half of a matrix to zero, of either sign, and some rows and columns whole.
func thin(r *rand.Rand, x []float64, rows, cols, ld int) {
	for i := range rows {
		for j := range cols {
			switch {
			case i%9 == 4 || j%9 == 4 || r.IntN(4) == 0:
				x[i*ld+j] = 0
			case r.IntN(4) == 0:
				x[i*ld+j] = math.Copysign(0, -1)
			}
		}
	}
}

// view is the rows×cols matrix of stride ld in x.
func view(x []float64, ld, rows, cols int) *Matrix { return &Matrix{rows, cols, x, ld} }

// draw fills a matrix with normal numbers.
func draw(r *rand.Rand, x []float64, rows, cols, ld int) []float64 {
	for i := range rows {
		for j := range cols {
			x[i*ld+j] = r.NormFloat64()
		}
	}
	return x
}

// same reports whether a and b are the same number to the bit, any NaN being like another.
func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b
}

// chain is the definition of an element of a product: acc + Σ a·b, fused and in order.
func chain(acc float64, k int, a func(l int) float64, b func(l int) float64) float64 {
	for l := range k {
		acc = math.FMA(a(l), b(l), acc)
	}
	return acc
}

// agrees reports whether an element of a product is the chain: exactly, but for the generic
// version, which rounds each product, within the bound for the sum's rounding in whatever order.
func agrees(got, want float64, k int, magnitude float64) bool {
	if active != generic {
		return same(got, want)
	}
	return same(got, want) || math.Abs(got-want) <= float64(2*k+2)*0x1p-53*magnitude
}

type product struct {
	name string
	// shapes of C, A, B and the summed dimension, from m×n×k
	a, b func(m, n, k int) (rows, cols int)
	at   func(a []float64, ld, i, l int) float64
	bt   func(b []float64, ld, l, j int) float64
	bias bool
	run  func(c []float64, ldc int, a []float64, lda int, b []float64, ldb int, bias []float64, m, n, k int)
}

func rowMajor(x []float64, ld, i, j int) float64   { return x[i*ld+j] }
func transposed(x []float64, ld, i, j int) float64 { return x[j*ld+i] }

var products = []product{
	{
		name: "Affine",
		a:    func(m, n, k int) (int, int) { return m, k },
		b:    func(m, n, k int) (int, int) { return n, k },
		at:   rowMajor, bt: transposed, bias: true,
		run: func(c []float64, ldc int, a []float64, lda int, b []float64, ldb int, bias []float64, m, n, k int) {
			Affine(view(c, ldc, m, n), view(a, lda, m, k), view(b, ldb, n, k), bias)
		},
	},
	{
		name: "MulTN",
		a:    func(m, n, k int) (int, int) { return k, m },
		b:    func(m, n, k int) (int, int) { return k, n },
		at:   transposed, bt: rowMajor,
		run: func(c []float64, ldc int, a []float64, lda int, b []float64, ldb int, _ []float64, m, n, k int) {
			MulTN(view(c, ldc, m, n), view(a, lda, k, m), view(b, ldb, k, n))
		},
	},
	{
		name: "MulNN",
		a:    func(m, n, k int) (int, int) { return m, k },
		b:    func(m, n, k int) (int, int) { return k, n },
		at:   rowMajor, bt: rowMajor,
		run: func(c []float64, ldc int, a []float64, lda int, b []float64, ldb int, _ []float64, m, n, k int) {
			MulNN(view(c, ldc, m, n), view(a, lda, m, k), view(b, ldb, k, n))
		},
	},
}

// TestProductsAreOrderedFMAChains compares every element with its definition, at all sizes around
// the tiles', and where a product might be computed without the zeros of its left operand, of one
// that has many.
func TestProductsAreOrderedFMAChains(t *testing.T) {
	var shapes [][3]int
	for m := 1; m <= 18; m++ {
		for n := 1; n <= 27; n++ {
			shapes = append(shapes, [3]int{m, n, 1 + (3*m+5*n)%11})
		}
	}
	for k := 1; k <= 20; k++ {
		shapes = append(shapes, [3]int{1, 21, k}, [3]int{2, 10, k}, [3]int{9, 10, k}, [3]int{4, 4, k})
	}
	for n := 28; n <= 50; n++ {
		shapes = append(shapes, [3]int{1, n, 6}, [3]int{5, n, 9})
	}
	shapes = append(shapes, [3]int{300, 13, 40}, [3]int{12, 50, 300}, [3]int{33, 65, 513}, [3]int{64, 128, 10}, [3]int{520, 5, 257}, [3]int{1, 18, 9001},
		[3]int{40, 10, 128}, [3]int{33, 10, 516}, [3]int{37, 15, 12}, [3]int{16, 5, 1028}, [3]int{7, 37, 256}, [3]int{130, 40, 515},
		[3]int{130, 257, 65}, [3]int{64, 257, 256}, [3]int{390, 516, 67}, [3]int{260, 514, 516}, [3]int{67, 516, 11}, [3]int{515, 260, 70})
	dense := len(shapes)
	for n := 25; n <= 66; n++ {
		shapes = append(shapes, [3]int{32 + n%3, n, 16 + 7*n%60})
	}
	shapes = append(shapes, [3]int{130, 257, 65}, [3]int{64, 257, 256}, [3]int{390, 516, 67}, [3]int{260, 514, 516}, [3]int{33, 65, 513}, [3]int{32, 130, 1100})
	terms := 100000
	if testing.Short() {
		terms /= 8
	}
	ca, aa, ba, za := newArena(t, 1<<18), newArena(t, 1<<18), newArena(t, 1<<19), newArena(t, 1<<10)
	each(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, p := range products {
			for number, s := range shapes {
				m, n, k := s[0], s[1], s[2]
				odd := number % 3 * 3
				ar, ac := p.a(m, n, k)
				br, bc := p.b(m, n, k)
				ldc, lda, ldb := n+odd, ac+odd, bc+odd
				c := arena(ca).matrix(m, n, ldc)
				a := draw(r, arena(aa).matrix(ar, ac, lda), ar, ac, lda)
				b := draw(r, arena(ba).matrix(br, bc, ldb), br, bc, ldb)
				if number >= dense {
					thin(r, a, ar, ac, lda)
				}
				var bias []float64
				if p.bias && number%2 == 0 {
					bias = draw(r, arena(za).matrix(1, n, n), 1, n, n)
				}
				p.run(c, ldc, a, lda, b, ldb, bias, m, n, k)
				name := fmt.Sprintf("%s %d×%d×%d", p.name, m, n, k)
				arena(ca).check(t, name, m, n, ldc)
				every := 1 + m*n*k/terms // of the large ones only the edges and a sample
				for i := range m {
					for j := range n {
						if i < m-1 && j < n-1 && (31*i+j)%every != 0 {
							continue
						}
						var start, magnitude float64
						if bias != nil {
							start = bias[j]
						}
						want := chain(start, k, func(l int) float64 { return p.at(a, lda, i, l) }, func(l int) float64 { return p.bt(b, ldb, l, j) })
						if active == generic {
							magnitude = math.Abs(start)
							for l := range k {
								magnitude += math.Abs(p.at(a, lda, i, l) * p.bt(b, ldb, l, j))
							}
						}
						if got := c[i*ldc+j]; !agrees(got, want, k, magnitude) {
							t.Fatalf("%s: element (%d, %d) = %v, want %v", name, i, j, got, want)
						}
					}
				}
			}
		}
	})
}

// TestSplittingKeepsBits computes products whole, by rows and, for Z, by columns.
func TestSplittingKeepsBits(t *testing.T) {
	const n, in, out = 70, 37, 150
	r := rand.New(rand.NewPCG(16, 17))
	x, w := draw(r, make([]float64, n*in), n, in, in), draw(r, make([]float64, out*in), out, in, in)
	dz, b := draw(r, make([]float64, n*out), n, out, out), draw(r, make([]float64, out), 1, out, out)
	equal := func(t *testing.T, name string, got, want []float64) {
		t.Helper()
		for i := range got {
			if !same(got[i], want[i]) {
				t.Fatalf("%s: element %d is %v, whole %v", name, i, got[i], want[i])
			}
		}
	}
	each(t, func(t *testing.T) {
		z, dw, dx := make([]float64, n*out), make([]float64, out*in), make([]float64, n*in)
		Affine(view(z, out, n, out), view(x, in, n, in), view(w, in, out, in), b)
		MulTN(view(dw, in, out, in), view(dz, out, n, out), view(x, in, n, in))
		MulNN(view(dx, in, n, in), view(dz, out, n, out), view(w, in, out, in))
		for _, step := range []int{1, 3, 16, 35, 64} {
			got := make([]float64, n*out)
			for i := 0; i < n; i += step {
				Affine(view(got[i*out:], out, min(step, n-i), out), view(x[i*in:], in, min(step, n-i), in), view(w, in, out, in), b)
			}
			equal(t, "Affine by rows", got, z)
			clear(got)
			for j := 0; j < out; j += step {
				nj := min(step, out-j)
				Affine(view(got[j:], out, n, nj), view(x, in, n, in), view(w[j*in:], in, nj, in), b[j:j+nj])
			}
			equal(t, "Affine by columns", got, z)
			got = make([]float64, out*in)
			for j := 0; j < out; j += step {
				MulTN(view(got[j*in:], in, min(step, out-j), in), view(dz[j:], out, n, min(step, out-j)), view(x, in, n, in))
			}
			equal(t, "MulTN", got, dw)
			got = make([]float64, n*in)
			for i := 0; i < n; i += step {
				MulNN(view(got[i*in:], in, min(step, n-i), in), view(dz[i*out:], out, min(step, n-i), out), view(w, in, out, in))
			}
			equal(t, "MulNN", got, dx)
		}
	})
}

// TestProductsOfSpecialValues puts NaN, ±Inf, −0, subnormals and zeros everywhere: a zero factor
// must not hide a NaN or an Inf.
func TestProductsOfSpecialValues(t *testing.T) {
	special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0, 0x1p-1074, -0x1p-1060, math.MaxFloat64, 1, -1}
	const m, n, k = 9, 26, 3
	each(t, func(t *testing.T) {
		for _, p := range products {
			for round := range 200 {
				r := rand.New(rand.NewPCG(uint64(round), 13))
				a, b, c := make([]float64, m*k), make([]float64, n*k), make([]float64, m*n)
				for _, x := range [][]float64{a, b} {
					for i := range x {
						x[i] = r.NormFloat64()
						if r.IntN(8) == 0 {
							x[i] = special[r.IntN(len(special))]
						}
					}
				}
				_, lda := p.a(m, n, k)
				_, ldb := p.b(m, n, k)
				p.run(c, n, a, lda, b, ldb, nil, m, n, k)
				for i := range m {
					for j := range n {
						at := func(l int) float64 { return p.at(a, lda, i, l) }
						bt := func(l int) float64 { return p.bt(b, ldb, l, j) }
						want, got := chain(0, k, at, bt), c[i*n+j]
						right := same(got, want)
						if active == generic && !right {
							// Each product may be rounded, and be infinite where a chain is
							// not, or the compiler may fuse it with the sum.
							rounded := 0.0
							for l := range k {
								rounded += float64(at(l) * bt(l))
							}
							near := func(want float64) bool {
								return same(got, want) || math.Abs(got-want) <= 1e-14*math.Min(math.Abs(want), math.MaxFloat64)+1e-14
							}
							right = near(want) || near(rounded)
						}
						if !right {
							t.Fatalf("%s: element (%d, %d) = %v, want %v", p.name, i, j, got, want)
						}
					}
				}
			}
		}
	})
}

// TestZerosOfTheLeftOperandHideNothing has operands whose products differ, if only in the sign of a
// zero, when the zeros of the left one are passed over.
func TestZerosOfTheLeftOperandHideNothing(t *testing.T) {
	const m, n, k = 40, 70, 150
	scale := func(x []float64, exponent int) {
		for i := range x {
			x[i] = math.Ldexp(x[i], exponent)
		}
	}
	spoil := func(v float64) func(r *rand.Rand, a, b, bias []float64) {
		return func(r *rand.Rand, a, b, bias []float64) { b[r.IntN(len(b))] = v }
	}
	cases := map[string]func(r *rand.Rand, a, b, bias []float64){
		"NaN":             spoil(math.NaN()),
		"infinity":        spoil(math.Inf(-1)),
		"subnormal":       spoil(0x1p-1060),
		"NaN on the left": func(r *rand.Rand, a, b, bias []float64) { a[r.IntN(len(a))] = math.NaN() },
		"vanishing terms": func(r *rand.Rand, a, b, bias []float64) { scale(a, -500); scale(b, -590); clear(bias) },
		// What is left of 1 + 2⁻³⁷ + 2⁻⁷⁶ and the rounded sum of the first two, times
		// 2⁻¹⁰⁰⁰, is rounded to −0.
		"vanishing digits": func(r *rand.Rand, a, b, bias []float64) {
			for i, v := range a {
				if v != 0 {
					a[i] = math.Copysign(1+0x1p-38, v)
				}
			}
			for i := range b {
				b[i] = 0x1p-1000 * (1 + 0x1p-38)
			}
			clear(bias)
		},
		"a bias of −0": func(r *rand.Rand, a, b, bias []float64) {
			for i := range bias {
				bias[i] = math.Copysign(0, -1)
			}
		},
		"nothing": func(r *rand.Rand, a, b, bias []float64) { clear(a) },
	}
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	each(t, func(t *testing.T) {
		if active == generic {
			t.Skip("sums as gonum does")
		}
		for name, prepare := range cases {
			for _, p := range products {
				for round := range rounds {
					r := rand.New(rand.NewPCG(uint64(round), 19))
					ar, lda := p.a(m, n, k)
					br, ldb := p.b(m, n, k)
					a, b, bias, c := make([]float64, m*k), make([]float64, n*k), make([]float64, n), make([]float64, m*n)
					draw(r, a, ar, lda, lda)
					thin(r, a, ar, lda, lda)
					draw(r, b, br, ldb, ldb)
					draw(r, bias, 1, n, n)
					prepare(r, a, b, bias)
					p.run(c, n, a, lda, b, ldb, bias, m, n, k)
					for i := range m {
						for j := range n {
							start := 0.0
							if p.bias {
								start = bias[j]
							}
							want := chain(start, k, func(l int) float64 { return p.at(a, lda, i, l) }, func(l int) float64 { return p.bt(b, ldb, l, j) })
							if got := c[i*n+j]; !same(got, want) {
								t.Fatalf("%s, %s: element (%d, %d) = %v, want %v", p.name, name, i, j, got, want)
							}
						}
					}
				}
			}
		}
	})
}

func TestSumRowsAddsInOrder(t *testing.T) {
	da, ba := arena(newArena(t, 1<<15)), arena(newArena(t, 256))
	each(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(14, 15))
		for _, n := range []int{0, 1, 2, 7, 600} {
			for out := 1; out <= 50; out++ {
				ld := out + n%2
				dz, db := draw(r, da.matrix(n, out, ld), n, out, ld), ba.matrix(1, out, out)
				SumRows(db, view(dz, ld, n, out))
				ba.check(t, "SumRows", 1, out, out)
				for j := range out {
					var want float64
					for i := range n {
						want += dz[i*ld+j]
					}
					if !same(db[j], want) {
						t.Fatalf("%d rows: sum %d of %d is %v, want %v", n, j, out, db[j], want)
					}
				}
			}
		}
	})
}

// TestProductsWithoutTerms gives sums over nothing: the bias, or zero.
func TestProductsWithoutTerms(t *testing.T) {
	each(t, func(t *testing.T) {
		z := []float64{7, 7, 7, 7}
		Affine(view(z, 2, 2, 2), view(nil, 0, 2, 0), view(nil, 0, 2, 0), []float64{1, 2})
		if z[0] != 1 || z[1] != 2 || z[2] != 1 || z[3] != 2 {
			t.Errorf("bias alone gives %v", z)
		}
		MulNN(view(z, 2, 2, 2), view(nil, 0, 2, 0), view(nil, 2, 0, 2))
		if z[0] != 0 || z[3] != 0 {
			t.Errorf("no terms give %v, want zeros", z)
		}
		wide := make([]float64, 3*200)
		for _, run := range []func(){
			func() { MulNN(view(wide, 200, 3, 200), view(nil, 0, 3, 0), view(nil, 200, 0, 200)) },
			func() { MulTN(view(wide, 200, 3, 200), view(nil, 3, 0, 3), view(nil, 200, 0, 200)) },
		} {
			wide[0], wide[599] = 7, 7
			if run(); wide[0] != 0 || wide[599] != 0 {
				t.Errorf("no terms of 200 columns give %v and %v, want zeros", wide[0], wide[599])
			}
		}
		Affine(view(nil, 2, 0, 2), view(nil, 3, 0, 1), view(z, 1, 2, 1), nil)
		MulTN(view(nil, 2, 0, 2), view(nil, 0, 2, 0), view(z, 2, 2, 2))
	})
}

// TestImpossibleSizesPanic before anything is written.
func TestImpossibleSizesPanic(t *testing.T) {
	x := func(n int) []float64 { return make([]float64, n) }
	const huge = math.MaxInt / 2
	calls := map[string]func(){
		"short z":        func() { Affine(view(x(5), 3, 2, 3), view(x(4), 2, 2, 2), view(x(6), 2, 3, 2), x(3)) },
		"short x":        func() { Affine(view(x(6), 3, 2, 3), view(x(3), 2, 2, 2), view(x(6), 2, 3, 2), x(3)) },
		"short w":        func() { Affine(view(x(6), 3, 2, 3), view(x(4), 2, 2, 2), view(x(5), 2, 3, 2), x(3)) },
		"short bias":     func() { Affine(view(x(6), 3, 2, 3), view(x(4), 2, 2, 2), view(x(6), 2, 3, 2), x(2)) },
		"short dw":       func() { MulTN(view(x(5), 2, 3, 2), view(x(6), 3, 2, 3), view(x(4), 2, 2, 2)) },
		"short dx":       func() { MulNN(view(x(3), 2, 2, 2), view(x(6), 3, 2, 3), view(x(6), 2, 3, 2)) },
		"narrow stride":  func() { MulNN(view(x(9), 1, 2, 2), view(x(9), 3, 2, 3), view(x(9), 2, 3, 2)) },
		"negative size":  func() { MulNN(view(x(9), 2, -2, 2), view(x(9), 3, -2, 3), view(x(9), 2, 3, 2)) },
		"negative cols":  func() { MulNN(view(x(9), 2, 2, -1), view(x(9), 3, 2, 3), view(x(9), 2, 3, -1)) },
		"other N":        func() { Affine(view(x(6), 3, 2, 3), view(x(6), 2, 3, 2), view(x(6), 2, 3, 2), x(3)) },
		"other in":       func() { MulTN(view(x(6), 2, 3, 2), view(x(6), 3, 2, 3), view(x(6), 3, 2, 3)) },
		"other out":      func() { MulNN(view(x(4), 2, 2, 2), view(x(4), 2, 2, 2), view(x(6), 2, 3, 2)) },
		"overflow":       func() { MulNN(view(x(9), huge, huge, 2), view(x(9), 3, huge, 3), view(x(9), 2, 3, 2)) },
		"negative ld":    func() { MulNN(view(x(9), -4, 2, 2), view(x(9), 3, 2, 3), view(x(9), 2, 3, 2)) },
		"short db":       func() { SumRows(x(2), view(x(9), 3, 3, 3)) },
		"short src":      func() { Exp(x(3), x(2)) },
		"short da":       func() { TanhBackward(x(3), x(2), x(3), x(3)) },
		"short gradient": func() { Adam(x(3), x(2), x(3), x(3), AdamStep{}) },
		"short y":        func() { Dot(x(3), x(2)) },
		"capacity":       func() { Exp(x(3), x(9)[:2]) },
		"bias capacity":  func() { Affine(view(x(6), 3, 2, 3), view(x(4), 2, 2, 2), view(x(6), 2, 3, 2), x(3)[:2]) },
	}
	each(t, func(t *testing.T) {
		for name, call := range calls {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s does not panic", name)
					}
				}()
				call()
			}()
		}
	})
}

// TestLengthsAndShapesMustAgree makes each operand of each function in turn too short and too long,
// and each matrix too small for its shape and of another shape.
func TestLengthsAndShapesMustAgree(t *testing.T) {
	panics := func(f func()) (p bool) {
		defer func() { p = recover() != nil }()
		f()
		return
	}
	vectors := []struct {
		name  string
		count int
		run   func(x [][]float64)
	}{
		{"Exp", 2, func(x [][]float64) { Exp(x[0], x[1]) }},
		{"Sigmoid", 2, func(x [][]float64) { Sigmoid(x[0], x[1]) }},
		{"SigmoidBackward", 4, func(x [][]float64) { SigmoidBackward(x[0], x[1], x[2], x[3]) }},
		{"Tanh", 2, func(x [][]float64) { Tanh(x[0], x[1]) }},
		{"TanhBackward", 4, func(x [][]float64) { TanhBackward(x[0], x[1], x[2], x[3]) }},
		{"ReLU", 2, func(x [][]float64) { ReLU(x[0], x[1]) }},
		{"ReLUBackward", 3, func(x [][]float64) { ReLUBackward(x[0], x[1], x[2]) }},
		{"Adam", 4, func(x [][]float64) { Adam(x[0], x[1], x[2], x[3], AdamStep{}) }},
		{"Axpy", 2, func(x [][]float64) { Axpy(1, x[0], x[1]) }},
		{"LeakyReLU", 3, func(x [][]float64) { LeakyReLU(x[0], x[1], x[2], 1) }},
		{"ELU", 2, func(x [][]float64) { ELU(x[0], x[1], 1, 1) }},
		{"ELUBackward", 3, func(x [][]float64) { ELUBackward(x[0], x[1], x[2], 1, 1) }},
		{"MulSigmoid", 3, func(x [][]float64) { MulSigmoid(x[0], x[1], x[2]) }},
		{"SiLUBackward", 3, func(x [][]float64) { SiLUBackward(x[0], x[1], x[2]) }},
		{"Softplus", 2, func(x [][]float64) { Softplus(x[0], x[1]) }},
		{"LogisticLoss", 2, func(x [][]float64) { LogisticLoss(x[0], x[1]) }},
		{"GELU", 2, func(x [][]float64) { GELU(x[0], x[1]) }},
		{"GELUBackward", 4, func(x [][]float64) { GELUBackward(x[0], x[1], x[2], x[3]) }},
		{"Dropout", 2, func(x [][]float64) { Dropout(x[0], x[1], 0.5, 1, 0) }},
		{"Residual.Gradient", 3, func(x [][]float64) { Squared.Gradient(x[0], x[1], x[2], 1) }},
		{"Residual.Sum", 2, func(x [][]float64) { Squared.Sum(x[0], x[1]) }},
		{"Momentum", 3, func(x [][]float64) { Momentum(x[0], x[1], x[2], MomentumStep{}) }},
		{"RMS", 5, func(x [][]float64) { RMS(x[0], x[1], x[2], x[3], x[4], RMSStep{}) }},
		{"Dot", 2, func(x [][]float64) { Dot(x[0], x[1]) }},
		{"NormalizeRows", 3, func(x [][]float64) {
			m := view(make([]float64, 2*40), 40, 2, 40)
			NormalizeRows(m, m, x[0], x[1], x[2])
		}},
		{"CorrelateRows", 3, func(x [][]float64) {
			m := view(make([]float64, 2*40), 40, 2, 40)
			CorrelateRows(x[0], m, x[1], m, x[2])
		}},
		{"DetrendRows", 6, func(x [][]float64) {
			m := view(make([]float64, 2*40), 40, 2, 40)
			DetrendRows(m, m, x[0], x[1], x[2], x[3], x[4], x[5])
		}},
		{"SumRows", 1, func(x [][]float64) { SumRows(x[0], view(make([]float64, 2*40), 40, 2, 40)) }},
		{"Affine", 1, func(x [][]float64) {
			Affine(view(make([]float64, 2*40), 40, 2, 40), view(make([]float64, 2), 1, 2, 1), view(make([]float64, 40), 1, 40, 1), x[0])
		}},
	}
	// Of the right shapes for 5 samples, 6 inputs and 7 units: the result, the left and the
	// right operand.
	matrices := []struct {
		name  string
		sizes [3][2]int
		run   func(c, a, b *Matrix)
	}{
		{"Affine", [3][2]int{{5, 7}, {5, 6}, {7, 6}}, func(c, a, b *Matrix) { Affine(c, a, b, nil) }},
		{"MulTN", [3][2]int{{7, 6}, {5, 7}, {5, 6}}, MulTN},
		{"MulNN", [3][2]int{{5, 6}, {5, 7}, {7, 6}}, MulNN},
		{"SumRows", [3][2]int{{0, 0}, {0, 0}, {5, 7}}, func(c, a, b *Matrix) { SumRows(make([]float64, 7), b) }},
		{"NormalizeRows", [3][2]int{{5, 7}, {5, 7}, {0, 0}}, func(c, a, b *Matrix) {
			NormalizeRows(c, a, make([]float64, 7), make([]float64, 7), make([]float64, 7))
		}},
		{"CorrelateRows", [3][2]int{{0, 0}, {5, 7}, {5, 7}}, func(c, a, b *Matrix) {
			CorrelateRows(make([]float64, 7), a, make([]float64, 7), b, make([]float64, 7))
		}},
		{"DetrendRows", [3][2]int{{5, 7}, {5, 7}, {0, 0}}, func(c, a, b *Matrix) {
			v := make([]float64, 7)
			DetrendRows(c, a, v, v, v, v, v, v)
		}},
	}
	each(t, func(t *testing.T) {
		for _, f := range vectors {
			const n = 40
			for odd := range f.count {
				for _, length := range []int{n - 1, n, n + 1} {
					x := make([][]float64, f.count)
					for i := range x {
						x[i] = make([]float64, n, n+1)
					}
					x[odd] = make([]float64, length, n+1)
					if got, want := panics(func() { f.run(x) }), length != n; got != want {
						t.Errorf("%s: slice %d has %d elements, the others %d: panics is %v, want %v", f.name, odd, length, n, got, want)
					}
				}
			}
		}
		for _, f := range matrices {
			for odd, size := range f.sizes {
				rows, cols := size[0], size[1]
				if rows == 0 {
					continue
				}
				memory := make([]float64, 100)
				for name, m := range map[string]Matrix{
					"nothing":        {rows, cols, memory[:rows*cols], cols},
					"a short slice":  {rows, cols, memory[:rows*cols-1], cols},
					"a short stride": {rows, cols, memory, cols - 1},
					"fewer rows":     {rows - 1, cols, memory, cols},
					"more rows":      {rows + 1, cols, memory, cols},
					"fewer columns":  {rows, cols - 1, memory, cols},
					"more columns":   {rows, cols + 1, memory, cols + 1},
				} {
					var operands [3]Matrix
					for i, size := range f.sizes {
						operands[i] = Matrix{size[0], size[1], make([]float64, size[0]*size[1]), size[1]}
					}
					operands[odd] = m
					want := name != "nothing" && (f.name != "SumRows" || name != "fewer rows" && name != "more rows")
					if got := panics(func() { f.run(&operands[0], &operands[1], &operands[2]) }); got != want {
						t.Errorf("%s: %s in operand %d: panics is %v, want %v", f.name, name, odd, got, want)
					}
				}
			}
		}
	})
}

func TestRowsHaveTheBitsOfOneAtATime(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	each(t, func(t *testing.T) {
		for _, cols := range []int{1, 3, 8, 37, chunk + 5} {
			random := func(rows, ld int) *Matrix {
				return view(draw(r, make([]float64, rows*ld), rows, cols, ld), ld, rows, cols)
			}
			x, y, v := random(4, cols+2), random(4, cols), random(4, cols)
			wantA, a := random(4, cols), random(4, cols+3)
			wantSum, sum := make([]float64, cols), random(1, cols).Row(0)
			wantDZ, dz := random(4, cols), random(4, cols+1)
			row, zero := make([]float64, cols), make([]float64, cols)
			for i := range 4 {
				copy(dz.Row(i), wantDZ.Row(i))
				normalizeRow(wantA.Row(i), x.Row(i), v.Row(0), v.Row(1), v.Row(2))
				correlateRow(wantSum, x.Row(i), v.Row(0), y.Row(i), v.Row(1))
				normalizeRow(row, x.Row(i), v.Row(0), v.Row(1), v.Row(2))
				normalizeRow(wantDZ.Row(i), wantDZ.Row(i), row, v.Row(3), zero)
			}
			NormalizeRows(a, x, v.Row(0), v.Row(1), v.Row(2))
			CorrelateRows(sum, x, v.Row(0), y, v.Row(1))
			DetrendRows(dz, x, v.Row(0), v.Row(1), v.Row(2), v.Row(3), row, zero)
			if !slices.Equal(sum, wantSum) {
				t.Errorf("%d columns: CorrelateRows differs", cols)
			}
			for i := range 4 {
				if !slices.Equal(a.Row(i), wantA.Row(i)) || !slices.Equal(dz.Row(i), wantDZ.Row(i)) {
					t.Errorf("%d columns: row %d of NormalizeRows or DetrendRows differs", cols, i)
				}
			}
		}
	})
}

func TestPartsOfAMatrixShareItsMemory(t *testing.T) {
	m := Matrix{4, 3, make([]float64, 3*5+3), 5}
	for i := range m.Data {
		m.Data[i] = float64(i)
	}
	at := func(m Matrix, i, j int) *float64 { return &m.Data[i*m.Stride+j] }
	for i := range m.Rows {
		row := m.Row(i)
		if len(row) != 3 || cap(row) != 3 || &row[0] != at(m, i, 0) {
			t.Errorf("row %d is %v of capacity %d", i, row, cap(row))
		}
	}
	if s := m.Slice(1, 3); s.Rows != 2 || s.Cols != 3 || at(s, 0, 0) != at(m, 1, 0) || at(s, 1, 2) != at(m, 2, 2) || len(s.Data) != 5+3 {
		t.Errorf("rows 1 to 3 are %v", s)
	}
	if c := m.Column(1); !slices.Equal(c, []float64{1, 6, 11, 16}) {
		t.Errorf("column 1 is %v", c)
	}
	if s := m.Columns(1, 3); s.Rows != 4 || s.Cols != 2 || at(s, 0, 0) != at(m, 0, 1) || at(s, 3, 1) != at(m, 3, 2) {
		t.Errorf("columns 1 to 3 are %v", s)
	}
	s := m.Slice(2, 4)
	s.Check(2, 3)
	s = m.Columns(2, 3)
	s.Check(4, 1)
}

func TestNothingIsAllocated(t *testing.T) {
	x, w, z := make([]float64, 64*50), make([]float64, 30*50), make([]float64, 64*30)
	x0, z0 := x, z
	each(t, func(t *testing.T) {
		if n := testing.AllocsPerRun(20, func() {
			Affine(view(z, 30, 64, 30), view(x, 50, 64, 50), view(w, 50, 30, 50), nil)
			MulTN(view(w, 50, 30, 50), view(z, 30, 64, 30), view(x, 50, 64, 50))
			MulNN(view(x, 50, 64, 50), view(z, 30, 64, 30), view(w, 50, 30, 50))
			SumRows(w[:30], view(z, 30, 64, 30))
			Tanh(z, z)
			Adam(x, x, x, x, AdamStep{})
			Dot(x, x)
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
		if n := testing.AllocsPerRun(20, func() {
			var x, y, z, a [40]float64 // stay on the stack
			Exp(x[:], z[:])
			Sigmoid(a[:], z[:])
			SigmoidBackward(x[:], y[:], z[:], a[:])
			Tanh(a[:], z[:])
			TanhBackward(x[:], y[:], z[:], a[:])
			ReLU(a[:], z[:])
			ReLUBackward(x[:], y[:], z[:])
			Axpy(1, x[:], y[:])
			Adam(x[:], y[:], z[:], a[:], AdamStep{})
			Dot(x[:], y[:])
			Finite(x[:])
			LeakyReLU(a[:], z[:], z[:], 1)
			ELU(a[:], z[:], 1, 1)
			GELUBackward(x[:], y[:], z[:], a[:])
			normalizeRow(x[:], y[:], z[:], a[:], a[:])
			m := Matrix{1, len(x), x[:], len(x)}
			NormalizeRows(&m, &m, y[:], z[:], a[:])
			CorrelateRows(a[:], &m, y[:], &m, z[:])
			DetrendRows(&m, &m, y[:], z[:], y[:], z[:], a[:], z[:])
			Dropout(a[:], z[:], 0.5, 1, 0)
			Absolute.Gradient(x[:], y[:], z[:], 1)
			Absolute.Sum(x[:], y[:])
			Momentum(x[:], y[:], z[:], MomentumStep{})
			RMS(x[:], y[:], z[:], a[:], nil, RMSStep{})
			Affine(view(z0, 30, 64, 30), view(x0, 50, 64, 50), view(w, 50, 30, 50), a[:30])
		}); n != 0 {
			t.Errorf("%v allocations of small arrays", n)
		}
	})
}
