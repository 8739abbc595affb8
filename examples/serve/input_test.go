package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"example.com/backprop"
	"example.com/backprop/examples/internal/columns"
)

func TestBadInputIsA4xxThatSaysWhy(t *testing.T) {
	url := startTrained(t)
	zeros := strings.Repeat("0,", pixels-1) + "0"
	with := func(pixel string) string { return `{"inputs":[` + pixel + zeros[1:] + `]}` }
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"empty", "", 400, "unexpected end of JSON"},
		{"not JSON", "inputs", 400, "invalid character"},
		{"cut off", `{"inputs":[0`, 400, "unexpected end of JSON"},
		{"no field", `{"pixels":[]}`, 400, `sample 0: it has no "inputs"`},
		{"null", `null`, 400, `sample 0: it has no "inputs"`},
		{"samples within", `{"inputs":[[1],[2]]}`, 400, `of 64 numbers, or of several samples [{"inputs":[…]},…]`},
		{"null for inputs", `{"inputs":null}`, 400, "sample 0: it has 0 inputs, want 64"},
		{"text for inputs", `{"inputs":"0"}`, 400, "cannot unmarshal string"},
		{"names", `{"inputs":{"a":1}}`, 400, "sample 0: it has names, but the network knows none; want an array of 64 numbers"},
		{"no samples", `[]`, 400, "there are 0 samples, want 1 to 16384 in a request"},
		{"short sample", `{"inputs":[1,2,3]}`, 400, "sample 0: it has 3 inputs, want 64"},
		{"long sample", `{"inputs":[` + zeros + `,0]}`, 400, "65 inputs"},
		{"second sample short", `[` + with("0") + `,{"inputs":[1]}]`, 400, "sample 1: it has 1 inputs"},
		{"two values", with("0") + with("0"), 400, "after top-level value"},
		{"overflow", with("1e999"), 400, "cannot unmarshal number 1e999"},
		{"NaN", with("NaN"), 400, "invalid character 'N'"},
		{"null input", with("null"), 400, "sample 0: input 0 is null, want a number"},
		{"text input", with(`"7"`), 400, "cannot unmarshal string"},
		{"deep", strings.Repeat("[", 100000), 400, "max depth"},
		{"too large", `{"inputs":[` + strings.Repeat(" ", maxBody) + `]}`, 413, "the body is longer than 1048576 bytes"},
	} {
		status, body := post(t, url, c.body)
		checkFailure(t, c.name, status, body, c.status, c.want)
	}
	if status, body := post(t, url, with("16")); status != http.StatusOK {
		t.Errorf("good input: status %d, %s", status, body)
	}
}

// tableModel is a model with a number, a category and these classes, or of none a number, as its
// target. Its weights are 0 but that of the number to the last output, 1.
func tableModel(t *testing.T, classes ...string) *model {
	t.Helper()
	target := columns.Column{Name: "target", Categories: classes}
	table := columns.Table{Target: target, Inputs: columns.List{
		{Name: "size", Fill: "7"},
		{Name: "colour", Categories: []string{"3", "red"}},
	}}
	last := backprop.Dense{Units: target.Width()}
	if classes != nil {
		last.Activation = backprop.Softmax
	}
	m := modelOf(t, 3, table, last)
	w := m.network.Weights(1)
	w.Zero()
	w.Set(target.Width()-1, 0, 1)
	return m
}

func TestColumnsAndClassesHaveTheirNames(t *testing.T) {
	numbers := start(t, newServer(newPredictor(tableModel(t))))
	labels := start(t, newServer(newPredictor(tableModel(t, "no", "yes"))))
	half := `{"no":0.5,"yes":0.5}`
	for _, c := range []struct{ url, body, want string }{
		{numbers, `{"inputs":{"colour":"red","size":2.5}}`, `{"outputs":{"target":2.5}}`},
		{numbers, `{"inputs":{"colour":3,"size":"2.5"}}`, `{"outputs":{"target":2.5}}`},
		{numbers, `{"inputs":{"colour":"red","size":null}}`, `{"outputs":{"target":7}}`},
		{numbers, `{"inputs":[2.5,0,1]}`, `{"outputs":[2.5]}`},
		{numbers, `[{"inputs":[2,0,1]},{"inputs":{"colour":"3","size":4}}]`, `[{"outputs":[2]},{"outputs":{"target":4}}]`},
		{labels, `{"inputs":{"colour":"red","size":0}}`, `{"class":"no","outputs":` + half + `}`},
		{labels, `{"inputs":[0,0,1]}`, `{"outputs":[0.5,0.5]}`},
	} {
		if status, body := post(t, c.url, c.body); status != http.StatusOK || string(body) != c.want+"\n" {
			t.Errorf("%s: status %d, %s, want %s", c.body, status, body, c.want)
		}
	}
	_, body := post(t, labels, `{"inputs":{"colour":"red","size":100}}`)
	if !strings.HasPrefix(string(body), `{"class":"yes"`) {
		t.Errorf("a large size: %s, want yes", body)
	}
}

func TestBadNamesAndCellsAreErrors(t *testing.T) {
	url := start(t, newServer(newPredictor(tableModel(t))))
	for _, c := range []struct{ inputs, want string }{
		{`{}`, `sample 0: there is no column "size"; the columns are []`},
		{`{"size":1}`, `there is no column "colour"; the columns are ["size"]`},
		{`{"size":1,"colour":"blue"}`, `column "colour": "blue" was in no row of the training, which had ["3" "red"]`},
		{`{"size":1,"colour":null}`, `column "colour": the cell is missing`},
		{`{"size":"much","colour":"red"}`, `column "size": "much" is no number`},
		{`{"size":1e999,"colour":"red"}`, `column "size": "1e999" is no number of at most 1e100`},
		{`{"size":[1],"colour":"red"}`, `column "size": "[1]" is no number`},
		{`[1,1]`, `sample 0: it has 2 inputs, want 3`},
	} {
		status, body := post(t, url, `{"inputs":`+c.inputs+`}`)
		checkFailure(t, c.inputs, status, body, 400, c.want)
	}
}

func TestOutputsThatOverflowAreTheInputsFault(t *testing.T) {
	m := modelOf(t, 1, backprop.Dense{Units: 1})
	m.network.Weights(0).Set(0, 0, 2)
	status, body := post(t, start(t, newServer(newPredictor(m))), `[{"inputs":[1]},{"inputs":[1e308]}]`)
	checkFailure(t, "overflow", status, body, 400, "too large for the network: backprop: Predict: output")
}

func TestARequestsMemoryIsBounded(t *testing.T) {
	m := modelOf(t, 1, backprop.Dense{Units: maxElements / 2, NoBias: true})
	if _, err := m.answer([]byte(`[{"inputs":[0]},{"inputs":[0]}]`)); err != nil {
		t.Error(err)
	}
	_, err := m.answer([]byte(`[{"inputs":[0]},{"inputs":[0]},{"inputs":[0]}]`))
	if err == nil || !strings.Contains(err.Error(), "3 samples, want 1 to 2 in a request") {
		t.Errorf("too many samples: %v", err)
	}
}

func TestASampleOfManyLongNumbersIsTaken(t *testing.T) {
	const inputs = 1 << 16
	url := start(t, newServer(newPredictor(modelOf(t, inputs, backprop.Dense{Units: 1}))))
	body := fmt.Sprintf(`{"inputs":[%s%v]}`, strings.Repeat(fmt.Sprint(-math.Pi*1e-100, ","), inputs-1), 1)
	if len(body) < maxBody {
		t.Fatalf("the body has only %d bytes", len(body))
	}
	if status, answer := post(t, url, body); status != http.StatusOK {
		t.Errorf("status %d, %.200s", status, answer)
	}
}

func TestOnlyAWholeNetworkIsServed(t *testing.T) {
	dir := t.TempDir()
	wrong := columns.Table{Inputs: columns.List{{Name: "a"}}, Target: columns.Column{Name: "b"}}
	network, err := backprop.New(1, wrong, backprop.Dense{Units: 2})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "wrong.safetensors")
	if err := network.Save(path); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		path: `the network has 1 inputs and 2 outputs, but its columns are 1 and 1`,
		"":   "the path is empty",
		dir:  "it is a folder",
	} {
		if err := run(t.Context(), path, "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
	if err := run(t.Context(), filepath.Join(dir, "none"), "127.0.0.1:0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
