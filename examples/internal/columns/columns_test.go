package columns

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

func example() Table {
	return Table{
		Inputs: List{
			{Name: "size", Fill: "2.5"},
			{Name: "a \"name\", of\n two lines\x00 \u2028", Categories: []string{"", "blue", "réd"}},
			{Name: "age"},
		},
		Target: Column{Name: "<target>", Categories: []string{"no", "yes"}},
	}
}

func network(t *testing.T, layers ...backprop.Layer) *backprop.Network {
	t.Helper()
	n, err := backprop.New(5, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var output = backprop.Dense{Units: 2, Activation: backprop.Softmax}

func TestTheNetworksFileKeepsTheTable(t *testing.T) {
	n := network(t, backprop.Standardize{}, example(), output)
	var file bytes.Buffer
	if _, err := n.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	loaded, err := backprop.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Of(loaded)
	if err != nil {
		t.Fatal(err)
	}
	if want := example(); got == nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
	if got, err := Of(network(t, output)); got != nil || err != nil {
		t.Errorf("without a table: %v, %v", got, err)
	}
}

func TestATableChangesNothingOfWhatIsLearnt(t *testing.T) {
	x := mat.NewDense(4, 5, []float64{1, 0, 1, 0, 3, 2, 1, 0, 0, 1, 3, 0, 0, 1, 2, 5, 0, 1, 0, 0})
	y, err := backprop.OneHot([]int{0, 1, 1, 0}, 2)
	if err != nil {
		t.Fatal(err)
	}
	hidden := backprop.Dense{Units: 3, Activation: backprop.Tanh}
	var params [][]float64
	for _, n := range []*backprop.Network{
		network(t, backprop.Standardize{}, hidden, output),
		network(t, backprop.Standardize{}, example(), hidden, output),
		network(t, hidden, output),
		network(t, example(), hidden, output),
	} {
		if _, err := n.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.1, Epochs: 3, BatchSize: 2}); err != nil {
			t.Fatal(err)
		}
		params = append(params, n.Params())
	}
	if !slices.Equal(params[0], params[1]) || !slices.Equal(params[2], params[3]) {
		t.Errorf("got %v", params)
	}
	behind := network(t, hidden, backprop.Dense{Units: 5}, example(), output) // where dx is needed
	if e, err := behind.CheckGradient(x, y, nil); err != nil || e.MaxRelative > 1e-7 {
		t.Errorf("the gradient: %+v, %v", e, err)
	}
}

func TestCellsAreEncoded(t *testing.T) {
	inputs := example().Inputs
	encode := func(cells ...string) ([]float64, error) {
		byName, x := map[string]string{"more": "1"}, make([]float64, 5)
		for i, cell := range cells {
			byName[inputs[i].Name] = cell
		}
		return x, inputs.Encode(x, byName)
	}
	for _, c := range []struct {
		cells []string
		want  []float64
	}{
		{[]string{"1", "réd", "-4e-3"}, []float64{1, 0, 0, 1, -0.004}},
		{[]string{"?", "NA", "7."}, []float64{2.5, 1, 0, 0, 7}},
		{[]string{"NaN", "blue", "+.5"}, []float64{2.5, 0, 1, 0, 0.5}},
	} {
		if x, err := encode(c.cells...); err != nil || !slices.Equal(x, c.want) {
			t.Errorf("%q: %v, %v, want %v", c.cells, x, err, c.want)
		}
	}
	for _, c := range []struct {
		cells []string
		want  string
	}{
		{[]string{"x", "blue", "1"}, `column "size": "x" is no number`},
		{[]string{"1", "red", "1"}, `"red" was in no row of the training, which had ["" "blue" "réd"]`},
		{[]string{"1", "blue", "NA"}, `column "age": the cell is missing`},
		{[]string{"1", "blue"}, `there is no column "age"; the columns are ["a \"name\", of\n two lines\x00 \u2028" "more" "size"]`},
	} {
		if _, err := encode(c.cells...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.cells, err, c.want)
		}
	}
}

func TestAColumnInALineOfTextSaysWhereCellsAreMissing(t *testing.T) {
	want := `["size" (a number, some missing) "a \"name\", of\n two lines\x00 \u2028" (3 categories, some missing) "age" (a number)]`
	if got := fmt.Sprint(example().Inputs); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAColumnThatIsAlwaysTheSameIsToldAsSuch(t *testing.T) {
	want := `["colour" (always "red") "remarks" (always "")]`
	got := fmt.Sprint(List{{Name: "colour", Categories: []string{"red"}}, {Name: "remarks", Categories: []string{""}}})
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestOnlyFiniteDecimalNumbersAreNumbers(t *testing.T) {
	for _, text := range []string{"1e999", "-1e999", "1e101", "inf", "-Infinity", "nan", "1_0", "0x1p4", "1,5", "", "1 2"} {
		if v, err := Number(text); err == nil || !strings.Contains(err.Error(), "is no number of at most 1e100") {
			t.Errorf("%q: %v, %v", text, v, err)
		}
	}
	for text, want := range map[string]float64{"1e100": 1e100, "-1e-400": 0, "007": 7} {
		if v, err := Number(text); err != nil || v != want {
			t.Errorf("%q: %v, %v, want %v", text, v, err, want)
		}
	}
}

func TestATableThatDoesNotFitItsNetworkIsRefused(t *testing.T) {
	short, single := example(), example()
	short.Inputs = short.Inputs[:2]
	single.Target.Categories = []string{"a"}
	for want, layers := range map[string][]backprop.Layer{
		`the network has 5 inputs and 2 outputs, but its columns are 4 and 2, of which "<target>" has 2 categories`: {short, output},
		`the network has 5 inputs and 1 outputs, but its columns are 5 and 1, of which "<target>" has 1 categories`: {single, backprop.Dense{Units: 1}},
		`the network has 5 inputs and 3 outputs, but its columns are 5 and 2, of which "<target>" has 2 categories`: {example(), backprop.Dense{Units: 3}},
	} {
		if _, err := Of(network(t, layers...)); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
