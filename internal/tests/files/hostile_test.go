package files_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

// That a file is refused wherever it is cut, and more that no safetensors file may be, is tested in
// internal/safetensors.
func TestReadRefusesHostileFiles(t *testing.T) {
	for _, c := range HostileFiles {
		net, err := Read(strings.NewReader(c.File))
		Fails(t, err, "backprop: Read: "+c.Want)
		if net != nil {
			t.Error("a network beside the error")
		}
		if cut := strings.HasSuffix(c.Want, "unexpected EOF"); errors.Is(err, io.ErrUnexpectedEOF) != cut {
			t.Errorf("%v wraps io.ErrUnexpectedEOF: %v", err, !cut)
		}
	}
}

// Bits of every byte of a file are turned over. Most make it unreadable, some another network; none
// panics, and what is read is a network.
func TestReadOutlivesFlippedBits(t *testing.T) {
	file := BytesOf(t, NewNetwork(t, 2, Standardize{}, Dense{Units: 2, Activation: LeakyReLU{}}, BatchNorm{}, Dropout{Rate: 0.5}, Dense{Units: 1}))
	for i := range file {
		for bit := i % 3; bit < 8; bit += 3 {
			damaged := bytes.Clone(file)
			damaged[i] ^= 1 << bit
			if net, err := Read(bytes.NewReader(damaged)); err == nil {
				BytesOf(t, net)
			}
		}
	}
}

// Memory is counted with all garbage. A file may claim anything.
func TestReadAllocatesInProportionToTheFile(t *testing.T) {
	layers := func(layer string, n int) string {
		return NetworkFile(`{"inputs":1,"layers":[` + strings.Repeat(layer+",", n-1) + layer + `]}`)
	}
	u8 := RawTensor{Name: "a", Dtype: "U8", Shape: []int{1 << 20}, Data: make([]float64, 1<<20)}
	files := []string{
		layers("{}", 1<<20), layers(`{"type":"Dropout"}`, 1<<14), layers(`{"type":"Dropout"}`, 1<<18),
		layers(`{"type":"Dense","units":1}`, 1<<14), layers(`{"type":"Dense","units":65536}`, 1<<14), layers(`{"type":"BatchNorm"}`, 1<<14),
		NetworkFile(`{"inputs":1073741824,"layers":[{"type":"BatchNorm"}]}`),
		NetworkFile(`{"inputs":1073741823,"layers":[{"type":"Dense","units":1}]}`, Weight, Bias),
		NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"` + strings.Repeat("x", 1<<20) + `"}]}`),
		NetworkFile(strings.Repeat("[", 1<<20)), NetworkFile(strings.Repeat(" ", 1<<20)), NetworkFile(OneDense, Weight, Bias, u8),
		string(BytesOf(t, NewNetwork(t, 1<<10, Dense{Units: 1 << 8}))),
	}
	for _, c := range HostileFiles {
		files = append(files, c.File)
	}
	for _, file := range files {
		const factor, constant = 64, 256 << 10
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(strings.NewReader(file))
		runtime.ReadMemStats(&after)
		total := after.TotalAlloc - before.TotalAlloc
		if total > uint64(factor*len(file)+constant) {
			t.Errorf("%d bytes allocated for a file of %d, %v", total, len(file), err)
		}
		if len(file) > constant {
			t.Logf("%d bytes allocated for %d, %.1f: %v", total, len(file), float64(total)/float64(len(file)), err)
		}
	}
}
