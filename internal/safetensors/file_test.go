package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestReplaceReplacesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, f := range []*File{small(), {}} { // a new file, and an old one
		if err := f.Replace(path); err != nil {
			t.Fatal(err)
		}
		holds(t, path, write(t, f))
	}
}

// After an error the file is as it was, and nothing stands beside it.
func TestReplaceKeepsTheOldFileOnError(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "f")
	if err := small().Replace(path); err != nil {
		t.Fatal(err)
	}
	invalid := &File{Tensors: []Tensor{{Name: "a"}}}
	gone := filepath.Join(folder, "gone")
	for _, c := range []struct {
		file *File
		path string
		want string // "" for what the system says
	}{
		{invalid, path, `safetensors: tensor "a": type "" cannot be written, only F64 and I64`},
		{small(), "", "the path is empty"},
		{small(), filepath.Join(path, "below"), ""},
		{small(), filepath.Join(gone, "f"), "the folder " + gone + ": "},
		{small(), folder, "it is a folder, not a file"},
		{small(), folder + string(filepath.Separator), "it is a folder, not a file"},
		{small(), gone + string(filepath.Separator), "it cannot be the name of a file"},
		{small(), filepath.Join(folder, strings.Repeat("f", 256)), ""},
	} {
		err := c.file.Replace(c.path)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), ".saving-") {
			t.Errorf("%s: %v, want %s…", c.path, err, c.want)
		}
		holds(t, path, write(t, small()))
	}
	if err := small().Replace(filepath.Join(gone, "f")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if left := names(t, folder); len(left) > 1 {
		t.Error(left)
	}
}

func TestReplaceLeavesWhatIsNoFile(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip("no such sockets: ", err)
	}
	defer listener.Close()
	const want = "it is not a regular file"
	if err := small().Replace(socket); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := Open(socket); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// The temporary file's name is none that a user would choose, so nothing of the user's is in the
// way, or removed.
func TestReplaceTouchesNothingElse(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "f")
	others := []string{"f.tmp", "f.saving-", "f.saving-0123456789abcdeg", "f.saving-0123456789abcdef0", "g.saving-0123456789abcdef"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
		age(t, filepath.Join(folder, name))
	}
	if err := errors.Join(os.Mkdir(filepath.Join(folder, "f.saving-00000000000000ff"), 0o777), small().Replace(path)); err != nil {
		t.Fatal(err)
	}
	for _, name := range others {
		holds(t, filepath.Join(folder, name), []byte(name))
	}
	if got := names(t, folder); len(got) != len(others)+2 {
		t.Error(got)
	}
	link := filepath.Join(folder, "f.saving-00000000000000fe")
	mustLink(t, "f.tmp", link)
	if err := small().Replace(path); err != nil {
		t.Fatal(err)
	}
	holds(t, link, []byte("f.tmp"))
}

// A writer that lives holds a lock or, where there are none, has written not long ago.
func TestReplaceRemovesWhatDeadWritersHaveLeft(t *testing.T) {
	for i, name := range []string{"f", strings.Repeat("é", 120), "f"} {
		if i == 2 {
			withLock(t, func(*os.File) error { return errors.ErrUnsupported })
		}
		folder := t.TempDir()
		path := filepath.Join(folder, name)
		temporary := func() *os.File {
			file, err := create(filepath.Join(folder, prefix(name)), 0o444)
			if err != nil {
				t.Fatal(err)
			}
			return file
		}
		dead, living := temporary(), temporary()
		dead.Close()
		defer living.Close()
		age(t, dead.Name())
		if err := small().Replace(path); err != nil {
			t.Fatal(err)
		}
		want := []string{name, filepath.Base(living.Name())}
		slices.Sort(want)
		if got := names(t, folder); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// withLock has files locked by another function.
func withLock(t *testing.T, f func(*os.File) error) {
	lock = f
	t.Cleanup(func() { lock = lockFile })
}

// A writer whose file was taken away makes another one.
func TestReplaceOutlivesWhoTakesItsFileAway(t *testing.T) {
	folder := t.TempDir()
	path, left := filepath.Join(folder, "f"), 3
	withLock(t, func(*os.File) error {
		if left--; left < 0 {
			return nil
		}
		return errLocked
	})
	if err := small().Replace(path); err != nil {
		t.Error(err)
	}
	left = math.MaxInt
	if err := small().Replace(path); err == nil || err.Error() != "its temporary files do not last" {
		t.Error(err)
	}
	holds(t, path, write(t, small()))
	if got := names(t, folder); len(got) != 1 {
		t.Error(got)
	}
}

// Another process may take a file for a dead one's before it is locked.
func TestAFileThatWasTakenAwayIsNotOurs(t *testing.T) {
	if errors.Is(lock(nil), errors.ErrUnsupported) {
		t.Skip("no locks")
	}
	path := filepath.Join(t.TempDir(), "f")
	open := func() *os.File {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return file
	}
	file, other := open(), open()
	if !ours(file) {
		t.Error("nobody has taken it")
	}
	if ours(other) {
		t.Error("another has locked it")
	}
	file.Close()
	os.Remove(path)
	if open(); ours(other) {
		t.Error("another has removed it and made a new one")
	}
	os.Remove(path)
	if ours(other) {
		t.Error("another has removed it")
	}
}

func TestReplaceTakesEveryName(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"f", ".f", "-", " ", strings.Repeat("n", 255), "n" + strings.Repeat("é", 127), strings.Repeat("\xff", 255)} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Logf("%.20q is no name here: %v", name, err)
			continue
		}
		if err := small().Replace(path); err != nil {
			t.Errorf("%.20q: %v", name, err)
		}
		holds(t, path, write(t, small()))
	}
}

func TestReplaceWritesToTheWorkingFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 2 {
		if err := small().Replace("f"); err != nil {
			t.Fatal(err)
		}
		holds(t, "f", write(t, small()))
	}
}

func TestReplaceFollowsALinkToItsFile(t *testing.T) {
	folder := t.TempDir()
	path, link := filepath.Join(folder, "f"), filepath.Join(folder, "link")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	mustLink(t, "f", link)
	if err := small().Replace(link); err != nil {
		t.Fatal(err)
	}
	holds(t, path, write(t, small()))
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error(err, "the link is gone")
	}
}

// mustLink makes a symbolic link, or skips where there are none; some systems need a right to make
// one, and some say that they have made one.
func mustLink(t *testing.T, to, link string) {
	t.Helper()
	err := os.Symlink(to, link)
	if info, err2 := os.Lstat(link); err != nil || err2 != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Skip("no links: ", err)
	}
}

// A link may name a file that is not there yet, in another folder, from where it lies.
func TestReplaceMakesTheFileThatALinkNames(t *testing.T) {
	folder := t.TempDir()
	a, b := filepath.Join(folder, "a"), filepath.Join(folder, "b")
	if err := errors.Join(os.MkdirAll(filepath.Join(a, "links"), 0o777), os.Mkdir(b, 0o777)); err != nil {
		t.Fatal(err)
	}
	mustLink(t, filepath.Join(a, "links"), filepath.Join(b, "links")) // so that b/links/.. is a
	mustLink(t, filepath.Join("..", "f"), filepath.Join(a, "links", "relative"))
	mustLink(t, filepath.Join(b, "links", "relative"), filepath.Join(b, "absolute"))
	mustLink(t, "absolute", filepath.Join(b, "chain"))
	mustLink(t, filepath.Join(folder, "gone", "f"), filepath.Join(b, "lost"))
	mustLink(t, "loop", filepath.Join(b, "loop"))
	separator := string(filepath.Separator)
	for _, link := range []string{
		filepath.Join(a, "links", "relative"), filepath.Join(b, "links", "relative"), filepath.Join(b, "absolute"), filepath.Join(b, "chain"),
		b + separator + "links" + separator + ".." + separator + "f", // no link itself
	} {
		if err := small().Replace(link); err != nil {
			t.Error(err)
		}
		holds(t, filepath.Join(a, "f"), write(t, small()))
		holds(t, link, write(t, small()))
		if err := os.Remove(filepath.Join(a, "f")); err != nil {
			t.Fatal(err)
		}
	}
	want := "the folder " + filepath.Join(folder, "gone") + ": "
	if err := small().Replace(filepath.Join(b, "lost")); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s…", err, want)
	}
	if err := small().Replace(filepath.Join(b, "loop")); err == nil || err.Error() != "too many symbolic links" {
		t.Error(err)
	}
	for folder, want := range map[string][]string{a: {"links"}, b: {"absolute", "chain", "links", "loop", "lost"}} {
		if got := names(t, folder); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestReplaceKeepsAFileFromOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), small().Replace(path)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Error(err, info.Mode())
	}
}

func holds(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: %d bytes, want %d", err, len(got), len(want))
	}
}

// A file system that cannot sync folders is not at fault.
func TestAFolderThatCannotBeSyncedIsReported(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("folders cannot be synced")
	}
	for err, want := range map[error]bool{nil: false, syscall.EINVAL: false, errors.ErrUnsupported: false, syscall.EIO: true, fs.ErrPermission: true} {
		got := syncError(&fs.PathError{Op: "sync", Path: "folder", Err: err})
		if err == nil {
			got = syncError(nil)
		}
		if (got != nil) != want || want && !errors.Is(got, err) {
			t.Errorf("%v gives %v", err, got)
		}
	}
}

func TestOpenTakesRegularFilesOnly(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "f")
	if err := small().Replace(path); err != nil {
		t.Fatal(err)
	}
	file, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	lie := func(string) (fs.FileInfo, error) { return os.Stat(path) } // what the path held before it was opened
	for _, c := range []struct {
		open func() (*os.File, error)
		want string
	}{
		{func() (*os.File, error) { return Open("") }, "the path is empty"},
		{func() (*os.File, error) { return Open(folder) }, "it is a folder, not a file"},
		{func() (*os.File, error) { return open(folder, lie) }, "it is a folder, not a file"},
		{func() (*os.File, error) { return Open(os.DevNull) }, "it is not a regular file"},
	} {
		if file, err := c.open(); file != nil || err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	gone := filepath.Join(folder, "gone")
	for _, open := range []func() (*os.File, error){
		func() (*os.File, error) { return Open(gone) },
		func() (*os.File, error) { return open(gone, lie) },
	} {
		if file, err := open(); file != nil || !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), gone) {
			t.Error(err)
		}
	}
}

// Where a folder takes no files, the error does not name the temporary one.
func TestErrorsDoNotNameTheTemporaryFile(t *testing.T) {
	folder := t.TempDir()
	err := os.Rename(filepath.Join(folder, "gone"), filepath.Join(folder, "f"))
	if err = cause(err); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), folder) {
		t.Error(err)
	}
	if runtime.GOOS != "linux" {
		t.Skip("no folder that takes no files")
	}
	if err := small().Replace("/proc/f"); err == nil || strings.Contains(err.Error(), "/proc") {
		t.Error(err)
	}
}

// A size that is known is compared before anything is read.
func TestAFileOfAnotherSizeIsRefusedAtOnce(t *testing.T) {
	header := `{"a":{"dtype":"U8","shape":[70000],"data_offsets":[0,70000]},"b":{"dtype":"U8","shape":[1],"data_offsets":[70000,70001]}}`
	whole := file(header, strings.Repeat("\x07", 70001))
	path := filepath.Join(t.TempDir(), "f")
	for _, n := range []int{len(whole) - 70001, len(whole) - 1, len(whole), len(whole) + 1} {
		if err := os.WriteFile(path, []byte("before"+(whole + "\x00")[:n]), 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.Seek(int64(len("before")), io.SeekStart)
		r, err := NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Tensors(anyName)
		at, _ := f.Seek(0, io.SeekCurrent)
		if want := len("before") + len(whole) - 70001; at != int64(want) {
			t.Errorf("byte %d is read, want %d", at, want)
		}
		switch {
		case n < len(whole):
			want := fmt.Sprintf("safetensors: the file ends at byte %d, %d bytes too early: unexpected EOF", n, len(whole)-n)
			if err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		case n > len(whole):
			if want := fmt.Sprintf("safetensors: the file goes on after byte %d, the end of its last tensor", len(whole)); err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		default:
			b := []float64{0}
			err := errors.Join(err, r.Read(func(t Tensor) []float64 { return map[string][]float64{"b": b}[t.Name] }))
			if err != nil || b[0] != 7 {
				t.Error(b, err)
			}
		}
	}
}

// seeker is a file that must not be read.
type seeker struct {
	t  *testing.T
	at int64
}

func (s *seeker) Read([]byte) (int, error) { s.t.Error("it is read"); return 0, io.EOF }
func (s *seeker) Seek(offset int64, whence int) (int64, error) {
	s.at += offset
	return s.at, nil
}

func TestWhatIsPassedOverInAFileIsNotRead(t *testing.T) {
	s := &seeker{t: t}
	in := &input{r: s, size: 1 << 40, buf: make([]byte, chunkSize)}
	if err := in.skip(1 << 30); err != nil || s.at != 1<<30 || in.at != 1<<30 {
		t.Error(s.at, in.at, err)
	}
}

// age makes a file one that nobody has written to for long.
func age(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-25*time.Hour)); err != nil {
		t.Fatal(err)
	}
}

// names returns what is in a folder, sorted.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
