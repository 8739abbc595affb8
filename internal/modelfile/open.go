package modelfile

import (
	"fmt"
	"os"
)

// Open opens the file at path and calls read with it. Errors name the path.
func Open(path string, read func(*Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := NewReader(f)
	if err == nil {
		err = read(r)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
