//go:build cgo

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/backprop"
	ort "github.com/yalue/onnxruntime_go"
	"gonum.org/v1/gonum/mat"
)

// ONNX Runtime is taken from the npm package onnxruntime-node, which has its shared library for
// several systems.
const (
	ortVersion = "1.27.0"
	ortSHA512  = "QEzGwrvNBgv4uPVdnbHsOGG4G6T96mdlcFI8aAKPjMU8wOPpVocPXb6k3QGkaZagVTv2G9Bnnbo6Z3JdXr1fQw=="
)

// errMissing is the absence of what a test needs.
var errMissing = errors.New("ONNX Runtime is not there")

// startRuntime loads ONNX Runtime, from the user's cache if it has been there before. Where it
// cannot be had the test is skipped.
func startRuntime(tb testing.TB) {
	tb.Helper()
	if err := start(); errors.Is(err, errMissing) {
		tb.Skip(err)
	} else if err != nil {
		tb.Fatal(err)
	}
}

var start = sync.OnceValue(func() error {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if runtime.GOOS != "linux" || arch == "" {
		return fmt.Errorf("%w for %s/%s", errMissing, runtime.GOOS, runtime.GOARCH)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("%w: %w", errMissing, err)
	}
	folder := filepath.Join(cache, "backprop-onnxruntime-"+ortVersion)
	library := filepath.Join(folder, "libonnxruntime.so.1")
	if _, err := os.Stat(library); err != nil {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("%w: %w", errMissing, err)
		}
		if err := fetch(library, "package/bin/napi-v6/linux/"+arch+"/libonnxruntime.so.1"); err != nil {
			return err
		}
	}
	ort.SetSharedLibraryPath(library)
	return ort.InitializeEnvironment(ort.WithLogLevelError())
})

// fetch takes a file out of the npm package.
func fetch(path, name string) error {
	if testing.Short() {
		return fmt.Errorf("%w, and is not fetched in a short test", errMissing)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "fetching-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	npm := exec.Command("npm", "pack", "onnxruntime-node@"+ortVersion, "--pack-destination", dir, "--fetch-retries", "0")
	if err := npm.Run(); err != nil {
		return fmt.Errorf("%w, and npm does not fetch it: %w", errMissing, err)
	}
	archive, err := os.ReadFile(filepath.Join(dir, "onnxruntime-node-"+ortVersion+".tgz"))
	if err != nil {
		return err
	}
	if sum := sha512.Sum512(archive); base64.StdEncoding.EncodeToString(sum[:]) != ortSHA512 {
		return fmt.Errorf("onnxruntime-node %s has another SHA-512 than it had", ortVersion)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err != nil {
			return fmt.Errorf("%s in the package: %w", name, err)
		}
		if header.Name != name {
			continue
		}
		data, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		return replace(path, data)
	}
}

// A session is a network in ONNX Runtime, on one thread.
type session[T float32 | float64] struct{ *ort.DynamicAdvancedSession }

func newSession[T float32 | float64](tb testing.TB, file []byte) session[T] {
	tb.Helper()
	s, err := ort.NewDynamicAdvancedSessionWithONNXData(file, []string{"x"}, []string{"y"}, oneThread(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Destroy() })
	return session[T]{s}
}

func oneThread(tb testing.TB) *ort.SessionOptions {
	tb.Helper()
	options, err := ort.NewSessionOptions()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { options.Destroy() })
	if err := errors.Join(options.SetIntraOpNumThreads(1), options.SetInterOpNumThreads(1)); err != nil {
		tb.Fatal(err)
	}
	return options
}

// predict is what ONNX Runtime computes for x.
func (s session[T]) predict(tb testing.TB, x *mat.Dense) *mat.Dense {
	tb.Helper()
	rows, columns := x.Dims()
	data := make([]T, 0, rows*columns)
	for i := range rows {
		for _, v := range x.RawRowView(i) {
			data = append(data, T(v))
		}
	}
	in, err := ort.NewTensor(ort.NewShape(int64(rows), int64(columns)), data)
	if err != nil {
		tb.Fatal(err)
	}
	defer in.Destroy()
	out := []ort.Value{nil}
	if err := s.Run([]ort.Value{in}, out); err != nil {
		tb.Fatal(err)
	}
	defer out[0].Destroy()
	result, ok := out[0].(*ort.Tensor[T])
	if !ok || len(result.GetShape()) != 2 || result.GetShape()[0] != int64(rows) {
		tb.Fatalf("y is a %T of shape %v, want one of %d rows", out[0], out[0].GetShape(), rows)
	}
	y := mat.NewDense(rows, int(result.GetShape()[1]), nil)
	for i, v := range result.GetData() {
		y.RawMatrix().Data[i] = float64(v)
	}
	return y
}

// In double ONNX Runtime agrees to 1e-12 of the largest output, in float to 1e-6 of it and 1e-7,
// for a hundred samples and for one, down to where an activation has almost vanished.
func TestONNXRuntimePredictsTheSame(t *testing.T) {
	startRuntime(t)
	for name, layers := range networks() {
		t.Run(name, func(t *testing.T) {
			net := trained(t, layers...)
			compare[float64](t, net, double, 1e-12, 0)
			compare[float32](t, net, float, 1e-6, 1e-7)
		})
	}
}

func compare[T float32 | float64](t *testing.T, net *backprop.Network, numbers numberType, relative, absolute float64) {
	t.Helper()
	file, err := encode(net, numbers)
	if err != nil {
		t.Fatal(err)
	}
	s, rng := newSession[T](t, file), rand.New(rand.NewPCG(3, 4))
	batches := []*mat.Dense{normal(rng, 100, inputs, 3), normal(rng, 1, inputs, 3)}
	for _, v := range []float64{0, 1e-30, 1e-8, 0.01, 3, 8.5, 40, 1e3} {
		for _, v := range []float64{v, -v} {
			row := slices.Repeat([]float64{float64(float32(v))}, inputs)
			batches = append(batches, mat.NewDense(1, inputs, row))
			batches[0].SetRow(len(batches), row)
		}
	}
	worst := 0.0
	for _, x := range batches {
		want, err := net.Predict(x)
		if err != nil {
			t.Fatal(err)
		}
		var difference mat.Dense
		difference.Sub(s.predict(t, x), want)
		largest := largestOf(&difference)
		if !(largest <= relative*largestOf(want)+absolute) || math.IsNaN(mat.Sum(&difference)) {
			t.Errorf("%T: outputs of up to %.3g differ by %.3g for %v", *new(T), largestOf(want), largest, x.At(0, 0))
		} else if largest > 0 {
			worst = max(worst, largest/(largestOf(want)+absolute/relative))
		}
	}
	t.Logf("%T: the largest difference is %.1e of the largest output", *new(T), worst)
}

func largestOf(m mat.Matrix) float64 { return max(mat.Max(m), -mat.Min(m)) }

// BenchmarkLatency has the fastest predictions of one sample, in ns, by this library and by ONNX
// Runtime on one thread, which take turns:
//
//	cd examples/onnx && go test -run '^$' -bench .
func BenchmarkLatency(b *testing.B) {
	startRuntime(b)
	for name, of := range map[string]struct {
		inputs int
		layers []backprop.Layer
	}{
		"16-64-64-1 tanh": {16, []backprop.Layer{
			backprop.Dense{Units: 64, Activation: backprop.Tanh},
			backprop.Dense{Units: 64, Activation: backprop.Tanh},
			backprop.Dense{Units: 1},
		}},
		"784-128-10 ReLU": {784, []backprop.Layer{
			backprop.Dense{Units: 128, Activation: backprop.ReLU},
			backprop.Dense{Units: 10, Activation: backprop.Softmax},
		}},
	} {
		b.Run(name, func(b *testing.B) {
			net, err := backprop.New(of.inputs, of.layers...)
			if err != nil {
				b.Fatal(err)
			}
			x, y := normal(rand.New(rand.NewPCG(5, 6)), 1, of.inputs, 1), mat.NewDense(1, net.Outputs(), nil)
			runs := map[string]func() error{
				"backprop-ns": func() error { return net.PredictTo(y, x) },
				"double-ns":   newRun[float64](b, net, double, x),
				"float-ns":    newRun[float32](b, net, float, x),
			}
			fastest := map[string]float64{}
			for b.Loop() {
				for unit, run := range runs {
					const times = 100
					begin := time.Now()
					for range times {
						if err := run(); err != nil {
							b.Fatal(err)
						}
					}
					ns := float64(time.Since(begin).Nanoseconds()) / times
					if old, ok := fastest[unit]; !ok || ns < old {
						fastest[unit] = ns
					}
				}
			}
			for unit, ns := range fastest {
				b.ReportMetric(ns, unit)
			}
		})
	}
}

// newRun is a prediction of x in ONNX Runtime in memory that is there.
func newRun[T float32 | float64](b *testing.B, net *backprop.Network, numbers numberType, x *mat.Dense) func() error {
	file, err := encode(net, numbers)
	if err != nil {
		b.Fatal(err)
	}
	in, err := ort.NewEmptyTensor[T](ort.NewShape(1, int64(net.Inputs())))
	if err != nil {
		b.Fatal(err)
	}
	for i := range in.GetData() {
		in.GetData()[i] = T(x.At(0, i))
	}
	out, err := ort.NewEmptyTensor[T](ort.NewShape(1, int64(net.Outputs())))
	if err != nil {
		b.Fatal(err)
	}
	s, err := ort.NewAdvancedSessionWithONNXData(file, []string{"x"}, []string{"y"},
		[]ort.Value{in}, []ort.Value{out}, oneThread(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { errors.Join(s.Destroy(), in.Destroy(), out.Destroy()) })
	return s.Run
}
