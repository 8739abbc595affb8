package layers_test

import (
	"math"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// inUnits are targets far from mean 0 and variance 1, and what they are standardized.
func inUnits(rows int) (raw, standardized *mat.Dense) {
	raw, standardized = Pattern(rows, 2), mat.NewDense(rows, 2, nil)
	for j, scale := range []float64{3000, 1e-4} {
		column := mat.Col(nil, j, raw)
		for i := range column {
			column[i] = scale * (5 + column[i])
		}
		raw.SetCol(j, column)
		mean, variance := stat.PopMeanVariance(column, nil)
		standardized.SetCol(j, column)
		for i, v := range column {
			standardized.Set(i, j, (v-mean)/math.Sqrt(variance))
		}
	}
	return raw, standardized
}

// A training on raw targets is that on targets standardized by hand, and predicts in their units.
func TestUnstandardizeTrainsAsOnTargetsScaledByHand(t *testing.T) {
	x := Pattern(40, 3)
	raw, standardized := inUnits(40)
	layers := []Layer{Dense{Units: 8, Activation: Tanh}, Dense{Units: 2}}
	config := TrainConfig{LearningRate: 0.05, Epochs: 30, BatchSize: 9, Patience: 30}
	byHand := NewNetwork(t, 3, layers...)
	config.Validation = Data{X: x, Y: standardized}
	want := Value(byHand.Train(t.Context(), x, standardized, config))(t)
	net := NewNetwork(t, 3, append(layers, Unstandardize{})...)
	config.Validation = Data{X: x, Y: raw}
	h := Value(net.Train(t.Context(), x, raw, config))(t)
	for i, e := range h.Epochs {
		EqualTo(t, "losses", []float64{e.Loss, e.ValidationLoss}, []float64{want.Epochs[i].Loss, want.Epochs[i].ValidationLoss}, 1e-10)
	}
	EqualTo(t, "parameters", net.Params(), byHand.Params(), 1e-9)
	EqualTo(t, "loss", []float64{Value(net.Loss(x, raw, nil))(t)}, []float64{Value(byHand.Loss(x, standardized, nil))(t)}, 1e-10)
	EqualTo(t, "R²", []float64{Value(R2(Value(net.Predict(x))(t), raw))(t)}, []float64{Value(R2(Value(byHand.Predict(x))(t), standardized))(t)}, 1e-8)
	mean, variance := net.Statistics(2)
	p, z := Value(net.Predict(x))(t), Value(Value(net.Slice(0, 2))(t).Predict(x))(t)
	for i := range 40 {
		for j := range 2 {
			EqualTo(t, "prediction", []float64{p.At(i, j)}, []float64{z.At(i, j)*math.Sqrt(variance[j]) + mean[j]}, 1e-14)
		}
	}
	MustComeBack(t, net, x)
}

func TestUnstandardizeHasTheRightGradient(t *testing.T) {
	x := Pattern(12, 3)
	raw, _ := inUnits(12)
	net := NewNetwork(t, 3, Standardize{}, Dense{Units: 4, Activation: Tanh}, Dense{Units: 2}, Unstandardize{})
	for range 2 { // before it has learnt, and after
		for _, l := range []Loss{MSE, Huber{}, LogCosh{}} {
			y := raw
			if mean, _ := net.Statistics(3); mean[0] == 0 {
				y = Pattern(12, 2)
			}
			if c := Value(net.CheckGradient(x, y, l))(t); c.MaxRelative > 1e-7 {
				t.Errorf("%T: %+v", l, c)
			}
		}
		NoError(t, net.Adapt(Data{X: x, Y: raw}))
	}
}

// Behind a stage of one's own that passes everything on, da·σ flows back.
func TestUnstandardizeStagePassesDerivativesBack(t *testing.T) {
	at := Place{Inputs: 2, Rows: 3, NeedDX: true, Statistics: []*mat.Dense{
		mat.NewDense(1, 2, []float64{10, 20}), mat.NewDense(1, 2, []float64{4, 9})}}
	s := Unstandardize{}.Stage(at)
	a := s.Forward(mat.NewDense(2, 2, []float64{1, 1, -1, 0}))
	EqualTo(t, "a", a.RawMatrix().Data, []float64{12, 23, 8, 20}, 0)
	dx := s.Backward(mat.NewDense(2, 2, []float64{1, 1, -1, 0.5}))
	EqualTo(t, "dx", dx.RawMatrix().Data, []float64{2, 3, -2, 1.5}, 0)
}

func TestUnstandardizeStandsLast(t *testing.T) {
	_, err := New(2, Unstandardize{}, Dense{Units: 1})
	Fails(t, err, "backprop: New: layer 0: Unstandardize stands before another layer, want it last")
	_, err = New(2, Dense{Units: 1}, Sequential{Unstandardize{}}, Dropout{}, Dense{Units: 1})
	Fails(t, err, "backprop: New: layer 1: Sequential stands before another layer, want it last")
	net := NewNetwork(t, 2, Sequential{Standardize{}, Dense{Units: 1}, Unstandardize{}}) // learns within
	y := mat.NewDense(3, 1, []float64{1000, 2000, 3000})
	Value(net.Train(t.Context(), Pattern(3, 2), y, TrainConfig{LearningRate: 0.1, Epochs: 1}))(t)
	if p := Predict(t, net, Pattern(3, 2)); p[0] < 500 {
		t.Errorf("predicts %v", p)
	}
	_, err = net.Loss(Pattern(3, 2), Pattern(3, 1), BinaryCrossEntropy)
	Fails(t, err, "backprop: Loss: BinaryCrossEntropy takes what a Sigmoid gives, and the last layer ends with Identity; set its Activation to Sigmoid, or choose another loss")
}

func TestAConstantTargetIsPredicted(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 1}, Unstandardize{})
	y := mat.NewDense(4, 1, []float64{7, 7, 7, 7})
	Value(net.Train(t.Context(), Pattern(4, 2), y, TrainConfig{LearningRate: 0.3, Epochs: 400}))(t)
	EqualTo(t, "predictions", Predict(t, net, Pattern(4, 2)), []float64{7, 7, 7, 7}, 1e-3)
}

// A row of weight 0 is absent, and does not make a column of equal values one of different ones.
func TestMomentsDoNotLookAtSamplesOfWeightZero(t *testing.T) {
	net := NewNetwork(t, 2, Standardize{}, Dense{Units: 1}, Unstandardize{})
	x := mat.NewDense(3, 2, []float64{5, 1, 5, 3, 900, 70})
	y := mat.NewDense(3, 1, []float64{-2, 4, 1e9})
	NoError(t, net.Adapt(Data{X: x, Y: y, SampleWeights: []float64{1, 3, 0}}))
	mean, variance := net.Statistics(0)
	EqualTo(t, "of the inputs", append(mean, variance...), []float64{5, 2.5, 1, 0.75}, 1e-15)
	mean, variance = net.Statistics(2)
	EqualTo(t, "of the targets", append(mean, variance...), []float64{2.5, 6.75}, 1e-15)
}

// −0 stands for a mean that is still to be learnt, so that none may be learnt as such.
func TestAMeanOfMinusZeroIsLearnt(t *testing.T) {
	for _, column := range [][]float64{{math.Copysign(0, -1), math.Copysign(0, -1), math.Copysign(0, -1)}, {1, -1, -5e-324}} {
		net := NewNetwork(t, 1, Standardize{}, Dense{Units: 1})
		x := mat.NewDense(3, 1, column)
		NoError(t, net.Adapt(Data{X: x, Y: Pattern(3, 1)}))
		mean, variance := net.Statistics(0)
		if mean[0] != 0 || math.Signbit(mean[0]) || variance[0] < 0.5 {
			t.Errorf("%v has mean %v and variance %v", column, mean[0], variance[0])
		}
	}
}

// A variance with fewer digits than a float64 has is none to divide by.
func TestAVarianceThatUnderflowsIsAnError(t *testing.T) {
	net := NewNetwork(t, 1, Standardize{}, Dense{Units: 1})
	before := StateOf(net)
	for _, v := range []float64{1e-157, 1e-200} { // squares of 1e-314 and 0
		err := net.Adapt(Data{X: mat.NewDense(2, 1, []float64{v, -v}), Y: Pattern(2, 1)})
		Fails(t, err, "backprop: Adapt: column 0 of x is too small to standardize: its variance underflows")
	}
	before.MustEqual(t, net)
}
