package layers_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// Whoever composes stages may want derivatives in inference, as of a frozen layer: there the running
// statistics are constants.
func TestStagesGoBackInInferenceToo(t *testing.T) {
	x, da := Pattern(5, 3), Pattern(5, 3)
	mean, variance := []float64{0.5, -1, 2}, []float64{4, 0.25, 1}
	statistics := []*mat.Dense{mat.NewDense(1, 3, slices.Clone(mean)), mat.NewDense(1, 3, slices.Clone(variance))}
	for _, layer := range []Layer{BatchNorm{Epsilon: 0.01}, Standardize{}} {
		shape := Value(layer.Shape(3))(t)
		at := Place{Inputs: 3, Rows: 5, Statistics: statistics, NeedDX: true}
		gamma, beta, epsilon := []float64{1, 1, 1}, []float64{0, 0, 0}, 0.0
		if len(shape.Params) > 0 {
			gamma, beta, epsilon = []float64{2, -3, 0.5}, []float64{1, 0, -1}, 0.01
			at.Params = []*mat.Dense{mat.NewDense(1, 3, gamma), mat.NewDense(1, 3, beta)}
			at.Grads = []*mat.Dense{mat.NewDense(1, 3, nil), mat.NewDense(1, 3, nil)}
		}
		wantA, wantDX, dgamma, dbeta := mat.NewDense(5, 3, nil), mat.NewDense(5, 3, nil), make([]float64, 3), make([]float64, 3)
		for i := range 5 {
			for j := range 3 {
				sigma := math.Sqrt(variance[j] + epsilon)
				xhat := (x.At(i, j) - mean[j]) / sigma
				wantA.Set(i, j, gamma[j]*xhat+beta[j])
				wantDX.Set(i, j, da.At(i, j)*gamma[j]/sigma)
				dgamma[j] += da.At(i, j) * xhat
				dbeta[j] += da.At(i, j)
			}
		}
		stage := layer.Stage(at)
		Near(t, "a", stage.Forward(x).RawMatrix().Data, wantA.RawMatrix().Data, 1)
		Near(t, "dx", stage.Backward(mat.DenseCopyOf(da)).RawMatrix().Data, wantDX.RawMatrix().Data, 1)
		if at.Grads != nil {
			Near(t, "dγ", at.Grads[0].RawMatrix().Data, dgamma, 1)
			Near(t, "dβ", at.Grads[1].RawMatrix().Data, dbeta, 1)
		}
		SameBits(t, "mean", statistics[0].RawMatrix().Data, mean)
		SameBits(t, "variance", statistics[1].RawMatrix().Data, variance)
	}
}

// Whoever composes stages may hand one a matrix that does not belong there.
func TestAStagePanicsAtAMatrixOfAnotherWidth(t *testing.T) {
	panics := func(f func()) (p bool) {
		defer func() { p = recover() != nil }()
		f()
		return
	}
	row := []*mat.Dense{mat.NewDense(1, 4, nil), mat.NewDense(1, 4, nil)}
	for layer, params := range map[Layer][]*mat.Dense{
		Dense{Units: 4}:   {mat.NewDense(4, 4, nil), row[0]},
		BatchNorm{}:       row,
		Activate{F: Tanh}: nil,
		Standardize{}:     nil,
	} {
		for _, training := range []bool{false, true} {
			at := Place{Inputs: 4, Rows: 9, Params: params, Grads: params, Statistics: row, Training: training, NeedDX: true}
			for cols := 3; cols <= 5; cols++ {
				stage := layer.Stage(at)
				if got := panics(func() { stage.Forward(Pattern(5, cols)) }); got != (cols != 4) {
					t.Errorf("%v forward with %d columns: panics is %v", layer, cols, got)
				}
				stage.Forward(Pattern(5, 4))
				if got := panics(func() { stage.Backward(Pattern(5, cols)) }); got != (cols != 4) {
					t.Errorf("%v backward with %d columns: panics is %v", layer, cols, got)
				}
			}
		}
	}
}

func TestResizeKeepsMemoryThatIsEnough(t *testing.T) {
	m := mat.NewDense(4, 6, nil)
	memory := &m.RawMatrix().Data[0]
	for _, c := range []struct {
		rows, cols int
		same       bool
	}{{4, 6, true}, {2, 3, true}, {3, 8, true}, {5, 5, false}} {
		if Resize(m, c.rows, c.cols) != m || RowsOf(m) != c.rows || Cols(m) != c.cols || m.RawMatrix().Stride != c.cols {
			t.Errorf("%d×%d: %v", c.rows, c.cols, m.RawMatrix())
		}
		if same := &m.RawMatrix().Data[0] == memory; same != c.same {
			t.Errorf("%d×%d: the same memory: %v", c.rows, c.cols, same)
		}
	}
	window := mat.NewDense(4, 6, nil).Slice(1, 3, 1, 3).(*mat.Dense)
	if Resize(window, 2, 2).RawMatrix().Stride != 2 {
		t.Error("gaps are left")
	}
}

func TestASequentialIsOneLineOfTheTable(t *testing.T) {
	net := NewNetwork(t, 2, Sequential{Dense{Units: 3}, Activate{F: Tanh}}, Dense{Units: 1})
	if table := net.String(); !strings.Contains(table, "0      Sequential of 2 layers  3       9\n") {
		t.Error(table)
	}
}

// shaped is a layer that says what it needs, and no more.
type shaped struct {
	Layer
	shape Shape
}

func (l shaped) Shape(int) (Shape, error) { return l.shape, nil }

func TestShapesThatCannotBeAreRefused(t *testing.T) {
	for want, shape := range map[string]Shape{
		"it has 0 outputs, want 1 to 1073741824":                                  {},
		"it has 1073741825 outputs, want 1 to 1073741824":                         {Outputs: 1<<30 + 1},
		"its weight has shape [2 0], want 1 to 1073741824 elements":               {Outputs: 1, Params: []Tensor{{Name: "weight", Shape: []int{2, 0}}}},
		"its running_mean has shape [65536 65536], want 1 to 1073741824 elements": {Outputs: 1, Statistics: []Tensor{{Name: "running_mean", Shape: []int{1 << 16, 1 << 16}}}},
	} {
		_, err := New(2, shaped{shape: shape}, Dense{Units: 1})
		Fails(t, err, "backprop: New: layer 0: "+want)
	}
}

func TestANetworkNeedsNoParameters(t *testing.T) {
	net := NewNetwork(t, 3, Standardize{}, Activate{F: Tanh})
	x, y := ScaledMatrix(Pattern(9, 3), 5), Pattern(9, 3)
	for _, o := range []Optimizer{nil, &SGD{Momentum: 0.9}, &RMSProp{}, &Adam{}, &AdaGrad{}} {
		config := TrainConfig{LearningRate: 0.1, Epochs: 2, BatchSize: 4, Optimizer: o, L2: 0.1, WeightDecay: 0.1, ClipNorm: 1, ClipValue: 1}
		h := Value(net.Train(t.Context(), x, y, config))(t)
		if loss := Value(net.Loss(x, y, nil))(t); math.Abs(h.Epochs[1].Loss-loss) > 1e-12 || h.Epochs[1].GradNorm != 0 {
			t.Errorf("loss %v, epoch %v", loss, h.Epochs[1])
		}
	}
	_, grad, err := net.Gradient(nil, x, y, nil)
	NoError(t, err)
	if len(grad) != 0 {
		t.Errorf("the gradient is %v", grad)
	}
	Value(net.CheckGradient(x, y, nil))(t)
	MustComeBack(t, net, x)
}
