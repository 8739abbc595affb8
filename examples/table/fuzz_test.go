package main

import (
	"math"
	"strings"
	"testing"

	"example.com/backprop/examples/table/columns"
)

// Whatever the file, it is an error, or finite inputs and targets for every row.
func FuzzATableIsAnErrorOrFiniteNumbers(f *testing.F) {
	f.Add(tenRows, uint8(2))
	f.Add(strings.ReplaceAll(tenRows, ",", ";"), uint8(4))
	f.Add("\ufeffa|b\r\n"+strings.Repeat("\"x\"\"\"|NA\n7|-1e99\n?|inf\n", 5), uint8(0))
	f.Add("a;b\n"+strings.Repeat("1,5;2\n-1e100;4\n", 5), uint8(1))
	f.Fuzz(func(t *testing.T, text string, target uint8) {
		s, err := parse([]byte(text))
		if err != nil {
			return
		}
		for i, r := range s.rows {
			if len(r.cells) != len(s.names) || r.line < 2 {
				t.Fatalf("row %d, line %d: %q below %q", i, r.line, r.cells, s.names)
			}
		}
		table, err := s.describe(options{target: s.names[int(target)%len(s.names)], missing: "fill"})
		if err != nil {
			return
		}
		if _, err := table.Shape(table.Inputs.Width()); err != nil && len(table.Target.Categories) != 1 {
			t.Error(err)
		}
		s.learnFills(table.Inputs, s.rows[len(s.rows)/2:])
		for _, l := range []columns.List{table.Inputs, {table.Target}} {
			x, err := s.encode(l)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range x.RawMatrix().Data {
				if math.IsNaN(v) || math.Abs(v) > 1e100 {
					t.Errorf("element %d is %v", i, v)
				}
			}
		}
	})
}
