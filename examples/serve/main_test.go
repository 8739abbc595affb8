package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/backprop"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/gonum/mat"
)

// TestMain turns this program into the server itself where it is asked to.
func TestMain(m *testing.M) {
	if os.Getenv("SERVE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestConcurrentRequestsGetTheNetworksAnswers(t *testing.T) {
	x, labels, err := digits.Load()
	if err != nil {
		t.Fatal(err)
	}
	network, err := load(trained(t))
	if err != nil {
		t.Fatal(err)
	}
	want, err := network.Predict(x)
	if err != nil {
		t.Fatal(err)
	}
	url := start(t, newServer(network))
	const clients, requests, batch = 8, 10, 3
	var group sync.WaitGroup
	hits := make([]int, clients)
	for c := range clients {
		group.Go(func() {
			for r := range requests {
				first := (c*requests + r) * batch
				images := rows(x, first, first+batch)
				for i, a := range append(ask[[]answer](t, url, images), ask[answer](t, url, images[0])) {
					n := first + i%batch // the last is the first again
					if !slices.Equal(a.Probabilities, want.RawRowView(n)) {
						t.Errorf("image %d: got %v, want %v", n, a.Probabilities, want.RawRowView(n))
					}
					if a.Digit == labels[n] {
						hits[c]++
					}
				}
			}
		})
	}
	group.Wait()
	total := 0
	for _, h := range hits {
		total += h
	}
	if share := float64(total) / (clients * requests * (batch + 1)); share < 0.9 {
		t.Errorf("%.2f of the answers are right, want 0.9", share)
	}
}

func TestTheDocumentedRequestReadsAZero(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`curl localhost:8080/predict -d '(.*)'`).FindSubmatch(source)
	if match == nil {
		t.Fatal("main.go has no line with curl")
	}
	status, body := post(t, startTrained(t), string(match[1]))
	var a answer
	if err := json.Unmarshal(body, &a); err != nil || status != http.StatusOK || a.Digit != 0 {
		t.Errorf("status %d, %s, want digit 0", status, body)
	}
}

func TestBadInputIsA4xxThatSaysWhy(t *testing.T) {
	url := startTrained(t)
	zeros := strings.Repeat("0,", pixels-1) + "0"
	with := func(pixel string) string { return `{"pixels":[` + pixel + zeros[1:] + `]}` }
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"empty", "", 400, "EOF"},
		{"not JSON", "pixels", 400, "invalid character"},
		{"cut off", `{"pixels":[0`, 400, "unexpected EOF"},
		{"unknown field", `{"pixel":[]}`, 400, `unknown field "pixel"`},
		{"no field", `{}`, 400, "image 0 has 0 pixels, want 64"},
		{"null", `null`, 400, "image 0 has 0 pixels"},
		{"text for pixels", `{"pixels":"0"}`, 400, "cannot unmarshal string"},
		{"no images", `[]`, 400, "no images"},
		{"short image", `{"pixels":[1,2,3]}`, 400, "image 0 has 3 pixels, want 64"},
		{"long image", `{"pixels":[` + zeros + `,0]}`, 400, "65 pixels"},
		{"second image short", `[` + with("0") + `,{"pixels":[1]}]`, 400, "image 1 has 1 pixels"},
		{"two values", with("0") + with("0"), 400, "something follows"},
		{"below the range", with("-1"), 400, "a pixel is -1, want a number from 0 to 16"},
		{"above the range", with("16.1"), 400, "a pixel is 16.1"},
		{"overflow", with("1e999"), 400, "a pixel is 1e999"},
		{"NaN", with("NaN"), 400, "invalid character 'N'"},
		{"null pixel", with("null"), 400, "a pixel is null"},
		{"text pixel", with(`"7"`), 400, `a pixel is "7"`},
		{"deep", strings.Repeat("[", 100000), 400, "max depth"},
		{"too large", `{"pixels":[` + strings.Repeat(" ", maxBody) + `]}`, 413, "longer than 1048576 bytes"},
	} {
		status, body := post(t, url, c.body)
		checkFailure(t, c.name, status, body, c.status, c.want)
	}
	if status, body := post(t, url, with("16")); status != http.StatusOK {
		t.Errorf("good input: status %d, %s", status, body)
	}
}

func TestOtherMethodsAndPathsAreErrorsInJSON(t *testing.T) {
	url := startTrained(t)
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Header.Get("Allow"); got != "POST" {
		t.Errorf("Allow is %q, want POST", got)
	}
	checkFailure(t, "GET", r.StatusCode, read(t, r), 405, "the method is GET, want POST")
	status, body := post(t, strings.TrimSuffix(url, "/predict"), "{}")
	checkFailure(t, "another path", status, body, 404, "there is only /predict")
}

func TestASlowBodyIsCutOff(t *testing.T) {
	s := newServer(untrained(t))
	s.ReadTimeout = 50 * time.Millisecond
	_, response := begin(t, start(t, s)) // and never send the body
	r, err := http.ReadResponse(response, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkFailure(t, "slow body", r.StatusCode, read(t, r), 408, "took too long")
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	ctx, shutdown := context.WithCancel(t.Context())
	defer shutdown()
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- serve(ctx, l, newServer(untrained(t))) }()
	conn, response := begin(t, "http://"+l.Addr().String()+"/predict")
	shutdown()
	for { // until the server takes no more connections
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case err := <-served:
		t.Fatalf("the server has ended, with %v, while a request is under way", err)
	default:
	}
	fmt.Fprint(conn, slowBody)
	r, err := http.ReadResponse(response, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body := read(t, r); r.StatusCode != http.StatusOK {
		t.Errorf("status %d, %s", r.StatusCode, body)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestASignalEndsTheProgramCleanly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("one process cannot send another a signal")
	}
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		program := exec.CommandContext(t.Context(), os.Args[0], "-model", trained(t), "-address", "127.0.0.1:0")
		program.Env = append(os.Environ(), "SERVE=1")
		stderr, err := program.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := program.Start(); errors.Is(err, syscall.ENOEXEC) {
			t.Skip("an emulated program cannot start itself")
		} else if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stderr)
		if !lines.Scan() {
			t.Fatal("the program says nothing")
		}
		_, url, ok := strings.Cut(lines.Text(), "listening on ")
		if !ok {
			t.Fatalf("the program says %q", lines.Text())
		}
		if status, body := post(t, url+"/predict", slowBody); status != http.StatusOK {
			t.Errorf("status %d, %s", status, body)
		}
		if err := program.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := program.Wait(); err != nil {
			t.Errorf("after %v: %v", signal, err)
		}
	}
}

func TestOnlyANetworkForDigitsIsServed(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		inputs, outputs int
		want            string
	}{
		"inputs.safetensors":  {63, 10, "no network for digits"},
		"outputs.safetensors": {64, 9, "9 outputs, want 10"},
	} {
		network, err := backprop.New(c.inputs, backprop.Dense{Units: c.outputs})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := network.Save(path); err != nil {
			t.Fatal(err)
		}
		if err := run(t.Context(), path, "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := run(t.Context(), filepath.Join(dir, "none"), "127.0.0.1:0"); err == nil {
		t.Error("a missing file: no error")
	}
	if err := run(t.Context(), "", "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "-model is missing") {
		t.Errorf("no file: %v", err)
	}
}

// slowBody is a good request's body.
var slowBody = `{"pixels":[` + strings.Repeat("0,", pixels-1) + `0]}`

// begin sends the header of a request with slowBody, and returns when the handler waits for the
// body.
func begin(t *testing.T, url string) (net.Conn, *bufio.Reader) {
	t.Helper()
	host := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/predict")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /predict HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", host, len(slowBody))
	response := bufio.NewReader(conn)
	line, err := response.ReadString('\n')
	if err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("got %q, %v, want 100 Continue", line, err)
	}
	if _, err := response.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return conn, response
}

// startTrained starts a server with a trained network.
func startTrained(t *testing.T) (url string) {
	t.Helper()
	network, err := load(trained(t))
	if err != nil {
		t.Fatal(err)
	}
	return start(t, newServer(network))
}

// start starts a server on a free port until the end of the test.
func start(t *testing.T, s *http.Server) (url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- serve(ctx, l, s) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String() + "/predict"
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// trained is the file of a network that reads digits; it is trained once.
func trained(t *testing.T) (path string) {
	t.Helper()
	file, err := train()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "digits.safetensors")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

var train = sync.OnceValues(func() ([]byte, error) {
	x, labels, err := digits.Load()
	if err != nil {
		return nil, err
	}
	y, err := backprop.OneHot(labels, classes)
	if err != nil {
		return nil, err
	}
	network, err := backprop.New(pixels,
		backprop.Standardize{},
		backprop.Dense{Units: 32, Activation: backprop.ReLU},
		backprop.Dense{Units: classes, Activation: backprop.Softmax},
	)
	if err != nil {
		return nil, err
	}
	_, err = network.Train(context.Background(), x, y, backprop.TrainConfig{
		LearningRate: 0.01, Optimizer: &backprop.Adam{}, Epochs: 5, BatchSize: 32,
	})
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	_, err = network.WriteTo(&file)
	return file.Bytes(), err
})

func untrained(t *testing.T) *backprop.Network {
	t.Helper()
	network, err := backprop.New(pixels, backprop.Dense{Units: classes, Activation: backprop.Softmax})
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// rows are the images in rows lo to hi of x.
func rows(x *mat.Dense, lo, hi int) []image {
	images := make([]image, hi-lo)
	for i := range images {
		for _, v := range x.RawRowView(lo + i) {
			images[i].Pixels = append(images[i].Pixels, pixel(v))
		}
	}
	return images
}

// ask posts a request and decodes the answer.
func ask[T any](t *testing.T, url string, request any) (a T) {
	text, err := json.Marshal(request)
	if err != nil {
		t.Error(err)
		return a
	}
	status, body := post(t, url, string(text))
	if err := json.Unmarshal(body, &a); err != nil || status != http.StatusOK {
		t.Errorf("status %d, %s", status, body)
	}
	return a
}

func post(t *testing.T, url, body string) (status int, answer []byte) {
	r, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	return r.StatusCode, read(t, r)
}

func read(t *testing.T, r *http.Response) []byte {
	defer r.Body.Close()
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q, want application/json", got)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return body
}

// checkFailure wants a status and an error in JSON.
func checkFailure(t *testing.T, name string, status int, body []byte, wantStatus int, want string) {
	t.Helper()
	var f failure
	if err := json.Unmarshal(body, &f); err != nil {
		t.Errorf("%s: %v in %q", name, err, body)
	}
	if status != wantStatus || !strings.Contains(f.Error, want) {
		t.Errorf("%s: status %d, %q, want %d, %q", name, status, f.Error, wantStatus, want)
	}
}
