package custom_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

func TestNamesOfActivationsHaveUpTo200Bytes(t *testing.T) {
	name := fmt.Sprint("test ", rand.Uint64(), " ") // new when the test runs again
	name += strings.Repeat("x", 200-len(name))
	NoError(t, RegisterActivation(Named(name)))
	if err := RegisterActivation(Named(name + "x")); err == nil {
		t.Error("a name of 201 bytes is taken")
	}
}
