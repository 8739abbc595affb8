package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"example.com/backprop"
)

// A numberType is the type of a file's numbers, as onnx.proto counts types.
type numberType int

const (
	float  numberType = 1
	double numberType = 11
)

// A graph is what has been made of a network's layers so far.
type graph struct {
	numbers            numberType
	params, statistics []tensor        // of the layers to come
	nodes, constants   []any           // fields of a GraphProto
	known              map[string]bool // names of constants
	err                error           // a constant that does not fit into float
}

// A tensor is a parameter, a statistic or another constant.
type tensor struct {
	name  string
	shape []int
	data  []float64
}

// encode is the network as an ONNX file.
func encode(net *backprop.Network, numbers numberType) ([]byte, error) {
	g := graph{numbers: numbers, known: make(map[string]bool)}
	metadata, err := g.read(net)
	if err != nil {
		return nil, err
	}
	y, err := g.layers("x", net.Layers())
	if err := cmp.Or(err, g.err); err != nil {
		return nil, err
	}
	fields := append(g.nodes,
		1, message(1, y, 2, "y", 4, "Identity"), // whatever computes y
		2, "network",
		11, g.value("x", net.Inputs()),
		12, g.value("y", net.Outputs()),
	)
	file := []any{
		1, 8, // ir_version, with opset 17 what ONNX 1.12 wrote
		2, "backprop", // producer_name
		7, message(append(fields, g.constants...)...), // graph
		8, message(2, 17), // opset_import
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		file = append(file, 14, message(1, key, 2, metadata[key])) // metadata_props
	}
	model := message(file...)
	if len(model) > math.MaxInt32 {
		return nil, fmt.Errorf("it has %d bytes as ONNX, want less than 2³¹; float takes half of double", len(model))
	}
	return model, nil
}

// read takes the network's tensors from what Save writes of it, and returns the metadata there.
func (g *graph) read(net *backprop.Network) (metadata map[string]string, err error) {
	var file bytes.Buffer
	if _, err := net.WriteTo(&file); err != nil {
		return nil, err
	}
	header := file.Next(int(binary.LittleEndian.Uint64(file.Next(8))))
	var about struct {
		Metadata map[string]string `json:"__metadata__"`
	}
	var places map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	shape, err := backprop.Sequential(net.Layers()).Shape(net.Inputs())
	if err := errors.Join(err, json.Unmarshal(header, &about), json.Unmarshal(header, &places)); err != nil {
		return nil, err
	}
	take := func(list []backprop.Tensor) (tensors []tensor) {
		for _, t := range list {
			from, to := places[t.Name].Offsets[0], places[t.Name].Offsets[1]
			data := make([]float64, (to-from)/8)
			binary.Decode(file.Bytes()[from:to], binary.LittleEndian, data) // no error of so many bytes
			tensors = append(tensors, tensor{t.Name, t.Shape, data})
		}
		return tensors
	}
	g.params, g.statistics = take(shape.Params), take(shape.Statistics)
	return about.Metadata, nil
}

// value is a ValueInfoProto of a matrix with a row for each of N samples.
func (g *graph) value(name string, columns int) []byte {
	shape := message(1, message(2, "N"), 1, message(1, columns))
	return message(1, name, 2, message(1, message(1, int(g.numbers), 2, shape)))
}

// next makes a layer's next parameter or statistic a constant.
func (g *graph) next(list *[]tensor) string {
	t := (*list)[0]
	*list = (*list)[1:]
	return g.constant(t)
}

// constant adds a tensor to the graph, if it has none of that name, and returns the name.
func (g *graph) constant(t tensor) string {
	if g.known[t.name] {
		return t.name
	}
	g.known[t.name] = true
	var fields []any
	for _, d := range t.shape {
		fields = append(fields, 1, d) // dims
	}
	var raw []byte
	for _, v := range t.data {
		if g.numbers == double {
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
			continue
		}
		narrow := float32(v)
		if math.IsInf(float64(narrow), 0) || narrow == 0 && v > 0 && strings.HasSuffix(t.name, "running_var") {
			g.err = fmt.Errorf("%s has an element of %v, which is outside the range of float, not of double", t.name, v)
		}
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(narrow))
	}
	fields = append(fields, 2, int(g.numbers), 8, t.name, 9, raw) // data_type, name, raw_data
	g.constants = append(g.constants, 5, message(fields...))
	return t.name
}

func (g *graph) scalar(v float64) string {
	return g.constant(tensor{strconv.FormatFloat(v, 'g', -1, 64), nil, []float64{v}})
}

// node adds a node, with an AttributeProto or nil, and returns the name of its result.
func (g *graph) node(operator string, attribute []byte, in ...string) string {
	out := fmt.Sprintf("%s_%d", operator, len(g.nodes)/2)
	var fields []any
	for _, name := range in {
		fields = append(fields, 1, name) // input
	}
	fields = append(fields, 2, out, 3, out, 4, operator) // output, name, op_type
	if attribute != nil {
		fields = append(fields, 5, attribute)
	}
	g.nodes = append(g.nodes, 1, message(fields...))
	return out
}

func (g *graph) op(operator string, in ...string) string { return g.node(operator, nil, in...) }
