// Package lab is what the playground computes: the settings, the data, the training, and one step
// of backpropagation by its numbers. It is plain Go; the folder wasm hands it to the page.
package lab

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"example.com/backprop"
)

// Settings are all that can be chosen, by their names in the page's address.
type Settings map[string]string

func (s Settings) number(name string) float64 {
	v, _ := strconv.ParseFloat(s[name], 64) // Parse has made it one
	return v
}

// A mender takes what is given for a setting. It returns what is nearest to it of what the setting
// may be, "" for the standard, and what was wanted if that is not what was given.
type mender func(text string) (mended, want string)

var rules = []struct {
	name, standard string
	mend           mender
}{
	{"data", "spiral", keyOf(dataSets)},
	{"noise", "0", whole(0, 50)},   // per cent
	{"train", "50", whole(10, 90)}, // per cent of the samples
	{"seed", "0", whole(0, 999999)},
	{"features", "x1,x2", mendFeatures},
	{"layers", "8,8,8", mendLayers}, // units of each hidden layer
	{"activation", "tanh", keyOf(activations)},
	{"init", "default", keyOf(initializers)},
	{"norm", "none", keyOf(map[string]bool{"none": true, "batch": true})},
	{"dropout", "0", number(0, 0.9)},
	{"optimizer", "adam", keyOf(optimizers)},
	{"rate", "0.003", number(1e-6, 100)},
	{"batch", "10", whole(1, samples)},
	{"l2", "0", number(0, 10)},
	{"decay", "0", number(0, 10)},
	{"clipnorm", "0", number(0, 1000)},
	{"clipvalue", "0", number(0, 1000)},
}

var activations = map[string]backprop.Activation{
	"tanh": backprop.Tanh, "relu": backprop.ReLU, "sigmoid": backprop.Sigmoid, "identity": backprop.Identity,
	"leakyrelu": backprop.LeakyReLU{}, "elu": backprop.ELU{}, "gelu": backprop.GELU, "silu": backprop.SiLU,
	"selu": backprop.SELU, "softplus": backprop.Softplus,
}

var initializers = map[string]backprop.Initializer{
	"default": 0, "glorotuniform": backprop.GlorotUniform, "glorotnormal": backprop.GlorotNormal,
	"heuniform": backprop.HeUniform, "henormal": backprop.HeNormal, "lecunnormal": backprop.LeCunNormal,
	"orthogonal": backprop.Orthogonal,
}

var optimizers = map[string]func() backprop.Optimizer{
	"sgd":      func() backprop.Optimizer { return &backprop.SGD{} },
	"momentum": func() backprop.Optimizer { return &backprop.SGD{Momentum: 0.9} },
	"nesterov": func() backprop.Optimizer { return &backprop.SGD{Momentum: 0.9, Nesterov: true} },
	"rmsprop":  func() backprop.Optimizer { return &backprop.RMSProp{} },
	"adam":     func() backprop.Optimizer { return &backprop.Adam{} },
	"adagrad":  func() backprop.Optimizer { return &backprop.AdaGrad{} },
}

// Parse makes settings of what get returns for each name, "" meaning the standard. It tells what
// could not be used.
func Parse(get func(name string) string) (s Settings, told []string) {
	s = Settings{}
	for _, r := range rules {
		s[r.name] = r.standard
		text := strings.TrimSpace(get(r.name))
		if text == "" {
			continue
		}
		mended, want := r.mend(text)
		if mended != "" {
			s[r.name] = mended
		}
		if want != "" {
			told = append(told, fmt.Sprintf("%s is %.30q, want %s; it is %s now.", r.name, text, want, s[r.name]))
		}
	}
	if s["norm"] == "batch" && s["batch"] == "1" {
		s["batch"] = "2"
		told = append(told, "batch is 1, and batch norm wants 2 samples or more; it is 2 now.")
	}
	return s, told
}

func keyOf[V any](m map[string]V) mender {
	return func(text string) (mended, want string) {
		if _, ok := m[text]; ok {
			return text, ""
		}
		return "", "one of those on the page"
	}
}

func number(least, most float64) mender {
	return func(text string) (mended, want string) {
		v, err := strconv.ParseFloat(text, 64) // an infinity if it is too large
		want = fmt.Sprintf("a number from %v to %v", least, most)
		if math.IsNaN(v) || err != nil && v == 0 {
			return "", want
		}
		bounded := min(max(v, least), most)
		if bounded == v {
			want = ""
		}
		return strconv.FormatFloat(bounded, 'g', -1, 64), want
	}
}

func whole(least, most float64) mender {
	return func(text string) (mended, want string) {
		mended, want = number(least, most)(text)
		if v, _, fraction := strings.Cut(mended, "."); fraction {
			return v, fmt.Sprintf("a whole number from %v to %v", least, most)
		}
		return mended, want
	}
}

// mendFeatures brings them into their order.
func mendFeatures(text string) (mended, want string) {
	given, names := strings.Split(text, ","), []string(nil)
	for _, f := range features {
		if slices.Contains(given, f.name) {
			names = append(names, f.name)
		}
	}
	if len(names) != len(given) {
		want = "one or more of those on the page, each once"
	}
	return strings.Join(names, ","), want
}

const (
	maxLayers = 50
	maxUnits  = 16
)

func mendLayers(text string) (mended, want string) {
	layers, fine := parseLayers(text)
	if !fine {
		want = fmt.Sprintf("up to %d layers of 1 to %d units, as 8,8 or 30x8, or none", maxLayers, maxUnits)
	}
	if len(layers) == 0 {
		return "none", want
	}
	var parts []string
	for i, n := 0, 0; i < len(layers); i += n {
		for n = 1; i+n < len(layers) && layers[i+n] == layers[i]; n++ {
		}
		units := strconv.Itoa(layers[i])
		if n > 4 {
			parts = append(parts, fmt.Sprintf("%dx%s", n, units))
		} else {
			parts = append(parts, slices.Repeat([]string{units}, n)...)
		}
	}
	return strings.Join(parts, ","), want
}

// parseLayers reads "8,8", "30x8" for 30 layers of 8 units, and "none". What is beyond the bounds
// is brought within, and not fine.
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
		count, size := min(max(n, 1), maxLayers-len(layers)), min(max(u, 1), maxUnits)
		fine = fine && err1 == nil && err2 == nil && count == n && size == u
		layers = append(layers, slices.Repeat([]int{size}, count)...)
	}
	return layers, fine
}
