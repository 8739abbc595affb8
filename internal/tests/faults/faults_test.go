// Package faults_test holds that Save and a checkpoint keep their promise whatever system call
// fails, and wherever their process is killed: there is always the old file or the new one, whole,
// and who is told that it is the new one can rely on that.
package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

// The process that faults are injected into makes all its calls in the main thread, whose calls can
// be counted.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	job, ok := jobs[os.Getenv("BACKPROP_CHILD")]
	if !ok {
		os.Exit(m.Run())
	}
	if err := job(os.Getenv("BACKPROP_PATH")); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("done")
}

// jobs are what the processes do.
var jobs = map[string]func(path string) error{
	"save":  func(path string) error { return newNetwork().Save(path) },
	"train": func(path string) error { _, err := train(path); return err },
}

// newNetwork takes three pieces to be written.
func newNetwork() *Network {
	net, err := New(150, Dense{Units: 120})
	if err != nil {
		panic(err)
	}
	return net
}

// train trains a network from the beginning or, if there is a checkpoint, from there.
func train(checkpoint string) (*Network, error) {
	net, err := New(3, Standardize{}, Dense{Units: 4, Activation: Tanh}, Dense{Units: 1})
	if err != nil {
		return nil, err
	}
	config := TrainConfig{LearningRate: 0.1, Epochs: 2, BatchSize: 4, Optimizer: &Adam{}, Checkpoint: checkpoint}
	_, err = net.Train(context.Background(), Pattern(9, 3), Pattern(9, 1), config)
	return net, err
}

// A call is a system call of a job that has to do with its files: number n of its name.
type call struct {
	name string
	n    int
}

// traced runs a job under strace with some options, and returns what it writes and strace's log.
func traced(t *testing.T, job, path string, options ...string) (out, log string, err error) {
	t.Helper()
	logFile := filepath.Join(t.TempDir(), "log")
	strace := slices.Concat([]string{"strace", "-f", "-y", "-o", logFile}, options, []string{"--"})
	child := Child(t, job, path, strace...)
	child.Env = append(child.Env, "GOMAXPROCS=1", "GOGC=off") // fewer threads, see ofRuntime
	b, err := child.CombinedOutput()
	text, _ := os.ReadFile(logFile)
	return string(b), string(text), err
}

const calls = "openat,newfstatat,fstat,readlinkat,getdents64,flock,write,fsync,rename,renameat,renameat2,unlinkat,close"

var line = regexp.MustCompile(`^(\d+) +(\w+)\(`)

// callsOf returns the calls of a job that name the folder of the file at path.
func callsOf(t *testing.T, job, path string) []call {
	t.Helper()
	out, log, err := traced(t, job, path, "-e", "trace="+calls)
	if err != nil || out != "done\n" {
		t.Skipf("strace does not run here: %v, %s", err, out)
	}
	var list []call
	main, count := "", map[string]int{}
	for l := range strings.Lines(log) {
		m := line.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		if main == "" {
			main = m[1]
		}
		if m[1] != main {
			if strings.Contains(l, filepath.Dir(path)) {
				t.Fatalf("a call of another thread: %s", l)
			}
			continue
		}
		count[m[2]]++
		if strings.Contains(l, filepath.Dir(path)) {
			list = append(list, call{m[2], count[m[2]]})
		}
	}
	return list
}

// faults are what happens at a call.
func faults() []string {
	if testing.Short() {
		return []string{"error=EIO", "signal=SIGKILL"}
	}
	return []string{"error=EIO", "error=ENOSPC", "error=EACCES", "signal=SIGKILL"}
}

// eachFault runs a job, made ready by prepare, once for each fault at each of its calls, and hands
// what came of it to check.
func eachFault(t *testing.T, job string, prepare func(path string), check func(t *testing.T, path, fault, out string)) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip(err)
	}
	info, _ := debug.ReadBuildInfo()
	if info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("some hundred processes start slowly under the race detector")
	}
	path := filepath.Join(t.TempDir(), "file")
	prepare(path)
	hit := map[string]int{}
	list := callsOf(t, job, path)
	for _, c := range list {
		for _, f := range faults() {
			fault := fmt.Sprintf("%s:%s:when=%d", c.name, f, c.n)
			var path, out, log string
			for try := 0; try < 10 && (try == 0 || ofRuntime(out)); try++ {
				path = filepath.Join(t.TempDir(), "file")
				prepare(path)
				out, log, _ = traced(t, job, path, "-e", "trace="+c.name, "-e", "inject="+fault)
			}
			if strings.Contains(log, "INJECTED") || strings.Contains(log, "killed by SIGKILL") {
				hit[c.name]++
			}
			check(t, path, fault, out)
		}
	}
	t.Logf("%d calls; faults that hit: %v", len(list), hit)
	for _, name := range []string{"openat", "write", "fsync", "close"} {
		if hit[name] == 0 {
			t.Errorf("no fault has hit %s", name)
		}
	}
	if hit["rename"]+hit["renameat"]+hit["renameat2"] == 0 {
		t.Error("no fault has hit a rename")
	}
}

// ofRuntime tells whether a process ended because the fault had hit Go's own threads: each thread's
// calls are counted for themselves.
func ofRuntime(out string) bool { return strings.Contains(out, "fatal error: ") }

// leftovers returns the temporary files beside the file at path.
func leftovers(t *testing.T, path string) []string {
	return Value(filepath.Glob(path + "?*"))(t)
}

func TestSaveOutlivesEveryFault(t *testing.T) {
	whole, old := BytesOf(t, newNetwork()), []byte("what stood there before")
	prepare := func(path string) { NoError(t, os.WriteFile(path, old, 0o600)) }
	eachFault(t, "save", prepare, func(t *testing.T, path, fault, out string) {
		got := Value(os.ReadFile(path))(t)
		killed := strings.Contains(fault, "SIGKILL")
		switch {
		case bytes.Equal(got, whole):
			if !killed && out != "done\n" && !strings.Contains(out, "the file is written") {
				t.Errorf("%s: the file is the new one, the report %.300q", fault, out)
			}
		case !bytes.Equal(got, old):
			t.Errorf("%s: %d bytes that are neither the old file nor the new one", fault, len(got))
		case killed != (out == "") || !killed && !strings.HasPrefix(out, "backprop: Save: "+path+": "):
			t.Errorf("%s: the file is the old one, the report %.300q", fault, out)
		}
		if info := Value(os.Stat(path))(t); info.Mode() != 0o600 {
			t.Errorf("%s: the file's mode is %v", fault, info.Mode())
		}
		if strings.Contains(out, ".saving-") {
			t.Errorf("%s: the report names a temporary file: %s", fault, out)
		}
		if left := leftovers(t, path); !killed && !strings.HasPrefix(fault, "unlinkat") && len(left) > 0 {
			t.Errorf("%s: left are %v", fault, left)
		}
		NoError(t, newNetwork().Save(path))
		if left := leftovers(t, path); len(left) > 0 {
			t.Errorf("%s: the next Save leaves %v", fault, left)
		}
	})
}

// A name must not last longer than what it names, nor a file be removed before another has its name.
func TestSaveSyncsTheFileThenRenamesItThenSyncsTheFolder(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "file")
	NoError(t, os.WriteFile(path, nil, 0o666))
	var order []string
	for _, c := range callsOf(t, "save", path) {
		switch {
		case c.name == "write" || c.name == "fsync" || c.name == "unlinkat":
			order = append(order, c.name)
		case strings.HasPrefix(c.name, "rename"):
			order = append(order, "rename")
		}
	}
	if want := []string{"write", "fsync", "rename", "fsync"}; !slices.Equal(slices.Compact(order), want) {
		t.Errorf("%v, want %v", order, want)
	}
}

// A folder that cannot be synced is reported, unless its file system cannot do it.
func TestSaveReportsAFolderThatCannotBeSynced(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "file")
	last := call{}
	for _, c := range callsOf(t, "save", path) {
		if c.name == "fsync" {
			last = c
		}
	}
	for fault, want := range map[string]string{
		"EIO":    "backprop: Save: " + path + ": the file is written, but a crash of the system may undo it, since its folder cannot be synced: input/output error\n",
		"EINVAL": "done\n", "EOPNOTSUPP": "done\n", "ENOSYS": "done\n",
	} {
		out, _, _ := traced(t, "save", path, "-e", fmt.Sprintf("inject=fsync:error=%s:when=%d", fault, last.n)) // no other thread syncs
		if out != want {
			t.Errorf("%s: %q, want %q", fault, out, want)
		}
	}
}

// Whatever has happened, a training that is taken up ends with the bits of one that went through,
// or begins anew where there was no file yet.
func TestACheckpointOutlivesEveryFault(t *testing.T) {
	want := BytesOf(t, Value(train(""))(t))
	eachFault(t, "train", func(string) {}, func(t *testing.T, path, fault, out string) {
		_, err := os.Lstat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) || err != nil && out == "done\n" {
			t.Errorf("%s: %v, the report %.300q", fault, err, out)
		}
		if err == nil {
			Value(Load(path))(t)
		}
		if out == "done\n" && !bytes.Equal(BytesOf(t, Value(Load(path))(t)), want) {
			t.Errorf("%s: not the last state, and no report", fault)
		}
		if !strings.Contains(fault, "SIGKILL") && out != "done\n" && !strings.HasPrefix(out, "backprop: Train: Checkpoint "+path+": ") {
			t.Errorf("%s: the report %.300q", fault, out)
		}
		net, err := train(path)
		if err != nil || !bytes.Equal(BytesOf(t, net), want) {
			t.Errorf("%s: taken up: other bits, %v", fault, err)
		}
		if left := leftovers(t, path); len(left) > 0 && (out != "done\n" || !strings.HasPrefix(fault, "unlinkat")) {
			t.Errorf("%s: left are %v", fault, left)
		}
	})
}
