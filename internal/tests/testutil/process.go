package testutil

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// Kills is how many processes a test kills.
func Kills() int {
	if testing.Short() {
		return 6
	}
	return 30
}

// Child makes the command of this test binary do a job of its TestChild….
func Child(t *testing.T, c *exec.Cmd, job, path string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no processes")
	}
	if c.Path != os.Args[0] {
		c.Args = append(c.Args, os.Args[0])
	}
	c.Args = append(c.Args, "-test.run=^TestChild")
	c.Env = append(os.Environ(), "BACKPROP_CHILD="+job, "BACKPROP_PATH="+path)
	return c
}

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
