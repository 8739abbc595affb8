package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"example.com/backprop/examples/table/columns"
)

const maxCategories = 100 // of a column: more are names, which say nothing of another row

// describe tells what the columns are.
func (s *sheet) describe(o options) (t columns.Table, err error) {
	if n := len(s.rows); n < 10 {
		return t, fmt.Errorf("line 1: there are %d rows below to learn from, want 10 at least", n)
	}
	for _, name := range slices.Concat([]string{o.target}, o.categories, o.drop) {
		if !slices.Contains(s.names, name) {
			return t, fmt.Errorf("line 1: there is no column %.40q; the columns are %.40q", name, s.names)
		}
	}
	for j, name := range s.names {
		if slices.Contains(o.drop, name) && name != o.target {
			continue
		}
		c, err := s.describeColumn(j, o)
		if err != nil {
			return t, err
		}
		if name == o.target {
			t.Target = c
		} else {
			t.Inputs = append(t.Inputs, c)
		}
	}
	if len(t.Inputs) == 0 {
		return t, errors.New("line 1: there is no column but the target to learn from")
	}
	return t, nil
}

// describeColumn makes a column one of numbers if all its cells are, unless categories are wanted.
// Some numbers among other texts are an error.
func (s *sheet) describeColumn(j int, o options) (columns.Column, error) {
	c := columns.Column{Name: s.names[j]}
	isTarget := c.Name == o.target
	texts := map[string]bool{}
	var number, other *row // the first of each
	for i, r := range s.rows {
		cell := r.cells[j]
		switch _, err := columns.Number(cell); {
		case columns.Missing(cell) && (isTarget || o.missing != "fill"):
			return c, fmt.Errorf("line %d, column %.40q: the cell is missing; -missing fill allows that, but not in the target", r.line, c.Name)
		case columns.Missing(cell):
			cell = ""
		case err == nil:
			number = cmp.Or(number, &s.rows[i])
		default:
			other = cmp.Or(other, &s.rows[i])
		}
		if len(texts) <= maxCategories {
			texts[cell] = true
		}
	}
	categories := number == nil || slices.Contains(o.categories, c.Name) || isTarget && len(texts) == 2
	switch {
	case !categories && other != nil:
		return c, fmt.Errorf("line %d, column %.40q: %.40q is no number of at most 1e100 in size, but %.40q in line %d is; "+
			"mend one, or -categories takes all for categories", other.line, c.Name, other.cells[j], number.cells[j], number.line)
	case categories && len(texts) > maxCategories:
		return c, fmt.Errorf("column %.40q: it has more than %d different texts; -drop leaves it out", c.Name, maxCategories)
	case categories:
		c.Categories = slices.Sorted(maps.Keys(texts))
	}
	return c, nil
}

// learnFills lets the mean of a column's numbers in these rows stand for a missing one.
func (s *sheet) learnFills(l columns.List, rows []row) {
	for k, c := range l {
		if len(c.Categories) > 0 {
			continue
		}
		j := slices.Index(s.names, c.Name)
		mean, n := 0.0, 0.0
		for _, r := range rows {
			if v, err := columns.Number(r.cells[j]); err == nil {
				n++
				mean += (v - mean) / n
			}
		}
		l[k].Fill = strconv.FormatFloat(mean, 'g', -1, 64)
	}
}
