package progress

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// shown runs a training in the bubble's time and returns what it has written, cut at end.
func shown(t *testing.T, end string, train func(w io.Writer)) []string {
	var parts []string
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		train(&b)
		parts = strings.SplitAfter(b.String(), end)
	})
	return parts[:len(parts)-1]
}

func mustEqual(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func TestElsewhereSomeTwentyPlainLinesAreWritten(t *testing.T) {
	for _, c := range []struct{ epochs, lines int }{{1, 1}, {7, 7}, {20, 20}, {100, 20}, {2000, 20}, {45, 23}, {119, 24}} {
		got := shown(t, "\n", func(w io.Writer) {
			l := New(w, 0, c.epochs)
			for n := range c.epochs {
				time.Sleep(time.Second)
				l.Batch(n, 0, 1, 4)
				l.Epoch(n, 4, math.NaN(), 0.25, n == c.epochs-1)
			}
			l.End("done")
		})
		if len(got) != c.lines || !strings.HasSuffix(got[len(got)-1], " in all: done\n") {
			t.Errorf("%d epochs: %q", c.epochs, got)
		}
	}
}

func TestALineTellsLossesRateAndTime(t *testing.T) {
	mustEqual(t, shown(t, "\n", func(w io.Writer) {
		l := New(w, 2, 5) // epochs 0 and 1 were done before
		for n := 2; n < 4; n++ {
			time.Sleep(1250 * time.Millisecond)
			l.Epoch(n, 0.123456, []float64{math.NaN(), 12345.6}[n%2], 1e-3, false)
		}
		time.Sleep(time.Minute)
		l.Epoch(4, 0, 0, 1, true)
		l.Keep(3, 12345.6)
		l.End("done")
	}), "3/5 epochs, loss 0.1235, η 0.001, 2.5s left\n", "4/5 epochs, loss 0.1235, validation loss 1.235e+04, η 0.001, 1.3s left\n",
		"5/5 epochs, loss 0, validation loss 0, η 1, 1m3s in all: done; epoch 3 is kept, 1.235e+04\n")
}

func TestTheLastEpochIsShownWhereverTrainingEnds(t *testing.T) {
	train := func(last bool, epochs int) []string {
		return shown(t, "\n", func(w io.Writer) {
			l := New(w, 0, 300)
			for n := range epochs {
				time.Sleep(2 * time.Second)
				l.Epoch(n, 4, 16, 0.25, last && n == epochs-1)
			}
			l.End("cancelled")
		})
	}
	const first = "15/300 epochs, loss 4, validation loss 16, η 0.25, 9m30s left\n"
	const end = "17/300 epochs, loss 4, validation loss 16, η 0.25, 34s in all: cancelled\n"
	mustEqual(t, train(true, 17), first, end)
	mustEqual(t, train(false, 17), first, end)
	mustEqual(t, train(true, 15), "15/300 epochs, loss 4, validation loss 16, η 0.25, 30s in all: cancelled\n")
	mustEqual(t, train(false, 0))
}

func TestOnATerminalOneLineIsWrittenOverAndOver(t *testing.T) {
	mustEqual(t, shown(t, "\x1b[K", func(w io.Writer) {
		l := New(w, 0, 2)
		l.live = true
		for n := range 2 {
			for b := range 4 {
				time.Sleep(50 * time.Millisecond)
				l.Batch(n, b, 4, 1)
			}
			l.Epoch(n, 1, math.NaN(), 0.5, n == 1)
			time.Sleep(time.Second)
		}
		l.Epoch(0, 1, math.NaN(), 0.5, false)
		l.End("done")
		io.WriteString(w, "\x1b[K") // so that the last part ends as the others do
	}),
		"\r0/2 epochs █████░░░░░░░░░░░░░░░ loss 1, 400ms left\x1b[K", // the first; the second comes 50 ms later
		"\r0/2 epochs ███████████████░░░░░ loss 1, 300ms left\x1b[K",
		"\r1/2 epochs █████░░░░░░░░░░░░░░░ loss 1, 800ms left\x1b[K",
		"\r1/2 epochs ███████████████░░░░░ loss 1, 200ms left\x1b[K",
		"\r1/2 epochs, loss 1, η 0.5, 2.4s left\x1b[K",
		"\r\x1b[K", "1/2 epochs, loss 1, η 0.5, 2.4s in all: done\n\x1b[K")
}

// What is written next, an error perhaps, would stand behind the live line.
func TestALiveLineDoesNotOutliveATrainingWithoutAnEpoch(t *testing.T) {
	for _, batches := range []int{0, 1} {
		got := shown(t, "\n", func(w io.Writer) {
			l := New(w, 0, 2)
			l.live = true
			time.Sleep(time.Second)
			for range batches {
				l.Batch(0, 0, 4, 1)
			}
			l.End("diverged")
			io.WriteString(w, "\n")
		})
		mustEqual(t, got, []string{"\n", "\r0/2 epochs █████░░░░░░░░░░░░░░░ loss 1, 7s left\x1b[K\r\x1b[K\n"}[batches])
	}
}

func TestNilShowsNothing(t *testing.T) {
	l := New(nil, 0, 1)
	if l != nil {
		t.Error(l)
	}
	l.Batch(0, 0, 1, 1)
	l.Epoch(0, 1, 1, 1, true)
	l.Keep(0, 1)
	l.End("done")
}

func TestAFileIsNoTerminal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	l := New(file, 0, 1)
	l.Batch(0, 0, 1, 1)
	l.Epoch(0, 1, math.NaN(), 1, true)
	l.End("done")
	text, err := os.ReadFile(path)
	if err = errors.Join(err, file.Close()); err != nil || string(text) != "1/1 epochs, loss 1, η 1, 0s in all: done\n" {
		t.Errorf("%q, %v", text, err)
	}
	l = New(file, 0, 1) // closed: what it says is not listened to
	l.Epoch(0, 1, math.NaN(), 1, true)
	l.End("done")
}

func TestABatchIsShownWhereNobodyKnowsHowManyThereAre(t *testing.T) {
	mustEqual(t, shown(t, "\x1b[K", func(w io.Writer) {
		l := New(w, 0, 2)
		l.live = true
		l.Batch(0, 6, 0, 0.5)
	}), "\r0/2 epochs, 7 batches, loss 0.5\x1b[K")
}
