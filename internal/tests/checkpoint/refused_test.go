package checkpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// otherConfigurations are not that of training 5.
var otherConfigurations = []struct {
	change func(*TrainConfig)
	want   string
}{
	{func(c *TrainConfig) { c.LearningRate = 0.03 }, `its LearningRate is "0.02", want "0.03"`},
	{func(c *TrainConfig) { c.BatchSize = 9 }, `its BatchSize is "8", want "9"`},
	{func(c *TrainConfig) { c.NoShuffle = true }, `its NoShuffle is "false", want "true"`},
	{func(c *TrainConfig) { c.Loss = MSE }, `its Loss is "backprop.crossEntropy{}", want "backprop.mse{}"`},
	{func(c *TrainConfig) { c.Optimizer = nil }, `its Optimizer is "backprop.Adam{Beta1:0 Beta2:0 Epsilon:0}", want "backprop.SGD{Momentum:0 Nesterov:false}"`},
	{func(c *TrainConfig) { c.Optimizer = &Adam{Beta1: 0.8} },
		`its Optimizer is "backprop.Adam{Beta1:0 Beta2:0 Epsilon:0}", want "backprop.Adam{Beta1:0.8 Beta2:0 Epsilon:0}"`},
	{func(c *TrainConfig) { c.Schedule = StepDecay{Every: 1} }, `its Schedule is "backprop.Warmup{Epochs:3 Start:0 ` +
		`Then:backprop.ReduceLROnPlateau{Factor:0 Patience:1 Threshold:0 Cooldown:0 Min:0}}", want "backprop.StepDecay{Every:1 Factor:0}"`},
	{func(c *TrainConfig) { c.Seed = 6 }, `its Seed is "5", want "6"`},
	{func(c *TrainConfig) { c.L2 = 1 }, `its L2 is "0", want "1"`},
	{func(c *TrainConfig) { c.WeightDecay = 1 }, `its WeightDecay is "0", want "1"`},
	{func(c *TrainConfig) { c.ClipNorm = 1 }, `its ClipNorm is "0", want "1"`},
	{func(c *TrainConfig) { c.ClipValue = 1 }, `its ClipValue is "0", want "1"`},
	{func(c *TrainConfig) { c.Patience = 1 }, `its Patience is "3", want "1"`},
	{func(c *TrainConfig) { c.TargetLoss = 1e-5 }, `its TargetLoss is "0", want "1e-05"`},
}

func TestACheckpointOfAnotherTrainingIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	start := func() (*Network, *mat.Dense, *mat.Dense, TrainConfig) {
		net, x, y, c := Training(t, 5)
		c.Checkpoint = path
		return net, x, y, c
	}
	net, x, y, c := start()
	_, err := net.Train(t.Context(), x, y, c)
	NoError(t, err)
	file := Value(os.ReadFile(path))(t)
	refused := func(net *Network, x, y mat.Matrix, c TrainConfig, want string) {
		t.Helper()
		before := StateOf(net)
		h, err := net.Train(t.Context(), x, y, c)
		Fails(t, err, "backprop: Train: Checkpoint "+path+": it belongs to "+want+"; delete it or choose another path")
		if h != nil {
			t.Error("a history beside the error")
		}
		before.MustEqual(t, net)
		MustHold(t, path, file)
	}
	for _, m := range otherConfigurations {
		net, x, y, c := start()
		m.change(&c)
		refused(net, x, y, c, "another configuration: "+m.want)
	}
	_, x, y, c = start()
	refused(NewNetwork(t, 5, Dense{Units: 3}), x, y, c, `another network, {"inputs":5,"fitted":true,"layers":[{"type":"Standardize"},`+
		`{"type":"Dense","units":6,"activation":"LeakyReLU(0.01)"},{"type":"Dropout","rate":0.2},{"type":"Dense","units":5,"no_bias":true},`+
		`{"type":"BatchNorm","activation":"Tanh"},{"type":"Dense","units":3,"activation":"Softmax"}]}, `+
		`want {"inputs":5,"fitted":true,"layers":[{"type":"Dense","units":3}]}`)
	for i := range 4 {
		net, x, y, c = start()
		m := []mat.Matrix{x, y, c.Validation.X, c.Validation.Y}[i].(*mat.Dense)
		m.Set(3, 1, 1-m.At(3, 1))
		m.Set(3, 0, 1-m.At(3, 0)) // a target is a distribution still
		refused(net, x, y, c, "other data")
	}
	net, x, y, c = start()
	net.Params()[7] += 0x1p-50
	refused(net, x, y, c, "a training that began with other parameters")
}

// What a configuration's values hold is compared, not where they lie; functions are not compared.
func TestConfigurationsAreComparedByTheirValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	train := func(l Loss) error {
		net, x, y, c := Training(t, 7)
		c.Checkpoint, c.Loss, c.Epochs = path, l, 2
		_, err := net.Train(t.Context(), x, y, c)
		return err
	}
	NoError(t, train(Wide()))
	NoError(t, train(Wide()))
	for _, change := range []func(*WideLoss){
		func(l *WideLoss) { l.Weights[1] = 7 }, func(l *WideLoss) { l.Inner.Kind = 7 }, func(l *WideLoss) { l.Any = &Huber{Delta: 7} },
		func(l *WideLoss) { l.Kind = 7 }, func(l *WideLoss) { l.Text = "7" }, func(l *WideLoss) { l.Any = nil },
	} {
		l := Wide()
		change(l)
		if err := train(l); err == nil || !strings.Contains(err.Error(), "7") && !strings.Contains(err.Error(), "Any:none") {
			t.Error(err)
		}
	}
	l := Wide()
	l.Hide(7)
	l.F, l.Map = func() {}, nil
	NoError(t, train(l))
}

// damages are done to a finished checkpoint.
var damages = []struct {
	name   string
	change func(metadata map[string]string, tensors map[string]*RawTensor)
	want   string
}{
	{"no checkpoint", func(m map[string]string, _ map[string]*RawTensor) { delete(m, "backprop.checkpoint") },
		`tensor "checkpoint.best_params" belongs to no layer`},
	{"JSON", func(m map[string]string, _ map[string]*RawTensor) { m["backprop.checkpoint"] = "{" }, "backprop.checkpoint: unexpected EOF"},
	{"no history", func(_ map[string]string, s map[string]*RawTensor) { delete(s, "checkpoint.history") }, `there is no tensor "checkpoint.history"`},
	{"no state", func(_ map[string]string, s map[string]*RawTensor) { delete(s, "checkpoint.optimizer") }, `there is no tensor "checkpoint.optimizer"`},
	{"short history", func(_ map[string]string, s map[string]*RawTensor) { s["checkpoint.history"].Cut() }, "its history is damaged"},
	{"NaN in the history", func(_ map[string]string, s map[string]*RawTensor) { s["checkpoint.history"].Data[1] = math.NaN() },
		"its history is damaged"},
	{"wrong epoch", func(_ map[string]string, s map[string]*RawTensor) { s["checkpoint.history"].Data[0] = 1 }, "its history is damaged"},
	{"best beyond", func(m map[string]string, _ map[string]*RawTensor) { Edit(m, `"best":`, `"best":5`) }, "its best epoch is damaged"},
	{"best before", func(m map[string]string, _ map[string]*RawTensor) { Edit(m, `"best":`, `"best":-`) }, "its best epoch is damaged"},
	{"no best", func(_ map[string]string, s map[string]*RawTensor) { delete(s, "checkpoint.best_params") }, `there is no tensor "checkpoint.best_params"`},
	{"no best statistics", func(_ map[string]string, s map[string]*RawTensor) { delete(s, "checkpoint.best_statistics") }, `there is no tensor "checkpoint.best_statistics"`},
	{"NaN in the best", func(_ map[string]string, s map[string]*RawTensor) { s["checkpoint.best_params"].Data[3] = math.NaN() }, "its best epoch is damaged"},
	{"infinite best statistics", func(_ map[string]string, s map[string]*RawTensor) {
		s["checkpoint.best_statistics"].Data[3] = math.Inf(1)
	}, "its best epoch is damaged"},
	{"short state", func(_ map[string]string, s map[string]*RawTensor) { s["checkpoint.optimizer"].Cut() },
		"the optimizer remembers 187 values of another training, want 188 for 94 parameters"},
	{"only the steps", func(_ map[string]string, s map[string]*RawTensor) {
		s["checkpoint.optimizer"].Data, s["checkpoint.optimizer"].Shape = []float64{3}, []int{1}
	}, "backprop: SetState: this is not the state of an optimizer"},
	{"half a step", func(_ map[string]string, s map[string]*RawTensor) { s["checkpoint.optimizer"].Data[0] = 0.5 },
		"backprop: SetState: this is not the state of an optimizer"},
	{"endless steps", func(_ map[string]string, s map[string]*RawTensor) { s["checkpoint.optimizer"].Data[0] = math.Inf(1) },
		"backprop: SetState: this is not the state of an optimizer"},
	{"NaN in the state", func(_ map[string]string, s map[string]*RawTensor) { s["checkpoint.optimizer"].Data[7] = math.NaN() },
		"backprop: SetState: this is not the state of an optimizer"},
	{"NaN in the network", func(_ map[string]string, s map[string]*RawTensor) { s["1.weight"].Data[2] = math.NaN() },
		`tensor "1.weight" has NaN at index 2, want finite numbers`},
}

func TestDamagedCheckpointsAreRefused(t *testing.T) {
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			net, x, y, config := Training(t, 5)
			config.Checkpoint, config.Epochs = filepath.Join(t.TempDir(), "checkpoint"), 3
			_, err := net.Train(t.Context(), x, y, config)
			NoError(t, err)
			metadata, tensors := DecodeRaw(t, Value(os.ReadFile(config.Checkpoint))(t))
			c.change(metadata, tensors)
			var list []RawTensor
			for _, name := range slices.Sorted(maps.Keys(tensors)) {
				list = append(list, *tensors[name])
			}
			file := []byte(EncodeRaw(metadata, list...))
			NoError(t, os.WriteFile(config.Checkpoint, file, 0o666))
			net, x, y, again := Training(t, 5)
			again.Checkpoint, again.Epochs = config.Checkpoint, 5
			before := StateOf(net)
			_, err = net.Train(t.Context(), x, y, again)
			Fails(t, err, "backprop: Train: Checkpoint "+config.Checkpoint+": "+c.want)
			before.MustEqual(t, net)
			MustHold(t, config.Checkpoint, file)
		})
	}
}

// The version before has written testdata/version1.checkpoint, three epochs of training 5.
func TestACheckpointOfTheVersionBeforeIsRefused(t *testing.T) {
	file := Value(os.ReadFile("testdata/version1.checkpoint"))(t)
	path := filepath.Join(t.TempDir(), "checkpoint")
	NoError(t, os.WriteFile(path, file, 0o666))
	net, x, y, c := Training(t, 5)
	c.Checkpoint = path
	before := StateOf(net)
	h, err := net.Train(t.Context(), x, y, c)
	if err == nil || !strings.HasPrefix(err.Error(), "backprop: Train: Checkpoint "+path+": ") || !strings.Contains(err.Error(), "version") {
		t.Errorf("the error is %v, want one that names the version", err)
	}
	if h != nil {
		t.Error("a history beside the error")
	}
	before.MustEqual(t, net)
	MustHold(t, path, file)
}

// Cut or flipped anywhere, a checkpoint is refused and kept, or another whole one; nothing of it
// makes training panic or gives a network with a NaN.
func TestTrainOutlivesEveryDamageToItsCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	train := func(epochs int) (*Network, error) {
		net, x, y, c := Training(t, 5)
		c.Checkpoint, c.Epochs = path, epochs
		_, err := net.Train(t.Context(), x, y, c)
		return net, err
	}
	_, err := train(2)
	NoError(t, err)
	whole := Value(os.ReadFile(path))(t)
	step := 97 // coprime to 8, so that every bit of a byte has its turn
	if testing.Short() {
		step = 997
	}
	for bit := 0; bit < 8*len(whole); bit += step {
		damaged := bytes.Clone(whole)
		if damaged[bit/8] ^= 1 << (bit % 8); bit%2 == 0 {
			damaged = whole[:bit/8]
		}
		NoError(t, os.WriteFile(path, damaged, 0o666))
		net, err := train(2)
		if bit%2 == 0 && err == nil {
			t.Fatalf("cut to %d bytes, it is taken", bit/8)
		}
		if err != nil {
			MustHold(t, path, damaged)
		}
		s := StateOf(net)
		NoNaN(t, "parameters", s.Params)
		NoNaN(t, "statistics", s.Statistics)
	}
}

func TestACheckpointNeedsAnOptimizerWithState(t *testing.T) {
	net, x, y, c := Training(t, 0)
	c.Checkpoint, c.Optimizer = filepath.Join(t.TempDir(), "checkpoint"), StepFunc(func(params, grad []float64, eta float64) {})
	_, err := net.Train(t.Context(), x, y, c)
	Fails(t, err, "backprop: Train: Optimizer is a testutil.StepFunc, want one with State and SetState for a Checkpoint")
}

func TestACheckpointThatCannotBeWrittenIsFoundBeforeTheFirstStep(t *testing.T) {
	net, x, y, c := Training(t, 5)
	folder := filepath.Join(t.TempDir(), "folder")
	c.Checkpoint = filepath.Join(folder, "checkpoint")
	before := net.String() + fmt.Sprint(net.Params())
	h, err := net.Train(t.Context(), x, y, c)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "backprop: Train: Checkpoint "+c.Checkpoint+": ") || h.Stopped != StopFailed {
		t.Error(h, err)
	}
	if net.String()+fmt.Sprint(net.Params()) != before {
		t.Error("it has trained")
	}
}

// The folder goes while training: an error, and the network is whole, and goes on once there is a
// folder again, in the same program.
func TestAFailingCheckpointLeavesTheNetwork(t *testing.T) {
	want, wantHistory := unbroken(t, 5, CheckpointEpochs)
	net, x, y, c := Training(t, 5)
	folder := filepath.Join(t.TempDir(), "folder")
	NoError(t, os.Mkdir(folder, 0o777))
	c.Checkpoint = filepath.Join(folder, "checkpoint")
	aside := folder + " aside"
	c.OnEpoch = func(e Epoch) error {
		if e.N == 0 {
			return os.Rename(folder, aside)
		}
		return nil
	}
	_, err := net.Train(&Countdown{Context: t.Context(), Left: 8}, x, y, c)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "backprop: Train: Checkpoint "+c.Checkpoint+": ") {
		t.Fatal(err)
	}
	MustComeBack(t, net, x)
	NoError(t, os.Rename(aside, folder))
	c.OnEpoch = nil
	h, err := net.Train(t.Context(), x, y, c)
	NoError(t, err)
	SameHistory(t, h, wantHistory)
	if !bytes.Equal(BytesOf(t, net), want) {
		t.Error("other bits")
	}
}

func TestACheckpointIsAFileThatCanBeRead(t *testing.T) {
	path, old := OldFile(t)
	paths := []string{filepath.Dir(path), path}
	if runtime.GOOS != "windows" { // where it is the path of a file that is not there yet
		paths = append(paths, filepath.Join(path, "below"))
	}
	for _, checkpoint := range paths {
		net, x, y, c := Training(t, 5)
		c.Checkpoint = checkpoint
		before := StateOf(net)
		h, err := net.Train(t.Context(), x, y, c)
		if err == nil || !strings.HasPrefix(err.Error(), "backprop: Train: Checkpoint "+checkpoint+": ") || h != nil {
			t.Error(h, err)
		}
		before.MustEqual(t, net)
	}
	MustHold(t, path, old)
}

// What Save refuses is found when training begins.
func TestACheckpointOfWhatCannotBeSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	train := func(f Activation, onEpoch func(*Network) error) error {
		net := NewNetwork(t, 2, Dense{Units: 1}, Dense{Units: 1, Activation: f})
		_, err := net.Train(t.Context(), Pattern(4, 2), Pattern(4, 1), TrainConfig{
			LearningRate: 0.1, Epochs: 2, Checkpoint: path, OnEpoch: func(Epoch) error { return onEpoch(net) },
		})
		return err
	}
	no := func(*Network) error { t.Error("an epoch"); return nil }
	const name = `layer 1: the name "ReLU" of its testutil.Named is that of a backprop.relu`
	Fails(t, train(Named("ReLU"), no), "backprop: Train: Checkpoint "+path+": "+name)
	err := train(Tanh, func(net *Network) error { net.Params()[0] = math.NaN(); return ErrStop })
	Fails(t, err, "backprop: Train: Checkpoint "+path+`: tensor "0.weight" has an element that is not finite`)
	MustHold(t, path, Value(os.ReadFile(path))(t))
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
	Fails(t, train(Named("ReLU"), no), "backprop: Train: Checkpoint "+path+": "+name)
}

// An activation that Load could not find is found missing before the first step.
func TestACheckpointThatCouldNotBeTakenUpIsRefusedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	net := NewNetwork(t, 2, Dense{Units: 1, Activation: Sine{Named: "not registered"}})
	before := StateOf(net)
	h, err := net.Train(t.Context(), Pattern(4, 2), Pattern(4, 1), TrainConfig{LearningRate: 0.1, Epochs: 2, Loss: MSE, Checkpoint: path})
	Fails(t, err, "backprop: Train: Checkpoint "+path+`: it could not be taken up: layer 0: activation "not registered" is not known; `+
		"register it with RegisterActivation")
	if h != nil {
		t.Error(h)
	}
	before.MustEqual(t, net)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("there is a file: ", err)
	}
}

// careless is an optimizer whose SetState changes it before it fails.
type careless struct{ state []float64 }

func (o *careless) Step(params, grad []float64, eta float64) { o.state = append(o.state, eta) }
func (o *careless) State() []float64                         { return slices.Clone(o.state) }
func (o *careless) SetState(state []float64) error {
	o.state = slices.Clone(state)
	if slices.Contains(state, 7) {
		return errors.New("it is no state")
	}
	return nil
}

// The optimizer that a refused checkpoint was not for goes on with what it had learnt.
func TestARefusedCheckpointLeavesTheOptimizer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	train := func(o Optimizer) error {
		net := NewNetwork(t, 2, Dense{Units: 2})
		_, err := net.Train(t.Context(), Pattern(4, 2), Pattern(4, 2), TrainConfig{LearningRate: 0.1, Epochs: 2, Optimizer: o, Checkpoint: path})
		return err
	}
	for _, o := range []Stateful{&Adam{}, &careless{}} {
		for _, damage := range []func(state *RawTensor){
			(*RawTensor).Cut, func(state *RawTensor) { state.Data[1] = 7 }, func(state *RawTensor) { state.Data[1] = math.NaN() },
		} {
			NoError(t, errors.Join(os.RemoveAll(path), o.SetState(nil), train(o.(Optimizer))))
			metadata, tensors := DecodeRaw(t, Value(os.ReadFile(path))(t))
			damage(tensors["checkpoint.optimizer"])
			var list []RawTensor
			for _, name := range slices.Sorted(maps.Keys(tensors)) {
				list = append(list, *tensors[name])
			}
			file := []byte(EncodeRaw(metadata, list...))
			NoError(t, os.WriteFile(path, file, 0o666))
			before := o.State()
			if train(o.(Optimizer)) != nil { // else the state was one that the optimizer takes
				SameBits(t, "state", o.State(), before)
				MustHold(t, path, file)
			}
		}
	}
}

// A tensor of a checkpoint may claim any size: it is refused before there is memory for it.
func TestACheckpointThatClaimsTooMuchIsRefusedAtOnce(t *testing.T) {
	net, x, y, c := Training(t, 5)
	c.Checkpoint, c.Epochs = filepath.Join(t.TempDir(), "checkpoint"), 3
	Value(net.Train(t.Context(), x, y, c))(t)
	metadata, tensors := DecodeRaw(t, Value(os.ReadFile(c.Checkpoint))(t))
	without := func(name string) string {
		var list []RawTensor
		for _, n := range slices.Sorted(maps.Keys(tensors)) {
			if n != name {
				list = append(list, *tensors[n])
			}
		}
		return EncodeRaw(metadata, list...)
	}
	for name, want := range map[string]string{
		"checkpoint.optimizer":       "the optimizer remembers 2000000000 values of another training, want 189 at most",
		"checkpoint.history":         "its history is damaged",
		"checkpoint.best_params":     "its best epoch is damaged",
		"checkpoint.best_statistics": "its best epoch is damaged",
		"1.weight":                   `tensor "1.weight" has shape [2000000000], want [6 5]`,
		"evil":                       `tensor "evil" belongs to no layer`,
	} {
		path := Hollow(t, without(name), name, 2e9)
		net, x, y, c := Training(t, 5)
		c.Checkpoint = path
		var err error
		if n := BytesAllocated(func() { _, err = net.Train(t.Context(), x, y, c) }); n > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
		Fails(t, err, "backprop: Train: Checkpoint "+path+": "+want)
		if n := BytesAllocated(func() { _, err = Load(path) }); n > 1<<20 {
			t.Errorf("%s: Load allocates %d bytes", name, n)
		}
		if strings.HasPrefix(name, "checkpoint.") != (err == nil) { // which is passed over, not read
			t.Errorf("%s: %v", name, err)
		}
	}
}
