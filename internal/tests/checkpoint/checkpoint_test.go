// Package checkpoint_test holds that a training which is interrupted anywhere, even by a kill, ends
// with the bits of one that was not, and that no other checkpoint than its own is taken up.
package checkpoint_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// unbroken is how training i ends without a checkpoint.
func unbroken(t testing.TB, i, epochs int) (file []byte, h *History) {
	net, x, y, c := Training(t, i)
	c.Epochs = epochs
	h, err := net.Train(t.Context(), x, y, c)
	NoError(t, err)
	return BytesOf(t, net), h
}

func TestAResumedTrainingEndsWithTheSameBits(t *testing.T) {
	for i := range Trainings {
		want, wantHistory := unbroken(t, i, CheckpointEpochs)
		for _, batches := range []int{8, 1000} { // until it is cancelled, amid an epoch of 5 or not at all
			for _, anew := range []bool{true, false} { // a new program, or the same network and optimizer again
				path := filepath.Join(t.TempDir(), "checkpoint")
				net, x, y, c := Training(t, i)
				for tries := 0; ; tries++ {
					if tries > CheckpointEpochs {
						t.Fatal("it does not get on")
					}
					c.Checkpoint = path
					h, err := net.Train(&Countdown{Context: t.Context(), Left: batches}, x, y, c)
					if errors.Is(err, context.Canceled) {
						if h.Stopped != StopCancelled {
							t.Error(h.Stopped)
						}
						if anew {
							net, x, y, c = Training(t, i)
						}
						continue
					}
					NoError(t, err)
					SameHistory(t, h, wantHistory)
					break
				}
				if !bytes.Equal(BytesOf(t, net), want) {
					t.Errorf("training %d, %d batches a time: other bits", i, batches)
				}
				if matches := Value(filepath.Glob(path + "?*"))(t); len(matches) > 0 {
					t.Error(matches)
				}
			}
		}
	}
}

// Resumed in the same program and then in a new one.
func TestATrainingIsTakenUpAcrossPrograms(t *testing.T) {
	want, _ := unbroken(t, 5, CheckpointEpochs)
	net, x, y, c := Training(t, 5)
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	for _, batches := range []int{10, 7} { // at the end of an epoch, and in another
		_, err := net.Train(&Countdown{Context: t.Context(), Left: batches}, x, y, c)
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	again, _, _, d := Training(t, 5)
	d.Checkpoint = c.Checkpoint
	_, err := again.Train(t.Context(), x, y, d)
	NoError(t, err)
	if !bytes.Equal(BytesOf(t, again), want) {
		t.Error("other bits")
	}
}

func TestAKilledTrainingEndsWithTheSameBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	trials := []int{0, 5, 7}
	for _, i := range trials {
		want, _ := unbroken(t, i, childEpochs)
		path := filepath.Join(t.TempDir(), "checkpoint")
		finished := func(kills int) {
			if got := Value(os.ReadFile(path + ".done"))(t); !bytes.Equal(got, want) {
				t.Errorf("training %d: other bits after %d kills", i, kills)
			}
		}
		most := max(2, Kills()/len(trials))
		for killed, children := 0, 0; killed < most; children++ {
			if children == 20*most {
				t.Fatalf("only %d of %d children were killed", killed, children)
			}
			if Kill(t, Child(t, fmt.Sprint("train ", i), path), 1+rng.IntN(3), rng.IntN(5000)) {
				killed++
				Value(Load(path))(t)
				continue
			}
			finished(killed) // it was faster than the kill; the next one begins anew
			NoError(t, errors.Join(os.Remove(path), os.Remove(path+".done")))
		}
		out, err := Child(t, fmt.Sprint("train ", i), path).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		finished(most)
	}
}

// Each of two processes with one checkpoint ends as if it was alone, and so does the file.
func TestTwoProcessesWithOneCheckpoint(t *testing.T) {
	want, _ := unbroken(t, 5, childEpochs)
	path := filepath.Join(t.TempDir(), "checkpoint")
	var processes sync.WaitGroup
	for i := range 2 {
		child := Child(t, "train 5", path)
		child.Env = append(child.Env, fmt.Sprint("BACKPROP_DONE=", path, i))
		processes.Go(func() {
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	processes.Wait()
	for i := range 2 {
		MustHold(t, fmt.Sprint(path, i), want)
	}
	net, x, y, c := Training(t, 5)
	c.Epochs, c.Checkpoint = childEpochs, path
	Value(net.Train(t.Context(), x, y, c))(t)
	if !bytes.Equal(BytesOf(t, net), want) {
		t.Error("the file holds another training")
	}
}

func TestAFinishedTrainingReturnsAtOnce(t *testing.T) {
	for i := range Trainings {
		net, x, y, c := Training(t, i)
		c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
		first, err := net.Train(t.Context(), x, y, c)
		NoError(t, err)
		file := Value(os.ReadFile(c.Checkpoint))(t)
		again, x, y, d := Training(t, i)
		d.Checkpoint = c.Checkpoint
		d.OnEpoch = func(Epoch) error { t.Error("an epoch"); return nil }
		h, err := again.Train(t.Context(), x, y, d)
		NoError(t, err)
		SameHistory(t, h, first)
		StateOf(net).MustEqual(t, again)
		MustHold(t, c.Checkpoint, file)
	}
}

func TestRaisingEpochsGoesOn(t *testing.T) {
	for i := range Trainings {
		want, wantHistory := unbroken(t, i, CheckpointEpochs)
		path := filepath.Join(t.TempDir(), "checkpoint")
		for _, epochs := range []int{1, 4, CheckpointEpochs} {
			net, x, y, c := Training(t, i)
			c.Epochs, c.Checkpoint = epochs, path
			h, err := net.Train(t.Context(), x, y, c)
			NoError(t, err)
			if epochs == CheckpointEpochs {
				SameHistory(t, h, wantHistory)
				if !bytes.Equal(BytesOf(t, net), want) {
					t.Errorf("training %d: other bits", i)
				}
			}
		}
	}
	net, x, y, c := Training(t, 0)
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	_, err := net.Train(t.Context(), x, y, c)
	NoError(t, err)
	c.Epochs = 3
	_, err = net.Train(t.Context(), x, y, c)
	Fails(t, err, "backprop: Train: Checkpoint "+c.Checkpoint+": it has 12 epochs, Epochs is 3")
}

// However OnEpoch ends a training, it is taken up where it was.
func TestOnEpochAndCheckpoints(t *testing.T) {
	want, wantHistory := unbroken(t, 6, CheckpointEpochs)
	path, no := filepath.Join(t.TempDir(), "checkpoint"), errors.New("no")
	for n := range wantHistory.Epochs { // each epoch fails, the last one too
		net, x, y, c := Training(t, 6)
		c.Checkpoint, c.OnEpoch = path, func(e Epoch) error {
			if e.N != n {
				t.Errorf("epoch %d, want %d", e.N, n)
			}
			return no
		}
		h, err := net.Train(t.Context(), x, y, c)
		if !errors.Is(err, no) || h.Stopped != StopOnEpoch {
			t.Fatal(h, err)
		}
	}
	net, x, y, c := Training(t, 6)
	c.Checkpoint = path
	h, err := net.Train(t.Context(), x, y, c)
	NoError(t, err)
	SameHistory(t, h, wantHistory)
	if !bytes.Equal(BytesOf(t, net), want) {
		t.Error("other bits")
	}
	c.Checkpoint = filepath.Join(t.TempDir(), "stopped")
	c.OnEpoch = func(Epoch) error { return ErrStop }
	net, _, _, _ = Training(t, 6)
	for range 2 { // a training that was stopped has ended
		h, err = net.Train(t.Context(), x, y, c)
		NoError(t, err)
		if h.Stopped != StopOnEpoch || len(h.Epochs) != 1 {
			t.Error(h)
		}
	}
}

func TestACancelledFirstEpochLeavesACheckpoint(t *testing.T) {
	for _, batches := range []int{0, 2} {
		net, x, y, c := Training(t, 5)
		c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
		_, err := net.Train(&Countdown{Context: t.Context(), Left: batches}, x, y, c)
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := Load(c.Checkpoint); err != nil {
			t.Error(err)
		}
	}
}

func TestACheckpointIsANetworkToo(t *testing.T) {
	net, x, y, c := Training(t, 5)
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	c.Patience = 0 // which would restore the best
	_, err := net.Train(t.Context(), x, y, c)
	NoError(t, err)
	loaded, err := Load(c.Checkpoint)
	NoError(t, err)
	StateOf(net).MustEqual(t, loaded)
}

// A gradient whose square overflows leaves an infinity in the optimizer, of which the parameters
// know nothing.
func TestAnInfiniteStateIsTakenUp(t *testing.T) {
	train := func(path string, epochs int) []byte {
		net := NewNetwork(t, 1, Dense{Units: 1})
		x, y := mat.NewDense(1, 1, []float64{1e155}), mat.NewDense(1, 1, []float64{1})
		copy(net.Params(), []float64{1, 0})
		_, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.1, Epochs: epochs, Optimizer: &AdaGrad{}, Loss: MAE, Checkpoint: path})
		NoError(t, err)
		return BytesOf(t, net)
	}
	path := filepath.Join(t.TempDir(), "checkpoint")
	train(path, 2)
	_, tensors := DecodeRaw(t, Value(os.ReadFile(path))(t))
	if !slices.Contains(tensors["checkpoint.optimizer"].Data, math.Inf(1)) {
		t.Fatal("the state is finite")
	}
	if !bytes.Equal(train(path, 4), train("", 4)) {
		t.Error("other bits")
	}
}

const childEpochs = 120

// TestChildThatTrains is what the processes do that other tests start.
func TestChildThatTrains(t *testing.T) {
	path := os.Getenv("BACKPROP_PATH")
	var i int
	if _, err := fmt.Sscanf(os.Getenv("BACKPROP_CHILD"), "train %d", &i); err != nil {
		t.Skip("only for other tests' processes")
	}
	net, x, y, c := Training(t, i)
	c.Epochs, c.Checkpoint = childEpochs, path
	c.OnEpoch = func(e Epoch) error { fmt.Println(e.N); return nil }
	_, err := net.Train(t.Context(), x, y, c)
	NoError(t, err)
	NoError(t, net.Save(cmp.Or(os.Getenv("BACKPROP_DONE"), path+".done")))
}
