package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestServesFilesCompressedUnderAStrictPolicy(t *testing.T) {
	files := map[string][]byte{
		"index.html": []byte("<p>page"), "style.css": []byte("p {}"), "app.js": []byte("1"),
		"playground.wasm": bytes.Repeat([]byte("wasm"), 1000),
	}
	handler, err := newHandler(files)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path, accept string) *http.Response {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Result()
	}
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/index.html": "text/html; charset=utf-8", "/style.css": "text/css; charset=utf-8",
		"/app.js": "text/javascript; charset=utf-8", "/playground.wasm": "application/wasm",
	} {
		name := strings.TrimPrefix(path, "/")
		if name == "" {
			name = "index.html"
		}
		plain, compressed := get(path, ""), get(path, "br, gzip")
		unzipped, err := gzip.NewReader(compressed.Body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, body := range []io.Reader{plain.Body, unzipped} {
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, files[name]) {
				t.Errorf("%s: %.20q, %v", path, got, err)
			}
		}
		for _, r := range []*http.Response{plain, compressed} {
			if r.StatusCode != 200 || r.Header.Get("Content-Type") != kind || r.Header.Get("Content-Security-Policy") != policy {
				t.Errorf("%s: %s, %v", path, r.Status, r.Header)
			}
		}
		if plain.Header.Get("Content-Encoding") != "" || compressed.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is sent as %v and as %v", path, plain.Header, compressed.Header)
		}
	}
	if r := get("/main.go", ""); r.StatusCode != 404 {
		t.Errorf("what there is not: %s", r.Status)
	}
}

func TestThePageNeedsNothingFromElsewhere(t *testing.T) {
	entries, err := page.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := page.ReadFile("page/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`(?i)https?:|(src|href|from|import|url)\s*[=(]?\s*["']?/`).Find(text); found != nil {
			t.Errorf("%s has %q", e.Name(), found)
		}
	}
	index, err := page.ReadFile("page/index.html")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(index), `content="`+strings.TrimSuffix(policy, "; frame-ancestors 'none'")+`"`) {
		t.Error("the page's policy is not that of the server")
	}
}

func TestWritesTheFilesIntoANewFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	if err := write(dir, map[string][]byte{"index.html": []byte("page")}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "index.html")); string(got) != "page" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSaysWhenTheGoCommandIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := build(); err == nil || !strings.Contains(err.Error(), "go is not in the PATH") {
		t.Errorf("error %v", err)
	}
}

func TestSaysWhenTheModuleIsMissing(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil || testing.Short() {
		t.Skip("it runs the go command")
	}
	t.Chdir(t.TempDir())
	if _, err := build(); err == nil || !strings.Contains(err.Error(), "in a clone of the library") {
		t.Errorf("error %v", err)
	}
}
