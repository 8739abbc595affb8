package testutil

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Kills is how many processes a test kills.
func Kills() int {
	if testing.Short() {
		return 6
	}
	return 30
}

// Child is a command by which this test binary does a job of its TestChild…, started by another
// command if one is given, and by BACKPROP_EXEC, which is the -exec of go test.
func Child(t *testing.T, job, path string, by ...string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no processes")
	}
	if err := startSelf(); err != nil {
		if strings.Contains(err.Error(), "exec format error") {
			t.Skip("an emulated program cannot start itself; with BACKPROP_EXEC=qemu-… it can")
		}
		t.Fatal(err)
	}
	args := slices.Concat(by, self(), []string{"-test.run=^TestChild"})
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), "BACKPROP_CHILD="+job, "BACKPROP_PATH="+path)
	return c
}

// self is the command of this test binary.
func self() []string { return append(strings.Fields(os.Getenv("BACKPROP_EXEC")), os.Args[0]) }

// startSelf starts the test binary, which does nothing, once.
var startSelf = sync.OnceValue(func() error {
	args := append(self(), "-test.run=^$")
	return exec.Command(args[0], args[1:]...).Run()
})

// Kill starts a command and kills it after it has written so many lines and
// some more time has gone. It tells whether the command was still at work.
func Kill(t *testing.T, c *exec.Cmd, lines, spin int) bool {
	t.Helper()
	out := Value(c.StdoutPipe())(t)
	NoError(t, c.Start())
	scanner := bufio.NewScanner(out)
	for range lines {
		if !scanner.Scan() || scanner.Text() == "PASS" {
			break
		}
	}
	for range spin {
		runtime.Gosched()
	}
	c.Process.Kill()
	err := c.Wait()
	if err != nil && !wasKilled(err) {
		t.Fatal(err)
	}
	return err != nil
}

// wasKilled tells whether a process was ended by Kill. On Windows that looks like a process that
// ends by itself with status 1.
func wasKilled(err error) bool {
	exit := (*exec.ExitError)(nil)
	return errors.As(err, &exit) && (!exit.Exited() || runtime.GOOS == "windows" && exit.ExitCode() == 1)
}
