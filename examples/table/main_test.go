package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/backprop"
	"example.com/backprop/examples/internal/columns"
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

// TestMain turns this program into the command itself where it is asked to.
func TestMain(m *testing.M) {
	if os.Getenv("TABLE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// fails runs the command, which is to end with an error of one line and to write nothing else.
func fails(t *testing.T, want string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], args...)
	command.Env = append(os.Environ(), "TABLE=1")
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	err := command.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Skip("a program cannot start itself here: ", err)
	}
	message := errors.String()
	if err == nil || out.Len() > 0 || !strings.HasPrefix(message, "table: ") || !strings.Contains(message, want) || strings.Count(message, "\n") != 1 {
		t.Errorf("%q: %v, %s\n%s, want %q", args, err, &errors, &out, want)
	}
}

// predictions are the records of predict.
func predictions(t *testing.T, model, path string) [][]string {
	t.Helper()
	var out bytes.Buffer
	predict(&out, options{model: model, predict: path})
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
	learn(&report, io.Discard, options{data: "../iris/iris.csv", target: "species", save: model})
	linear, network := figure(t, report.String(), "linear model"), figure(t, report.String(), "network")
	if linear < 0.9 || network < 0.9 || !strings.Contains(report.String(), "\n30 rows for testing") {
		t.Errorf("%v and %v, want 0.9 at least, of 30 rows:\n%s", linear, network, &report)
	}
	found := 0.0
	for _, class := range regexp.MustCompile(`(?m)^"\w+" +(\d+) +([\d.]+) +[\d.]+$`).FindAllStringSubmatch(report.String(), -1) {
		rows, err := strconv.ParseFloat(class[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		recall, err := strconv.ParseFloat(class[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		found += rows * recall
	}
	if math.Abs(found/30-network) > 1e-3 {
		t.Errorf("by class %v of 30 are recognized, of all %v:\n%s", found, network, &report)
	}
	s, err := readSheet("../iris/iris.csv", options{})
	if err != nil {
		t.Fatal(err)
	}
	truth := make([]string, len(s.rows))
	text := "petal_width;comment;sepal_length;sepal_width;petal_length\r\n" // another order
	for i, r := range s.rows {
		row := r.cells
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
	learn(&report, io.Discard, options{data: temporary(t, text), target: "target", save: model})
	linear, network, miss := figure(t, report.String(), "linear model"), figure(t, report.String(), "network"), figure(t, report.String(), "typical error")
	if linear > 0.8 || network < 0.97 || miss > 800 { // the targets' deviation is 4500
		t.Errorf("R² is %v and %v, the error %v, want 0.8 at most, 0.97 at least, 800 at most", linear, network, miss)
	}
	records := predictions(t, model, temporary(t, fresh))
	if len(records) != len(want)+1 || len(records[0]) != 1 || records[0][0] != "target" {
		t.Fatalf("%d records, the first %q", len(records), records[0])
	}
	square := 0.0
	for i, record := range records[1:] {
		v, err := strconv.ParseFloat(record[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		square += (v - want[i]) * (v - want[i]) / float64(len(want))
	}
	if other := math.Sqrt(square); other > 800 || math.Abs(other-miss) > miss/2 {
		t.Errorf("RMSE of new rows %v, want 800 at most, and about %v", other, miss)
	}
}

func TestEachRowIsInOneOfThreeParts(t *testing.T) {
	rows := make([]row, 11)
	for i := range rows {
		rows[i].line = i
	}
	test, validation, training := split(rows)
	lines := map[int]bool{}
	for _, r := range slices.Concat(test, validation, training) {
		lines[r.line] = true
	}
	if len(test) != 2 || len(validation) != 2 || len(training) != 7 || len(lines) != 11 {
		t.Errorf("%v, %v, %v", test, validation, training)
	}
}

// Of ten rows four are held out, whatever stands in them; of those below one has no size.
func TestWhatStandsForAMissingNumberIsLearntFromTheRowsForTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("nine trainings")
	}
	fill := func(old, new string) string {
		text := strings.Replace(strings.Replace(tenRows, "a1,1,", "a1,,", 1), old, new, 1)
		model := filepath.Join(t.TempDir(), "model.safetensors")
		learn(io.Discard, io.Discard, options{data: temporary(t, text), target: "price", save: model})
		network, err := backprop.Load(model)
		if err != nil {
			t.Fatal(err)
		}
		table, err := columns.Of(network)
		if err != nil {
			t.Fatal(err)
		}
		return table.Inputs[1].Fill
	}
	before, same := fill("", ""), 0
	for i := 2; i < 10; i++ {
		if fill(fmt.Sprintf("a%d,%[1]d,", i), fmt.Sprintf("a%d,1000,", i)) == before {
			same++
		}
	}
	if same < 2 || same > 4 {
		t.Errorf("%s does not depend on %d of 8 rows, want 2 to 4", before, same)
	}
}

func TestAFileWithoutAHeaderIsLearntAndPredicted(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model.safetensors")
	_, rows, _ := strings.Cut(tenRows, "\n")
	o := options{data: temporary(t, rows), target: "3", drop: list{"1"}, noHeader: true, save: model}
	learn(io.Discard, io.Discard, o)
	var out bytes.Buffer
	predict(&out, options{model: model, predict: o.data, noHeader: true})
	if lines := strings.Split(out.String(), "\n"); len(lines) != 12 || lines[0] != "3,probability of blue,probability of red" {
		t.Errorf("got %s", &out)
	}
	fails(t, `there is no column "colour"; the columns are ["1" "2" "3" "4" "5"]`, "-noheader", "-data", o.data, "-target", "colour")
}

func TestPredictionsNeedTheColumnsOfTheTraining(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "model.safetensors")
	data := temporary(t, tenRows)
	learn(io.Discard, io.Discard, options{data: data, target: "price", drop: []string{"id"}, save: model})
	plain, err := backprop.New(1, backprop.Dense{Units: 1})
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.safetensors")
	if err := plain.Save(other); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ model, text, want string }{
		{model, "size,code\n1,10\n", `data.csv: line 2: there is no column "colour"; the columns are ["code" "size"]; mend the file, or`},
		{model, "size,code,colour\n1,10,red\n1,10,pink\n", `line 3: column "colour": "pink" was in no row of the training, which had ["blue" "red"]`},
		{model, "size,code,colour\n1,,red\n", `line 2: column "code": the cell is missing`},
		{model, "size,code,colour\nten,1,red\n", `line 2: column "size": "ten" is no number`},
		{other, "size\n1\n", "the network knows no columns"},
		{data, "size\n1\n", "safetensors"},
	} {
		fails(t, c.want, "-model", c.model, "-predict", temporary(t, c.text))
	}
}

func TestFlagsThatDoNotBelongTogetherAreErrors(t *testing.T) {
	const usage = "want -data and -target to learn, or -model and -predict to predict"
	fails(t, usage)
	fails(t, usage, "-data", "../iris/iris.csv")
	fails(t, usage, "-data", "../iris/iris.csv", "-target", "species", "-predict", "../iris/iris.csv")
	fails(t, usage, "-model", "m")
	fails(t, `"x" is not used; only flags are`, "-data", "../iris/iris.csv", "x")
	fails(t, `iris.csv: line 1: there is no column "b, c"`, "-data", "../iris/iris.csv", "-target", "species", "-drop", "petal_width", "-drop", "b, c")
}

func TestAFolderThatIsNotThereIsAnErrorBeforeTheTraining(t *testing.T) {
	fails(t, "no such file", "-data", "../iris/iris.csv", "-target", "species", "-save", filepath.Join(t.TempDir(), "none", "m"))
}

func TestNamesDoNotBreakTheReport(t *testing.T) {
	text := strings.ReplaceAll(strings.ReplaceAll(tenRows, "red", "\"r\x1b[2J\te\nd\""), "blue", strings.Repeat("é", 100))
	var report bytes.Buffer
	learn(&report, io.Discard, options{data: temporary(t, text), target: "colour", drop: []string{"id"}})
	for _, want := range []string{`"r\x1b[2J\te\nd" `, `"` + strings.Repeat("é", 20) + `" `} {
		if !strings.Contains(report.String(), "\n"+want) {
			t.Errorf("no line with %q in\n%s", want, report.String())
		}
	}
}

// Fisher's article gives the means of the species, by which the file is known.
func TestIrisFileHoldsThePublishedSamples(t *testing.T) {
	s, err := readSheet("../iris/iris.csv", options{})
	if err != nil {
		t.Fatal(err)
	}
	sums, counts := map[string][4]float64{}, map[string]int{}
	for _, r := range s.rows {
		row := r.cells
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
