package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

const (
	maxBody     = 1 << 20 // bytes, unless a single sample may take more
	maxNumber   = 32      // bytes of a number that a single sample may take
	maxElements = 1 << 20 // of the inputs and of the outputs of a request
)

// A sample is what a client sends, an answer what it gets.
type (
	sample struct {
		Inputs inputs `json:"inputs"`
	}
	answer struct {
		Class   any `json:"class,omitempty"` // its number, or to inputs by name its name; nil where there is none
		Outputs any `json:"outputs"`         // []float64, or to inputs by name map[string]float64
	}
	failure struct {
		Error string `json:"error"`
	}
)

// The inputs are numbers, or cells by the names of their columns.
type inputs struct {
	numbers []number
	cells   map[string]cell // not nil where there are names
}

func (in *inputs) UnmarshalJSON(text []byte) error {
	if text[0] == '{' {
		return json.Unmarshal(text, &in.cells)
	}
	return json.Unmarshal(text, &in.numbers)
}

// A number is a finite one. JSON's null is none.
type number float64

func (v *number) UnmarshalJSON(text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("an input is %.20s, want a number", text)
	}
	*v = number(f)
	return nil
}

// A cell is a text or a number as it stands in a table. JSON's null is a missing one.
type cell string

func (c *cell) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case '"':
		return json.Unmarshal(text, (*string)(c))
	case '[', '{':
		return fmt.Errorf("an input is %.20s, want a number, a text or null", text)
	}
	*c = cell(text)
	return nil
}

// A predictor answers requests. Any number of them may be under way at once, and each has one model
// from its beginning to its end.
type predictor struct{ model atomic.Pointer[model] }

func newPredictor(m *model) *predictor {
	p := &predictor{}
	p.model.Store(m)
	return p
}

func (p *predictor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeJSON(w, http.StatusMethodNotAllowed, failure{"the method is " + r.Method + ", want POST"})
		return
	}
	m := p.model.Load()
	limit := max(maxBody, maxNumber*int64(m.network.Inputs()))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		status, text := unread(err)
		writeJSON(w, status, failure{text})
		return
	}
	samples, single, err := decode(body)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	x, err := m.encodeAll(samples)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	answers, err := m.predict(samples, x)
	var overflow *backprop.ValueError
	switch {
	case errors.As(err, &overflow):
		writeJSON(w, http.StatusBadRequest, failure{"the inputs are too large for the network: " + err.Error()})
	case err != nil:
		log.Print(err)
		writeJSON(w, http.StatusInternalServerError, failure{"the network fails on this input"})
	case single:
		writeJSON(w, http.StatusOK, answers[0])
	default:
		writeJSON(w, http.StatusOK, answers)
	}
}

// unread says why a body could not be read.
func unread(err error) (status int, text string) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, "the body took too long to come"
	}
	return http.StatusBadRequest, "the body cannot be read: " + err.Error()
}

// decode takes one sample or an array of them from a request's body.
func decode(body []byte) (samples []sample, single bool, err error) {
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		err = strictJSON(body, &samples)
	} else {
		samples, single = make([]sample, 1), true
		err = strictJSON(body, &samples[0])
	}
	if err != nil {
		return nil, false, err
	}
	if len(samples) == 0 {
		return nil, false, errors.New("there are no samples, want at least one")
	}
	return samples, single, nil
}

// encodeAll makes a matrix of the samples, unless it or its outputs would take too much memory.
func (m *model) encodeAll(samples []sample) (*mat.Dense, error) {
	n, width := len(samples), m.network.Inputs()
	if most := max(1, maxElements/max(width, m.network.Outputs())); n > most {
		return nil, fmt.Errorf("there are %d samples, want at most %d in a request", n, most)
	}
	x := mat.NewDense(n, width, nil)
	for i, s := range samples {
		if err := m.encode(x.RawRowView(i), s); err != nil {
			return nil, fmt.Errorf("sample %d %w", i, err)
		}
	}
	return x, nil
}

// strictJSON decodes all of body, and nothing that v has no field for.
func strictJSON(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf(`the body is not what is wanted, {"inputs":…}: %w`, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON")
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error means that the client has gone
}
