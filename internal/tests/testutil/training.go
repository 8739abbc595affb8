package testutil

import (
	"cmp"
	"testing"

	"example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// Trainings are what a checkpoint has to be able to take up, each with all that keeps something
// between epochs.
var Trainings = []func() backprop.TrainConfig{
	func() backprop.TrainConfig { return backprop.TrainConfig{} },
	func() backprop.TrainConfig {
		return backprop.TrainConfig{Optimizer: &backprop.SGD{Momentum: 0.9}, Schedule: backprop.StepDecay{Every: 3}}
	},
	func() backprop.TrainConfig {
		return backprop.TrainConfig{Optimizer: &backprop.SGD{Momentum: 0.9, Nesterov: true}, NoShuffle: true, L2: 0.1}
	},
	func() backprop.TrainConfig {
		return backprop.TrainConfig{Optimizer: &backprop.RMSProp{}, Schedule: backprop.CosineDecay{Epochs: 8}, Patience: 5}
	},
	func() backprop.TrainConfig {
		return backprop.TrainConfig{Optimizer: &backprop.RMSProp{Centered: true, Momentum: 0.5}, WeightDecay: 0.1, ClipValue: 0.1}
	},
	func() backprop.TrainConfig {
		return backprop.TrainConfig{Optimizer: &backprop.Adam{}, Schedule: backprop.Warmup{Epochs: 3, Then: backprop.ReduceLROnPlateau{Patience: 1}}, Patience: 3, Seed: 5}
	},
	func() backprop.TrainConfig {
		return backprop.TrainConfig{Optimizer: &backprop.AdaGrad{}, ClipNorm: 0.1, TargetLoss: 1.02}
	},
	func() backprop.TrainConfig {
		return backprop.TrainConfig{Optimizer: &heavyBall{Mu: 0.5}, Patience: 2, Loss: Wide()}
	},
	func() backprop.TrainConfig {
		rate := func(base float64, history []backprop.Epoch) float64 { return base / float64(1+len(history)) }
		return backprop.TrainConfig{Optimizer: &backprop.Adam{Beta1: 0.5}, Schedule: backprop.ScheduleFunc(rate), BatchSize: 50}
	},
}

// CheckpointEpochs is how long the trainings are.
const CheckpointEpochs = 12

// Training is training i on a fresh network.
func Training(t testing.TB, i int) (net *backprop.Network, x, y *mat.Dense, c backprop.TrainConfig) {
	net = NewNetwork(t, 5, backprop.Standardize{}, backprop.Dense{Units: 6, Activation: backprop.LeakyReLU{}}, backprop.Dropout{Rate: 0.2},
		backprop.Dense{Units: 5, NoBias: true}, backprop.BatchNorm{Activation: backprop.Tanh}, backprop.Dense{Units: 3, Activation: backprop.Softmax})
	x, y = ScaledMatrix(Pattern(41, 5), 3), ClassTargets(41, 3) // the 41st sample joins the last batch
	c = Trainings[i]()
	c.LearningRate, c.Epochs, c.BatchSize, c.Validation = 0.02, CheckpointEpochs, cmp.Or(c.BatchSize, 8), backprop.Data{X: Pattern(20, 5), Y: ClassTargets(20, 3)}
	return net, x, y, c
}
