package mnist

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestPlainAndGzippedFilesHoldTheSame(t *testing.T) {
	zipped, _, err := Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	paths, err := filepath.Glob("testdata/*.gz")
	if err != nil || len(paths) != 4 {
		t.Fatalf("testdata holds %v (%v), want four files", paths, err)
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := unzip(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), ".gz")), b)
	}
	plain, _, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !mat.Equal(plain.X, zipped.X) || !mat.Equal(plain.Y, zipped.Y) {
		t.Error("the plain files hold something else")
	}
	// The first digit of MNIST is a 5; its brightest pixel is 255.
	if plain.Y.At(0, 5) != 1 || mat.Sum(plain.Y) != 600 || mat.Max(plain.X) != 1 {
		t.Error("the files are not read as MNIST means them")
	}
}

// Three images, their labels, and what may be wrong with either.
func TestDamagedFilesAreToldOf(t *testing.T) {
	const images, labels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
	pixels := testPixels(3)
	zipped := zip(t, idx(0x803, []uint32{3, 28, 28}, pixels))
	badSum := bytes.Clone(zipped)
	badSum[len(badSum)-8] ^= 1
	for _, c := range []struct {
		name, file string
		bytes      []byte
		want       string
	}{
		{"empty", images, nil, images + " ends after 0 bytes, want a header of 16"},
		{"header cut", images, idx(0x803, []uint32{3, 28}, nil), images + " ends after 12 bytes, want a header of 16"},
		{"labels for images", images, idx(0x801, []uint32{3}, pixels), images + " begins with 0x00000801, want 0x00000803"},
		{"images for labels", labels, idx(0x803, []uint32{3, 28, 28}, pixels), labels + " begins with 0x00000803, want 0x00000801"},
		{"another type", images, idx(0xd03, []uint32{3, 28, 28}, pixels), images + " begins with 0x00000d03, want 0x00000803"},
		{"a page instead", labels, []byte("<!DOCTYPE html>"), labels + " begins with 0x3c21444f, want 0x00000801"},
		{"none", images, idx(0x803, []uint32{0, 28, 28}, nil), images + ": 0 items, want 1 to 1048576"},
		{"too many", images, idx(0x803, []uint32{1<<32 - 1, 28, 28}, pixels), images + ": 4294967295 items, want 1 to 1048576"},
		{"not 28 across", images, idx(0x803, []uint32{3, 28, 27}, pixels), images + ": dimension 2 is 27, want 28"},
		{"huge down", images, idx(0x803, []uint32{3, 1<<32 - 1, 28}, pixels), images + ": dimension 1 is 4294967295, want 28"},
		{"cut", images, idx(0x803, []uint32{3, 28, 28}, pixels[:784]), images + " ends after 784 bytes of data, want 2352"},
		{"trailing byte", labels, idx(0x801, []uint32{3}, []byte{1, 2, 3, 4}), labels + " goes on after the 3 bytes of data that its header tells of"},
		{"fewer labels", labels, idx(0x801, []uint32{2}, []byte{1, 2}), images + " holds 3 images, but " + labels + " 2 labels"},
		{"no digit", labels, idx(0x801, []uint32{3}, []byte{1, 10, 3}), labels + ": label 1 is 10, want 0 to 9"},
		{"zipped, then cut", images, zipped[:len(zipped)-1], images + ": after 2352 of 2352 bytes of data: unexpected EOF"},
		{"zip header cut", images, zipped[:5], images + " cannot be unzipped: unexpected EOF"},
		{"zip header bad", images, []byte("\x1f\x8b another"), images + " cannot be unzipped: gzip: invalid header"},
		{"bad checksum", images, badSum, images + ": after 2352 of 2352 bytes of data: gzip: invalid checksum"},
		{"zipped trailing byte", images, append(bytes.Clone(zipped), 7), images + ": after 2352 of 2352 bytes of data: unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := testFiles(t)
			write(t, filepath.Join(dir, c.file), c.bytes)
			_, _, err := Load(dir)
			if err == nil {
				t.Fatalf("no error, want %q", c.want)
			}
			if got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""); got != c.want {
				t.Errorf("error %q\n want %q", got, c.want)
			}
		})
	}
}

func TestMissingFilesAreNamedWithTheirSource(t *testing.T) {
	dir := testFiles(t)
	for _, name := range []string{"train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := Load(dir)
	want := dir + " lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte\n" + Sources
	if err == nil || err.Error() != want {
		t.Errorf("error %q\n want %q", err, want)
	}
}

func TestTruncatedFilesNeverPass(t *testing.T) {
	dir := testFiles(t)
	path := filepath.Join(dir, "train-images-idx3-ubyte")
	file := idx(0x803, []uint32{1, 28, 28}, testPixels(1))
	for _, b := range [][]byte{file, zip(t, file)} {
		write(t, path, b)
		if _, err := readIDX(path, Side, Side); err != nil {
			t.Fatal(err)
		}
		for n := len(b) - 1; n >= 0; n-- {
			if err := os.Truncate(path, int64(n)); err != nil {
				t.Fatal(err)
			}
			if _, err := readIDX(path, Side, Side); err == nil {
				t.Errorf("%d of %d bytes: no error", n, len(b))
			}
		}
	}
}

func TestHugeCountAllocatesNothingAhead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "images")
	write(t, path, idx(0x803, []uint32{maxImages, 28, 28}, testPixels(1)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readIDX(path, Side, Side); err == nil {
		t.Error("no error")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for a file of 800", n)
	}
}

// testFiles is a folder of files without fault: three images to train on, and the same to test on.
func testFiles(t *testing.T) string {
	dir := t.TempDir()
	for _, name := range []string{"train", "t10k"} {
		write(t, filepath.Join(dir, name+"-images-idx3-ubyte"), idx(0x803, []uint32{3, 28, 28}, testPixels(3)))
		write(t, filepath.Join(dir, name+"-labels-idx1-ubyte"), idx(0x801, []uint32{3}, []byte{1, 2, 3}))
	}
	return dir
}

// testPixels are n images of pixels that differ.
func testPixels(n int) []byte {
	pixels := make([]byte, n*Side*Side)
	for i := range pixels {
		pixels[i] = byte(i * i / 7)
	}
	return pixels
}

func idx(magic uint32, sizes []uint32, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	for _, n := range sizes {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return append(b, data...)
}

func zip(t *testing.T, b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
