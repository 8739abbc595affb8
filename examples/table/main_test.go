package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"example.com/backprop"
)

// figure is the number behind a name in a report.
func figure(t *testing.T, report, name string) float64 {
	t.Helper()
	match := regexp.MustCompile(`(?m)^` + name + `\s+(-?[\d.]+)`).FindStringSubmatch(report)
	if match == nil {
		t.Fatalf("no %s in\n%s", name, report)
	}
	v, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// predictions are the records of predict.
func predictions(t *testing.T, model, path string) [][]string {
	t.Helper()
	var out bytes.Buffer
	if err := run(&out, io.Discard, options{missing: missingError, model: model, predict: path}); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// Linear discriminant analysis, by Fisher himself (1936), errs in 3 of the 150.
func TestIrisesAreLearntSavedAndPredicted(t *testing.T) {
	model := filepath.Join(t.TempDir(), "iris.safetensors")
	var report bytes.Buffer
	err := run(&report, io.Discard, options{data: "../iris/iris.csv", target: "species", missing: missingError, save: model})
	if err != nil {
		t.Fatal(err)
	}
	majority, linear, network := figure(t, report.String(), "majority class"), figure(t, report.String(), "linear model"), figure(t, report.String(), "network")
	if majority > 40 || linear < 90 || network < 90 {
		t.Errorf("got %v, %v, %v %%, want below 40, above 90, above 90", majority, linear, network)
	}
	s, err := readSheet("../iris/iris.csv")
	if err != nil {
		t.Fatal(err)
	}
	truth := make([]string, len(s.rows))
	text := "petal_width;comment;sepal_length;sepal_width;petal_length\r\n" // another order
	for i, row := range s.rows {
		truth[i] = row[4]
		text += strings.ReplaceAll(fmt.Sprintf("%s;none;%s;%s;%s\r\n", row[3], row[0], row[1], row[2]), ".", ",")
	}
	records := predictions(t, model, temporary(t, text))
	if got, want := strings.Join(records[0], ";"), "species;probability of setosa;probability of versicolor;probability of virginica"; got != want {
		t.Errorf("the header is %s, want %s", got, want)
	}
	hits := 0
	for i, record := range records[1:] {
		if record[0] == truth[i] {
			hits++
		}
	}
	if len(records) != 151 || hits < 140 {
		t.Errorf("%d of %d rows are right, want 140 of 150", hits, len(records)-1)
	}
}

// The target is size² for one of two kinds, and −size² for the other, with a little noise: nothing
// that a linear model could tell.
func TestANumberIsLearntWhereALinearModelFails(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text, fresh := "kind,size,target\n", "size,kind\n"
	var want []float64
	for i := range 500 {
		size, kind, sign := rng.Float64()*200-100, "up", 1.0
		if rng.IntN(2) == 0 {
			kind, sign = "down", -1
		}
		target := sign*size*size + 100*rng.NormFloat64()
		if i < 400 {
			text += fmt.Sprintf("%s,%v,%v\n", kind, size, target)
		} else {
			fresh += fmt.Sprintf("%v,%s\n", size, kind)
			want = append(want, target)
		}
	}
	model := filepath.Join(t.TempDir(), "model.safetensors")
	var report bytes.Buffer
	err := run(&report, io.Discard, options{data: temporary(t, text), target: "target", missing: missingError, save: model})
	if err != nil {
		t.Fatal(err)
	}
	mean, linear, network := figure(t, report.String(), "mean"), figure(t, report.String(), "linear model"), figure(t, report.String(), "network")
	if mean > 0 || linear > 0.8 || network < 0.97 {
		t.Errorf("R² is %v, %v and %v, want 0 at most, 0.8 at most, 0.97 at least", mean, linear, network)
	}
	records := predictions(t, model, temporary(t, fresh))
	if len(records) != len(want)+1 || len(records[0]) != 1 || records[0][0] != "target" {
		t.Fatalf("%d records, the first %q", len(records), records[0])
	}
	miss := 0.0
	for i, record := range records[1:] {
		v, err := strconv.ParseFloat(record[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		miss += (v - want[i]) * (v - want[i]) / float64(len(want))
	}
	if math.Sqrt(miss) > 800 { // the targets' deviation is 4500
		t.Errorf("RMSE of new rows %v, want 800 at most", math.Sqrt(miss))
	}
}

func TestPredictionsNeedTheColumnsOfTheTraining(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "model.safetensors")
	data := temporary(t, tenRows)
	if err := run(io.Discard, io.Discard, options{data: data, target: "price", drop: []string{"id"}, missing: missingError, save: model}); err != nil {
		t.Fatal(err)
	}
	plain, err := backprop.New(1, backprop.Dense{Units: 1})
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.safetensors")
	if err := plain.Save(other); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ model, text, want string }{
		{model, "size,code\n1,10\n", `line 1: there is no column "colour"; the columns are "size", "code"`},
		{model, "size,code,colour\n1,10,red\n1,10,pink\n", `line 3, column 3 ("colour"): "pink" was in no row of the training, which had "blue", "red"`},
		{model, "size,code,colour\n1,,red\n", `line 2, column 2 ("code"): the cell is missing`},
		{model, "size,code,colour\n1,NaN,red\n", `line 2, column 2 ("code"): the cell is missing`},
		{model, "size,code,colour\n1,1e200,red\n", `line 2, column 2 ("code"): "1e200" is too large`},
		{model, "size,code,colour\nten,1,red\n", `line 2, column 1 ("size"): "ten" is no number`},
		{model, "size,code,colour\n", "there are no rows"},
		{other, "size\n1\n", "the network knows no columns"},
		{data, "size\n1\n", "safetensors"},
	} {
		var out bytes.Buffer
		err := run(&out, io.Discard, options{missing: missingError, model: c.model, predict: temporary(t, c.text)})
		if err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("%q: %v, with %q written, want %q", c.text, err, out.String(), c.want)
		}
	}
}

func TestFlagsThatDoNotBelongTogetherAreErrors(t *testing.T) {
	for want, o := range map[string]options{
		"-data and -target are wanted":       {data: "../iris/iris.csv", missing: missingError},
		"want one of the two at a time":      {data: "../iris/iris.csv", predict: "../iris/iris.csv", missing: missingError},
		"-model and -predict are wanted":     {model: "m", missing: missingError},
		`-missing is "mean", want error, dr`: {data: "../iris/iris.csv", target: "species", missing: "mean"},
	} {
		if err := run(io.Discard, io.Discard, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	var names []string
	if err := list(&names)(`a,"b, c",d`); err != nil || strings.Join(names, "|") != "a|b, c|d" {
		t.Errorf("names %q, %v", names, err)
	}
}

func TestNamesDoNotBreakTheReport(t *testing.T) {
	text := strings.ReplaceAll(strings.ReplaceAll(tenRows, "red", "\"r\x1b[2J\te\nd\""), "blue", strings.Repeat("é", 100))
	var report bytes.Buffer
	err := run(&report, io.Discard, options{data: temporary(t, text), target: "colour", drop: []string{"id"}, missing: missingError})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"r·[2J·e·d", strings.Repeat("é", 23) + "…"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("no %q in\n%s", want, report.String())
		}
	}
}

// Fisher's article gives the means of the species, by which the file is known.
func TestIrisFileHoldsThePublishedSamples(t *testing.T) {
	s, err := readSheet("../iris/iris.csv")
	if err != nil {
		t.Fatal(err)
	}
	sums, counts := map[string][4]float64{}, map[string]int{}
	for _, row := range s.rows {
		sum := sums[row[4]]
		for j := range sum {
			v, err := strconv.ParseFloat(row[j], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum[j] += v
		}
		sums[row[4]] = sum
		counts[row[4]]++
	}
	for species, means := range map[string][4]float64{
		"setosa":     {5.006, 3.428, 1.462, 0.246},
		"versicolor": {5.936, 2.770, 4.260, 1.326},
		"virginica":  {6.588, 2.974, 5.552, 2.026},
	} {
		for j, want := range means {
			if got := sums[species][j] / 50; counts[species] != 50 || math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: %d samples, mean %d is %v, want 50 and %v", species, counts[species], j, got, want)
			}
		}
	}
}
