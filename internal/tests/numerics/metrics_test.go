package numerics_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// Wanted figures are scikit-learn 1.2's, by the lines of Python beside them after
//
//	from sklearn.metrics import accuracy_score, precision_recall_fscore_support
//	from sklearn.model_selection import train_test_split
//	from sklearn.utils.class_weight import compute_sample_weight

func TestClassesAreTheInverseOfOneHot(t *testing.T) {
	labels := []int{2, 0, 3, 3, 1}
	y := Value(OneHot(labels, 4))(t)
	for layout, m := range map[string]mat.Matrix{"its own": y, "transpose": mat.DenseCopyOf(y.T()).T()} {
		if got := Classes(m); !slices.Equal(got, labels) {
			t.Errorf("%s: %v, want %v", layout, got, labels)
		}
	}
}

func TestClassesByHand(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name    string
		columns int
		p       []float64
		want    []int
	}{
		{"one column, 1 from 0.5 upwards", 1, []float64{0, 0.5, math.Nextafter(0.5, 0), 1}, []int{0, 1, 0, 1}},
		{"the largest, the first of equals", 3, []float64{0.2, 0.5, 0.3, 0.4, 0.2, 0.4, 0, 0, 0}, []int{1, 0, 0}},
		{"logits", 2, []float64{-3, -1, -inf, -1e300, inf, 0}, []int{1, 1, 0}},
		{"NaN", 2, []float64{nan, 1, 1, nan, 0, 1}, []int{-1, -1, 1}},
		{"NaN in one column", 1, []float64{nan, 1}, []int{-1, 1}},
	} {
		if got := Classes(mat.NewDense(len(c.want), c.columns, c.p)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	for _, none := range []mat.Matrix{nil, (*mat.Dense)(nil), &mat.Dense{}} {
		if got := Classes(none); len(got) != 0 {
			t.Errorf("%T: %v, want none", none, got)
		}
	}
}

func TestBalancedWeightsAgreeWithScikitLearn(t *testing.T) {
	for _, c := range []struct {
		name string
		y    mat.Matrix
		want []float64
	}{
		// compute_sample_weight("balanced", [0, 2, 2, 1, 2, 0, 2, 2])
		{"three classes", Value(OneHot([]int{0, 2, 2, 1, 2, 0, 2, 2}, 3))(t),
			[]float64{1.3333333333333333, 0.5333333333333333, 0.5333333333333333, 2.6666666666666665,
				0.5333333333333333, 1.3333333333333333, 0.5333333333333333, 0.5333333333333333}},
		// compute_sample_weight("balanced", [0, 3, 3, 1, 3, 0, 3])
		{"an absent class does not count", Value(OneHot([]int{0, 3, 3, 1, 3, 0, 3}, 5))(t),
			[]float64{1.1666666666666667, 0.5833333333333334, 0.5833333333333334, 2.3333333333333335,
				0.5833333333333334, 1.1666666666666667, 0.5833333333333334}},
		// compute_sample_weight("balanced", [1, 0, 0, 0, 1, 0, 0, 0])
		{"one column", mat.NewVecDense(8, []float64{1, 0, 0.3, 0, 0.6, 0, 0, 0.1}),
			[]float64{2, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2,
				0.6666666666666666, 0.6666666666666666, 0.6666666666666666}},
		{"a single class", mat.NewDense(3, 2, []float64{0.25, 0.75, 0, 1, 0.4, 0.6}), []float64{1, 1, 1}},
	} {
		EqualTo(t, c.name, Value(BalancedWeights(c.y))(t), c.want, FewUlps)
	}
}

func TestClassScoresAgreeWithScikitLearn(t *testing.T) {
	// for v in precision_recall_fscore_support([0, 0, 1, 2, 2, 2, 2, 4, 1, 0, 2, 4],
	//     [0, 1, 1, 2, 3, 2, 0, 2, 1, 0, 2, 2], labels=range(6), zero_division=0): print(v.tolist())
	precision := []float64{0.6666666666666666, 0.6666666666666666, 0.6, 0, 0, 0}
	recall := []float64{0.6666666666666666, 1, 0.6, 0, 0, 0}
	f1 := []float64{0.6666666666666666, 0.8, 0.6, 0, 0, 0}
	support := []int{3, 2, 5, 0, 2, 0}
	actual := Value(OneHot([]int{0, 0, 1, 2, 2, 2, 2, 4, 1, 0, 2, 4}, 6))(t)
	predicted := Value(OneHot([]int{0, 1, 1, 2, 3, 2, 0, 2, 1, 0, 2, 2}, 6))(t)
	scores := Value(ClassScores(Value(ConfusionMatrix(predicted, actual))(t)))(t)
	if len(scores) != 6 {
		t.Fatalf("%d scores, want 6", len(scores))
	}
	for i, s := range scores {
		EqualTo(t, fmt.Sprintf("class %d", i), []float64{s.Precision, s.Recall, s.F1}, []float64{precision[i], recall[i], f1[i]}, FewUlps)
		if s.Support != support[i] {
			t.Errorf("class %d: support %d, want %d", i, s.Support, support[i])
		}
	}

	// for v in precision_recall_fscore_support([1, 1, 0, 0, 0], [1, 0, 0, 1, 1]): print(v.tolist())
	m := Value(ConfusionMatrix(mat.NewVecDense(5, []float64{0.7, 0.1, 0.2, 0.5, 0.8}), mat.NewVecDense(5, []float64{1, 1, 0, 0, 0})))(t)
	for i, s := range Value(ClassScores(m))(t) {
		want := []ClassScore{{Precision: 0.5, Recall: 0.3333333333333333, F1: 0.4, Support: 3},
			{Precision: 0.3333333333333333, Recall: 0.5, F1: 0.4, Support: 2}}[i]
		if s != want {
			t.Errorf("one column, class %d: %v, want %v", i, s, want)
		}
	}
}

func TestLabelAccuraciesAgreeWithScikitLearn(t *testing.T) {
	// y = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1], [1, 1, 1]])
	// p = np.array([[.9, .2, .5], [.4, .6, .8], [.7, .6, .1], [.2, .3, .9], [.49, .1, .5], [.5, 0, .7], [.8, .51, .6]])
	// accuracy_score(y, p >= .5), [accuracy_score(y[:, j], p[:, j] >= .5) for j in range(3)]
	y := mat.NewDense(7, 3, []float64{1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1})
	p := mat.NewDense(7, 3, []float64{0.9, 0.2, 0.5, 0.4, 0.6, 0.8, 0.7, 0.6, 0.1, 0.2, 0.3, 0.9, 0.49, 0.1, 0.5, 0.5, 0, 0.7, 0.8, 0.51, 0.6})
	for layout, m := range map[string]mat.Matrix{"its own": p, "transpose": mat.DenseCopyOf(p.T()).T()} {
		exact, each, err := LabelAccuracies(m, y)
		NoError(t, err)
		EqualTo(t, layout+", each", each, []float64{1, 0.7142857142857143, 0.8571428571428571}, FewUlps)
		EqualTo(t, layout+", exact", []float64{exact}, []float64{0.5714285714285714}, FewUlps)
	}
	exact, each, err := LabelAccuracies(mat.NewVecDense(2, []float64{-7, 7}), mat.NewVecDense(2, []float64{0, 0.4})) // no probabilities
	NoError(t, err)
	EqualTo(t, "one column", append(each, exact), []float64{0.5, 0.5}, 0)
}

func TestMetricsRefuseWhatTheyCannotJudge(t *testing.T) {
	one, three := mat.NewDense(2, 1, []float64{0, 1}), mat.NewDense(2, 3, []float64{1, 0, 0, 0, 1, 0})
	nan := mat.NewDense(2, 1, []float64{0, math.NaN()})
	labels := func(p, y mat.Matrix) error { _, _, err := LabelAccuracies(p, y); return err }
	scores := func(m mat.Matrix) error { _, err := ClassScores(m); return err }
	for _, c := range []struct {
		err  error
		want string
	}{
		{labels(nil, one), "backprop: LabelAccuracies: predicted is nil, want a matrix"},
		{labels(one, nil), "backprop: LabelAccuracies: actual is nil, want a matrix"},
		{labels(one, three), "backprop: LabelAccuracies: actual is 2×3, want 2×1"},
		{labels(nan, one), "backprop: LabelAccuracies: predicted row 1, column 0 is NaN, want a finite number"},
		{labels(one, nan), "backprop: LabelAccuracies: actual row 1, column 0 is NaN, want a finite number"},
		{labels(one, mat.NewDense(2, 1, []float64{0, 2})), "backprop: LabelAccuracies: actual row 1, column 0 is 2, want 0 to 1 for a label"},
		{scores(nil), "backprop: ClassScores: confusion is nil, want a matrix"},
		{scores(three), "backprop: ClassScores: confusion is 2×3, want 3×3"},
		{scores(mat.NewDense(2, 2, []float64{1, 0, -1, 0})), "backprop: ClassScores: confusion row 1, column 0 is -1, want a count"},
		{scores(mat.NewDense(2, 2, []float64{1, 0.5, 0, 0})), "backprop: ClassScores: confusion row 0, column 1 is 0.5, want a count"},
		{scores(mat.NewDense(1, 1, []float64{math.NaN()})), "backprop: ClassScores: confusion row 0, column 0 is NaN, want a count"},
		{scores(mat.NewDense(1, 1, []float64{math.Inf(1)})), "backprop: ClassScores: confusion row 0, column 0 is +Inf, want a count"},
	} {
		Fails(t, c.err, c.want)
	}
	for _, y := range []mat.Matrix{nil, nan, mat.NewDense(1, 2, []float64{1, 1}), mat.NewDense(1, 1, []float64{3})} {
		if w, err := BalancedWeights(y); err == nil || w != nil {
			t.Errorf("BalancedWeights of %v: %v and no error", y, w)
		}
	}
}

// numbered are samples that tell their numbers: x is n and −n, y is 10·n, the weight 1+n.
func numbered(n int) Data {
	d := Data{X: mat.NewDense(n, 2, nil), Y: mat.NewDense(n, 1, nil), SampleWeights: make([]float64, n)}
	for i := range n {
		d.X.(*mat.Dense).SetRow(i, []float64{float64(i), -float64(i)})
		d.Y.(*mat.Dense).Set(i, 0, 10*float64(i))
		d.SampleWeights[i] = 1 + float64(i)
	}
	return d
}

func TestSplitHoldsOutAsManyAsScikitLearn(t *testing.T) {
	for _, c := range []struct {
		n     int
		share float64
		held  int // len(train_test_split(range(n), test_size=share)[1])
	}{
		{10, 0.25, 3}, {10, 0.3, 3}, {7, 0.5, 4}, {2, 0.01, 1}, {100, 0.29, 29}, {100, 0.07, 8}, {1000, 0.001, 1}, {3, 0.34, 2}, {10, 0.7, 7},
	} {
		rest, held, err := numbered(c.n).Split(c.share, 1)
		NoError(t, err)
		if h, r := RowsOf(held.X), RowsOf(rest.X); h != c.held || r != c.n-c.held {
			t.Errorf("share %v of %d: %d and %d, want %d held out", c.share, c.n, r, h, c.held)
		}
	}
}

func TestSplitGivesEverySampleOnceWithItsTargetAndWeight(t *testing.T) {
	const n = 23
	d := numbered(n)
	wide := mat.NewDense(n, 5, nil)
	wide.Slice(0, n, 2, 4).(*mat.Dense).Copy(d.X)
	for layout, x := range map[string]mat.Matrix{"its own": d.X, "window": wide.Slice(0, n, 2, 4), "transpose": mat.DenseCopyOf(d.X.T()).T()} {
		rest, held, err := Data{X: x, Y: d.Y, SampleWeights: d.SampleWeights}.Split(0.4, 3)
		NoError(t, err)
		var seen []int
		for _, part := range []Data{rest, held} {
			rows := RowsOf(part.X)
			if RowsOf(part.Y) != rows || len(part.SampleWeights) != rows {
				t.Fatalf("%s: %d samples, %d targets, %d weights", layout, rows, RowsOf(part.Y), len(part.SampleWeights))
			}
			for i := range rows {
				k := part.X.At(i, 0)
				if part.X.At(i, 1) != -k || part.Y.At(i, 0) != 10*k || part.SampleWeights[i] != 1+k {
					t.Errorf("%s: sample %v has x %v, y %v, weight %v", layout, k, part.X.At(i, 1), part.Y.At(i, 0), part.SampleWeights[i])
				}
				seen = append(seen, int(k))
			}
		}
		if slices.IsSorted(seen) {
			t.Errorf("%s: nothing is drawn: %v", layout, seen)
		}
		slices.Sort(seen)
		for i, k := range seen {
			if i != k || len(seen) != n {
				t.Fatalf("%s: the samples are %v, want 0 to %d", layout, seen, n-1)
			}
		}
	}
	if rest, held, err := (Data{X: d.X, Y: d.Y}).Split(0.4, 3); err != nil || rest.SampleWeights != nil || held.SampleWeights != nil {
		t.Errorf("without weights: %v, %v, error %v", rest.SampleWeights, held.SampleWeights, err)
	}
}

func TestSplitGivesCopies(t *testing.T) {
	d, before := numbered(5), numbered(5)
	rest, held, err := d.Split(0.4, 0)
	NoError(t, err)
	for _, part := range []Data{rest, held} {
		part.X.(*mat.Dense).Zero()
		part.Y.(*mat.Dense).Zero()
		clear(part.SampleWeights)
	}
	if !mat.Equal(d.X, before.X) || !mat.Equal(d.Y, before.Y) || !slices.Equal(d.SampleWeights, before.SampleWeights) {
		t.Error("a part shares memory with the whole")
	}
}

func TestSplitDependsOnTheSeedAlone(t *testing.T) {
	held := func(seed uint64) mat.Matrix {
		_, held, err := numbered(30).Split(0.5, seed)
		NoError(t, err)
		return held.X
	}
	if !mat.Equal(held(7), held(7)) {
		t.Error("the same seed holds others out")
	}
	if mat.Equal(held(7), held(8)) {
		t.Error("another seed holds the same out")
	}
}

func TestSplitRefusesWhatItCannotDivide(t *testing.T) {
	const want = ", want some of them held out, and not all"
	good := numbered(4)
	for _, c := range []struct {
		data  Data
		share float64
		want  string
	}{
		{good, 0, "share is 0 of 4 samples" + want},
		{good, -0.1, "share is -0.1 of 4 samples" + want},
		{good, 1, "share is 1 of 4 samples" + want},
		{good, 0.76, "share is 0.76 of 4 samples" + want}, // ⌈3.04⌉ = 4
		{good, 1e300, "share is 1e+300 of 4 samples" + want},
		{good, math.NaN(), "share is NaN of 4 samples" + want},
		{numbered(1), 0.5, "share is 0.5 of 1 samples" + want},
		{Data{}, 0.5, "X is nil, want a matrix"},
		{Data{X: good.X}, 0.5, "Y is nil, want a matrix"},
		{Data{X: good.X, Y: mat.NewDense(3, 1, nil)}, 0.5, "Y is 3×1, want 4×M"},
		{Data{X: good.X, Y: good.Y, SampleWeights: []float64{1, 2, 3}}, 0.5, "SampleWeights is 3×1, want 4×1"},
		{Data{X: good.X, Y: mat.NewDense(4, 1, []float64{0, 0, math.Inf(-1), 0})}, 0.5, "Y row 2, column 0 is -Inf, want a finite number"},
	} {
		_, _, err := c.data.Split(c.share, 0)
		Fails(t, err, "backprop: Split: "+c.want)
	}
}
