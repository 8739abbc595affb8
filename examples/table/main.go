// Command table learns to predict one column of a CSV file from the others:
//
//	go run ./examples/table -data examples/iris/iris.csv -target species -save iris.safetensors
//	go run ./examples/table -model iris.safetensors -predict new.csv
//
// A column whose cells are all numbers is one, any other is one of categories, which the network
// takes one-hot. The target is learnt as classes if it is of categories, or of two numbers, and as
// a number otherwise. A fifth of the rows is held out for testing, and a fifth of the others for
// stopping early. The columns are kept in the network's file, so the second command, and
// examples/serve, know their names.
//
// The file's first line is a header, and its separator a comma, a semicolon, a tab or a bar.
package main

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
)

// The options are the flags.
type options struct {
	data, target, save string
	categories, drop   []string
	missing            string
	seed               uint64
	model, predict     string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("table: ")
	var o options
	flag.StringVar(&o.data, "data", "", "the CSV `file` to learn from")
	flag.StringVar(&o.target, "target", "", "the `column` to predict")
	flag.StringVar(&o.save, "save", "", "the `file` to save the network to")
	flag.Func("categories", "`columns` whose numbers are categories, as a,b", list(&o.categories))
	flag.Func("drop", "`columns` to leave out, as a,b", list(&o.drop))
	flag.StringVar(&o.missing, "missing", missingError, "the `policy` for missing cells: error; drop, which leaves their rows out;"+
		"\nor fill, which takes the mean for a number and a category of its own")
	flag.Uint64Var(&o.seed, "seed", 0, "of the split, the initial weights and the training")
	flag.StringVar(&o.model, "model", "", "the `file` of the network to predict with")
	flag.StringVar(&o.predict, "predict", "", "the CSV `file` to predict, to the standard output")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("%q belongs to no flag", flag.Arg(0))
	}
	if err := run(os.Stdout, os.Stderr, o); err != nil {
		log.Fatal(err)
	}
}

// list appends the names in a flag to a list. One with a comma in it stands in quotes.
func list(names *[]string) func(string) error {
	return func(text string) error {
		more, err := csv.NewReader(strings.NewReader(text)).Read()
		*names = append(*names, more...)
		return err
	}
}

// run learns or predicts, whichever the options say.
func run(w, progress io.Writer, o options) error {
	switch o.missing {
	case missingError, missingDrop, missingFill:
	default:
		return fmt.Errorf("-missing is %q, want %s, %s or %s", o.missing, missingError, missingDrop, missingFill)
	}
	learns := o.data != "" || o.target != "" || o.save != "" || o.categories != nil || o.drop != nil
	switch predicts := o.model != "" || o.predict != ""; {
	case learns && predicts:
		return errors.New("-model and -predict predict, other flags learn; want one of the two at a time")
	case predicts && (o.model == "" || o.predict == ""):
		return errors.New("to predict, -model and -predict are wanted")
	case predicts:
		return predict(w, o)
	case o.data == "" || o.target == "":
		return errors.New("-data and -target are wanted; -help tells more")
	}
	return learn(w, progress, o)
}
