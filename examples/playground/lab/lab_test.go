package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// parse is Parse of an address, as "data=xor&layers=4".
func parse(address string) (Settings, []string) {
	values := map[string]string{}
	for part := range strings.SplitSeq(address, "&") {
		name, value, _ := strings.Cut(part, "=")
		values[name] = value
	}
	return Parse(func(name string) string { return values[name] })
}

func begin(t *testing.T, address string) *Session {
	t.Helper()
	settings, told := parse(address)
	if told != nil {
		t.Fatalf("%s: %q", address, told)
	}
	s, err := New(settings)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
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
	} {
		s := begin(t, address)
		want := s.net.Clone()
		config := s.config
		config.Epochs, config.Optimizer = 3, optimizers[s.Settings["optimizer"]]()
		_, err := want.Train(context.Background(), s.train.X, s.train.Y, config)
		if err := errors.Join(err, advance(s, 3)); err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		if got, want := s.net.Params(), want.Params(); !slices.Equal(got, want) && (s.config.L2 == 0 || !floats.EqualApprox(got, want, 1e-14)) {
			t.Errorf("%s: the parameters differ from Train's by up to %g", address, floats.Distance(got, want, math.Inf(1)))
		}
	}
}

func TestFramesHoldWhatTheNetworkIs(t *testing.T) {
	s := begin(t, "layers=3,2&features=x1,sinx2&data=gauss")
	if err := advance(s, 2); err != nil {
		t.Fatal(err)
	}
	b := s.Frame()
	next := func() float64 {
		v := math.Float64frombits(binary.LittleEndian.Uint64(b))
		b = b[8:]
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
	if half := s.Side / 2; len(b) != (2+3+2)*half*half+s.Side*s.Side {
		t.Fatalf("%d bytes of maps", len(b))
	}
	corner := mat.NewDense(1, 2, []float64{-6 + 6/float64(s.Side), math.Sin(6 - 6/float64(s.Side))})
	p, err := s.net.Predict(corner)
	if err != nil {
		t.Fatal(err)
	}
	like("the output's first byte", float64(b[len(b)-s.Side*s.Side]), math.Round(255*p.At(0, 0)))
	first, err := s.net.Slice(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	a, err := first.Predict(corner)
	if err != nil {
		t.Fatal(err)
	}
	for j := range 3 {
		like("a unit's first byte", float64(b[(2+j)*s.Side*s.Side/4]), math.Floor(127.5*(a.At(0, j)+1)+0.5))
	}
}

func TestFramesOfNumbersBeyondAllBounds(t *testing.T) {
	s := begin(t, "layers=2,2&activation=identity")
	for i := range s.net.Params() {
		s.net.Params()[i] = 1e300
	}
	if err := advance(s, 1); !errors.Is(err, backprop.ErrDiverged) || !strings.Contains(Explain(err), "Lower the learning rate") {
		t.Errorf("error %v", err)
	}
	if b := s.Frame(); b[len(b)-1] != 128 || !math.IsNaN(math.Float64frombits(binary.LittleEndian.Uint64(b[24:]))) {
		t.Error("a frame shows numbers that there are not")
	}
}

func TestParseMendsWhatCannotBeUsed(t *testing.T) {
	for address, want := range map[string]string{
		"rate=1e308":                  "100",
		"rate=NaN":                    "0.003",
		"rate=-Inf":                   "1e-06",
		"rate=1e999":                  "100",
		"rate=quick":                  "0.003",
		"l2=-1":                       "0",
		"dropout=1":                   "0.9",
		"batch=0":                     "1",
		"batch=2.5":                   "2",
		"batch=1e300":                 "500",
		"seed=-1":                     "0",
		"noise=51":                    "50",
		"train=100":                   "90",
		"layers=9999":                 "16",
		"layers=0":                    "1",
		"layers=99999999x8":           "50x8",
		"layers=-3x8":                 "8",
		"layers=30x8,30x8":            "50x8",
		"layers=8,,8":                 "8,1,8",
		"layers=99999999999999999999": "16",
		"data=moon":                   "spiral",
		"features=x9":                 "x1,x2",
		"features=x2,x9,x2":           "x2",
		"optimizer=%00":               "adam",
		"activation=softmax":          "tanh",
		"norm=layer":                  "none",
		"batch=1&norm=batch":          "2",
	} {
		settings, told := parse(address)
		name, _, _ := strings.Cut(address, "=")
		if got := settings[name]; got != want || len(told) != 1 || !strings.HasPrefix(told[0], name) {
			t.Errorf("%s gives %v and tells %q, want %s and a word", address, got, told, want)
		}
		if _, err := New(settings); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestParseReadsWhatMapWrites(t *testing.T) {
	for _, address := range []string{
		"", "layers=none", "layers=1,2,2,16,4,4,4,4,4,3", "layers=50x16", "features=sinx1,sinx2,x1x2,x1x1",
		"rate=1e-06&l2=0.001&decay=10&clipnorm=0.5&clipvalue=2&dropout=0.25&seed=999999&batch=500&noise=50&train=10",
		"data=plane&activation=selu&init=lecunnormal&norm=batch&optimizer=nesterov",
	} {
		settings, told := parse(address)
		again, _ := Parse(func(name string) string { return settings[name] })
		if told != nil || fmt.Sprint(again) != fmt.Sprint(settings) {
			t.Errorf("%s: %q, %+v becomes %+v", address, told, settings, again)
		}
	}
}

func readPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../page/index.html")
	if err != nil {
		t.Fatal(err)
	}
	return html.UnescapeString(string(page))
}

func TestThePageOffersAllThatCanBeChosen(t *testing.T) {
	page := readPage(t)
	offered := map[string][]string{}
	for _, choice := range regexp.MustCompile(`(?s)<select name="(\w+)">(.*?)</select>`).FindAllStringSubmatch(page, -1) {
		for _, option := range regexp.MustCompile(`<option value="(\w+)"`).FindAllStringSubmatch(choice[2], -1) {
			offered[choice[1]] = append(offered[choice[1]], option[1])
		}
	}
	for _, box := range regexp.MustCompile(`name="features" value="(\w+)"`).FindAllStringSubmatch(page, -1) {
		offered["features"] = append(offered["features"], box[1])
	}
	count := map[string]int{
		"data": len(dataSets), "activation": len(activations), "init": len(initializers), "optimizer": len(optimizers),
		"norm": 2, "features": len(features),
	}
	for name, n := range count {
		if len(offered[name]) != n {
			t.Errorf("the page offers %q for %s, and there are %d", offered[name], name, n)
		}
		for _, value := range offered[name] {
			s := begin(t, name+"="+value)
			if err := s.Step(); err != nil {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
	for _, r := range rules {
		if !strings.Contains(page, fmt.Sprintf("name=%q", r.name)) {
			t.Errorf("the page has nothing for %s", r.name)
		}
	}
}

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
	s, err := NewSteps(0)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m, err := s.Numbers()
		if err != nil {
			t.Fatal(err)
		}
		is := func(name string, want mat.Matrix) {
			t.Helper()
			if !mat.EqualApprox(m[name], want, 1e-12) {
				t.Errorf("step %d: %s is\n%v, want\n%v", s.N, name, mat.Formatted(m[name]), mat.Formatted(want))
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
				is(p+k+"+", each(func(i, j int) float64 { return at(p+k, i, j) - StepRate*at("d"+p+k, i, j) }, p+k))
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
		after := mat.DenseCopyOf(m["W1+"])
		if err := s.Take(1); err != nil {
			t.Fatal(err)
		}
		if m, _ := s.Numbers(); !mat.Equal(after, m["W1"]) {
			t.Error("the step is not the one that was foretold")
		}
	}
	if err := s.Take(1000); err != nil {
		t.Fatal(err)
	}
	if m, err := s.Numbers(); err != nil || m["L"].At(0, 0) > 0.01 {
		t.Errorf("after %d steps: %v, a loss of %v", s.N, err, m["L"])
	}
}

func TestCheckFindsTheGradientRight(t *testing.T) {
	for address, rows := range map[string]string{"layers=5&norm=batch": " 250 ", "layers=20x8&init=orthogonal": " 11 "} {
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

func TestMapsRestWhileTheyWouldTakeTooLong(t *testing.T) {
	s := begin(t, "layers=2")
	maps := func() string {
		b := s.Frame()
		return string(b[len(b)-len(s.maps):])
	}
	before := maps()
	if err := advance(s, 20); err != nil {
		t.Fatal(err)
	}
	s.resting = time.Now().Add(time.Hour)
	if maps() != before {
		t.Error("the maps were drawn")
	}
	if s.Refresh(); maps() == before {
		t.Error("the maps were not drawn")
	}
}
