package backprop_test

import (
	"testing"

	. "example.com/backprop"
)

func BenchmarkXOR(b *testing.B) {
	x, y := xor()
	net, _ := New(2, Dense{Units: 4, Activation: Sigmoid}, Dense{Units: 1, Activation: Sigmoid})
	const epochs = 10000
	for b.Loop() {
		net.Init(0)
		net.Train(b.Context(), x, y, TrainConfig{LearningRate: .5, Epochs: epochs, Loss: MSE})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/epochs, "ns/epoch")
}
