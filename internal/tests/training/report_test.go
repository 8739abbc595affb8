package training_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

func TestOnEpochSeesEveryEpochAndMayUseTheNetwork(t *testing.T) {
	net := NewNetwork(t, 2, Dense{Units: 3, Activation: Tanh}, Dropout{Rate: 0.5}, Dense{Units: 1})
	x, y := Pattern(7, 2), Pattern(7, 1)
	vx, vy := Pattern(600, 2), Pattern(600, 1)
	var seen []Epoch
	h := Value(net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: 5, BatchSize: 3, Validation: Data{X: vx, Y: vy},
		OnEpoch: func(e Epoch) error {
			seen = append(seen, e)
			SameBits(t, "validation loss", []float64{e.ValidationLoss}, []float64{Value(net.Loss(vx, vy, nil))(t)})
			return nil
		}}))(t)
	if !slices.Equal(seen, h.Epochs) || len(seen) != 5 || h.Stopped != StopEpochs {
		t.Errorf("OnEpoch saw %v, the history is %v", seen, h)
	}
	for i, e := range seen {
		if e.N != i {
			t.Errorf("epoch %d has number %d", i, e.N)
		}
	}
}

func TestEpochLossIsTheMeanBeforeUpdatesWithoutPenalties(t *testing.T) {
	// Two epochs of two steps: the losses are 5² and 3², then 2² and 1².
	_, h := scripted(t, 5, []float64{3, 2, 1, 4}, TrainConfig{Epochs: 2, BatchSize: 1, L2: 0.5, WeightDecay: 0.5})
	EqualTo(t, "losses", []float64{h.Epochs[0].Loss, h.Epochs[1].Loss}, []float64{(25. + 9) / 2, (4. + 1) / 2}, 0)
	// Of the last batch, with λ·w but before clipping: 2w + w/2.
	EqualTo(t, "norms", []float64{h.Epochs[0].GradNorm, h.Epochs[1].GradNorm}, []float64{3 * 2.5, 1 * 2.5}, 0)
	_, h = scripted(t, 5, []float64{3, 2, 1, 4}, TrainConfig{Epochs: 2, BatchSize: 1, ClipNorm: 0.1, ClipValue: 0.01})
	EqualTo(t, "norms before clipping", []float64{h.Epochs[0].GradNorm, h.Epochs[1].GradNorm}, []float64{6, 2}, 0)
}

// Three samples in batches of two: the mean is over samples, not over batches.
func TestEpochLossWeighsBatchesByTheirSamples(t *testing.T) {
	net := NewNetwork(t, 1, Dense{Units: 1, NoBias: true})
	net.Params()[0] = 1
	x, zeros := mat.NewDense(3, 1, []float64{1, 2, 4}), mat.NewDense(3, 1, nil)
	h := Value(net.Train(t.Context(), x, zeros, TrainConfig{LearningRate: 1, Epochs: 1, BatchSize: 2, NoShuffle: true, Optimizer: Still{}}))(t)
	EqualTo(t, "loss", []float64{h.Epochs[0].Loss}, []float64{(1. + 4 + 16) / 3}, FewUlps)
}

// An epoch is timed where somebody watches, a training always, also one that fails. A sample takes
// 100 ns of the bubble's time.
func TestEpochsAreTimedWhereSomebodyWatches(t *testing.T) {
	one := mat.NewDense(1, 1, []float64{1})
	constant := ScheduleFunc(func(base float64, _ []Epoch) float64 { return base })
	for name, c := range map[string]struct {
		watch TrainConfig
		want  time.Duration
	}{
		"nobody":   {TrainConfig{}, 0},
		"OnEpoch":  {TrainConfig{OnEpoch: func(Epoch) error { return nil }}, 100},
		"Progress": {TrainConfig{Progress: io.Discard}, 100},
		"Schedule": {TrainConfig{Schedule: constant}, 100},
	} {
		for _, ends := range []struct {
			eta    float64 // the error is multiplied by 1−2η in an epoch
			epochs int
			err    error
		}{{0.1, 1, nil}, {0.1, 2, nil}, {0.1, 1001, nil}, {1.5, 1001, ErrDiverged}} {
			synctest.Test(t, func(t *testing.T) {
				net := NewNetwork(t, 1, Dense{Units: 1, NoBias: true})
				tiny := &Counting{Loss: MSE, Every: func() { time.Sleep(100 * time.Nanosecond) }}
				config := c.watch
				config.LearningRate, config.Epochs, config.Loss = ends.eta, ends.epochs, tiny
				h, err := net.Train(t.Context(), one, one, config)
				if !errors.Is(err, ends.err) || len(h.Epochs) < min(ends.epochs, 400) {
					t.Fatalf("%s: %d epochs, error %v", name, len(h.Epochs), err)
				}
				for _, e := range h.Epochs {
					if e.Elapsed != c.want {
						t.Fatalf("%s: epoch %d of %d took %v, want %v", name, e.N, len(h.Epochs), e.Elapsed, c.want)
					}
				}
				if want := 100 * time.Duration(tiny.Values); h.Elapsed != want {
					t.Errorf("%s: training took %v, want %v", name, h.Elapsed, want)
				}
			})
		}
	}
}

func TestElapsedIsTheTimeOfTheEpochAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := NewNetwork(t, 1, Dense{Units: 1})
		slow := &Counting{Loss: MSE, Every: func() { time.Sleep(time.Second) }} // the bubble's second
		h := Value(net.Train(t.Context(), Pattern(3, 1), Pattern(3, 1), TrainConfig{LearningRate: 0.1, Epochs: 2, Loss: slow,
			Validation: Data{X: Pattern(2, 1), Y: Pattern(2, 1)},
			OnEpoch:    func(Epoch) error { time.Sleep(time.Hour); return nil }}))(t)
		for _, e := range h.Epochs {
			if e.Elapsed != 5*time.Second { // three samples, two for validation
				t.Errorf("epoch %d took %v, want 5s", e.N, e.Elapsed)
			}
		}
		if want := 2 * (5*time.Second + time.Hour); h.Elapsed != want {
			t.Errorf("training took %v, want %v", h.Elapsed, want)
		}
	})
}

// OnEpoch, the schedule and the history are all told that there was no validation.
func TestValidationLossIsNaNWithoutValidationData(t *testing.T) {
	for _, validated := range []bool{false, true} {
		seen := 0
		check := func(e Epoch) {
			seen++
			if math.IsNaN(e.ValidationLoss) == validated {
				t.Errorf("validation %v: the validation loss of epoch %d is %v", validated, e.N, e.ValidationLoss)
			}
		}
		config := TrainConfig{LearningRate: 0.1, Epochs: 3,
			OnEpoch: func(e Epoch) error { check(e); return nil },
			Schedule: ScheduleFunc(func(base float64, history []Epoch) float64 {
				for _, e := range history {
					check(e)
				}
				return base
			}),
		}
		if validated {
			config.Validation = Data{X: Pattern(2, 1), Y: Pattern(2, 1)}
		}
		net := NewNetwork(t, 1, Dense{Units: 1})
		for _, e := range Value(net.Train(t.Context(), Pattern(3, 1), Pattern(3, 1), config))(t).Epochs {
			check(e)
		}
		if seen < 3+(1+2)+3 {
			t.Errorf("only %d epochs were seen", seen)
		}
	}
}

// On anything but a terminal: plain lines, some twenty of them and the last. A sample takes a
// second of the bubble's time.
func TestProgressWritesPlainLines(t *testing.T) {
	train := func(t *testing.T, epochs int, change func(*TrainConfig)) []string {
		var lines []string
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			net := NewNetwork(t, 1, Dense{Units: 1, NoBias: true})
			net.Params()[0] = 2
			config := TrainConfig{LearningRate: 0.25, Epochs: epochs, Optimizer: Still{}, Progress: &b,
				Loss: &Counting{Loss: MSE, Every: func() { time.Sleep(time.Second) }}}
			change(&config)
			one := mat.NewDense(1, 1, []float64{1})
			Value(net.Train(t.Context(), one, mat.NewDense(1, 1, nil), config))(t)
			lines = strings.SplitAfter(b.String(), "\n")
		})
		return lines[:len(lines)-1]
	}
	nothing := func(*TrainConfig) {}
	for _, c := range []struct{ epochs, lines int }{{1, 1}, {7, 7}, {20, 20}, {100, 20}, {2000, 20}, {45, 23}, {119, 24}} {
		lines := train(t, c.epochs, nothing)
		if len(lines) != c.lines {
			t.Errorf("%d epochs give %d lines, want %d", c.epochs, len(lines), c.lines)
		}
		want := fmt.Sprintf("%d/%[1]d epochs, loss 4, η 0.25, %v in all: all epochs done\n", c.epochs, time.Duration(c.epochs)*time.Second)
		if last := lines[len(lines)-1]; last != want {
			t.Errorf("the last line is %q, want %q", last, want)
		}
	}
	want := []string{"1/2 epochs, loss 4, η 0.25, 1s left\n", "2/2 epochs, loss 4, η 0.25, 2s in all: all epochs done\n"}
	if got := train(t, 2, nothing); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got := train(t, 300, func(c *TrainConfig) {
		c.Validation = Data{X: mat.NewDense(1, 1, []float64{2}), Y: mat.NewDense(1, 1, nil)}
		c.OnEpoch = func(e Epoch) error {
			if e.N == 16 { // between two lines
				return ErrStop
			}
			return nil
		}
	})
	want = []string{ // two seconds an epoch
		"15/300 epochs, loss 4, validation loss 16, η 0.25, 9m30s left\n",
		"17/300 epochs, loss 4, validation loss 16, η 0.25, 34s in all: stopped by OnEpoch\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got = train(t, 300, func(c *TrainConfig) {
		c.Validation = Data{X: mat.NewDense(1, 1, []float64{2}), Y: mat.NewDense(1, 1, nil)}
		c.Patience = 3
	})
	want = []string{"4/300 epochs, loss 4, validation loss 16, η 0.25, 8s in all: no improvement; epoch 0 is kept, 16\n"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAWriterThatFailsDoesNotStopTraining(t *testing.T) {
	r, w, err := os.Pipe()
	NoError(t, err)
	r.Close()
	defer w.Close()
	for _, writer := range []io.Writer{failing{}, w} {
		net, still := NewNetwork(t, 1, Dense{Units: 1}), NewNetwork(t, 1, Dense{Units: 1})
		config := TrainConfig{LearningRate: 0.1, Epochs: 5}
		Value(still.Train(t.Context(), Pattern(3, 1), Pattern(3, 1), config))(t)
		config.Progress = writer
		Value(net.Train(t.Context(), Pattern(3, 1), Pattern(3, 1), config))(t)
		SameBits(t, "parameters", net.Params(), still.Params())
	}
}

// A pseudo-terminal echoes what is written to its master. Control characters come back as ^[, and a
// carriage return as a new line.
func TestProgressOnATerminalIsOneLiveLine(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	defer terminal.Close()
	if terminal.SetReadDeadline(time.Now().Add(5*time.Minute)) != nil {
		t.Skip("a pseudo-terminal cannot be read with a deadline here")
	}
	net := NewNetwork(t, 1, Dense{Units: 1})
	Value(net.Train(t.Context(), Pattern(40, 1), Pattern(40, 1), TrainConfig{LearningRate: 0.1, Epochs: 3, BatchSize: 20, Progress: terminal}))(t)
	var shown []byte
	for b := make([]byte, 4096); !bytes.HasSuffix(shown, []byte(": all epochs done\r\n")); {
		n, err := terminal.Read(b)
		shown = append(shown, b[:n]...)
		if err != nil {
			t.Fatalf("the terminal shows %q: %v", shown, err)
		}
	}
	lines := strings.Split(strings.Trim(string(shown), "\r\n"), "\r\n")
	if first := lines[0]; !strings.HasPrefix(first, "0/3 epochs ██████████░░░░░░░░░░ loss 0.") {
		t.Errorf("the first line is %q, want half a bar: one of two batches is done", first)
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "^[[K3/3 epochs, loss 0.") {
		t.Errorf("the last line is %q, want the last epoch", last)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no") }
