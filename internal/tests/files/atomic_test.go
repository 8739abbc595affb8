package files_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

func TestWriteToReturnsTheWritersError(t *testing.T) {
	net := NewNetwork(t, 2, Standardize{}, Dense{Units: 2, Activation: Softmax})
	whole, full := BytesOf(t, net), errors.New("disk full")
	for left := range whole {
		w := &limited{left: left, err: full}
		n, err := net.WriteTo(w)
		Fails(t, err, fmt.Sprintf("backprop: WriteTo: safetensors: writing failed after byte %d: disk full", left))
		if !errors.Is(err, full) || n != int64(left) || !bytes.Equal(w.Bytes(), whole[:left]) {
			t.Fatalf("%d bytes of %d, error %v", n, left, err)
		}
	}
}

func TestSaveOnAFullDiskKeepsTheOldFile(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS != "linux" {
		t.Skip("no shell that limits the size of files")
	}
	path, old := OldFile(t)
	out, err := Child(t, "save once", path, "sh", "-c", `ulimit -f 16 && exec "$0" "$@"`).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "backprop: Save: "+path+": safetensors: writing failed after byte") || !strings.Contains(string(out), "file too large") {
		t.Errorf("%v: %s", err, out)
	}
	MustHold(t, path, old)
}

func TestSaveWhereNothingCanBeWritten(t *testing.T) {
	path, old := OldFile(t)
	net := NewNetwork(t, 1, Dense{Units: 1})
	gone := filepath.Join(filepath.Dir(path), "gone")
	for p, want := range map[string]string{
		"":                           "the path is empty",
		filepath.Join(path, "below"): "",
		filepath.Join(gone, "net"):   "the folder " + gone + ": ",
	} {
		if err := net.Save(p); err == nil || !strings.HasPrefix(err.Error(), "backprop: Save: "+p+": "+want) || strings.Contains(err.Error(), "saving") {
			t.Errorf("%q: %v", p, err)
		}
	}
	if err := net.Save(filepath.Join(gone, "net")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	MustHold(t, path, old)
	folder := filepath.Join(t.TempDir(), "folder")
	NoError(t, os.Mkdir(folder, 0o777))
	Fails(t, net.Save(folder), "backprop: Save: "+folder+": it is a folder, not a file")
	inside := filepath.Join(folder, "net")
	NoError(t, net.Save(inside))
	old = Value(os.ReadFile(inside))(t)
	NoError(t, os.Chmod(folder, 0o555))
	defer os.Chmod(folder, 0o777)
	if probe := os.WriteFile(filepath.Join(folder, "probe"), nil, 0o666); probe == nil {
		os.Remove(filepath.Join(folder, "probe"))
		t.Skip("this user may write everywhere")
	}
	if err := NewNetwork(t, 2, Dense{Units: 1}).Save(inside); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	MustHold(t, inside, old)
}

// That Save follows links, and takes away what killed processes have left and nothing else, is
// tested in internal/safetensors.
func TestSaveLeavesTheUsersTemporaryFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net")
	NoError(t, os.WriteFile(path+".tmp", []byte("the user's own"), 0o666))
	NoError(t, NewNetwork(t, 3, Dense{Units: 1}).Save(path))
	MustHold(t, path+".tmp", []byte("the user's own"))
}

// Several processes save to one path: none fails, and there is always a whole file.
func TestProcessesThatSaveAtOnce(t *testing.T) {
	path, _ := OldFile(t)
	whole := [][]byte{Value(os.ReadFile(path))(t), BytesOf(t, large(t, 0)), BytesOf(t, large(t, 1))}
	var savers sync.WaitGroup
	for range 3 {
		child := Child(t, "save often", path)
		savers.Go(func() {
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	done := make(chan struct{})
	go func() { savers.Wait(); close(done) }()
	for more := true; more; {
		select {
		case <-done:
			more = false
		default:
		}
		if runtime.GOOS == "windows" { // where a file that is always open to be read cannot be replaced
			<-done
		}
		got := Value(os.ReadFile(path))(t)
		if !slices.ContainsFunc(whole, func(w []byte) bool { return bytes.Equal(got, w) }) {
			t.Fatalf("%d bytes that are no network", len(got))
		}
	}
	MustHold(t, path, Value(os.ReadFile(path))(t))
}

// Who reads the file goes on reading the old one, or, on Windows, keeps it from being replaced.
func TestSaveOverAFileThatIsBeingRead(t *testing.T) {
	path, old := OldFile(t)
	reader := Value(os.Open(path))(t)
	defer reader.Close()
	net := NewNetwork(t, 3, Dense{Units: 2})
	err := net.Save(path)
	if got := Value(io.ReadAll(reader))(t); !bytes.Equal(got, old) {
		t.Error("the reader sees another file")
	}
	if runtime.GOOS != "windows" {
		NoError(t, err)
		MustHold(t, path, BytesOf(t, net))
		return
	}
	if err == nil || strings.Contains(err.Error(), "saving") {
		t.Error(err)
	}
	MustHold(t, path, old)
	NoError(t, errors.Join(reader.Close(), net.Save(path)))
	MustHold(t, path, BytesOf(t, net))
}

func TestDevicesOfWindowsAreNoFiles(t *testing.T) {
	if runtime.GOOS != "windows" {
		t.Skip("their names are names of files here")
	}
	for _, name := range []string{"NUL", "CON", "COM1", filepath.Join(t.TempDir(), "nul")} {
		if err := NewNetwork(t, 3, Dense{Units: 2}).Save(name); err == nil {
			t.Errorf("saved to %s", name)
		}
		if _, err := Load(name); err == nil {
			t.Errorf("loaded from %s", name)
		}
	}
}

func TestConcurrentSavesLeaveAWholeFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is always open to be read cannot be replaced")
	}
	path, _ := OldFile(t)
	nets := [2]*Network{}
	whole := [][]byte{}
	for i := range nets {
		nets[i] = NewNetwork(t, 50+i, Dense{Units: 50})
		whole = append(whole, BytesOf(t, nets[i]))
	}
	NoError(t, nets[0].Save(path))
	var savers sync.WaitGroup
	for i := range 4 {
		savers.Go(func() {
			for range 10 {
				if err := nets[i%2].Save(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { savers.Wait(); close(done) }()
	for more := true; more; {
		select {
		case <-done:
			more = false
		default:
		}
		if got := Value(os.ReadFile(path))(t); !bytes.Equal(got, whole[0]) && !bytes.Equal(got, whole[1]) {
			t.Fatalf("%d bytes that are neither network", len(got))
		}
	}
}

func TestAKilledSaveLeavesAWholeFile(t *testing.T) {
	path, old := OldFile(t)
	whole := [][]byte{old, BytesOf(t, large(t, 0)), BytesOf(t, large(t, 1))}
	rng := rand.New(rand.NewPCG(1, 1))
	for range Kills() / 2 {
		if !Kill(t, Child(t, "save", path), 1+rng.IntN(3), rng.IntN(20000)) {
			t.Fatal("the child has ended by itself")
		}
		got := Value(os.ReadFile(path))(t)
		if !slices.ContainsFunc(whole, func(w []byte) bool { return bytes.Equal(got, w) }) {
			t.Fatalf("%d bytes that are neither network", len(got))
		}
		whole = whole[len(whole)-2:] // it has saved at least once
	}
	NoError(t, large(t, 0).Save(path))
	MustHold(t, path, BytesOf(t, large(t, 0)))
}

// limited fails after so many bytes.
type limited struct {
	bytes.Buffer
	left int
	err  error
}

func (w *limited) Write(p []byte) (int, error) {
	n, _ := w.Buffer.Write(p[:min(len(p), w.left)])
	if w.left -= n; n < len(p) {
		return n, w.err
	}
	return n, nil
}

// large is one of two networks that take a while to be written.
func large(t testing.TB, i int) *Network { return NewNetwork(t, 100+i, Dense{Units: 200}) }

// TestChildThatSaves is what the processes do that other tests start.
func TestChildThatSaves(t *testing.T) {
	path := os.Getenv("BACKPROP_PATH")
	switch os.Getenv("BACKPROP_CHILD") {
	case "save once":
		signal.Ignore(syscall.Signal(25)) // SIGXFSZ, so that writing fails instead
		NoError(t, large(t, 0).Save(path))
	case "save often":
		for i := range 30 {
			NoError(t, large(t, i%2).Save(path))
		}
	case "save":
		for i := 0; ; i++ {
			NoError(t, large(t, i%2).Save(path))
			fmt.Println("saved")
		}
	default:
		t.Skip("only for other tests' processes")
	}
}
