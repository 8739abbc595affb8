package backprop_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	. "example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

func TestSmokeFiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := mat.NewDense(101, 5, nil), mat.NewDense(101, 3, nil)
	for i := range 101 {
		for j := range 5 {
			x.Set(i, j, rng.NormFloat64()*float64(j)+3)
		}
		y.Set(i, rng.IntN(3), 1)
	}
	fresh := func() *Network {
		net, err := New(5, Standardize{}, Dense{Units: 6, Activation: LeakyReLU{0.2}}, Dropout{Rate: 0.2}, Dense{Units: 7, NoBias: true}, BatchNorm{Activation: Tanh}, Dense{Units: 3, Activation: Softmax})
		ok(t, err)
		return net
	}
	for _, o := range []func() Optimizer{func() Optimizer { return nil }, func() Optimizer { return &Adam{} }, func() Optimizer { return &RMSProp{Centered: true, Momentum: .9} }} {
		config := func() TrainConfig {
			return TrainConfig{LearningRate: 0.01, Epochs: 20, BatchSize: 10, Optimizer: o(), Validation: Data{x, y}, Patience: 4, Schedule: Warmup{Epochs: 3, Then: ReduceOnPlateau{Patience: 2}}}
		}
		net := fresh()
		h, err := net.Train(t.Context(), x, y, config())
		ok(t, err)
		var b bytes.Buffer
		_, err = net.WriteTo(&b)
		ok(t, err)
		c2, err := Read(bytes.NewReader(b.Bytes()))
		ok(t, err)
		var b2 bytes.Buffer
		c2.WriteTo(&b2)
		if !bytes.Equal(b.Bytes(), b2.Bytes()) {
			t.Fatal("differs")
		}
		path := filepath.Join(t.TempDir(), "c")
		var h2 *History
		for k := 0; ; k++ {
			net2 := fresh()
			ctx, cancel := context.WithCancel(t.Context())
			c := config()
			c.Checkpoint = path
			n := 0
			c.OnEpoch = func(Epoch) error {
				if n++; n == 3 {
					cancel()
				}
				return nil
			}
			h2, err = net2.Train(ctx, x, y, c)
			if errors.Is(err, context.Canceled) {
				continue
			}
			ok(t, err)
			var b3 bytes.Buffer
			net2.WriteTo(&b3)
			if !bytes.Equal(b.Bytes(), b3.Bytes()) {
				t.Fatal("resumed differs")
			}
			t.Log(k, h.Stopped, h2.Stopped, len(h.Epochs), len(h2.Epochs), h.Best, h2.Best)
			break
		}
		for i := range h.Epochs {
			h.Epochs[i].Elapsed, h2.Epochs[i].Elapsed = 0, 0
		}
		if !slices.Equal(h.Epochs, h2.Epochs) {
			t.Fatal("history")
		}
		n3, err := Load(path)
		ok(t, err)
		_ = n3
	}
}
