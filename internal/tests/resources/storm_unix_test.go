//go:build unix

package resources_test

import (
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"syscall"
	"testing"
	"time"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

// A training is interrupted by signals at 1 kHz, by the garbage collector, which runs all the time,
// and by a changing number of processors, and ends with the bits of a quiet one. SIGURG is what the
// runtime preempts goroutines with; with SIGPROF and a profile under way it walks their stacks,
// those in assembly too. BACKPROP_LONG is for how long, as "10m"; without it a single training is made.
func TestAStormOfSignalsChangesNoBit(t *testing.T) {
	long, _ := time.ParseDuration(os.Getenv("BACKPROP_LONG"))
	epochs := 24
	if testing.Short() {
		epochs = 4
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // a crew of two
	train := func(onEpoch func(Epoch) error) *Network {
		net := NewNetwork(t, 100, Standardize{}, Dense{Units: 120, Activation: ReLU}, Dense{Units: 110, Activation: Tanh},
			BatchNorm{Activation: GELU}, Dropout{Rate: 0.2}, Dense{Units: 100, Activation: Sigmoid}, Dense{Units: 10, Activation: Softmax})
		Value(net.Train(t.Context(), Pattern(320, 100), ClassTargets(320, 10), TrainConfig{
			LearningRate: 1e-3, Epochs: epochs, BatchSize: 64, Optimizer: &Adam{}, WeightDecay: 0.1, ClipNorm: 1, OnEpoch: onEpoch,
		}))(t)
		return net
	}
	quiet := StateOf(train(nil))
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	profiled := pprof.StartCPUProfile(io.Discard) == nil // unless go test does
	for begun := time.Now(); ; {
		runtime.GOMAXPROCS(2)
		calm := func() {}
		stormy := train(func(e Epoch) error {
			if e.N == 0 { // the crew is there
				calm = storm(t)
			}
			return nil
		})
		calm()
		quiet.MustEqual(t, stormy)
		if t.Failed() || time.Since(begun) >= long {
			break
		}
	}
	if profiled {
		pprof.StopCPUProfile()
	}
}

// storm rages until calm is called.
func storm(t *testing.T) (calm func()) {
	over := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			case <-ticker.C:
			}
			for _, s := range []syscall.Signal{syscall.SIGURG, syscall.SIGPROF} {
				if err := syscall.Kill(os.Getpid(), s); err != nil {
					t.Error(err)
				}
			}
			if i%8 == 0 {
				runtime.GOMAXPROCS(1 + i/8%4)
			}
		}
	})
	return func() {
		close(over)
		all.Wait()
	}
}
