package draw

import (
	"math"
	"math/rand/v2"
	"testing"

	"example.com/backprop/internal/kernel"
)

func TestNormalDrawsTheNumbersOfNormFloat64(t *testing.T) {
	n := 1 << 21
	if testing.Short() {
		n = 1 << 17
	}
	got, beyond := kernel.Matrix{Rows: 1, Cols: n, Stride: n, Data: make([]float64, n)}, 0
	r := rand.New(rand.NewPCG(1, 2))
	Normal(got, 3, rand.New(rand.NewPCG(1, 2)))
	for i, v := range got.Data {
		want := 3 * r.NormFloat64()
		if math.Abs(v-want) > 0x1p-52*math.Abs(want) {
			t.Fatalf("number %d is %v, want %v", i, v, want)
		}
		if math.Abs(want) > 3*end {
			beyond++
		}
	}
	if beyond < n/4000 {
		t.Errorf("%d numbers of the tail among %d", beyond, n)
	}
}
