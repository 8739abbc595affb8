package main

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/backprop"
	"example.com/backprop/examples/table/columns"
	"gonum.org/v1/gonum/mat"
)

// tenRows is a good table, with lines 2 to 11.
const tenRows = `id,size,colour,code,price
a1,1,red,10,1.5
a2,2,blue,9,2
a3,3,red,10,3
a4,4,red,10,4
a5,5,blue,9,5
a6,6,red,10,6
a7,7,red,10,7
a8,8,blue,9,8
a9,9,red,10,9
b0,10,red,10,10
`

func described(t *testing.T, text string, o options) (columns.Table, *sheet, error) {
	t.Helper()
	s, err := readSheet(temporary(t, text))
	if err != nil {
		t.Fatal(err)
	}
	o.target = cmp.Or(o.target, "price")
	o.missing = cmp.Or(o.missing, missingError)
	table, err := describe(s, o)
	return table, s, err
}

func TestNumbersAreToldFromCategories(t *testing.T) {
	colours := []string{"blue", "red"}
	for _, c := range []struct {
		options
		want columns.Table
	}{
		{options{drop: []string{"id"}}, columns.Table{
			Inputs: []columns.Column{{Name: "size"}, {Name: "colour", Categories: colours}, {Name: "code"}},
			Target: columns.Column{Name: "price"},
		}},
		{options{drop: []string{"id", "size"}, categories: []string{"code"}, target: "colour"}, columns.Table{
			Inputs: []columns.Column{{Name: "code", Categories: []string{"9", "10"}}, {Name: "price"}},
			Target: columns.Column{Name: "colour", Categories: colours},
		}},
		{options{drop: []string{"id", "size", "price"}, target: "code", missing: missingFill}, columns.Table{
			Inputs: []columns.Column{{Name: "colour", Categories: colours}},
			Target: columns.Column{Name: "code", Categories: []string{"9", "10"}}, // two numbers are classes
		}},
	} {
		if got, _, err := described(t, tenRows, c.options); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %+v, %v, want %+v", c.options, got, err, c.want)
		}
	}
}

func TestWhatCannotBeLearntIsAnErrorWithItsPlace(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(tenRows, old, new, 1) }
	many := "name,price\n"
	for i := range maxCategories + 1 {
		many += fmt.Sprintf("n%d,%d\n", i, i)
	}
	for _, c := range []struct {
		name, text string
		options
		want string
	}{
		{"no target", tenRows, options{target: "prize"}, `-target: line 1: there is no column "prize"; the columns are "id", "size", "colour", "code", "price"`},
		{"drop", tenRows, options{drop: []string{"Id"}}, `-drop: line 1: there is no column "Id"`},
		{"drop the target", tenRows, options{drop: []string{"price"}}, `-drop: "price" is the target`},
		{"drop all", tenRows, options{drop: []string{"id", "size", "colour", "code"}}, "no column but the target"},
		{"categories", tenRows, options{categories: []string{"x"}}, `-categories: line 1: there is no column "x"`},
		{"few rows", replace("b0,10,red,10,10\n", ""), options{}, "line 1: 9 rows are left"},
		{"typing error", replace("a5,5", "a5,5o"), options{}, `line 6, column 2 ("size"): "5o" is no number, but 9 cells of the column are`},
		{"infinite", replace("a5,5", "a5,-Inf"), options{}, `line 6, column 2 ("size"): "-Inf" is not finite`},
		{"huge", replace("a5,5", "a5,1e300"), options{}, `line 6, column 2 ("size"): "1e300" is too large`},
		{"huger", replace("a5,5", "a5,1e999"), options{}, `line 6, column 2 ("size"): "1e999" is too large`},
		{"infinite target", replace("1.5\n", "inf\n"), options{}, `line 2, column 5 ("price"): "inf" is not finite`},
		{"NaN", replace("a5,5", "a5,NaN"), options{}, `line 6, column 2 ("size"): the cell is missing ("NaN"); -missing drop`},
		{"empty", replace("a5,5,blue", "a5,5,"), options{}, `line 6, column 3 ("colour"): the cell is missing ("")`},
		{"missing target", replace("1.5\n", "?\n"), options{missing: missingFill}, `line 2, column 5 ("price"): the target is missing ("?")`},
		{"dropped rows", replace("a5,5", "a5,"), options{missing: missingDrop}, "9 rows are left"},
		{"names", many, options{}, `line 1, column 1 ("name"): it has 101 different texts in 101 rows, want at most 100; -drop name`},
		{"names for a target", many, options{target: "name"}, `column 1 ("name"): it has 101 different texts in 101 rows, want at most 100`},
		{"one class", strings.ReplaceAll(tenRows, "blue", "red"), options{target: "colour"}, `line 1, column 3 ("colour"): it is "red" in all 10 rows`},
		{"one number", strings.ReplaceAll(tenRows, ",9,", ",10,"), options{target: "code"}, `column 4 ("code"): it is "10" in all 10 rows`},
	} {
		if _, _, err := described(t, c.text, c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	empty := "a,price\n" + strings.Repeat("NA,1\nNA,2\n", 5)
	if _, _, err := described(t, empty, options{missing: missingFill}); err == nil || !strings.Contains(err.Error(), "all its cells are missing; -drop a") {
		t.Errorf("an empty column: %v", err)
	}
}

func TestRowsWithMissingCellsAreLeftOut(t *testing.T) {
	text := tenRows + ",11,red,10,1\nc,12,NA,10,1\nd,13,red,9,\ne,,blue,9,0\nf,15,red,10,0\n"
	_, s, err := described(t, text, options{drop: []string{"id"}, missing: missingDrop})
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16}; !slices.Equal(s.lines, want) || len(s.rows) != len(want) {
		t.Errorf("%d rows, of lines %v, want %v", len(s.rows), s.lines, want)
	}
}

// The mean is that of the rows for training: those held out have no part in what is learnt.
func TestMissingCellsAreFilled(t *testing.T) {
	text := tenRows + "x,?,null,10,1\n"
	table, s, err := described(t, text, options{drop: []string{"id"}, missing: missingFill})
	if err != nil {
		t.Fatal(err)
	}
	learnMeans(&table, s, []int{0, 1, 4, 10}) // sizes 1, 2, 5 and none
	x, err := encodeInputs(table, s, []int{10, 3})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := x.RawMatrix().Data, []float64{8. / 3, 1, 0, 0, 10, 4, 0, 0, 1, 10}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	training, validation, test, err := split(&table, s, 3)
	if err != nil {
		t.Fatal(err)
	}
	sum, n := 0.0, 0.0
	for i := range rowsOf(training) {
		if training.X.At(i, 1) == 0 { // the colour is there, and so is the size
			sum, n = sum+training.X.At(i, 0), n+1
		}
	}
	if got := table.Inputs[0].Mean; got != sum/n {
		t.Errorf("the mean is %v, want %v", got, sum/n)
	}
	var all []float64
	for _, part := range []backprop.Data{training, validation, test} {
		all = append(all, mat.Col(nil, 0, part.Y)...)
	}
	slices.Sort(all)
	if want := []float64{1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9, 10}; !slices.Equal(all, want) {
		t.Errorf("the targets of all parts are %v, want %v", all, want)
	}
}
