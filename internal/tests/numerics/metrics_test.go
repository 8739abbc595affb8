package numerics_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

func TestClassesOfRowsAtTheEdge(t *testing.T) {
	nan := math.NaN()
	rows := mat.NewDense(5, 3, []float64{0.2, 0.5, 0.3, 0.4, 0.4, 0.2, nan, 1, 0, 0, 1, nan, -3, -2, -1})
	if got := Classes(rows); !slices.Equal(got, []int{1, 0, -1, -1, 2}) {
		t.Errorf("several columns: %v", got)
	}
	if got := Classes(mat.NewVecDense(4, []float64{0.5, math.Nextafter(0.5, 0), nan, 1})); !slices.Equal(got, []int{1, 0, -1, 1}) {
		t.Errorf("one column: %v", got)
	}
}

// A class that does not occur has no share in the weights, as in scikit-learn's "balanced".
func TestBalancedWeightsCountTheClassesThatOccur(t *testing.T) {
	y := Value(OneHot([]int{3, 0, 3, 3}, 4))(t)
	EqualTo(t, "weights", Value(BalancedWeights(y))(t), []float64{2. / 3, 2, 2. / 3, 2. / 3}, 1e-15)
}

func TestLabelsAreOneFromAHalfUpwards(t *testing.T) {
	p := mat.NewDense(2, 2, []float64{0.5, 0.49, 0.51, 0.5})
	y := mat.NewDense(2, 2, []float64{1, 0, 0.5, 0})
	exact, each, err := LabelAccuracies(p, y)
	NoError(t, err)
	EqualTo(t, "accuracies", append(each, exact), []float64{1, 0.5, 0.5}, 1e-15)
}

// Shares of what is all right are 1, and not next to it.
func TestAccuraciesOfPerfectLabelsAreOne(t *testing.T) {
	for _, n := range []int{10, 49, 1000} {
		exact, each, err := LabelAccuracies(mat.NewDense(n, 2, nil), mat.NewDense(n, 2, nil))
		NoError(t, err)
		SameBits(t, "accuracies", append(each, exact), []float64{1, 1, 1})
	}
}

// Beyond 2⁵³ a float64 does not count any more.
func TestClassScoresAreOfCounts(t *testing.T) {
	for _, v := range []float64{-1, 0.5, math.NaN(), math.Inf(1), 1 << 54} {
		_, err := ClassScores(mat.NewDense(2, 2, []float64{1, 0, v, 1}))
		var value *ValueError
		if !errors.As(err, &value) || value.Row != 1 || value.Col != 0 {
			t.Errorf("of %v: %v", v, err)
		}
	}
}

// Every sample is in one of the two parts, once, with its target and its weight.
func TestSplitLosesNoSample(t *testing.T) {
	const n = 10
	d := Data{X: mat.NewDense(n, 1, nil), Y: mat.NewDense(n, 1, nil)}
	for i := range n {
		d.X.(*mat.Dense).Set(i, 0, float64(i))
		d.Y.(*mat.Dense).Set(i, 0, float64(10*i))
		d.SampleWeights = append(d.SampleWeights, float64(100*i))
	}
	for share, size := range map[float64]int{0.01: 1, 0.3: 3, 0.31: 4, 0.9: 9} {
		rest, held, err := d.Split(share, 1)
		NoError(t, err)
		if got := RowsOf(held.X); got != size {
			t.Errorf("%v of %d samples are %d, want %d", share, n, got, size)
		}
		var seen []float64
		for _, part := range []Data{rest, held} {
			for i, w := range part.SampleWeights {
				x := part.X.At(i, 0)
				if part.Y.At(i, 0) != 10*x || w != 100*x {
					t.Errorf("sample %v has target %v and weight %v", x, part.Y.At(i, 0), w)
				}
				seen = append(seen, x)
			}
		}
		slices.Sort(seen)
		SameBits(t, "samples", seen, d.X.(*mat.Dense).RawMatrix().Data)
	}
}

// scikit-learn 1.2 printed the figures:
//
//	y, p = [0, 1, 2, 2, 1, 0, 2, 2, 0, 0], [0, 2, 2, 2, 1, 1, 0, 2, 0, 0]
//	precision_recall_fscore_support(y, p, labels=[0, 1, 2, 3], zero_division=0)
//	compute_sample_weight("balanced", [0, 0, 0, 1, 2, 2, 0])
//	Y, P = [[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0]], [[1, 0, 1], [0, 1, 1], [1, 1, 0], [1, 1, 1]]
//	accuracy_score(Y, P), [accuracy_score(Y[:, j], P[:, j]) for j in range(3)]
func TestMetricsAgreeWithScikitLearn(t *testing.T) {
	y, p := Value(OneHot([]int{0, 1, 2, 2, 1, 0, 2, 2, 0, 0}, 4))(t), Value(OneHot([]int{0, 2, 2, 2, 1, 1, 0, 2, 0, 0}, 4))(t)
	scores := Value(ClassScores(Value(ConfusionMatrix(p, y))(t)))(t)
	for i, want := range [][]float64{{0.75, 0.75, 0.75, 4}, {0.5, 0.5, 0.5, 2}, {0.75, 0.75, 0.75, 4}, {0, 0, 0, 0}} {
		s := scores[i]
		EqualTo(t, "scores", []float64{s.Precision, s.Recall, s.F1, float64(s.Support)}, want, 0)
	}
	weights := Value(BalancedWeights(Value(OneHot([]int{0, 0, 0, 1, 2, 2, 0}, 3))(t)))(t)
	EqualTo(t, "weights", weights, []float64{0.58333333, 0.58333333, 0.58333333, 2.33333333, 1.16666667, 1.16666667, 0.58333333}, 1e-8)
	exact, each, err := LabelAccuracies(
		mat.NewDense(4, 3, []float64{1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1}), mat.NewDense(4, 3, []float64{1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0}))
	NoError(t, err)
	EqualTo(t, "accuracies", append(each, exact), []float64{0.75, 0.75, 0.75, 0.5}, 0)
}
