package files_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
)

const overhead = 1 << 20 // bytes that Load may take besides the network and twice the header

// A header may claim what it likes: nothing is read or allocated for a tensor that is not wanted.
func TestATensorThatIsNotWantedCostsNothing(t *testing.T) {
	one := NetworkFile(OneDense, Weight, Bias)
	for name, want := range map[string]string{
		"evil":                  `tensor "evil" belongs to no layer`,
		"checkpoint.evil":       `tensor "checkpoint.evil" belongs to no layer`,
		"0.num_batches_tracked": `tensor "0.num_batches_tracked" belongs to no layer`,
		"1.weight":              `tensor "1.weight" belongs to no layer`,
		"0.weight":              "", // it comes twice
	} {
		path := Hollow(t, one, name, 2e9)
		var err error
		if n := BytesAllocated(func() { _, err = Load(path) }); n > overhead {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
		if err == nil || !strings.HasSuffix(err.Error(), ": "+want) && want != "" {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestLoadTakesTheMemoryOfTheNetworkAndTwiceTheHeader(t *testing.T) {
	much := 20 << 20
	if testing.Short() {
		much = 4 << 20
	}
	list := func(format string, size int) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	metadata := func(more string) string {
		return strings.Replace(NetworkFile(OneDense, Weight, Bias)[8:], `"__metadata__":{`, `"__metadata__":{`+more, 1)
	}
	u8 := RawTensor{Name: "u8", Dtype: "U8", Shape: []int{much / 5}, Data: make([]float64, much/5)}
	for name, file := range map[string]string{
		"a network":      string(BytesOf(t, NewNetwork(t, 2200, Dense{Units: 2200}))),
		"a tensor of U8": NetworkFile(OneDense, Weight, Bias, u8),
		"many keys":      metadata(list(`"%x":"",`, much)),
		"one key":        metadata(`"` + strings.Repeat("k", much) + `":"",`),
		"one value":      metadata(`"k":"` + strings.Repeat("v", much) + `",`),
		"escapes":        metadata(`"k":"` + strings.Repeat(`\u0061`, much/6) + `",`),
		"description":    NetworkFile(OneDense+strings.Repeat(" ", much), Weight, Bias),
		"tensors":        metadata("")[:1] + list(`"%x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`, much/5) + metadata("")[1:],
	} {
		path := filepath.Join(t.TempDir(), "net")
		if file[0] == '{' {
			header := strings.LastIndexByte(file, '}') + 1
			file = RawFile(file[:header]) + file[header:]
		}
		NoError(t, os.WriteFile(path, []byte(file), 0o666))
		var net *Network
		var err error
		n := BytesAllocated(func() { net, err = Load(path) })
		header, params := int(binary.LittleEndian.Uint64([]byte(file[:8]))), 0
		if net != nil {
			params = len(net.Params())
		}
		t.Logf("%s: %d bytes for %d parameters and a header of %d: %v", name, n, params, header, err)
		if n > 8*params+2*header+overhead {
			t.Errorf("%s: %d bytes allocated for %d parameters and a header of %d", name, n, params, header)
		}
	}
}
