package kernel

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip()
	}
	var n, in, out int
	fmt.Sscanf(os.Getenv("ZZ"), "%dx%dx%d", &n, &in, &out)
	r := rand.New(rand.NewPCG(1, 2))
	x := draw(r, make([]float64, n*in), n, in, in)
	w := draw(r, make([]float64, out*in), out, in, in)
	z := draw(r, make([]float64, n*out), n, out, out)
	bias := make([]float64, out)
	dw, dx, dz := make([]float64, out*in), make([]float64, n*in), make([]float64, n*out)
	fs := []func(){
		func() { Affine(dz, out, x, in, w, in, bias, n, in, out) },
		func() { MulTN(dw, in, z, out, x, in, out, in, n) },
		func() { MulNN(dx, in, z, out, w, in, n, in, out) },
	}
	flop := 2 * float64(n*in*out)
	reps := max(1, int(2e6/flop))
	best := map[string]float64{}
	for start := time.Now(); time.Since(start) < 6*time.Second; {
		for fi, f := range fs {
			for v, set := range variants {
				set()
				for range 3 {
					t0 := time.Now()
					for range reps {
						f()
					}
					d := time.Since(t0).Seconds() / float64(reps)
					k := fmt.Sprint([]string{"Affine", "MulTN", "MulNN"}[fi], v)
					if b, ok := best[k]; !ok || d < b {
						best[k] = d
					}
				}
			}
		}
	}
	for fi := range fs {
		for v := range variants {
			k := fmt.Sprint([]string{"Affine", "MulTN", "MulNN"}[fi], v)
			fmt.Printf("%s %s %.2f  ", os.Args[0], k, flop/best[k]/1e9)
		}
		fmt.Println()
	}
}
var variants = []func(){
	func() { NTMAX = 0 },
	func() { NTMAX = 1<<30 },
}
