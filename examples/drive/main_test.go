package main

import (
	"bytes"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

func isSmall(v, limit float64) bool { return math.Abs(v) <= limit }

func TestAPlaceIsSeenWhereItIs(t *testing.T) {
	p := pose{3, -2, 0.7}
	if ahead, left := p.seen(p.at(5, -1)); !isSmall(ahead-5, 1e-14) || !isSmall(left+1, 1e-14) {
		t.Errorf("what is 5 ahead and 1 to the right is seen %v ahead and %v to the left", ahead, left)
	}
	if x, y := (pose{0, 0, math.Pi / 2}).at(1, 2); !isSmall(x+2, 1e-14) || !isSmall(y-1, 1e-14) {
		t.Errorf("ahead 1 and to the left 2 of a car that heads along y is (%v, %v), want (-2, 1)", x, y)
	}
}

func TestTheCircleTowardAPlaceLeadsThere(t *testing.T) {
	for _, left := range []float64{-4, 0, 1, 9} {
		const ahead, steps = 10, 10000
		curvature := toward(ahead, left)
		length := math.Hypot(ahead, left)
		if curvature != 0 {
			length = 2 / curvature * math.Asin(length*curvature/2)
		}
		var p pose
		for range steps {
			p = p.step(length/steps, curvature)
		}
		if !isSmall(p.x-ahead, 1e-6) || !isSmall(p.y-left, 1e-6) {
			t.Errorf("the circle toward (%v, %v) leads to (%v, %v)", ahead, left, p.x, p.y)
		}
	}
}

// Half a metre from a pose of the road it is bent by 0.015 radians, which at 3 metres from the
// middle makes 0.045 metres.
func TestACarIsLocatedOnTheRoad(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	r := newRoad(300, rng)
	for range 1000 {
		c := r.beside(stride*math.Floor(600*rng.Float64()), 3*(2*rng.Float64()-1), 1)
		along, left := r.locate(c.x, c.y, c.along+10*(2*rng.Float64()-1))
		if !isSmall(along-c.along, 0.045) || !isSmall(left-c.left, 0.045) {
			t.Fatalf("a car %v along and %v to the left is located %v along and %v to the left", c.along, c.left, along, left)
		}
	}
}

func TestTheDriverKeepsToTheMiddleOfBends(t *testing.T) {
	most := 0.0
	for seed := range uint64(20) {
		r := newRoad(530, rand.New(rand.NewPCG(seed, 0)))
		for i, p := range r.middle[1:] {
			most = max(most, math.Abs(p.heading-r.middle[i].heading)/stride)
		}
		path, err := r.drive(500, r.driver)
		if err != nil {
			t.Fatal(err)
		}
		if end := path[len(path)-1]; end.along < 500 {
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
	r := newRoad(100, rand.New(rand.NewPCG(0, 0)))
	path, err := r.drive(100, func(car) (float64, error) { return -0.05, nil })
	if err != nil {
		t.Fatal(err)
	}
	limit := (r.width - carWidth) / 2
	for i, c := range path {
		if last := i == len(path)-1; last != (c.left < -limit) {
			t.Errorf("frame %d of %d is %v to the left of the middle, where %v is the limit", i, len(path), c.left, limit)
		}
	}
}

func TestAViewFromTheSamePlaceIsTheSame(t *testing.T) {
	r := newRoad(100, rand.New(rand.NewPCG(3, 0)))
	v := r.look(r.beside(20, 0, 0), calm)
	if *v.from(pose{}) != *v {
		t.Error("the view from where the camera is differs from the camera's")
	}
}

func TestWhatIsOutOfViewIsWhatIsSeenStraightAhead(t *testing.T) {
	var v view
	for i := range v {
		v[i] = float64(i)
	}
	for _, left := range []float64{-12, -6, 3, 9} {
		if got, want := v.at(4.5, left), v.at(math.Abs(left)/wide, left); got != want {
			t.Errorf("%v to the left pixel %v is seen, want %v", left, got, want)
		}
	}
	if got, want := v.at(1, 0), v.at(near, 0); got != want {
		t.Errorf("in front of the car pixel %v is seen, want %v", got, want)
	}
}

func TestTheRetinaHasTheMeansOfFourPixels(t *testing.T) {
	v := view{0: 4, 2: 1, 3: 1, cameraCols + 2: 1, cameraCols + 3: 1}
	x := v.retina(0, rand.New(rand.NewPCG(0, 0)))
	if !isSmall(x[0]-x[1], 1e-12) || x[0] <= x[2] {
		t.Errorf("pixels of means 1, 1 and 0 are %v, want two equal ones and a smaller one", x[:3])
	}
}

// The ground's grain is up to 0.03, and grass and road differ by 0.15 at least.
func TestAMovedViewIsWhatTheCameraWouldSee(t *testing.T) {
	for _, moved := range []pose{{0, 1, 0}, {0, -1, 0}, {0, 0, 0.1}, {0, 0, -0.1}, {0, 0.7, -0.12}} {
		r := newRoad(100, rand.New(rand.NewPCG(5, 0)))
		c := r.beside(30, 0, 0)
		v := r.look(c, calm)
		d := c
		d.x, d.y = c.at(moved.x, moved.y)
		d.heading += moved.heading
		same := func(a, b *view) float64 {
			n := 0.0
			for i := range a {
				if isSmall(a[i]-b[i], 0.1) {
					n++
				}
			}
			return n / float64(len(a))
		}
		want := r.look(d, calm)
		if got := same(v.from(moved), want); got < 0.96 {
			t.Errorf("%.3f of the pixels seen from %v are those that a camera sees there, want 0.96; unmoved, %.3f are",
				got, moved, same(v, want))
		}
	}
}

func TestTheRetinaSeesTheRoadAndNotHowLightItIs(t *testing.T) {
	rng := rand.New(rand.NewPCG(0, 0))
	r := newRoad(100, rng)
	c := r.beside(30, -1.5, 0) // to the right, so that the road is on the left
	x := r.look(c, calm).retina(0, rng)
	if mean, deviation := stat.PopMeanStdDev(x, nil); !isSmall(mean, 1e-12) || !isSmall(deviation-1, 1e-12) {
		t.Errorf("mean %v and deviation %v, want 0 and 1", mean, deviation)
	}
	dim := r.look(c, weather{light: 0.3, shadows: 1}).retina(0, rng)
	bottom := mat.NewDense(retinaRows, retinaCols, x).RawRowView(retinaRows - 1)
	for i := range x {
		if !isSmall(x[i]-dim[i], 1e-12) {
			t.Fatalf("pixel %d is %v, and %v where there is less light", i, x[i], dim[i])
		}
	}
	if bottom[0] < 0 || bottom[retinaCols-1] > 0 {
		t.Errorf("from the right of the road its left end is %v and its right %v, want light and dark", bottom[0], bottom[retinaCols-1])
	}
}

func TestWeatherChangesTheView(t *testing.T) {
	rng := rand.New(rand.NewPCG(0, 0))
	r := newRoad(100, rng)
	c := r.beside(30, 0, 0)
	plain := r.look(c, calm)
	side, shade := r.look(c, weather{light: 1, side: 0.2, shadows: 1}), r.look(c, weather{light: 1, shadows: 0.5})
	if l, r := side[0]/plain[0], side[cameraCols-1]/plain[cameraCols-1]; !isSmall(l-0.8, 0.01) || !isSmall(r-1.2, 0.01) {
		t.Errorf("with light from the side the corners are %v and %v times as bright, want 0.8 and 1.2", l, r)
	}
	dark := 0
	for i := range shade {
		switch shade[i] / plain[i] {
		case 1:
		case 0.5:
			dark++
		default:
			t.Fatalf("pixel %d is %v with shadows and %v without", i, shade[i], plain[i])
		}
	}
	if dark == 0 || dark == len(shade) {
		t.Errorf("%d of %d pixels are in shadow", dark, len(shade))
	}
	deviation := stat.PopStdDev(new(view).retina(0.1, rng), nil)
	if !isSmall(deviation-1, 1e-12) {
		t.Errorf("the deviation of noise alone is %v, want 1", deviation)
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

// On this straight piece of road the driver goes straight on, and what is shifted to the left has
// to go to the right.
func TestAMovedViewComesWithTheWayBack(t *testing.T) {
	data := lesson{roads: 1, frames: 1, moved: 40}.watch()
	n, _ := data.X.Dims()
	if n != 2*41 {
		t.Fatalf("%d views, want 41 of each of the frames at 0 and 5 metres", n)
	}
	y := data.Y.(*mat.Dense)
	straight, most := top(y.RawRowView(0)), 0.0
	for i := range 41 {
		most = max(most, math.Abs(top(y.RawRowView(i))-straight))
	}
	// A metre and 0.12 radians give 2·(1+1.2)/100 = 0.044/m of 0.08/m in 14.5 units.
	if most < 4 || most > 8 {
		t.Errorf("the moved views are steered by up to %v units otherwise, want nearly 8", most)
	}
}

// Three seeds drive 6 of 6 roads with 98 to 100 % of the views within two units.
func TestANetworkDrivesRoadsThatItHasNotSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for a second")
	}
	net, err := lesson{roads: 10, frames: 20, moved: 14, epochs: 60}.learn()
	if err != nil {
		t.Fatal(err)
	}
	within, driven, off, err := exam{roads: 3, length: 200}.take(net, calm)
	if err != nil {
		t.Fatal(err)
	}
	if within < 0.95 || driven < 3 || off > 0.2 {
		t.Errorf("%.2f of the views within two units, %d of 3 roads driven, %.2f m off the middle, want 0.95, 3, 0.2", within, driven, off)
	}
}

func TestRunTellsHowItDrivesAndDrawsOnlyWhenAsked(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	small, e := lesson{roads: 1, frames: 5, moved: 1, epochs: 1}, exam{roads: 1, length: 10}
	var out bytes.Buffer
	if err := run(&out, small, e, ""); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(out.String(), "\n"); len(lines) != 9 || !strings.Contains(lines[1], " of  1 ") {
		t.Errorf("printed\n%swant a heading, six lines and the time", &out)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("without -out there are %v, error %v", files, err)
	}
	file := filepath.Join(dir, "drive.png")
	if err := run(&out, small, e, file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range [][2]int{{20, 20}, {300, 20}, {700, 250}, {20, 600}} {
		if r, g, b, _ := img.At(at[0], at[1]).RGBA(); r&g&b == 0xffff {
			t.Errorf("nothing is drawn at %v", at)
		}
	}
	if err := run(&out, small, e, filepath.Join(dir, "none", "drive.png")); err == nil {
		t.Error("a file in a folder that does not exist is no error")
	}
}
