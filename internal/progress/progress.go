// Package progress shows how a training goes: one live line on a terminal, some twenty plain lines
// elsewhere.
package progress

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"
)

// A Line shows how a training goes. A nil Line shows nothing. What the writer says is not listened
// to: training is worth more than a line of it.
type Line struct {
	w      io.Writer
	live   bool // w is a terminal: one line is written over and over
	first  int  // the epoch that this training begins with
	epochs int
	start  time.Time
	shown  time.Time // when the live line was last written
	last   string    // the last finished epoch
	kept   string    // which epoch's parameters the network has in the end, if that was chosen
}

// New returns the line of a training that begins now, with epoch first of so many; nil if w is nil.
func New(w io.Writer, first, epochs int) *Line {
	if w == nil {
		return nil
	}
	l := &Line{w: w, first: first, epochs: epochs, start: time.Now()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		l.live = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return l
}

const (
	barWidth = 20                     // of the bar within the epoch
	interval = 100 * time.Millisecond // between two live lines, at least
)

// Batch shows, on a terminal, that a batch is done. Epochs and batches are numbered from 0, so their
// numbers count those done before; batches is how many there are, or 0 where nobody knows.
func (l *Line) Batch(epoch, batch, batches int, loss float64) {
	if l == nil || !l.live || time.Since(l.shown) < interval {
		return
	}
	if batches == 0 {
		l.show(fmt.Sprintf("%d/%d epochs, %d batches, loss %.4g", epoch, l.epochs, batch+1, loss))
		return
	}
	done := barWidth * (batch + 1) / batches
	bar := strings.Repeat("█", done) + strings.Repeat("░", barWidth-done)
	left := l.left(float64(epoch) + float64(batch+1)/float64(batches))
	l.show(fmt.Sprintf("%d/%d epochs %s loss %.4g, %v left", epoch, l.epochs, bar, loss, left))
}

// Epoch shows that epoch n, from 0, is done: on a terminal over the live line, elsewhere if it is
// one of some twenty, but the last one, with which training ends. A validation loss of NaN is not
// shown.
func (l *Line) Epoch(n int, loss, validation, eta float64, last bool) {
	if l == nil {
		return
	}
	l.last = fmt.Sprintf("%d/%d epochs, loss %.4g", n+1, l.epochs, loss)
	if !math.IsNaN(validation) {
		l.last += fmt.Sprintf(", validation loss %.4g", validation)
	}
	l.last += fmt.Sprintf(", η %.3g, ", eta)
	every := max(1, l.epochs/20)
	line := l.last + fmt.Sprintf("%v left", l.left(float64(n+1)))
	switch {
	case last:
	case !l.live && n%every == every-1:
		fmt.Fprintln(l.w, line)
	case l.live && time.Since(l.shown) >= interval:
		l.show(line)
	}
}

// Keep says that in the end the network has the parameters of epoch n, which had that loss.
func (l *Line) Keep(n int, loss float64) {
	if l != nil {
		l.kept = fmt.Sprintf("; epoch %d is kept, %.4g", n, loss)
	}
}

// End leaves the last epoch to be read, and why training ended: nothing if not one was finished.
func (l *Line) End(why string) {
	if l == nil {
		return
	}
	if !l.shown.IsZero() {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
	if l.last != "" {
		fmt.Fprintf(l.w, "%s%v in all: %s%s\n", l.last, rounded(time.Since(l.start)), why, l.kept)
	}
}

// show writes over the live line.
func (l *Line) show(line string) {
	l.shown = time.Now()
	fmt.Fprintf(l.w, "\r%s\x1b[K", line)
}

// left estimates the time left when so many epochs are done.
func (l *Line) left(done float64) time.Duration {
	elapsed := time.Since(l.start)
	return rounded(time.Duration(float64(elapsed) * (float64(l.epochs) - done) / (done - float64(l.first))))
}

func rounded(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
