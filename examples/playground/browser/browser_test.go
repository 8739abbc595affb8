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

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
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
			page := open(t, site+look.address+"&speed=10", screen(look.width, look.height, look.scheme))
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

// TestWeighsLess compares all that is sent with 1.5 MB.
func TestWeighsLess(t *testing.T) {
	total := 0
	entries, err := os.ReadDir("../page")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"wasm_exec.js", "playground.wasm.gzip"}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for _, name := range names {
		response, err := http.Get(site + name)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, %v", name, response.Status, err)
		}
		total += int(n)
	}
	t.Logf("%d bytes", total)
	if total > 1_500_000 {
		t.Errorf("%d bytes, want at most 1,500,000", total)
	}
}

// set changes a control as a user does. What was announced before is gone.
func set(t *testing.T, page context.Context, selector, v string) {
	t.Helper()
	value[bool](t, page, fmt.Sprintf(`(() => {
		`+mute+`;
		const control = document.querySelector(%q);
		if (control.type === "checkbox" || control.type === "radio") control.click();
		else {
			control.value = %q;
			control.dispatchEvent(new Event("change", { bubbles: true }));
		}
		return true;
	})()`, selector, v))
}

const (
	quiet  = `document.getElementById("alert").hidden`
	spoken = `document.getElementById("alert").textContent`
	mute   = `document.getElementById("live").textContent = ""`
	begun  = `document.getElementById("live").textContent.startsWith("New network")` // said at the end of a beginning
	moved  = `document.getElementById("epoch").textContent !== "0"`
)

func TestEverySettingCanBeChanged(t *testing.T) {
	page := open(t, site+"#layers=4", screen(1280, 900, "light"))
	do(t, page, waitFor(ready))
	options := value[[][2]string](t, page, `[...document.querySelectorAll("#settings select")].flatMap((s) =>
		[...s.options].reverse().map((o) => [s.name, o.value]))`)
	if len(options) < 30 {
		t.Fatalf("only %d options", len(options))
	}
	options = append(options, [][2]string{
		{"noise", "25"}, {"train", "80"}, {"seed", "7"}, {"layers", "3,2,1"}, {"dropout", "0.2"}, {"rate", "0.05"}, {"batch", "20"},
		{"l2", "0.001"}, {"decay", "0.01"}, {"clipnorm", "1"}, {"clipvalue", "0.5"},
	}...)
	for _, o := range options {
		name, v := o[0], o[1]
		set(t, page, "[name="+name+"]", v)
		do(t, page,
			waitFor(fmt.Sprintf(`document.querySelector("[name=%s]").value === %q && %s`, name, v, begun)),
			chromedp.Click("#step"),
			waitFor(`document.getElementById("live").textContent.startsWith("Training loss")`))
		if !value[bool](t, page, quiet) {
			t.Errorf("%s = %s: %s", name, v, value[string](t, page, spoken))
		}
		address := value[string](t, page, "location.hash")
		if in := strings.Contains(address, name+"="+v); !in && value[string](t, page, `new URLSearchParams(location.hash.slice(1)).get("`+name+`") ?? "default"`) != "default" {
			t.Errorf("%s = %s: the address is %s", name, v, address)
		}
	}
	for _, feature := range []string{"x1x1", "x2x2", "x1x2", "sinx1", "sinx2", "x1"} {
		set(t, page, "[name=features][value="+feature+"]", "")
	}
	do(t, page, waitFor(`location.hash.includes("features=x2,x1x1,x2x2,x1x2,sinx1,sinx2")`))
	for button, layers := range map[string]string{"#deeper": "layers=3,2,1,1", "#shallower": "layers=3,2,1&", "[aria-label^='One unit more in layer 2']": "layers=3,3,1&"} {
		set(t, page, "[name=layers]", "3,2,1")
		do(t, page, waitFor(begun+`&& location.hash.includes("layers=3,2,1&")`), chromedp.Click(button))
		if button == "#shallower" {
			layers = "layers=3,2&"
		}
		do(t, page, waitFor(fmt.Sprintf(`location.hash.includes(%q)`, layers)))
	}
	set(t, page, "#depth", "50")
	do(t, page, waitFor(`document.getElementById("network").getAttribute("aria-label").split("-").length === 52`))
	for selector, in := range map[string]string{"[name=lines][value=gradient]": "lines=gradient", "#test": "test=on", "#bands": "bands=on"} {
		set(t, page, selector, "")
		do(t, page, waitFor(fmt.Sprintf(`location.hash.includes(%q)`, in)))
	}
	set(t, page, "#speed", "10")
	do(t, page, waitFor(`location.hash.includes("speed=10")`))
}

// enter goes to an address of the page that is open, and waits until its training can begin.
func enter(t *testing.T, page context.Context, hash string) {
	t.Helper()
	do(t, page, waitFor(fmt.Sprintf(`(%s, location.hash = "#" + %q, true)`, mute, hash)), waitFor(begun))
}

// setting is what the form has of a setting.
func setting(t *testing.T, page context.Context, name string) string {
	t.Helper()
	return value[string](t, page, fmt.Sprintf(`new FormData(document.getElementById("settings")).getAll(%q).join()`, name))
}

func TestTellsWhichSettingsCannotBeUsed(t *testing.T) {
	page := open(t, site, screen(1280, 900, "light"))
	do(t, page, waitFor(ready))
	for address, want := range map[string]string{
		"rate=1e308": "0.003", "rate=NaN": "0.003", "rate=-Infinity": "0.003", "rate=0": "0.003", "rate=quick": "0.003",
		"l2=-1": "0", "decay=10.1": "0", "clipnorm=1001": "0", "clipvalue=-0.1": "0", "dropout=1": "0",
		"batch=0": "10", "batch=2.5": "10", "batch=501": "10", "batch=1&norm=batch": "10", "seed=-1": "0", "seed=1000000": "0",
		"noise=51": "0", "noise=": "0", "train=100": "50", "train=9": "50",
		"layers=17": "8,8,8", "layers=0": "8,8,8", "layers=51x8": "8,8,8", "layers=0x8": "8,8,8", "layers=-3x8": "8,8,8",
		"layers=30x8,21x8": "8,8,8", "layers=8,,8": "8,8,8", "layers=8,": "8,8,8", "layers=8x8x8": "8,8,8", "layers=99999999999999999999": "8,8,8",
		"data=moon": "spiral", "features=x9": "x1,x2", "features=x2,x9,x2": "x1,x2", "features=none": "x1,x2",
		"optimizer=%00": "adam", "activation=softmax": "tanh", "init=zero": "default", "norm=layer": "none",
	} {
		enter(t, page, address)
		name, given, _ := strings.Cut(address, "=")
		says := value[string](t, page, spoken)
		if got := setting(t, page, name); got != want || strings.HasPrefix(says, name+" is ") != (given != "") {
			t.Errorf("%s gives %s and tells %q, want %s and a word", address, got, says, want)
		}
	}
	for address, want := range map[string]string{ // that can be used, as they are written then
		"layers=none":                 "layers=none",
		"layers=1, 2,2,16,2x4,3":      "layers=1,2,2,16,2x4,3",
		"layers=48x16,1,2":            "layers=48x16,1,2",
		"features=sinx2,x1x2,x1":      "features=x1,x1x2,sinx2",
		"rate=0x10&batch=2e1":         "rate=16&batch=20",
		"batch=2&norm=batch":          "norm=batch&batch=2",
		"noise=50&train=10&seed=9999": "noise=50&train=10&seed=9999",
		"rate=1e-06&l2=0.001&decay=10&clipnorm=0.5&clipvalue=2&dropout=0.90": "dropout=0.9&rate=0.000001&l2=0.001&decay=10&clipnorm=0.5&clipvalue=2",
		"data=plane&activation=selu&init=lecunnormal&optimizer=nesterov":     "data=plane&activation=selu&init=lecunnormal&optimizer=nesterov",
	} {
		enter(t, page, address)
		if got := value[string](t, page, `location.hash.slice(1)`); got != want || !value[bool](t, page, quiet) {
			t.Errorf("%s becomes %s, and the page says %q, want %s", address, got, value[string](t, page, spoken), want)
		}
	}
}

func TestSurvivesWhatMakesNoSense(t *testing.T) {
	page := open(t, site, screen(1280, 900, "light"))
	do(t, page, waitFor(ready))
	for _, hash := range []string{
		"%00%ff&&&===", "units=9999&layers=9999", "layers=99999999x99999999", "rate=1e308&optimizer=sgd", "rate=NaN", "rate=-Infinity",
		"layers=none&features=none", "data=<script>alert(1)</script>", "batch=-1&train=0&noise=1e9", "seed=1.5", "l2=1e308&decay=1e308",
		"norm=batch&batch=1", "dropout=0.9&layers=1", "view=nothing", "speed=1e9&lines=up&test=maybe", strings.Repeat("x", 50000),
		"rate=100&optimizer=sgd&activation=identity&layers=50x16&data=plane",
	} {
		enter(t, page, hash)
		if says := value[string](t, page, spoken); len(hash) < 100 {
			t.Logf("#%s: %.200s", hash, says)
			for _, name := range []string{"rate", "layers", "batch", "seed", "data", "l2"} {
				if strings.HasPrefix(hash, name+"=") && !strings.Contains(hash, "features=none") && !strings.HasPrefix(hash, "rate=100&") && !strings.Contains(says, name+" is ") {
					t.Errorf("#%s: it says %q", hash, says)
				}
			}
		}
		do(t, page, chromedp.Click("#run"), waitFor(moved+"|| !"+quiet))
		if value[bool](t, page, `document.getElementById("run").textContent === "Pause"`) {
			do(t, page, chromedp.Click("#run"))
		}
	}
	for _, wrong := range [][2]string{{"layers", "9999"}, {"rate", "1e308"}, {"rate", "NaN"}, {"layers", "-"}, {"seed", "1e99"}, {"batch", ""}} {
		set(t, page, "[name="+wrong[0]+"]", wrong[1])
		do(t, page, waitFor(begun))
	}
	for _, last := range []bool{false, true} { // both boxes off, and at last a word about it
		set(t, page, "[name=features]:checked", "")
		do(t, page, waitFor(begun))
		if told := !value[bool](t, page, quiet); told != last {
			t.Errorf("without inputs, %v: it says %q", last, value[string](t, page, spoken))
		}
	}
	value[string](t, page, mute)
	do(t, page, chromedp.Click(".presets a"), waitFor(begun+`&& location.hash.includes("data=xor") && `+quiet), chromedp.Click("#run"),
		waitFor(trainLoss+" < 0.3"), chromedp.Click("#run"))
}

func TestSaysHowToHelpADivergence(t *testing.T) {
	page := open(t, site+"#data=circle&layers=30x16&activation=selu&init=henormal&optimizer=sgd&rate=0.03&seed=1", screen(1280, 900, "light"))
	do(t, page, waitFor(ready), chromedp.Click("#run"), waitFor("!"+quiet))
	if says := value[string](t, page, spoken); !strings.Contains(says, "lower the learning rate") {
		t.Errorf("it says %q", says)
	}
	screenshot(t, page, "divergence")
	do(t, page, waitFor(ready))
	set(t, page, "[name=clipnorm]", "1")
	do(t, page, waitFor(quiet+"&&"+begun), chromedp.Click("#run"), waitFor(trainLoss+" < 0.6"), chromedp.Click("#run"))
}

func TestTheAddressRestoresAll(t *testing.T) {
	first := open(t, site, screen(1280, 900, "light"))
	do(t, first, waitFor(ready))
	for name, v := range map[string]string{"data": "gauss", "noise": "35", "layers": "5,4", "rate": "0.02", "optimizer": "nesterov", "seed": "12", "clipnorm": "2"} {
		set(t, first, "[name="+name+"]", v)
		do(t, first, waitFor(fmt.Sprintf(`%s && location.hash.includes("%s=%s")`, begun, name, v)))
	}
	set(t, first, "#test", "")
	set(t, first, "#speed", "0")
	state := `JSON.stringify([...document.querySelectorAll("input, select")].map((c) => [c.name, c.type === "checkbox" || c.type === "radio" ? c.checked : c.value]))`
	figures := `document.querySelector(".figures").textContent`
	second := open(t, value[string](t, first, "location.href"), screen(1280, 900, "light"))
	do(t, second, waitFor(ready))
	for _, page := range []context.Context{first, second} {
		for range 3 {
			value[string](t, page, mute)
			do(t, page, chromedp.Click("#step"), waitFor(`document.getElementById("live").textContent !== ""`))
		}
	}
	for _, what := range []string{state, figures} {
		if a, b := value[string](t, first, what), value[string](t, second, what); a != b {
			t.Errorf("the page is %s, and %s from its address", a, b)
		}
	}
}

func TestChecksTheGradient(t *testing.T) {
	page := open(t, site+"#layers=4", screen(1280, 900, "light"))
	do(t, page, waitFor(ready), chromedp.Click("#check"), waitFor(`document.getElementById("checked").textContent.includes("largest relative difference")`))
	t.Log(value[string](t, page, `document.getElementById("checked").textContent`))
}

func TestStepsLearnAndAreSpeltOut(t *testing.T) {
	page := open(t, site+"#view=steps", screen(1280, 900, "light"))
	figures := `document.querySelector("#steps .figures")?.textContent ?? ""`
	do(t, page, waitFor(`(`+figures+`).startsWith("Step0Loss")`))
	for n := range 10 { // one by one: each scrolls the page when it is shown
		do(t, page, chromedp.Click("#hundred"), waitFor(fmt.Sprintf(`(%s).startsWith("Step%d00Loss")`, figures, n+1)))
	}
	do(t, page, waitFor(`(`+figures+`).startsWith("Step1000Loss L0.00")`),
		chromedp.Click(`td[data-name="dW2"] button`), waitFor(`document.querySelectorAll("#steps .marked").length === 9`))
	says := value[string](t, page, `[...document.querySelectorAll("output")].map((o) => o.textContent).join("")`)
	if !strings.HasPrefix(says, "dW₂, row 1, column 1: ") || strings.Count(says, "·") < 4 {
		t.Errorf("it says %q", says)
	}
	t.Log(says)
	screenshot(t, page, "steps-spelt")
	do(t, page, chromedp.Click("#to-play"), waitFor(ready))
}

func TestWorksByTheKeyboardAlone(t *testing.T) {
	page := open(t, site+"#layers=4", screen(1280, 900, "light"))
	do(t, page, waitFor(ready), chromedp.KeyEvent("t"), waitFor(`document.getElementById("run").textContent === "Pause"`),
		waitFor(moved),
		chromedp.KeyEvent("t"), waitFor(`document.getElementById("run").textContent === "Train"`), chromedp.KeyEvent("r"), waitFor(begun+"&& !("+moved+")"), chromedp.Focus("#network"),
		chromedp.KeyEvent(kb.ArrowRight), waitFor(`document.getElementById("unit").textContent.startsWith("Layer 1, unit 1: its weights")`),
		chromedp.KeyEvent(kb.ArrowDown), waitFor(`document.getElementById("output-title").textContent === "Layer 1, unit 2"`),
		chromedp.KeyEvent(kb.Escape), waitFor(`document.getElementById("output-title").textContent === "Output"`))
	// From the end the focus goes to the browser, and comes back when it may. A tour of a new page
	// begins at the first control and needs to go no further than to the end.
	page = open(t, site+"#layers=4", screen(1280, 900, "light"))
	do(t, page, waitFor(ready))
	value[bool](t, page, `(window.last = document.body, true)`)
	seen := map[string]bool{}
	for range 120 {
		do(t, page, chromedp.KeyEvent(kb.Tab))
		at := value[string](t, page, `(async () => {
			for (let wait = 500; ; wait--) {
				const e = document.activeElement, end = e === document.body;
				const shown = end || getComputedStyle(e).outlineStyle !== "none" || e.matches(".switch input");
				if (e !== last && shown || wait === 0) {
					last = e;
					return end ? "end" : [e.id || e.name || e.textContent.trim(), e.value, shown].join("|");
				}
				await new Promise((done) => setTimeout(done, 20));
			}
		})()`)
		if at == "end" {
			break
		}
		if strings.HasSuffix(at, "|false") {
			t.Errorf("%s does not show that it has the focus", at)
		}
		if seen[at] {
			t.Errorf("the focus comes back to %s", at)
			break
		}
		seen[at] = true
	}
	if len(seen) < 40 {
		t.Errorf("only %d places take the focus: %v", len(seen), seen)
	}
}

func TestEveryControlHasAName(t *testing.T) {
	for _, hash := range []string{"", "#view=steps"} {
		page := open(t, site+hash, screen(1280, 900, "light"))
		do(t, page, waitFor(`!document.getElementById("run").disabled || document.querySelector(".stage") !== null`))
		tree, err := chromedp.Call(page, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			t.Fatal(err)
		}
		controls := 0
		for _, node := range tree.Nodes {
			if node.Ignored || node.Role == nil {
				continue
			}
			role := string(node.Role.Value)
			if !strings.Contains(`"button" "checkbox" "combobox" "textbox" "spinbutton" "radio" "link" "image" "group" "form" "navigation"`, role) {
				continue
			}
			controls++
			if node.Name == nil || len(node.Name.Value) < 3 {
				t.Errorf("%s: a %s without a name", hash, role)
			}
		}
		if controls < 10 {
			t.Errorf("%s: only %d controls", hash, controls)
		}
	}
}

// TestStaticFilesAreEnough serves what -out writes from a folder of a server that knows no
// WebAssembly.
func TestStaticFilesAreEnough(t *testing.T) {
	dir := t.TempDir()
	write := exec.Command("go", "run", "./examples/playground", "-out", filepath.Join(dir, "sub"))
	write.Dir = filepath.Join("..", "..", "..")
	if text, err := write.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".gzip") {
			w.Header().Set("Content-Type", "application/octet-stream")
		}
		w.Header().Set("Cache-Control", "no-store") // what is removed is not there any more
		http.FileServer(http.Dir(dir)).ServeHTTP(w, r)
	}))
	defer server.Close()
	page := open(t, server.URL+"/sub/#data=xor&layers=4", screen(1280, 900, "light"))
	do(t, page, waitFor(ready), chromedp.Click("#run"), waitFor(trainLoss+" < 0.3"), chromedp.Click("#run"))

	if err := os.Remove(filepath.Join(dir, "sub", "playground.wasm.gzip")); err != nil {
		t.Fatal(err)
	}
	broken, stop := chromedp.NewContext(browser) // its console reports the missing file
	defer stop()
	do(t, broken, chromedp.Navigate(server.URL+"/sub/?again"), waitFor("!"+quiet))
	if says := value[string](t, broken, spoken); !strings.Contains(says, "playground.wasm.gzip cannot be loaded") {
		t.Errorf("it says %q", says)
	}
}

func TestSurvivesTheEndOfItsWorker(t *testing.T) {
	watch := chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: `window.workers = []; window.Worker = class extends Worker { constructor(...args) { super(...args); workers.push(this); } };`,
		})
		return err
	})
	page := open(t, site+"#data=xor&layers=4&seed=5", watch)
	do(t, page, waitFor(ready), chromedp.Click("#run"), waitFor(moved))
	says := value[string](t, page, `new Promise((done) => {
		workers[0].addEventListener("message", ({ data }) => data.id === -1 && done(data.result.error));
		workers[0].postMessage({ id: -1, name: "advance", args: [] });
	})`)
	if !strings.Contains(says, "fault") { // a panic is answered
		t.Errorf("a panic gives %q", says)
	}
	value[bool](t, page, `workers[0].dispatchEvent(new MessageEvent("message", { data: { died: "Out of memory." } }))`)
	do(t, page, waitFor(begun+"&& !"+quiet))
	if says = value[string](t, page, spoken+" + location.hash"); !strings.Contains(says, "Out of memory. The training begins again.") || !strings.Contains(says, "seed=5") {
		t.Errorf("it says %q", says)
	}
	do(t, page, chromedp.Click("#run"), waitFor(trainLoss+" < 0.6"), chromedp.Click("#run"))
}

func TestKeepsStillForWhoAsksForIt(t *testing.T) {
	calm := chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	})
	page := open(t, site+"#layers=4", calm)
	do(t, page, waitFor(ready), chromedp.Click("#run"))
	seconds := value[float64](t, page, `new Promise((done) => {
		const begin = performance.now();
		let changes = 0;
		new MutationObserver(() => ++changes === 8 && done((performance.now() - begin) / 1000)).observe(
			document.getElementById("train-loss"), { childList: true });
	})`)
	do(t, page, chromedp.Click("#run"))
	if seconds < 3 {
		t.Errorf("eight changes in %.1f seconds", seconds)
	}
}
