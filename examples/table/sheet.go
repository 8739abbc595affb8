package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/backprop/examples/table/columns"
	"gonum.org/v1/gonum/mat"
)

// A sheet is the cells of a CSV file below their header.
type sheet struct {
	names []string
	rows  []row
}

type row struct {
	line  int // of the file, from 1
	cells []string
}

// readSheet reads a CSV file (RFC 4180) in UTF-8 whose first line is a header.
func readSheet(path string) (*sheet, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(bytes.TrimPrefix(text, []byte("\ufeff")))
}

func parse(text []byte) (*sheet, error) {
	if !bytes.Contains(text, []byte("\n")) {
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n")) // a spreadsheet's "CSV (Macintosh)"
	}
	s := &sheet{}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = separator(text)
	r.TrimLeadingSpace = r.Comma != '\t'
	r.FieldsPerRecord = -1 // counted in add
	for {
		cells, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		if err := s.add(line, cells, r.Comma); err != nil {
			return nil, err
		}
	}
	if len(s.rows) == 0 {
		return nil, errors.New("line 1: want a header, and rows below it")
	}
	return s, nil
}

// separator is the one that the header has most of, outside of quotes.
func separator(text []byte) rune {
	line, _, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n"))
	header := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(string(line), "")
	return slices.MaxFunc([]rune(",;\t|"), func(a, b rune) int { // the first of equals
		return strings.Count(header, string(a)) - strings.Count(header, string(b))
	})
}

// add takes the header, or a row. Where a comma separates no cells, one in a number is its decimal
// point.
func (s *sheet) add(line int, cells []string, comma rune) error {
	for j, cell := range cells {
		if !utf8.ValidString(cell) {
			return fmt.Errorf("line %d, column %d: %.40q is not UTF-8; save the file as UTF-8", line, j+1, cell)
		}
		cells[j] = strings.TrimSpace(cell)
		point := strings.Replace(cells[j], ",", ".", 1)
		if _, err := columns.Number(point); err == nil && comma != ',' {
			cells[j] = point
		}
	}
	if s.names != nil {
		if got, want := len(cells), len(s.names); got != want {
			return fmt.Errorf("line %d, column %d: the row has %d cells, but the header %d", line, min(got, want)+1, got, want)
		}
		s.rows = append(s.rows, row{line, cells})
		return nil
	}
	s.names = cells
	first := map[string]int{}
	for j, name := range s.names {
		if k, twice := first[name]; twice {
			return fmt.Errorf("line %d, column %d: the name %.40q is that of column %d too", line, j+1, name, k+1)
		}
		first[name] = j
	}
	return nil
}

// encode makes a matrix of columns.
func (s *sheet) encode(l columns.List) (*mat.Dense, error) {
	x := mat.NewDense(len(s.rows), l.Width(), nil)
	cells := map[string]string{}
	for i, row := range s.rows {
		for j, name := range s.names {
			cells[name] = row.cells[j]
		}
		if err := l.Encode(x.RawRowView(i), cells); err != nil {
			return nil, fmt.Errorf("line %d, %w", row.line, err)
		}
	}
	return x, nil
}
