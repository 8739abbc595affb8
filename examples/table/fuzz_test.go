package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/backprop/examples/internal/columns"
)

// Whatever the file, it is an error, or finite inputs and targets for every row.
func FuzzATableIsAnErrorOrFiniteNumbers(f *testing.F) {
	f.Add(tenRows, uint8(2))
	f.Add(strings.ReplaceAll(tenRows, ",", ";"), uint8(4))
	f.Add("\ufeffa|b\r\n"+strings.Repeat("\"x\"\"\"|NA\n7|-1e99\n?|inf\n", 5), uint8(0))
	f.Add("a;b\n"+strings.Repeat("1,5;2\n-1e100;4\n", 5), uint8(1))
	path := filepath.Join(f.TempDir(), "data.csv")
	f.Fuzz(func(t *testing.T, text string, target uint8) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := readSheet(path, options{})
		if err != nil {
			return
		}
		for i, r := range s.rows {
			if len(r.cells) != len(s.names) || r.line < 1 {
				t.Fatalf("row %d, line %d: %q below %q", i, r.line, r.cells, s.names)
			}
		}
		o := options{target: s.names[int(target)%len(s.names)]}
		for _, name := range s.names {
			c, err := s.column(name, o, s.rows[len(s.rows)/2:])
			if err != nil {
				continue
			}
			x, err := s.encode(columns.List{c}, s.rows)
			if err != nil {
				continue
			}
			for i, v := range x.RawMatrix().Data {
				if math.IsNaN(v) || math.Abs(v) > 1e100 {
					t.Errorf("%q: element %d is %v", name, i, v)
				}
			}
		}
	})
}
