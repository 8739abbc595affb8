package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// each runs a test with every implementation that this machine has.
func each(t *testing.T, test func(t *testing.T)) {
	best := active
	t.Cleanup(func() { active = best })
	for _, active = range implementations {
		t.Run(active.name, test)
	}
}

// guard is what lies before and between the rows of every buffer.
var guard = math.Float64frombits(0x7ff8_0000_dead_beef)

// arena hands out matrices that end where its memory ends, at a page that must not be touched.
type arena []float64

// matrix returns room for rows×cols of stride ld, full of guards.
func (a arena) matrix(rows, cols, ld int) []float64 {
	size := (rows-1)*ld + cols
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

// agrees reports whether an element of a product is the chain: exactly, but for the generic version, which rounds each product, within
// the bound for the sum's rounding in whatever order.
func agrees(got, want float64, k int, magnitude float64) bool {
	if active != &generic {
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
			Affine(c, ldc, a, lda, b, ldb, bias, m, k, n)
		},
	},
	{
		name: "MulTN",
		a:    func(m, n, k int) (int, int) { return k, m },
		b:    func(m, n, k int) (int, int) { return k, n },
		at:   transposed, bt: rowMajor,
		run: func(c []float64, ldc int, a []float64, lda int, b []float64, ldb int, _ []float64, m, n, k int) {
			MulTN(c, ldc, a, lda, b, ldb, m, n, k)
		},
	},
	{
		name: "MulNN",
		a:    func(m, n, k int) (int, int) { return m, k },
		b:    func(m, n, k int) (int, int) { return k, n },
		at:   rowMajor, bt: rowMajor,
		run: func(c []float64, ldc int, a []float64, lda int, b []float64, ldb int, _ []float64, m, n, k int) {
			MulNN(c, ldc, a, lda, b, ldb, m, n, k)
		},
	},
}

// TestProductsAreOrderedFMAChains compares every element with its definition, at all sizes around the tiles'.
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
	shapes = append(shapes, [3]int{300, 13, 40}, [3]int{12, 50, 300}, [3]int{33, 65, 513}, [3]int{64, 128, 10}, [3]int{520, 5, 257}, [3]int{1, 11, 9001})
	ca, aa, ba, za := newArena(t, 1<<15), newArena(t, 1<<18), newArena(t, 1<<18), newArena(t, 256)
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
				var bias []float64
				if p.bias && number%2 == 0 {
					bias = draw(r, arena(za).matrix(1, n, n), 1, n, n)
				}
				p.run(c, ldc, a, lda, b, ldb, bias, m, n, k)
				name := fmt.Sprintf("%s %d×%d×%d", p.name, m, n, k)
				arena(ca).check(t, name, m, n, ldc)
				for i := range m {
					for j := range n {
						var start, magnitude float64
						if bias != nil {
							start = bias[j]
						}
						want := chain(start, k, func(l int) float64 { return p.at(a, lda, i, l) }, func(l int) float64 { return p.bt(b, ldb, l, j) })
						if active == &generic {
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
