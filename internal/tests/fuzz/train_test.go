// Package fuzz_test has the fuzz targets: training with anything at all, and reading any bytes.
package fuzz_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// Random networks, data and configurations out of the fuzzer's bytes. Every call works or returns
// an error; no parameter becomes NaN or infinite; whatever trains also saves, loads and predicts
// the same.
func FuzzTrain(f *testing.F) {
	for i, seed := range seeds(300, 3) {
		if i%3 == 0 {
			seed[1] = 0 // wide
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &dice{data}
		inputs, wide := d.roll(4), d.roll(8) == 1
		if wide {
			inputs = 16 * d.roll(6)
		}
		net, err := New(inputs, d.layers(wide)...)
		if err != nil {
			if net != nil || !strings.HasPrefix(err.Error(), "backprop: New: ") {
				t.Fatal(net, err)
			}
			return
		}
		outputs := len(Predict(t, net, mat.NewDense(1, inputs, nil)))
		if i := d.roll(100); i < len(net.Params()) {
			net.Params()[i] = d.finite()
		}
		var x, y *mat.Dense
		if wide {
			x, y = d.wide(inputs, outputs)
		} else {
			x, y = d.matrix(d.roll(9), inputs), d.targets(outputs)
		}
		if RowsOf(y) > RowsOf(x) {
			y = y.Slice(0, RowsOf(x), 0, outputs).(*mat.Dense)
		} else {
			y = y.Grow(RowsOf(x)-RowsOf(y), 0).(*mat.Dense)
		}
		config := d.config(x, y)
		if wide {
			config.BatchSize *= 40 // of up to 160 samples
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(d.roll(3)))
		}
		started, untrained := mustReadBack(t, net), mustReadBack(t, net)
		h, err := trainAny(t, net, x, y, config)
		if err == nil {
			again := config
			again.Optimizer = Fresh(config.Optimizer)
			if wide {
				runtime.GOMAXPROCS(d.roll(3))
			}
			h2, err := trainAny(t, started, x, y, again) // the same bits once more, after loading and with another crew
			NoError(t, err)
			SameHistory(t, h2, h)
			StateOf(net).MustEqual(t, started)
		}
		if _, stateful := config.Optimizer.(Stateful); err == nil && stateful && d.roll(32) == 32 {
			mustResume(t, untrained, net, x, y, config)
		}
		mustReadBack(t, net)
		mustPredict(t, net, mustReadBack(t, net), x, y, config.Loss)
	})
}

// seeds are n slices of bytes, or a tenth of that with -short: an emulated processor is slow.
func seeds(n int, seed uint64) (list [][]byte) {
	rng := rand.New(rand.NewPCG(seed, seed))
	if testing.Short() {
		n /= 10
	}
	for range n {
		b := make([]byte, 60)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		list = append(list, b)
	}
	return list
}

// trainAny trains and holds Train to its promises.
func trainAny(t *testing.T, net *Network, x, y *mat.Dense, c TrainConfig) (*History, error) {
	t.Helper()
	xBefore, yBefore := mat.DenseCopyOf(x), mat.DenseCopyOf(y)
	h, err := net.Train(t.Context(), x, y, c)
	SameBits(t, "x", x.RawMatrix().Data, xBefore.RawMatrix().Data)
	SameBits(t, "y", y.RawMatrix().Data, yBefore.RawMatrix().Data)
	s := StateOf(net)
	NoNaN(t, "parameters", s.Params)
	NoNaN(t, "statistics", s.Statistics)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "backprop: Train: ") {
			t.Fatal(err)
		}
		return h, err
	}
	if len(h.Epochs) == 0 || h.Stopped == "" || h.Best < 0 || h.Best >= len(h.Epochs) {
		t.Fatal(h)
	}
	for _, e := range h.Epochs {
		NoNaN(t, "epoch", []float64{e.Loss, e.LearningRate, e.GradNorm})
		if validated := c.Validation.X != nil; math.IsNaN(e.ValidationLoss) == validated || math.IsInf(e.ValidationLoss, 0) {
			t.Errorf("validation %v: the validation loss of epoch %d is %v", validated, e.N, e.ValidationLoss)
		}
	}
	return h, err
}

// mustResume trains with interruptions.
func mustResume(t *testing.T, net, want *Network, x, y *mat.Dense, c TrainConfig) {
	t.Helper()
	c.Optimizer, c.Checkpoint = Fresh(c.Optimizer), filepath.Join(t.TempDir(), "checkpoint")
	for tries := 0; ; tries++ {
		_, err := net.Train(&Countdown{Context: t.Context(), Left: RowsOf(x) + 1}, x, y, c)
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || tries > c.Epochs {
			t.Fatal(err)
		}
	}
	StateOf(want).MustEqual(t, net)
}

// mustReadBack is mustComeBack in memory.
func mustReadBack(t *testing.T, net *Network) *Network {
	t.Helper()
	file := BytesOf(t, net)
	loaded, err := Read(bytes.NewReader(file))
	NoError(t, err)
	StateOf(net).MustEqual(t, loaded)
	if !bytes.Equal(BytesOf(t, loaded), file) {
		t.Error("saving again gives other bytes")
	}
	return loaded
}

// mustPredict holds the other calls to their promises, on a network and its copy.
func mustPredict(t *testing.T, net, same *Network, x, y *mat.Dense, l Loss) {
	p, err := net.Predict(x)
	q, err2 := same.Predict(x)
	if fmt.Sprint(err) != fmt.Sprint(err2) {
		t.Fatal(err, err2)
	}
	if err == nil {
		NoNaN(t, "prediction", p.RawMatrix().Data)
		SameBits(t, "prediction", q.RawMatrix().Data, p.RawMatrix().Data)
		into := mat.NewDense(RowsOf(p), Cols(p), nil)
		NoError(t, net.PredictTo(into, x))
		SameBits(t, "PredictTo", into.RawMatrix().Data, p.RawMatrix().Data)
	}
	if v, err := net.Loss(x, y, l); err == nil {
		NoNaN(t, "loss", []float64{v})
	}
	if v, g, err := net.Gradient(nil, x, y, l); err == nil {
		NoNaN(t, "loss", []float64{v})
		NoNaN(t, "gradient", g)
		if len(g) > 1000 {
			return // four losses a parameter
		}
		before := StateOf(net)
		if _, err := net.CheckGradient(x, y, l); err != nil {
			t.Error(err)
		}
		before.MustEqual(t, net)
	}
}

// dice gives what the fuzzer's bytes say; behind their end, zeros.
type dice struct{ data []byte }

// roll is 1 to n.
func (d *dice) roll(n int) int {
	if len(d.data) == 0 {
		return 1
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b)%n + 1
}

// finite is mostly harmless.
func (d *dice) finite() float64 {
	switch i := d.roll(64); i {
	case 1, 2, 3:
		return []float64{0, 1, -1}[i-1]
	case 4, 5, 6, 7, 8, 9, 10, 11:
		return []float64{1e-310, 1e-160, 1e-9, 1e9, 1e155, -1e160, 1e300, -math.MaxFloat64}[i-4]
	default:
		return float64(i-37) / 16
	}
}

// number may be anything.
func (d *dice) number() float64 {
	if i := d.roll(256); i <= 4 {
		return []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}[i-1]
	}
	return d.finite()
}

// option is mostly 0, and mostly valid.
func (d *dice) option() float64 {
	switch i := d.roll(16); i {
	case 1:
		return d.number()
	case 2, 3, 4:
		return []float64{0.001, 0.1, 0.9}[i-2]
	}
	return 0
}

func (d *dice) activation() Activation {
	switch i := d.roll(len(EveryActivation) + 2); i {
	case len(EveryActivation) + 1:
		return LeakyReLU{Slope: d.option()}
	case len(EveryActivation) + 2:
		return ELU{Alpha: d.option()}
	default:
		return EveryActivation[i-1]
	}
}

// layers are narrow, or mostly so wide that their products are shared and pass over zeros.
func (d *dice) layers(wide bool) (layers []Layer) {
	if wide {
		for range d.roll(2) {
			layers = append(layers, Dense{Units: 40 * d.roll(3), Activation: []Activation{ReLU, ReLU, ReLU, d.activation()}[d.roll(4)-1]})
		}
	}
	for range d.roll(5) - 1 {
		switch d.roll(9) {
		case 1:
			layers = append(layers, Dropout{Rate: d.option()})
		case 2:
			layers = append(layers, BatchNorm{Activation: d.activation(), Momentum: d.option(), Epsilon: d.option()})
		case 3:
			layers = append([]Layer{Standardize{}}, layers...)
		case 4:
			layers = append(layers, nil)
		default:
			layers = append(layers, Dense{Units: d.roll(6) - d.roll(16)/16, Activation: d.activation(), Init: Initializer(d.roll(8) - 1), NoBias: d.roll(4) == 1})
		}
	}
	return append(layers, Dense{Units: d.roll(3), Activation: d.activation()})
}

func (d *dice) matrix(rows, cols int) *mat.Dense {
	m := mat.NewDense(rows, cols, nil)
	m.Apply(func(i, j int, _ float64) float64 { return d.number() }, m)
	return m
}

// wide is samples of which a third of the elements are zero, as in images, and some are anything.
func (d *dice) wide(inputs, outputs int) (x, y *mat.Dense) {
	x = Pattern(32*d.roll(5), inputs)
	x.Apply(func(i, j int, v float64) float64 {
		if math.Abs(v) < 1.0/3 {
			return 0
		}
		return v
	}, x)
	for range d.roll(4) - 1 {
		x.Set(d.roll(RowsOf(x))-1, d.roll(inputs)-1, d.number())
	}
	return x, ClassTargets(RowsOf(x), outputs)
}

// targets suit every loss, mostly.
func (d *dice) targets(cols int) *mat.Dense {
	if d.roll(4) == 1 {
		return d.matrix(1, cols)
	}
	return ClassTargets(d.roll(9), cols)
}

func (d *dice) config(x, y *mat.Dense) TrainConfig {
	c := TrainConfig{
		LearningRate: math.Abs(d.finite()), Epochs: d.roll(4), BatchSize: d.roll(5) - 1, NoShuffle: d.roll(2) == 1, Seed: uint64(d.roll(256)),
		L2: d.option(), WeightDecay: d.option(), ClipNorm: d.option(), ClipValue: d.option(), TargetLoss: d.option(),
		Loss:      []Loss{nil, MSE, MAE, Huber{}, BinaryCrossEntropy, CrossEntropy, Huber{Delta: d.option()}}[d.roll(7)-1],
		Optimizer: append(slices.Clone(Optimizers), nil, &SGD{Momentum: d.option()}, &Adam{Epsilon: d.option()}, &RMSProp{Alpha: d.option()})[d.roll(8)-1],
		Schedule: []Schedule{nil, nil, StepDecay{Every: d.roll(3) - 1}, StepDecay{Every: 1, Factor: d.option()}, CosineDecay{Epochs: 2, Min: d.option()},
			Warmup{Epochs: 2, Start: d.option()}, ReduceLROnPlateau{Factor: d.option()}}[d.roll(7)-1],
	}
	c.Optimizer = Fresh(c.Optimizer)
	if d.roll(3) == 1 {
		c.Validation, c.Patience = Data{X: x, Y: y}, d.roll(3)-1
	}
	return c
}
