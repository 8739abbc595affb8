package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"example.com/backprop"
	"example.com/backprop/examples/table/columns"
	"gonum.org/v1/gonum/mat"
)

// A model is a network and what its columns mean.
type model struct {
	network *backprop.Network
	table   *columns.Table // nil where they have no names
	classes bool           // the outputs are probabilities of classes, of which a sample has one
}

func load(path string) (*model, error) {
	network, err := backprop.Load(path)
	if err != nil {
		return nil, err
	}
	m, err := newModel(network)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func newModel(network *backprop.Network) (*model, error) {
	table, err := columns.Of(network)
	if err != nil {
		return nil, err
	}
	shape, err := backprop.Sequential(network.Layers()).Shape(network.Inputs())
	if err != nil {
		return nil, err
	}
	f := shape.Activation
	return &model{network, table, f == backprop.Softmax || f == backprop.Sigmoid && shape.Outputs == 1}, nil
}

// follow loads the file anew at every hangup until ctx is cancelled. Where that fails the old model
// stays.
func (p *predictor) follow(ctx context.Context, hangups <-chan os.Signal, path string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		m, err := load(path)
		if err != nil {
			log.Printf("the old network goes on, for the new one cannot be loaded: %v", err)
			continue
		}
		p.model.Store(m)
		log.Printf("%s is loaded anew: %d inputs, %d outputs", path, m.network.Inputs(), m.network.Outputs())
	}
}

// encode stores a sample's inputs in a row of x.
func (m *model) encode(x []float64, s sample) error {
	if s.Inputs.cells != nil {
		return m.encodeCells(x, s.Inputs.cells)
	}
	if got := len(s.Inputs.numbers); got != len(x) {
		return fmt.Errorf("has %d inputs, want %d", got, len(x))
	}
	for j, v := range s.Inputs.numbers {
		x[j] = float64(v)
	}
	return nil
}

func (m *model) encodeCells(x []float64, cells map[string]cell) error {
	if m.table == nil {
		return fmt.Errorf("has names, but the network knows none; want an array of %d numbers", len(x))
	}
	for _, c := range m.table.Inputs {
		if _, ok := cells[c.Name]; !ok {
			return fmt.Errorf("has no column %.40q; null stands for a missing cell", c.Name)
		}
	}
	if len(cells) > len(m.table.Inputs) {
		for _, c := range m.table.Inputs {
			delete(cells, c.Name)
		}
		for name := range cells {
			return fmt.Errorf("has a column %.40q, which the network does not know", name)
		}
	}
	j, err := m.table.Encode(x, func(j int) string { return string(cells[m.table.Inputs[j].Name]) })
	if err != nil {
		return fmt.Errorf("cannot be used in column %.40q: %w", m.table.Inputs[j].Name, err)
	}
	return nil
}

// predict answers all samples in one pass.
func (m *model) predict(samples []sample, x *mat.Dense) ([]answer, error) {
	p, err := m.network.Predict(x)
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(samples))
	classes := backprop.Classes(p)
	for i := range answers {
		if samples[i].Inputs.cells != nil {
			answers[i] = m.named(p.RawRowView(i), classes[i])
			continue
		}
		answers[i].Outputs = p.RawRowView(i)
		if m.classes {
			answers[i].Class = classes[i]
		}
	}
	return answers, nil
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
