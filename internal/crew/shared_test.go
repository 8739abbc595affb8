package crew

import (
	"math/rand/v2"
	"testing"
)

// That they are the caller's alone where they are small is tested beside what they compute.
func TestEveryLargeOperationIsShared(t *testing.T) {
	c, r := hire(t, 2), rand.New(rand.NewPCG(9, 10))
	x, w, dz, index := random(r, 90, 110), random(r, 75, 110), random(r, 90, 75), make([]int, 400)
	z, f := make([]float64, worthSharing/perElement), c.Elementwise(sine{})
	for _, o := range []struct {
		name string
		task Task
		call func()
	}{
		{"Affine", &c.affine, func() { c.Affine(dz, x, w, nil) }},
		{"MulTN", &c.mulTN, func() { c.MulTN(w, dz, x) }},
		{"MulNN", &c.mulNN, func() { c.MulNN(x, dz, w) }},
		{"Dropout", &c.dropout, func() { c.Dropout(z, z, 0.5, 1) }},
		{"Forward", f.(Task), func() { f.Forward(z, z) }},
		{"Backward", f.(Task), func() { f.Backward(z, z, z, z) }},
		{"Gather", &c.gather, func() { c.Gather(random(r, 400, 110), x, index) }},
	} {
		c.task = nil
		o.call()
		if c.task != o.task {
			t.Errorf("%s is not shared", o.name)
		}
	}
}
