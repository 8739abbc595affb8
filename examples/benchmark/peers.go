package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed peers.py
var peersScript []byte

// A peer is a Python process that runs the same workloads. It waits for commands, so that starting
// it and loading data count in no measurement.
type peer struct {
	Name, Version string
	module        string
	process       *exec.Cmd
	commands      io.WriteCloser
	answers       *bufio.Reader
	stderr        bytes.Buffer
}

// startPeer starts the script for numpy, torch or float32, with one thread. Its error says why
// there is no such peer.
func startPeer(python, dir, name, module string) (*peer, error) {
	script := filepath.Join(dir, "peers.py")
	if err := os.WriteFile(script, peersScript, 0o600); err != nil {
		return nil, err
	}
	p := &peer{Name: name, module: module, process: exec.Command(python, script, module)}
	p.process.Env = append(os.Environ(), "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1")
	p.process.Stderr = &p.stderr
	var err error
	if p.commands, err = p.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = bufio.NewReader(out)
	if err := p.process.Start(); err != nil {
		return nil, err
	}
	var hello struct{ Version, Error string }
	err = p.answer(&hello)
	if err == nil && hello.Error != "" {
		err = errors.New(hello.Error)
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	p.Version = hello.Version
	return p, nil
}

// takes reports whether the peer takes part in a workload: options are PyTorch's alone.
func (p *peer) takes(w *workload) bool { return w.Modules == "" || p.module != "numpy" }

// tolerance is by how much its losses may differ, relatively. Dropout draws other numbers there,
// and clipping adds 1e-6 to the norm.
func (p *peer) tolerance(w *workload) float64 {
	switch {
	case strings.Contains(w.Modules, "Dropout"):
		return 1
	case strings.Contains(w.Clip, "norm") || p.module == "float32":
		return 1e-3
	}
	return 1e-9
}

// load lets the peer read a workload that has been saved.
func (p *peer) load(description json.RawMessage) error {
	return p.ask(map[string]any{"load": description}, new(struct{}))
}

// run is one round of a workload.
func (p *peer) run(name string) (r result, err error) {
	err = p.ask(map[string]any{"run": name}, &r)
	return r, err
}

func (p *peer) ask(command, answer any) error {
	if err := json.NewEncoder(p.commands).Encode(command); err != nil {
		return p.failed(err)
	}
	return p.answer(answer)
}

func (p *peer) answer(v any) error {
	line, err := p.answers.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		return p.failed(err)
	}
	return nil
}

// failed adds what the process has said to an error, having ended it.
func (p *peer) failed(err error) error {
	p.stop()
	return fmt.Errorf("%s: %w\n%s", p.process.Path, err, p.stderr.Bytes())
}

// stop ends the process.
func (p *peer) stop() {
	p.commands.Close()
	p.process.Wait()
}
