package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

var (
	site    string          // the address of the playground
	browser context.Context // of a Chromium
	folder  string          // of the screenshots
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var stop func()
	var err error
	if browser, stop, err = startBrowser(); errors.Is(err, exec.ErrNotFound) {
		fmt.Println("no Chromium or Chrome is installed: nothing is tested")
		return 0
	}
	if err != nil {
		log.Print(err)
		return 1
	}
	defer stop()
	var stopServer func()
	if site, stopServer, err = startServer(); err != nil {
		log.Print(err)
		return 1
	}
	defer stopServer()
	if folder, err = os.MkdirTemp("", "playground-screenshots"); err != nil {
		log.Print(err)
		return 1
	}
	fmt.Println("screenshots are in", folder)
	return m.Run()
}

// open opens an address in a page of its own, which may say nothing on its console and request
// nothing from elsewhere.
func open(t *testing.T, address string, first ...action) context.Context {
	t.Helper()
	page := newPage(t)
	do(t, page, append(first, chromedp.Navigate(address))...)
	return page
}

func newPage(t *testing.T) context.Context {
	page, stop := chromedp.NewContext(browser)
	do(t, page)
	messages := chromedp.Console(page)
	_, err := chromedp.Call(page, network.Enable, network.EnableParams{})
	requests := chromedp.Events(page, network.RequestWillBeSent)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		for m, err := range messages {
			if err != nil {
				break
			}
			t.Errorf("on the console: %v", m)
		}
		done <- true
	}()
	go func() {
		for r, err := range requests {
			if err != nil {
				break
			}
			if url := r.Request.URL; !strings.HasPrefix(url, "http://127.0.0.1:") && !strings.HasPrefix(url, "data:") {
				t.Errorf("a request of %s", url)
			}
		}
		done <- true
	}()
	t.Cleanup(func() { stop(); <-done; <-done })
	return page
}

func do(t *testing.T, page context.Context, actions ...action) {
	t.Helper()
	if err := chromedp.Do(page, actions...); err != nil {
		t.Fatal(err)
	}
}

// value evaluates an expression.
func value[T any](t *testing.T, page context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(page, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

const (
	ready     = `!document.getElementById("run").disabled`
	trainLoss = `Number(document.getElementById("train-loss").textContent.replace(/·10⁻.*/, "e-9"))`
)

// screenshot takes the whole page.
func screenshot(t *testing.T, page context.Context, name string) {
	t.Helper()
	png, err := chromedp.Run(page, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTrainsToTheEnd(t *testing.T) {
	for address, target := range map[string]float64{
		"#data=xor&layers=4&optimizer=sgd&rate=0.1": 0.05,
		"#data=spiral": 0.01,
		"#data=multigauss&layers=12,12&activation=gelu": 0.01,
	} {
		page := open(t, site+address+"&speed=1000", screen(1280, 900, "light"), waitFor(`true`))
		do(t, page,
			waitFor(ready),
			chromedp.Click("#run"),
			waitFor(fmt.Sprintf(`%s < %g`, trainLoss, target)),
			chromedp.Click("#run"))
	}
}

func TestLooks(t *testing.T) {
	for _, look := range []struct {
		name, address string
		width, height int64
		scheme        string
		epochs        int
	}{
		{"spiral", "#data=spiral", 1280, 900, "light", 300},
		{"spiral-dark", "#data=spiral&test=on", 1280, 900, "dark", 200},
		{"spiral-phone", "#data=spiral", 360, 740, "light", 100},
		{"spiral-tablet", "#data=spiral&bands=on", 900, 1000, "light", 100},
		{"vanishing", "#data=circle&layers=30x8&activation=sigmoid&init=glorotuniform&optimizer=sgd&rate=0.03&lines=gradient", 1440, 900, "light", 1},
		{"exploding", "#data=circle&layers=50x8&activation=relu&init=henormal&norm=batch&optimizer=sgd&rate=0.03&batch=30", 1440, 900, "light", 0},
		{"orthogonal", "#data=circle&layers=30x8&activation=tanh&init=orthogonal&optimizer=sgd&rate=0.03", 1440, 900, "dark", 60},
		{"overfitting", "#data=spiral&noise=30&layers=16,16&features=x1,x2,x1x1,x2x2,x1x2,sinx1,sinx2&train=20", 1440, 900, "light", 300},
		{"regression", "#data=multigauss&layers=12,12&activation=gelu", 1280, 900, "light", 300},
		{"phone-dark", "#data=circle&layers=30x8&activation=tanh&init=orthogonal&optimizer=sgd&rate=0.03", 360, 740, "dark", 20},
	} {
		t.Run(look.name, func(t *testing.T) {
			page := open(t, site+look.address, screen(look.width, look.height, look.scheme))
			do(t, page, waitFor(ready))
			if look.epochs > 0 {
				do(t, page, trainUntil(look.epochs))
			}
			screenshot(t, page, look.name)
			if width := value[int64](t, page, `document.documentElement.scrollWidth`); width > look.width {
				t.Errorf("the page is %d pixels wide, of %d", width, look.width)
			}
		})
	}
}

func TestStepByStep(t *testing.T) {
	for _, width := range []int64{1280, 360} {
		page := open(t, site+"#view=steps", screen(width, 900, "light"))
		do(t, page, waitFor(`document.querySelectorAll(".stage").length === 1`))
		for stage := 2; stage <= 4; stage++ {
			do(t, page, chromedp.Click("#next"), waitFor(fmt.Sprintf(`document.querySelectorAll(".stage").length === %d`, stage)))
		}
		screenshot(t, page, fmt.Sprintf("steps-%d", width))
		if w := value[int64](t, page, `document.documentElement.scrollWidth`); w > width {
			t.Errorf("the page is %d pixels wide, of %d", w, width)
		}
	}
}

// TestMeasures logs what the page costs; only the bytes are the same everywhere.
func TestMeasures(t *testing.T) {
	for _, address := range []string{"#layers=8,8", "", "#data=circle&layers=30x8&activation=sigmoid", "#layers=50x16"} {
		page := open(t, site+address, screen(1280, 900, "light"))
		do(t, page, waitFor(ready))
		first := value[float64](t, page, `performance.getEntriesByName("first-frame")[0].startTime`)
		bytes := value[float64](t, page, `performance.getEntriesByType("resource").reduce((sum, r) => sum + r.encodedBodySize, performance.getEntriesByType("navigation")[0].encodedBodySize)`)
		do(t, page, chromedp.Click("#run"))
		frames := value[float64](t, page, `new Promise((done) => {
			let last = document.getElementById("epoch").textContent, frames = 0;
			const begin = performance.now();
			const look = () => {
				const epoch = document.getElementById("train-loss").textContent + document.getElementById("epoch").textContent;
				if (epoch !== last) frames++;
				last = epoch;
				if (performance.now() - begin > 3000) done(frames / (performance.now() - begin) * 1000);
				else requestAnimationFrame(look);
			};
			look();
		})`)
		t.Logf("%s: first frame after %.0f ms, %.0f frames a second, %.0f bytes by the page", address, first, frames, bytes)
	}
}

// TestWeighsLess compares all files, compressed, with 1.5 MB.
func TestWeighsLess(t *testing.T) {
	total := 0
	entries, err := os.ReadDir("../page")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"wasm_exec.js", "playground.wasm"}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for _, name := range names {
		request, err := http.NewRequest("GET", site+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Encoding", "gzip")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %s, %v, %v", name, response.Status, response.Header, err)
		}
		total += int(n)
	}
	t.Logf("%d bytes, compressed", total)
	if total > 1_500_000 {
		t.Errorf("%d bytes, compressed, want at most 1,500,000", total)
	}
}

var _ = httptest.NewServer
