package crew

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.com/backprop/internal/kernel"
)

// hire makes a crew of so many goroutines, whatever the machine has.
func hire(t testing.TB, workers int) *Crew {
	t.Helper()
	before := runtime.GOMAXPROCS(workers)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	c := New(worthSharing)
	t.Cleanup(c.Dismiss)
	return c
}

// random is a rows×cols matrix with a gap between its rows, every fourth element of which is zero.
func random(r *rand.Rand, rows, cols int) *kernel.Matrix {
	stride := cols + 3
	m := &kernel.Matrix{Rows: rows, Cols: cols, Stride: stride, Data: make([]float64, rows*stride)}
	for i := range m.Data {
		if r.IntN(4) > 0 {
			m.Data[i] = r.NormFloat64()
		}
	}
	return m
}

func clone(m *kernel.Matrix) *kernel.Matrix {
	c := *m
	c.Data = slices.Clone(m.Data)
	return &c
}

func sameBits(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
}

func TestSharedOperationsHaveTheBitsOfOneGoroutine(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	index := make([]int, 400)
	for i := range index {
		index[i] = r.IntN(90)
	}
	for _, workers := range []int{2, 3, 7} {
		c := hire(t, workers)
		// From fewer units than there are parts to more, none of these numbers a multiple
		// of 8.
		for _, shape := range [][3]int{{90, 110, 75}, {61, 900, 13}, {3, 450, 611}, {900, 203, 4}} {
			n, in, out := shape[0], shape[1], shape[2]
			x, w, dz := random(r, n, in), random(r, out, in), random(r, n, out)
			if n*in*out < worthSharing {
				t.Fatalf("%v is too small to be shared", shape)
			}
			for _, b := range [][]float64{nil, random(r, 1, out).Row(0)} {
				want, got := clone(dz), clone(dz)
				kernel.Affine(want, x, w, b)
				c.Affine(got, x, w, b)
				if !sameBits(got.Data, want.Data) {
					t.Errorf("%d workers, %v: Affine differs", workers, shape)
				}
			}
			want, got := clone(w), clone(w)
			kernel.MulTN(want, dz, x)
			c.MulTN(got, dz, x)
			if !sameBits(got.Data, want.Data) {
				t.Errorf("%d workers, %v: MulTN differs", workers, shape)
			}
			want, got = clone(x), clone(x)
			kernel.MulNN(want, dz, w)
			c.MulNN(got, dz, w)
			if !sameBits(got.Data, want.Data) {
				t.Errorf("%d workers, %v: MulNN differs", workers, shape)
			}
		}
		z, a, da := random(r, 1, 20001).Row(0), make([]float64, 20001), random(r, 1, 20001).Row(0)
		f := c.Elementwise(sine{})
		for name, op := range map[string]struct{ alone, shared func(dst []float64) }{
			"Dropout": {
				func(dst []float64) { kernel.Dropout(dst, z, 0.3, 7, 0) },
				func(dst []float64) { c.Dropout(dst, z, 0.3, 7) },
			},
			"Forward":  {func(dst []float64) { sine{}.Forward(dst, z) }, func(dst []float64) { f.Forward(dst, z) }},
			"Backward": {func(dst []float64) { sine{}.Backward(dst, da, z, a) }, func(dst []float64) { f.Backward(dst, da, z, a) }},
		} {
			want, got := make([]float64, len(z)), make([]float64, len(z))
			op.alone(want)
			op.shared(got)
			if !sameBits(got, want) || slices.Max(got) == 0 {
				t.Errorf("%d workers: %s differs", workers, name)
			}
		}
		src, dst := random(r, 90, 130), random(r, 402, 130)
		before := clone(dst)
		c.Gather(dst, src, index)
		for i := range dst.Rows {
			want := before.Row(i)
			if i < len(index) {
				want = src.Row(index[i])
			}
			if !sameBits(dst.Row(i), want) {
				t.Fatalf("%d workers: row %d is not the one gathered", workers, i)
			}
		}
	}
}

// sine is an activation.
type sine struct{}

func (sine) Forward(a, z []float64) {
	for i, z := range z {
		a[i] = math.Sin(z)
	}
}

func (sine) Backward(dz, da, z, a []float64) {
	for i, z := range z {
		dz[i] = da[i]*math.Cos(z) + a[i]
	}
}

func TestNoCrewAndSmallOperationsAreTheCallerAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x, w, b, dz := random(r, 5, 6), random(r, 7, 6), random(r, 1, 7).Row(0), random(r, 5, 7)
	for _, c := range []*Crew{nil, hire(t, 3)} {
		want, got := clone(dz), clone(dz)
		kernel.Affine(want, x, w, b)
		c.Affine(got, x, w, b)
		wantDW, gotDW := clone(w), clone(w)
		kernel.MulTN(wantDW, dz, x)
		c.MulTN(gotDW, dz, x)
		wantDX, gotDX := clone(x), clone(x)
		kernel.MulNN(wantDX, dz, w)
		c.MulNN(gotDX, dz, w)
		if !sameBits(got.Data, want.Data) || !sameBits(gotDW.Data, wantDW.Data) || !sameBits(gotDX.Data, wantDX.Data) {
			t.Errorf("crew %p: a product differs", c)
		}
		rows := random(r, 2, 6)
		c.Gather(rows, x, []int{4, 1})
		if !sameBits(rows.Row(0), x.Row(4)) || !sameBits(rows.Row(1), x.Row(1)) {
			t.Errorf("crew %p: rows 4 and 1 are not gathered", c)
		}
		var whole parts
		c.Share(&whole, 77, worthSharing-1)
		if !slices.Equal(whole.cuts, [][2]int{{0, 77}}) {
			t.Errorf("crew %p: a small task has parts %v", c, whole.cuts)
		}
	}
	var whole parts
	(*Crew)(nil).Share(&whole, 77, worthSharing)
	if !slices.Equal(whole.cuts, [][2]int{{0, 77}}) {
		t.Errorf("without a crew a task has parts %v", whole.cuts)
	}
}

// parts remembers which parts it was asked for.
type parts struct {
	mu   sync.Mutex
	cuts [][2]int
}

func (p *parts) Part(lo, hi int) {
	p.mu.Lock()
	p.cuts = append(p.cuts, [2]int{lo, hi})
	p.mu.Unlock()
}

func TestPartsCoverATaskAndAreCutAtMultiplesOfEight(t *testing.T) {
	c := hire(t, 5)
	for size := range 200 {
		var p parts
		c.Share(&p, size, worthSharing)
		slices.SortFunc(p.cuts, func(a, b [2]int) int { return a[0] - b[0] })
		end := 0
		for _, cut := range p.cuts {
			if cut[0] != end || cut[1] <= cut[0] || cut[0]%8 != 0 {
				t.Fatalf("size %d has parts %v", size, p.cuts)
			}
			end = cut[1]
		}
		if end != size || len(p.cuts) > 5 {
			t.Fatalf("size %d has parts %v", size, p.cuts)
		}
	}
}

// meeting has two parts that end when both have begun, the one that begins at late a while later.
type meeting struct {
	begun sync.WaitGroup
	late  int
}

func (m *meeting) Part(lo, hi int) {
	m.begun.Done()
	m.begun.Wait()
	if lo == m.late {
		for range 1000 {
			runtime.Gosched()
		}
	}
}

func TestPartsAreComputedByHelpersTooAndWaitedFor(t *testing.T) {
	c := hire(t, 2)
	var m meeting
	for i := range 50 {
		m.late = i % 2 * 8 // once the caller's part, once the helper's
		m.begun.Add(2)
		c.Share(&m, 16, worthSharing)
		if left := c.left.Load(); left != 0 {
			t.Fatalf("%d parts are not computed yet", left)
		}
	}
}

func TestAnOperationThatComesWhileAnotherIsSharedIsItsCallersAlone(t *testing.T) {
	c := hire(t, 2)
	var inner parts
	var after parts
	c.Share(Func(func(lo, hi int) { c.Share(&inner, 100+lo, worthSharing) }), 16, worthSharing)
	slices.SortFunc(inner.cuts, func(a, b [2]int) int { return a[1] - b[1] })
	if !slices.Equal(inner.cuts, [][2]int{{0, 100}, {0, 108}}) {
		t.Errorf("within a shared operation tasks have parts %v", inner.cuts)
	}
	if c.Share(&after, 16, worthSharing); len(after.cuts) != 2 {
		t.Errorf("behind it a task has parts %v", after.cuts)
	}
}

func TestColumnsAreSharedWhereThereAreEnough(t *testing.T) {
	c := hire(t, 2)
	for cols, want := range map[int][][2]int{
		2*enoughColumns - 1: {{0, 2*enoughColumns - 1}},
		2 * enoughColumns:   {{0, enoughColumns}, {enoughColumns, 2 * enoughColumns}},
	} {
		var p parts
		c.ShareColumns(p.Part, &kernel.Matrix{Rows: worthSharing / perElement, Cols: cols})
		slices.SortFunc(p.cuts, func(a, b [2]int) int { return a[0] - b[0] })
		if !slices.Equal(p.cuts, want) {
			t.Errorf("%d columns have parts %v, want %v", cols, p.cuts, want)
		}
	}
}

func TestAffineIsSharedByUnitsWhereThereAreEnough(t *testing.T) {
	c, r := hire(t, 2), rand.New(rand.NewPCG(13, 14))
	for units, bySamples := range map[int]bool{2*enoughUnits - 1: true, 2 * enoughUnits: false} {
		x, w := random(r, 300, 200), random(r, units, 200)
		if c.Affine(random(r, 300, units), x, w, nil); c.affine.bySamples != bySamples {
			t.Errorf("%d units: by samples is %v, want %v", units, !bySamples, bySamples)
		}
	}
}

func TestSeveralGoroutinesMayShareAtOnce(t *testing.T) {
	c, r := hire(t, 3), rand.New(rand.NewPCG(11, 12))
	z := random(r, 1, worthSharing/perElement).Row(0)
	want := make([]float64, len(z))
	sine{}.Forward(want, z)
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			a, f := make([]float64, len(z)), c.Elementwise(sine{})
			for range 20 {
				clear(a)
				if f.Forward(a, z); !sameBits(a, want) {
					t.Error("the result is another one")
				}
			}
		})
	}
	callers.Wait()
}

func TestHelpersThatSleepAreWoken(t *testing.T) {
	c := hire(t, 2)
	var m meeting
	for range 3 {
		waitUntilHelpersSleep()
		m.begun.Add(2)
		c.Share(&m, 16, worthSharing)
	}
}

// waitUntilHelpersSleep returns when the goroutine of a crew of two waits for a task without
// spinning.
func waitUntilHelpersSleep() {
	for goroutines("crew.await(", "[chan receive") != 1 {
		runtime.Gosched()
	}
}

// goroutines is the number of goroutines with all of these strings in their stacks.
func goroutines(marks ...string) int {
	buf, count := make([]byte, 1<<18), 0
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !slices.ContainsFunc(marks, func(mark string) bool { return !strings.Contains(stack, mark) }) {
			count++
		}
	}
	return count
}

func TestNothingIsAllocated(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	x, w, dz := random(r, 90, 110), random(r, 75, 110), random(r, 90, 75)
	rows, index := random(r, 400, 110), make([]int, 400)
	b, p := make([]float64, 75), &nothing{}
	z := make([]float64, worthSharing/perElement)
	for _, c := range []*Crew{nil, hire(t, 3)} {
		f := c.Elementwise(sine{})
		if n := testing.AllocsPerRun(20, func() {
			c.Affine(dz, x, w, b)
			c.MulTN(w, dz, x)
			c.MulNN(x, dz, w)
			c.Gather(rows, x, index)
			c.Dropout(z, z, 0.5, 1)
			f.Forward(z, z)
			f.Backward(z, z, z, z)
			c.Share(p, 100, worthSharing)
		}); n != 0 {
			t.Errorf("crew %p: %v allocations", c, n)
		}
	}
}

type nothing struct{}

func (*nothing) Part(lo, hi int) {}

func TestACrewIsHiredOnlyForLargeOperationsAndManyProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(before)
	if c := New(worthSharing - 1); c != nil {
		c.Dismiss()
		t.Error("a crew is hired for small operations")
	}
	c := New(worthSharing)
	if c == nil {
		t.Fatal("no crew is hired for large operations")
	}
	if got := len(c.wake) + 1; got != 4 {
		t.Errorf("the crew has %d workers, want 4", got)
	}
	c.Dismiss()
	runtime.GOMAXPROCS(1)
	if c := New(worthSharing); c != nil {
		c.Dismiss()
		t.Error("a crew is hired for one processor")
	}
}

func TestDismissEndsTheGoroutines(t *testing.T) {
	c := hire(t, 6)
	const helper = "crew.New.func1("
	c.Share(&nothing{}, 100, worthSharing)
	for goroutines(helper) != 5 {
		runtime.Gosched()
	}
	c.Dismiss()
	if got := goroutines(helper); got != 0 {
		t.Errorf("%d helpers are left", got)
	}
	c.wake = nil // the clean-up dismisses once more
	(*Crew)(nil).Dismiss()
}

// They panic in the caller's goroutine, before a part is computed that would fit.
func TestShapesThatDoNotAgreeAreRefused(t *testing.T) {
	c, r := hire(t, 2), rand.New(rand.NewPCG(7, 8))
	const n, in, out = 900, 203, 75
	m := func(rows, cols int) *kernel.Matrix { return random(r, rows, cols) }
	long := make([]float64, worthSharing/perElement+8)
	short, f := long[:worthSharing/perElement], c.Elementwise(sine{})
	for name, call := range map[string]func(){
		"Affine, other rows":    func() { c.Affine(m(n, out), m(n+8, in), m(out, in), nil) },
		"Affine, other inputs":  func() { c.Affine(m(n, out), m(n, in+8), m(out, in), nil) },
		"Affine, other units":   func() { c.Affine(m(n, out+8), m(n, in), m(out, in), nil) },
		"Affine, wide":          func() { c.Affine(m(in, n+8), m(in, out), m(n, out), nil) },
		"MulTN, other rows":     func() { c.MulTN(m(out, in), m(n+8, out), m(n, in)) },
		"MulTN, other inputs":   func() { c.MulTN(m(out, in), m(n, out), m(n, in+8)) },
		"MulTN, other units":    func() { c.MulTN(m(in, out), m(n, in+8), m(n, out)) },
		"MulNN, other rows":     func() { c.MulNN(m(n, in), m(n+8, out), m(out, in)) },
		"MulNN, other inputs":   func() { c.MulNN(m(out, n), m(out, in), m(in, n+8)) },
		"MulNN, other units":    func() { c.MulNN(m(n, in), m(n, out+8), m(out, in)) },
		"Dropout":               func() { c.Dropout(short, long, 0.5, 1) },
		"Dropout, long dst":     func() { c.Dropout(long, short, 0.5, 1) },
		"Forward":               func() { f.Forward(short, long) },
		"Forward, long a":       func() { f.Forward(long, short) },
		"Backward":              func() { f.Backward(short, short, long, long) },
		"Backward, long a":      func() { f.Backward(short, short, short, long) },
		"Gather, few rows":      func() { c.Gather(m(2, 3), m(5, 3), []int{0, 1, 2}) },
		"Gather, other columns": func() { c.Gather(m(2, 3), m(5, 4), []int{0, 1}) },
		"Gather, no such row":   func() { c.Gather(m(2, 3), m(5, 3), []int{0, 5}) },
	} {
		func() {
			c.busy.Store(false)
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}
