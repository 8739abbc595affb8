//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package files_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

// A pipe that nobody writes to would be waited for.
func TestAPipeIsRefusedAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip("no pipes: ", err)
	}
	link := pipe + " link"
	NoError(t, os.Symlink(pipe, link))
	for _, path := range []string{pipe, link} {
		_, err := Load(path)
		Fails(t, err, "backprop: Load: "+path+": it is not a regular file")
		net := NewNetwork(t, 2, Dense{Units: 1})
		Fails(t, net.Save(path), "backprop: Save: "+path+": it is not a regular file")
		_, err = net.Train(t.Context(), Pattern(4, 2), Pattern(4, 1), TrainConfig{LearningRate: 0.1, Epochs: 1, Checkpoint: path})
		Fails(t, err, "backprop: Train: Checkpoint "+path+": it is not a regular file")
	}
}

// A link to a network is as good as its file.
func TestALinkIsFollowed(t *testing.T) {
	path, old := OldFile(t)
	link := path + " link"
	NoError(t, os.Symlink(path, link))
	loaded := Value(Load(link))(t)
	NoError(t, loaded.Save(link))
	MustHold(t, path, old)
	target := Value(os.Readlink(link))(t)
	if target != path {
		t.Error(target)
	}
}
