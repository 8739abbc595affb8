// Command benchmark measures the library, and beside it NumPy and PyTorch where they are installed,
// on the same data, initial weights and batches: large networks, small ones, every optimizer, and
// one network with every activation, layer and loss that it may have.
//
//	go run ./examples/benchmark
//	go run ./examples/benchmark -python /usr/bin/python3 -rounds 20
//	go run ./examples/benchmark -rows '784-128.*Adam|XOR'
//
// Every side has one thread, but for the last column, our own with two workers. The sides take turns
// of a tenth of a second or more, and the fastest of all runs counts, so that whatever else the
// machine does disturbs them alike. Only the training or the prediction itself is timed, by the
// process that does it. All sides must end on the same loss, but for float32 and for dropout, which
// draws other numbers in PyTorch. NumPy takes part where dense layers, gradient descent and Adam are
// all that is needed.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("benchmark: ")
	python := flag.String("python", "python3", "the Python `program` for NumPy and PyTorch")
	rounds := flag.Int("rounds", 7, "how often everything is measured")
	var rows regexp.Regexp
	flag.TextVar(&rows, "rows", regexp.MustCompile(""), "measure only rows whose title matches this `regexp`")
	flag.Parse()
	list := slices.DeleteFunc(workloads(), func(w *workload) bool { return !rows.MatchString(w.title) })
	if flag.NArg() > 0 || len(list) == 0 || *rounds < 1 {
		log.Fatal("want -rounds of 1 or more, -rows that match a title of the table, and no other words")
	}
	sides := start(*python, list)
	// The first milliseconds after the others' turns find cold caches and a slow clock.
	if err := measure(sides, list, *rounds, time.Second/10); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %s/%s, %s; one thread each, minimum of %d rounds, others in multiples of our time: "+
		"`go run ./examples/benchmark -rounds %[5]d -python %s -rows '%v'`\n\n",
		processor(), runtime.GOOS, runtime.GOARCH, runtime.Version(), *rounds, *python, &rows)
	printTable(os.Stdout, sides, list)
}

// A side is one of those who are compared, with a column of the table.
type side struct {
	name string
	run  func(w *workload) (result, error) // from the initial parameters; the zero result if it takes no part
}

// A result is what one run of a workload gives.
type result struct {
	Seconds     float64
	First, Last float64 // mean losses of the first and the last epoch; of a prediction, Last
	Tolerance   float64 // by how much Last may differ from ours, relatively
}

// start makes the sides ready, the first being ours, and tells which peers are left out.
func start(python string, list []*workload) []side {
	sides := []side{{"ours", (*workload).run}}
	for _, name := range []string{"NumPy", "PyTorch", "PyTorch float32"} {
		p, err := startPeer(python, name, list)
		if err != nil {
			log.Printf("%s is left out: %v", name, err)
			continue
		}
		sides = append(sides, side{p.Name, p.run})
	}
	if runtime.NumCPU() > 1 {
		sides = append(sides, side{"ours, two workers", func(w *workload) (result, error) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
			return w.run()
		}})
	}
	return sides
}

// measure lets the sides take turns at every workload, again and again, and keeps the fastest runs.
func measure(sides []side, list []*workload, rounds int, turn time.Duration) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	start := time.Now()
	for n := range rounds {
		for _, w := range list {
			if w.best == nil {
				w.best = make([]result, len(sides))
			}
			for i, s := range sides {
				if err := w.takeTurn(s, turn, &w.best[i]); err != nil {
					return fmt.Errorf("%s: %s: %w", w.title, s.name, err)
				}
			}
		}
		log.Printf("round %d of %d, %.0f s", n+1, rounds, time.Since(start).Seconds())
	}
	return nil
}

// takeTurn lets a side run a workload again and again for a turn.
func (w *workload) takeTurn(s side, turn time.Duration, best *result) error {
	for start := time.Now(); time.Since(start) < turn; {
		r, err := s.run(w)
		if err != nil || r.Seconds == 0 {
			return err
		}
		if best.Seconds == 0 || r.Seconds < best.Seconds {
			*best = r
		}
		if err := w.check(r); err != nil {
			return err
		}
	}
	return nil
}

// check returns an error if the loss has not fallen, or is not ours.
func (w *workload) check(r result) error {
	if w.config.Epochs > 1 && !(r.Last < r.First) {
		return fmt.Errorf("the loss does not fall: %v, then %v", r.First, r.Last)
	}
	if ours := w.best[0].Last; !(math.Abs(r.Last-ours) <= r.Tolerance*math.Abs(ours)) {
		return fmt.Errorf("it ends on another loss: %v, ours is %v", r.Last, ours)
	}
	return nil
}

// printTable writes a row for each workload in Markdown: our time of an epoch or a prediction, and
// how many times as long the others take, if they take part.
func printTable(out io.Writer, sides []side, list []*workload) {
	fmt.Fprint(out, "| network |")
	for _, s := range sides {
		fmt.Fprintf(out, " %s |", s.name)
	}
	fmt.Fprintf(out, "\n|%s\n", strings.Repeat(" --- |", 1+len(sides)))
	for _, w := range list {
		ours := w.best[0].Seconds
		fmt.Fprintf(out, "| %s | %s |", w.title, duration(ours/float64(cmp.Or(w.config.Epochs, w.calls))))
		for _, r := range w.best[1:] {
			if r.Seconds > 0 {
				fmt.Fprintf(out, " %.3g × |", r.Seconds/ours)
			} else {
				fmt.Fprint(out, " – |")
			}
		}
		fmt.Fprintln(out)
	}
}

// duration is a number of seconds in the unit that suits it.
func duration(d float64) string {
	for _, unit := range []string{"s", "ms", "µs"} {
		if d >= 1 {
			return fmt.Sprintf("%.3g %s", d, unit)
		}
		d *= 1000
	}
	return fmt.Sprintf("%.0f ns", d)
}

// processor is the name of the processor, where Linux tells it.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	if m := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindSubmatch(info); m != nil {
		return fmt.Sprintf("%d × %s", runtime.NumCPU(), m[1])
	}
	return fmt.Sprintf("%d processors", runtime.NumCPU())
}
