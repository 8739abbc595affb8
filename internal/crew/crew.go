// Package crew is goroutines that share one large operation.
package crew

import (
	"runtime"
	"sync"
	"sync/atomic"

	"example.com/backprop/internal/kernel"
)

// A Task is an operation that can be cut.
type Task interface{ Part(lo, hi int) }

// A Crew is a number of goroutines that share one large operation.
type Crew struct {
	task    Task
	size    int
	next    atomic.Uint32
	left    atomic.Int64
	wake    []chan struct{}
	running sync.WaitGroup
	affine  affine
	tn      mulTN
	nn      mulNN
	rows    gather
}

type affine struct {
	z, x, w kernel.Matrix
	b       []float64
}

func (j *affine) Part(lo, hi int) {
	bias := j.b
	if bias != nil {
		bias = bias[lo:hi]
	}
	z, w := j.z.Columns(lo, hi), j.w.Slice(lo, hi)
	kernel.Affine(&z, &j.x, &w, bias)
}

type mulTN struct{ c, a, b kernel.Matrix }

func (j *mulTN) Part(lo, hi int) {
	dw, dz := j.c.Slice(lo, hi), j.a.Columns(lo, hi)
	kernel.MulTN(&dw, &dz, &j.b)
}

type mulNN struct{ c, a, b kernel.Matrix }

func (j *mulNN) Part(lo, hi int) {
	dx, dz := j.c.Slice(lo, hi), j.a.Slice(lo, hi)
	kernel.MulNN(&dx, &dz, &j.b)
}

type gather struct {
	c, a  kernel.Matrix
	index []int
}

func (j *gather) Part(lo, hi int) {
	for i := lo; i < hi; i++ {
		copy(j.c.Row(i), j.a.Row(j.index[i]))
	}
}
func (c *Crew) Affine(z, x, w *kernel.Matrix, b []float64) {
	if c.alone(x.Rows * w.Rows * w.Cols) {
		kernel.Affine(z, x, w, b)
		return
	}
	c.affine = affine{*z, *x, *w, b}
	c.share(&c.affine, w.Rows)
}
func (c *Crew) MulTN(dw, dz, x *kernel.Matrix) {
	if c.alone(x.Rows * dw.Rows * dw.Cols) {
		kernel.MulTN(dw, dz, x)
		return
	}
	c.tn = mulTN{*dw, *dz, *x}
	c.share(&c.tn, dw.Rows)
}
func (c *Crew) MulNN(dx, dz, w *kernel.Matrix) {
	if c.alone(dz.Rows * w.Rows * w.Cols) {
		kernel.MulNN(dx, dz, w)
		return
	}
	c.nn = mulNN{*dx, *dz, *w}
	c.share(&c.nn, dx.Rows)
}
func (c *Crew) Gather(dst, src *kernel.Matrix, index []int) {
	if c.alone(16 * dst.Rows * dst.Cols) {
		g := gather{*dst, *src, index}
		g.Part(0, dst.Rows)
		return
	}
	c.rows = gather{*dst, *src, index}
	c.share(&c.rows, dst.Rows)
}
func (c *Crew) Share(t Task, size, cost int) {
	if c.alone(cost) {
		t.Part(0, size)
		return
	}
	c.share(t, size)
}

// worthSharing is the number of multiplications from which an operation is
// shared: some 20 µs of them, several times what it takes to wake a goroutine.
const worthSharing = 1 << 19

// New starts a crew for GOMAXPROCS goroutines, the caller included, or
// returns nil if no operation of up to largest multiplications is worth it.
func New(largest int) *Crew {
	helpers := min(runtime.GOMAXPROCS(0), 1<<10) - 1
	if helpers < 1 || largest < worthSharing {
		return nil
	}
	c := &Crew{}
	for range helpers {
		wake := make(chan struct{}, 1)
		c.wake = append(c.wake, wake)
		c.running.Go(func() {
			for await(wake) {
				c.work()
			}
		})
	}
	return c
}

func (c *Crew) share(t Task, size int) {
	parts := min(c.workers(), (size+7)/8)
	c.task, c.size = t, size
	c.left.Store(int64(parts))
	c.next.Store(uint32(parts) << 16)
	for _, wake := range c.wake {
		select {
		case wake <- struct{}{}:
		default: // it has not looked yet
		}
	}
	c.work()
	for c.left.Load() > 0 {
		runtime.Gosched()
	}
}

// work takes parts of the job, as long as there are any.
func (c *Crew) work() {
	for {
		next := c.next.Load()
		part, parts := int(next&0xffff), int(next>>16)
		if part >= parts {
			return
		}
		if !c.next.CompareAndSwap(next, next+1) {
			continue
		}
		// The part is taken, if not of the job that was there before, then of the one
		// that has come, which stays until the part is computed. Parts are cut at
		// multiples of 8, a vector's width.
		size := c.size
		cut := func(i int) int { return min(size, (size*i/parts+7)&^7) }
		if lo, hi := cut(part), cut(part+1); lo < hi {
			c.task.Part(lo, hi)
		}
		c.left.Add(-1)
	}
}

// await receives from c and reports whether c is open. It spins for some 75 µs
// before it sleeps: from one shared operation to the next there is less time
// than it takes to wake a thread.
func await(c <-chan struct{}) bool {
	for range 500 {
		select {
		case _, ok := <-c:
			return ok
		default:
			runtime.Gosched()
		}
	}
	_, ok := <-c
	return ok
}

// Dismiss ends the crew's goroutines.
func (c *Crew) Dismiss() {
	if c == nil {
		return
	}
	for _, wake := range c.wake {
		close(wake)
	}
	c.running.Wait()
}

// workers is how many goroutines work, the caller included.
func (c *Crew) workers() int {
	if c == nil {
		return 1
	}
	return len(c.wake) + 1
}

// alone reports whether an operation of so many multiplications is not shared.
func (c *Crew) alone(multiplications int) bool {
	return c == nil || multiplications < worthSharing
}
