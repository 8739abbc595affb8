package numerics_test

import (
	"fmt"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// The loss of a batch is the mean over its rows, however many they are.
func TestLossIsTheMeanOverTheSamples(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dense{Units: 2, Activation: Sigmoid})
	x, y := Pattern(700, 2), Probabilities(700, 2)
	a := Value(net.Predict(x))(t)
	for _, l := range []Loss{MSE, MAE, Huber{}, BinaryCrossEntropy, LogCosh{}} {
		sum := 0.0
		for i := range 700 {
			sum += l.Value(a.RawRowView(i), y.RawRowView(i))
		}
		EqualTo(t, fmt.Sprintf("%T", l), []float64{Value(net.Loss(x, y, l))(t)}, []float64{sum / 700}, 1e-13)
		training, _, err := net.Gradient(nil, x, y, l)
		NoError(t, err)
		EqualTo(t, fmt.Sprintf("%T in training", l), []float64{training}, []float64{sum / 700}, 1e-13)
	}
}

func TestOutputActivationChoosesTheLoss(t *testing.T) {
	for _, f := range Activations {
		want := MSE
		switch f {
		case Sigmoid:
			want = BinaryCrossEntropy
		case Softmax:
			want = CrossEntropy
		}
		net := NewNetwork(t, 2, Dense{Units: 2, Activation: f})
		x, y := Pattern(3, 2), mat.NewDense(3, 2, []float64{1, 0, 0.5, 0.5, 0, 1})
		SameBits(t, f.String(), []float64{Value(net.Loss(x, y, nil))(t)}, []float64{Value(net.Loss(x, y, want))(t)})
	}
}

// The closed form in z and the general form are the same function.
func TestClosedFormsEqualTheGeneralOnes(t *testing.T) {
	for _, f := range []Activation{Sigmoid, Softmax} {
		x, y := Pattern(5, 3), mat.NewDense(5, 2, []float64{1, 0, 0.5, 0.5, 0, 1, 0.25, 0.75, 1, 0})
		fused := NewNetwork(t, 3, Dense{Units: 2, Activation: f})
		general := NewNetwork(t, 3, Dense{Units: 2, Activation: Observed{Activation: f, See: func(a, z []float64) {}}})
		l := BinaryCrossEntropy
		if f == Softmax {
			l = CrossEntropy
		}
		wantLoss, wantGrad, err := general.Gradient(nil, x, y, l)
		NoError(t, err)
		loss, grad, err := fused.Gradient(nil, x, y, l)
		NoError(t, err)
		EqualTo(t, "loss", []float64{loss}, []float64{wantLoss}, 1e-14)
		EqualTo(t, "gradient", grad, wantGrad, 1e-12)
	}
}

func TestAccuracyByHand(t *testing.T) {
	for _, c := range []struct {
		name              string
		columns           int
		predicted, actual []float64
		want              float64
	}{
		{"one column", 1, []float64{0.2, 0.5, 0.9, 0.4}, []float64{0, 1, 1, 1}, 0.75},
		{"two columns", 2, []float64{0.9, 0.1, 0.3, 0.7}, []float64{0, 1, 0, 1}, 0.5},
		{"first of equals", 3, []float64{0.4, 0.4, 0.2, 0.1, 0.45, 0.45}, []float64{1, 0, 0, 0, 1, 0}, 1},
		{"negative logits", 2, []float64{-5, -1, -1, -5, -2, -3}, []float64{0, 1, 0, 1, 1, 0}, 2. / 3},
		{"all wrong", 1, []float64{1, 0}, []float64{0, 1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(c.predicted) / c.columns
			got := Value(Accuracy(mat.NewDense(n, c.columns, c.predicted), mat.NewDense(n, c.columns, c.actual)))(t)
			EqualTo(t, "Accuracy", []float64{got}, []float64{c.want}, FewUlps)
		})
	}
}

func TestConfusionMatrixByHand(t *testing.T) {
	// Actual classes 0 0 1 2 2 2, predicted 0 1 1 2 2 0.
	actual := Value(OneHot([]int{0, 0, 1, 2, 2, 2}, 3))(t)
	predicted := Value(OneHot([]int{0, 1, 1, 2, 2, 0}, 3))(t)
	got := Value(ConfusionMatrix(predicted, actual))(t)
	if want := mat.NewDense(3, 3, []float64{1, 1, 0, 0, 1, 0, 1, 0, 2}); !mat.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", mat.Formatted(got), mat.Formatted(want))
	}
	// In one column: actual 1 1 0 0 0, predicted 1 0 0 1 1.
	got = Value(ConfusionMatrix(mat.NewVecDense(5, []float64{0.7, 0.1, 0.2, 0.5, 0.8}), mat.NewVecDense(5, []float64{1, 1, 0, 0, 0})))(t)
	if want := mat.NewDense(2, 2, []float64{1, 2, 1, 1}); !mat.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", mat.Formatted(got), mat.Formatted(want))
	}
}

func TestR2ByHand(t *testing.T) {
	for _, c := range []struct {
		name              string
		columns           int
		predicted, actual []float64
		want              float64
	}{
		// ȳ = 2, Σ(y−ȳ)² = 2, Σ(a−y)² = 0.25
		{"one column", 1, []float64{1, 2.5, 3}, []float64{1, 2, 3}, 1 - 0.25/2},
		{"perfect", 1, []float64{1, 2, 3}, []float64{1, 2, 3}, 1},
		{"the mean", 1, []float64{2, 2, 2}, []float64{1, 2, 3}, 0},
		{"worse than the mean", 1, []float64{3, 2, 1}, []float64{1, 2, 3}, 1 - 8./2},
		// columns: perfect 1, the mean 0
		{"two columns", 2, []float64{1, 5, 3, 5}, []float64{1, 4, 3, 6}, 0.5},
		{"constant, met", 1, []float64{7, 7}, []float64{7, 7}, 1},
		{"constant, missed", 1, []float64{7, 8}, []float64{7, 7}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(c.predicted) / c.columns
			got := Value(R2(mat.NewDense(n, c.columns, c.predicted), mat.NewDense(n, c.columns, c.actual)))(t)
			EqualTo(t, "R2", []float64{got}, []float64{c.want}, FewUlps)
		})
	}
}

func TestOneHotByHand(t *testing.T) {
	got := Value(OneHot([]int{2, 0, 1}, 4))(t)
	if want := mat.NewDense(3, 4, []float64{0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0}); !mat.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", mat.Formatted(got), mat.Formatted(want))
	}
}

func TestMetricsTakeAnyMatrix(t *testing.T) {
	predicted, actual := mat.NewDense(2, 3, []float64{0.9, 0.2, 0.8, 0.1, 0.8, 0.2}), mat.NewDense(2, 3, []float64{1, 0, 0, 0, 1, 1})
	for name, metric := range map[string]func(p, a mat.Matrix) (float64, error){"Accuracy": Accuracy, "R2": R2} {
		want := Value(metric(mat.DenseCopyOf(predicted.T()), mat.DenseCopyOf(actual.T())))(t)
		SameBits(t, name, []float64{Value(metric(predicted.T(), actual.T()))(t)}, []float64{want})
	}
}
