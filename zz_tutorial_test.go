package backprop_test

import (
	"math"
	"slices"
	"testing"

	. "example.com/backprop"
	"gonum.org/v1/gonum/mat"
)

// The tutorial's XOR: a sigmoid hidden layer, a sigmoid output and full-batch
// updates by error × derivative. That is gradient descent on ½·Σe², so with MSE,
// the mean over the four samples, η is 2·lr. This NumPy program printed the
// figures, with the W1 and W2 below (transposed there) and lr = 0.5:
//
//	b1, b2 = np.zeros((1, W1.shape[1])), np.zeros((1, 1))
//	for epoch in range(10000):
//	    hidden = 1 / (1 + np.exp(-(X @ W1 + b1)))
//	    output = 1 / (1 + np.exp(-(hidden @ W2 + b2)))
//	    error = y - output
//	    delta2 = error * output * (1 - output)
//	    delta1 = delta2 @ W2.T * hidden * (1 - hidden)
//	    W2 += hidden.T @ delta2 * lr
//	    b2 += delta2.sum(axis=0, keepdims=True) * lr
//	    W1 += X.T @ delta1 * lr
//	    b1 += delta1.sum(axis=0, keepdims=True) * lr
//	    if epoch % 1000 == 0:
//	        print(np.mean(error**2))
//	print(W1.tolist(), b1.tolist(), W2.tolist(), b2.tolist())
func TestTutorialAgreesWithNumPy(t *testing.T) {
	for _, c := range []struct {
		name                   string
		hidden                 int
		initial, losses, final []float64 // parameters: W1 (hidden×2), b1, W2 (1×hidden), b2
	}{
		{
			"2 hidden units", 2,
			[]float64{0.5, 0.4, 0.9, 0.8, 0, 0, -1.2, 1.1, 0},
			[]float64{
				0.247132044591292, 0.007352317246324545, 0.002165108312031307, 0.0012242057802500906,
				0.0008442446891694629, 0.0006411338486383098, 0.0005153999566544336, 0.00043016802858235266,
				0.00036870534760848403, 0.0003223489993091367,
			},
			[]float64{
				4.602657987522896, 4.601943978378356, 6.446155477264437, 6.443334248844934,
				-7.065647851603514, -2.8692423119833443, -10.3596651874219, 9.65880032392726, -4.469987105512831,
			},
		},
		{
			"4 hidden units", 4,
			[]float64{0.5, -0.4, -0.9, 1.0, 0.4, -1.2, 0.8, 0.3, 0, 0, 0, 0, -1.2, 1.1, 0.6, -0.7, 0},
			[]float64{
				0.2566585063982112, 0.005155028511707559, 0.0017704397722134854, 0.001035703615251344,
				0.000724089219637298, 0.0005536460941010851, 0.00044673920883781003, 0.0003736602077380357,
				0.0003206599127381915, 0.00028052350218351854,
			},
			[]float64{
				0.9508846754783606, -1.0520054915247328, -5.814458121103574, 5.649608322828172,
				5.944342009109327, -6.10713163068143, 0.4075652439761686, -0.1824177581338038,
				1.324004530211552, -3.13612367026753, -3.209423366621189, 0.3808410244164981,
				-2.6252942284371024, 9.037653949899436, 9.967886565472202, -1.3110867570317684, -1.9606169541627185,
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			net, err := New(2, Dense{Units: c.hidden, Activation: Sigmoid}, Dense{Units: 1, Activation: Sigmoid})
			ok(t, err)
			copy(net.Params(), c.initial)
			x, y := xor()
			h, err := net.Train(t.Context(), x, y, TrainConfig{LearningRate: 2 * 0.5, Epochs: 10000, Loss: MSE})
			ok(t, err)
			var losses []float64
			for n := 0; n < 10000; n += 1000 {
				losses = append(losses, h.Epochs[n].Loss)
			}
			near(t, "losses", losses, c.losses, 0)
			near(t, "parameters", net.Params(), c.final, 0)
		})
	}
}

// The README's network learns XOR from every seed.
func TestXORIsLearntFromEverySeed(t *testing.T) {
	seeds := uint64(1000)
	if testing.Short() {
		seeds = 50
	}
	const workers = 4
	for w := range uint64(workers) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			x, y := xor()
			for seed := w; seed < seeds; seed += workers {
				net, err := New(2, Dense{Units: 8, Activation: Tanh}, Dense{Units: 1, Activation: Sigmoid})
				ok(t, err)
				net.Init(seed)
				_, err = net.Train(t.Context(), x, y, TrainConfig{LearningRate: 0.5, Epochs: 5000})
				ok(t, err)
				p, err := net.Predict(x)
				ok(t, err)
				rounded := make([]float64, 4)
				for i := range rounded {
					rounded[i] = math.Round(p.At(i, 0))
				}
				if !slices.Equal(rounded, y.RawMatrix().Data) {
					t.Errorf("seed %d is not learnt: %v", seed, rounded)
				}
			}
		})
	}
}

func xor() (x, y *mat.Dense) {
	return mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1}), mat.NewDense(4, 1, []float64{0, 1, 1, 0})
}
