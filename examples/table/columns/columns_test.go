package columns

import (
	"bytes"
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

func example() Table {
	return Table{
		Inputs: []Column{
			{Name: "size", Fill: true, Mean: 2.5},
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
	table := example()
	for _, c := range []struct {
		cells []string
		want  []float64
	}{
		{[]string{"1", "réd", "-4e-3"}, []float64{1, 0, 0, 1, -0.004}},
		{[]string{"?", "NA", "7."}, []float64{2.5, 1, 0, 0, 7}},
		{[]string{"NaN", "blue", "+.5"}, []float64{2.5, 0, 1, 0, 0.5}},
	} {
		x := []float64{9, 9, 9, 9, 9}
		if _, err := table.Encode(x, func(i int) string { return c.cells[i] }); err != nil || !slices.Equal(x, c.want) {
			t.Errorf("%q: %v, %v, want %v", c.cells, x, err, c.want)
		}
	}
	for _, c := range []struct {
		cells  []string
		column int
		want   string
	}{
		{[]string{"x", "blue", "1"}, 0, `"x" is no number`},
		{[]string{"1", "red", "1"}, 1, `"red" was in no row of the training, which had "", "blue", "réd"`},
		{[]string{"1", "blue", ""}, 2, "the cell is missing"},
	} {
		j, err := table.Encode(make([]float64, 5), func(i int) string { return c.cells[i] })
		if err == nil || j != c.column || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: column %d, %v, want %d, %q", c.cells, j, err, c.column, c.want)
		}
	}
}

func TestOnlyFiniteDecimalNumbersAreNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"1e999": "too large", "-1e999": "too large", "1e101": "too large",
		"inf": "not finite", "-Infinity": "not finite", "nan": "not finite",
		"0x1p4": "no number", "1_0": "no number", "0x1p9999": "too large", "1,5": "no number", "": "no number", "1 2": "no number",
	} {
		if v, err := ParseNumber(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", text, v, err, want)
		}
	}
	for text, want := range map[string]float64{"1e100": 1e100, "-1e-400": 0, "007": 7} {
		if v, err := ParseNumber(text); err != nil || v != want {
			t.Errorf("%q: %v, %v, want %v", text, v, err, want)
		}
	}
}

func TestATableThatCannotBeIsRefused(t *testing.T) {
	for want, change := range map[string]func(*Table){
		"the columns are 4 inputs, but there are 5": func(t *Table) { t.Inputs = t.Inputs[:2] },
		`"size" is there twice`:                     func(t *Table) { t.Inputs[2].Name = "size" },
		`"<target>" is there twice`:                 func(t *Table) { t.Inputs[2].Name = "<target>" },
		"it has no name":                            func(t *Table) { t.Target.Name = "" },
		"of its 3 categories only 2 differ":         func(t *Table) { t.Inputs[1].Categories = []string{"a", "b", "a"} },
		"the target, has a single category":         func(t *Table) { t.Target.Categories = []string{"a"} },
		"its mean is 1e+101":                        func(t *Table) { t.Inputs[0].Mean = 1e101 },
	} {
		table := example()
		change(&table)
		if _, err := backprop.New(5, table, output); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, err := Of(network(t, example(), backprop.Dense{Units: 3}))
	if want := `the network has 3 outputs, but its column "<target>" is 2`; err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}
