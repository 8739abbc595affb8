package main

import "testing"

// With 150 hidden layers one epoch suffices for some 80 % from the orthogonal beginning, while from
// Glorot's the network stays near chance, 10 %.
func TestOrthogonalBeginningTrainsWhereGlorotDoesNot(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes where a processor is emulated")
	}
	train, test, err := load()
	if err != nil {
		t.Fatal(err)
	}
	accuracy := func(b beginning) float64 {
		net, err := plain(150, b)
		if err != nil {
			t.Fatal(err)
		}
		a, err := fit(net, train, test, config(150, 1))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := accuracy(orthogonal); a < 0.65 {
		t.Errorf("orthogonal: test accuracy %v, want at least 0.65", a)
	}
	if a := accuracy(glorot); a > 0.3 {
		t.Errorf("Glorot: test accuracy %v, want it near chance", a)
	}
}

func TestGradientsVanishExplodeOrStay(t *testing.T) {
	train, _, err := load()
	if err != nil {
		t.Fatal(err)
	}
	const depth = 500
	// The gradient's norm in the first layer over that in the last hidden one.
	for i, want := range []struct{ least, most float64 }{
		{0.2, 5},     // Orthogonal Tanh
		{0, 0.15},    // Glorot Tanh
		{0, 1e-100},  // Glorot Sigmoid: f′ ≤ 1/4 in every layer
		{0, 1e-3},    // He ReLU
		{1e6, 1e300}, // He Tanh
		{1e4, 1e300}, // LeCun SELU
	} {
		net, err := plain(depth, beginnings[i])
		if err != nil {
			t.Fatal(err)
		}
		norms, err := gradientNorms(net, train)
		if err != nil {
			t.Fatal(err)
		}
		if len(norms) != depth+1 {
			t.Fatalf("%d norms, want one for each of %d layers", len(norms), depth+1)
		}
		if ratio := norms[0] / norms[depth-1]; !(ratio >= want.least && ratio <= want.most) {
			t.Errorf("%v: %v in the first layer and %v in the last hidden one, want their ratio from %v to %v",
				beginnings[i], norms[0], norms[depth-1], want.least, want.most)
		}
	}
}
