//go:build !purego

package kernel

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Linux lists what the processor has and the system saves.
func TestTheInstructionSetsAreThoseThatLinuxLists(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip(err)
	}
	var flags []string
	for line := range strings.Lines(string(text)) {
		if name, list, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "flags" {
			flags = strings.Fields(list)
			break
		}
	}
	if flags == nil {
		t.Skip("no flags in /proc/cpuinfo")
	}
	all := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(flags, name) })
	}
	want := []instructionSet{generic}
	if all("fma", "avx", "avx2") {
		want = append(want, avx2)
		if allowAVX512 && all("bmi1", "avx512f", "avx512dq", "avx512bw", "avx512vl") {
			want = append(want, avx512)
		}
	}
	if got := detect(); !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}
