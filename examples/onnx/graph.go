package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
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
	params, statistics []backprop.Tensor // of the layers to come
	fields             []any             // of a GraphProto: nodes and constants
	err                error             // what cannot be written so
}

// encode is the network as an ONNX file.
func encode(net *backprop.Network, numbers numberType) ([]byte, error) {
	g := graph{numbers: numbers}
	about, err := g.read(net)
	if err != nil {
		return nil, err
	}
	y := g.layers("x", net.Layers())
	if g.err != nil {
		return nil, g.err
	}
	g.fields = append(g.fields,
		1, message(1, y, 2, "y", 4, "Identity"), // whatever computes y
		2, "network",
		11, g.value("x", net.Inputs()),
		12, g.value("y", net.Outputs()),
	)
	model := message(
		1, 8, // ir_version, with opset 17 what ONNX 1.12 wrote
		2, "backprop", // producer_name
		7, message(g.fields...), // graph
		8, message(2, 17), // opset_import
		14, message(1, "backprop.network", 2, about.Network), // metadata_props
		14, message(1, "backprop.version", 2, about.Version),
	)
	if len(model) > math.MaxInt32 {
		return nil, fmt.Errorf("it has %d bytes as ONNX, want less than 2³¹; float takes half of double", len(model))
	}
	return model, nil
}

// An entry of a safetensors file's header is of a tensor, or under "__metadata__" of the network.
type entry struct {
	Offsets [2]int `json:"data_offsets"`
	Network string `json:"backprop.network"`
	Version string `json:"backprop.version"`
}

// read makes constants of the network's tensors, as Save writes them, and returns what it writes
// about the network.
func (g *graph) read(net *backprop.Network) (about entry, err error) {
	var file bytes.Buffer
	if _, err := net.WriteTo(&file); err != nil {
		return about, err
	}
	header := file.Next(int(binary.LittleEndian.Uint64(file.Next(8))))
	var entries map[string]entry
	shape, err := backprop.Sequential(net.Layers()).Shape(net.Inputs())
	if err := errors.Join(err, json.Unmarshal(header, &entries)); err != nil {
		return about, err
	}
	g.params, g.statistics = shape.Params, shape.Statistics
	for _, t := range slices.Concat(shape.Params, shape.Statistics) {
		from, to := entries[t.Name].Offsets[0], entries[t.Name].Offsets[1]
		data := make([]float64, (to-from)/8)
		binary.Decode(file.Bytes()[from:to], binary.LittleEndian, data) // no error of so many bytes
		g.constant(t.Name, t.Shape, data...)
	}
	return entries["__metadata__"], g.err
}

// value is a ValueInfoProto of a matrix with a row for each of N samples.
func (g *graph) value(name string, columns int) []byte {
	shape := message(1, message(2, "N"), 1, message(1, columns))
	return message(1, name, 2, message(1, message(1, int(g.numbers), 2, shape)))
}

// constant adds a tensor to the graph and returns its name.
func (g *graph) constant(name string, shape []int, data ...float64) string {
	var fields []any
	for _, d := range shape {
		fields = append(fields, 1, d) // dims
	}
	var raw []byte
	for _, v := range data {
		if g.numbers == double {
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
			continue
		}
		narrow := float32(v)
		if math.IsInf(float64(narrow), 0) || narrow == 0 && v > 0 && strings.HasSuffix(name, "running_var") {
			g.err = fmt.Errorf("%s has an element of %v, which is outside the range of float, not of double", name, v)
		}
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(narrow))
	}
	fields = append(fields, 2, int(g.numbers), 8, name, 9, raw) // data_type, name, raw_data
	g.fields = append(g.fields, 5, message(fields...))
	return name
}

// op adds a node and returns the name of its result. It takes results by their names, constants as
// numbers with a point, and AttributeProtos in bytes.
func (g *graph) op(operator string, in ...any) string {
	var fields []any
	for _, v := range in {
		switch v := v.(type) {
		case string:
			fields = append(fields, 1, v) // input
		case []byte:
			fields = append(fields, 5, v) // attribute
		default:
			fields = append(fields, 1, g.constant(g.name("constant"), nil, v.(float64)))
		}
	}
	out := g.name(operator)
	fields = append(fields, 2, out, 3, out, 4, operator) // output, name, op_type
	g.fields = append(g.fields, 1, message(fields...))
	return out
}

// name is one that nothing in the graph has.
func (g *graph) name(of string) string { return fmt.Sprintf("%s_%d", of, len(g.fields)/2) }

// message encodes a message of protocol buffers: the number of a field in onnx.proto, the field's
// value, the number of the next, and so on. A value is an int, a string, or bytes, as of a message.
func message(fields ...any) (m []byte) {
	for i := 0; i < len(fields); i += 2 {
		tag := uint64(fields[i].(int)) << 3
		switch v := fields[i+1].(type) {
		case int:
			m = binary.AppendUvarint(m, tag) // with wire type 0, varint
			m = binary.AppendUvarint(m, uint64(v))
		case string:
			m = append(m, message(fields[i], []byte(v))...)
		case []byte:
			m = binary.AppendUvarint(m, tag|2) // wire type 2, what has a length
			m = binary.AppendUvarint(m, uint64(len(v)))
			m = append(m, v...)
		}
	}
	return m
}
