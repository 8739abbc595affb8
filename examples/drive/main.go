// Command drive teaches a network to steer a car by what a camera sees, and has it drive roads that
// it has not seen.
//
//	go run ./examples/drive
//	go run ./examples/drive -out drive.png
//
// It follows ALVINN, which drove the Navlab vehicles (D. A. Pomerleau: "ALVINN: An Autonomous Land
// Vehicle in a Neural Network", NIPS 1989, and "Efficient Training of Artificial Neural Networks
// for Autonomous Navigation", Neural Computation 3(1), 1991). A retina of 30×32 pixels leads to 5
// hidden units and these to 30 output units, each of which stands for a direction, from sharp left
// to sharp right. The targets are a hill, a Gaussian around the direction that the driver takes,
// and the car takes the one at the middle of the hill in the outputs. Neighbouring directions are
// thus nearly right, and the outputs say more finely than in thirtieths where to go.
//
// A driver who keeps to the middle of the road does not show how to come back to it, and a network
// that learns from nothing else may be lost after its first mistakes. So each view is also shifted
// and rotated into what the camera would have seen beside the lane or turned out of it, and comes
// with the steering that leads from there to where the driver was going.
//
// Here the program draws the roads, and the driver knows where their middle is. The network has
// nothing but the pixels. It is compared with one that has learnt from the driver's own views.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"example.com/backprop"
)

func main() {
	log.SetFlags(0)
	seed := flag.Uint64("seed", 0, "of the driver's roads, the initial weights and the training")
	out := flag.String("out", "", "the PNG `file` to draw a view, the outputs and the path to")
	flag.Parse()
	shown := lesson{roads: 10, frames: 60, moved: 14, epochs: 30, seed: *seed}
	if err := run(os.Stdout, shown, exam{roads: 20, length: 500}, *out); err != nil {
		log.Fatal("drive: ", err)
	}
}

// An exam is roads to be driven. No lesson shows them, and they were not looked at before the
// settings were as they are.
type exam struct {
	roads  int
	length float64 // metres
}

// pilot returns a network on road i, with the same gusts for every network.
func (e exam) pilot(net *backprop.Network, w weather, i int) pilot {
	rng := rand.New(rand.NewPCG(uint64(i), 3))
	return pilot{net, newRoad(e.length+far, rng), w, rng}
}

var (
	calm  = weather{light: 1, shadows: 1}
	gusty = weather{light: 1, shadows: 1, gusts: 0.1}
)

// run teaches a network, and another one without the moved views, and tells how they drive.
func run(w io.Writer, shown lesson, e exam, out string) error {
	start := time.Now()
	net, err := shown.learn()
	if err != nil {
		return err
	}
	shown.epochs *= 1 + shown.moved // in as many steps
	shown.moved = 0
	plain, err := shown.learn()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-38s within two units  roads driven  from the middle\n", "")
	for _, c := range []struct {
		name    string
		net     *backprop.Network
		weather weather
	}{
		{"calm", net, calm},
		{"noise", net, weather{light: 1, shadows: 1, noise: 0.1}},
		{"half the light, from the side, shadows", net, weather{light: 0.5, side: 0.3, shadows: 0.5}},
		{"gusts", net, gusty},
		{"calm, learnt without moved views", plain, calm},
		{"gusts, learnt without moved views", plain, gusty},
	} {
		within, driven, off, err := e.take(c.net, c.weather)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-38s %14.1f %%  %6d of %2d  %13.2f m\n", c.name, 100*within, driven, e.roads, off)
	}
	fmt.Fprintf(w, "in %.0f s\n", time.Since(start).Seconds())
	if out == "" {
		return nil
	}
	return e.draw(out, net, plain)
}

// take has a network judge 25 views of each road, from off the lane, and then drive it. It returns
// the share of the views that are steered within two units of the driver's, the number of roads
// driven to the end, and the mean distance of the car from the middle.
func (e exam) take(net *backprop.Network, w weather) (within float64, driven int, off float64, err error) {
	frames := 0.0
	for i := range e.roads {
		p := e.pilot(net, w, i)
		random := func(limit float64) float64 { return limit * (2*p.rand.Float64() - 1) }
		const views = 25
		for range views {
			c := p.road.beside(e.length*p.rand.Float64(), random(0.8), random(0.1))
			_, a, err := p.see(c)
			if err != nil {
				return 0, 0, 0, err
			}
			if math.Abs(top(a)-unitOf(toward(p.road.goal(c)))) <= 2 {
				within += 1 / float64(views*e.roads)
			}
		}
		path, err := p.road.drive(e.length, p.steer)
		if err != nil {
			return 0, 0, 0, err
		}
		if path[len(path)-1].along >= e.length {
			driven++
		}
		for _, c := range path {
			frames++
			off += (math.Abs(c.left) - off) / frames
		}
	}
	return within, driven, off, nil
}
