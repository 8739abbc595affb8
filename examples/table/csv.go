package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/backprop/examples/table/columns"
)

// A sheet is the cells of a CSV file, without the spaces around them, below their header.
type sheet struct {
	path  string
	names []string   // of the columns
	place []int      // the column of the file that each is, from 1
	rows  [][]string // the cells, by row and column
	lines []int      // the line of the file that each row begins in, from 1
}

// readSheet reads a CSV file (RFC 4180) in UTF-8 whose first line is a header. The separator is a
// comma, a semicolon, a tab or a bar: whichever the header has most of. Where it is no comma, one
// in a number is its decimal point.
func readSheet(path string) (*sheet, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s := &sheet{path: path}
	if err := s.read(file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (s *sheet) read(file io.Reader) error {
	in := bufio.NewReaderSize(file, 1<<16)
	begin, err := in.Peek(1 << 16)
	if err != nil && err != io.EOF {
		return err
	}
	if bytes.HasPrefix(begin, []byte("\xff\xfe")) || bytes.HasPrefix(begin, []byte("\xfe\xff")) {
		return errors.New("the text is UTF-16; save it as UTF-8")
	}
	if bom := []byte("\ufeff"); bytes.HasPrefix(begin, bom) {
		begin = begin[len(bom):]
		in.Discard(len(bom))
	}
	r := csv.NewReader(in)
	r.Comma = separator(begin)
	r.TrimLeadingSpace = r.Comma != '\t'
	r.FieldsPerRecord = -1 // counted here
	for {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return csvError(err)
		}
		line, _ := r.FieldPos(0)
		if err := s.add(record, line); err != nil {
			return fmt.Errorf("line %d, %w", line, err)
		}
	}
	switch {
	case s.names == nil:
		return errors.New("the file is empty, want a header and rows")
	case len(s.rows) == 0:
		return errors.New("there are no rows below the header")
	case r.Comma != ',':
		return s.decimalCommas()
	}
	return nil
}

// csvError says where a file breaks the rules of quotes.
func csvError(err error) error {
	var e *csv.ParseError
	if !errors.As(err, &e) {
		return err
	}
	text := e.Err.Error()
	switch e.Err {
	case csv.ErrBareQuote:
		text = `a " stands within a cell that does not begin with one`
	case csv.ErrQuote:
		text = `a " within quotes is not written "", or the closing one is missing`
	}
	return fmt.Errorf("line %d, byte %d: %s (the row begins in line %d)", e.Line, e.Column, text, e.StartLine)
}

// separator is the one that the first line that is not empty has most of, outside of quotes.
func separator(text []byte) rune {
	line, _, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n"))
	count := map[rune]int{}
	quoted := false
	for _, c := range string(line) {
		if c == '"' {
			quoted = !quoted
		} else if !quoted {
			count[c]++
		}
	}
	best := ','
	for _, c := range ";\t|" {
		if count[c] > count[best] {
			best = c
		}
	}
	return best
}

// add takes the header, or a row.
func (s *sheet) add(record []string, line int) error {
	for i, cell := range record {
		if !utf8.ValidString(cell) {
			return fmt.Errorf("column %d: %.40q is not UTF-8; save the file as UTF-8", i+1, cell)
		}
		record[i] = strings.TrimSpace(cell)
	}
	if s.names != nil {
		if got, want := len(record), len(s.names); got != want {
			return fmt.Errorf("column %d: the row has %d cells, but the header %d", min(got, want)+1, got, want)
		}
		s.rows, s.lines = append(s.rows, record), append(s.lines, line)
		return nil
	}
	seen := map[string]int{}
	for i, name := range record {
		first, twice := seen[name]
		switch {
		case name == "":
			return fmt.Errorf("column %d: it has no name; give it one, and -drop it if it only counts rows", i+1)
		case strings.Contains(name, "\r"):
			return fmt.Errorf("column %d: a carriage return stands in the name; save the file with lines that end with \\n or \\r\\n", i+1)
		case twice:
			return fmt.Errorf("column %d: the name %.40q is that of column %d too", i+1, name, first)
		}
		seen[name] = i + 1
		s.place = append(s.place, i+1)
	}
	s.names = record
	return nil
}

// decimalCommas writes numbers with a decimal comma with a point. Both in one column are an error,
// because one of them may separate thousands.
func (s *sheet) decimalCommas() error {
	comma, point := make([]int, len(s.names)), make([]int, len(s.names)) // the last rows with them, from 1
	for i, row := range s.rows {
		for j, cell := range row {
			number := strings.Replace(cell, ",", ".", 1)
			if !strings.Contains(number, ".") {
				continue
			}
			if _, err := columns.ParseNumber(number); err != nil {
				continue
			}
			if number != cell {
				comma[j] = i + 1
			} else {
				point[j] = i + 1
			}
			if comma[j] > 0 && point[j] > 0 {
				other := s.lines[min(comma[j], point[j])-1]
				return s.at(i, j, "%q has another decimal sign than line %d; want one in a column", cell, other)
			}
			row[j] = number
		}
	}
	return nil
}

// at is an error about a cell, or with row −1 about a column.
func (s *sheet) at(row, column int, format string, args ...any) error {
	line := 1
	if row >= 0 {
		line = s.lines[row]
	}
	return fmt.Errorf("line %d, column %d (%.40q): %w", line, s.place[column], s.names[column], fmt.Errorf(format, args...))
}

// find is the index of a column.
func (s *sheet) find(name string) (int, error) {
	i := slices.Index(s.names, name)
	if i < 0 {
		return 0, fmt.Errorf("line 1: there is no column %.40q; the columns are %s", name, columns.List(s.names))
	}
	return i, nil
}

// pick keeps the columns with these names, in their order.
func (s *sheet) pick(names []string) error {
	index := map[string]int{}
	for j, name := range s.names {
		index[name] = j
	}
	from, place := make([]int, len(names)), make([]int, len(names))
	for i, name := range names {
		j, ok := index[name]
		if !ok {
			_, err := s.find(name)
			return err
		}
		from[i], place[i] = j, s.place[j]
	}
	for r, row := range s.rows {
		picked := make([]string, len(from))
		for i, j := range from {
			picked[i] = row[j]
		}
		s.rows[r] = picked
	}
	s.names, s.place = names, place
	return nil
}
