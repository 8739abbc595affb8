// Package oracle_test holds the library to PyTorch: every training run of testdata/pytorch.json,
// step by step, and every schedule, epoch by epoch. testdata/pytorch.py has written that file.
package oracle_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// oracle is what testdata/pytorch.py wrote with PyTorch in float64.
type oracle struct {
	Epochs, BatchSize int
	Data              map[string][][]float64
	Initial           map[string][]float64
	Runs              []oracleRun
	BaseRate          float64
	PlateauLosses     []float64
	Schedules         []oracleSchedule
}

type oracleRun struct {
	Name, X, Y, Weights, Initial, Loss                 string
	Layers                                             []oracleLayer
	Optimizer                                          oracleOptimizer
	LearningRate, L2, WeightDecay, ClipNorm, ClipValue float64
	BatchSize                                          int   // 0 means the oracle's
	Batches                                            []int // sizes of a sequence's batches, if it is one
	Freeze                                             []int
	FrozenEpochs                                       []int // from where to where; nil means throughout
	Losses, Params                                     []float64
	Predictions, InputGradient                         [][]float64
	EvalLoss, ValidationLoss                           float64
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
			net, data, config := run.begin(t, o)
			NoError(t, net.Adapt(data))
			Near(t, "losses", run.steps(t, o, net, data, config), run.Losses, 0)
			Near(t, "parameters", net.Params(), run.Params, 0.005)
			p, err := net.Predict(data.X)
			NoError(t, err)
			for i, want := range run.Predictions {
				Near(t, "prediction", p.RawRowView(i), want, 0.005)
			}
			loss, err := net.Loss(data.X, data.Y, config.Loss)
			NoError(t, err)
			Near(t, "loss in inference", []float64{loss}, []float64{run.EvalLoss}, 0)
			for _, s := range run.Statistics {
				mean, variance := net.Statistics(s.Layer)
				Near(t, "mean", mean, s.Mean, 0.005)
				Near(t, "variance", variance, s.Variance, 0.005)
			}
			if n := len(run.InputGradient); n > 0 { // of the loss of the first n samples
				first := slice(data, 0, n)
				dx, err := net.InputGradient(first.X, first.Y, config.Loss)
				NoError(t, err)
				Near(t, "gradient by the inputs", dx.RawMatrix().Data, slices.Concat(run.InputGradient...), 0.005)
			}
		})
	}
}

// steps trains step by step and returns the losses. A user-made loss around the named one would
// hide its closed form, so they are read off trainings of one batch.
func (r *oracleRun) steps(t *testing.T, o *oracle, net *Network, data Data, config TrainConfig) (losses []float64) {
	config.Epochs = 1
	for epoch := range o.Epochs {
		_, config.Freeze = r.span(epoch, o.Epochs)
		for _, batch := range r.batches(o, data) {
			h, err := net.TrainBatches(t.Context(), sequence(batch), config)
			NoError(t, err)
			losses = append(losses, h.Epochs[0].Loss)
		}
	}
	return losses
}

// The same training in one call gives the same parameters as batch by batch, and the loss of the
// weighted set as that of a validation. Where layers are frozen for a part of it, there is a call
// for each part.
func TestOneTrainingEqualsItsBatches(t *testing.T) {
	o := readOracle(t)
	for _, run := range o.Runs {
		t.Run(run.Name, func(t *testing.T) {
			net, data, config := run.begin(t, o)
			config.Validation = data
			var last Epoch
			for begin := 0; begin < o.Epochs; begin += config.Epochs {
				config.Epochs, config.Freeze = run.span(begin, o.Epochs)
				last = run.train(t, o, net, data, config).Epochs[config.Epochs-1]
			}
			Near(t, "parameters", net.Params(), run.Params, 0.005)
			mean, batches := 0.0, run.batches(o, data)
			for i, loss := range run.Losses[len(run.Losses)-len(batches):] {
				mean += loss * float64(RowsOf(batches[i].X)) / float64(RowsOf(data.X))
			}
			Near(t, "last epoch's losses", []float64{last.Loss, last.ValidationLoss},
				[]float64{mean, cmp.Or(run.ValidationLoss, run.EvalLoss)}, 0)
		})
	}
}

// train trains in one call: on the set in memory or, if the run says so, on a sequence of batches.
func (r *oracleRun) train(t *testing.T, o *oracle, net *Network, data Data, config TrainConfig) *History {
	if r.Batches != nil {
		NoError(t, net.Adapt(data))
		return Value(net.TrainBatches(t.Context(), sequence(r.batches(o, data)...), config))(t)
	}
	config.BatchSize, config.SampleWeights = cmp.Or(r.BatchSize, o.BatchSize), data.SampleWeights
	return Value(net.Train(t.Context(), data.X, data.Y, config))(t)
}

// begin makes what the run trains, of what, and how.
func (r *oracleRun) begin(t *testing.T, o *oracle) (*Network, Data, TrainConfig) {
	data := Data{X: rows(o.Data[r.X]), Y: rows(o.Data[r.Y])}
	if r.Weights != "" {
		data.SampleWeights = slices.Concat(o.Data[r.Weights]...)
	}
	net := r.network(t, Cols(data.X))
	copy(net.Params(), o.Initial[r.Initial])
	return net, data, TrainConfig{
		LearningRate: r.LearningRate, NoShuffle: true, Loss: lossByName(t, r.Loss), Optimizer: r.Optimizer.make(t),
		L2: r.L2, WeightDecay: r.WeightDecay, ClipNorm: r.ClipNorm, ClipValue: r.ClipValue,
	}
}

// batches are those of an epoch, their weights as they count.
func (r *oracleRun) batches(o *oracle, data Data) (list []Data) {
	sizes, n := r.Batches, RowsOf(data.X)
	if sizes == nil {
		sizes = slices.Repeat([]int{cmp.Or(r.BatchSize, o.BatchSize)}, n)
		if w := data.SampleWeights; w != nil { // a mean of 1
			data.SampleWeights = floats.ScaleTo(make([]float64, n), float64(n)/floats.Sum(w), w)
		}
	}
	for lo := 0; lo < n; lo += sizes[len(list)-1] {
		list = append(list, slice(data, lo, min(lo+sizes[len(list)], n)))
	}
	return list
}

// span is for how many of the epochs from begin on the same layers are frozen, and which.
func (r *oracleRun) span(begin, epochs int) (n int, frozen []int) {
	from, to := 0, epochs
	if r.FrozenEpochs != nil {
		from, to = r.FrozenEpochs[0], r.FrozenEpochs[1]
	}
	switch {
	case begin < from:
		return from - begin, nil
	case begin < to:
		return to - begin, r.Freeze
	}
	return epochs - begin, nil
}

// slice is the samples lo to hi.
func slice(d Data, lo, hi int) Data {
	part := Data{X: d.X.(*mat.Dense).Slice(lo, hi, 0, Cols(d.X)), Y: d.Y.(*mat.Dense).Slice(lo, hi, 0, Cols(d.Y))}
	if d.SampleWeights != nil {
		part.SampleWeights = d.SampleWeights[lo:hi]
	}
	return part
}

// sequence gives the same batches in every epoch.
func sequence(batches ...Data) Batches {
	return func(int) iter.Seq2[Data, error] {
		return func(yield func(Data, error) bool) {
			for _, b := range batches {
				if !yield(b, nil) {
					return
				}
			}
		}
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

func (r *oracleRun) network(t *testing.T, inputs int) *Network {
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
