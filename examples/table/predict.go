package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"example.com/backprop"
	"example.com/backprop/examples/table/columns"
	"gonum.org/v1/gonum/mat"
)

// predict writes a CSV with a row for each row of a sheet: the number predicted, or the class and
// the probability of each. The sheet's columns may stand in any order, and others beside them.
func predict(w io.Writer, o options) error {
	network, err := backprop.Load(o.model)
	if err != nil {
		return err
	}
	t, err := columns.Of(network)
	if err != nil {
		return fmt.Errorf("%s: %w", o.model, err)
	}
	if t == nil {
		return fmt.Errorf("%s: the network knows no columns, want one that examples/table has saved", o.model)
	}
	x, err := readInputs(*t, o.predict)
	if err != nil {
		return err
	}
	p, err := network.Predict(x)
	if err != nil {
		return fmt.Errorf("%s: %w", o.predict, err)
	}
	return write(w, t.Target, p)
}

func readInputs(t columns.Table, path string) (*mat.Dense, error) {
	s, err := readSheet(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range t.Inputs {
		names = append(names, c.Name)
	}
	if err := s.pick(names); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	rows := make([]int, len(s.rows))
	for i := range rows {
		rows[i] = i
	}
	x, err := encodeInputs(t, s, rows)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return x, nil
}

// write writes predictions of the target.
func write(w io.Writer, target columns.Column, p *mat.Dense) error {
	out := csv.NewWriter(w)
	record := []string{target.Name}
	for _, class := range target.Categories {
		record = append(record, "probability of "+class)
	}
	out.Write(record) // Flush keeps the error
	classes := backprop.Classes(p)
	for i := range p.RawMatrix().Rows {
		record = record[:0]
		if len(target.Categories) > 0 {
			record = append(record, target.Categories[classes[i]])
		}
		for _, v := range p.RawRowView(i) {
			record = append(record, strconv.FormatFloat(v, 'g', 6, 64))
		}
		out.Write(record)
	}
	out.Flush()
	return out.Error()
}
