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
	"sync/atomic"

	"example.com/backprop"
	"example.com/backprop/examples/internal/columns"
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
		Inputs json.RawMessage // an array of numbers, or an object of cells by the names of their columns
	}
	answer struct {
		Class   string `json:"class,omitempty"`
		Outputs any    `json:"outputs"` // []float64, or to inputs by name map[string]float64
	}
)

// A model is a network and what its columns mean, nil where that is not known.
type model struct {
	network *backprop.Network
	table   *columns.Table
}

// A predictor answers requests. Any number of them may be under way at once, and each has one model
// from its beginning to its end.
type predictor struct{ model atomic.Pointer[model] }

func (p *predictor) load(path string) error {
	network, err := backprop.Load(path)
	if err != nil {
		return err
	}
	table, err := columns.Of(network)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	p.model.Store(&model{network, table})
	return nil
}

// follow loads the file anew at every hangup. Where that fails the old model stays.
func (p *predictor) follow(hangups <-chan os.Signal, path string) {
	for range hangups {
		if err := p.load(path); err != nil {
			log.Printf("the old network goes on, for the new one cannot be loaded: %v", err)
		} else {
			log.Printf("%s is loaded anew", path)
		}
	}
}

func (p *predictor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := p.model.Load()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max(maxBody, maxNumber*int64(m.network.Inputs()))))
	var reply any
	if err == nil {
		reply, err = m.answer(body)
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		status, text := failure(err)
		w.WriteHeader(status)
		reply = map[string]string{"error": text}
	}
	json.NewEncoder(w).Encode(reply) // an error means that the client has gone
}

func failure(err error) (status int, text string) {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", tooLarge.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return http.StatusRequestTimeout, "the body took too long to come"
	}
	return http.StatusBadRequest, err.Error()
}

// decode takes one sample or an array of them from a request's body.
func decode(body []byte) (samples []sample, array bool, err error) {
	array = bytes.HasPrefix(bytes.TrimSpace(body), []byte("["))
	if array {
		err = json.Unmarshal(body, &samples)
	} else {
		samples = make([]sample, 1)
		err = json.Unmarshal(body, &samples[0])
	}
	return samples, array, err
}

// answer answers all samples in one pass of the network.
func (m *model) answer(body []byte) (any, error) {
	samples, array, err := decode(body)
	if err != nil {
		return nil, fmt.Errorf(`the body is not what is wanted, {"inputs":…}: %w`, err)
	}
	inputs, outputs := m.network.Inputs(), m.network.Outputs()
	if n, most := len(samples), max(1, maxElements/max(inputs, outputs)); n < 1 || n > most {
		return nil, fmt.Errorf("there are %d samples, want 1 to %d in a request", n, most)
	}
	x := mat.NewDense(len(samples), inputs, nil)
	for i, s := range samples {
		if err := m.encode(x.RawRowView(i), s); err != nil {
			return nil, fmt.Errorf("sample %d: %w", i, err)
		}
	}
	p, err := m.network.Predict(x)
	if err != nil {
		return nil, fmt.Errorf("the inputs are too large for the network: %w", err)
	}
	answers := make([]answer, len(samples))
	for i, class := range backprop.Classes(p) {
		answers[i].Outputs = p.RawRowView(i)
		if samples[i].named() {
			answers[i] = m.named(p.RawRowView(i), class)
		}
	}
	if array {
		return answers, nil
	}
	return answers[0], nil
}

func (s sample) named() bool { return bytes.HasPrefix(s.Inputs, []byte("{")) }

// encode stores a sample's inputs in x, a row of zeros.
func (m *model) encode(x []float64, s sample) error {
	if s.Inputs == nil {
		return errors.New(`it has no "inputs"`)
	}
	if !s.named() {
		return encodeNumbers(x, s)
	}
	if m.table == nil {
		return fmt.Errorf("it has names, but the network knows none; want an array of %d numbers", len(x))
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(s.Inputs, &values); err != nil {
		return err
	}
	cells := map[string]string{}
	for name, value := range values {
		var text string // of null: none, which is a missing cell
		if json.Unmarshal(value, &text) != nil {
			text = string(value) // a number
		}
		cells[name] = text
	}
	return m.table.Inputs.Encode(x, cells)
}

func encodeNumbers(x []float64, s sample) error {
	var numbers []*float64
	if err := json.Unmarshal(s.Inputs, &numbers); err != nil {
		return fmt.Errorf(`want {"inputs":[…]} of %d numbers, or of several samples [{"inputs":[…]},…]: %w`, len(x), err)
	}
	if got := len(numbers); got != len(x) {
		return fmt.Errorf("it has %d inputs, want %d", got, len(x))
	}
	for j, v := range numbers {
		if v == nil {
			return fmt.Errorf("input %d is null, want a number", j)
		}
		x[j] = *v
	}
	return nil
}

// named is the answer to a sample with names.
func (m *model) named(outputs []float64, class int) answer {
	target := m.table.Target
	if len(target.Categories) == 0 {
		return answer{Outputs: map[string]float64{target.Name: outputs[0]}}
	}
	byName := map[string]float64{}
	for j, v := range outputs {
		byName[target.Categories[j]] = v
	}
	return answer{Class: target.Categories[class], Outputs: byName}
}
