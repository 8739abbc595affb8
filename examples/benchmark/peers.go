package main

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
)

//go:embed peers.py
var script string

// A peer is a Python process that runs the same workloads. It ends with its standard input, when
// this process does.
type peer struct {
	Name    string // with its version, as it introduces itself
	process *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	stderr  bytes.Buffer
}

// startPeer starts the script, with one thread, and sends it the workloads. Its error says why
// there is no such peer.
func startPeer(python, name string, list []*workload) (*peer, error) {
	p := &peer{process: exec.Command(python, "-c", script, name)}
	p.process.Env = append(os.Environ(), "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1")
	p.process.Stderr = &p.stderr
	in, errIn := p.process.StdinPipe()
	out, errOut := p.process.StdoutPipe()
	if err := errors.Join(errIn, errOut, p.process.Start()); err != nil {
		return nil, err
	}
	p.in, p.out = in, json.NewDecoder(out)
	if err := p.out.Decode(p); err != nil {
		return nil, p.failed(err)
	}
	for i, w := range list {
		fresh := i == 0 || w.data != list[i-1].data
		if err := p.load(w, fresh); err != nil {
			return nil, p.failed(err)
		}
	}
	return p, nil
}

// load sends a workload: its description as a line of JSON, the network as a safetensors file, and
// fresh data as float64, little-endian; else the data are those of the workload before.
func (p *peer) load(w *workload, fresh bool) error {
	c, x, y := w.config, w.data.x.RawMatrix(), w.data.y.RawMatrix()
	order := make([][]int, c.Epochs) // the one in which Train takes the samples: that the losses agree shows it
	for epoch := range order {
		order[epoch] = rand.New(rand.NewPCG(c.Seed, uint64(epoch))).Perm(x.Rows)
	}
	err := json.NewEncoder(p.in).Encode(map[string]any{
		"load": w.title, "fresh": fresh, "rows": x.Rows, "inputs": x.Cols, "outputs": y.Cols,
		"calls": w.calls, "epochs": c.Epochs, "batch": c.BatchSize, "order": order, "rate": c.LearningRate,
		"loss": fmt.Sprintf("%T", c.Loss), "optimizer": fmt.Sprintf("%T", c.Optimizer), "settings": c.Optimizer,
		"l2": c.L2, "weight_decay": c.WeightDecay, "clip_norm": c.ClipNorm, "clip_value": c.ClipValue,
	})
	if err == nil {
		_, err = w.net.WriteTo(p.in)
	}
	if err == nil && fresh {
		err = errors.Join(binary.Write(p.in, binary.LittleEndian, x.Data), binary.Write(p.in, binary.LittleEndian, y.Data))
	}
	return err
}

// run is one run of a workload; the peer answers null if it takes no part.
func (p *peer) run(w *workload) (r result, err error) {
	err = json.NewEncoder(p.in).Encode(map[string]string{"run": w.title})
	if err == nil {
		err = p.out.Decode(&r)
	}
	if err != nil {
		return r, p.failed(err)
	}
	return r, nil
}

// failed adds what the process has said to an error, having ended it.
func (p *peer) failed(err error) error {
	p.in.Close()
	p.process.Wait()
	return fmt.Errorf("%s: %w: %s", p.process.Path, err, bytes.TrimSpace(p.stderr.Bytes()))
}
