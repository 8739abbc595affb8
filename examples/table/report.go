package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"example.com/backprop"
	"example.com/backprop/examples/table/columns"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// describeTo shows what the columns are taken for.
func describeTo(w io.Writer, t columns.Table, s *sheet) {
	var numbers, categories []string
	for _, c := range t.Inputs {
		if n := len(c.Categories); n > 0 {
			categories = append(categories, fmt.Sprintf("%s (%d)", label(c.Name), n))
		} else {
			numbers = append(numbers, label(c.Name))
		}
	}
	fmt.Fprintf(w, "%s: %d rows\n", s.path, len(s.rows))
	if len(numbers) > 0 {
		fmt.Fprintf(w, "numbers: %s\n", strings.Join(numbers, ", "))
	}
	if len(categories) > 0 {
		fmt.Fprintf(w, "categories: %s\n", strings.Join(categories, ", "))
	}
	if n := len(t.Target.Categories); n > 0 {
		fmt.Fprintf(w, "target: %s, %d classes\n", label(t.Target.Name), n)
	} else {
		fmt.Fprintf(w, "target: %s, a number (-categories %[1]s makes classes of it)\n", label(t.Target.Name))
	}
}

// label is a text as it can stand in a line: without control characters, and cut where it is long.
func label(text string) string {
	const most = 24
	runes := []rune(text)
	if len(runes) > most {
		runes = append(runes[:most-1], '…')
	}
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = '·'
		}
	}
	return string(runes)
}

// report shows how well the rows for testing are predicted, and by a linear model, and by the mean
// of the targets, which in a classification is the largest class.
func report(w io.Writer, t columns.Table, training, test backprop.Data, linear, network *backprop.Network) error {
	p, err := network.Predict(test.X)
	if err != nil {
		return err
	}
	l, err := linear.Predict(test.X)
	if err != nil {
		return err
	}
	m := meanTargets(training, rowsOf(test))
	if len(t.Target.Categories) == 0 {
		return reportNumbers(w, test.Y, m, l, p)
	}
	return reportClasses(w, t.Target.Categories, test.Y, m, l, p)
}

// meanTargets are n rows that each hold the mean of the targets.
func meanTargets(d backprop.Data, n int) *mat.Dense {
	_, cols := d.Y.Dims()
	m := mat.NewDense(n, cols, nil)
	for j := range cols {
		mean := stat.Mean(mat.Col(nil, j, d.Y), nil)
		for i := range n {
			m.Set(i, j, mean)
		}
	}
	return m
}

func reportNumbers(w io.Writer, y mat.Matrix, mean, linear, network *mat.Dense) error {
	fmt.Fprintf(w, "\n%-15s%9s%14s\n", "on test rows", "R²", "RMSE")
	for _, by := range []struct {
		name string
		p    *mat.Dense
	}{{"mean", mean}, {"linear model", linear}, {"network", network}} {
		r2, err := backprop.R2(by.p, y)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-15s%9.3f%14.4g\n", by.name, r2, rmse(by.p, y))
	}
	return nil
}

func reportClasses(w io.Writer, classes []string, y mat.Matrix, mean, linear, network *mat.Dense) error {
	fmt.Fprintf(w, "\n%-15s%11s\n", "on test rows", "accuracy")
	for _, by := range []struct {
		name string
		p    *mat.Dense
	}{{"majority class", mean}, {"linear model", linear}, {"network", network}} {
		accuracy, err := backprop.Accuracy(by.p, y)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-15s%9.1f %%\n", by.name, 100*accuracy)
	}
	confusion, err := backprop.ConfusionMatrix(network, y)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "\nthe class (row) and what the network takes it for (column):")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, class := range classes {
		fmt.Fprintf(table, "\t%s", label(class))
	}
	fmt.Fprintln(table, "\t")
	for i, class := range classes {
		fmt.Fprint(table, label(class))
		for j := range classes {
			fmt.Fprintf(table, "\t%v", confusion.At(i, j))
		}
		fmt.Fprintln(table, "\t")
	}
	return table.Flush()
}
