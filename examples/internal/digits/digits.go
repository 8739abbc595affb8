// Package digits holds 1797 handwritten digits for the examples: 8×8 grey pixels from 0 to 16, and
// the digit that each image shows.
//
// digits.csv.gz is the test part of the "Optical Recognition of Handwritten Digits" of the UCI
// Machine Learning Repository, by E. Alpaydin and C. Kaynak (1998),
// https://archive.ics.uci.edu/dataset/80, licensed under CC BY 4.0
// (https://creativecommons.org/licenses/by/4.0/).
package digits

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

const pixels = 64

//go:embed digits.csv.gz
var file []byte

// Load returns one image in each row of x, 1797×64, top row of pixels first, and its digit in
// labels.
func Load() (x *mat.Dense, labels []int, err error) {
	r, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, nil, fmt.Errorf("digits: %w", err)
	}
	lines := csv.NewReader(r)
	lines.FieldsPerRecord = pixels + 1
	rows, err := lines.ReadAll()
	if err != nil {
		return nil, nil, fmt.Errorf("digits: %w", err)
	}
	x, labels = mat.NewDense(len(rows), pixels, nil), make([]int, len(rows))
	for i, row := range rows {
		for j, field := range row {
			v, err := strconv.Atoi(field)
			if err != nil {
				return nil, nil, fmt.Errorf("digits: row %d: %w", i, err)
			}
			if j == pixels {
				labels[i] = v
			} else {
				x.Set(i, j, float64(v))
			}
		}
	}
	return x, labels, nil
}

// Split returns the digits, one-hot, as a random share that is held out and the rest.
func Split(share float64, seed uint64) (rest, held backprop.Data, err error) {
	x, labels, err := Load()
	if err != nil {
		return rest, held, err
	}
	y, err := backprop.OneHot(labels, 10)
	if err != nil {
		return rest, held, err
	}
	return backprop.Data{X: x, Y: y}.Split(share, seed)
}
