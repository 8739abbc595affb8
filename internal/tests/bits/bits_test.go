// Package bits tests that one program gives the same bits on every kind of processor.
package bits

import (
	"context"
	"encoding/binary"
	"hash"
	"hash/fnv"
	"math"
	"testing"

	"example.com/backprop"
	"example.com/backprop/internal/kernel"
	"example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// A training is one whose outcome is known: the hash of parameters, statistics, history, predictions,
// how good they are and the derivatives by the inputs on every machine with assembly, and the loss of
// the last epoch.
type training struct {
	name   string
	print  uint64
	loss   float64
	x, y   *mat.Dense
	layers []backprop.Layer
	config backprop.TrainConfig
}

// Wide numbers reach the ends of what activations treat differently.
var (
	inputs     = testutil.ScaledMatrix(testutil.Pattern(60, 9), 4)
	values     = testutil.Pattern(60, 3)
	labels     = testutil.Probabilities(60, 3)
	classes    = testutil.ClassTargets(60, 3)
	xorX, xorY = testutil.Xor()
)

// weights are 0 to 2, of 60 samples.
var weights = testutil.ScaledMatrix(testutil.Probabilities(60, 1), 2).RawMatrix().Data

// hidden is a layer of 17 units, a width with which no vector ends.
func hidden(f backprop.Activation) backprop.Dense { return backprop.Dense{Units: 17, Activation: f} }

// deep are orthogonal layers.
func deep(layers int) (list []backprop.Layer) {
	for range layers {
		list = append(list, backprop.Dense{Units: 9, Activation: backprop.Tanh, Init: backprop.Orthogonal})
	}
	return append(list, backprop.Dense{Units: 3})
}

var trainings = []training{
	{
		name: "XOR, full batch, gradient descent", print: 0xd3d754a37c821a71, loss: 0.05634963872966979, x: xorX, y: xorY,
		layers: []backprop.Layer{backprop.Dense{Units: 4, Activation: backprop.Tanh}, backprop.Dense{Units: 1, Activation: backprop.Sigmoid}},
		config: backprop.TrainConfig{LearningRate: 0.5, Epochs: 200},
	}, {
		name: "identity, MSE", print: 0x9446e0f9362ca8c7, loss: 0.39603374799418073, x: inputs, y: values,
		layers: []backprop.Layer{hidden(nil), backprop.Dense{Units: 3}},
		config: backprop.TrainConfig{LearningRate: 0.01, L2: 0.01},
	}, {
		name: "tanh, sigmoid, BinaryCrossEntropy, momentum", print: 0xdfb47ef2622cef46, loss: 0.685160536323773, x: inputs, y: labels,
		layers: []backprop.Layer{hidden(backprop.Tanh), hidden(backprop.Sigmoid), backprop.Dense{Units: 3, Activation: backprop.Sigmoid}},
		config: backprop.TrainConfig{LearningRate: 0.1, Optimizer: &backprop.SGD{Momentum: 0.9}},
	}, {
		name: "ReLU, Softmax, CrossEntropy, Adam, clipped norm", print: 0x691348947d2d0a07, loss: 0.4060672723422514, x: inputs, y: classes,
		layers: []backprop.Layer{hidden(backprop.ReLU), hidden(backprop.ReLU), backprop.Dense{Units: 3, Activation: backprop.Softmax}},
		config: backprop.TrainConfig{LearningRate: 0.01, Optimizer: &backprop.Adam{}, ClipNorm: 0.3},
	}, {
		name: "GELU, Nesterov, weight decay", print: 0xeb1310346d7957ec, loss: 0.24722974583156151, x: inputs, y: values,
		layers: []backprop.Layer{hidden(backprop.GELU), hidden(backprop.GELU), backprop.Dense{Units: 3}},
		config: backprop.TrainConfig{LearningRate: 0.02, Optimizer: &backprop.SGD{Momentum: 0.8, Nesterov: true}, WeightDecay: 0.1},
	}, {
		name: "SiLU, Huber, RMSProp", print: 0x78148241ef35cb24, loss: 0.06729215412455422, x: inputs, y: values,
		layers: []backprop.Layer{hidden(backprop.SiLU), hidden(backprop.SiLU), backprop.Dense{Units: 3}},
		config: backprop.TrainConfig{LearningRate: 0.01, Loss: backprop.Huber{Delta: 0.3}, Optimizer: &backprop.RMSProp{}},
	}, {
		name: "SELU, MAE, AdaGrad", print: 0x7d8cf68baa1d0d17, loss: 0.4707053376211632, x: inputs, y: values,
		layers: []backprop.Layer{hidden(backprop.SELU), hidden(backprop.SELU), backprop.Dense{Units: 3}},
		config: backprop.TrainConfig{LearningRate: 0.1, Loss: backprop.MAE, Optimizer: &backprop.AdaGrad{}, ClipValue: 0.01},
	}, {
		name: "softplus, ELU, centered RMSProp with momentum", print: 0xc064cfa09d3e7d41, loss: 0.3555692001486013, x: inputs, y: values,
		layers: []backprop.Layer{hidden(backprop.Softplus), hidden(backprop.ELU{Alpha: 0.7}), backprop.Dense{Units: 3, Activation: backprop.Softplus}},
		config: backprop.TrainConfig{LearningRate: 0.01, Optimizer: &backprop.RMSProp{Centered: true, Momentum: 0.5}},
	}, {
		name: "leaky ReLU, AdamW", print: 0xed85598d866cd210, loss: 0.4731977359822521, x: inputs, y: classes,
		layers: []backprop.Layer{hidden(backprop.LeakyReLU{Slope: 0.1}), backprop.Dense{Units: 3, Activation: backprop.Softmax}},
		config: backprop.TrainConfig{LearningRate: 0.02, Optimizer: &backprop.Adam{Beta1: 0.8, Beta2: 0.95}, WeightDecay: 0.1},
	}, {
		name: "batch norm", print: 0x5c9448719f8ec15d, loss: 0.5815363081158682, x: inputs, y: classes,
		layers: []backprop.Layer{backprop.Dense{Units: 17, NoBias: true}, backprop.BatchNorm{Activation: backprop.Tanh}, hidden(nil),
			backprop.BatchNorm{Activation: backprop.ReLU, Momentum: 0.3}, backprop.Dense{Units: 3, Activation: backprop.Softmax}},
		config: backprop.TrainConfig{LearningRate: 0.1, L2: 0.001},
	}, {
		name: "dropout, weights of samples", print: 0xd325cb9db6d52acc, loss: 0.7644076725529753, x: inputs, y: classes,
		layers: []backprop.Layer{hidden(backprop.Tanh), backprop.Dropout{Rate: 0.3}, hidden(backprop.ReLU), backprop.Dropout{Rate: 0.5},
			backprop.Dense{Units: 3, Activation: backprop.Softmax}},
		config: backprop.TrainConfig{LearningRate: 0.1, SampleWeights: weights, Seed: 7},
	}, {
		name: "standardize, unstandardize", print: 0x48329b05f5819842, loss: 0.688703120358674, x: inputs, y: testutil.ScaledMatrix(values, 100),
		layers: []backprop.Layer{backprop.Standardize{}, hidden(backprop.Tanh), backprop.Dense{Units: 3}, backprop.Unstandardize{}},
		config: backprop.TrainConfig{LearningRate: 0.1, Optimizer: &backprop.Adam{}},
	}, {
		name: "standardize, unstandardize, weights of samples", print: 0x4707cd79632f4a6e, loss: 0.8548637449515242, x: inputs, y: testutil.ScaledMatrix(values, 100),
		layers: []backprop.Layer{backprop.Standardize{}, hidden(backprop.Tanh), backprop.Dense{Units: 3}, backprop.Unstandardize{}},
		config: backprop.TrainConfig{LearningRate: 0.1, SampleWeights: weights},
	}, {
		name: "Softmax with MSE and within", print: 0xc8bb651c8396269c, loss: 0.1521471487368727, x: inputs, y: classes,
		layers: []backprop.Layer{hidden(backprop.Softmax), hidden(backprop.Tanh), backprop.Dense{Units: 3, Activation: backprop.Softmax}},
		config: backprop.TrainConfig{LearningRate: 0.5, Loss: backprop.MSE},
	}, {
		name: "40 classes", print: 0x39ab902ef4f2add7, loss: 1.569393581475034, x: inputs, y: testutil.ClassTargets(60, 40),
		layers: []backprop.Layer{hidden(backprop.Tanh), backprop.Dense{Units: 40, Activation: backprop.Softmax}},
		config: backprop.TrainConfig{LearningRate: 0.5},
	}, {
		name: "BinaryCrossEntropy behind an activation of one's own", print: 0x3f846db2b029f067, loss: 0.7203661677588168, x: inputs, y: labels,
		layers: []backprop.Layer{hidden(backprop.Tanh), backprop.Dense{Units: 3, Activation: own{backprop.Sigmoid}}},
		config: backprop.TrainConfig{LearningRate: 0.1, Loss: backprop.BinaryCrossEntropy},
	}, {
		name: "CrossEntropy behind an activation of one's own", print: 0xb1ede19a1af7c761, loss: 0.646910939807413, x: inputs, y: classes,
		layers: []backprop.Layer{hidden(backprop.Tanh), backprop.Dense{Units: 3, Activation: own{backprop.Softmax}}},
		config: backprop.TrainConfig{LearningRate: 0.1, Loss: backprop.CrossEntropy},
	}, {
		name: "cosine decay, validation", print: 0x832ce2c5d2c3b20e, loss: 0.284700357969038, x: inputs, y: values,
		layers: []backprop.Layer{hidden(backprop.Tanh), backprop.Dense{Units: 3}},
		config: backprop.TrainConfig{LearningRate: 0.1, Epochs: 12, Schedule: backprop.CosineDecay{Epochs: 11, Min: 0.001},
			Validation: backprop.Data{X: testutil.Pattern(300, 9), Y: testutil.Pattern(300, 3)}, Patience: 9},
	}, {
		name: "warm-up, then reduced on a plateau", print: 0x913dc73c71edd27b, loss: 0.17763256994535834, x: inputs, y: values,
		layers: []backprop.Layer{hidden(backprop.Tanh), backprop.Dense{Units: 3}},
		config: backprop.TrainConfig{LearningRate: 0.3, Epochs: 12,
			Schedule: backprop.Warmup{Epochs: 3, Then: backprop.ReduceLROnPlateau{Factor: 0.3, Patience: 1, Threshold: 0.1}}},
	}, {
		name: "step decay, frozen layer", print: 0xf5e812b8ebd75591, loss: 0.29396439674695074, x: inputs, y: values,
		layers: []backprop.Layer{hidden(backprop.Tanh), backprop.BatchNorm{}, hidden(nil), backprop.Activate{F: backprop.GELU}, backprop.Dense{Units: 3}},
		config: backprop.TrainConfig{LearningRate: 0.1, Schedule: backprop.StepDecay{Every: 2, Factor: 0.7}, Freeze: []int{1}},
	}, {
		name: "twelve orthogonal layers", print: 0x41b0080ee1e67c46, loss: 0.338118064370259, x: inputs, y: values, layers: deep(12),
		config: backprop.TrainConfig{LearningRate: 0.05},
	}, {
		name: "the other initializers", print: 0x57702585d430b39a, loss: 0.3346516173188051, x: inputs, y: values,
		layers: []backprop.Layer{
			backprop.Dense{Units: 11, Activation: backprop.Tanh, Init: backprop.GlorotNormal}, backprop.Dense{Units: 30, Activation: backprop.Tanh, Init: backprop.HeUniform},
			backprop.Dense{Units: 7, Activation: backprop.Tanh, Init: backprop.LeCunNormal}, backprop.Dense{Units: 13, Activation: backprop.Tanh, Init: backprop.Orthogonal},
			backprop.Dense{Units: 3}},
		config: backprop.TrainConfig{LearningRate: 0.05},
	}, {
		name: "large products, some of zeros", print: 0xb45563910032bead, loss: 0.9627070208465859, x: testutil.Pattern(70, 130), y: testutil.ClassTargets(70, 10),
		layers: []backprop.Layer{backprop.Dense{Units: 600, Activation: backprop.ReLU}, backprop.Dense{Units: 70, Activation: backprop.ReLU},
			backprop.Dense{Units: 10, Activation: backprop.Softmax}},
		config: backprop.TrainConfig{LearningRate: 0.01, Epochs: 2, BatchSize: 35, Optimizer: &backprop.Adam{}},
	},
}

// own is an activation that the package does not know.
type own struct{ backprop.Activation }

// TestTheSameBitsEverywhere compares with what AVX-512 gave. Go itself, where there is no assembly,
// agrees but for rounding.
func TestTheSameBitsEverywhere(t *testing.T) {
	for _, c := range trainings {
		t.Run(c.name, func(t *testing.T) {
			if c.config.Epochs == 0 {
				c.config.Epochs = 6
			}
			if c.config.BatchSize == 0 && c.x != xorX {
				c.config.BatchSize = 13
			}
			_, features := c.x.Dims()
			net := testutil.NewNetwork(t, features, c.layers...)
			history, err := net.Train(context.Background(), c.x, c.y, c.config)
			testutil.NoError(t, err)
			last := history.Epochs[len(history.Epochs)-1].Loss
			if !kernel.Exact() {
				if math.Abs(last-c.loss) > 1e-9*c.loss {
					t.Errorf("the loss is %v, want %v but for rounding", last, c.loss)
				}
				return
			}
			state, h := testutil.StateOf(net), fnv.New64a()
			add(h, state.Params...)
			add(h, state.Statistics...)
			for _, e := range history.Epochs {
				add(h, e.Loss, e.ValidationLoss, e.LearningRate, e.GradNorm)
			}
			p := testutil.Value(net.Predict(c.x))(t)
			add(h, p.RawMatrix().Data...)
			add(h, testutil.Value(backprop.R2(p, c.y))(t))
			add(h, testutil.Value(net.InputGradient(c.x, c.y, c.config.Loss))(t).RawMatrix().Data...)
			if got := h.Sum64(); got != c.print || last != c.loss {
				t.Errorf("the bits are print: %#016x, loss: %v, want %#016x and %v", got, last, c.print, c.loss)
			}
		})
	}
}

// add hashes numbers, a NaN like any other.
func add(h hash.Hash, x ...float64) {
	for _, v := range x {
		if math.IsNaN(v) {
			v = math.NaN()
		}
		h.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
	}
}
