// Command drive teaches a network to steer a car by what a camera sees, and has it drive roads that
// it has not seen.
//
//	go run ./examples/drive
//	go run ./examples/drive -out drive.svg
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

	"example.com/backprop"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "", "the SVG `file` to draw a view, the outputs and the path to")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("drive: %q is not used; only flags are", flag.Arg(0))
	}
	check(run(os.Stdout, *out, 6, 60, 20))
}

func check(err error) {
	if err != nil {
		log.Fatal("drive: ", err)
	}
}

// run teaches a network on roads that are shown, and another one without moved views in as many
// steps, and tells how they drive on other roads.
func run(w io.Writer, out string, shown, epochs, others int) error {
	const moved = 14
	net := learn(watch(shown, moved), epochs)
	plain := learn(watch(shown, 0), epochs*(1+moved))
	fmt.Fprintf(w, "%-38s within two units  roads driven   (without moved views)\n", "")
	for _, c := range []weather{
		{name: "calm"},
		{name: "noise", noise: 0.1},
		{name: "half the light, from the side, shadows", dim: 0.5, side: 0.3, shadows: 0.5},
	} {
		within, driven := examine(net, c, others)
		plainWithin, plainDriven := examine(plain, c, others)
		fmt.Fprintf(w, "%-38s %14.1f %%  %6d of %2d   (%.1f %%, %d)\n",
			c.name, 100*within, driven, others, 100*plainWithin, plainDriven)
	}
	if out == "" {
		return nil
	}
	return os.WriteFile(out, draw(net, plain), 0o666)
}

// unseen returns road i of those that no driver shows. They were not looked at before the settings
// were as they are.
func unseen(i int, w weather) *road { return newRoad(w, rand.New(rand.NewPCG(uint64(i), 5))) }

// examine has a network drive roads, and judge 25 views of each, from off the lane. It returns the
// share of the views that are steered within two units of the driver's, and the number of roads
// driven to the end.
func examine(net *backprop.Network, w weather, roads int) (within float64, driven int) {
	const views = 25
	for i := range roads {
		r := unseen(i, w)
		if path := r.driveBy(net); path[len(path)-1].along >= length {
			driven++
		}
		for range views {
			c := r.stray(length * r.rand.Float64())
			if math.Abs(top(outputs(net, r.look(c)))-unitOf(r.driver(c))) <= 2 {
				within += 1 / float64(views*roads)
			}
		}
	}
	return within, driven
}
