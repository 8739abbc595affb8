package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

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
	list := trainings(150)
	for i, want := range []struct{ least, most float64 }{{0.7, 1}, {0, 0.4}} {
		accuracy, err := list[i].run(150, 1, 0, train, test)
		if err != nil {
			t.Fatal(err)
		}
		if !(accuracy >= want.least && accuracy <= want.most) {
			t.Errorf("%s: test accuracy %v, want %v to %v", list[i].name, accuracy, want.least, want.most)
		}
	}
}

// tanh takes the mean square of what passes through the layers to 1/(2·depth), and the output layer
// takes that to logits of the order of 1.
func TestTheOutputLayerMakesUpForTanh(t *testing.T) {
	_, test, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for _, depth := range []int{30, 300} {
		net, err := trainings(depth)[0].begin(depth, 0)
		if err != nil {
			t.Fatal(err)
		}
		trunk, err := net.Slice(0, depth)
		if err != nil {
			t.Fatal(err)
		}
		hidden, err := trunk.Predict(test.X)
		if err != nil {
			t.Fatal(err)
		}
		var logits mat.Dense
		logits.Mul(hidden, net.Weights(depth).T())
		if q := meanSquare(hidden) * 2 * float64(depth); !(q > 0.5 && q < 1.5) {
			t.Errorf("behind %d layers the mean square is %v/(2·depth), want 1", depth, q)
		}
		if q := meanSquare(&logits); !(q > 0.1 && q < 10) {
			t.Errorf("behind %d layers the mean square of logits is %v, want some 1", depth, q)
		}
	}
}

func meanSquare(m *mat.Dense) float64 {
	rows, cols := m.Dims()
	return math.Pow(mat.Norm(m, 2), 2) / float64(rows*cols)
}

// The accuracies of a shallow network, for which little is needed.
func TestEveryTrainingHasItsRow(t *testing.T) {
	train, test, err := load()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	list := trainings(3)
	if err := compare(&out, list, 3, 2, train, test); err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(out.String(), "\n")
	for _, way := range list {
		var accuracy, seconds float64
		row, rest, _ := strings.Cut(rows, "\n")
		_, err := fmt.Sscanf(strings.TrimPrefix(row, way.name), "%f %% %f s", &accuracy, &seconds)
		if err != nil || !strings.HasPrefix(row, way.name) || !(accuracy > 50 && accuracy <= 100) {
			t.Errorf("%q: %v, want the test accuracy of %s", row, err, way.name)
		}
		rows = rest
	}
	if rows != "" {
		t.Errorf("there is %q behind the last row", rows)
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
