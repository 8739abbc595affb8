package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"example.com/backprop"
	"example.com/backprop/examples/internal/columns"
	"example.com/backprop/examples/internal/digits"
	"gonum.org/v1/gonum/mat"
)

// slowBody is a good request's body.
var slowBody = `{"inputs":[` + strings.Repeat("0,", pixels-1) + `0]}`

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
	return start(t, newServer(loaded(t, trained(t))))
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

func loaded(t *testing.T, path string) *predictor {
	t.Helper()
	p := &predictor{}
	if err := p.load(path); err != nil {
		t.Fatal(err)
	}
	return p
}

func untrained(t *testing.T) *model {
	t.Helper()
	return modelOf(t, pixels, backprop.Dense{Units: classes, Activation: backprop.Softmax})
}

func modelOf(t *testing.T, inputs int, layers ...backprop.Layer) *model {
	t.Helper()
	network, err := backprop.New(inputs, layers...)
	if err != nil {
		t.Fatal(err)
	}
	table, err := columns.Of(network)
	if err != nil {
		t.Fatal(err)
	}
	return &model{network, table}
}

func newPredictor(m *model) *predictor {
	p := &predictor{}
	p.model.Store(m)
	return p
}

// A digit is the answer to an image.
type digit struct{ Outputs []float64 }

// class is −1 where there are no outputs.
func (d digit) class() int {
	best := -1
	for c, p := range d.Outputs {
		if best < 0 || p > d.Outputs[best] {
			best = c
		}
	}
	return best
}

// rows are requests with the images in rows lo to hi of x.
func rows(x *mat.Dense, lo, hi int) []map[string][]float64 {
	images := make([]map[string][]float64, hi-lo)
	for i := range images {
		images[i] = map[string][]float64{"inputs": x.RawRowView(lo + i)}
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
	var f struct{ Error string }
	if err := json.Unmarshal(body, &f); err != nil {
		t.Errorf("%s: %v in %q", name, err, body)
	}
	if status != wantStatus || !strings.Contains(f.Error, want) {
		t.Errorf("%s: status %d, %q, want %d, %q", name, status, f.Error, wantStatus, want)
	}
}
