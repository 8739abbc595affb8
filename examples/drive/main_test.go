package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

func isSmall(v, limit float64) bool { return math.Abs(v) <= limit }

func isNear(a, b complex128, limit float64) bool { return cmplx.Abs(a-b) <= limit }

func TestAPlaceIsSeenWhereItIs(t *testing.T) {
	p := pose{3 - 2i, cmplx.Rect(1, 0.7)}
	if seen := p.seen(p.at(5 - 1i)); !isNear(seen, 5-1i, 1e-14) {
		t.Errorf("what is 5 ahead and 1 to the right is seen at %v", seen)
	}
	p = pose{1, 1}.moved(2i, math.Pi/2) // heads along y
	if place := p.at(1 + 2i); !isNear(place, -1+3i, 1e-14) {
		t.Errorf("ahead 1 and to the left 2 of a car at 1+2i that heads along y is %v, want -1+3i", place)
	}
}

func TestTheCircleTowardAPlaceLeadsThere(t *testing.T) {
	for _, want := range []complex128{10 - 4i, 10, 10 + 1i, 10 + 9i} {
		const steps = 10000
		curvature := toward(want)
		length := cmplx.Abs(want)
		if curvature != 0 {
			length = 2 / curvature * math.Asin(length*curvature/2)
		}
		p := pose{0, 1}
		for range steps {
			p = p.step(length/steps, curvature)
		}
		if !isNear(p.place, want, 1e-6) {
			t.Errorf("the circle toward %v leads to %v", want, p.place)
		}
	}
}

// beside returns a car to the left of the middle, turned to the left.
func (r *road) beside(along, left, turn float64) car {
	return car{r.after(along).moved(complex(0, left), turn), along, left}
}

// Half a metre from a pose of the road it is bent by 0.015 radians, which at 3 metres from the
// middle makes 0.045 metres.
func TestACarIsLocatedOnTheRoad(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	r := newRoad(weather{}, rng)
	for range 1000 {
		c := r.beside(stride*math.Floor(600*rng.Float64()), upTo(3, rng), 1)
		along, left := r.locate(c.place, c.along+upTo(10, rng))
		if !isSmall(along-c.along, 0.045) || !isSmall(left-c.left, 0.045) {
			t.Fatalf("a car %v along and %v to the left is located %v along and %v to the left", c.along, c.left, along, left)
		}
	}
}

func TestACarOffTheLaneIsWhereItSays(t *testing.T) {
	r := unseen(1, weather{})
	for range 100 {
		c := r.stray(100)
		if along, left := r.locate(c.place, 100); c.along != 100 || !isSmall(along-100, 1e-12) || !isSmall(left-c.left, 1e-12) {
			t.Fatalf("a car %v along and %v to the left is located %v along and %v to the left", c.along, c.left, along, left)
		}
	}
}

func TestTheDriverKeepsToTheMiddleOfBends(t *testing.T) {
	most := 0.0
	for seed := range uint64(20) {
		r := newRoad(weather{}, rand.New(rand.NewPCG(seed, 0)))
		for i, c := range r.middle[1:] {
			most = max(most, math.Abs(cmplx.Phase(c.ahead/r.middle[i].ahead))/stride)
		}
		path := r.drive(r.middle[0], r.driver)
		if end := path[len(path)-1]; end.along < length {
			t.Errorf("road %d is left after %v metres", seed, end.along)
		}
		for _, c := range path {
			if !isSmall(c.left, 0.4) {
				t.Errorf("on road %d the driver is %v metres off the middle", seed, c.left)
				break
			}
		}
	}
	if most > bend || most < 0.8*bend {
		t.Errorf("the roads are bent up to %v/m, want nearly %v", most, bend)
	}
}

func TestADriveEndsWhereAWheelLeavesTheRoad(t *testing.T) {
	r := unseen(0, weather{})
	path := r.drive(r.middle[0], func(car) float64 { return -0.05 })
	limit := (r.width - carWidth) / 2
	for i, c := range path {
		if last := i == len(path)-1; last != (c.left < -limit) {
			t.Errorf("frame %d of %d is %v to the left of the middle, where %v is the limit", i, len(path), c.left, limit)
		}
	}
}

func TestAViewFromTheSamePlaceIsTheSame(t *testing.T) {
	r := unseen(3, weather{})
	v := r.look(r.beside(20, 0, 0))
	if v.from(pose{0, 1}) != v {
		t.Error("the view from where the camera is differs from the camera's")
	}
}

func TestWhatIsOutOfViewIsWhatIsSeenStraightAhead(t *testing.T) {
	var v view
	for i := range v {
		v[i] = float64(i)
	}
	for _, left := range []float64{-12, -6, 3, 9} {
		if got, want := v.at(complex(4.5, left)), v.at(complex(math.Abs(left)/wide, left)); got != want {
			t.Errorf("%v to the left pixel %v is seen, want %v", left, got, want)
		}
	}
	if got, want := v.at(1), v.at(near); got != want {
		t.Errorf("in front of the car pixel %v is seen, want %v", got, want)
	}
}

// The ground's grain is up to 0.03 either way, and grass and road differ by 0.33.
func TestAMovedViewIsWhatTheCameraWouldSee(t *testing.T) {
	for _, moved := range []pose{
		pose{0, 1}.moved(1i, 0), pose{0, 1}.moved(-1i, 0), pose{0, 1}.moved(0, 0.1), pose{0, 1}.moved(0, -0.1),
		pose{0, 1}.moved(0.7i, -0.12),
	} {
		r := unseen(5, weather{})
		c := r.beside(30, 0, 0)
		v := r.look(c)
		d := c
		d.pose = pose{c.at(moved.place), c.ahead * moved.ahead}
		same := func(a, b view) float64 {
			n := 0.0
			for i := range a {
				if isSmall(a[i]-b[i], 0.1) {
					n++
				}
			}
			return n / float64(len(a))
		}
		want := r.look(d)
		if got := same(v.from(moved), want); got < 0.95 {
			t.Errorf("%.3f of the pixels seen from %v are those that a camera sees there, want 0.95; unmoved, %.3f are",
				got, moved, same(v, want))
		}
	}
}

func TestTheRetinaSeesTheRoadAndNotHowLightItIs(t *testing.T) {
	r := unseen(0, weather{})
	c := r.beside(30, -1.5, 0) // to the right, so that the road is on the left
	x := r.look(c).retina()
	if mean, deviation := stat.PopMeanStdDev(x, nil); !isSmall(mean, 1e-12) || !isSmall(deviation-1, 1e-12) {
		t.Errorf("mean %v and deviation %v, want 0 and 1", mean, deviation)
	}
	r.weather.dim = 0.7
	dim := r.look(c).retina()
	bottom := x[(rows-1)*cols:]
	for i := range x {
		if !isSmall(x[i]-dim[i], 1e-12) {
			t.Fatalf("pixel %d is %v, and %v where there is less light", i, x[i], dim[i])
		}
	}
	if bottom[0] < 0 || bottom[cols-1] > 0 {
		t.Errorf("from the right of the road its left end is %v and its right %v, want light and dark", bottom[0], bottom[cols-1])
	}
}

func TestWeatherChangesTheView(t *testing.T) {
	r := unseen(0, weather{})
	look := func(w weather) view {
		r.weather = w
		return r.look(r.beside(30, 0, 0))
	}
	plain, dim, side, shade, noisy := look(weather{}), look(weather{dim: 0.5}), look(weather{side: 0.2}),
		look(weather{shadows: 0.5}), look(weather{noise: 0.1})
	if l, r := side[0]/plain[0], side[cols-1]/plain[cols-1]; !isSmall(l-0.8, 0.01) || !isSmall(r-1.2, 0.01) {
		t.Errorf("with light from the side the corners are %v and %v times as bright, want 0.8 and 1.2", l, r)
	}
	dark, differences := 0, make([]float64, len(plain))
	for i := range plain {
		switch shade[i] / plain[i] {
		case 1:
		case 0.5:
			dark++
		default:
			t.Fatalf("pixel %d is %v with shadows and %v without", i, shade[i], plain[i])
		}
		if dim[i] != plain[i]/2 {
			t.Fatalf("pixel %d is %v in half the light and %v without", i, dim[i], plain[i])
		}
		differences[i] = noisy[i] - plain[i]
	}
	if dark == 0 || dark == len(shade) {
		t.Errorf("%d of %d pixels are in shadow", dark, len(shade))
	}
	if deviation := stat.PopStdDev(differences, nil); !isSmall(deviation-0.1, 0.01) {
		t.Errorf("the deviation of noise is %v, want 0.1", deviation)
	}
}

func TestTheTopOfAHillIsWhereItWasPut(t *testing.T) {
	for unit := 5.0; unit <= units-6; unit += 0.1 { // a whole hill
		curvature := curvatureOf(unit)
		if got := unitOf(curvature); !isSmall(got-unit, 1e-12) {
			t.Errorf("unit %v stands for %v, for which stands unit %v", unit, curvature, got)
		}
		if got := top(hill(curvature)); !isSmall(got-unit, 0.05) {
			t.Errorf("the top of the hill at %v is at %v", unit, got)
		}
	}
	if left, right := unitOf(sharp), unitOf(-sharp); left != 0 || right != units-1 {
		t.Errorf("sharp turns to the left and the right are units %v and %v, want 0 and %d", left, right, units-1)
	}
	if y := hill(curvatureOf(10)); !isSmall(y[10]-1, 1e-12) || !isSmall(y[13]-0.4065696597405991, 1e-12) { // e^−0.9
		t.Errorf("the hill at 10 is %v there and %v three units on, want 1 and 0.407", y[10], y[13])
	}
}

// At its beginning the road is straight for some metres, and what is shifted to the left has to go to
// the right.
func TestAMovedViewComesWithTheWayBack(t *testing.T) {
	data := watch(1, 20)
	n, _ := data.X.Dims()
	if n%21 != 0 || n/21 < length/5 {
		t.Fatalf("%d views, want 21 of each frame every 5 metres of %d", n, length)
	}
	y := data.Y.(*mat.Dense)
	straight, most := top(y.RawRowView(0)), 0.0
	for i := range 21 {
		most = max(most, math.Abs(top(y.RawRowView(i))-straight))
	}
	// A metre and 0.12 radians give 2·(1+1.2)/100 = 0.044/m of 0.08/m in 14.5 units.
	if most < 4 || most > 8 {
		t.Errorf("the moved views are steered by up to %v units otherwise, want nearly 8", most)
	}
}

func TestANetworkDrivesRoadsThatItHasNotSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for a second")
	}
	within, driven := examine(learn(watch(4, 14), 30), weather{}, 3)
	if within < 0.95 || driven < 3 {
		t.Errorf("%.2f of the views within two units, %d of 3 roads driven, want 0.95, 3", within, driven)
	}
}

func TestANetworkThatHasLearntNothingDrivesNoRoad(t *testing.T) {
	within, driven := examine(learn(watch(1, 0), 1), weather{}, 3)
	if within > 0.5 || driven > 0 {
		t.Errorf("%.2f of the views within two units, %d of 3 roads driven, want few and none", within, driven)
	}
}

func TestRunTellsHowItDrivesAndDrawsOnlyWhenAsked(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	var out bytes.Buffer
	if err := run(&out, "", 1, 1, 1); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(out.String(), "\n"); len(lines) != 5 || !strings.Contains(lines[1], " of  1 ") {
		t.Errorf("printed\n%swant a heading and three lines", &out)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("without -out there are %v, error %v", files, err)
	}
	if err := run(&out, filepath.Join(dir, "none", "drive.svg"), 1, 1, 1); err == nil {
		t.Error("a file in a folder that does not exist is no error")
	}
	if err := run(&out, "drive.svg", 1, 1, 1); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("drive.svg")
	if err != nil {
		t.Fatal(err)
	}
	elements := map[string]int{}
	for d := xml.NewDecoder(bytes.NewReader(file)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if element, isStart := token.(xml.StartElement); isStart {
			elements[element.Name.Local]++
			for _, a := range element.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "no value") || a.Value == "" {
					t.Errorf("%s has %s %q", element.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
	if n := elements["rect"]; n != 6+rows*cols+2*units {
		t.Errorf("%d rectangles, want six for the panels and one for each pixel and twice for each unit", n)
	}
	if n := elements["polyline"]; n != 6 {
		t.Errorf("%d lines, want six: the road, three paths and two places", n)
	}
}
