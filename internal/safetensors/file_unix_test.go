//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package safetensors

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe that takes a file's place just before it is opened is not waited for.
func TestOpenDoesNotWaitForAPipe(t *testing.T) {
	folder := t.TempDir()
	pipe, file := filepath.Join(folder, "pipe"), filepath.Join(folder, "file")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip("no pipes: ", err)
	}
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := open(pipe, func(string) (fs.FileInfo, error) { return os.Stat(file) })
	if err == nil || err.Error() != "it is not a regular file" {
		t.Error(err)
	}
}
