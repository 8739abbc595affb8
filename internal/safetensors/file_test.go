package safetensors

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	blocked, loop := filepath.Join(folder, "blocked"), filepath.Join(folder, "loop")
	if err := errors.Join(os.MkdirAll(filepath.Join(blocked+".tmp", "full"), 0o777), os.Symlink(loop, loop)); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		file *File
		path string
		want string // "" for what the system says
	}{
		{invalid, path, `type "" cannot be written`},
		{small(), filepath.Join(path, "below"), ""},
		{small(), filepath.Join(folder, "gone", "f"), ""},
		{small(), folder, "is not a regular file"},
		{small(), os.DevNull, "is not a regular file"},
		{small(), blocked, ""},
		{small(), loop, ""},
	} {
		if err := c.file.Replace(c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want … %s …", c.path, err, c.want)
		}
		holds(t, path, write(t, small()))
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "f?*")); len(left) > 0 {
		t.Error(left)
	}
}

// The name of the temporary file is known, so somebody may have put a link there.
func TestReplaceDoesNotFollowALinkInItsWay(t *testing.T) {
	folder := t.TempDir()
	path, other := filepath.Join(folder, "f"), filepath.Join(folder, "other")
	err := errors.Join(os.WriteFile(other, []byte("other"), 0o666), os.Symlink(other, path+".tmp"))
	if err != nil {
		t.Skip(err)
	}
	if err := small().Replace(path); err != nil {
		t.Fatal(err)
	}
	holds(t, path, write(t, small()))
	holds(t, other, []byte("other"))
}

func TestReplaceFollowsALinkToItsFile(t *testing.T) {
	folder := t.TempDir()
	path, link := filepath.Join(folder, "f"), filepath.Join(folder, "link")
	err := errors.Join(os.WriteFile(path, nil, 0o666), os.Symlink("f", link))
	if err != nil {
		t.Skip(err)
	}
	if err := small().Replace(link); err != nil {
		t.Fatal(err)
	}
	holds(t, path, write(t, small()))
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error(err, "the link is gone")
	}
}

func holds(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: %d bytes, want %d", err, len(got), len(want))
	}
}
