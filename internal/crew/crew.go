// Package crew holds goroutines that share one large operation.
package crew

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A Crew is a number of goroutines that share one operation at a time. It is cut into parts, and
// each goroutine takes the next one until there are none: which parts there are and who computes
// them changes no bit of the result. A goroutine that has no processor holds up nobody, unless it
// has taken a part. A nil *Crew is the caller alone.
//
// Several goroutines may call its methods at once, as a layer may whose branches are computed side
// by side: what comes while another operation is shared is its caller's alone.
type Crew struct {
	busy    atomic.Bool // an operation is shared, or about to be
	task    Task
	size    int
	next    atomic.Uint32   // the task's number of parts and, in the lower 16 bits, its next part
	left    atomic.Int64    // parts of the task that are not computed yet
	wake    []chan struct{} // one a helper
	running sync.WaitGroup

	// The tasks of the methods, so that none is allocated.
	affine  affine
	mulTN   mulTN
	mulNN   mulNN
	gather  gather
	dropout dropout
}

// A Task is an operation that can be cut: Part computes lo to hi of its result, hi not included.
// Parts are computed by several goroutines at once.
type Task interface{ Part(lo, hi int) }

// A Func is a [Task] of a function.
type Func func(lo, hi int)

// Part calls it.
func (f Func) Part(lo, hi int) { f(lo, hi) }

// worthSharing is the number of multiplications from which an operation is shared: 10 to 20 µs of
// them. Measured for two workers: as many take 0.80 of the time that one needs, twice as many 0.66,
// half as many 1.03 to 1.10.
const worthSharing = 1 << 19

// partsOf is what parts are cut at multiples of: a vector's width.
const partsOf = 8

// mostWorkers is far below what 16 bits of Crew.next can count.
const mostWorkers = 1 << 10

// New starts a crew for GOMAXPROCS goroutines, the caller included, or returns nil if no operation
// of up to largest multiplications is worth it. Dismiss ends its goroutines.
func New(largest int) *Crew {
	helpers := min(runtime.GOMAXPROCS(0), mostWorkers) - 1
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

// Dismiss ends the crew's goroutines and waits until they have ended. The crew must not be used any
// more.
func (c *Crew) Dismiss() {
	if c == nil {
		return
	}
	for _, wake := range c.wake {
		close(wake)
	}
	c.running.Wait()
}

// Share computes a task whose result has the given size and takes cost multiplications in all. It
// is cut at multiples of 8, or not at all if it is not worth sharing.
func (c *Crew) Share(t Task, size, cost int) {
	if c.alone(cost) {
		t.Part(0, size)
		return
	}
	c.share(t, size)
}

// alone reports whether an operation of so many multiplications is not shared. Else the crew is the
// caller's until share returns.
func (c *Crew) alone(multiplications int) bool {
	return c == nil || multiplications < worthSharing || !c.busy.CompareAndSwap(false, true)
}

// share computes a task with all of the crew, which is the caller's.
func (c *Crew) share(t Task, size int) {
	parts := min(len(c.wake)+1, (size+partsOf-1)/partsOf)
	c.task, c.size = t, size // nobody reads them: every part of the last task is computed
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
	c.busy.Store(false)
}

// work takes parts of the task, as long as there are any.
func (c *Crew) work() {
	for {
		next := c.next.Load()
		part, parts := int(next&0xffff), int(next>>16)
		if part >= parts {
			return
		}
		// A part that is taken belongs to the task that is there now, even if that came
		// after next was loaded, and the task stays until the part is computed.
		if c.next.CompareAndSwap(next, next+1) {
			if lo, hi := cut(c.size, part, parts), cut(c.size, part+1, parts); lo < hi {
				c.task.Part(lo, hi)
			}
			c.left.Add(-1)
		}
	}
}

// cut returns where part i of so many begins.
func cut(size, i, parts int) int {
	return min(size, (size*i/parts+partsOf-1)/partsOf*partsOf)
}

// await receives from c and reports whether c is open. It spins for some 75 µs before it sleeps:
// from one shared operation to the next there is less time than it takes to wake a thread.
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
