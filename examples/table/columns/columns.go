// Package columns says what the columns of a table mean to a network: which of them are numbers,
// which are categories, and what the network tells of them. A [Table] stands in the network as a
// layer that passes everything, and so is kept in the network's own file. A program that imports
// this package can load such a network.
package columns

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// A Table is the columns that a network takes, in the order of its inputs, and the one that it
// predicts.
type Table struct {
	Inputs []Column
	Target Column
}

// A Column is one of numbers, or of categories, which a network takes one-hot: an input, or output,
// for each of them.
type Column struct {
	Name       string
	Categories []string // the texts that its cells hold, "" for a missing one; none in a column of numbers
	Fill       bool     // of numbers: Mean stands for a missing one, which is an error otherwise
	Mean       float64
}

func init() {
	if err := backprop.RegisterLayer("Table", Table{}); err != nil {
		panic(err)
	}
}

// Of returns the table of a network, or nil if it has none.
func Of(network *backprop.Network) (*Table, error) {
	for _, l := range network.Layers() {
		if t, ok := l.(Table); ok {
			if got, want := network.Outputs(), t.Target.Width(); got != want {
				return nil, fmt.Errorf("the network has %d outputs, but its column %q is %d", got, t.Target.Name, want)
			}
			return &t, nil
		}
	}
	return nil, nil
}

// Width is how many inputs the columns are.
func (t Table) Width() int {
	width := 0
	for _, c := range t.Inputs {
		width += c.Width()
	}
	return width
}

// Encode stores a row's inputs in x, of Width elements, given its cells by the column's index. It
// returns the index of the column that an error is about.
func (t Table) Encode(x []float64, cell func(column int) string) (column int, err error) {
	for i, c := range t.Inputs {
		width := c.Width()
		if err := c.Encode(x[:width], cell(i)); err != nil {
			return i, err
		}
		x = x[width:]
	}
	return 0, nil
}

// Width is how many elements a cell is.
func (c Column) Width() int { return max(1, len(c.Categories)) }

// Encode stores a cell in x, of Width elements.
func (c Column) Encode(x []float64, cell string) (err error) {
	if len(c.Categories) > 0 {
		return c.encodeCategory(x, cell)
	}
	switch missing := Missing(cell); {
	case missing && !c.Fill:
		return errMissing
	case missing:
		x[0] = c.Mean
	default:
		x[0], err = ParseNumber(cell)
	}
	return err
}

var errMissing = errors.New("the cell is missing, and the network has not learnt what stands for one")

func (c Column) encodeCategory(x []float64, cell string) error {
	if Missing(cell) {
		cell = ""
	}
	k := slices.Index(c.Categories, cell)
	switch {
	case k < 0 && cell == "":
		return errMissing
	case k < 0:
		return fmt.Errorf("%.40q was in no row of the training, which had %s", cell, List(c.Categories))
	}
	clear(x)
	x[k] = 1
	return nil
}

// Missing tells whether a cell is empty or one of the usual signs for that: NA, N/A, NaN, null, ?.
func Missing(cell string) bool {
	switch strings.ToLower(cell) {
	case "", "na", "n/a", "nan", "null", "?":
		return true
	}
	return false
}

// largest is the size up to which a number is taken: squares of a column can still be summed.
const largest = 1e100

// ErrNoNumber is what an error of ParseNumber wraps if the text is not meant as a number.
var ErrNoNumber = errors.New("no number")

// ParseNumber reads a decimal number of at most 1e100 in size.
func ParseNumber(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	switch infinite := math.IsInf(v, 0); {
	case math.IsNaN(v), infinite && err == nil:
		return 0, fmt.Errorf("%.40q is not finite", text)
	case infinite, err == nil && math.Abs(v) > largest:
		return 0, fmt.Errorf("%.40q is too large, want at most %v in size", text, largest)
	case err != nil, strings.ContainsAny(text, "xX_"):
		return 0, fmt.Errorf("%.40q is %w", text, ErrNoNumber)
	}
	return v, nil
}

// List shows texts, of many the first.
func List(texts []string) string {
	const most = 12
	var b strings.Builder
	for i, text := range texts {
		switch {
		case i == most:
			fmt.Fprintf(&b, " and %d more", len(texts)-most)
			return b.String()
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%.40q", text)
	}
	return b.String()
}

// Shape passes the inputs. A table that cannot be, as a file may claim one, is an error.
func (t Table) Shape(inputs int) (backprop.Shape, error) {
	seen := map[string]bool{t.Target.Name: true}
	for i, c := range append([]Column{t.Target}, t.Inputs...) {
		if err := c.check(); err != nil {
			return backprop.Shape{}, fmt.Errorf("column %.40q: %w", c.Name, err)
		}
		if i > 0 && seen[c.Name] {
			return backprop.Shape{}, fmt.Errorf("column %.40q is there twice", c.Name)
		}
		seen[c.Name] = true
	}
	if len(t.Target.Categories) == 1 {
		return backprop.Shape{}, fmt.Errorf("column %.40q, the target, has a single category", t.Target.Name)
	}
	if width := t.Width(); width != inputs {
		return backprop.Shape{}, fmt.Errorf("the columns are %d inputs, but there are %d", width, inputs)
	}
	return backprop.Shape{Outputs: inputs}, nil
}

func (c Column) check() error {
	if c.Name == "" {
		return errors.New("it has no name")
	}
	if n := len(c.Categories); n > 0 {
		sorted := slices.Sorted(slices.Values(c.Categories))
		if unique := len(slices.Compact(sorted)); unique < n {
			return fmt.Errorf("of its %d categories only %d differ", n, unique)
		}
	}
	if !(math.Abs(c.Mean) <= largest) {
		return fmt.Errorf("its mean is %v", c.Mean)
	}
	return nil
}

// Reset has nothing to do.
func (Table) Reset(backprop.Place) {}

// Stage passes its inputs.
func (Table) Stage(at backprop.Place) backprop.Stage { return passing{at} }

// String is the layer in a network's table.
func (t Table) String() string { return fmt.Sprintf("Table of %d columns", len(t.Inputs)) }

type passing struct{ backprop.Place }

func (passing) Forward(x *mat.Dense) *mat.Dense { return x }

func (p passing) Backward(da *mat.Dense) *mat.Dense {
	if !p.NeedDX {
		return nil
	}
	return da
}
