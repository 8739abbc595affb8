package backprop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// ─── Examples ────────────────────────────────────────────────────────────────

// A network learns the exclusive or: four samples, two inputs, one output.
func Example() {
	x := mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1})
	y := mat.NewDense(4, 1, []float64{0, 1, 1, 0})

	net, err := backprop.New(2,
		backprop.Dense{Units: 8, Activation: backprop.Tanh},
		backprop.Dense{Units: 1, Activation: backprop.Sigmoid},
	)
	if err != nil {
		log.Fatal(err)
	}
	if _, err = net.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.5, Epochs: 2000}); err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	for i := range 4 {
		fmt.Printf("%v xor %v = %.0f\n", x.At(i, 0), x.At(i, 1), p.At(i, 0))
	}
	// Output:
	// 0 xor 0 = 0
	// 0 xor 1 = 1
	// 1 xor 0 = 1
	// 1 xor 1 = 0
}

// A classifier ends in Softmax, one unit a class; its targets are one-hot rows.
// CrossEntropy is then the loss by default.
func Example_classification() {
	trainX, trainLabels := glyphs(150, 1) // noisy 3×5 pixels; 0, 1 or 2
	testX, testLabels := glyphs(60, 2)
	trainY, _ := backprop.OneHot(trainLabels, 3)
	testY, _ := backprop.OneHot(testLabels, 3)

	net, err := backprop.New(15,
		backprop.Dense{Units: 16, Activation: backprop.ReLU},
		backprop.Dense{Units: 3, Activation: backprop.Softmax},
	)
	if err != nil {
		log.Fatal(err)
	}
	_, err = net.Train(context.Background(), trainX, trainY, backprop.TrainConfig{LearningRate: 0.5, Epochs: 200})
	if err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(testX)
	if err != nil {
		log.Fatal(err)
	}
	accuracy, err := backprop.Accuracy(p, testY)
	if err != nil {
		log.Fatal(err)
	}
	confusion, err := backprop.ConfusionMatrix(p, testY)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("test accuracy %.2f\n", accuracy)
	fmt.Println(mat.Formatted(confusion)) // a row is a true class, a column a predicted one
	// Output:
	// test accuracy 1.00
	// ⎡20   0   0⎤
	// ⎢ 0  20   0⎥
	// ⎣ 0   0  20⎦
}

// A regression ends in a layer without activation. MSE is then the loss by
// default, and Standardize lets the network take its inputs in any unit.
func Example_regression() {
	x, y := mat.NewDense(100, 1, nil), mat.NewDense(100, 1, nil)
	for i := range 100 {
		degrees := 3.6 * float64(i)
		x.Set(i, 0, degrees)
		y.Set(i, 0, math.Sin(degrees*math.Pi/180))
	}
	net, err := backprop.New(1,
		backprop.Standardize{},
		backprop.Dense{Units: 16, Activation: backprop.Tanh},
		backprop.Dense{Units: 1},
	)
	if err != nil {
		log.Fatal(err)
	}
	_, err = net.Train(context.Background(), x, y, backprop.TrainConfig{
		LearningRate: 0.01, Optimizer: &backprop.Adam{}, Epochs: 2000,
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(mat.NewDense(3, 1, []float64{30, 90, 270}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("sin 30° = %.1f, sin 90° = %.1f, sin 270° = %.1f\n", p.At(0, 0), p.At(1, 0), p.At(2, 0))

	all, err := net.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	r2, err := backprop.R2(all, y)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("R² = %.2f\n", r2)
	// Output:
	// sin 30° = 0.5, sin 90° = 1.0, sin 270° = -1.0
	// R² = 1.00
}

// Raw pixels in, ten classes out.
func ExampleNew() {
	net, err := backprop.New(64,
		backprop.Standardize{},
		backprop.Dense{Units: 128, NoBias: true},
		backprop.BatchNorm{Activation: backprop.ReLU},
		backprop.Dropout{Rate: 0.2},
		backprop.Dense{Units: 10, Activation: backprop.Softmax},
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(net)
	// Output:
	// layer  type            output  parameters
	//        input           64      0
	// 0      Standardize     64      0
	// 1      Dense           128     8192
	// 2      BatchNorm ReLU  128     256
	// 3      Dropout         128     0
	// 4      Dense Softmax   10      1290
	//                        total   9738
}

// Mini-batches with Adam. OnEpoch sees every epoch, and may end the training.
func ExampleNetwork_Train() {
	x, labels := glyphs(300, 1)
	y, err := backprop.OneHot(labels, 3)
	if err != nil {
		log.Fatal(err)
	}
	net, err := backprop.New(15,
		backprop.Dense{Units: 16, Activation: backprop.ReLU},
		backprop.Dense{Units: 3, Activation: backprop.Softmax},
	)
	if err != nil {
		log.Fatal(err)
	}
	history, err := net.Train(context.Background(), x, y, backprop.TrainConfig{
		LearningRate: 0.01,
		Optimizer:    &backprop.Adam{},
		BatchSize:    32,
		Epochs:       20,
		OnEpoch: func(e backprop.Epoch) error {
			if e.Loss < 0.01 {
				return backprop.ErrStop // good enough
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	last := history.Epochs[len(history.Epochs)-1]
	fmt.Println(history.Stopped)
	fmt.Println("loss below 0.01:", last.Loss < 0.01)
	// Output:
	// stopped by OnEpoch
	// loss below 0.01: true
}

// Training ends when the validation loss has not fallen for 20 epochs, and
// leaves the parameters of the epoch that had the lowest.
func ExampleNetwork_Train_earlyStopping() {
	trainX, trainY := noisySine(20, 1) // few enough to be learnt by heart
	validX, validY := noisySine(100, 2)
	net, err := backprop.New(1,
		backprop.Dense{Units: 64, Activation: backprop.Tanh},
		backprop.Dense{Units: 1},
	)
	if err != nil {
		log.Fatal(err)
	}
	history, err := net.Train(context.Background(), trainX, trainY, backprop.TrainConfig{
		LearningRate: 0.02,
		Optimizer:    &backprop.Adam{},
		Epochs:       10000,
		Validation:   backprop.Data{X: validX, Y: validY},
		Patience:     20,
	})
	if err != nil {
		log.Fatal(err)
	}
	loss, err := net.Loss(validX, validY, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(history.Stopped)
	fmt.Println("epochs after the best:", len(history.Epochs)-1-history.Best)
	fmt.Println("the best is restored:", loss == history.Epochs[history.Best].ValidationLoss)
	// Output:
	// no improvement
	// epochs after the best: 20
	// the best is restored: true
}

// A cancelled context, here one with a deadline, ends training within one
// batch. The network keeps what it has learnt.
func ExampleNetwork_Train_timeLimit() {
	x, y := noisySine(50, 1)
	net, err := backprop.New(1, backprop.Dense{Units: 8, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	history, err := net.Train(ctx, x, y, backprop.TrainConfig{LearningRate: 0.1, Epochs: 1e9})
	fmt.Println(errors.Is(err, context.DeadlineExceeded), history.Stopped)
	// Output:
	// true cancelled
}

// A training with a checkpoint goes on where it was interrupted, and ends with
// the very bits of one that was not.
func ExampleNetwork_Train_checkpoint() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	x, y := noisySine(50, 1)
	train := func(ctx context.Context, checkpoint string, onEpoch func(backprop.Epoch) error) *backprop.Network {
		net, err := backprop.New(1, backprop.Dense{Units: 8, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
		if err != nil {
			log.Fatal(err)
		}
		_, err = net.Train(ctx, x, y, backprop.TrainConfig{
			LearningRate: 0.01, Optimizer: &backprop.Adam{}, Epochs: 40, BatchSize: 10,
			Checkpoint: checkpoint, OnEpoch: onEpoch,
		})
		fmt.Println(err)
		return net
	}
	whole := train(context.Background(), "", nil)

	path := filepath.Join(dir, "sine.ckpt")
	ctx, interrupt := context.WithCancel(context.Background())
	train(ctx, path, func(e backprop.Epoch) error {
		if e.N == 19 {
			interrupt()
		}
		return nil
	})
	resumed := train(context.Background(), path, nil)
	fmt.Println("the same bits:", slices.Equal(whole.Params(), resumed.Params()))
	// Output:
	// <nil>
	// backprop: Train: cancelled in epoch 20: context canceled
	// <nil>
	// the same bits: true
}

// Schedules can be composed, and any function of the epochs so far is one.
func ExampleSchedule() {
	warm := backprop.Warmup{Epochs: 2, Start: 0.5, Then: backprop.CosineDecay{Epochs: 4}}
	own := backprop.ScheduleFunc(func(base float64, history []backprop.Epoch) float64 {
		return base / float64(1+len(history))
	})
	var history []backprop.Epoch
	for n := range 7 {
		fmt.Printf("epoch %d: %.3f %.3f\n", n, warm.Rate(0.1, history), own.Rate(0.1, history))
		history = append(history, backprop.Epoch{N: n})
	}
	// Output:
	// epoch 0: 0.050 0.100
	// epoch 1: 0.075 0.050
	// epoch 2: 0.100 0.033
	// epoch 3: 0.085 0.025
	// epoch 4: 0.050 0.020
	// epoch 5: 0.015 0.017
	// epoch 6: 0.000 0.014
}

// arctan is an activation of one's own.
type arctan struct{}

func (arctan) String() string { return "arctan" }

func (arctan) Forward(a, z []float64) {
	for i, z := range z {
		a[i] = math.Atan(z)
	}
}

// f′(z) = 1/(1+z²)
func (arctan) Backward(dz, da, z, a []float64) {
	for i, z := range z {
		dz[i] = da[i] / (1 + z*z)
	}
}

// An activation is a forward, a backward and a name. CheckGradient tells
// whether the two belong together; registering it lets Load find it.
func ExampleRegisterActivation() {
	if err := backprop.RegisterActivation(arctan{}); err != nil {
		log.Fatal(err)
	}
	net, err := backprop.New(1, backprop.Dense{Units: 8, Activation: arctan{}}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	x, y := noisySine(20, 1)
	check, err := net.CheckGradient(x, y, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("gradient right:", check.MaxRelative < 1e-6)

	var file bytes.Buffer
	if _, err := net.WriteTo(&file); err != nil {
		log.Fatal(err)
	}
	loaded, err := backprop.Read(&file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(loaded)
	// Output:
	// gradient right: true
	// layer  type          output  parameters
	//        input         1       0
	// 0      Dense arctan  8       16
	// 1      Dense         1       9
	//                      total   25
}

// pinball is the loss whose minimum is a quantile: of 0.9, so that nine
// targets out of ten lie below the prediction.
type pinball struct{ quantile float64 }

func (l pinball) Value(a, y []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += max(l.quantile*(y[i]-a[i]), (l.quantile-1)*(y[i]-a[i]))
	}
	return sum / float64(len(a))
}

func (l pinball) Gradient(da, a, y []float64) {
	for i := range a {
		da[i] = (1 - l.quantile) / float64(len(a))
		if a[i] < y[i] {
			da[i] = -l.quantile / float64(len(a))
		}
	}
}

// A loss is the value of one sample and its derivative by the output.
func ExampleLoss() {
	x, y := noisySine(400, 1)
	net, err := backprop.New(1, backprop.Dense{Units: 16, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	_, err = net.Train(context.Background(), x, y, backprop.TrainConfig{
		Loss: pinball{0.9}, LearningRate: 0.01, Optimizer: &backprop.Adam{}, Epochs: 500,
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	below := 0.0
	for i := range 400 {
		if y.At(i, 0) < p.At(i, 0) {
			below++
		}
	}
	fmt.Printf("%.1f of the targets lie below the prediction\n", below/400)
	// Output:
	// 0.9 of the targets lie below the prediction
}

// A training loop of one's own: the gradient, whatever is to be done to it, a
// step of an optimizer.
func ExampleOptimizer() {
	x := mat.NewDense(4, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1})
	y := mat.NewDense(4, 1, []float64{0, 1, 1, 0})
	net, err := backprop.New(2,
		backprop.Dense{Units: 8, Activation: backprop.Tanh},
		backprop.Dense{Units: 1, Activation: backprop.Sigmoid},
	)
	if err != nil {
		log.Fatal(err)
	}
	var loss float64
	grad := make([]float64, len(net.Params()))
	optimizer := &backprop.Momentum{Mu: 0.9}
	for range 500 {
		if loss, _, err = net.Gradient(grad, x, y, nil); err != nil {
			log.Fatal(err)
		}
		optimizer.Step(net.Params(), grad, 0.1)
	}
	fmt.Println("loss below 0.05:", loss < 0.05)
	// Output:
	// loss below 0.05: true
}

// A single unit p = w·x + b at w = 2, b = 0, x = 3 and y = 5: L = (p−y)² = 1,
// ∂L/∂w = 2(p−y)·x = 6 and ∂L/∂b = 2(p−y) = 2.
func ExampleNetwork_Gradient() {
	net, err := backprop.New(1, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	copy(net.Params(), []float64{2, 0})
	loss, grad, err := net.Gradient(nil, mat.NewDense(1, 1, []float64{3}), mat.NewDense(1, 1, []float64{5}), backprop.MSE)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(loss, grad)
	// Output:
	// 1 [6 2]
}

// Backpropagation against central differences, parameter by parameter.
func ExampleNetwork_CheckGradient() {
	x, y := noisySine(10, 1)
	net, err := backprop.New(1, backprop.Dense{Units: 8, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	check, err := net.CheckGradient(x, y, backprop.MSE)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("agree to six digits:", check.MaxRelative < 1e-6)
	// Output:
	// agree to six digits: true
}

// What was trained once is used elsewhere. Statistics that layers have learnt
// are saved too.
func ExampleNetwork_Save() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sine.safetensors")

	x, y := noisySine(50, 1)
	net, err := backprop.New(1,
		backprop.Standardize{}, backprop.Dense{Units: 8, Activation: backprop.Tanh}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := net.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.1, Epochs: 100}); err != nil {
		log.Fatal(err)
	}
	if err := net.Save(path); err != nil {
		log.Fatal(err)
	}

	loaded, err := backprop.Load(path)
	if err != nil {
		log.Fatal(err)
	}
	p, err := net.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	q, err := loaded.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same predictions:", mat.Equal(p, q))
	// Output:
	// the same predictions: true
}

// Predict may be called from any number of goroutines, as a server's handlers
// are. examples/serve is a whole server.
func ExampleNetwork_Predict_server() {
	net, err := backprop.New(2, backprop.Dense{Units: 3, Activation: backprop.Softmax}) // or Load
	if err != nil {
		log.Fatal(err)
	}
	copy(net.Params(), []float64{5, 0, 0, 5, -5, -5, 0, 0, 0})
	handler := func(w http.ResponseWriter, r *http.Request) {
		var sample []float64
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&sample); err != nil || len(sample) == 0 {
			http.Error(w, "want a JSON array of numbers", http.StatusBadRequest)
			return
		}
		p, err := net.Predict(mat.NewDense(1, len(sample), sample))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"class": floats.MaxIdx(p.RawRowView(0))})
	}

	for _, body := range []string{"[0.1, 0.9]", "[1, 2, 3]"} {
		w := httptest.NewRecorder()
		handler(w, httptest.NewRequest("POST", "/predict", strings.NewReader(body)))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 {"class":1}
	// 400 backprop: Predict: x is 1×3, want N×2
}

// Weights, biases and statistics are counted by the layers as given to New.
func ExampleNetwork_Weights() {
	net, err := backprop.New(2, backprop.Standardize{}, backprop.Dense{Units: 1})
	if err != nil {
		log.Fatal(err)
	}
	x := mat.NewDense(4, 2, []float64{10, 0, 10, 2, 30, 0, 30, 2})
	y := mat.NewDense(4, 1, []float64{-1, 3, 1, 5}) // x₀/10 + 2·x₁ − 2
	if _, err := net.Train(context.Background(), x, y, backprop.TrainConfig{LearningRate: 0.1, Epochs: 200}); err != nil {
		log.Fatal(err)
	}
	mean, variance := net.Statistics(0)
	fmt.Println("mean", mean, "variance", variance)
	fmt.Printf("weights %.2f\n", mat.Formatted(net.Weights(1)))
	fmt.Printf("bias %.2f\n", net.Biases(1).AtVec(0))
	fmt.Println("weights of layer 0:", net.Weights(0))
	// Output:
	// mean [20 1] variance [100 1]
	// weights [1.00  2.00]
	// bias 2.00
	// weights of layer 0: <nil>
}

// glyphs draws noisy images of 0, 1 and 2 in turn, 3×5 pixels each.
func glyphs(n int, seed uint64) (x *mat.Dense, labels []int) {
	shapes := []string{
		"####.##.##.####",
		".#.##..#..#.###",
		"###..#####..###",
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	x, labels = mat.NewDense(n, 15, nil), make([]int, n)
	for i := range n {
		labels[i] = i % len(shapes)
		for j, c := range shapes[labels[i]] {
			x.Set(i, j, 0.2*rng.NormFloat64())
			if c == '#' {
				x.Set(i, j, 1+x.At(i, j))
			}
		}
	}
	return x, labels
}

// noisySine draws samples of sin 3x for x from −1 to 1, with noise.
func noisySine(n int, seed uint64) (x, y *mat.Dense) {
	rng := rand.New(rand.NewPCG(seed, 0))
	x, y = mat.NewDense(n, 1, nil), mat.NewDense(n, 1, nil)
	for i := range n {
		x.Set(i, 0, 2*rng.Float64()-1)
		y.Set(i, 0, math.Sin(3*x.At(i, 0))+0.1*rng.NormFloat64())
	}
	return x, y
}
