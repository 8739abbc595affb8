package layers_test

import (
	"fmt"
	"math"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// With n weights a sample mean has standard deviation σ/√n, and a sample variance at most σ²·√(2/n)
// (that of a normal distribution). Five of them are allowed; the seed is fixed.
func TestInitializersHaveTheirVariance(t *testing.T) {
	const in, out = 200, 300
	for _, c := range []struct {
		init     Initializer
		variance float64
		limit    float64 // of a uniform distribution: √(3·variance)
	}{
		{GlorotUniform, 2. / (in + out), math.Sqrt(6. / (in + out))},
		{GlorotNormal, 2. / (in + out), 0},
		{HeUniform, 2. / in, math.Sqrt(6. / in)},
		{HeNormal, 2. / in, 0},
		{LeCunNormal, 1. / in, 0},
	} {
		t.Run(c.init.String(), func(t *testing.T) {
			net := NewNetwork(t, in, Dense{Units: out, Init: c.init})
			w := net.Weights(0).RawMatrix().Data
			n := float64(len(w))
			mean, variance := Moments(w)
			if math.Abs(mean) > 5*math.Sqrt(c.variance/n) {
				t.Errorf("mean is %v", mean)
			}
			if math.Abs(variance-c.variance) > 5*c.variance*math.Sqrt(2/n) {
				t.Errorf("variance is %v, want %v", variance, c.variance)
			}
			// Of 60,000 uniform draws the largest misses the limit by more than a thousandth with
			// probability e^−60; of normal ones some lie beyond 3σ.
			top := Largest(w)
			if c.limit > 0 && (top > c.limit || top < 0.999*c.limit) {
				t.Errorf("largest is %v, want just below %v", top, c.limit)
			}
			if c.limit == 0 && top < 3*math.Sqrt(c.variance) {
				t.Errorf("largest is %v, which is not normal", top)
			}
			EqualTo(t, "biases", net.Biases(0).RawVector().Data, make([]float64, out), 0)
		})
	}
}

func TestOrthogonalHasOrthonormalRowsOrColumns(t *testing.T) {
	for _, shape := range [][2]int{{1, 1}, {5, 5}, {40, 7}, {7, 40}, {1, 9}, {9, 1}} {
		in, out := shape[0], shape[1]
		net := NewNetwork(t, in, Dense{Units: out, Init: Orthogonal})
		w, product := net.Weights(0), new(mat.Dense)
		if out <= in {
			product.Mul(w, w.T())
		} else {
			product.Mul(w.T(), w)
		}
		identity := mat.NewDense(min(in, out), min(in, out), nil)
		SetIdentity(identity)
		if !mat.EqualApprox(product, identity, 1e-14) {
			t.Errorf("%d×%d: the product with the transpose is\n%v", out, in, mat.Formatted(product))
		}
	}
}

// A uniform orthogonal n×n matrix has entries of variance 1/n around 0, which is not so without the
// signs of R's diagonal.
func TestOrthogonalIsUniform(t *testing.T) {
	net := NewNetwork(t, 3, Dense{Units: 3, Init: Orthogonal})
	const draws = 2000
	var corner [draws]float64
	for seed := range uint64(draws) {
		net.Init(seed)
		corner[seed] = net.Weights(0).At(0, 0)
	}
	mean, variance := Moments(corner[:])
	if math.Abs(mean) > 5*math.Sqrt(1./3/draws) || math.Abs(variance-1./3) > 5./3*math.Sqrt(2./draws) {
		t.Errorf("mean %v, variance %v, want 0 and 1/3", mean, variance)
	}
}

func TestActivationChoosesTheInitializer(t *testing.T) {
	for _, c := range []struct {
		f    Activation
		want Initializer
	}{
		{nil, GlorotUniform}, {Identity, GlorotUniform}, {Sigmoid, GlorotUniform}, {Tanh, GlorotUniform},
		{Softplus, GlorotUniform}, {Softmax, GlorotUniform}, {UnitLength{}, GlorotUniform},
		{ReLU, HeNormal}, {LeakyReLU{}, HeNormal}, {ELU{}, HeNormal}, {GELU, HeNormal}, {SiLU, HeNormal},
		{SELU, LeCunNormal},
	} {
		got := NewNetwork(t, 4, Dense{Units: 3, Activation: c.f}).Params()
		SameBits(t, fmt.Sprint(c.f), got, NewNetwork(t, 4, Dense{Units: 3, Activation: c.f, Init: c.want}).Params())
	}
}
