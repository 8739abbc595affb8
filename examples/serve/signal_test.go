//go:build unix

package main

import (
	"bufio"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"example.com/backprop"
)

func TestASignalEndsTheProgramCleanly(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		program, url, _ := startProgram(t, trained(t))
		if status, body := post(t, url, slowBody); status != http.StatusOK {
			t.Errorf("status %d, %s", status, body)
		}
		end(t, program, signal)
	}
}

func TestAHangupLoadsTheFileAnew(t *testing.T) {
	path := trained(t)
	program, url, lines := startProgram(t, path)
	hangup := func(want string) {
		t.Helper()
		if err := program.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Fatalf("the program says %q, want %q", lines.Text(), want)
		}
	}
	if err := os.WriteFile(path, []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	hangup("the old network goes on")
	if status, body := post(t, url, slowBody); status != http.StatusOK {
		t.Errorf("after a broken file: status %d, %s", status, body)
	}
	if err := modelOf(t, 2, backprop.Dense{Units: 1}).network.Save(path); err != nil {
		t.Fatal(err)
	}
	hangup("is loaded anew")
	if status, body := post(t, url, `{"inputs":[0,0]}`); string(body) != `{"outputs":[0]}`+"\n" {
		t.Errorf("after a new file: status %d, %s", status, body)
	}
	end(t, program, syscall.SIGTERM)
}

// startProgram starts the server as a process, and waits until it listens.
func startProgram(t *testing.T, path string) (program *exec.Cmd, url string, lines *bufio.Scanner) {
	t.Helper()
	program = exec.CommandContext(t.Context(), os.Args[0], "-model", path, "-addr", "127.0.0.1:0")
	program.Env = append(os.Environ(), "SERVE=1")
	stderr, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); errors.Is(err, syscall.ENOEXEC) {
		t.Skip("an emulated program cannot start itself")
	} else if err != nil {
		t.Fatal(err)
	}
	lines = bufio.NewScanner(stderr)
	if !lines.Scan() {
		t.Fatal("the program says nothing")
	}
	_, url, ok := strings.Cut(lines.Text(), "listening on ")
	if !ok {
		t.Fatalf("the program says %q", lines.Text())
	}
	return program, url + "/predict", lines
}

// end ends the program with a signal.
func end(t *testing.T, program *exec.Cmd, signal os.Signal) {
	t.Helper()
	if err := program.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if err := program.Wait(); err != nil {
		t.Errorf("after %v: %v", signal, err)
	}
}
