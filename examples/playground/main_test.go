package main

import (
	"bytes"
	"cmp"
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

func TestServesFilesUnderAStrictPolicy(t *testing.T) {
	files := map[string][]byte{
		"index.html": []byte("<p>page"), "style.css": []byte("p {}"), "app.js": []byte("1"), "playground.wasm.gzip": {0x1f, 0x8b},
	}
	get := func(path string) *http.Response {
		w := httptest.NewRecorder()
		handler(files).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Result()
	}
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/index.html": "text/html; charset=utf-8", "/style.css": "text/css; charset=utf-8",
		"/app.js": "text/javascript; charset=utf-8", "/playground.wasm.gzip": "",
	} {
		r := get(path)
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(body, files[cmp.Or(path[1:], "index.html")]) {
			t.Errorf("%s: %.20q, %v", path, body, err)
		}
		if r.StatusCode != 200 || r.Header.Get("Content-Security-Policy") != policy || r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %s, %v", path, r.Status, r.Header)
		}
		if kind != "" && r.Header.Get("Content-Type") != kind {
			t.Errorf("%s is %s", path, r.Header.Get("Content-Type"))
		}
	}
	if r := get("/main.go"); r.StatusCode != 404 {
		t.Errorf("what there is not: %s", r.Status)
	}
}

func TestCompressesTheProgram(t *testing.T) {
	program := bytes.Repeat([]byte("wasm"), 1000)
	r, err := gzip.NewReader(bytes.NewReader(compress(program)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, program) {
		t.Errorf("%.20q, %v", got, err)
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
	if _, err := build(); err == nil || !strings.Contains(err.Error(), "go env: exec: \"go\": executable file not found") {
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
