package lab

import (
	"context"
	"errors"
	"fmt"
	"html"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

func readPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../page/index.html")
	if err != nil {
		t.Fatal(err)
	}
	return html.UnescapeString(string(page))
}

// offered are the values that the page has for each setting, and standard are those of an address
// without any.
func offered(t *testing.T) (choices map[string][]string, standard Settings) {
	page := readPage(t)
	choices, standard = map[string][]string{}, Settings{}
	for _, choice := range regexp.MustCompile(`(?s)<select name="(\w+)">(.*?)</select>`).FindAllStringSubmatch(page, -1) {
		name := choice[1]
		for _, option := range regexp.MustCompile(`<option value="(\w+)"( selected)?`).FindAllStringSubmatch(choice[2], -1) {
			choices[name] = append(choices[name], option[1])
			if option[2] != "" || standard[name] == "" {
				standard[name] = option[1]
			}
		}
	}
	for _, box := range regexp.MustCompile(`name="features" value="(\w+)"( checked)?`).FindAllStringSubmatch(page, -1) {
		choices["features"] = append(choices["features"], box[1])
		if box[2] != "" {
			standard["features"] = strings.TrimPrefix(standard["features"]+","+box[1], ",")
		}
	}
	for _, input := range regexp.MustCompile(`name="(\w+)" type="\w+"(?: inputmode="decimal")? value="([\d.,]+)"`).FindAllStringSubmatch(page, -1) {
		standard[input[1]] = input[2]
	}
	return choices, standard
}

// begin begins a training with the settings of an address, as "data=xor&layers=4".
func begin(t *testing.T, address string) *Session {
	t.Helper()
	_, settings := offered(t)
	for part := range strings.SplitSeq(address, "&") {
		name, value, _ := strings.Cut(part, "=")
		settings[name] = value
	}
	units := "" // of each layer, as the page gives them
	for part := range strings.SplitSeq(settings["layers"], ",") {
		times, size, many := strings.Cut(part, "x")
		n, err := strconv.Atoi(times)
		if !many {
			n, size = 1, part
		} else if err != nil {
			t.Fatal(err)
		}
		units += strings.Repeat(size+" ", n)
	}
	settings["layers"] = units
	s, err := New(settings)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	t.Cleanup(s.Stop)
	return s
}

func advance(s *Session, epochs int) error { return s.Advance(epochs, time.Now().Add(time.Hour)) }

// With L2 some processors add λ·W in one operation with the product, and so round once less.
func TestStepsAreThoseOfTrain(t *testing.T) {
	for _, address := range []string{
		"",
		"batch=500&optimizer=sgd",
		"batch=7&seed=3&optimizer=rmsprop&data=multigauss&activation=gelu",
		"l2=0.1&decay=0.2&optimizer=sgd&rate=0.05",
		"l2=0.1&clipnorm=0.05&optimizer=momentum&rate=0.1",
		"clipvalue=0.001&optimizer=nesterov&rate=0.1",
		"norm=batch&dropout=0.3&batch=83&decay=0.01&layers=6,5",
		"norm=batch&batch=3&optimizer=adagrad&layers=5", // 250 is 83·3 + 1
		"norm=batch&batch=249&optimizer=sgd&layers=5",
	} {
		s := begin(t, address)
		set, want := s.settings, s.net.Clone()
		_, err := want.Train(context.Background(), s.train.X, s.train.Y, backprop.TrainConfig{
			Epochs: 3, LearningRate: set.number("rate"), BatchSize: int(set.number("batch")), Seed: uint64(set.number("seed")),
			Optimizer: optimizers[set["optimizer"]](), L2: set.number("l2"), WeightDecay: set.number("decay"),
			ClipNorm: set.number("clipnorm"), ClipValue: set.number("clipvalue"),
		})
		if err := errors.Join(err, advance(s, 3)); err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		if got, want := s.net.Params(), want.Params(); !slices.Equal(got, want) && (set["l2"] == "0" || !floats.EqualApprox(got, want, 1e-14)) {
			t.Errorf("%s: the parameters differ from Train's by up to %g", address, floats.Distance(got, want, math.Inf(1)))
		}
		if s.epoch != 3 {
			t.Errorf("%s: epoch %v after 3 epochs", address, s.epoch)
		}
	}
}

func TestFramesHoldWhatTheNetworkIs(t *testing.T) {
	s := begin(t, "layers=3,2&features=x1,sinx2&data=gauss")
	if err := advance(s, 2); err != nil {
		t.Fatal(err)
	}
	frame := s.Frame()
	next := func() float64 {
		v := frame[0]
		frame = frame[1:]
		return v
	}
	like := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-12*max(1, math.Abs(want)) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	loss, grad, err := s.net.Gradient(nil, s.train.X, s.train.Y, nil)
	if err != nil {
		t.Fatal(err)
	}
	test, err := s.net.Loss(s.test.X, s.test.Y, nil)
	if err != nil {
		t.Fatal(err)
	}
	like("epoch", next(), 2)
	like("training loss", next(), loss)
	like("test loss", next(), test)
	sizes := []int{3*2 + 3, 2*3 + 2, 1*2 + 1}
	for at, i := 0, 0; i < 3; i++ {
		like("norm", next(), floats.Norm(grad[at:at+sizes[i]], 2))
		at += sizes[i]
	}
	for i, v := range s.net.Params() {
		like(fmt.Sprint("parameter ", i), next(), v)
	}
	for i, v := range grad {
		like(fmt.Sprint("derivative ", i), next(), v)
	}
	if len(frame) > 0 {
		t.Errorf("%d numbers too many", len(frame))
	}
	all, points := s.Maps(), s.Side*s.Side
	if len(all) != (2+3+2+1)*points {
		t.Fatalf("%d numbers in the maps", len(all))
	}
	for _, point := range []int{0, s.Side - 1, points - 1} {
		x1 := -6 + 12*(float64(point%s.Side)+0.5)/float64(s.Side)
		x2 := 6 - 12*(float64(point/s.Side)+0.5)/float64(s.Side)
		a := mat.NewDense(1, 2, []float64{x1, math.Sin(x2)})
		for i, at := range []int{0, 2 * points, 5 * points, 7 * points} {
			for j, v := range a.RawRowView(0) {
				like("a map", all[at+point*len(a.RawRowView(0))+j], v)
			}
			if i == 3 {
				break
			}
			layer, err := s.net.Slice(2*i, 2*i+2) // behind its dropout
			if err != nil {
				t.Fatal(err)
			}
			if a, err = layer.Predict(a); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestFramesOfNumbersBeyondAllBounds(t *testing.T) {
	s := begin(t, "layers=2,2&activation=identity")
	for i := range s.net.Params() {
		s.net.Params()[i] = 1e300
	}
	for range 2 { // which changes nothing
		if err := advance(s, 1); !errors.Is(err, backprop.ErrDiverged) || !strings.Contains(err.Error(), "lower the learning rate") {
			t.Errorf("error %v", err)
		}
	}
	frame := s.Frame()
	if !math.IsNaN(frame[1]) || !math.IsNaN(frame[3]) || !math.IsNaN(frame[len(frame)-1]) || frame[6] != 1e300 {
		t.Errorf("a frame shows numbers that there are not: %v", frame)
	}
	if n := len(s.Maps()); n != (2+2)*s.Side*s.Side {
		t.Errorf("%d numbers in the maps", n)
	}
}

func TestThePageOffersAllThatCanBeChosen(t *testing.T) {
	choices, standard := offered(t)
	for name, want := range map[string][]string{
		"data": keys(dataSets), "activation": keys(activations), "init": keys(initializers), "optimizer": keys(optimizers),
		"norm": {"batch", "none"}, "features": keys(features),
	} {
		slices.Sort(choices[name])
		if !slices.Equal(choices[name], want) {
			t.Errorf("the page offers %q for %s, and there are %q", choices[name], name, want)
		}
		for _, value := range choices[name] {
			s := begin(t, name+"="+value)
			if err := advance(s, 0); err != nil || s.epoch != 1.0/25 {
				t.Errorf("%s=%s: %v, epoch %v", name, value, err, s.epoch)
			}
		}
	}
	for _, name := range []string{"noise", "train", "seed", "layers", "dropout", "rate", "batch", "l2", "decay", "clipnorm", "clipvalue"} {
		if standard[name] == "" {
			t.Errorf("the page has no standard for %s", name)
		}
	}
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// presets are the addresses of the page's presets by their names.
func presets(t *testing.T) map[string]string {
	list := map[string]string{}
	for _, link := range regexp.MustCompile(`<li><a href="#([^"]*)" data-says="[^"]+">([^<]+)</a>`).FindAllStringSubmatch(readPage(t), -1) {
		list[link[2]] = link[1]
	}
	return list
}

func TestPresetsShowWhatTheySay(t *testing.T) {
	if testing.Short() {
		t.Skip("it trains twelve networks")
	}
	list := presets(t)
	learns := func(name string, epochs int, loss float64) {
		t.Helper()
		s := begin(t, list[name])
		if err := advance(s, epochs); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, _ := s.net.Loss(s.train.X, s.train.Y, nil); !(got < loss) {
			t.Errorf("%s: a loss of %v after %d epochs, want %v", name, got, epochs, loss)
		}
		delete(list, name)
	}
	ratio := func(name string) float64 { // of the first layer's norm to the last one's
		s := begin(t, list[name])
		_, grad, err := s.net.Gradient(nil, s.train.X, s.train.Y, nil)
		if err != nil {
			t.Fatal(err)
		}
		first, last := s.Blocks[0], s.Blocks[len(s.Blocks)-1]
		return floats.Norm(grad[first.At:first.End], 2) / floats.Norm(grad[last.At:last.End], 2)
	}
	if r := ratio("Vanishing gradient"); r > 1e-15 {
		t.Errorf("the vanishing gradient: a ratio of %g", r)
	}
	if r := ratio("Exploding gradient"); r < 1e4 {
		t.Errorf("the exploding gradient: a ratio of %g", r)
	}
	if err := advance(begin(t, list["Divergence"]), 10); !errors.Is(err, backprop.ErrDiverged) {
		t.Errorf("the divergence: %v", err)
	}
	list["clipped"] = list["Divergence"] + "&clipnorm=1"
	learns("clipped", 50, 0.3)
	stuck := begin(t, list["Vanishing gradient"])
	if err := advance(stuck, 50); err != nil {
		t.Fatal(err)
	}
	if got, _ := stuck.net.Loss(stuck.train.X, stuck.train.Y, nil); got < 0.69 {
		t.Errorf("the vanishing gradient: a loss of %v", got)
	}
	learns("XOR", 100, 0.1)
	learns("Spirals", 400, 0.05)
	learns("Remedy: orthogonal", 100, 0.05)
	learns("Remedy: batch norm", 100, 0.25)
	learns("Remedy: ReLU and He", 50, 0.05)
	learns("Regression", 300, 0.015)
	s := begin(t, list["Overfitting"])
	err := advance(s, 300)
	train, _ := s.net.Loss(s.train.X, s.train.Y, nil)
	test, _ := s.net.Loss(s.test.X, s.test.Y, nil)
	if err != nil || train > 0.1 || test < 0.5 {
		t.Errorf("overfitting: %v, losses of %v and %v", err, train, test)
	}
	for _, name := range []string{"Vanishing gradient", "Exploding gradient", "Divergence", "Overfitting"} {
		delete(list, name)
	}
	if len(list) > 0 {
		t.Errorf("nothing tests the presets %v", list)
	}
}

func indicator(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func TestDataSetsAreAsTheirNamesSay(t *testing.T) {
	for name := range dataSets {
		s := begin(t, "data="+name+"&train=30")
		if len(s.Points) != 3*samples || s.Training != 150 {
			t.Errorf("%s: %d points, %d for training", name, len(s.Points)/3, s.Training)
		}
		again := begin(t, "data="+name+"&train=30")
		other := begin(t, "data="+name+"&train=30&seed=1")
		if !slices.Equal(s.Points, again.Points) || slices.Equal(s.Points, other.Points) {
			t.Errorf("%s: the points do not come from the seed", name)
		}
		for p := range slices.Chunk(s.Points, 3) {
			x1, x2, y, want := p[0], p[1], p[2], p[2]
			switch name {
			case "circle":
				want = indicator(math.Hypot(x1, x2) < 3)
			case "xor":
				want = indicator(x1*x2 > 0)
			case "plane":
				want = min(max((x1+x2)/10, -1), 1)
			case "spiral":
				angle := math.Atan2(x1, x2) - 1.75*2*math.Pi*math.Hypot(x1, x2)/5
				want = indicator(math.Cos(angle) > 0)
			case "multigauss":
				if math.Hypot(x1-4, x2-2.5) < 1 {
					want = 1 - math.Hypot(x1-4, x2-2.5)/2
				} else if math.Hypot(x1, x2-2.5) < 1 {
					want = -1 + math.Hypot(x1, x2-2.5)/2
				}
			}
			if math.Hypot(x1, x2) > 1e-9 && math.Abs(y-want) > 1e-12 {
				t.Fatalf("%s: y is %v at %v, %v, want %v", name, y, x1, x2, want)
			}
		}
	}
}

func TestNumbersOfAStepFollowTheEquations(t *testing.T) {
	numbers := func(n int) map[string]*mat.Dense {
		flat, err := Steps(n)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]*mat.Dense{}
		for name, v := range flat {
			m[name] = mat.NewDense(int(v[0]), int(v[1]), v[2:])
		}
		return m
	}
	for n := range 3 {
		m, eta := numbers(n), 1.0
		is := func(name string, want mat.Matrix) {
			t.Helper()
			if !mat.EqualApprox(m[name], want, 1e-12) {
				t.Errorf("step %d: %s is\n%v, want\n%v", n, name, mat.Formatted(m[name]), mat.Formatted(want))
			}
		}
		product := func(a, b mat.Matrix) *mat.Dense { c := new(mat.Dense); c.Mul(a, b); return c }
		each := func(f func(i, j int) float64, like string) mat.Matrix {
			c := mat.DenseCopyOf(m[like])
			c.Apply(func(i, j int, _ float64) float64 { return f(i, j) }, c)
			return c
		}
		at := func(name string, i, j int) float64 { return m[name].At(i, j) }
		sigma := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
		ones := mat.NewDense(4, 1, []float64{1, 1, 1, 1})
		for k, x := range map[string]string{"1": "X", "2": "A1"} {
			z := product(m[x], m["W"+k].T())
			z.Add(z, product(ones, m["b"+k].T()))
			is("Z"+k, z)
			is("dW"+k, product(m["dZ"+k].T(), m[x]))
			is("db"+k, product(m["dZ"+k].T(), ones))
			for _, p := range []string{"W", "b"} {
				is(p+k+"+", each(func(i, j int) float64 { return at(p+k, i, j) - eta*at("d"+p+k, i, j) }, p+k))
			}
		}
		is("A1", each(func(i, j int) float64 { return math.Tanh(at("Z1", i, j)) }, "Z1"))
		is("A2", each(func(i, j int) float64 { return sigma(at("Z2", i, j)) }, "Z2"))
		is("dA2", each(func(i, j int) float64 {
			a, y := at("A2", i, j), at("Y", i, j)
			return (a - y) / (a * (1 - a)) / 4
		}, "A2"))
		is("dZ2", each(func(i, j int) float64 {
			a := at("A2", i, j)
			return at("dA2", i, j) * a * (1 - a)
		}, "A2"))
		is("dA1", product(m["dZ2"], m["W2"]))
		is("dZ1", each(func(i, j int) float64 { return at("dA1", i, j) * (1 - math.Pow(at("A1", i, j), 2)) }, "A1"))
		loss := 0.0
		for i := range 4 {
			a, y := at("A2", i, 0), at("Y", i, 0)
			loss -= (y*math.Log(a) + (1-y)*math.Log(1-a)) / 4
		}
		is("L", mat.NewDense(1, 1, []float64{loss}))
		is("η", mat.NewDense(1, 1, []float64{eta}))
		if next := numbers(n + 1); !mat.Equal(m["W1+"], next["W1"]) || !mat.Equal(m["b2+"], next["b2"]) {
			t.Error("the step is not the one that was foretold")
		}
	}
	if loss := numbers(1000)["L"].At(0, 0); loss > 0.01 {
		t.Errorf("a loss of %v after 1000 steps", loss)
	}
}

func TestCheckFindsTheGradientRight(t *testing.T) {
	for address, rows := range map[string]string{"layers=5&norm=batch": " 250 ", "layers=20x8&init=orthogonal": " 16 "} {
		s := begin(t, address)
		says, err := s.Check()
		found := regexp.MustCompile(`difference is (\S+),`).FindStringSubmatch(says)
		if err != nil || found == nil || !strings.Contains(says, rows) {
			t.Fatal(says, err)
		}
		var v float64
		if _, err := fmt.Sscan(found[1], &v); err != nil || v > 1e-6 {
			t.Errorf("%s: %s, %v", address, says, err)
		}
	}
}
