package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/backprop/examples/internal/digits"
)

const (
	pixels  = 64
	classes = 10
)

// TestMain turns this program into the server itself where it is asked to.
func TestMain(m *testing.M) {
	if os.Getenv("SERVE") != "" {
		main()
		return
	}
	// The default is to dial beforehand, and for a connection never used Shutdown waits five seconds.
	http.DefaultTransport.(*http.Transport).DisableKeepAlives = true
	os.Exit(m.Run())
}

func TestConcurrentRequestsGetTheNetworksAnswers(t *testing.T) {
	x, labels, err := digits.Load()
	if err != nil {
		t.Fatal(err)
	}
	p := loaded(t, trained(t))
	want, err := p.model.Load().network.Predict(x)
	if err != nil {
		t.Fatal(err)
	}
	url := start(t, newServer(p))
	const clients, requests, batch = 8, 10, 3
	var group sync.WaitGroup
	hits := make([]int, clients)
	for c := range clients {
		group.Go(func() {
			for r := range requests {
				first := (c*requests + r) * batch
				images := rows(x, first, first+batch)
				for i, a := range append(ask[[]digit](t, url, images), ask[digit](t, url, images[0])) {
					n := first + i%batch // the last is the first again
					if !slices.Equal(a.Outputs, want.RawRowView(n)) {
						t.Errorf("image %d: got %v, want %v", n, a.Outputs, want.RawRowView(n))
					}
					if a.class() == labels[n] {
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
	var a digit
	if err := json.Unmarshal(body, &a); err != nil || status != http.StatusOK || a.class() != 0 {
		t.Errorf("status %d, %s, want class 0", status, body)
	}
}

func TestOtherMethodsAndPathsAreRefused(t *testing.T) {
	url := startTrained(t)
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if got := r.Header.Get("Allow"); r.StatusCode != http.StatusMethodNotAllowed || got != "POST" {
		t.Errorf("GET: status %d, Allow is %q, want 405, POST", r.StatusCode, got)
	}
	r, err = http.Post(strings.TrimSuffix(url, "/predict"), "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusNotFound {
		t.Errorf("another path: status %d, want 404", r.StatusCode)
	}
}

func TestASlowBodyIsCutOff(t *testing.T) {
	s := newServer(newPredictor(untrained(t)))
	if s.ReadTimeout <= 0 {
		t.Fatal("a body may take for ever")
	}
	conns := make(chan net.Conn, 1)
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context { conns <- c; return ctx }
	_, response := begin(t, start(t, s))                          // and never send the body
	if err := (<-conns).SetReadDeadline(time.Now()); err != nil { // the time is over
		t.Fatal(err)
	}
	r, err := http.ReadResponse(response, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkFailure(t, "slow body", r.StatusCode, read(t, r), 408, "the body took too long to come")
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	ctx, shutdown := context.WithCancel(t.Context())
	defer shutdown()
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- serve(ctx, l, newServer(newPredictor(untrained(t)))) }()
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
