// Command serve answers, over HTTP, which digits images show. The network is one that
// examples/digits has saved:
//
//	go run ./examples/digits -save digits.safetensors
//	go run ./examples/serve -model digits.safetensors
//	curl localhost:8080/predict -d '{"pixels":[0,0,5,13,9,1,0,0, 0,0,13,15,10,15,5,0, 0,3,15,2,0,11,8,0, 0,4,12,0,0,8,8,0, 0,5,8,0,0,9,8,0, 0,4,11,0,1,12,7,0, 0,2,14,5,10,12,0,0, 0,0,6,13,10,0,0,0]}'
//
// An image is an 8×8 image's pixels, from 0 (background) to 16, row by row. The answer is
// {"digit":0,"probabilities":[…]}; to a JSON array of images it is the array of their answers.
// Input that cannot be used is answered with a status of 4xx and {"error":"…"}.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"example.com/backprop"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const (
	pixels  = 64
	white   = 16      // the largest value of a pixel
	classes = 10      // digits
	maxBody = 1 << 20 // bytes: some thousands of images
	grace   = 10 * time.Second
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("serve: ")
	model := flag.String("model", "", "the `file` with the network, as saved by examples/digits")
	address := flag.String("address", "localhost:8080", "the `host:port` to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, *model, *address); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx is cancelled.
func run(ctx context.Context, model, address string) error {
	if model == "" {
		return errors.New("-model is missing; go run ./examples/digits -save digits.safetensors makes one")
	}
	network, err := load(model)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%v", l.Addr())
	return serve(ctx, l, newServer(network))
}

// load loads a network and sees whether it reads digits.
func load(path string) (*backprop.Network, error) {
	network, err := backprop.Load(path)
	if err != nil {
		return nil, err
	}
	p, err := network.Predict(mat.NewDense(1, pixels, nil))
	if err != nil {
		return nil, fmt.Errorf("%s is no network for digits: %w", path, err)
	}
	if _, outputs := p.Dims(); outputs != classes {
		return nil, fmt.Errorf("%s is no network for digits: it has %d outputs, want %d", path, outputs, classes)
	}
	return network, nil
}

// newServer is a server with limits on what a client may send and on how long it may take.
func newServer(network *backprop.Network) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("/predict", &predictor{network})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusNotFound, failure{"there is only /predict"})
	})
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // of the whole request
		WriteTimeout:      20 * time.Second, // from the end of its header
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    1 << 16,
	}
}

// serve serves until ctx is cancelled, then lets the requests under way finish.
func serve(ctx context.Context, l net.Listener, s *http.Server) error {
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return s.Shutdown(ctx)
}

// An image is what a client sends, an answer what it gets.
type (
	image struct {
		Pixels []pixel `json:"pixels"`
	}
	answer struct {
		Digit         int       `json:"digit"`
		Probabilities []float64 `json:"probabilities"`
	}
	failure struct {
		Error string `json:"error"`
	}
)

// A pixel is a number from 0 to white. JSON's null is none.
type pixel float64

func (p *pixel) UnmarshalJSON(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(v >= 0 && v <= white) {
		return fmt.Errorf("a pixel is %.20s, want a number from 0 to %d", text, white)
	}
	*p = pixel(v)
	return nil
}

// A predictor answers requests. Any number of them may be under way at once.
type predictor struct{ network *backprop.Network }

func (p *predictor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeJSON(w, http.StatusMethodNotAllowed, failure{"the method is " + r.Method + ", want POST"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status, text := unread(err)
		writeJSON(w, status, failure{text})
		return
	}
	images, single, err := decode(body)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	answers, err := p.predict(images)
	if err != nil {
		log.Print(err)
		writeJSON(w, http.StatusInternalServerError, failure{"the network fails on this input"})
		return
	}
	if single {
		writeJSON(w, http.StatusOK, answers[0])
	} else {
		writeJSON(w, http.StatusOK, answers)
	}
}

// unread says why a body could not be read.
func unread(err error) (status int, text string) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, "the body took too long to come"
	}
	return http.StatusBadRequest, "the body cannot be read: " + err.Error()
}

// decode takes one image or an array of them from a request's body.
func decode(body []byte) (images []image, single bool, err error) {
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		err = strictJSON(body, &images)
	} else {
		images, single = make([]image, 1), true
		err = strictJSON(body, &images[0])
	}
	if err != nil {
		return nil, false, err
	}
	if len(images) == 0 {
		return nil, false, errors.New("there are no images, want at least one")
	}
	for i, m := range images {
		if len(m.Pixels) != pixels {
			return nil, false, fmt.Errorf("image %d has %d pixels, want %d", i, len(m.Pixels), pixels)
		}
	}
	return images, single, nil
}

// strictJSON decodes all of body, and nothing that v has no field for.
func strictJSON(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("the body is not what is wanted: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON")
	}
	return nil
}

// predict reads all images in one pass.
func (p *predictor) predict(images []image) ([]answer, error) {
	x := mat.NewDense(len(images), pixels, nil)
	for i, m := range images {
		for j, v := range m.Pixels {
			x.Set(i, j, float64(v))
		}
	}
	probabilities, err := p.network.Predict(x)
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(images))
	for i := range answers {
		row := probabilities.RawRowView(i)
		answers[i] = answer{floats.MaxIdx(row), row}
	}
	return answers, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error means that the client has gone
}
