// Command digits learns to read 8×8 images of handwritten digits. A random quarter of them is held
// out to test what it has learnt.
//
//	go run ./examples/digits -save digits.safetensors
//	go run ./examples/digits -runs 10
//
// The second gives the mean accuracy over ten random quarters, each with initial weights of its
// own.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

func main() {
	log.SetFlags(0)
	seed := flag.Uint64("seed", 0, "of the split, the initial weights and the training")
	runs := flag.Int("runs", 1, "how many networks to train, each with the next seed")
	save := flag.String("save", "", "the `file` to save the last network to")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("digits: %q is not used; only flags are", flag.Arg(0))
	}
	if err := run(os.Stdout, *seed, *runs, *save); err != nil {
		log.Fatal("digits: ", err)
	}
}

// run trains networks, shows their accuracies and how the last one errs, and saves that one if it
// is given a file.
func run(w io.Writer, seed uint64, runs int, save string) error {
	if runs < 1 {
		return fmt.Errorf("-runs is %d, want 1 or more", runs)
	}
	var (
		net            *backprop.Network
		training, test backprop.Data
		p              *mat.Dense
		err            error
	)
	accuracies := make([]float64, runs)
	for i := range accuracies {
		seed := seed + uint64(i)
		if training, test, err = digits.Split(0.25, seed); err != nil {
			return err
		}
		if net, err = train(training, seed, os.Stderr); err != nil {
			return err
		}
		if p, err = net.Predict(test.X); err != nil {
			return err
		}
		if accuracies[i], err = backprop.Accuracy(p, test.Y); err != nil {
			return err
		}
		fmt.Fprintf(w, "seed %d: test accuracy %.2f %%\n", seed, 100*accuracies[i])
	}
	if runs > 1 {
		fmt.Fprintf(w, "mean of %d: %.2f %%, from %.2f to %.2f\n",
			runs, 100*stat.Mean(accuracies, nil), 100*floats.Min(accuracies), 100*floats.Max(accuracies))
	}
	confusion, err := backprop.ConfusionMatrix(p, test.Y)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nthe digit (row) and what it is read as (column):\n%4v\n\n", mat.Formatted(confusion))
	drawMisread(w, test, p)
	if save == "" {
		return nil
	}
	return net.Save(save)
}

// train trains a network. Its settings were chosen by validation within the training parts of other
// splits.
func train(data backprop.Data, seed uint64, progress io.Writer) (*backprop.Network, error) {
	net, err := backprop.New(64,
		backprop.Standardize{},
		backprop.Dropout{Rate: 0.1},
		backprop.Dense{Units: 128, NoBias: true},
		backprop.BatchNorm{Activation: backprop.ReLU},
		backprop.Dense{Units: 10, Activation: backprop.Softmax},
	)
	if err != nil {
		return nil, err
	}
	net.Init(seed)
	_, err = net.Train(context.Background(), data.X, data.Y, backprop.TrainConfig{
		LearningRate: 5e-3,
		Optimizer:    &backprop.Adam{},
		Schedule:     backprop.CosineDecay{Epochs: 60},
		Epochs:       60,
		BatchSize:    32,
		Seed:         seed,
		Progress:     progress,
	})
	return net, err
}

// drawMisread draws the first misread digits side by side.
func drawMisread(w io.Writer, test backprop.Data, p *mat.Dense) {
	const most, width = 4, 20
	var lines [9]strings.Builder // eight rows of pixels and a caption
	digits, reads := backprop.Classes(test.Y), backprop.Classes(p)
	for i, drawn := 0, 0; i < len(reads) && drawn < most; i++ {
		digit, read := digits[i], reads[i]
		if digit == read {
			continue
		}
		for pixel, v := range mat.Row(nil, i, test.X) {
			shade := []string{"  ", "░░", "▒▒", "▓▓", "██"}[int(v+3)/4] // v is 0 to 16
			lines[pixel/8].WriteString(shade)
			if pixel%8 == 7 {
				lines[pixel/8].WriteString(strings.Repeat(" ", width-16))
			}
		}
		fmt.Fprintf(&lines[8], "%-*s", width, fmt.Sprintf("%d read as %d", digit, read))
		drawn++
	}
	for i := range lines {
		fmt.Fprintln(w, strings.TrimRight(lines[i].String(), " "))
	}
}
