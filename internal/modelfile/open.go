package modelfile

import "example.com/backprop/internal/safetensors"

// Open opens the file at path, which must be a regular one, and calls read with it. Errors do not
// name the path.
func Open(path string, read func(*Reader) error) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := NewReader(f)
	if err != nil {
		return err
	}
	return read(r)
}
