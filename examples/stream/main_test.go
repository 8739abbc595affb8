package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The function's variance is 1, the noise's some 0.006.
func TestAFileIsLearnt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	loss, err := run(&out, 1000*batchSize+7)
	if err != nil {
		t.Fatal(err)
	}
	if loss > 0.5 {
		t.Errorf("loss %v, want 0.5 or less", loss)
	}
	if !strings.Contains(out.String(), "1024007 samples") {
		t.Error(out.String())
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
}

func TestBatchesAreTheSamplesOfTheFile(t *testing.T) {
	path, err := write(batchSize + 3)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	rows := 0
	for data, err := range batches(path, 0) {
		if err != nil {
			t.Fatal(err)
		}
		n, _ := data.X.Dims()
		rows += n
	}
	if rows != batchSize+3 {
		t.Errorf("%d samples", rows)
	}
	if err := os.Truncate(path, 10*sampleSize+1); err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range batches(path, 0) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "ends within a sample") {
		t.Errorf("of a cut file: %v", last)
	}
}
