//go:build amd64 && !purego

package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestManyZerosArePassedOver, but not few, and not in a product too small to gain by it.
func TestManyZerosArePassedOver(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	each(t, func(t *testing.T) {
		a := draw(r, make([]float64, 200*300), 200, 300, 300)
		if sparse(&operand{a, 300, 1}, 200, 64, 300) {
			t.Error("a product is sparse though nothing is zero")
		}
		for i := 0; i < len(a); i += 4 {
			a[i] = 0
		}
		if sparse(&operand{a, 299, 1}, 200, 64, 299) {
			t.Error("a product is sparse though but a quarter is zero")
		}
		thin(r, a, 200, 300, 300)
		if got, want := sparse(&operand{a, 300, 1}, 200, 64, 300), active == avx512; got != want {
			t.Errorf("half of A is zero: sparse is %v, want %v", got, want)
		}
		if got, want := sparse(&operand{a, 1, 300}, 300, 64, 200), active == avx512; got != want {
			t.Errorf("half of Aᵀ is zero: sparse is %v, want %v", got, want)
		}
		if sparse(&operand{a, 300, 1}, 200, 10, 300) || sparse(&operand{a, 300, 1}, 16, 64, 300) {
			t.Error("a small product is sparse")
		}
	})
}

func TestMagnitudes(t *testing.T) {
	if supported[len(supported)-1] != avx512 {
		t.Skip("no AVX-512")
	}
	r := rand.New(rand.NewPCG(3, 4))
	xa, da := arena(newArena(t, 1<<12)), arena(newArena(t, 1<<12))
	for round := range 3000 {
		m, n := 1+round%5, 1+round%67
		ld := n + round%2*3
		x := draw(r, xa.matrix(m, n, ld), m, n, ld)
		switch x[r.IntN(m)*ld+r.IntN(n)] = math.Ldexp(r.NormFloat64(), 300-600*(round%2)); round % 8 {
		case 0:
			x[0] = math.Inf(-1)
		case 1:
			x[n-1] = math.NaN()
		case 2:
			thin(r, x, m, n, ld)
		case 3:
			for i := range m {
				clear(x[i*ld : i*ld+n])
			}
		}
		least, most := uint64(math.MaxUint64), uint64(0)
		for i := range m {
			for _, v := range x[i*ld : i*ld+n] {
				if bits := math.Float64bits(math.Abs(v)); bits != 0 {
					least, most = min(least, bits), max(most, bits)
				}
			}
		}
		low, high := math.Inf(1), math.Float64frombits(most)
		if most > 0 {
			low = math.Float64frombits(least)
		}
		if l, h := magnitudes(x, ld, m, n); !same(l, low) || !same(h, high) {
			t.Fatalf("round %d, %d×%d: from %v to %v, want %v to %v", round, m, n, l, h, low, high)
		}
		copied := da.matrix(m, n, n)
		if l, h := packSparse(copied, x, ld, m, n); !same(l, low) || !same(h, high) {
			t.Fatalf("round %d, %d×%d, packed: from %v to %v, want %v to %v", round, m, n, l, h, low, high)
		}
		xa.check(t, "magnitudes", m, n, ld)
		da.check(t, "packSparse", m, n, n)
		for i := range m {
			for j := range n {
				if !same(copied[i*n+j], x[i*ld+j]) {
					t.Fatalf("round %d: element (%d, %d) is packed as %v, not %v", round, i, j, copied[i*n+j], x[i*ld+j])
				}
			}
		}
	}
}
