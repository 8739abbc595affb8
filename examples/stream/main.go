// Command stream trains on a file that is larger than memory: its samples are read batch by batch,
// epoch by epoch, and a network's memory does not grow with them.
//
//	go run ./examples/stream -size 4096
//
// writes a file of 4096 MB into the folder for temporary files, trains on it, and takes it away. A
// sample is nine numbers of four bytes, little-endian: eight inputs and a noisy function of them.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"iter"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

const (
	inputs     = 8
	sampleSize = 4 * (inputs + 1) // bytes
	batchSize  = 1024
)

func main() {
	log.SetFlags(0)
	size := flag.Int("size", 64, "the file's size in MB")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("stream: %q is not used; only flags are", flag.Arg(0))
	}
	if *size < 1 {
		log.Fatalf("stream: -size is %d, want 1 or more", *size)
	}
	if _, err := run(os.Stdout, *size<<20/sampleSize); err != nil {
		log.Fatal("stream: ", err)
	}
}

// run trains on so many samples, once each, and returns their loss.
func run(w io.Writer, samples int) (loss float64, err error) {
	path, err := write(samples)
	if err != nil {
		return 0, err
	}
	defer os.Remove(path)
	net, err := backprop.New(inputs,
		backprop.Standardize{},
		backprop.Dense{Units: 16, Activation: backprop.Tanh},
		backprop.Dense{Units: 1},
		backprop.Unstandardize{},
	)
	if err != nil {
		return 0, err
	}
	for first, err := range batches(path, 0) { // a sample of the samples, for the units
		if err == nil {
			err = net.Adapt(first)
		}
		if err != nil {
			return 0, err
		}
		break
	}
	start := time.Now()
	h, err := net.TrainBatches(context.Background(),
		func(epoch int) iter.Seq2[backprop.Data, error] { return batches(path, epoch) },
		backprop.TrainConfig{LearningRate: 1e-3, Epochs: 1, Optimizer: &backprop.Adam{}, Progress: os.Stderr})
	if err != nil {
		return 0, err
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	fmt.Fprintf(w, "%d MB, %d samples in %.1f s: loss %.4f, with %d MB of memory from the system\n",
		samples*sampleSize>>20, samples, time.Since(start).Seconds(), h.Epochs[0].Loss, memory.Sys>>20)
	return h.Epochs[0].Loss, nil
}

// batches reads a file from its beginning to its end. Every epoch reads the same order, so the
// epoch's number plays no part; a file like this is shuffled when it is written.
func batches(path string, _ int) iter.Seq2[backprop.Data, error] {
	return func(yield func(backprop.Data, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(backprop.Data{}, err)
			return
		}
		defer f.Close()
		r, buf := bufio.NewReaderSize(f, 1<<20), make([]byte, batchSize*sampleSize)
		x, y := mat.NewDense(batchSize, inputs, nil), mat.NewDense(batchSize, 1, nil)
		for {
			n, err := io.ReadFull(r, buf)
			if err == io.EOF {
				return
			}
			if n%sampleSize != 0 || err != nil && err != io.ErrUnexpectedEOF {
				yield(backprop.Data{}, fmt.Errorf("%s ends within a sample: %w", path, err))
				return
			}
			rows := n / sampleSize
			decode(x, y, buf[:n])
			if !yield(backprop.Data{X: x.Slice(0, rows, 0, inputs), Y: y.Slice(0, rows, 0, 1)}, nil) {
				return
			}
		}
	}
}

func decode(x, y *mat.Dense, buf []byte) {
	for i := range len(buf) / sampleSize {
		row := x.RawRowView(i)
		for j := range row {
			row[j] = number(buf[4*j:])
		}
		y.Set(i, 0, number(buf[4*inputs:]))
		buf = buf[sampleSize:]
	}
}

func number(b []byte) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
}

// write writes samples to a new file: y = 100·sin x₀ + 50·x₁·x₂, and noise.
func write(samples int) (path string, err error) {
	f, err := os.CreateTemp("", "stream-*.bin")
	if err != nil {
		return "", err
	}
	w, rng, sample := bufio.NewWriterSize(f, 1<<20), rand.New(rand.NewPCG(1, 1)), make([]byte, 0, sampleSize)
	for range samples {
		var x [inputs]float64
		sample = sample[:0]
		for j := range x {
			x[j] = 4*rng.Float64() - 2
			sample = binary.LittleEndian.AppendUint32(sample, math.Float32bits(float32(x[j])))
		}
		y := 100*math.Sin(x[0]) + 50*x[1]*x[2] + 10*(2*rng.Float64()-1)
		w.Write(binary.LittleEndian.AppendUint32(sample, math.Float32bits(float32(y)))) // Flush tells of errors
	}
	if err = w.Flush(); err == nil {
		err = f.Close()
	}
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
