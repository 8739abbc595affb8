package backprop

import (
	"cmp"
	"math"
	"slices"

	"example.com/backprop/internal/kernel"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// A Loss measures how far a network's output is from its targets. Both methods work on one sample:
// a is the output's row, y the target's, both with one element an output unit. The loss of a batch
// is the mean over its samples.
//
// Gradient stores ∂Value/∂a in da, which overlaps neither a nor y. The methods may be called from
// several goroutines at once.
//
// A whole one, the mean of log cosh(a−y):
//
//	type logCosh struct{}
//
//	func (logCosh) Value(a, y []float64) float64 {
//		sum := 0.0
//		for i := range a {
//			e := math.Abs(a[i] - y[i])
//			sum += e + math.Log1p(math.Exp(-2*e)) - math.Ln2
//		}
//		return sum / float64(len(a))
//	}
//
//	func (logCosh) Gradient(da, a, y []float64) {
//		for i := range a {
//			da[i] = math.Tanh(a[i]-y[i]) / float64(len(a))
//		}
//	}
type Loss interface {
	Value(a, y []float64) float64
	Gradient(da, a, y []float64)
}

// The losses without a parameter.
var (
	// MSE is the mean squared error: the mean of (a−y)² over all elements.
	MSE Loss = mse{}

	// MAE is the mean absolute error: the mean of |a−y| over all elements. Its derivative at a = y
	// is 0.
	MAE Loss = mae{}

	// BinaryCrossEntropy is the mean of −y·log a − (1−y)·log(1−a) over all elements, with every
	// target in [0, 1]. After a Sigmoid output it is computed from z, exactly for every z. After
	// any other activation a is clamped to [1e-12, 1−1e-12], and the derivative outside is 0.
	BinaryCrossEntropy Loss = binaryCrossEntropy{}

	// CrossEntropy is the mean over the samples of −Σ y·log a over the classes, with every target
	// in [0, 1] and every row of them summing to 1. After a Softmax output it is computed from z,
	// exactly for every z. After any other activation a is clamped to at least 1e-12, and the
	// derivative below is 0.
	CrossEntropy Loss = crossEntropy{}
)

// Huber is the mean over all elements of (a−y)²/2 where |a−y| ≤ Delta, and of
// Delta·(|a−y| − Delta/2) beyond. Delta is finite and above 0; 0 means 1 (Huber 1964).
type Huber struct{ Delta float64 }

// isElementwise reports whether a loss is the mean over elements that it treats each by itself, so
// that it can take a whole batch in one call. A user's own is called row by row, even if it embeds
// one of the package's.
func isElementwise(l Loss) bool { return isOurs(l) && l != CrossEntropy }

type mse struct{}

func (mse) Value(a, y []float64) float64 { return kernel.Squared.Sum(a, y) / float64(len(a)) }

func (mse) Gradient(da, a, y []float64) { kernel.Squared.Gradient(da, a, y, 2/float64(len(da))) }

type mae struct{}

func (mae) Value(a, y []float64) float64 { return kernel.Absolute.Sum(a, y) / float64(len(a)) }

func (mae) Gradient(da, a, y []float64) { kernel.Absolute.Gradient(da, a, y, 1/float64(len(da))) }

func (h Huber) delta() float64 { return cmp.Or(h.Delta, 1) }

func (h Huber) check() error { return checkPositive("Huber Delta", h.Delta) }

// Value is the loss of one sample.
func (h Huber) Value(a, y []float64) float64 {
	return kernel.Huber(h.delta()).Sum(a, y) / float64(len(a))
}

// Gradient stores the loss's derivative in da.
func (h Huber) Gradient(da, a, y []float64) {
	kernel.Huber(h.delta()).Gradient(da, a, y, 1/float64(len(da)))
}

// A logitLoss has a closed form in z behind one output activation. dL/dz is then a−y, so that
// nothing is lost where the activation is saturated.
type logitLoss interface {
	Loss
	String() string
	output() Activation
	valueZ(z, a, y []float64, out int) float64 // the mean over samples of out units
	terms(rows, cols int) int                  // of which the batch's loss is the mean
	checkTargets(where door, name string, y matrix) error
}

// checkProbabilities returns an error if an element of y is no probability.
func checkProbabilities(where door, name string, y matrix, want string) error {
	return where.checkRange(name, &y, 0, 1, "0 to 1", want)
}

// checkDistributions returns an error if a row of y is not the probabilities of classes.
func checkDistributions(where door, name string, y matrix, want string) error {
	if err := checkProbabilities(where, name, y, want); err != nil {
		return err
	}
	for i := range y.Rows {
		if sum := floats.Sum(y.Row(i)); math.Abs(sum-1) > 1e-6 {
			return &ValueError{string(where), name, i, -1, sum, "1 " + want}
		}
	}
	return nil
}

// clampP is how close to 0 a probability is taken as it is.
const clampP = 1e-12

type binaryCrossEntropy struct{}

func (binaryCrossEntropy) Value(a, y []float64) float64 {
	sum := 0.0
	for i, a := range a {
		a = max(clampP, min(1-clampP, a))
		sum -= float64(y[i]*kernel.Log(a)) + float64((1-y[i])*kernel.Log1p(-a))
	}
	return sum / float64(len(a))
}

func (binaryCrossEntropy) Gradient(da, a, y []float64) {
	for i, a := range a {
		if a < clampP || a > 1-clampP {
			da[i] = 0
			continue
		}
		da[i] = (a - y[i]) / (a * (1 - a)) / float64(len(da))
	}
}

func (binaryCrossEntropy) output() Activation { return Sigmoid }

// L = max(z,0) − z·y + log(1+e^−|z|)
func (binaryCrossEntropy) valueZ(z, _, y []float64, _ int) float64 {
	return kernel.LogisticLoss(z, y) / float64(len(z))
}

func (binaryCrossEntropy) terms(rows, cols int) int { return rows * cols }

func (binaryCrossEntropy) String() string { return "BinaryCrossEntropy" }

func (binaryCrossEntropy) checkTargets(where door, name string, y matrix) error {
	return checkProbabilities(where, name, y, "for BinaryCrossEntropy; a Softmax and OneHot are for more than two classes")
}

type crossEntropy struct{}

func (crossEntropy) Value(a, y []float64) float64 {
	sum := 0.0
	for i, a := range a {
		sum -= float64(y[i] * kernel.Log(max(clampP, a))) // a NaN stays one, where y is 0 too
	}
	return sum
}

func (crossEntropy) Gradient(da, a, y []float64) {
	for i, a := range a {
		da[i] = 0
		if a >= clampP {
			da[i] = -y[i] / a
		}
	}
}

func (crossEntropy) output() Activation { return Softmax }

// L = log Σeᶻ − Σ y·z
func (crossEntropy) valueZ(z, a, y []float64, out int) float64 {
	return kernel.CrossEntropy(z, a, y, out) / float64(len(z)/out)
}

func (crossEntropy) terms(rows, _ int) int { return rows }

func (crossEntropy) String() string { return "CrossEntropy" }

func (crossEntropy) checkTargets(where door, name string, y matrix) error {
	return checkDistributions(where, name, y, "for CrossEntropy; OneHot makes such rows")
}

// defaultLoss is the loss that belongs to an output activation.
func defaultLoss(output Activation) Loss {
	switch output {
	case Softmax:
		return CrossEntropy
	case Sigmoid:
		return BinaryCrossEntropy
	}
	return MSE
}

// OneHot returns the len(labels)×classes matrix whose row i holds 1 in column labels[i] and 0
// elsewhere: targets for [CrossEntropy]. A label outside [0, classes) is an error, and so are no
// labels and fewer than two classes.
func OneHot(labels []int, classes int) (*mat.Dense, error) {
	const where = door("OneHot")
	if len(labels) == 0 {
		return nil, where.errorf("no labels")
	}
	if most := maxSize / len(labels); classes < 2 || classes > most {
		return nil, where.errorf("classes is %d, want 2 to %d for %d labels", classes, most, len(labels))
	}
	m := mat.NewDense(len(labels), classes, nil)
	for i, c := range labels {
		if c < 0 || c >= classes {
			return nil, where.errorf("label %d is %d, want 0 to %d", i, c, classes-1)
		}
		m.Set(i, c, 1)
	}
	return m, nil
}

// Classes are the classes of rows of probabilities or of one-hot rows, [OneHot]'s inverse, told as
// by [Accuracy]. A row with a NaN is of class −1, and a nil matrix has no rows.
func Classes(p mat.Matrix) []int {
	var m matrix
	if door("Classes").view(&m, "p", p, -1, -1) != nil {
		return nil
	}
	labels := make([]int, m.Rows)
	for i := range labels {
		if labels[i] = class(m.Row(i)); floats.HasNaN(m.Row(i)) {
			labels[i] = -1
		}
	}
	return labels
}

// BalancedWeights are weights of samples with which each of the k classes in y counts alike:
// N/(k·its samples), as scikit-learn's "balanced". Targets are classes as for [Accuracy].
func BalancedWeights(y mat.Matrix) ([]float64, error) {
	const where = door("BalancedWeights")
	var m matrix
	if err := cmp.Or(where.viewFinite(&m, "y", y, -1, -1), checkClass(where, "y", &m)); err != nil {
		return nil, err
	}
	labels, counts := Classes(y), map[int]float64{}
	for _, c := range labels {
		counts[c]++
	}
	weights := make([]float64, len(labels))
	for i, c := range labels {
		weights[i] = float64(m.Rows) / (float64(len(counts)) * counts[c])
	}
	return weights, nil
}

// Accuracy is the share of samples (rows) whose predicted class is the actual one, from 0 to 1.
// With several columns a row's class is the column with the largest element, the first of equals;
// with a single column it is 1 from 0.5 upwards and 0 below. Matrices of different shapes are a
// [*ShapeError], and actual rows that are no classes a [*ValueError]: their elements are from 0 to
// 1 and, of several columns, sum to 1. [LabelAccuracies] judges several labels a row. A NaN or an
// infinity in either is a [*ValueError], here and in the functions below.
func Accuracy(predicted, actual mat.Matrix) (float64, error) {
	p, y, err := checkClasses("Accuracy", predicted, actual)
	if err != nil {
		return 0, err
	}
	hits := 0
	for i := range p.Rows {
		if class(p.Row(i)) == class(y.Row(i)) {
			hits++
		}
	}
	return float64(hits) / float64(p.Rows), nil
}

// ConfusionMatrix counts the samples by their actual class (row) and their predicted class
// (column), classes being told as by [Accuracy]. It is classes×classes, or 2×2 for a single column.
func ConfusionMatrix(predicted, actual mat.Matrix) (*mat.Dense, error) {
	p, y, err := checkClasses("ConfusionMatrix", predicted, actual)
	if err != nil {
		return nil, err
	}
	n := max(p.Cols, 2)
	if n > maxSize/n {
		return nil, door("ConfusionMatrix").errorf("%d×%d counts for %d classes, want at most %d counts", n, n, n, maxSize)
	}
	m := mat.NewDense(n, n, nil)
	for i := range p.Rows {
		r, c := class(y.Row(i)), class(p.Row(i))
		m.Set(r, c, m.At(r, c)+1)
	}
	return m, nil
}

// A ClassScore tells how well a class is recognized. A share of nothing counts 0, as in
// scikit-learn's precision_recall_fscore_support.
type ClassScore struct {
	Precision float64 // the share of the samples predicted as of the class that are
	Recall    float64 // the share of the samples of the class that are predicted so
	F1        float64 // the harmonic mean of the two
	Support   int     // the samples of the class
}

// ClassScores are the scores of each class, from a matrix of counts as [ConfusionMatrix] makes it.
// One that is not square is a [*ShapeError], and what is no count a [*ValueError].
func ClassScores(confusion mat.Matrix) ([]ClassScore, error) {
	const where = door("ClassScores")
	var m matrix
	if err := where.view(&m, "confusion", confusion, -1, -1); err != nil {
		return nil, err
	}
	if m.Rows != m.Cols {
		return nil, &ShapeError{string(where), "confusion", m.Rows, m.Cols, m.Cols, m.Cols}
	}
	scores := make([]ClassScore, m.Rows)
	for i := range scores {
		hits, actual, predicted := m.Row(i)[i], floats.Sum(m.Row(i)), floats.Sum(m.Column(i))
		for j, v := range m.Row(i) {
			if v < 0 || v != math.Trunc(v) || v > 1<<53 {
				return nil, &ValueError{string(where), "confusion", i, j, v, "a count"}
			}
		}
		share := func(part, whole float64) float64 { return part / max(whole, 1) }
		scores[i] = ClassScore{share(hits, predicted), share(hits, actual), share(2*hits, actual+predicted), int(actual)}
	}
	return scores, nil
}

// LabelAccuracies judges several labels a row, each of them 1 from 0.5 upwards and 0 below: exact is
// the share of rows all of whose labels are the actual ones, and each the share for every column.
// Errors are those of [Accuracy], but for the sum.
func LabelAccuracies(predicted, actual mat.Matrix) (exact float64, each []float64, err error) {
	const where = door("LabelAccuracies")
	p, y, err := checkMetric(where, predicted, actual)
	if err == nil {
		err = checkProbabilities(where, "actual", y, "for a label")
	}
	if err != nil {
		return 0, nil, err
	}
	each = make([]float64, p.Cols)
	for i := range p.Rows {
		all := 1.0
		for j, v := range p.Row(i) {
			if (v >= 0.5) == (y.Row(i)[j] >= 0.5) {
				each[j]++
			} else {
				all = 0
			}
		}
		exact += all
	}
	for j := range each {
		each[j] /= float64(p.Rows)
	}
	return exact / float64(p.Rows), each, nil
}

// R2 is the coefficient of determination, 1 − Σ(a−y)²/Σ(y−ȳ)²: 1 for a perfect prediction, 0 for
// one that is no better than the mean. Several columns give the mean of theirs. A column of equal
// targets counts 1 where it is predicted exactly and 0 otherwise, as in scikit-learn. Squares that
// leave the range of a float64 are an error.
func R2(predicted, actual mat.Matrix) (float64, error) {
	p, y, err := checkMetric("R2", predicted, actual)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for j := range p.Cols {
		sum += columnR2(p.Column(j), y.Column(j))
	}
	if !isFinite(sum) {
		return 0, door("R2").errorf("the sum of squares leaves the range of a float64; scale the data")
	}
	return sum / float64(p.Cols), nil
}

func columnR2(p, y []float64) float64 {
	if slices.Min(y) < slices.Max(y) {
		mean := slices.Repeat([]float64{kernel.Sum(y) / float64(len(y))}, len(y))
		return 1 - kernel.Squared.Sum(p, y)/kernel.Squared.Sum(mean, y)
	}
	if slices.Equal(p, y) {
		return 1
	}
	return 0
}

func checkMetric(where door, predicted, actual mat.Matrix) (p, y matrix, err error) {
	if err = where.viewFinite(&p, "predicted", predicted, -1, -1); err == nil {
		err = where.viewFinite(&y, "actual", actual, p.Rows, p.Cols)
	}
	return p, y, err
}

// checkClasses is checkMetric of classes.
func checkClasses(where door, predicted, actual mat.Matrix) (p, y matrix, err error) {
	if p, y, err = checkMetric(where, predicted, actual); err != nil {
		return p, y, err
	}
	return p, y, checkClass(where, "actual", &y)
}

// checkClass returns an error if a row of y is no class.
func checkClass(where door, name string, y *matrix) error {
	const want = "for a row that is a class, as OneHot makes it; LabelAccuracies judges several labels a row, R2 numbers"
	if y.Cols > 1 {
		return checkDistributions(where, name, *y, want)
	}
	return checkProbabilities(where, name, *y, want)
}

// class is the class that a row of probabilities, or a one-hot row, stands for.
func class(row []float64) int {
	if len(row) == 1 {
		if row[0] >= 0.5 {
			return 1
		}
		return 0
	}
	return floats.MaxIdx(row)
}
