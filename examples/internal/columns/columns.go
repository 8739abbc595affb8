// Package columns says what the columns of a table mean to a network. A [Table] stands in the
// network as a layer that passes everything, and so is kept in the network's own file. A program
// that imports this package can load such a network.
package columns

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/backprop"
)

// A Table is the columns that a network takes, in the order of its inputs, and the one that it
// predicts.
type Table struct {
	Inputs List
	Target Column
}

// A List of columns is a row of a matrix.
type List []Column

// A Column is one of numbers, or of categories, which a network takes one-hot: an input, or output,
// for each of them.
type Column struct {
	Name       string
	Categories []string // the texts of its cells, "" for a missing one; none in a column of numbers
	Fill       string   // the number that stands for a missing one, which is an error where this is ""
}

func init() {
	if err := backprop.RegisterLayer("Table", Table{}); err != nil {
		panic(err)
	}
}

// Of returns the table of a network, or nil if it has none. One that does not fit the network, as a
// file may claim it, is an error.
func Of(network *backprop.Network) (*Table, error) {
	for _, l := range network.Layers() {
		if t, ok := l.(Table); ok {
			in, out := t.Inputs.Width(), t.Target.Width()
			if in != network.Inputs() || out != network.Outputs() || len(t.Target.Categories) == 1 {
				return nil, fmt.Errorf("the network has %d inputs and %d outputs, but its columns are %d and %d, "+
					"of which %.40q has %d categories",
					network.Inputs(), network.Outputs(), in, out, t.Target.Name, len(t.Target.Categories))
			}
			return &t, nil
		}
	}
	return nil, nil
}

// Width is how many elements the columns are.
func (l List) Width() int {
	width := 0
	for _, c := range l {
		width += c.Width()
	}
	return width
}

// Encode stores a row in x, of Width zeros, given its cells by the names of their columns.
func (l List) Encode(x []float64, cells map[string]string) (err error) {
	for _, c := range l {
		cell, ok := cells[c.Name]
		if !ok {
			return fmt.Errorf("there is no column %.40q; the columns are %.40q", c.Name, slices.Sorted(maps.Keys(cells)))
		}
		cell = cmp.Or(Clean(cell), c.Fill)
		switch k := slices.Index(c.Categories, cell); {
		case k >= 0:
			x[k] = 1
		case cell == "":
			err = errors.New("the cell is missing, and the network has not learnt what stands for one")
		case len(c.Categories) > 0:
			err = fmt.Errorf("%.40q was in no row of the training, which had %.40q", cell, c.Categories)
		default:
			x[0], err = Number(cell)
		}
		if err != nil {
			return fmt.Errorf("column %.40q: %w", c.Name, err)
		}
		x = x[c.Width():]
	}
	return nil
}

// Width is how many elements a cell is.
func (c Column) Width() int { return max(1, len(c.Categories)) }

// String is the column in a line of text.
func (c Column) String() string {
	kind, n := "a number", len(c.Categories)
	switch n {
	case 0:
	case 1:
		kind = fmt.Sprintf("always %.40q", c.Categories[0])
	default:
		kind = fmt.Sprintf("%d categories", n)
	}
	if c.Fill != "" || n > 1 && slices.Contains(c.Categories, "") {
		kind += ", some missing"
	}
	return fmt.Sprintf("%.40q (%s)", c.Name, kind)
}

var missing = regexp.MustCompile(`^(?i:na|n/a|nan|null|\?)$`)

// Clean is a cell, or "" for one of the usual signs of a missing one: NA, N/A, NaN, null, ?.
func Clean(cell string) string { return missing.ReplaceAllString(cell, "") }

// Number reads a decimal number of at most 1e100 in size: squares of a column can still be summed.
func Number(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(math.Abs(v) <= 1e100) || strings.ContainsAny(text, "xX_") {
		return 0, fmt.Errorf("%.40q is no number of at most 1e100 in size", text)
	}
	return v, nil
}

// Shape is that of the inputs.
func (Table) Shape(inputs int) (backprop.Shape, error) { return backprop.Shape{Outputs: inputs}, nil }

// Reset has nothing to do.
func (Table) Reset(backprop.Place) {}

// Stage passes its inputs.
func (Table) Stage(at backprop.Place) backprop.Stage { return backprop.Activate{}.Stage(at) }
