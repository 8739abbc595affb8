package main

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/backprop/examples/internal/columns"
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

func described(t *testing.T, text string, o options) (columns.Table, *sheet) {
	t.Helper()
	s, err := readSheet(temporary(t, text), options{})
	if err != nil {
		t.Fatal(err)
	}
	o.target = cmp.Or(o.target, "price")
	return describe(s, o, s.rows[4:]), s
}

func TestNumbersAreToldFromCategories(t *testing.T) {
	colours := []string{"blue", "red"}
	for _, c := range []struct {
		options
		want columns.Table
	}{
		{options{drop: list{"id"}}, columns.Table{
			Inputs: columns.List{{Name: "size"}, {Name: "colour", Categories: colours}, {Name: "code"}},
			Target: columns.Column{Name: "price"},
		}},
		{options{drop: list{"id", "size"}, categories: list{"code"}, target: "colour"}, columns.Table{
			Inputs: columns.List{{Name: "code", Categories: []string{"10", "9"}}, {Name: "price"}},
			Target: columns.Column{Name: "colour", Categories: colours},
		}},
		{options{drop: list{"id", "size", "price"}, target: "code"}, columns.Table{
			Inputs: columns.List{{Name: "colour", Categories: colours}},
			Target: columns.Column{Name: "code", Categories: []string{"10", "9"}}, // two numbers are classes
		}},
	} {
		if got, _ := described(t, tenRows, c.options); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %+v, want %+v", c.options, got, c.want)
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
		{"drop", tenRows, options{drop: list{"Id"}}, `line 1: there is no column "Id"`},
		{"categories", tenRows, options{categories: list{"x"}}, `line 1: there is no column "x"`},
		{"drop all", tenRows, options{drop: list{"id", "size", "colour", "code"}}, "there are 10 rows and 0 columns"},
		{"few rows", replace("b0,10,red,10,10\n", ""), options{}, "there are 9 rows and 4 columns"},
		{"typing error", replace("a5,5", "a5,5o"), options{}, `line 6: column "size": "5o" is no number of at most 1e100 in size; mend the file, or`},
		{"typing error at first", replace("a1,1", "a1,l"), options{}, `line 2: column "size": "l" is no number of at most 1e100 in size`},
		{"infinite", replace("a5,5", "a5,-Inf"), options{}, `line 6: column "size": "-Inf" is no number`},
		{"huge", replace("a5,5", "a5,1e300"), options{}, `line 6: column "size": "1e300" is no number`},
		{"infinite target", replace("1.5\n", "inf\n"), options{}, `line 2: column "price": "inf" is no number`},
		{"missing target", replace("1.5\n", "?\n"), options{}, `line 2: column "price": the cell is missing, but a row to learn from must have its target; leave the row out`},
		{"missing class", replace("red", "NA"), options{target: "colour"}, `line 2: column "colour": the cell is missing`},
		{"one class", strings.ReplaceAll(tenRows, "blue", "red"), options{target: "colour"}, `line 1: column "colour": all rows have the same value`},
		{"names", many, options{}, `line 1: column "name": it has more than 100 different texts, "n99" for one; write a number as 1234.5, or`},
		{"names for a target", many, options{target: "name"}, `line 1: column "name": it has more than 100 different texts`},
	} {
		path := temporary(t, c.text)
		args := []string{"-data", path, "-target", cmp.Or(c.target, "price")}
		for _, name := range c.categories {
			args = append(args, "-categories", name)
		}
		for _, name := range c.drop {
			args = append(args, "-drop", name)
		}
		t.Run(c.name, func(t *testing.T) { fails(t, path+": "+c.want, args...) })
	}
}

// The mean is that of the rows for training: the others have no part in what is learnt.
func TestMissingCellsAreFilled(t *testing.T) {
	text := strings.Replace(strings.Replace(tenRows, "a1,1,red", "a1,?,null", 1), "b0,10", "b0,NaN", 1)
	table, s := described(t, text, options{drop: list{"id", "code"}})
	x, err := s.encode(table.Inputs, s.rows)
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{(5 + 6 + 7 + 8 + 9) / 5, 1, 0, 0} // size, no colour, blue, red
	if got := x.RawRowView(0); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	empty := strings.NewReplacer("red", "NA", "blue", "").Replace(tenRows)
	table, _ = described(t, empty, options{drop: list{"id"}})
	if got := table.Inputs[1].Categories; !slices.Equal(got, []string{""}) {
		t.Errorf("an empty column: %q", got)
	}
	if got := table.Inputs[0].Fill; got != "" {
		t.Errorf("%s stands for a missing cell where there was none", got)
	}
}
