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
	"cmp"
	"compress/gzip"
	"embed"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
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
// browser, compressed, and what comes with Go to run it.
func build() (map[string][]byte, error) {
	entries, err := page.ReadDir("page")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = page.ReadFile("page/" + e.Name()); err != nil {
			return nil, err
		}
	}
	root, err := goCommand("env", "GOROOT")
	if err != nil {
		return nil, err
	}
	if files["wasm_exec.js"], err = os.ReadFile(filepath.Join(root, "lib", "wasm", "wasm_exec.js")); err != nil {
		return nil, fmt.Errorf("this Go has no support for browsers, want a whole one of 1.24 or later from go.dev/dl: %w", err)
	}
	dir, err := os.MkdirTemp("", "playground")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "playground.wasm")
	_, err = goCommand("build", "-ldflags", "-s -w", "-trimpath", "-o", file, "example.com/backprop/examples/playground/wasm")
	if err != nil {
		return nil, fmt.Errorf("%w; run this in a clone of the library, or in a module that requires it", err)
	}
	program, err := os.ReadFile(file)
	files["playground.wasm.gzip"] = compress(program)
	return files, err
}

// goCommand runs go for the browser, and returns what it prints.
func goCommand(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("the program for the browser cannot be built: go %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), err
}

// compress needs no server that does it, and the page undoes it.
func compress(content []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that there is
	w.Write(content)                                      // a Buffer takes everything
	w.Close()
	return b.Bytes()
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
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%w; -addr localhost:0 takes a port that is free", err)
	}
	url := fmt.Sprintf("http://%s/", listener.Addr())
	fmt.Printf("The playground is at %s until Ctrl-C.\n", url)
	if open {
		openBrowser(url)
	}
	return http.Serve(listener, handler(files))
}

// openBrowser tries to show the page; whoever reads the address can do so too.
func openBrowser(url string) {
	command := []string{"xdg-open", url}
	switch runtime.GOOS {
	case "darwin":
		command[0] = "open"
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler", url}
	}
	if cmd := exec.Command(command[0], command[1:]...); cmd.Start() == nil {
		go cmd.Wait()
	}
}

// policy lets the page load nothing but itself.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; " +
	"worker-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func handler(files map[string][]byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := cmp.Or(strings.TrimPrefix(r.URL.Path, "/"), "index.html")
		content, ok := files[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	})
}
