package main

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/backprop/examples/table/columns"
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
	table, err := s.describe(o)
	return table, s, err
}

func TestNumbersAreToldFromCategories(t *testing.T) {
	colours := []string{"blue", "red"}
	for _, c := range []struct {
		options
		want columns.Table
	}{
		{options{drop: []string{"id"}}, columns.Table{
			Inputs: columns.List{{Name: "size"}, {Name: "colour", Categories: colours}, {Name: "code"}},
			Target: columns.Column{Name: "price"},
		}},
		{options{drop: []string{"id", "size"}, categories: []string{"code"}, target: "colour"}, columns.Table{
			Inputs: columns.List{{Name: "code", Categories: []string{"10", "9"}}, {Name: "price"}},
			Target: columns.Column{Name: "colour", Categories: colours},
		}},
		{options{drop: []string{"id", "size", "price"}, target: "code", missing: "fill"}, columns.Table{
			Inputs: columns.List{{Name: "colour", Categories: colours}},
			Target: columns.Column{Name: "code", Categories: []string{"10", "9"}}, // two numbers are classes
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
		{"no target", tenRows, options{target: "prize"}, `line 1: there is no column "prize"; the columns are ["id" "size" "colour" "code" "price"]`},
		{"drop", tenRows, options{drop: []string{"Id"}}, `line 1: there is no column "Id"`},
		{"categories", tenRows, options{categories: []string{"x"}}, `line 1: there is no column "x"`},
		{"drop all", tenRows, options{drop: []string{"id", "size", "colour", "code"}}, "no column but the target"},
		{"few rows", replace("b0,10,red,10,10\n", ""), options{}, "line 1: there are 9 rows"},
		{"typing error", replace("a5,5", "a5,5o"), options{}, `line 6, column "size": "5o" is no number of at most 1e100 in size, but "1" in line 2 is`},
		{"typing error at first", replace("a1,1", "a1,l"), options{}, `line 2, column "size": "l" is no number of at most 1e100 in size, but "2" in line 3 is`},
		{"infinite", replace("a5,5", "a5,-Inf"), options{}, `line 6, column "size": "-Inf" is no number`},
		{"huge", replace("a5,5", "a5,1e300"), options{}, `line 6, column "size": "1e300" is no number`},
		{"infinite target", replace("1.5\n", "inf\n"), options{}, `line 2, column "price": "inf" is no number`},
		{"NaN", replace("a5,5", "a5,NaN"), options{}, `line 6, column "size": the cell is missing; -missing fill`},
		{"empty", replace("a5,5,blue", "a5,5,"), options{}, `line 6, column "colour": the cell is missing`},
		{"missing target", replace("1.5\n", "?\n"), options{missing: "fill"}, `line 2, column "price": the cell is missing`},
		{"names", many, options{}, `column "name": it has more than 100 different texts; -drop`},
		{"names for a target", many, options{target: "name"}, `column "name": it has more than 100 different texts`},
	} {
		if _, _, err := described(t, c.text, c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// The mean is that of the rows for training: the others have no part in what is learnt.
func TestMissingCellsAreFilled(t *testing.T) {
	text := strings.Replace(strings.Replace(tenRows, "a1,1,red", "a1,?,null", 1), "b0,10", "b0,NaN", 1)
	table, s, err := described(t, text, options{drop: []string{"id", "code"}, missing: "fill"})
	if err != nil {
		t.Fatal(err)
	}
	s.learnFills(table.Inputs, s.rows[4:])
	x, err := s.encode(table.Inputs)
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{(5 + 6 + 7 + 8 + 9) / 5, 1, 0, 0} // size, no colour, blue, red
	if got := x.RawRowView(0); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	empty := strings.NewReplacer("red", "NA", "blue", "").Replace(tenRows)
	table, _, err = described(t, empty, options{drop: []string{"id"}, missing: "fill"})
	if got := table.Inputs[1].Categories; err != nil || !slices.Equal(got, []string{""}) {
		t.Errorf("an empty column: %q, %v", got, err)
	}
}
