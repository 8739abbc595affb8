// Package mnist reads the handwritten digits of MNIST (Y. LeCun, C. Cortes and C. Burges) for the
// examples: images of 28×28 pixels, and the digit that each shows. testdata holds the first few.
package mnist

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// Sources tells where MNIST is to be had.
const Sources = `The four files of MNIST are at
  https://storage.googleapis.com/cvdf-datasets/mnist/
  https://ossci-datasets.s3.amazonaws.com/mnist/
each with .gz behind its name, and may stay gzipped.`

// The shape of the data.
const (
	Side    = 28 // pixels of an image, across and down
	Classes = 10 // digits

	maxImages = 1 << 20 // MNIST has 60,000
)

// Load reads the training and the test set from the four files in dir: in each row of X the pixels
// of an image, from 0 to 1, in Y the digit it shows, as a 1 in one of ten columns.
func Load(dir string) (train, test backprop.Data, err error) {
	names := []string{
		"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
		"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
	}
	var paths, missing []string
	for _, name := range names {
		path, err := find(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
		} else if err != nil {
			return train, test, err
		}
		paths = append(paths, path)
	}
	if len(missing) > 0 {
		return train, test, fmt.Errorf("%s lacks %s\n%s", dir, strings.Join(missing, ", "), Sources)
	}
	if train, err = readSet(paths[0], paths[1]); err != nil {
		return train, test, err
	}
	test, err = readSet(paths[2], paths[3])
	return train, test, err
}

// find returns path, or path with .gz if only that is there.
func find(path string) (string, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		path += ".gz"
		_, err = os.Stat(path)
	}
	return path, err
}

// readSet reads a file of images and the file of their labels.
func readSet(images, labels string) (backprop.Data, error) {
	pixels, err := readIDX(images, Side, Side)
	if err != nil {
		return backprop.Data{}, err
	}
	digits, err := readIDX(labels)
	if err != nil {
		return backprop.Data{}, err
	}
	n := len(pixels) / (Side * Side)
	if len(digits) != n {
		return backprop.Data{}, fmt.Errorf("%s holds %d images, but %s %d labels", images, n, labels, len(digits))
	}
	x, y := mat.NewDense(n, Side*Side, nil), mat.NewDense(n, Classes, nil)
	for i, digit := range digits {
		if digit >= Classes {
			return backprop.Data{}, fmt.Errorf("%s: label %d is %d, want 0 to %d", labels, i, digit, Classes-1)
		}
		y.Set(i, int(digit), 1)
		row := x.RawRowView(i)
		for j := range row {
			row[j] = float64(pixels[i*len(row)+j]) / 255
		}
	}
	return backprop.Data{X: x, Y: y}, nil
}

// readIDX reads a file of bytes in the IDX format, plain or gzipped, that holds any number of items
// of the given shape. Numbers are of four bytes, the most significant first: 0x08 for bytes and the
// number of dimensions; the number of items; their shape. Behind them stands the data.
func readIDX(path string, shape ...int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := unzip(f)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be unzipped: %w", path, err)
	}
	header := make([]byte, 4*(2+len(shape)))
	if n, err := io.ReadFull(r, header); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%s ends after %d bytes, want a header of %d", path, n, len(header))
	} else if err != nil {
		return nil, fmt.Errorf("%s: header: %w", path, err)
	}
	number := func(i int) int64 { return int64(binary.BigEndian.Uint32(header[4*i:])) }
	if magic := 0x0800 + 1 + int64(len(shape)); number(0) != magic {
		return nil, fmt.Errorf("%s begins with 0x%08x, want 0x%08x", path, number(0), magic)
	}
	count := number(1)
	if count < 1 || count > maxImages {
		return nil, fmt.Errorf("%s: %d items, want 1 to %d", path, count, maxImages)
	}
	size := int(count)
	for i, want := range shape {
		if got := number(2 + i); got != int64(want) {
			return nil, fmt.Errorf("%s: dimension %d is %d, want %d", path, 1+i, got, want)
		}
		size *= want
	}
	// The memory grows with the bytes that come, whatever the header says.
	data, err := io.ReadAll(io.LimitReader(r, int64(size)+1))
	switch {
	case len(data) < size && (err == nil || err == io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%s ends after %d bytes of data, want %d", path, len(data), size)
	case err != nil:
		return nil, fmt.Errorf("%s: after %d of %d bytes of data: %w", path, min(len(data), size), size, err)
	case len(data) > size:
		return nil, fmt.Errorf("%s goes on after the %d bytes of data that its header tells of", path, size)
	}
	return data, nil
}

// unzip returns what f holds, unzipped if it is gzipped.
func unzip(f io.Reader) (io.Reader, error) {
	r := bufio.NewReader(f)
	if start, _ := r.Peek(2); string(start) != "\x1f\x8b" {
		return r, nil
	}
	return gzip.NewReader(r)
}
