// Command table learns to predict one column of a CSV file from the others:
//
//	go run ./examples/table -data examples/iris/iris.csv -target species -save iris.safetensors
//	go run ./examples/table -model iris.safetensors -predict new.csv
//
// A column whose cells are all numbers is one, any other, or what -categories names, is one of
// categories, which the network takes one-hot. The target is learnt as classes if it is of
// categories, or has but two values, and as a number otherwise. A fifth of the rows is held out for
// testing, and a fifth for stopping early. The columns are kept in the network's file, so the
// second command, and examples/serve, know their names.
//
// The file's first line is a header, and its separator a comma, a semicolon, a tab or a bar.
package main

import (
	"flag"
	"log"
	"os"
)

// The options are the flags.
type options struct {
	data, target, save, missing string
	categories, drop            []string
	model, predict              string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("table: ")
	var o options
	flag.StringVar(&o.data, "data", "", "the CSV `file` to learn from")
	flag.StringVar(&o.target, "target", "", "the `column` to predict")
	flag.StringVar(&o.save, "save", "", "the `file` to save the network to")
	flag.Func("categories", "a `column` whose numbers are categories; more of them by more such flags", list(&o.categories))
	flag.Func("drop", "a `column` to leave out; more of them by more such flags", list(&o.drop))
	flag.StringVar(&o.missing, "missing", "error", "the `policy` for missing cells: error; or fill, which takes the mean of"+
		"\nthe rows for training for a number, and a category of its own")
	flag.StringVar(&o.model, "model", "", "the `file` of the network to predict with")
	flag.StringVar(&o.predict, "predict", "", "the CSV `file` to predict, to the standard output")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		log.Fatalf("%q belongs to no flag", flag.Arg(0))
	case o.missing != "error" && o.missing != "fill":
		log.Fatalf("-missing is %q, want error or fill", o.missing)
	case o.data != "" && o.target != "" && o.model+o.predict == "":
		learn(os.Stdout, os.Stderr, o)
	case o.model != "" && o.predict != "" && o.data+o.target+o.save == "":
		predict(os.Stdout, o)
	default:
		log.Fatal("want -data and -target to learn, or -model and -predict to predict; -help tells more")
	}
}

func list(names *[]string) func(string) error {
	return func(name string) error {
		*names = append(*names, name)
		return nil
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
