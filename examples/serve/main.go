// Command serve answers, over HTTP, what a saved network makes of inputs. The network may be one
// that examples/digits has saved:
//
//	go run ./examples/digits -save digits.safetensors
//	go run ./examples/serve -model digits.safetensors
//	curl localhost:8080/predict -d '{"inputs":[0,0,5,13,9,1,0,0, 0,0,13,15,10,15,5,0, 0,3,15,2,0,11,8,0, 0,4,12,0,0,8,8,0, 0,5,8,0,0,9,8,0, 0,4,11,0,1,12,7,0, 0,2,14,5,10,12,0,0, 0,0,6,13,10,0,0,0]}'
//
// which is answered with {"outputs":[…]}. A network of examples/table knows the names of its
// columns:
//
//	go run ./examples/table -data examples/iris/iris.csv -target species -save iris.safetensors
//	go run ./examples/serve -model iris.safetensors
//	curl localhost:8080/predict -d '{"inputs":{"sepal_length":6.3,"sepal_width":2.9,"petal_length":5.6,"petal_width":1.8}}'
//
// and answers with {"class":"virginica","outputs":{"setosa":…}}. A cell that is missing is null. To
// a JSON array of such objects the answer is the array of their answers. Input that cannot be used
// is answered with a status of 4xx and {"error":"…"}.
//
// On SIGHUP the file is loaded anew. Requests under way end with the network that they began with,
// and a file that cannot be loaded leaves the old network in place.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	grace  = 10 * time.Second
	hangup = syscall.Signal(1) // SIGHUP, which js/wasm has no name for
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("serve: ")
	path := flag.String("model", "", "the `file` with the network")
	addr := flag.String("addr", "localhost:8080", "the `address` to listen on, host:port")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("%q is not used; only flags are", flag.Arg(0))
	}
	if *path == "" {
		log.Fatal("usage: serve -model net.safetensors [-addr host:port]")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, *path, *addr); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx is cancelled.
func run(ctx context.Context, path, address string) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, hangup)
	var p predictor
	if err := p.load(path); err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%v", l.Addr())
	go p.follow(hangups, path)
	return serve(ctx, l, newServer(&p))
}

// newServer is a server with limits on what a client may send and on how long it may take.
func newServer(p *predictor) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("POST /predict", p)
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
