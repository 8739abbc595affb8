package modelfile

import (
	"errors"
	"io/fs"
	"os"
)

// Open opens the file at path and calls read with it. Errors do not name the path.
func Open(path string, read func(*Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		if p := new(fs.PathError); errors.As(err, &p) {
			return p.Err
		}
		return err
	}
	defer f.Close()
	r, err := NewReader(f)
	if err != nil {
		return err
	}
	return read(r)
}
