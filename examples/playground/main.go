// Command playground shows backpropagation happen, in a page that trains the library itself,
// compiled to WebAssembly: the boundary that a network draws, what every unit does, the weights,
// and the gradient layer by layer, as it vanishes, explodes or does its work. It is modelled on
// TensorFlow's playground, which hides the gradient.
//
//	go run ./examples/playground
//	go run ./examples/playground -out DIR
//
// The first serves the page on this machine, the second writes it as static files.
package main

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"flag"
	"fmt"
	"log"
	"mime"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("playground: ")
	addr := flag.String("addr", "localhost:8080", "the `address` to serve the page on")
	out := flag.String("out", "", "write the page into this `folder` instead, made if it is missing")
	noBrowser := flag.Bool("nobrowser", false, "do not open the browser")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("%q is not used; only flags are", flag.Arg(0))
	}
	log.Print("building the program for the browser, which takes a while the first time")
	files, err := build()
	switch {
	case err != nil:
	case *out != "":
		err = write(*out, files)
	default:
		err = serve(*addr, files, !*noBrowser)
	}
	if err != nil {
		log.Fatal(err)
	}
}

//go:embed page
var page embed.FS

// build is all files of the page by their names: those of the folder page, the program for the
// browser, and what comes with Go to run it.
func build() (map[string][]byte, error) {
	files := map[string][]byte{}
	entries, err := page.ReadDir("page")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if files[e.Name()], err = page.ReadFile("page/" + e.Name()); err != nil {
			return nil, err
		}
	}
	root, err := command("env", "GOROOT")
	if err != nil {
		return nil, err
	}
	support := filepath.Join(strings.TrimSpace(root), "lib", "wasm", "wasm_exec.js")
	if files["wasm_exec.js"], err = os.ReadFile(support); err != nil {
		return nil, fmt.Errorf("this Go has no support for browsers, want a whole one of 1.24 or later from go.dev/dl: %w", err)
	}
	dir, err := os.MkdirTemp("", "playground")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "playground.wasm")
	_, err = command("build", "-ldflags", "-s -w", "-trimpath", "-o", program, "example.com/backprop/examples/playground/wasm")
	if err != nil {
		return nil, fmt.Errorf("the program for the browser cannot be built; run this in a clone of the library, "+
			"or in a module that requires it: %w", err)
	}
	files["playground.wasm"], err = os.ReadFile(program)
	return files, err
}

// command runs go for the browser, and returns what it prints.
func command(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := cmd.Output()
	var failed *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("the command go is not in the PATH; it builds the program for the browser and comes from go.dev/dl")
	case errors.As(err, &failed):
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, bytes.TrimSpace(failed.Stderr))
	}
	return string(out), err
}

// write writes the files into a folder.
func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("%d files are in %s, for any server of static files; opened without one, the page stays empty.\n", len(files), dir)
	return nil
}

// serve serves the files until it is stopped.
func serve(addr string, files map[string][]byte, open bool) error {
	handler, err := newHandler(files)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%w; -addr localhost:0 takes a port that is free", err)
	}
	url := fmt.Sprintf("http://%s/", listener.Addr())
	fmt.Printf("The playground is at %s until Ctrl-C.\n", url)
	if open {
		openBrowser(url)
	}
	return http.Serve(listener, handler)
}

// policy lets the page load nothing but itself.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; " +
	"worker-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// newHandler serves the files compressed.
func newHandler(files map[string][]byte) (http.Handler, error) {
	compressed := map[string][]byte{}
	for name, content := range files {
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return nil, err
		}
		w.Write(content)
		w.Close() // a Buffer takes everything
		compressed[name] = b.Bytes()
	}
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".wasm": "application/wasm"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		content, ok := compressed[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		h.Set("Vary", "Accept-Encoding")
		kind, ok := types[path.Ext(name)]
		if !ok {
			kind = mime.TypeByExtension(path.Ext(name))
		}
		h.Set("Content-Type", kind)
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
		} else {
			content = files[name]
		}
		w.Write(content)
	}), nil
}

// openBrowser tries to show the page; whoever reads the address can do so too.
func openBrowser(url string) {
	opener := []string{"xdg-open"}
	switch runtime.GOOS {
	case "darwin":
		opener = []string{"open"}
	case "windows":
		opener = []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	if cmd := exec.Command(opener[0], append(opener[1:], url)...); cmd.Start() == nil {
		go cmd.Wait()
	}
}
