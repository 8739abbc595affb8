// Package oracle_test holds the library to PyTorch: every training run of testdata/pytorch.json,
// step by step, and every schedule, epoch by epoch. testdata/pytorch.py has written that file.
package oracle_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"os"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// oracle is what testdata/pytorch.py wrote with PyTorch in float64.
type oracle struct {
	Epochs, BatchSize int
	Weights           []float64
	Data              map[string][][]float64
	Initial           map[string][]float64
	Runs              []oracleRun
	BaseRate          float64
	PlateauLosses     []float64
	Schedules         []oracleSchedule
}

type oracleRun struct {
	Name, X, Y, Initial, Loss                          string
	Layers                                             []oracleLayer
	Optimizer                                          oracleOptimizer
	LearningRate, L2, WeightDecay, ClipNorm, ClipValue float64
	Weighted                                           bool
	Freeze                                             []int
	FreezeFrom                                         int
	Losses, Params                                     []float64
	Predictions                                        [][]float64
	EvalLoss                                           float64
	Statistics                                         []struct {
		Layer          int
		Mean, Variance []float64
	}
}

type oracleLayer struct {
	Type, Activation  string
	Units             int
	NoBias            bool
	Momentum, Epsilon float64
}

type oracleOptimizer struct {
	Type                                   string
	Momentum, Alpha, Epsilon, Beta1, Beta2 float64
	Nesterov, Centered                     bool
}

type oracleSchedule struct {
	Type                          string
	Every, Epochs                 int
	Factor, Min, Start, Threshold float64
	Patience, Cooldown            int
	Then                          *oracleSchedule
	Rates                         []float64
}

// Every run of the oracle, step by step. A step is observed as an epoch of its own: training goes
// on with the same optimizer, batch by batch. The bound is 1e-12 relative; for elements near zero,
// relative to 0.005 of the largest.
func TestAgreesWithPyTorchStepByStep(t *testing.T) {
	o := readOracle(t)
	for _, run := range o.Runs {
		t.Run(run.Name, func(t *testing.T) {
			x, y := rows(o.Data[run.X]), rows(o.Data[run.Y])
			net := run.network(t, x.RawMatrix().Cols)
			copy(net.Params(), o.Initial[run.Initial])
			losses := run.train(t, net, x, y, o)
			Near(t, "losses", losses, run.Losses, 0)
			Near(t, "parameters", net.Params(), run.Params, 0.005)
			p, err := net.Predict(x)
			NoError(t, err)
			for i, want := range run.Predictions {
				Near(t, "prediction", p.RawRowView(i), want, 0.005)
			}
			loss, err := net.Loss(x, y, lossByName(t, run.Loss))
			NoError(t, err)
			Near(t, "loss in inference", []float64{loss}, []float64{run.EvalLoss}, 0)
			for _, s := range run.Statistics {
				mean, variance := net.Statistics(s.Layer)
				Near(t, "mean", mean, s.Mean, 0.005)
				Near(t, "variance", variance, s.Variance, 0.005)
			}
		})
	}
}

// config is that of the run, which trains epochs of its last part, or of that before its layers are
// frozen.
func (r oracleRun) config(t *testing.T, epochs int) TrainConfig {
	return TrainConfig{
		LearningRate: r.LearningRate, Epochs: epochs, NoShuffle: true, Loss: lossByName(t, r.Loss), Optimizer: r.Optimizer.make(t),
		L2: r.L2, WeightDecay: r.WeightDecay, ClipNorm: r.ClipNorm, ClipValue: r.ClipValue,
	}
}

// weights are those of the samples, with a mean of 1, or nil.
func (r oracleRun) weights(o *oracle) []float64 {
	if !r.Weighted {
		return nil
	}
	return floats.ScaleTo(make([]float64, len(o.Weights)), float64(len(o.Weights))/floats.Sum(o.Weights), o.Weights)
}

// train runs the epochs; a user-made loss around the named one would hide its closed form, so the
// losses of the steps are read off trainings of one batch.
func (r oracleRun) train(t *testing.T, net *Network, x, y *mat.Dense, o *oracle) (losses []float64) {
	n, _ := x.Dims()
	weights := r.weights(o)
	NoError(t, net.Adapt(Data{X: x, Y: y, SampleWeights: weights}))
	config := r.config(t, 1)
	for epoch := range o.Epochs {
		if epoch == r.FreezeFrom {
			config.Freeze = r.Freeze
		}
		for lo := 0; lo < n; lo += o.BatchSize {
			hi := min(lo+o.BatchSize, n)
			batch := Data{X: x.Slice(lo, hi, 0, Cols(x)), Y: y.Slice(lo, hi, 0, Cols(y))}
			if weights != nil {
				batch.SampleWeights = weights[lo:hi]
			}
			h, err := net.TrainBatches(t.Context(), func(int) iter.Seq2[Data, error] {
				return func(yield func(Data, error) bool) { yield(batch, nil) }
			}, config)
			NoError(t, err)
			losses = append(losses, h.Epochs[0].Loss)
		}
	}
	return losses
}

// The same training in one call gives the same parameters as batch by batch, or in two where layers
// are frozen later.
func TestOneTrainingEqualsItsBatches(t *testing.T) {
	o := readOracle(t)
	for _, run := range o.Runs {
		t.Run(run.Name, func(t *testing.T) {
			x, y := rows(o.Data[run.X]), rows(o.Data[run.Y])
			net := run.network(t, Cols(x))
			copy(net.Params(), o.Initial[run.Initial])
			config := run.config(t, run.FreezeFrom)
			config.BatchSize, config.SampleWeights = o.BatchSize, run.weights(o)
			if run.FreezeFrom > 0 {
				Value(net.Train(t.Context(), x, y, config))(t)
			}
			config.Epochs, config.Freeze = o.Epochs-run.FreezeFrom, run.Freeze
			h := Value(net.Train(t.Context(), x, y, config))(t)
			Near(t, "parameters", net.Params(), run.Params, 0.005)
			l := run.Losses
			mean := (8*l[len(l)-3] + 8*l[len(l)-2] + 7*l[len(l)-1]) / 23
			Near(t, "last epoch's loss", []float64{h.Epochs[config.Epochs-1].Loss}, []float64{mean}, 0)
		})
	}
}

// Every schedule's η, epoch by epoch. PyTorch takes the cosine up again after its end, where ours
// stays at the minimum.
func TestSchedulesAgreeWithPyTorch(t *testing.T) {
	o := readOracle(t)
	for _, s := range o.Schedules {
		name, _ := json.Marshal(s.schedule(t))
		t.Run(s.Type+string(name), func(t *testing.T) {
			var history []Epoch
			for n, want := range s.Rates {
				if end := s.cosineEnd(); n > end {
					want = s.Rates[end]
				}
				got := s.schedule(t).Rate(o.BaseRate, history)
				Near(t, fmt.Sprintf("η of epoch %d", n), []float64{got}, []float64{want}, 0)
				history = append(history, Epoch{N: n, Loss: o.PlateauLosses[n], ValidationLoss: math.NaN()})
			}
		})
	}
}

func (s *oracleSchedule) cosineEnd() int {
	switch {
	case s.Type == "CosineDecay":
		return s.Epochs
	case s.Then != nil:
		return s.Epochs + s.Then.cosineEnd()
	}
	return math.MaxInt / 2
}

func (s *oracleSchedule) schedule(t *testing.T) Schedule {
	switch s.Type {
	case "StepDecay":
		return StepDecay{Every: s.Every, Factor: s.Factor}
	case "CosineDecay":
		return CosineDecay{Epochs: s.Epochs, Min: s.Min}
	case "Warmup":
		w := Warmup{Epochs: s.Epochs, Start: s.Start}
		if s.Then != nil {
			w.Then = s.Then.schedule(t)
		}
		return w
	case "ReduceLROnPlateau":
		return ReduceLROnPlateau{Factor: s.Factor, Patience: s.Patience, Threshold: s.Threshold, Cooldown: s.Cooldown, Min: s.Min}
	}
	t.Fatalf("unknown schedule %q", s.Type)
	return nil
}

func readOracle(t *testing.T) *oracle {
	t.Helper()
	data, err := os.ReadFile("testdata/pytorch.json")
	NoError(t, err)
	o := new(oracle)
	NoError(t, json.Unmarshal(data, o))
	return o
}

func (r oracleRun) network(t *testing.T, inputs int) *Network {
	t.Helper()
	var layers []Layer
	for _, l := range r.Layers {
		switch l.Type {
		case "Dense":
			layers = append(layers, Dense{Units: l.Units, Activation: activationByName(t, l.Activation), NoBias: l.NoBias})
		case "BatchNorm":
			layers = append(layers, BatchNorm{Activation: activationByName(t, l.Activation), Momentum: l.Momentum, Epsilon: l.Epsilon})
		case "Standardize":
			layers = append(layers, Standardize{})
		case "Unstandardize":
			layers = append(layers, Unstandardize{})
		default:
			t.Fatalf("unknown layer %q", l.Type)
		}
	}
	net, err := New(inputs, layers...)
	NoError(t, err)
	return net
}

func (o oracleOptimizer) make(t *testing.T) Optimizer {
	switch o.Type {
	case "SGD":
		if o.Momentum == 0 {
			return nil
		}
		return &SGD{Momentum: o.Momentum, Nesterov: o.Nesterov}
	case "RMSProp":
		return &RMSProp{Alpha: o.Alpha, Epsilon: o.Epsilon, Momentum: o.Momentum, Centered: o.Centered}
	case "Adam":
		return &Adam{Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon}
	case "AdaGrad":
		return &AdaGrad{Epsilon: o.Epsilon}
	}
	t.Fatalf("unknown optimizer %q", o.Type)
	return nil
}

func activationByName(t *testing.T, name string) Activation {
	for _, f := range []Activation{Identity, Sigmoid, Tanh, ReLU, GELU, SiLU, SELU, Softplus, Softmax, LeakyReLU{}, ELU{}} {
		if f.String() == name {
			return f
		}
	}
	t.Fatalf("unknown activation %q", name)
	return nil
}

func lossByName(t *testing.T, name string) Loss {
	l, found := map[string]Loss{
		"MSE": MSE, "MAE": MAE, "Huber(1)": Huber{}, "Huber(0.5)": Huber{Delta: 0.5},
		"BinaryCrossEntropy": BinaryCrossEntropy, "CrossEntropy": CrossEntropy,
	}[name]
	if !found {
		t.Fatalf("unknown loss %q", name)
	}
	return l
}

func rows(data [][]float64) *mat.Dense {
	m := mat.NewDense(len(data), len(data[0]), nil)
	for i, r := range data {
		m.SetRow(i, r)
	}
	return m
}
