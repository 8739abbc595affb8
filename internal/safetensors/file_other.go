//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package safetensors

import (
	"errors"
	"os"
)

const nonblock = 0

var errLocked = errors.New("locked")

// lockFile does nothing: here the age of a file tells whether it is a dead process's.
func lockFile(*os.File) error { return errors.ErrUnsupported }

func move(file *os.File, to string) error { return os.Rename(file.Name(), to) }

func remove(file *os.File) { os.Remove(file.Name()) }
