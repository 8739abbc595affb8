package resources_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

// Ten times the epochs, or the batches, some 50 steps more or 200, and no allocations more but for a
// few: the history's growth, which doubles at most six times from 3 to 30 epochs and more, the
// scratch that each goroutine of a shared product takes once, and what the runtime takes for those
// that wait.
func TestTrainingStepsAllocateNothing(t *testing.T) {
	mayNotAllocate(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // a crew of two: what many take for waiting differs
	const few = 16
	norm := []Layer{Standardize{}, Dense{Units: 9, Activation: Tanh}, BatchNorm{Activation: ReLU}, Dropout{Rate: 0.5}, Dense{Units: 2, Activation: Softmax}}
	large := []Layer{Dense{Units: 300, Activation: GELU}, BatchNorm{}, Dropout{Rate: 0.5}, Dense{Units: 20, Activation: Softmax}, Dense{Units: 2, Activation: Softmax}}
	for name, c := range map[string]struct {
		layers []Layer
		inputs int
		config TrainConfig
	}{
		"one batch":    {norm[1:2], 3, TrainConfig{Loss: MSE}},
		"mini-batches": {norm, 3, TrainConfig{BatchSize: 8}},
		"no shuffling": {norm, 3, TrainConfig{BatchSize: 8, NoShuffle: true}},
		"Momentum":     {norm, 3, TrainConfig{BatchSize: 7, Optimizer: &SGD{Momentum: 0.9, Nesterov: true}}},
		"RMSProp":      {norm, 3, TrainConfig{BatchSize: 8, Optimizer: &RMSProp{Centered: true, Momentum: 0.5}}},
		"Adam":         {norm, 3, TrainConfig{BatchSize: 8, Optimizer: &Adam{}}},
		"AdaGrad":      {norm, 3, TrainConfig{BatchSize: 8, Optimizer: &AdaGrad{}}},
		"all penalties": {norm, 3, TrainConfig{BatchSize: 8, Optimizer: &Adam{}, L2: 0.1, WeightDecay: 0.1, ClipNorm: 1, ClipValue: 0.1,
			Schedule: CosineDecay{Epochs: 10}}},
		"large": {large, 100, TrainConfig{BatchSize: 64, Optimizer: &Adam{}}},
	} {
		t.Run(name, func(t *testing.T) {
			net := NewNetwork(t, c.inputs, c.layers...)
			outputs := Value(net.Predict(Pattern(1, c.inputs)))(t).RawMatrix().Cols
			train := func(rows, epochs int) func() {
				x, y := Pattern(rows, c.inputs), ClassTargets(rows, outputs)
				return func() {
					config := c.config
					config.LearningRate, config.Epochs = 1e-3, epochs
					if config.Optimizer != nil {
						config.Optimizer = Fresh(config.Optimizer)
					}
					Value(net.Train(t.Context(), x, y, config))(t)
				}
			}
			base := allocations(train(64, 3))
			if more := allocations(train(64, 30)); more > base+few {
				t.Errorf("3 epochs allocate %d times, 30 epochs %d times", base, more)
			}
			if more := allocations(train(640, 3)); more > base+few {
				t.Errorf("64 samples allocate %d times, 640 samples %d times", base, more)
			}
		})
	}
}

func TestAStepOfOnesOwnAllocatesNoMoreForMoreLayers(t *testing.T) {
	mayNotAllocate(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // each processor has a pool of its own
	step := func(layers int) uint64 {
		net := NewNetwork(t, 3, slices.Repeat([]Layer{Dense{Units: 3, Activation: Tanh}}, layers)...)
		grad, batch, rng := slices.Clone(net.Params()), Data{X: Pattern(5, 3), Y: Pattern(5, 3)}, rand.New(rand.NewPCG(1, 2))
		return allocations(func() {
			_, _, err := net.TrainingGradient(grad, batch, nil, rng)
			NoError(t, err)
		})
	}
	if one, many := step(1), step(20); many != one {
		t.Errorf("1 layer allocates %d times, 20 layers %d times", one, many)
	}
}

func TestPredictToAllocatesNothingOnceWarm(t *testing.T) {
	mayNotAllocate(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // each processor has a pool of its own
	for _, layers := range [][]Layer{
		{Dense{Units: 4, Activation: Tanh}, Dense{Units: 1, Activation: Sigmoid}},
		{Standardize{}, Dense{Units: 200}, BatchNorm{Activation: ReLU}, Dropout{Rate: 0.5}, Dense{Units: 100, Activation: Softmax}},
	} {
		for _, rows := range []int{1, 100, 1000} {
			net, x := NewNetwork(t, 50, layers...), Pattern(rows, 50)
			dst := Value(net.Predict(x))(t)
			if n := allocations(func() { NoError(t, net.PredictTo(dst, x)) }); n != 0 {
				t.Errorf("%d samples allocate %d times", rows, n)
			}
		}
	}
}

// What Train allocates is as much as a copy of the parameters, to which a divergence falls back, a
// gradient, the optimizer's state and the workspace of one batch take. The data is not copied, and
// the network has its parameters already.
func TestTrainingNeedsTheMemoryOfItsShapes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // each worker has scratch memory of its own, once it has had a part
	inputs, outputs, batch := 300, 10, 64
	for name, c := range map[string]struct {
		layers    []Layer
		optimizer Optimizer
		states    int // slices as long as the parameters
		rows      int
		noShuffle bool
	}{
		"gradient descent": {[]Layer{Dense{Units: 200, Activation: ReLU}}, nil, 0, 3000, false},
		"no shuffling":     {[]Layer{Dense{Units: 200, Activation: ReLU}}, nil, 0, 3000, true},
		"Momentum":         {[]Layer{Dense{Units: 200, Activation: ReLU}}, &SGD{Momentum: 0.9}, 1, 1000, false},
		"Adam":             {[]Layer{Dense{Units: 500, Activation: Tanh}, Dense{Units: 100, Activation: Tanh}}, &Adam{}, 2, 1000, false},
		"a wide batch":     {[]Layer{Dense{Units: 40, Activation: Tanh}, Dense{Units: 400, Activation: GELU}}, &AdaGrad{}, 1, 1000, false},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				c.rows = 200
			}
			layers := append(c.layers, Dense{Units: outputs, Activation: Softmax})
			net := NewNetwork(t, inputs, layers...)
			x, y := Pattern(c.rows, inputs), ClassTargets(c.rows, outputs)

			workspace := 0
			for _, l := range layers {
				workspace += 3 * batch * l.(Dense).Units // z, a and a derivative
			}
			if !c.noShuffle {
				workspace += batch*(inputs+outputs) + c.rows // the batch's samples, and the order of all
			}
			params := len(net.Params())
			want := 8 * (params + params + c.states*params + workspace)

			train := func() {
				config := TrainConfig{LearningRate: 1e-3, Epochs: 2, BatchSize: batch, NoShuffle: c.noShuffle}
				if c.optimizer != nil {
					config.Optimizer = Fresh(c.optimizer)
				}
				Value(net.Train(t.Context(), x, y, config))(t)
			}
			train() // whose products leave some scratch memory behind, for all networks
			got := bytesAllocated(train)
			if math.Abs(float64(got)-float64(want)) > 0.1*float64(want) {
				t.Errorf("Train allocates %d bytes, want %d within 10 %%", got, want)
			}
		})
	}
}

// bytesAllocated is how many bytes f allocates. With the garbage collector off that is an upper
// bound of what it holds at once.
func bytesAllocated(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Everything that a server does with networks, again and again: memory stays flat, and no goroutine
// and no file is left. BACKPROP_LONG is for how long, as "10m"; without it some rounds are made.
func TestALongRunStaysFlat(t *testing.T) {
	long, _ := time.ParseDuration(os.Getenv("BACKPROP_LONG"))
	rounds, start := 18, time.Now()
	if testing.Short() {
		rounds = 9
	}
	folder := t.TempDir()
	round := func(i int) {
		net, x, y, c := Training(t, i%len(Trainings))
		c.Checkpoint = filepath.Join(folder, "checkpoint")
		_, err := net.Train(&Countdown{Context: t.Context(), Left: 9}, x, y, c)
		if !errors.Is(err, context.Canceled) && i%len(Trainings) != len(Trainings)-1 { // whose epochs are of one batch
			t.Fatal(err)
		}
		_, err = net.Train(t.Context(), x, y, c)
		NoError(t, err)
		NoError(t, net.Save(c.Checkpoint+".done"))
		_, err = Load(c.Checkpoint + ".done")
		NoError(t, err)
		_, err = Read(strings.NewReader(HostileFiles[i%len(HostileFiles)].File))
		if err == nil {
			t.Error("read")
		}
		wideNet := NewNetwork(t, 64, Dense{Units: 256, Activation: ReLU}, Dense{Units: 64}) // large enough for goroutines
		wideX, wideY := Pattern(128, 64), Pattern(128, 64)
		_, err = wideNet.Train(t.Context(), wideX, wideY, TrainConfig{LearningRate: 1e-3, Epochs: 2, BatchSize: 64})
		NoError(t, err)
		NoError(t, os.Remove(c.Checkpoint))
	}
	for i := range 2 * len(Trainings) {
		round(i) // pools and lazily made things
	}
	memory, goroutines, files := usage()
	n := 0
	for ; n < rounds || time.Since(start) < long; n++ {
		round(n)
	}
	memory2, goroutines2, files2 := usage()
	t.Logf("%d rounds in %v: %d → %d bytes of heap, %d → %d goroutines, %d → %d files",
		n, time.Since(start).Round(time.Second), memory, memory2, goroutines, goroutines2, files, files2)
	if memory2 > memory+1<<20 || goroutines2 > goroutines || files2 > files {
		t.Error("something is left")
	}
}

// usage is the live heap, the goroutines and, where that can be seen, the open files.
func usage() (heap uint64, goroutines, files int) {
	runtime.GC()
	runtime.GC() // for the pools
	for range 100000 {
		runtime.Gosched() // to goroutines that have said that they are done and have not ended yet
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, _ := os.ReadDir("/proc/self/fd")
	return m.HeapAlloc, runtime.NumGoroutine(), len(open)
}

// allocations is how often f allocates, the lowest of some runs: what the runtime allocates
// meanwhile is not f's. Nothing is collected meanwhile, which would empty the pools.
func allocations(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	f()
	lowest, runs := uint64(math.MaxUint64), 5
	if testing.Short() {
		runs = 2
	}
	var before, after runtime.MemStats
	for range runs {
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		lowest = min(lowest, after.Mallocs-before.Mallocs)
	}
	return lowest
}

// mayNotAllocate skips where sync.Pool forgets at random, as it does under the race detector.
func mayNotAllocate(t *testing.T) {
	info, _ := debug.ReadBuildInfo()
	if info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector makes sync.Pool allocate")
	}
}

// As many samples are predicted at a time as a bounded memory holds, however wide the network.
func TestPredictingWithAWideNetworkTakesBoundedMemory(t *testing.T) {
	net := NewNetwork(t, 1, Dense{Units: 1 << 20, Activation: Tanh}, Dense{Units: 1})
	rows := 256
	if testing.Short() {
		rows = 80
	}
	x := Pattern(rows, 1)
	var p []float64
	var loss float64
	taken := bytesAllocated(func() {
		p = Predict(t, net, x)
		loss = Value(net.Loss(x, Pattern(rows, 1), nil))(t)
	})
	if taken > 600<<20 { // 8 MB a sample, twice, for all of them at once
		t.Errorf("%d MB taken", taken>>20)
	}
	SameBits(t, "one sample", Predict(t, net, x.Slice(70, 71, 0, 1)), p[70:71])
	NoNaN(t, "loss", []float64{loss})
}

// An inference holds the values of two layers, however many there are.
func TestPredictingWithADeepNetworkHoldsTwoLayers(t *testing.T) {
	layers := slices.Repeat([]Layer{Dense{Units: 64, Activation: Tanh}, BatchNorm{Activation: GELU}}, 100)
	net := NewNetwork(t, 64, layers...)
	const two = 2 * 8 * 256 * 64
	if taken := bytesAllocated(func() { Predict(t, net, Pattern(300, 64)) }); taken > 3*two+400*3000 {
		t.Errorf("%d bytes taken, want some %d", taken, two)
	}
}
