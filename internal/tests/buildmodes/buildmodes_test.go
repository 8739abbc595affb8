// Package buildmodes_test builds programs with the library in several ways and runs them.
package buildmodes_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"example.com/backprop/internal/tests/buildmodes/compute"
	. "example.com/backprop/internal/tests/testutil"
)

// The assembler rewrites every use of a symbol for a plugin, and may do it wrong; a library for C
// and an executable that may lie anywhere in memory have rules of their own. They all come to the
// bits that this test comes to.
func TestEveryBuildModeGivesTheSameBits(t *testing.T) {
	if os.Getenv("BACKPROP_BUILD_MODES") == "" {
		t.Skip("builds the standard library for each mode, which takes a minute; BACKPROP_BUILD_MODES=1 does it")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("runs on linux/amd64")
	}
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	var here bytes.Buffer
	NoError(t, compute.Print(&here))
	twice := bytes.Repeat(here.Bytes(), 2)
	modes := []struct {
		name  string
		cgo   bool
		build [][]string
		run   []string
		want  []byte
	}{
		{"an executable", false, [][]string{build("exe", in("exe"), "program")}, []string{in("exe")}, here.Bytes()},
		{"a position-independent executable", false, [][]string{build("pie", in("pie"), "program")}, []string{in("pie")}, here.Bytes()},
		{"a plugin", true, [][]string{build("plugin", in("plugin.so"), "program"), build("exe", in("host"), "host")}, []string{in("host"), in("plugin.so")}, twice},
		{"a library for C", true, [][]string{
			build("c-shared", in("library.so"), "program"),
			{"gcc", "-o", in("c"), filepath.Join("testdata", "main.c"), in("library.so")},
		}, []string{in("c")}, here.Bytes()},
	}
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			if m.cgo {
				needCgo(t)
			}
			for _, args := range m.build {
				if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
				}
			}
			var stderr bytes.Buffer
			c := exec.Command(m.run[0], m.run[1:]...)
			c.Stderr = &stderr
			got, err := c.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.Bytes())
			}
			if bytes.Equal(got, m.want) {
				return
			}
			lines, want := bytes.Split(got, []byte("\n")), bytes.Split(m.want, []byte("\n"))
			for i := range min(len(lines), len(want)) {
				if !bytes.Equal(lines[i], want[i]) {
					t.Fatalf("result %d of %d has the bits %s, want %s", i, len(want), lines[i], want[i])
				}
			}
			t.Fatalf("%d results, want %d", len(lines), len(want))
		})
	}
}

// build is the command that builds a package below this one with the tags of this test.
func build(mode, to, name string) []string {
	args := []string{"go", "build", "-buildvcs=false", "-buildmode=" + mode, "-o", to}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-tags" {
				args = append(args, "-tags="+s.Value)
			}
		}
	}
	return append(args, "./"+name)
}

// needCgo skips a test where there is no C.
func needCgo(t *testing.T) {
	if out, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err != nil || strings.TrimSpace(string(out)) != "1" {
		t.Skip("needs cgo")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs gcc")
	}
}

// The suffix of an instruction is lost in a plugin where an operand is a symbol: the text of the
// assembly shows it on machines, too, that cannot run it.
func TestNoInstructionHasASuffixAndASymbol(t *testing.T) {
	const kernel = "../../kernel/"
	symbol := `\(SB\)`
	constants := Value(os.ReadFile(kernel + "constants_amd64.h"))(t)
	for _, m := range regexp.MustCompile(`(?m)^#define (\w+) +CONSTANT\(`).FindAllSubmatch(constants, -1) {
		symbol += `|\b` + string(m[1]) + `\b`
	}
	wrong := regexp.MustCompile(`^\s*[A-Z0-9]+\.[A-Z.]+\s[^/]*(` + symbol + `)`)
	if !wrong.MatchString("\tVADDPD.BCST ONE, Z2, Z2; \\") {
		t.Error("the search finds nothing")
	}
	files := Value(filepath.Glob(kernel + "*.s"))(t)
	if len(files) < 5 {
		t.Errorf("only %d files", len(files))
	}
	for _, file := range files {
		for i, line := range strings.Split(string(Value(os.ReadFile(file))(t)), "\n") {
			if wrong.MatchString(line) {
				t.Errorf("%s:%d: %s", file, i+1, line)
			}
		}
	}
}
