// Package lab is what the playground computes: the settings, the data, the training, and one step of
// backpropagation by its numbers. It is plain Go; the folder wasm hands it to the page.
package lab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"example.com/backprop"
)

// Settings are all that can be chosen, by the names that they have in the page's address.
type Settings struct {
	Data                               string
	Noise, Train                       int // per cent: of noise, and of the samples to train on
	Batch, Seed                        int
	Features                           []string
	Layers                             []int // units of each hidden layer
	Activation, Init, Norm             string
	Dropout                            float64
	Optimizer                          string
	Rate, L2, Decay, ClipNorm, ClipAll float64
}

// Defaults are the settings of an address without any.
func Defaults() Settings {
	return Settings{
		Data: "spiral", Noise: 0, Train: 50, Batch: 10, Seed: 0, Features: []string{"x1", "x2"},
		Layers: []int{8, 8, 8}, Activation: "tanh", Init: "default", Norm: "none", Optimizer: "adam", Rate: 0.003,
	}
}

const (
	maxLayers = 50
	maxUnits  = 16
)

var (
	activations = map[string]backprop.Activation{
		"tanh": backprop.Tanh, "relu": backprop.ReLU, "sigmoid": backprop.Sigmoid, "identity": backprop.Identity,
		"leakyrelu": backprop.LeakyReLU{}, "elu": backprop.ELU{}, "gelu": backprop.GELU, "silu": backprop.SiLU,
		"selu": backprop.SELU, "softplus": backprop.Softplus,
	}
	initializers = map[string]backprop.Initializer{
		"default": 0, "glorotuniform": backprop.GlorotUniform, "glorotnormal": backprop.GlorotNormal,
		"heuniform": backprop.HeUniform, "henormal": backprop.HeNormal, "lecunnormal": backprop.LeCunNormal,
		"orthogonal": backprop.Orthogonal,
	}
	optimizers = map[string]func() backprop.Optimizer{
		"sgd":      func() backprop.Optimizer { return &backprop.SGD{} },
		"momentum": func() backprop.Optimizer { return &backprop.SGD{Momentum: 0.9} },
		"nesterov": func() backprop.Optimizer { return &backprop.SGD{Momentum: 0.9, Nesterov: true} },
		"rmsprop":  func() backprop.Optimizer { return &backprop.RMSProp{} },
		"adam":     func() backprop.Optimizer { return &backprop.Adam{} },
		"adagrad":  func() backprop.Optimizer { return &backprop.AdaGrad{} },
	}
)

// A field is a setting: where it is kept, and what it may be.
type field struct {
	name        string
	value       any
	known       func(string) bool // of a word
	least, most float64           // of a number
}

func (s *Settings) fields() []field {
	return []field{
		{name: "data", value: &s.Data, known: isKey(dataSets)},
		{name: "noise", value: &s.Noise, least: 0, most: 50},
		{name: "train", value: &s.Train, least: 10, most: 90},
		{name: "batch", value: &s.Batch, least: 1, most: samples},
		{name: "seed", value: &s.Seed, least: 0, most: 999999},
		{name: "features", value: &s.Features},
		{name: "layers", value: &s.Layers},
		{name: "activation", value: &s.Activation, known: isKey(activations)},
		{name: "init", value: &s.Init, known: isKey(initializers)},
		{name: "norm", value: &s.Norm, known: isKey(map[string]bool{"none": true, "batch": true})},
		{name: "dropout", value: &s.Dropout, least: 0, most: 0.9},
		{name: "optimizer", value: &s.Optimizer, known: isKey(optimizers)},
		{name: "rate", value: &s.Rate, least: 1e-6, most: 100},
		{name: "l2", value: &s.L2, least: 0, most: 10},
		{name: "decay", value: &s.Decay, least: 0, most: 10},
		{name: "clipnorm", value: &s.ClipNorm, least: 0, most: 1000},
		{name: "clipvalue", value: &s.ClipAll, least: 0, most: 1000},
	}
}

func isKey[V any](m map[string]V) func(string) bool {
	return func(name string) bool { _, ok := m[name]; return ok }
}

// Parse makes settings of what get returns for each name, "" meaning the default. What cannot be
// used is replaced by what is nearest, or by the default, and told.
func Parse(get func(name string) string) (s Settings, told []string) {
	s = Defaults()
	for _, f := range s.fields() {
		if text := strings.TrimSpace(get(f.name)); text != "" {
			if want := f.set(text); want != "" {
				told = append(told, fmt.Sprintf("%s is %.30q, want %s; it is %s now.", f.name, text, want, f.text()))
			}
		}
	}
	if s.Norm == "batch" && s.Batch < 2 {
		s.Batch = 2
		told = append(told, "batch is 1, and batch norm wants 2 samples or more; it is 2 now.")
	}
	return s, told
}

// set takes a text, and says what was wanted instead if that is not what was given.
func (f field) set(text string) (want string) {
	switch v := f.value.(type) {
	case *string:
		if !f.known(text) {
			return "one of those on the page"
		}
		*v = text
	case *[]string:
		given, names := strings.Split(text, ","), []string(nil)
		for _, known := range features {
			if slices.Contains(given, known.name) {
				names = append(names, known.name)
			}
		}
		if names != nil {
			*v = names
		}
		if len(names) != len(given) {
			return "one or more of those on the page, each once"
		}
	case *[]int:
		layers, fine := parseLayers(text)
		*v = layers
		if !fine {
			return fmt.Sprintf("up to %d layers of 1 to %d units, as 8,8 or 30x8, or none", maxLayers, maxUnits)
		}
	case *int:
		x, fine := f.number(text)
		*v = int(x)
		if want = fmt.Sprintf("a whole number from %v to %v", f.least, f.most); !fine || x != float64(*v) {
			return want
		}
		return ""
	case *float64:
		x, fine := f.number(text)
		*v = x
		if !fine {
			return fmt.Sprintf("a number from %v to %v", f.least, f.most)
		}
	}
	return ""
}

// number is a number within the bounds. A text that is none gives the default.
func (f field) number(text string) (x float64, fine bool) {
	x, err := strconv.ParseFloat(text, 64) // an infinity if it is too large
	if x != x || err != nil && x == 0 {
		x, _ = strconv.ParseFloat(f.text(), 64)
		return x, false
	}
	bounded := min(max(x, f.least), f.most)
	return bounded, bounded == x
}

// parseLayers reads "8,8", "30x8" for 30 layers of 8 units, and "none".
func parseLayers(text string) (layers []int, fine bool) {
	if text == "none" {
		return nil, true
	}
	fine = true
	for part := range strings.SplitSeq(text, ",") {
		times, units, ok := strings.Cut(part, "x")
		if !ok {
			times, units = "1", part
		}
		n, err1 := strconv.Atoi(strings.TrimSpace(times))
		u, err2 := strconv.Atoi(strings.TrimSpace(units))
		m := min(max(n, 1), maxLayers-len(layers))
		fine = fine && err1 == nil && err2 == nil && m == n && u >= 1 && u <= maxUnits
		layers = append(layers, slices.Repeat([]int{min(max(u, 1), maxUnits)}, m)...)
	}
	return layers, fine
}

// text is the setting as Parse reads it.
func (f field) text() string {
	switch v := f.value.(type) {
	case *string:
		return *v
	case *[]string:
		return strings.Join(*v, ",")
	case *[]int:
		return layersText(*v)
	case *int:
		return strconv.Itoa(*v)
	}
	return strconv.FormatFloat(*f.value.(*float64), 'g', -1, 64)
}

func layersText(layers []int) string {
	var parts []string
	for i := 0; i < len(layers); {
		n := 1
		for i+n < len(layers) && layers[i+n] == layers[i] {
			n++
		}
		part := strconv.Itoa(layers[i])
		if n > 4 {
			parts = append(parts, fmt.Sprintf("%dx%s", n, part))
		} else {
			parts = append(parts, slices.Repeat([]string{part}, n)...)
		}
		i += n
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ",")
}

// Map is the settings by their names.
func (s *Settings) Map() map[string]any {
	m := map[string]any{}
	for _, f := range s.fields() {
		m[f.name] = f.text()
	}
	return m
}
