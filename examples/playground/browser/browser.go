// Command browser shows the playground to a real Chromium, and writes the picture of the README.
// Its tests use the page as people do. It is a module of its own, so that the library does not
// depend on github.com/chromedp/chromedp.
//
//	cd examples/playground/browser && go test ./... && go run . -out ../playground.png
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "", "the `file` to write the picture to")
	flag.Parse()
	if *out == "" {
		log.Fatal("browser: -out is missing, want a file")
	}
	if err := picture(*out); err != nil {
		log.Fatal("browser: ", err)
	}
}

// picture trains on the spirals and takes the page as it is then.
func picture(file string) error {
	url, stop, err := startServer()
	if err != nil {
		return err
	}
	defer stop()
	ctx, stop, err := startBrowser()
	if err != nil {
		return err
	}
	defer stop()
	err = chromedp.Do(ctx,
		screen(1280, 870, "light"),
		chromedp.EmulateViewport(1280, 870, chromedp.EmulateScale(1.6)), // legible at half its size
		chromedp.Navigate(url+"#data=spiral"),
		trainUntil(400))
	if err != nil {
		return err
	}
	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	full, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return err
	}
	var small bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&small, reduce(full)); err != nil {
		return err
	}
	return os.WriteFile(file, small.Bytes(), 0o644)
}

// reduce is the picture in 256 colours, so that the file is small: the most frequent ones when
// their last bits do not count, each as it is first met.
func reduce(full image.Image) image.Image {
	area := full.Bounds()
	count, first := map[color.RGBA]int{}, map[color.RGBA]color.RGBA{}
	at := func(x, y int) (exact, rough color.RGBA) {
		r, g, b, _ := full.At(x, y).RGBA()
		exact = color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 255}
		return exact, color.RGBA{exact.R &^ 3, exact.G &^ 3, exact.B &^ 3, 255}
	}
	for y := range area.Dy() {
		for x := range area.Dx() {
			exact, rough := at(x, y)
			if count[rough]++; count[rough] == 1 {
				first[rough] = exact
			}
		}
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range colours[:min(256, len(colours))] {
		palette = append(palette, first[c])
	}
	index := map[color.RGBA]uint8{}
	for _, c := range colours {
		index[c] = uint8(palette.Index(first[c]))
	}
	small := image.NewPaletted(area, palette)
	for y := range area.Dy() {
		for x := range area.Dx() {
			_, rough := at(x, y)
			small.SetColorIndex(x, y, index[rough])
		}
	}
	return small
}

// startServer builds the playground, and serves it on a port that is free.
func startServer() (url string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "playground")
	if err != nil {
		return "", nil, err
	}
	program := filepath.Join(dir, "playground")
	build := exec.Command("go", "build", "-o", program, "./examples/playground")
	build.Dir = filepath.Join("..", "..", "..")
	if text, err := build.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("go build: %w\n%s", err, text)
	}
	server := exec.Command(program, "-addr", "127.0.0.1:0", "-nobrowser")
	server.Dir = build.Dir
	server.Stderr = os.Stderr
	says, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		return "", nil, err
	}
	stop = func() {
		server.Process.Kill()
		server.Wait()
		os.RemoveAll(dir)
	}
	line := make([]byte, 200)
	n, err := says.Read(line)
	url = regexp.MustCompile(`http://[^ ]*`).FindString(string(line[:n]))
	if url == "" {
		stop()
		return "", nil, errors.Join(errors.New("the playground did not say its address"), err)
	}
	go io.Copy(io.Discard, says)
	return url, stop, nil
}

// startBrowser starts a Chromium that nobody sees.
func startBrowser() (context.Context, func(), error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.Flag("hide-scrollbars", true),
		chromedp.WSURLReadTimeout(2*time.Minute)) // it starts slowly on a busy machine
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stopContext := chromedp.NewContext(ctx)
	stop := func() { stopContext(); stopAllocator() }
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	return ctx, stop, nil
}

// An action is a step of a session with the browser.
type action = chromedp.Action[chromedp.Void]

// screen sets the page's size and colour scheme.
func screen(width, height int64, scheme string) action {
	return chromedp.Steps(
		chromedp.EmulateViewport(width, height),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}))
}

// trainUntil trains until an epoch.
func trainUntil(epoch int) action {
	return chromedp.Steps(
		waitFor(`!document.getElementById("run").disabled`),
		chromedp.Click("#run"),
		waitFor(fmt.Sprintf(`Number(document.getElementById("epoch").textContent) >= %d`, epoch)),
		chromedp.Click("#run"),
		waitFor(`new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))`))
}

// waitFor waits up to two minutes until an expression is true. The page's policy allows no eval, by
// which chromedp.Poll works.
func waitFor(expression string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for range 2400 {
			is, err := chromedp.Evaluate[bool](expression, chromedp.EvalAwaitPromise)(ctx, t)
			if is || err != nil {
				return err
			}
			if _, err := chromedp.Sleep(50*time.Millisecond)(ctx, t); err != nil {
				return err
			}
		}
		return fmt.Errorf("waited in vain for %s", expression)
	})
}
