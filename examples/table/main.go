// Command table learns to predict one column of a CSV file from the others:
//
//	go run ./examples/table -data examples/iris/iris.csv -target species -save iris.safetensors
//	go run ./examples/table -model iris.safetensors -predict new.csv
//
// A column with a number in it is one of numbers, where any other text is an error. The rest, and
// what -categories names, are of categories, which the network takes one-hot. The target is learnt as classes if it is of
// categories, or has but two values, and as a number otherwise. A fifth of the rows is held out for
// testing, and a fifth for stopping early. The columns are kept in the network's file, so the
// second command, and examples/serve, know their names.
//
// The file's first line is a header, unless there is -noheader, and its separator a comma, a
// semicolon, a tab or a bar. A cell that is empty, or NA, N/A, NaN, null or ?, is missing. For a
// missing number stands the mean of the rows for training, and a missing category is one of its own.
package main

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"example.com/backprop"
	"example.com/backprop/examples/internal/columns"
	"gonum.org/v1/gonum/mat"
)

// The options are the flags.
type options struct {
	data, target, save string
	categories, drop   list
	model, predict     string
	noHeader           bool
}

// A list is what a flag has that may be given several times.
type list []string

func (l *list) add(text string) error {
	*l = append(*l, text)
	return nil
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("table: ")
	var o options
	flag.StringVar(&o.data, "data", "", "the CSV `file` to learn from")
	flag.StringVar(&o.target, "target", "", "the `column` to predict")
	flag.StringVar(&o.save, "save", "", "the `file` to save the network to")
	flag.Func("categories", "a `column` whose numbers are categories; more of them by more such flags", o.categories.add)
	flag.Func("drop", "a `column` to leave out; more of them by more such flags", o.drop.add)
	flag.StringVar(&o.model, "model", "", "the `file` of the network to predict with")
	flag.StringVar(&o.predict, "predict", "", "the CSV `file` to predict, to the standard output")
	flag.BoolVar(&o.noHeader, "noheader", false, "the files have no header; their columns are called 1, 2, 3, …")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		log.Fatalf("%q is not used; only flags are", flag.Arg(0))
	case o.data != "" && o.target != "" && o.model+o.predict == "":
		learn(os.Stdout, os.Stderr, o)
	case o.model != "" && o.predict != "" && o.data+o.target+o.save == "":
		predict(os.Stdout, o)
	default:
		log.Fatal("want -data and -target to learn, or -model and -predict to predict; -help tells more")
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// must is v, unless there is an error.
func must[T any](v T, err error) T {
	check(err)
	return v
}

// learn trains a network on a table, shows what it reaches beside a linear model, and saves it.
func learn(w, progress io.Writer, o options) {
	must(os.Stat(filepath.Dir(o.save))) // a folder that is not there is an error before the training
	s := must(readSheet(o.data, o))
	forTest, forValidation, forTraining := split(s.rows)
	t := describe(s, o, forTraining)
	encode := func(rows []row) backprop.Data {
		return backprop.Data{X: must(s.encode(t.Inputs, rows)), Y: must(s.encode(columns.List{t.Target}, rows))}
	}
	test, validation, training := encode(forTest), encode(forValidation), encode(forTraining)
	fmt.Fprintf(w, "%d rows: %v from %v\n", len(s.rows), t.Target, t.Inputs)
	linear := train(t, training, validation, nil)
	network := train(t, training, validation, progress, backprop.Dense{Units: 64, Activation: backprop.ReLU})
	report(w, t.Target.Categories, test, linear, network)
	if o.save != "" {
		check(network.Save(o.save))
	}
}

// split shuffles the rows and takes a fifth for testing, a fifth for stopping early, and the rest for
// training.
func split(rows []row) (test, validation, training []row) {
	n := len(rows)
	rand.New(rand.NewPCG(0, 0)).Shuffle(n, func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows[:n/5], rows[n/5 : 2*n/5], rows[2*n/5:]
}

// describe tells what the columns are. What stands for missing cells is learnt from these rows.
func describe(s *sheet, o options, training []row) (t columns.Table) {
	for _, name := range slices.Concat([]string{o.target}, o.categories, o.drop) {
		if !slices.Contains(s.names, name) {
			log.Fatalf("%s: line 1: there is no column %.40q; the columns are %.40q, or with -noheader 1, 2, 3, …",
				s.path, name, s.names)
		}
	}
	t.Target = must(s.column(o.target, o, training))
	for _, name := range s.names {
		if name != o.target && !slices.Contains(o.drop, name) {
			t.Inputs = append(t.Inputs, must(s.column(name, o, training)))
		}
	}
	if len(s.rows) < 10 || len(t.Inputs) == 0 {
		log.Fatalf("%s: there are %d rows and %d columns to learn the target from, want 10 and 1 at least",
			s.path, len(s.rows), len(t.Inputs))
	}
	return t
}

// train trains a network with these hidden layers; with none it is a linear model. The table is a
// layer of it, so that the file of the network holds the columns.
func train(t columns.Table, training, validation backprop.Data, progress io.Writer, hidden ...backprop.Layer) *backprop.Network {
	output := []backprop.Layer{backprop.Dense{Units: 1}, backprop.Unstandardize{}}
	if classes := len(t.Target.Categories); classes > 0 {
		output = []backprop.Layer{backprop.Dense{Units: classes, Activation: backprop.Softmax}}
	}
	layers := slices.Concat([]backprop.Layer{backprop.Standardize{}, t}, hidden, output)
	network := must(backprop.New(t.Inputs.Width(), layers...))
	must(network.Train(context.Background(), training.X, training.Y, backprop.TrainConfig{
		LearningRate: 3e-3,
		Optimizer:    &backprop.Adam{},
		WeightDecay:  0.01,
		Epochs:       500,
		BatchSize:    32,
		Validation:   validation,
		Patience:     30,
		Progress:     progress,
	}))
	return network
}

// report shows how well the rows for testing are predicted. Recall is the share of the rows of a class
// that are found, precision the share of those taken for it that are of it.
func report(w io.Writer, classes []string, test backprop.Data, linear, network *backprop.Network) {
	measure, meaning := backprop.R2, "R² (1 is perfect, 0 no better than the mean)"
	if len(classes) > 0 {
		measure, meaning = backprop.Accuracy, "accuracy (the share of right classes)"
	}
	p := must(network.Predict(test.X))
	n, _ := p.Dims()
	fmt.Fprintf(w, "\n%d rows for testing, %s:\n", n, meaning)
	fmt.Fprintf(w, "linear model   %.3f\n", must(measure(must(linear.Predict(test.X)), test.Y)))
	fmt.Fprintf(w, "network        %.3f\n", must(measure(p, test.Y)))
	if len(classes) == 0 {
		p.Sub(p, test.Y)
		fmt.Fprintf(w, "typical error  %.4g (root mean square)\n", mat.Norm(p, 2)/math.Sqrt(float64(n)))
		return
	}
	fmt.Fprintf(w, "\n%-24s  rows  recall  precision\n", "class")
	for k, s := range must(backprop.ClassScores(must(backprop.ConfusionMatrix(p, test.Y)))) {
		fmt.Fprintf(w, "%-24.20q %5d %7.3f %10.3f\n", classes[k], s.Support, s.Recall, s.Precision)
	}
}

// predict writes a CSV with a row for each row of a sheet: the number predicted, or the class and
// the probability of each. The sheet's columns may stand in any order, and others beside them.
func predict(w io.Writer, o options) {
	network := must(backprop.Load(o.model))
	t := must(columns.Of(network))
	if t == nil {
		log.Fatalf("%s: the network knows no columns, want one that examples/table has saved", o.model)
	}
	s := must(readSheet(o.predict, o))
	p := must(network.Predict(must(s.encode(t.Inputs, s.rows))))
	header := []string{t.Target.Name}
	for _, class := range t.Target.Categories {
		header = append(header, "probability of "+class)
	}
	records := [][]string{header}
	for i, class := range backprop.Classes(p) {
		var record []string
		if len(t.Target.Categories) > 0 {
			record = append(record, t.Target.Categories[class])
		}
		for _, v := range p.RawRowView(i) {
			record = append(record, strconv.FormatFloat(v, 'g', 6, 64))
		}
		records = append(records, record)
	}
	check(csv.NewWriter(w).WriteAll(records))
}
