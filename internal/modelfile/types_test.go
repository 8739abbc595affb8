package modelfile

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// Layers and activations as a library might have them.

type layer interface{ layer() }

type activation interface{ String() string }

type function string

func (f function) String() string { return string(f) }

type kind int

func (k kind) MarshalText() ([]byte, error) {
	if k < 0 || k > 2 {
		return nil, errors.New("no such kind")
	}
	return []byte{"xyz"[k]}, nil
}

func (k *kind) UnmarshalText(text []byte) error {
	i := strings.Index("xyz", string(text))
	*k = kind(i)
	if i < 0 || len(text) != 1 {
		return fmt.Errorf("kind %.50q is not known", text)
	}
	return nil
}

type (
	dense struct {
		Units      int
		Activation activation
		Init       kind
		NoBias     bool
		memory     []float64
	}
	dropout struct{ Rate float64 }
	block   struct {
		Inner layer
		Rest  sequence
	}
	sequence []layer
	wide     struct {
		Size   [2]uint8
		Names  []string
		Small  float32
		Parts  []part
		Curves []activation
		Kinds  []kind
		Tree   tree
	}
	part struct {
		L2Norm float64
		ID     int8
	}
	tree struct{ Kids []tree }
)

func (dense) layer()    {}
func (dropout) layer()  {}
func (block) layer()    {}
func (sequence) layer() {}
func (wide) layer()     {}

func newTypes(t testing.TB) *Types[layer, activation] {
	types := NewTypes[layer](
		func(f activation) (string, error) {
			if f == function("bad") {
				return "", errors.New("a bad activation")
			}
			return strings.TrimPrefix(f.String(), "identity"), nil
		},
		func(name string) (activation, error) {
			if name != "tanh" && name != "relu" {
				return nil, fmt.Errorf("activation %.50q is not known", name)
			}
			return function(name), nil
		})
	for name, l := range map[string]layer{
		"Dense": dense{}, "Dropout": dropout{0.5}, "Block": block{}, "Sequential": sequence{}, "Wide": wide{},
	} {
		if err := types.Register(name, l); err != nil {
			t.Fatal(err)
		}
	}
	return types
}

var described = []struct {
	layers []layer
	text   string
}{
	{[]layer{}, `[]`},
	{[]layer{dense{Units: 8, Activation: function("tanh"), Init: 1, NoBias: true}},
		`[{"type":"Dense","units":8,"activation":"tanh","init":"y","no_bias":true}]`},
	{[]layer{dense{}, dropout{0.5}, dropout{}, dropout{0.3}},
		`[{"type":"Dense"},{"type":"Dropout"},{"type":"Dropout","rate":0},{"type":"Dropout","rate":0.3}]`},
	{[]layer{block{}, sequence{}, block{Inner: block{Inner: dense{}}, Rest: sequence{dropout{0.5}, sequence{dense{Units: -1}}}}},
		`[{"type":"Block"},{"type":"Sequential"},{"type":"Block","inner":{"type":"Block","inner":{"type":"Dense"}},` +
			`"rest":[{"type":"Dropout"},{"type":"Sequential","layers":[{"type":"Dense","units":-1}]}]}]`},
	{[]layer{wide{[2]uint8{3, 255}, []string{"<é>", ""}, 0.1, []part{{1e-300, -128}, {}}, []activation{function("relu")}, []kind{2, 0},
		tree{[]tree{{}, {[]tree{{}}}}}}},
		`[{"type":"Wide","size":[3,255],"names":["\u003cé\u003e",""],"small":0.1,"parts":[{"l2_norm":1e-300,"id":-128},{}],` +
			`"curves":["relu"],"kinds":["z","x"],"tree":{"kids":[{},{"kids":[{}]}]}}]`},
}

func TestDescriptionsAreReadAsTheyWereWritten(t *testing.T) {
	types := newTypes(t)
	for i, c := range described {
		d := Description[layer]{Inputs: i, Fitted: i%2 == 1, Layers: c.layers}
		want := fmt.Sprintf(`{"inputs":%d,"layers":%s}`, i, c.text)
		if d.Fitted {
			want = fmt.Sprintf(`{"inputs":%d,"fitted":true,"layers":%s}`, i, c.text)
		}
		text, err := types.Describe(d, 1<<14)
		if err != nil || text != want {
			t.Errorf("%v:\n got %s\nwant %s", err, text, want)
		}
		if got, err := types.Parse(text, 100); err != nil || !reflect.DeepEqual(got, d) {
			t.Errorf("%v:\n got %v\nwant %v", err, got, d)
		}
	}
}

func TestWhatHasNoNameIsLeftOut(t *testing.T) {
	text, err := newTypes(t).Describe(Description[layer]{Layers: []layer{dense{Activation: function("identity"), memory: []float64{1}}}}, 1<<14)
	if err != nil || text != `{"inputs":0,"layers":[{"type":"Dense"}]}` {
		t.Error(text, err)
	}
}

// Defaults are those of a layer's own fields: within a field, zero is left out.
func TestDefaultsMayBeAnything(t *testing.T) {
	types := NewTypes[layer](func(f activation) (string, error) { return f.String(), nil },
		func(name string) (activation, error) { return function(name), nil })
	defaults := wide{Size: [2]uint8{1, 2}, Names: []string{"a"}, Parts: []part{{1, 2}}, Tree: tree{[]tree{{}}}}
	err := errors.Join(types.Register("Wide", defaults), types.Register("Deep", deep{part{1, 2}, [1]part{{3, 4}}, function("f")}),
		types.Register("Sequential", sequence{defaults}))
	if err != nil {
		t.Fatal(err)
	}
	want := []layer{defaults, wide{Names: []string{}, Parts: []part{}, Tree: tree{[]tree{}}}, deep{part{1, 2}, [1]part{{3, 4}}, function("f")},
		deep{part{0, 2}, [1]part{{3, 0}}, function("g")}, sequence{defaults}, sequence{}}
	text, err := types.Describe(Description[layer]{Layers: want}, 1<<14)
	if err != nil || text != `{"inputs":0,"layers":[{"type":"Wide"},{"type":"Wide","size":[0,0],"names":[],"parts":[],"tree":{"kids":[]}},`+
		`{"type":"Deep"},{"type":"Deep","part":{"id":2},"parts":[{"l2_norm":3}],"curve":"g"},{"type":"Sequential"},`+
		`{"type":"Sequential","layers":[]}]}` {
		t.Error(text, err)
	}
	if got, err := types.Parse(text, 9); err != nil || !reflect.DeepEqual(got.Layers, want) {
		t.Errorf("%v: got %+v, want %+v", err, got.Layers, want)
	}
	if text, err = types.Describe(Description[layer]{Layers: []layer{deep{}}}, 1<<14); err == nil || err.Error() != "layer 0: <nil> has no name in files" {
		t.Error(text, err)
	}
}

func TestKeysMayComeInAnyOrder(t *testing.T) {
	got, err := newTypes(t).Parse(` { "layers" : [ {"activation":"relu","no_bias":false, "type":"Dense" , "units":2},
		{"rest":[{"rate":0,"type":"Dropout"}],"type":"Block"},{"layers":[],"type":"Sequential"}] , "fitted":false, "inputs":3 } `, 9)
	want := []layer{dense{Units: 2, Activation: function("relu")}, block{Rest: sequence{dropout{}}}, sequence{}}
	if err != nil || got.Inputs != 3 || got.Fitted || !reflect.DeepEqual(got.Layers, want) {
		t.Error(got, err)
	}
	if got, err = newTypes(t).Parse("{}", 0); err != nil || got.Layers != nil {
		t.Error(got, err)
	}
}

type (
	deep struct {
		Part  part
		Parts [1]part
		Curve activation
	}
	unknown struct{}
	huge    struct{ X float64 }
)

func (deep) layer()    {}
func (unknown) layer() {}
func (huge) layer()    {}

func TestDescribeRefusesWhatCouldNotBeRead(t *testing.T) {
	types := newTypes(t)
	if err := errors.Join(types.Register("Huge", huge{}), types.Register("Curve", curved{function("tanh")})); err != nil {
		t.Fatal(err)
	}
	endless := make(sequence, 1)
	endless[0] = endless
	for _, c := range []struct {
		layer layer
		want  string
	}{
		{nil, "layer 1: the layer is nil"},
		{unknown{}, "layer 1: layer type modelfile.unknown is not known; register it with RegisterLayer"},
		{&dense{}, "layer 1: layer type *modelfile.dense is not known; register it with RegisterLayer"},
		{sequence{dense{}, dense{}, unknown{}}, "layer 1: layer 2: layer type modelfile.unknown is not known; register it with RegisterLayer"},
		{block{Inner: unknown{}}, "layer 1: layer type modelfile.unknown is not known; register it with RegisterLayer"},
		{dense{Activation: function("bad")}, "layer 1: a bad activation"},
		{wide{Curves: []activation{function("bad")}}, "layer 1: a bad activation"},
		{wide{Curves: []activation{nil}}, "layer 1: <nil> has no name in files"},
		{wide{Parts: []part{{L2Norm: math.NaN()}}}, "layer 1: json: unsupported value: NaN"},
		{curved{}, "layer 1: <nil> has no name in files"},
		{dense{Init: 7}, "layer 1: no such kind"},
		{huge{math.Inf(1)}, "layer 1: json: unsupported value: +Inf"},
		{endless, "nested deeper than 64"},
	} {
		text, err := types.Describe(Description[layer]{Layers: []layer{dense{}, c.layer}}, 1<<14)
		if text != "" || err == nil || !strings.HasSuffix(err.Error(), c.want) || len(err.Error()) > 1000 {
			t.Errorf("%T: %q, %v, want %s", c.layer, text, err, c.want)
		}
	}
}

var strange = []struct{ text, want string }{
	{``, "byte 0: expected {, got the end"},
	{`null`, "byte 0: expected {, got null"},
	{`[]`, "byte 0: expected {, got ["},
	{`{"inputs":1}{}`, "byte 12: expected the end, got {"},
	{`{"inputs":1,"more":0}`, `json: unknown field "more"`},
	{`{"Inputs":1}`, `json: unknown field "Inputs"`},
	{`{"inputs":1,"inputs":1}`, `byte 12: duplicate key "inputs"`},
	{`{"inputs":1.5}`, "byte 10: 1.5 is not a value of type int"},
	{`{"inputs":1e400}`, "byte 10: 1e400 is not a value of type int"},
	{`{"inputs":99999999999999999999}`, "byte 10: 99999999999999999999 is not a value of type int"},
	{`{"inputs":null}`, "byte 10: expected a number, got null"},
	{`{"inputs":"1"}`, `byte 10: expected a number, got "1"`},
	{`{"inputs":+1}`, "byte 10: expected a number, got +1"},
	{`{"inputs":01}`, "byte 10: expected a number, got 01"},
	{`{"inputs":}`, "byte 10: expected a number, got }"},
	{`{"inputs":`, "byte 10: expected a number, got the end"},
	{`{"fitted":1}`, "byte 10: expected true or false, got 1"},
	{`{"fitted":null}`, "byte 10: expected true or false, got null"},
	{`{"layers":{}}`, "byte 10: expected [, got {"},
	{`{"layers":null}`, "byte 10: expected [, got null"},
	{`{"layers":[{}`, `layer 0: layer type "" is not known`},
	{`{"layers":[null]}`, "byte 11: layer 0: expected {, got null"},
	{`{"layers":[{"type":"Dense"},[[[[]]]]]}`, "byte 28: layer 1: expected {, got ["},
	{`{"layers":[` + strings.Repeat("[", 100000), "byte 11: layer 0: expected {, got ["},
	{`{"layers":[{"a":` + strings.Repeat("[", 100000), `layer 0: nested deeper than 64`},
	{`{"layers":[{"type":"Conv"}]}`, `layer 0: layer type "Conv" is not known`},
	{`{"layers":[{"type":"modelfile.dense"}]}`, `layer 0: layer type "modelfile.dense" is not known`},
	{`{"layers":[{"type":"` + strings.Repeat("é", 100) + `"}]}`, `layer 0: layer type "` + strings.Repeat("é", 50) + `" is not known`},
	{`{"layers":[{"activation":"type"},{"type":"Dense"}]}`, `layer 0: layer type "" is not known`},
	{`{"layers":[{"rest":[{"type":"Dense"}]}]}`, `layer 0: layer type "" is not known`},
	{`{"layers":[{"type":1}]}`, "byte 19: layer 0: expected a string, got 1"},
	{`{"layers":[{"type":"Dense","type":"Dense"}]}`, `byte 27: layer 0: duplicate key "type"`},
	{`{"layers":[{"type":"Dense","units":1,"rank":1}]}`, `layer 0: json: unknown field "rank"`},
	{`{"layers":[{"type":"Dense","Units":1}]}`, `layer 0: json: unknown field "Units"`},
	{`{"layers":[{"type":"Dense","memory":[1]}]}`, `layer 0: json: unknown field "memory"`},
	{`{"layers":[{"type":"Dense","units":1,"units":1}]}`, `byte 37: layer 0: duplicate key "units"`},
	{`{"layers":[{"type":"Dense","activation":"step"}]}`, `layer 0: activation "step" is not known`},
	{`{"layers":[{"type":"Dense","activation":null}]}`, "byte 40: layer 0: expected a string, got null"},
	{`{"layers":[{"type":"Dense","init":"w"}]}`, `layer 0: kind "w" is not known`},
	{`{"layers":[{"type":"Dense","init":1}]}`, "byte 34: layer 0: expected a string, got 1"},
	{`{"layers":[{"type":"Dropout","rate":1e400}]}`, "byte 36: layer 0: 1e400 is not a value of type float64"},
	{`{"layers":[{"type":"Dropout","rate":NaN}]}`, "byte 36: layer 0: expected a number, got NaN"},
	{`{"layers":[{"type":"Dropout","rate":0x1p-2}]}`, "byte 36: layer 0: expected a number, got 0x1p-2"},
	{`{"layers":[{"type":"Sequential","units":1}]}`, `layer 0: json: unknown field "units"`},
	{`{"layers":[{"type":"Sequential","layers":[{"type":"Dense"},{"type":"x"}]}]}`, `layer 0: layer 1: layer type "x" is not known`},
	{`{"layers":[{"type":"Block","inner":{"type":"x"}}]}`, `layer 0: layer type "x" is not known`},
	{`{"layers":[{"type":"Wide","size":[1]}]}`, "byte 35: layer 0: expected 2 elements, got 1"},
	{`{"layers":[{"type":"Wide","size":[1,2,3]}]}`, "byte 37: layer 0: expected 2 elements, got more"},
	{`{"layers":[{"type":"Wide","size":[1,256]}]}`, "byte 36: layer 0: 256 is not a value of type uint8"},
	{`{"layers":[{"type":"Wide","size":[1,-1]}]}`, "byte 36: layer 0: -1 is not a value of type uint8"},
	{`{"layers":[{"type":"Wide","small":1e39}]}`, "byte 34: layer 0: 1e39 is not a value of type float32"},
	{`{"layers":[{"type":"Wide","names":[1]}]}`, "byte 35: layer 0: expected a string, got 1"},
	{`{"layers":[{"type":"Wide","parts":[{"ID":1}]}]}`, `layer 0: json: unknown field "ID"`},
	{`{"layers":[{"type":"Wide","parts":[{"id":1,"id":1}]}]}`, `byte 43: layer 0: duplicate key "id"`},
	{`{"layers":[{"type":"Wide","tree":` + strings.Repeat(`{"kids":[`, 10000), "layer 0: nested deeper than 64"},
	{`{"layers":[` + strings.Repeat(`{"type":"Sequential","layers":[`, 10000), "nested deeper than 64"},
	{`{"layers":[` + strings.Repeat(`{"type":"Block","inner":`, 10000), "nested deeper than 64"},
	{`{"layers":[` + strings.Repeat(`{"type":"Dense"},`, 101), "more than 100 layers"},
	{`{"layers":[{"type":"Sequential","layers":[` + strings.Repeat(`{"type":"Dense"},`, 101), "layer 0: more than 100 layers"},
}

func TestParseRefusesWhatIsStrange(t *testing.T) {
	types := newTypes(t)
	for _, c := range strange {
		d, err := types.Parse(c.text, 100)
		if !reflect.DeepEqual(d, Description[layer]{}) || err == nil || !strings.HasSuffix(err.Error(), c.want) || len(err.Error()) > 1000 {
			t.Errorf("%.100s:\n got %.500v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestParseAllocatesInProportionToTheText(t *testing.T) {
	types := newTypes(t)
	texts := []string{
		`{"layers":[` + strings.Repeat("{},", 1<<18), `{"layers":[` + strings.Repeat(`{"type":"Dense"},`, 1<<16),
		`{"layers":[` + strings.Repeat(`{"units":1,"no_bias":true,"type":"Dense"},`, 1<<16),
		`{"layers":[{"type":"Wide","tree":{"kids":[` + strings.Repeat(`{},`, 1<<18),
		`{"layers":[{"type":"Wide","parts":[` + strings.Repeat(`{"id":1},`, 1<<16),
	}
	for _, c := range strange {
		texts = append(texts, c.text)
	}
	for _, text := range texts {
		const factor, constant = 64, 16 << 10
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := types.Parse(text, 1<<20)
		runtime.ReadMemStats(&after)
		if total := after.TotalAlloc - before.TotalAlloc; total > uint64(factor*len(text)+constant) {
			t.Errorf("%.100s: %d bytes allocated for %d, %v", text, total, len(text), err)
		} else if len(text) > 1<<16 {
			t.Logf("%.60s: %.1f", text, float64(total)/float64(len(text)))
		}
	}
}

type (
	curved   struct{ Curve activation }
	secret   struct{ F func() }
	pointing struct{ P *int }
	twice    struct{ NoBias, No_bias bool }
	typed    struct{ Type string }
	foreign  struct{ W fmt.Stringer }
	odd      int
	texts    []string
)

func (curved) layer()   {}
func (secret) layer()   {}
func (pointing) layer() {}
func (twice) layer()    {}
func (typed) layer()    {}
func (foreign) layer()  {}
func (odd) layer()      {}
func (texts) layer()    {}

func TestRegisterRefusesWhatCouldNotBeTold(t *testing.T) {
	types := newTypes(t)
	for _, c := range []struct {
		name  string
		layer layer
		want  string // "" if it is taken
	}{
		{"Dense", dense{}, ""},
		{"Dropout", dropout{0.5}, ""},
		{"Curve", curved{}, ""},
		{"Dropout", dropout{}, "modelfile.dropout is registered with other defaults"},
		{"Dense", unknown{}, `the name "Dense" is taken by modelfile.dense`},
		{"Dense2", dense{}, `modelfile.dense is registered as "Dense"`},
		{"N", nil, "the layer is nil"},
		{"", unknown{}, `the name "" cannot be used, want 1 to 50 bytes of UTF-8`},
		{"\xff", unknown{}, `the name "\xff" cannot be used, want 1 to 50 bytes of UTF-8`},
		{strings.Repeat("n", 51), unknown{}, `the name "` + strings.Repeat("n", 50) + `" cannot be used, want 1 to 50 bytes of UTF-8`},
		{"P", &unknown{}, "a layer of type *modelfile.unknown cannot be saved, want a struct or a slice of layers"},
		{"O", odd(1), "a layer of type modelfile.odd cannot be saved, want a struct or a slice of layers"},
		{"T", texts{}, "a layer of type modelfile.texts cannot be saved, want a struct or a slice of layers"},
		{"S", secret{}, "a layer of type modelfile.secret cannot be saved: F: type func() has no form in a file"},
		{"P", pointing{}, "a layer of type modelfile.pointing cannot be saved: P: type *int has no form in a file"},
		{"W", foreign{}, "a layer of type modelfile.foreign cannot be saved: W: type fmt.Stringer has no form in a file"},
		{"T", twice{}, `a layer of type modelfile.twice cannot be saved: the key "no_bias" of No_bias is taken`},
		{"T", typed{}, `a layer of type modelfile.typed cannot be saved: the key "type" of Type is taken`},
	} {
		if err := types.Register(c.name, c.layer); (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%q, %T: %v, want %s", c.name, c.layer, err, c.want)
		}
	}
}

func TestTypesMayBeUsedConcurrently(t *testing.T) {
	types := newTypes(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for _, c := range described {
				text, err := types.Describe(Description[layer]{Layers: c.layers}, 1<<14)
				if _, err2 := types.Parse(text, 100); errors.Join(err, err2, types.Register("Huge", huge{})) != nil {
					t.Error(err, err2)
				}
			}
		})
	}
	group.Wait()
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"NoBias": "no_bias", "Units": "units", "ID": "id", "UserID": "user_id", "HTTPServer": "http_server", "L2": "l2", "L2Norm": "l2_norm",
		"DModel": "d_model", "No_Bias": "no_bias", "Größe": "größe", "X": "x",
	} {
		if got := snake(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// What can be parsed is described by a text that is parsed as the same.
func FuzzParse(f *testing.F) {
	for _, c := range strange {
		if len(c.text) < 1<<10 {
			f.Add(c.text)
		}
	}
	for _, c := range described {
		f.Add(`{"inputs":1,"layers":` + c.text + `}`)
	}
	types := newTypes(f)
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		d, err := types.Parse(text, 100)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Error(err)
			}
			return
		}
		again, err := types.Describe(d, 1<<14)
		if err != nil {
			t.Fatal(err)
		}
		got, err := types.Parse(again, 100)
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", d) {
			t.Fatalf("%v: %s, from %s", err, again, text)
		}
	})
}

// A writer that sorts the keys puts the type behind the layers; those in there are not looked
// through once more for each layer around them. What is called type need not be a layer's.
func TestTheTypeMayComeLast(t *testing.T) {
	types := newTypes(t)
	text := `{"units":3,"type":"Dense"}`
	for range 25 {
		text = `{"layers":[` + text + `,{"rate":0.5,"type":"Dropout"}],"type":"Sequential"}`
	}
	d, err := types.Parse(`{"inputs":2,"layers":[`+text+`]}`, 100)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := types.Describe(d, 1<<14)
	if err != nil || strings.Count(inside, `{"type":"Sequential","layers":[`) != 25 || strings.Count(inside, `{"type":"Dropout"`) != 25 {
		t.Error(inside, err)
	}
	for text, want := range map[string]string{
		`{"layers":[{"layers":[{"type":7}],"type":"Sequential"}]}`:              "expected a string, got 7",
		`{"layers":[{"parts":[{"type":[7]}],"type":"Wide"}]}`:                   `json: unknown field "type"`,
		`{"layers":[{"layers":[{"type":"x","type":"y"}],"type":"Sequential"}]}`: `layer type "x" is not known`,
	} {
		if _, err := types.Parse(text, 100); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
