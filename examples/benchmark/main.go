// Command benchmark measures the library, and beside it NumPy and PyTorch where they are installed,
// on the same data, initial weights and batches: large networks, small ones, and one with every
// activation, layer, loss and optimizer that a network may have.
//
//	go run ./examples/benchmark
//	go run ./examples/benchmark -python /usr/bin/python3 -rounds 20
//	go run ./examples/benchmark -only options
//
// Every side has one thread. The sides take turns of a tenth of a second or more, and the fastest
// of all runs counts, so that whatever else the machine does disturbs them alike. Only the training
// or the prediction itself is timed, by the process that does it. All sides must end on the same
// loss, but for float32 and for dropout, which draws other numbers there.
package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"runtime"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	python := flag.String("python", "python3", "the Python `program` for NumPy and PyTorch")
	rounds := flag.Int("rounds", 7, "how often everything is measured")
	only := flag.String("only", "", "comma-separated `names` of the workloads to measure: "+strings.Join(names(workloads), ", "))
	flag.Parse()
	chosen, err := choose(workloads, *only)
	if err != nil {
		log.Fatal("benchmark: ", err)
	}
	b, err := newBench(*python, chosen)
	if err != nil {
		log.Fatal("benchmark: ", err)
	}
	defer b.close()
	if err := b.measure(*rounds, os.Stderr); err != nil {
		b.close()
		log.Fatal("benchmark: ", err)
	}
	command := strings.Join(append([]string{"go run ./examples/benchmark"}, os.Args[1:]...), " ")
	b.print(os.Stdout, command, *rounds)
	if complaints := b.complaints(); len(complaints) > 0 {
		b.close()
		log.Fatal(strings.Join(complaints, "\n"))
	}
}

func names(all []*workload) (names []string) {
	for _, w := range all {
		names = append(names, w.Name)
	}
	return names
}

// choose is all workloads, or those of the given names; "options" is all options.
func choose(all []*workload, only string) (chosen []*workload, err error) {
	if only == "" {
		return all, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, w := range all {
			if w.Name == name || w.Data == name {
				chosen, found = append(chosen, w), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no workload %q, only %s", name, strings.Join(names(all), ", "))
		}
	}
	return chosen, nil
}

// A bench is one run of the program.
type bench struct {
	peers  []*peer
	absent []string // a line for each peer that is left out
	rows   []*row
}

// A row is what has been measured of one workload: by us, the peers in their order, and us with two
// workers. Seconds are the lowest of all rounds.
type row struct {
	*workload
	ours  result
	peers []result
	two   result
}

// newBench starts the peers and prepares the workloads.
func newBench(python string, chosen []*workload) (*bench, error) {
	dir, err := os.MkdirTemp("", "benchmark")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // once the peers have read it
	b := new(bench)
	for _, p := range [][2]string{{"NumPy", "numpy"}, {"PyTorch", "torch"}, {"PyTorch float32", "float32"}} {
		peer, err := startPeer(python, dir, p[0], p[1])
		if err != nil {
			b.absent = append(b.absent, fmt.Sprintf("%s is left out: %v", p[0], err))
			continue
		}
		b.peers = append(b.peers, peer)
	}
	for _, w := range chosen {
		if err := b.prepare(w, dir); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

// prepare makes a workload ready on all sides.
func (b *bench) prepare(w *workload, dir string) error {
	if err := w.prepare(); err != nil {
		return err
	}
	b.rows = append(b.rows, &row{workload: w, peers: make([]result, len(b.peers))})
	if len(b.peers) == 0 {
		return nil
	}
	description, err := w.save(dir)
	if err != nil {
		return err
	}
	for _, p := range b.peers {
		if !p.takes(w) {
			continue
		}
		if err := p.load(description); err != nil {
			return err
		}
	}
	return nil
}

// close stops the peers.
func (b *bench) close() {
	for _, p := range b.peers {
		p.stop()
	}
}

// measure lets the sides take turns at every workload, again and again.
func (b *bench) measure(rounds int, progress io.Writer) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	start := time.Now()
	for n := range rounds {
		for _, r := range b.rows {
			if err := b.round(r); err != nil {
				return fmt.Errorf("%s: %w", r.Name, err)
			}
		}
		fmt.Fprintf(progress, "round %d of %d, %.0f s\n", n+1, rounds, time.Since(start).Seconds())
	}
	return nil
}

// round measures every side at one workload.
func (b *bench) round(r *row) error {
	if err := r.ours.improve(r.run); err != nil {
		return err
	}
	for i, p := range b.peers {
		if !p.takes(r.workload) {
			continue
		}
		if err := r.peers[i].improve(func() (result, error) { return p.run(r.Name) }); err != nil {
			return err
		}
	}
	if !r.Workers || runtime.NumCPU() < 2 {
		return nil
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	return r.two.improve(r.run)
}

// turn is how long a side's turn takes at least: the first milliseconds after the others' find cold
// caches and a slow clock.
const turn = 100 * time.Millisecond

// improve runs a workload again and again for a turn and keeps the fastest.
func (r *result) improve(run func() (result, error)) error {
	for start := time.Now(); time.Since(start) < turn; {
		now, err := run()
		if err != nil {
			return err
		}
		if r.Seconds == 0 || now.Seconds < r.Seconds {
			*r = now
		}
	}
	return nil
}

// print writes the tables in Markdown.
func (b *bench) print(w io.Writer, command string, rounds int) {
	versions := []string{strings.Replace(runtime.Version(), "go", "Go ", 1)}
	for _, p := range b.peers {
		versions = append(versions, p.Version)
	}
	fmt.Fprintf(w, "%s, %s/%s; %s; one thread each, minimum of %d rounds, peers in multiples of our time: `%s`\n\n",
		processor(), runtime.GOOS, runtime.GOARCH, strings.Join(versions, ", "), rounds, command)
	for _, line := range b.absent {
		fmt.Fprintf(w, "%s\n\n", line)
	}
	b.printTable(w, "network", func(r *row) bool { return r.Modules == "" && !r.Small })
	b.printTable(w, "small network", func(r *row) bool { return r.Small })
	b.printTable(w, "option, 784-256-256-10: an epoch", func(r *row) bool { return r.Modules != "" })
	b.printWorkers(w)
}

// printTable writes the rows that belong to it, if there are any: our time, and how many times as
// long those take who take part.
func (b *bench) printTable(w io.Writer, title string, belongs func(r *row) bool) {
	header, headed := fmt.Sprintf("\n| %s | ours |", title), false
	for _, r := range b.rows {
		if !belongs(r) {
			continue
		}
		line := fmt.Sprintf("| %s | %s |", r.Title, r.time(r.ours))
		columns := 2
		for i, p := range b.peers {
			if !p.takes(r.workload) {
				continue
			}
			line += fmt.Sprintf(" %.3g × |", r.peers[i].Seconds/r.ours.Seconds)
			header += fmt.Sprintf(" %s |", p.Name)
			columns++
		}
		if !headed {
			fmt.Fprintf(w, "%s\n|%s\n", header, strings.Repeat(" --- |", columns))
		}
		headed = true
		fmt.Fprintln(w, line)
	}
}

// printWorkers writes the table of two workers against one.
func (b *bench) printWorkers(w io.Writer) {
	if runtime.NumCPU() < 2 {
		fmt.Fprintln(w, "\nTwo workers are left out: there is one processor.")
		return
	}
	header := "\n| workload | one worker | two workers | one / two |\n| --- | --- | --- | --- |\n"
	for _, r := range b.rows {
		if r.Workers {
			fmt.Fprintf(w, "%s| %s | %s | %s | %.3g |\n", header, r.Title, r.time(r.ours), r.time(r.two), r.ours.Seconds/r.two.Seconds)
			header = ""
		}
	}
}

// time is the time of one epoch or call.
func (r *row) time(of result) string {
	d := of.Seconds / float64(cmp.Or(r.Epochs, r.Calls))
	for _, unit := range []string{"s", "ms", "µs"} {
		if d >= 1 {
			return fmt.Sprintf("%.3g %s", d, unit)
		}
		d *= 1000
	}
	return fmt.Sprintf("%.0f ns", d)
}

// complaints tells where a loss has not fallen, or another is reached.
func (b *bench) complaints() (lines []string) {
	for _, r := range b.rows {
		if r.Epochs > 1 && !(r.ours.Last < r.ours.First) {
			lines = append(lines, fmt.Sprintf("%s: the loss does not fall: %v, then %v", r.Name, r.ours.First, r.ours.Last))
		}
		for i, p := range r.peers {
			if p.Seconds > 0 && math.Abs(p.Last-r.ours.Last) > b.peers[i].tolerance(r.workload)*math.Abs(r.ours.Last) {
				lines = append(lines, fmt.Sprintf("%s: %s ends on another loss: %v, ours %v", r.Name, b.peers[i].Name, p.Last, r.ours.Last))
			}
		}
		if r.two.Seconds > 0 && r.two.Last != r.ours.Last {
			lines = append(lines, fmt.Sprintf("%s: two workers end on another loss: %v, one on %v", r.Name, r.two.Last, r.ours.Last))
		}
	}
	return lines
}

// processor is the name of the processor, where Linux tells it.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(info) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(name)) == "model name" {
			return fmt.Sprintf("%d × %s", runtime.NumCPU(), bytes.TrimSpace(value))
		}
	}
	return fmt.Sprintf("%d processors", runtime.NumCPU())
}
