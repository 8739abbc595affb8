package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/backprop/internal/kernel"
	"example.com/backprop/internal/modelfile"
	"example.com/backprop/internal/safetensors"
)

var nan, inf = math.NaN(), math.Inf(1)

func network() []modelfile.Tensor {
	return []modelfile.Tensor{
		{Name: "0.weight", Shape: []int{1, 2}, Data: []float64{1, 2}},
		{Name: "1.running_var", Shape: []int{1}, Data: []float64{3}, Least: new(float64)},
	}
}

func state() *State {
	return &State{
		Fingerprint: Fingerprint{Config: map[string]string{"L2": "0", "Loss": `huber{"δ"}`}, Data: "d", Initial: "i"},
		Stopped:     "tired",
		Best:        1,
		History:     []float64{0, 4, nan, 0.1, 7, 1e9, 1, 3, 5, 0.1, 6, 2e9},
		Optimizer:   []float64{3, inf, nan},
		BestParams:  []float64{8, 9}, BestStatistics: []float64{10},
	}
}

func wanted() Wanted {
	return Wanted{Fingerprint: state().Fingerprint, Epochs: 2, Optimizer: 3, Params: 2, Statistics: 1, Patience: 1,
		Reasons: []string{"done", "tired"}}
}

// file returns the checkpoint's file. Change may damage it.
func file(t testing.TB, s *State, change func(f *safetensors.File)) []byte {
	t.Helper()
	f, err := modelfile.Encode("a network", network())
	if err != nil {
		t.Fatal(err)
	}
	s.AddTo(f)
	if change != nil {
		change(f)
	}
	var b bytes.Buffer
	if _, err := f.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads the file to a network of its own.
func read(file []byte, want Wanted) (*State, []modelfile.Tensor, error) {
	r, err := modelfile.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, nil, err
	}
	tensors := network()
	for i, t := range tensors {
		tensors[i].Data = make([]float64, len(t.Data))
	}
	s, err := Read(r, tensors, want)
	return s, tensors, err
}

func TestAStateIsReadAsItWasWritten(t *testing.T) {
	early := &State{Fingerprint: state().Fingerprint, Best: -1, History: []float64{}, Optimizer: []float64{}, BestParams: []float64{}, BestStatistics: []float64{}}
	unwatched := state()
	unwatched.BestParams, unwatched.BestStatistics, unwatched.Stopped = []float64{}, []float64{}, ""
	for i, want := range []*State{state(), early, unwatched} {
		w := wanted()
		if i == 2 {
			w.Patience = 0
		}
		got, tensors, err := read(file(t, want, nil), w)
		if err != nil {
			t.Error(err)
			continue
		}
		if !reflect.DeepEqual(tensors, network()) {
			t.Error(tensors)
		}
		if !reflect.DeepEqual(bits(got), bits(want)) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// bits returns a state as text, in which NaN equals NaN.
func bits(s *State) string { return fmt.Sprintf("%+v", *s) }

func TestTheJSONIsThatOfTheDocumentation(t *testing.T) {
	f := &safetensors.File{Metadata: map[string]string{}}
	state().AddTo(f)
	want := `{"version":4,"fingerprint":{"config":{"L2":"0","Loss":"huber{\"δ\"}"},"data":"d","initial":"i"},"stopped":"tired","best":1}`
	if got := f.Metadata["backprop.checkpoint"]; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var names []string
	for _, tensor := range f.Tensors {
		names = append(names, fmt.Sprint(tensor.Name, tensor.Shape))
	}
	if got := strings.Join(names, " "); got !=
		"checkpoint.history[2 6] checkpoint.optimizer[3] checkpoint.best_params[2] checkpoint.best_statistics[1]" {
		t.Error(got)
	}
}

// tensor changes a tensor of a file.
func tensor(name string, change func(t *safetensors.Tensor)) func(f *safetensors.File) {
	return func(f *safetensors.File) {
		i := slices.IndexFunc(f.Tensors, func(t safetensors.Tensor) bool { return t.Name == name })
		f.Tensors[i].Data = slices.Clone(f.Tensors[i].Data)
		change(&f.Tensors[i])
	}
}

func set(name string, i int, v float64) func(f *safetensors.File) {
	return tensor(name, func(t *safetensors.Tensor) { t.Data[i] = v })
}

// resize gives a tensor another shape, and zeros.
func resize(name string, shape ...int) func(f *safetensors.File) {
	return tensor(name, func(t *safetensors.Tensor) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		t.Shape, t.Data = shape, make([]float64, n)
	})
}

func remove(name string) func(f *safetensors.File) {
	return func(f *safetensors.File) {
		f.Tensors = slices.DeleteFunc(f.Tensors, func(t safetensors.Tensor) bool { return t.Name == name })
	}
}

func edit(old, to string) func(f *safetensors.File) {
	return func(f *safetensors.File) {
		const key = modelfile.CheckpointKey
		f.Metadata[key] = strings.Replace(f.Metadata[key], old, to, 1)
	}
}

// none makes it a checkpoint of no epochs.
func none(old, to string) func(f *safetensors.File) {
	return func(f *safetensors.File) { resize("checkpoint.history", 0, Columns)(f); edit(old, to)(f) }
}

const (
	historyDamaged = "its history is damaged"
	bestDamaged    = "its best epoch is damaged"
	earlier        = "backprop.checkpoint: an earlier version of this package has written it; Load reads the network in it, " +
		"but the training cannot be taken up, since names, what dropout draws or what optimizers remember have changed"
)

var damages = []struct {
	change func(f *safetensors.File)
	want   string
}{
	{func(f *safetensors.File) { delete(f.Metadata, "backprop.checkpoint") }, `tensor "checkpoint.best_params" belongs to no layer`},
	{func(f *safetensors.File) { delete(f.Metadata, "backprop.checkpoint"); f.Tensors = f.Tensors[:2] },
		"it is the file of a network, not a checkpoint"},
	{remove("0.weight"), `there is no tensor "0.weight"`},
	{set("1.running_var", 0, -1), `tensor "1.running_var" has -1 at index 0, which cannot be a variance`},
	{func(f *safetensors.File) { f.Metadata["backprop.checkpoint"] = "{" }, "backprop.checkpoint: unexpected EOF"},
	{edit(`"best":1}`, `"best":1}{}`), "backprop.checkpoint: something follows the JSON"},
	{edit(`"best"`, `"worst"`), `backprop.checkpoint: json: unknown field "worst"`},
	{edit(`"version":4,`, ``), earlier},
	{edit(`"version":4`, `"version":3`), earlier},
	{edit(`"version":4`, `"version":5`), "backprop.checkpoint: its version is 5, want 4"},
	{edit(`"L2":"0"`, `"L2":"1"`), `it belongs to another configuration: its L2 is "1", want "0"; delete it or choose another path`},
	{edit(`"L2":"0"`, `"L3":"0"`), `it belongs to another configuration: its L2 is "", want "0"; delete it or choose another path`},
	{edit(`"L2":"0"`, `"L2":"0","X":"y"`), `it belongs to another configuration: its X is "y", want ""; delete it or choose another path`},
	{edit(`"L2":"0"`, `"L2":"0","X":"`+strings.Repeat("y", 1<<17)+`"`), "it belongs to another configuration, of 131203 bytes, want some 69; delete it or choose another path"},
	{edit(`"data":"d"`, `"data":"e"`), "it belongs to other data; delete it or choose another path"},
	{edit(`"best":1`, `"best":2`), bestDamaged},
	{edit(`"best":1`, `"best":-1`), bestDamaged},
	{edit(`tired`, `bored`), `its reason to stop, "bored", is not known`},
	{remove("checkpoint.history"), `there is no tensor "checkpoint.history"`},
	{resize("checkpoint.history", 12), historyDamaged},
	{resize("checkpoint.history", 2, 5), historyDamaged},
	{resize("checkpoint.history", 3, 6), "it has 3 epochs, Epochs is 2"},
	{set("checkpoint.history", 0, 1), historyDamaged},
	{set("checkpoint.history", 6, 0), historyDamaged},
	{set("checkpoint.history", 1, nan), historyDamaged},
	{set("checkpoint.history", 2, inf), historyDamaged},
	{set("checkpoint.history", 11, inf), historyDamaged},
	{none(`"best":1`, `"best":-1`), "it has stopped before its first epoch"},
	{none(`"stopped":"tired","best":1`, `"best":-1`), bestDamaged}, // the best of no epochs
	{none(`"stopped":"tired"`, `"stopped":""`), bestDamaged},
	{remove("checkpoint.best_params"), `there is no tensor "checkpoint.best_params"`},
	{remove("checkpoint.best_statistics"), `there is no tensor "checkpoint.best_statistics"`},
	{func(f *safetensors.File) {
		resize("checkpoint.best_params", 0)(f)
		resize("checkpoint.best_statistics", 0)(f)
	}, bestDamaged},
	{remove("checkpoint.optimizer"), `there is no tensor "checkpoint.optimizer"`},
	{resize("checkpoint.best_params", 3), bestDamaged},
	{resize("checkpoint.best_params", 1, 2), bestDamaged},
	{resize("checkpoint.best_statistics"), bestDamaged},
	{set("checkpoint.best_params", 1, nan), bestDamaged},
	{set("checkpoint.best_statistics", 0, inf), bestDamaged},
	{resize("checkpoint.optimizer", 4), "the optimizer remembers 4 values of another training, want 3 at most"},
	{resize("checkpoint.optimizer", 1, 3), "its optimizer's state is damaged"},
	{tensor("checkpoint.optimizer", func(t *safetensors.Tensor) { t.Type, t.Data = "I64", []float64{1, 2, 3} }),
		`tensor "checkpoint.optimizer" is of type I64, want F64 or F32`},
}

func TestADamagedCheckpointIsRefused(t *testing.T) {
	for _, c := range damages {
		s, _, err := read(file(t, state(), c.change), wanted())
		if s != nil || err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestACheckpointCutAtAnyByteIsRefused(t *testing.T) {
	whole := file(t, state(), nil)
	for n := range whole {
		if _, _, err := read(whole[:n], wanted()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// Whatever is taken up has a whole history and finite parameters, of the sizes that are wanted.
func FuzzRead(f *testing.F) {
	f.Add(file(f, state(), nil))
	for _, c := range damages {
		f.Add(file(f, state(), c.change))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		want := wanted()
		s, tensors, err := read(file, want)
		if err != nil {
			if s != nil {
				t.Fatal(s)
			}
			return
		}
		epochs := len(s.History) / Columns
		if len(s.History)%Columns != 0 || epochs > want.Epochs || s.Best >= epochs || epochs > 0 && s.Best < 0 || len(s.Optimizer) > 3 ||
			!kernel.Finite(s.BestParams) || !kernel.Finite(s.BestStatistics) || !kernel.Finite(tensors[0].Data) ||
			!maps.Equal(s.Config, want.Config) || s.Data != want.Data {
			t.Fatalf("%+v", s)
		}
	})
}

// ─── What tells trainings apart ────────────────────────────────────────────────

type config struct {
	Rate    float64
	Epochs  int
	Names   [2]string
	Loss    any
	Ints    []int
	Func    func()
	Channel chan int
	Map     map[string]int
	Kind    kind
	hidden  int
}

type kind uint8

type circle struct {
	Size float32
	Self *circle
}

func TestDescribeTellsValuesAndNotAddresses(t *testing.T) {
	c := config{Rate: 1e-5, Epochs: 7, Names: [2]string{"a", "b"}, Ints: []int{1}, Func: func() {}, Kind: 3, hidden: 4}
	want := map[string]string{"Rate": "1e-05", "Names": "[2]string{a b}", "Loss": "none", "Ints": "[]int{1}", "Func": "func()",
		"Channel": "chan int", "Map": "map[string]int", "Kind": "checkpoint.kind{3}"}
	if got := Describe(c, "Epochs"); !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	c.Map, c.Func, c.hidden, c.Channel = map[string]int{"a": 1}, nil, 5, make(chan int)
	if got := Describe(c, "Epochs"); !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, l := range []any{circle{Size: 2}, &circle{Size: 2}} {
		c.Loss = l
		if got := Describe(c)["Loss"]; got != "checkpoint.circle{Size:2 Self:none}" {
			t.Error(got)
		}
	}
	round := &circle{Size: 2}
	round.Self = round
	c.Loss = round
	other := &circle{Size: 2}
	other.Self = other
	got := Describe(c)["Loss"]
	c.Loss = other
	if !strings.HasPrefix(got, "checkpoint.circle{Size:2 Self:checkpoint.circle{Size:2 ") || got != Describe(c)["Loss"] {
		t.Error(got)
	}
}

func TestDescribeKnowsItsExceptions(t *testing.T) {
	defer func() {
		if got := recover(); got != "checkpoint: checkpoint.config has no field Epoch" {
			t.Error(got)
		}
	}()
	Describe(config{}, "Rate", "Epoch")
}

func TestDigestTellsMatricesApart(t *testing.T) {
	data := []float64{1, 2, 3, 4, 5, 6}
	a := &kernel.Matrix{Rows: 2, Cols: 2, Stride: 3, Data: data}
	b := &kernel.Matrix{Rows: 2, Cols: 2, Stride: 2, Data: []float64{1, 2, 4, 5}}
	// SHA-256 of "2×2\n" and the bits of 1, 2, 4, 5.
	const want = "836d8903f221c22555bce43712be4dd2257ad2f9d6964c43392b5ee74d3b98eb"
	if got := Digest(a); got != Digest(b) {
		t.Error("the stride shows")
	} else if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	digests := []string{Digest(a), Digest(a, b), Digest(), Digest(&kernel.Matrix{Rows: 4, Cols: 1, Stride: 1, Data: b.Data}),
		Digest(&kernel.Matrix{Rows: 2, Cols: 2, Stride: 2, Data: []float64{1, 2, 4, math.Nextafter(5, 6)}})}
	slices.Sort(digests)
	if len(slices.Compact(digests)) != 5 {
		t.Error(digests)
	}
}

// ─── How often ─────────────────────────────────────────────────────────────────

func TestACheckpointIsDueAfterTwentyTimesItsCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pace
		write := func(cost time.Duration, err error) {
			if got := p.Write(func() error { time.Sleep(cost); return err }); got != err {
				t.Error(got)
			}
		}
		due := func(after time.Duration, want bool) {
			t.Helper()
			if time.Sleep(after); p.Due() != want {
				t.Errorf("after %v: due is %v", after, !want)
			}
		}
		due(0, true)
		write(time.Second, nil)
		due(0, false)
		due(20*time.Second-1, false)
		due(1, true)
		write(time.Hour, errors.New("disk full")) // counts for nothing
		due(0, true)
		write(time.Millisecond, nil)
		due(19*time.Millisecond, false)
		due(time.Millisecond, true)
	})
}
