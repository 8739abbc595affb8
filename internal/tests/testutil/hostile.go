package testutil

import (
	"math"
	"strings"
)

// OneDense describes a network of one unit; Weight and Bias are its tensors.
const OneDense = `{"inputs":1,"layers":[{"type":"Dense","units":1}]}`

var (
	Weight = RawTensor{"0.weight", "F64", []int{1, 1}, []float64{2}}
	Bias   = RawTensor{"0.bias", "F64", []int{1}, []float64{3}}
	mean   = RawTensor{"0.running_mean", "F64", []int{1}, []float64{0}}
)

// HostileFiles are not to be read, with the error that says why.
var HostileFiles = []struct{ File, Want string }{
	// What is no safetensors file; internal/safetensors has all that can be wrong there.
	{"", "safetensors: this is not a safetensors file, or only the beginning of one: the file ends at byte 0, 8 bytes too early: unexpected EOF"},
	{RawFile(`{"a":{},"a":{}}`), `safetensors: byte 14: tensor "a": missing key "dtype"`},
	{RawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}`, 1, 2), `the metadata has no "backprop.version"; this is not a file of a network`},
	{"x,y\n0.5,1\n", `safetensors: this is not a safetensors file: it begins with "x,y\n0.5,", which is no length of a header`},
	{RawFile(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`), `the metadata has no "backprop.version"; this is not a file of a network`},
	{NetworkFile(OneDense, Weight, Bias) + "\x00", "safetensors: the file goes on after byte 268, the end of its last tensor"},
	// The metadata.
	{RawFile(`{}`), `the metadata has no "backprop.version"; this is not a file of a network`},
	{RawFile(`{"__metadata__":{"format":"pt"}}`), `the metadata has no "backprop.version"; this is not a file of a network`},
	{RawFile(`{"__metadata__":{"backprop.version":"2"}}`), `backprop.version is "2", want "1"`},
	{RawFile(`{"__metadata__":{"backprop.version":"1"}}`), `backprop.network: byte 0: expected {, got the end`},
	{NetworkFile(`null`), `backprop.network: byte 0: expected {, got null`},
	{NetworkFile(`[]`), `backprop.network: byte 0: expected {, got [`},
	{NetworkFile(OneDense+`{}`, Weight, Bias), `backprop.network: byte 50: expected the end, got {`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1}],"more":0}`), `backprop.network: json: unknown field "more"`},
	{NetworkFile(`{"inputs":1,"layers":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`), `backprop.network: byte 22: layer 0: expected {, got [`},
	{NetworkFile(`{"inputs":1,"layers":[` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `]}`),
		`backprop.network: byte 22: layer 0: expected {, got [`},
	{NetworkFile(`{"inputs":1.5,"layers":[]}`), `backprop.network: byte 10: 1.5 is not a value of type int`},
	{NetworkFile(`{"inputs":1e400,"layers":[]}`), `backprop.network: byte 10: 1e400 is not a value of type int`},
	{NetworkFile(`{"inputs":-1,"layers":[]}`), `backprop.network: -1 inputs, want 1 to 1073741824`},
	{NetworkFile(`{"inputs":1,"layers":[]}`), `backprop.network: no layers, want at least one`},
	{NetworkFile(`{"inputs":1,"layers":{}}`), `backprop.network: byte 21: expected [, got {`},
	{NetworkFile(`{"inputs":1,"layers":[` + strings.Repeat("{},", 100000) + `{}]}`), `backprop.network: layer 0: layer type "" is not known`},
	{NetworkFile(`{"inputs":1,"layers":[` + strings.Repeat(`{"type":"Dropout"},`, 1<<14) + `{"type":"Dense","units":1}]}`),
		`backprop.network: more than 16384 layers`},
	{NetworkFile(`{"inputs":1,"layers":[` + strings.Repeat(`{"type":"Dropout"},`, 5000) + `{"type":"Dropout"}]}`),
		`backprop.network: layer 5000: a Dropout cannot be the last layer, want a Dense or a BatchNorm`},
	// Layers.
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Conv","units":1}]}`), `backprop.network: layer 0: layer type "Conv" is not known`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"rank":1}]}`), `backprop.network: layer 0: json: unknown field "rank"`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense"}]}`), `backprop.network: layer 0: Dense Units is 0, want 1 to 1073741824`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":-3}]}`), `backprop.network: layer 0: Dense Units is -3, want 1 to 1073741824`},
	{NetworkFile(`{"inputs":2147483647,"layers":[{"type":"Dense","units":1}]}`), `backprop.network: 2147483647 inputs, want 1 to 1073741824`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":2147483647}]}`),
		`backprop.network: layer 0: Dense Units is 2147483647, want 1 to 1073741824`},
	{NetworkFile(`{"inputs":1073741824,"layers":[{"type":"Dense","units":1073741824}]}`), // 2⁶⁰ weights, and in four such layers 2⁶²
		`backprop.network: layer 0: its weight has shape [1073741824 1073741824], want 1 to 1073741824 elements`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"init":"Zero"}]}`), `backprop.network: layer 0: initializer "Zero" is not known`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"Step"}]}`),
		`backprop.network: layer 0: activation "Step" is not known; register it with RegisterActivation`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"ELU(-1)"}]}`),
		`backprop.network: layer 0: activation "ELU(-1)" is not known; register it with RegisterActivation`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"LeakyReLU(0)"}]}`),
		`backprop.network: layer 0: activation "LeakyReLU(0)" is not known; register it with RegisterActivation`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"LeakyReLU(NaN)"}]}`),
		`backprop.network: layer 0: activation "LeakyReLU(NaN)" is not known; register it with RegisterActivation`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"LeakyReLU(0x_1p-2)"}]}`),
		`backprop.network: layer 0: activation "LeakyReLU(0x_1p-2)" is not known; register it with RegisterActivation`},
	{NetworkFile(`{"inputs":1,"inputs":2,"layers":[]}`), `backprop.network: byte 12: duplicate key "inputs"`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","Units":1}]}`), `backprop.network: layer 0: json: unknown field "Units"`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"LeakyReLU(1"}]}`),
		`backprop.network: layer 0: activation "LeakyReLU(1" is not known; register it with RegisterActivation`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1,"activation":"Softmax"}]}`),
		`backprop.network: layer 0: a Softmax over 1 unit is always 1, want 2 units or more, or Sigmoid`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"BatchNorm","momentum":2}]}`), `backprop.network: layer 0: BatchNorm Momentum is 2, want 0 to 1`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"BatchNorm","epsilon":-1}]}`), `backprop.network: layer 0: BatchNorm Epsilon is -1, want a finite number above 0`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dropout","rate":1},{"type":"Dense","units":1}]}`),
		`backprop.network: layer 0: Dropout Rate is 1, want 0 to 1, 1 not included`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Dense","units":1},{"type":"Standardize"},{"type":"Dense","units":1}]}`),
		`backprop.network: layer 1: a Standardize stands behind another layer, want it first`},
	// Tensors that contradict the metadata.
	{NetworkFile(OneDense), `there is no tensor "0.weight"`},
	{NetworkFile(OneDense, Weight), `there is no tensor "0.bias"`},
	{NetworkFile(`{"inputs":32768,"layers":[{"type":"Dense","units":32767}]}`, Weight, Bias), `tensor "0.weight" has shape [1 1], want [32767 32768]`},
	{NetworkFile(OneDense, Weight, Bias, mean), `tensor "0.running_mean" belongs to no layer`},
	{NetworkFile(OneDense, Weight, Bias, RawTensor{"0.num_batches_tracked", "I64", nil, []float64{1}}), `tensor "0.num_batches_tracked" belongs to no layer`},
	{NetworkFile(OneDense, Weight, Bias, RawTensor{"checkpoint.history", "F64", []int{0}, nil}), `tensor "checkpoint.history" belongs to no layer`},
	{NetworkFile(OneDense, RawTensor{"0.weight", "F64", []int{1}, []float64{2}}, Bias), `tensor "0.weight" has shape [1], want [1 1]`},
	{NetworkFile(OneDense, Weight, RawTensor{"0.bias", "F64", []int{2}, []float64{2, 3}}), `tensor "0.bias" has shape [2], want [1]`},
	{NetworkFile(OneDense, Weight, RawTensor{"0.bias", "I64", []int{1}, []float64{2}}), `tensor "0.bias" is of type I64, want F64 or F32`},
	{NetworkFile(OneDense, Weight, RawTensor{"0.bias", "F64", []int{1}, []float64{math.NaN()}}), `tensor "0.bias" has NaN at index 0, want finite numbers`},
	{NetworkFile(OneDense, Weight, RawTensor{"0.bias", "F32", []int{1}, []float64{math.Inf(-1)}}), `tensor "0.bias" has -Inf at index 0, want finite numbers`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"BatchNorm"}]}`, RawTensor{"0.weight", "F64", []int{1}, []float64{1}}, Bias, mean,
		RawTensor{"0.running_var", "F64", []int{1}, []float64{-1e-300}}), `tensor "0.running_var" has -1e-300 at index 0, which cannot be a variance`},
	{NetworkFile(`{"inputs":1,"layers":[{"type":"Standardize"},{"type":"Dense","units":1}]}`, mean, RawTensor{"0.running_var", "F64", []int{1}, []float64{0}},
		RawTensor{"1.weight", "F64", []int{1, 1}, []float64{1}}, RawTensor{"1.bias", "F64", []int{1}, []float64{1}}),
		`tensor "0.running_var" has 0 at index 0, which cannot be a variance`},
}
