package backprop_test

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	. "example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// ─── Memory ──────────────────────────────────────────────────────────────────

// What Train allocates is the gradient, the copy of the parameters that a
// divergence falls back to, the optimizer's state and the workspace of one
// batch; the data is not copied. The network has its parameters already.
func TestTrainingNeedsTheMemoryOfItsShapes(t *testing.T) {
	inputs, outputs, batch := 300, 10, 64
	for name, c := range map[string]struct {
		layers    []Layer
		optimizer Optimizer
		states    int // slices as long as the parameters
		rows      int
		keepOrder bool
	}{
		"gradient descent": {[]Layer{Dense{Units: 200, Activation: ReLU}}, nil, 0, 3000, false},
		"kept order":       {[]Layer{Dense{Units: 200, Activation: ReLU}}, nil, 0, 3000, true},
		"Momentum":         {[]Layer{Dense{Units: 200, Activation: ReLU}}, &Momentum{}, 1, 1000, false},
		"Adam":             {[]Layer{Dense{Units: 500, Activation: Tanh}, Dense{Units: 100, Activation: Tanh}}, &Adam{}, 2, 1000, false},
		"a wide batch":     {[]Layer{Dense{Units: 40, Activation: Tanh}, Dense{Units: 400, Activation: GELU}}, &AdaGrad{}, 1, 1000, false},
	} {
		t.Run(name, func(t *testing.T) {
			layers := append(c.layers, Dense{Units: outputs, Activation: Softmax})
			net := newNetwork(t, inputs, layers...)
			x, y := pattern(c.rows, inputs), classes(c.rows, outputs)

			widest, workspace := inputs, 0
			for _, l := range layers {
				units := l.(Dense).Units
				widest = max(widest, units)
				workspace += 2 * batch * units // z and a
			}
			workspace += 2 * batch * widest // ∂L/∂a of a layer and of the one before it
			if !c.keepOrder {
				workspace += batch*(inputs+outputs) + c.rows // the batch's samples, and the order of all
			}
			params := len(net.Params())
			want := 8 * (params + params + c.states*params + workspace)

			train := func() {
				config := TrainConfig{LearningRate: 1e-3, Epochs: 2, BatchSize: batch, KeepOrder: c.keepOrder}
				if c.optimizer != nil {
					config.Optimizer = fresh(c.optimizer)
				}
				value(net.Train(t.Context(), x, y, config))(t)
			}
			train() // whose products leave some scratch memory behind, for all networks
			got := bytesAllocated(train)
			if math.Abs(float64(got)-float64(want)) > 0.1*float64(want) {
				t.Errorf("Train allocates %d bytes, want %d within 10 %%", got, want)
			}
		})
	}
}

// bytesAllocated is how many bytes f allocates. With the garbage collector off
// that is an upper bound of what it holds at once.
func bytesAllocated(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// ─── Benchmarks ──────────────────────────────────────────────────────────────

// The trainings that examples/benchmark compares with NumPy and PyTorch. ns/epoch
// leaves out what Train does once, and GFLOPS counts the products.
func BenchmarkTraining(b *testing.B) {
	hundred := slices.Repeat([]Layer{Dense{Units: 64, Activation: Tanh, Init: Orthogonal}}, 100)
	for _, c := range []struct {
		name      string
		rows      int
		inputs    int
		hidden    []Layer
		batch     int
		optimizer Optimizer
		workers   int // 0 means 1
	}{
		{name: "Digits/Adam", rows: 1797, inputs: 64, hidden: []Layer{Dense{Units: 64, Activation: ReLU}}, batch: 32, optimizer: &Adam{}},
		{name: "MNIST/SGD", rows: 12800, inputs: 784, hidden: []Layer{Dense{Units: 128, Activation: ReLU}}, batch: 64},
		{name: "MNIST/SGD/TwoWorkers", rows: 12800, inputs: 784, hidden: []Layer{Dense{Units: 128, Activation: ReLU}}, batch: 64, workers: 2},
		{name: "MNIST/Adam", rows: 12800, inputs: 784, hidden: []Layer{Dense{Units: 128, Activation: ReLU}}, batch: 64, optimizer: &Adam{}},
		{name: "Wide/SGD", rows: 2048, inputs: 512, hidden: wideLayers, batch: 256},
		{name: "Wide/SGD/TwoWorkers", rows: 2048, inputs: 512, hidden: wideLayers, batch: 256, workers: 2},
		{name: "HundredLayers/SGD", rows: 1024, inputs: 64, hidden: hundred, batch: 32},
	} {
		b.Run(c.name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cmp.Or(c.workers, 1)))
			layers := append(slices.Clip(c.hidden), Dense{Units: 10, Activation: Softmax})
			net, x, y := newNetwork(b, c.inputs, layers...), scaledMatrix(pattern(c.rows, c.inputs), 0.5), classes(c.rows, 10)
			benchmarkTraining(b, net, x, y, TrainConfig{LearningRate: 1e-4, Epochs: 1, BatchSize: c.batch, Optimizer: c.optimizer},
				flops(c.rows, c.inputs, layers))
		})
	}
}

// The tutorial's network, trained with all four samples at a time.
func BenchmarkXOR(b *testing.B) {
	net := newNetwork(b, 2, Dense{Units: 4, Activation: Sigmoid}, Dense{Units: 1, Activation: Sigmoid})
	x, y := xor()
	benchmarkTraining(b, net, x, y, TrainConfig{LearningRate: 1, Epochs: 10000, Loss: MSE}, 0)
}

func benchmarkTraining(b *testing.B, net *Network, x, y *mat.Dense, config TrainConfig, flops float64) {
	nanoseconds, epochs := 0.0, 0.0
	for b.Loop() {
		h, err := net.Train(b.Context(), x, y, config)
		noError(b, err)
		for _, e := range h.Epochs {
			nanoseconds += float64(e.Elapsed.Nanoseconds())
		}
		epochs += float64(len(h.Epochs))
	}
	b.ReportMetric(nanoseconds/epochs, "ns/epoch")
	if flops > 0 {
		b.ReportMetric(flops*epochs/nanoseconds, "GFLOPS")
	}
}

// flops is how many operations the products of an epoch are: those of Z and dW
// in every layer, and of dX in all but the first.
func flops(rows, inputs int, layers []Layer) (sum float64) {
	products := 2
	for _, l := range layers {
		units := l.(Dense).Units
		sum += float64(products) * 2 * float64(rows*inputs*units)
		products, inputs = 3, units
	}
	return sum
}

var wideLayers = []Layer{Dense{Units: 1024, Activation: ReLU}, Dense{Units: 1024, Activation: ReLU}}

func BenchmarkPredictTo(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	net := newNetwork(b, 784, Dense{Units: 128, Activation: ReLU}, Dense{Units: 10, Activation: Softmax})
	for _, rows := range []int{1, 1000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			x := pattern(rows, 784)
			dst := value(net.Predict(x))(b)
			b.ReportAllocs()
			for b.Loop() {
				noError(b, net.PredictTo(dst, x))
			}
		})
	}
}

// How long the garbage collector waits for a wide network's training to stop,
// which it cannot do within a kernel, and for a plain loop to stop, which it can:
// what that takes is the machine's.
func BenchmarkPausesOfTheGarbageCollector(b *testing.B) {
	net, x, y := newNetwork(b, 512, append(slices.Clip(wideLayers), Dense{Units: 10, Activation: Softmax})...), pattern(2048, 512), classes(2048, 10)
	for name, work := range map[string]func(){
		"Training": func() {
			value(net.Train(b.Context(), x, y, TrainConfig{LearningRate: 1e-4, Epochs: 1, BatchSize: 256}))(b)
		},
		"Loop": func() {
			for v, i := 1.0, 0; i < 1e8; i++ {
				v = math.Sqrt(v + float64(i))
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						runtime.GC()
					}
				}
			}()
			before := gcPauses()
			for b.Loop() {
				work()
			}
			close(stop)
			<-stopped
			after := gcPauses()
			for i, n := range before.Counts {
				after.Counts[i] -= n
			}
			b.ReportMetric(1e6*quantile(after, 0.5), "µs/median")
			b.ReportMetric(1e6*quantile(after, 0.99), "µs/99%")
			b.ReportMetric(1e6*quantile(after, 1), "µs/longest")
		})
	}
}

// gcPauses is how often the garbage collector took how many seconds to stop the
// world.
func gcPauses() metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(s)
	h := *s[0].Value.Float64Histogram()
	h.Counts = slices.Clone(h.Counts)
	return h
}

// quantile is the upper bound of the first bucket up to which a share q of all
// lies.
func quantile(h metrics.Float64Histogram, q float64) float64 {
	all, sum := uint64(0), uint64(0)
	for _, n := range h.Counts {
		all += n
	}
	for i, n := range h.Counts {
		if sum += n; sum > 0 && float64(sum) >= q*float64(all) {
			return h.Buckets[i+1]
		}
	}
	return 0
}
