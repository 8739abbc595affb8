package main

import (
	"math"
	"strings"
	"testing"

	"example.com/backprop"
)

// Whatever the file, it is an error, or finite inputs and targets for every row.
func FuzzATableIsAnErrorOrFiniteNumbers(f *testing.F) {
	f.Add(tenRows, uint8(2))
	f.Add(strings.ReplaceAll(tenRows, ",", ";"), uint8(4))
	f.Add("\ufeffa|b\r\n"+strings.Repeat("\"x\"\"\"|NA\n7|-1e99\n?|inf\n", 5), uint8(0))
	f.Add("a;b\n"+strings.Repeat("1,5;2\n-1e100;4\n", 5), uint8(1))
	f.Fuzz(func(t *testing.T, text string, target uint8) {
		s := &sheet{path: "x"}
		if s.read(strings.NewReader(text)) != nil {
			return
		}
		for i, row := range s.rows {
			if len(row) != len(s.names) || s.lines[i] < 2 {
				t.Fatalf("row %d, line %d: %q below %q", i, s.lines[i], row, s.names)
			}
		}
		table, err := describe(s, options{target: s.names[int(target)%len(s.names)], missing: missingFill})
		if err != nil {
			return
		}
		training, validation, test, err := split(&table, s, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := table.Shape(table.Width()); err != nil {
			t.Error(err)
		}
		for _, part := range []backprop.Data{training, validation, test} {
			n, width := part.X.Dims()
			for i := range n {
				for j := range width {
					if v := part.X.At(i, j); math.IsNaN(v) || math.Abs(v) > 1e100 {
						t.Errorf("row %d, input %d is %v", i, j, v)
					}
				}
			}
		}
	})
}
