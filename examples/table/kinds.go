package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"example.com/backprop"
	"example.com/backprop/examples/table/columns"
	"gonum.org/v1/gonum/mat"
)

// What is done about missing cells.
const (
	missingError = "error"
	missingDrop  = "drop"
	missingFill  = "fill"
)

const (
	maxCategories = 100 // of a column: more are names, which say nothing of another row
	fewestRows    = 10
)

// describe tells numbers from categories. It takes the columns that are not wanted and, if rows are
// to be dropped, those with missing cells out of the sheet, and makes the target its last column.
func describe(s *sheet, o options) (t columns.Table, err error) {
	if err := arrange(s, o); err != nil {
		return t, err
	}
	if err := s.checkMissing(o.missing); err != nil {
		return t, err
	}
	if n := len(s.rows); n < fewestRows {
		return t, fmt.Errorf("line 1: %d rows are left to learn from, want %d at least", n, fewestRows)
	}
	forced := map[string]bool{}
	for _, name := range o.categories {
		if _, err := s.find(name); err != nil {
			return t, fmt.Errorf("-categories: %w", err)
		}
		forced[name] = true
	}
	for j, name := range s.names {
		c, err := s.describeColumn(j, forced[name])
		if err != nil {
			return t, err
		}
		c.Fill = o.missing == missingFill && len(c.Categories) == 0
		t.Inputs = append(t.Inputs, c)
	}
	last := len(t.Inputs) - 1
	t.Inputs, t.Target = t.Inputs[:last], t.Inputs[last]
	t.Target.Fill = false
	err = s.describeTarget(&t.Target)
	return t, err
}

// arrange takes the columns of -drop out and puts the target last.
func arrange(s *sheet, o options) error {
	target, err := s.find(o.target)
	if err != nil {
		return fmt.Errorf("-target: %w", err)
	}
	out := map[int]bool{target: true}
	for _, name := range o.drop {
		j, err := s.find(name)
		if err != nil {
			return fmt.Errorf("-drop: %w", err)
		}
		if j == target {
			return fmt.Errorf("-drop: %.40q is the target", name)
		}
		out[j] = true
	}
	var names []string
	for j, name := range s.names {
		if !out[j] {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return errors.New("line 1: there is no column but the target to learn from")
	}
	return s.pick(append(names, o.target))
}

// checkMissing returns an error about the first cell that is missing and may not be. Rows with
// missing cells go, where that is wanted.
func (s *sheet) checkMissing(policy string) error {
	if policy == missingDrop {
		kept := 0
		for i, row := range s.rows {
			if !slices.ContainsFunc(row, columns.Missing) {
				s.rows[kept], s.lines[kept] = row, s.lines[i]
				kept++
			}
		}
		s.rows, s.lines = s.rows[:kept], s.lines[:kept]
		return nil
	}
	target := len(s.names) - 1
	for i, row := range s.rows {
		for j, cell := range row {
			switch {
			case !columns.Missing(cell):
			case j == target && policy == missingFill:
				return s.at(i, j, "the target is missing (%q); -missing drop leaves such rows out", cell)
			case policy == missingError:
				return s.at(i, j, "the cell is missing (%q); -missing drop leaves such rows out, -missing fill takes the "+
					"mean for a number and a category of its own", cell)
			}
		}
	}
	return nil
}

// describeColumn makes a column one of numbers if all its cells are, unless categories are wanted.
// Some numbers among other texts are an error.
func (s *sheet) describeColumn(j int, categories bool) (c columns.Column, err error) {
	c.Name = s.names[j]
	texts := map[string]bool{}
	numbers, others, other, missing := 0, 0, -1, false
	for i, row := range s.rows {
		if columns.Missing(row[j]) {
			missing = true
			continue
		}
		texts[row[j]] = true
		switch _, err := columns.ParseNumber(row[j]); {
		case categories, err != nil && errors.Is(err, columns.ErrNoNumber):
			others++
			if other < 0 {
				other = i
			}
		case err != nil:
			return c, s.at(i, j, "%w", err)
		default:
			numbers++
		}
	}
	switch {
	case numbers+others == 0:
		return c, s.at(-1, j, "all its cells are missing; -drop %s leaves it out", c.Name)
	case numbers > 0 && others > 0:
		return c, s.at(other, j, "%.40q is no number, but %d cells of the column are; mend it, or -categories %s "+
			"takes them all for categories", s.rows[other][j], numbers, c.Name)
	case others > 0:
		err = s.categorize(&c, j, texts, missing)
	}
	return c, err
}

// categorize makes the texts of a column its categories.
func (s *sheet) categorize(c *columns.Column, j int, texts map[string]bool, missing bool) error {
	if len(texts) > maxCategories {
		advice := ""
		if j < len(s.names)-1 { // no target
			advice = "; -drop " + c.Name + " leaves it out"
		}
		return s.at(-1, j, "it has %d different texts in %d rows, want at most %d%s", len(texts), len(s.rows), maxCategories, advice)
	}
	if missing {
		texts[""] = true
	}
	for text := range texts {
		c.Categories = append(c.Categories, text)
	}
	slices.SortFunc(c.Categories, func(a, b string) int {
		x, _ := columns.ParseNumber(a) // 0 for other texts
		y, _ := columns.ParseNumber(b)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
	})
	return nil
}

// describeTarget makes numbers of which there are but two classes, and wants two at least of
// either.
func (s *sheet) describeTarget(c *columns.Column) error {
	j := len(s.names) - 1
	texts := map[string]bool{}
	for _, row := range s.rows {
		texts[row[j]] = true
	}
	if len(texts) == 1 {
		return s.at(-1, j, "it is %.40q in all %d rows, so there is nothing to learn", s.rows[0][j], len(s.rows))
	}
	if len(texts) == 2 && len(c.Categories) == 0 {
		return s.categorize(c, j, texts, false)
	}
	return nil
}

// learnMeans takes the means of the columns of numbers in these rows, to stand for missing ones.
func learnMeans(t *columns.Table, s *sheet, rows []int) {
	for j := range t.Inputs {
		c := &t.Inputs[j]
		if !c.Fill {
			continue
		}
		sum, n := 0.0, 0
		for _, i := range rows {
			if v, err := columns.ParseNumber(s.rows[i][j]); err == nil {
				sum += v
				n++
			}
		}
		c.Mean = sum / float64(max(n, 1))
	}
}

// encodeInputs makes the inputs of these rows.
func encodeInputs(t columns.Table, s *sheet, rows []int) (*mat.Dense, error) {
	x := mat.NewDense(len(rows), t.Width(), nil)
	for k, i := range rows {
		row := s.rows[i]
		if j, err := t.Encode(x.RawRowView(k), func(j int) string { return row[j] }); err != nil {
			return nil, s.at(i, j, "%w", err)
		}
	}
	return x, nil
}

// encode makes the inputs and the targets of these rows.
func encode(t columns.Table, s *sheet, rows []int) (d backprop.Data, err error) {
	x, err := encodeInputs(t, s, rows)
	if err != nil {
		return d, err
	}
	y := mat.NewDense(len(rows), t.Target.Width(), nil)
	j := len(s.names) - 1
	for k, i := range rows {
		if err := t.Target.Encode(y.RawRowView(k), s.rows[i][j]); err != nil {
			return d, s.at(i, j, "%w", err)
		}
	}
	return backprop.Data{X: x, Y: y}, nil
}
