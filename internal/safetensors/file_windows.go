package safetensors

import (
	"errors"
	"os"
	"syscall"
	"time"
)

const nonblock = 0 // pipes have paths of their own there, which are no regular files

var errLocked = errors.New("locked")

// lockFile does nothing: a file could not be renamed as long as it was open.
func lockFile(*os.File) error { return errors.ErrUnsupported }

// move closes a file and renames it. A file cannot be replaced while another process has it open,
// to read it or for a moment to look for viruses, so that is tried for some two seconds.
func move(file *os.File, to string) error {
	if err := file.Close(); err != nil {
		return err
	}
	const sharingViolation = syscall.Errno(32)
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		err := os.Rename(file.Name(), to)
		busy := errors.Is(err, syscall.ERROR_ACCESS_DENIED) || errors.Is(err, sharingViolation)
		if !busy || time.Since(start) > 2*time.Second {
			return err
		}
	}
}

// remove removes a file, which it closes.
func remove(file *os.File) {
	file.Close()
	os.Remove(file.Name())
}
