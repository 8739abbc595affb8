package main

import (
	"encoding/csv"
	"errors"
	"io"
	"strconv"

	"example.com/backprop"
	"example.com/backprop/examples/table/columns"
)

// predict writes a CSV with a row for each row of a sheet: the number predicted, or the class and
// the probability of each. The sheet's columns may stand in any order, and others beside them.
func predict(w io.Writer, o options) {
	network, err := backprop.Load(o.model)
	check(err)
	t, err := columns.Of(network)
	check(err)
	if t == nil {
		check(errors.New("the network knows no columns, want one that examples/table has saved"))
	}
	s, err := readSheet(o.predict)
	check(err)
	x, err := s.encode(t.Inputs)
	check(err)
	p, err := network.Predict(x)
	check(err)

	out := csv.NewWriter(w)
	record := []string{t.Target.Name}
	for _, class := range t.Target.Categories {
		record = append(record, "probability of "+class)
	}
	out.Write(record) // Flush keeps the error
	for i, class := range backprop.Classes(p) {
		record = record[:0]
		if len(t.Target.Categories) > 0 {
			record = append(record, t.Target.Categories[class])
		}
		for _, v := range p.RawRowView(i) {
			record = append(record, strconv.FormatFloat(v, 'g', 6, 64))
		}
		out.Write(record)
	}
	out.Flush()
	check(out.Error())
}
