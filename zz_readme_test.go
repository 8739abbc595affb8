package backprop_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ─── The README ──────────────────────────────────────────────────────────────

// Its program is examples/xor, whose output that example's own test compares.
func TestREADMEShowsTheXORExampleAndItsOutput(t *testing.T) {
	readme := read(t, "README.md")
	blocks := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```").FindAllStringSubmatch(readme, -1)
	programs := 0
	for i, b := range blocks {
		if b[1] != "go" {
			continue
		}
		programs++
		if b[2] != read(t, "examples/xor/main.go") {
			t.Errorf("block %d is not examples/xor/main.go", i)
		}
		_, output, _ := strings.Cut(read(t, "examples/xor/main_test.go"), "// Output:\n")
		output = strings.TrimSuffix(strings.ReplaceAll(output, "\t// ", ""), "}\n")
		if shown := blocks[i+1][2]; shown != output {
			t.Errorf("block %d is\n%s\nwant what the example prints:\n%s", i+1, shown, output)
		}
	}
	if programs != 1 {
		t.Errorf("%d programs, want 1", programs)
	}
}

// Every piece of code in its tables stands in a file that a test compiles.
func TestREADMEShowsCodeThatIsCompiled(t *testing.T) {
	var sources strings.Builder
	ok(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			sources.WriteString(spaces.ReplaceAllString(read(t, path), " "))
		}
		return err
	}))
	pieces := 0
	for line := range strings.Lines(read(t, "README.md")) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
			if pieces++; !strings.Contains(sources.String(), code[1]) {
				t.Errorf("%s is in no Go file", code[0])
			}
		}
	}
	if pieces < 20 {
		t.Errorf("only %d pieces of code were found", pieces)
	}
}

var spaces = regexp.MustCompile(`\s+`)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	ok(t, err)
	return string(data)
}
