package custom_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"example.com/backprop"
	"example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// Scale multiplies each input by a weight of its own, which begins as Start.
type Scale struct{ Start float64 }

func (l Scale) Shape(inputs int) (backprop.Shape, error) {
	weight := backprop.Tensor{Name: "weight", Shape: []int{inputs}}
	return backprop.Shape{Outputs: inputs, Params: []backprop.Tensor{weight}}, nil
}

func (l Scale) Reset(at backprop.Place) {
	for j := range at.Inputs {
		at.Params[0].Set(0, j, l.Start)
	}
}

func (l Scale) Stage(at backprop.Place) backprop.Stage {
	s := &scaling{Place: at, dw: make([]float64, at.Inputs)}
	if s.Grads != nil {
		s.dw = s.Grads[0].RawRowView(0)
	}
	return s
}

type scaling struct {
	backprop.Place
	dw []float64
	x  *mat.Dense
	a  mat.Dense
}

func (s *scaling) Forward(x *mat.Dense) *mat.Dense {
	rows, cols := x.Dims()
	s.x = x
	a, w := backprop.Resize(&s.a, rows, cols), s.Params[0].RawRowView(0)
	for i := range rows {
		for j, v := range x.RawRowView(i) {
			a.Set(i, j, w[j]*v) // a = w ⊙ x
		}
	}
	return a
}

func (s *scaling) Backward(da *mat.Dense) *mat.Dense {
	w := s.Params[0].RawRowView(0)
	clear(s.dw)
	for i := range da.RawMatrix().Rows {
		dx := da.RawRowView(i) // in place
		for j, v := range dx {
			s.dw[j] += v * s.x.At(i, j) // dw = Σ da ⊙ x
			dx[j] = v * w[j]            // dx = da ⊙ w
		}
	}
	if !s.NeedDX {
		return nil
	}
	return da
}

// The layer above is the one that the documentation of Layer shows.
func TestTheLayerOfTheDocumentationIsThisOne(t *testing.T) {
	source := string(testutil.Value(os.ReadFile("layer_test.go"))(t))
	source = source[strings.Index(source, "// Scale multiplies"):strings.Index(source, "// The layer above")]
	var shown strings.Builder
	for line := range strings.Lines(string(testutil.Value(os.ReadFile("../../../layer.go"))(t))) {
		if line == "//\n" {
			shown.WriteString("\n")
		} else if code, ok := strings.CutPrefix(line, "//\t"); ok {
			shown.WriteString(code)
		}
	}
	if !strings.Contains(shown.String(), strings.TrimSpace(source)) {
		t.Error("layer.go shows another one")
	}
}

type unregistered struct{ Scale }

func TestALayerOfOnesOwnStandsAnywhere(t *testing.T) {
	layers := []backprop.Layer{
		backprop.Standardize{}, Scale{2}, backprop.Dense{Units: 5, Activation: backprop.Tanh}, Scale{0.5}, backprop.Dropout{Rate: 0.2},
		backprop.Sequential{backprop.BatchNorm{}, Scale{1}}, backprop.Dense{Units: 3, Activation: backprop.Softmax},
	}
	net := testutil.NewNetwork(t, 4, layers...)
	x, y := testutil.Pattern(20, 4), testutil.ClassTargets(20, 3)
	testutil.EqualTo(t, "weights", net.Weights(1).RawMatrix().Data, []float64{2, 2, 2, 2}, 0)
	if c := testutil.Value(net.CheckGradient(x, y, nil))(t); c.MaxRelative > 1e-7 {
		t.Errorf("CheckGradient: %+v", c)
	}
	h := testutil.Value(net.Train(t.Context(), x, y, backprop.TrainConfig{
		LearningRate: 0.01, Epochs: 200, BatchSize: 6, Optimizer: &backprop.Adam{}, L2: 1e-4, ClipNorm: 1}))(t)
	if first, last := h.Epochs[0].Loss, h.Epochs[199].Loss; !(last < first/2) {
		t.Errorf("the loss goes from %v to %v", first, last)
	}
	_, err := testutil.NewNetwork(t, 4, backprop.Dense{Units: 1}, unregistered{}).WriteTo(new(bytes.Buffer))
	testutil.Fails(t, err, "backprop: WriteTo: layer 1: layer type custom_test.unregistered is not known; register it with RegisterLayer")
	for range 2 { // the same again is no error
		testutil.NoError(t, backprop.RegisterLayer("custom.Scale", Scale{Start: 1}))
	}
	testutil.MustComeBack(t, net, x)
	if text := string(testutil.BytesOf(t, net)); !strings.Contains(text, `{\"type\":\"custom.Scale\",\"start\":2}`) || !strings.Contains(text, `"6.1.weight"`) {
		t.Errorf("saved as %.700q", text)
	}
	testutil.Fails(t, backprop.RegisterLayer("Dense", Scale{}), `backprop: RegisterLayer: the name "Dense" is taken by backprop.Dense`)
	testutil.Fails(t, backprop.RegisterLayer("own", nil), "backprop: RegisterLayer: the layer is nil")
}
