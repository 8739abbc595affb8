package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/backprop/examples/internal/columns"
	"gonum.org/v1/gonum/mat"
)

const maxCategories = 100 // of a column: more are names, which say nothing of another row

// A sheet is the cells of a CSV file.
type sheet struct {
	path  string
	names []string
	rows  []row
}

type row struct {
	line  int // of the file, from 1
	cells []string
}

func (s *sheet) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s: line %d: %w", s.path, line, fmt.Errorf(format, args...))
}

// readSheet reads a CSV file (RFC 4180) in UTF-8.
func readSheet(path string, o options) (*sheet, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !bytes.Contains(text, []byte("\n")) {
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n")) // a spreadsheet's "CSV (Macintosh)"
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = separator(text)
	r.TrimLeadingSpace = r.Comma != '\t'
	r.FieldsPerRecord = -1 // counted in add
	s := &sheet{path: path}
	cells, err := r.Read()
	if o.noHeader {
		for j := range cells {
			s.names = append(s.names, strconv.Itoa(j+1))
		}
	}
	for ; err == nil; cells, err = r.Read() {
		line, _ := r.FieldPos(0)
		if err := s.add(line, cells, r.Comma); err != nil {
			return nil, err
		}
	}
	switch {
	case err != io.EOF:
		return nil, fmt.Errorf(`%s: %w; quotes stand around a whole cell, and "" is one within`, path, err)
	case len(s.rows) == 0:
		return nil, s.errorf(1, "want a header, and rows below it")
	}
	return s, nil
}

// separator is the one that the first line has most of, outside of quotes and numbers.
func separator(text []byte) rune {
	line, _, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n"))
	line = regexp.MustCompile(`"[^"]*"|\d,\d`).ReplaceAll(line, nil)
	return slices.MaxFunc([]rune(",;\t|"), func(a, b rune) int { // the first of equals
		return bytes.Count(line, []byte(string(a))) - bytes.Count(line, []byte(string(b)))
	})
}

// add takes the header, or a row. Where a comma separates no cells, one in a number is its decimal
// point.
func (s *sheet) add(line int, cells []string, comma rune) error {
	for j, cell := range cells {
		if !utf8.ValidString(cell) {
			return s.errorf(line, "column %d: %.40q is not UTF-8; save the file as UTF-8", j+1, cell)
		}
		cells[j] = strings.TrimSpace(cell)
		if point := strings.Replace(cells[j], ",", ".", 1); comma != ',' && isNumber(point) {
			cells[j] = point
		}
	}
	if s.names == nil {
		s.names = cells
		for j, name := range cells {
			if k := slices.Index(cells, name); k < j {
				return s.errorf(line, "column %d: the name %.40q is that of column %d too; rename one, or -noheader counts them", j+1, name, k+1)
			}
		}
		return nil
	}
	if got, want := len(cells), len(s.names); got != want {
		return s.errorf(line, "column %d: the row has %d cells, but the first line %d; quote a cell that has a %q in it",
			min(got, want)+1, got, want, comma)
	}
	s.rows = append(s.rows, row{line, cells})
	return nil
}

func isNumber(cell string) bool {
	_, err := columns.Number(cell)
	return err == nil
}

// column tells what a column is: one of numbers if a cell is one, unless categories are wanted, or
// of a target only two.
func (s *sheet) column(name string, o options, training []row) (columns.Column, error) {
	c, j := columns.Column{Name: name}, slices.Index(s.names, name)
	texts, isTarget := map[string]bool{}, name == o.target
	for _, r := range s.rows {
		cell := columns.Clean(r.cells[j])
		if isTarget && cell == "" {
			return c, s.errorf(r.line, "column %.40q: the cell is missing, but a row to learn from must have its target; leave the row out", name)
		}
		texts[cell] = true
	}
	sorted := slices.Sorted(maps.Keys(texts))
	switch {
	case isTarget && len(texts) < 2:
		return c, s.errorf(1, "column %.40q: all rows have the same value, which leaves nothing to learn; want another -target", name)
	case slices.ContainsFunc(sorted, isNumber) && !slices.Contains(o.categories, name) && !(isTarget && len(texts) == 2):
		if texts[""] {
			c.Fill = mean(training, j)
		}
	case len(texts) > maxCategories:
		return c, s.errorf(1, "column %.40q: it has more than %d different texts, %.40q for one; write a number as 1234.5, "+
			"or leave the column out with -drop", name, maxCategories, sorted[maxCategories])
	default:
		c.Categories = sorted
	}
	return c, nil
}

// mean is that of a column's numbers.
func mean(rows []row, j int) string {
	mean, n := 0.0, 0.0
	for _, r := range rows {
		if v, err := columns.Number(r.cells[j]); err == nil {
			n++
			mean += (v - mean) / n
		}
	}
	return strconv.FormatFloat(mean, 'g', -1, 64)
}

// encode makes a matrix of columns.
func (s *sheet) encode(l columns.List, rows []row) (*mat.Dense, error) {
	x := mat.NewDense(len(rows), l.Width(), nil)
	cells := map[string]string{}
	for i, r := range rows {
		for j, name := range s.names {
			cells[name] = r.cells[j]
		}
		if err := l.Encode(x.RawRowView(i), cells); err != nil {
			return nil, s.errorf(r.line, "%w; mend the file, or learn with -categories or -drop for the column", err)
		}
	}
	return x, nil
}
