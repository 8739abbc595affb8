//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package safetensors

import (
	"os"
	"syscall"
)

// nonblock lets a file be opened at once that would wait for another process, a pipe.
const nonblock = syscall.O_NONBLOCK

// errLocked is lockFile's error for a file that a living process has locked.
const errLocked = syscall.EWOULDBLOCK

// lockFile locks a file until it is closed, if nobody else has. Another error than errLocked means
// that its file system knows no locks.
func lockFile(file *os.File) error {
	for {
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EINTR {
			return err
		}
	}
}

// move renames a file that is open, and so is locked until its name is gone.
func move(file *os.File, to string) error { return os.Rename(file.Name(), to) }

// remove removes a file that is locked.
func remove(file *os.File) { os.Remove(file.Name()) }
