// Package speed_test has the benchmarks of training and prediction.
package speed_test

import (
	"cmp"
	"math"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// The trainings that examples/benchmark compares with NumPy and PyTorch. ns/epoch leaves out what
// Train does once, and GFLOPS counts the products.
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
			net, x, y := NewNetwork(b, c.inputs, layers...), ScaledMatrix(Pattern(c.rows, c.inputs), 0.5), ClassTargets(c.rows, 10)
			benchmarkTraining(b, net, x, y, TrainConfig{LearningRate: 1e-4, Epochs: 1, BatchSize: c.batch, Optimizer: c.optimizer},
				flops(c.rows, c.inputs, layers))
		})
	}
}

// The tutorial's network, trained with all four samples at a time. An epoch is shorter than some
// readings of the clock, so nobody watches.
func BenchmarkXOR(b *testing.B) {
	net := NewNetwork(b, 2, Dense{Units: 4, Activation: Sigmoid}, Dense{Units: 1, Activation: Sigmoid})
	x, y := Xor()
	nanoseconds, epochs := 0.0, 0.0
	for b.Loop() {
		h := Value(net.Train(b.Context(), x, y, TrainConfig{LearningRate: 1, Epochs: 10000, Loss: MSE}))(b)
		nanoseconds += float64(h.Elapsed.Nanoseconds())
		epochs += float64(len(h.Epochs))
	}
	b.ReportMetric(nanoseconds/epochs, "ns/epoch")
}

func benchmarkTraining(b *testing.B, net *Network, x, y *mat.Dense, config TrainConfig, flops float64) {
	config.OnEpoch = func(Epoch) error { return nil } // epochs are timed where somebody watches
	nanoseconds, epochs := 0.0, 0.0
	for b.Loop() {
		h := Value(net.Train(b.Context(), x, y, config))(b)
		for _, e := range h.Epochs {
			nanoseconds += float64(e.Elapsed.Nanoseconds())
		}
		epochs += float64(len(h.Epochs))
	}
	b.ReportMetric(nanoseconds/epochs, "ns/epoch")
	b.ReportMetric(flops*epochs/nanoseconds, "GFLOPS")
}

// flops is how many operations the products of an epoch are: those of Z and dW in every layer, and
// of dX in all but the first.
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
	for _, c := range []struct {
		name         string
		inputs, rows int
		layers       []Layer
	}{
		{"2-8-1/1", 2, 1, []Layer{Dense{Units: 8, Activation: Tanh}, Dense{Units: 1}}},
		{"16-64-64-1/1", 16, 1, []Layer{Dense{Units: 64, Activation: Tanh}, Dense{Units: 64, Activation: Tanh}, Dense{Units: 1}}},
		{"784-128-10/1", 784, 1, []Layer{Dense{Units: 128, Activation: ReLU}, Dense{Units: 10, Activation: Softmax}}},
		{"784-128-10/1000", 784, 1000, []Layer{Dense{Units: 128, Activation: ReLU}, Dense{Units: 10, Activation: Softmax}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			net, x := NewNetwork(b, c.inputs, c.layers...), Pattern(c.rows, c.inputs)
			dst := Value(net.Predict(x))(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := net.PredictTo(dst, x); err != nil { // NoError takes a tenth of a microsecond
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGradient(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	net := NewNetwork(b, 24, Dense{Units: 8, Activation: Tanh}, Dense{Units: 2})
	x, y := Pattern(200, 24), Pattern(200, 2)
	grad := make([]float64, len(net.Params()))
	for b.Loop() {
		if _, _, err := net.Gradient(grad, x, y, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSimpleChains(b *testing.B) {
	net := NewNetwork(b, 4, Dense{Units: 32, Activation: Tanh}, Dense{Units: 16, Activation: Tanh}, Dense{Units: 4})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	benchmarkTraining(b, net, Pattern(10000, 4), Pattern(10000, 4), TrainConfig{LearningRate: 1e-3, Epochs: 20, Optimizer: &Adam{}}, 0)
}

// How long the garbage collector waits for a wide network's training to stop, which it cannot do
// within a kernel, and for a plain loop to stop, which it can: what that takes is the machine's.
func BenchmarkPausesOfTheGarbageCollector(b *testing.B) {
	net, x, y := NewNetwork(b, 512, append(slices.Clip(wideLayers), Dense{Units: 10, Activation: Softmax})...), Pattern(2048, 512), ClassTargets(2048, 10)
	for name, work := range map[string]func(){
		"Training": func() {
			Value(net.Train(b.Context(), x, y, TrainConfig{LearningRate: 1e-4, Epochs: 1, BatchSize: 256}))(b)
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

// gcPauses is how often the garbage collector took how many seconds to stop the world.
func gcPauses() metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(s)
	h := *s[0].Value.Float64Histogram()
	h.Counts = slices.Clone(h.Counts)
	return h
}

// quantile is the upper bound of the first bucket up to which a share q of all lies.
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
