package fuzz_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	. "example.com/backprop"
	. "example.com/backprop/internal/tests/testutil"
	"gonum.org/v1/gonum/mat"
)

// Whatever is read is a network that predicts or says why not, and saves as it was read.
func FuzzRead(f *testing.F) {
	for _, c := range HostileFiles {
		if len(c.File) < 1<<12 {
			f.Add([]byte(c.File))
		}
	}
	for _, layers := range [][]Layer{
		{Dense{Units: 1}}, {Standardize{}, Dense{Units: 2, Activation: ELU{Alpha: 2}}, Dropout{Rate: 0.25}, BatchNorm{Activation: Softmax, Momentum: 0.5}},
	} {
		f.Add(BytesOf(f, NewNetwork(f, 2, layers...)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		net, err := Read(bytes.NewReader(file))
		if err != nil {
			if net != nil || !strings.HasPrefix(err.Error(), "backprop: Read: ") || len(err.Error()) > 1000 {
				t.Fatal(net, err)
			}
			return
		}
		s := StateOf(net)
		NoNaN(t, "parameters", s.Params)
		NoNaN(t, "statistics", s.Statistics)
		again, err := Read(bytes.NewReader(BytesOf(t, net)))
		NoError(t, err)
		s.MustEqual(t, again)
		x := mat.NewDense(1, inputsOf(t, net), nil)
		p, err := net.Predict(x)
		q, err2 := again.Predict(x)
		if fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatal(err, err2)
		}
		if err == nil {
			SameBits(t, "prediction", q.RawMatrix().Data, p.RawMatrix().Data)
		}
	})
}

// inputsOf is in the network's table.
func inputsOf(t testing.TB, net *Network) (n int) {
	_, err := fmt.Sscanf(strings.Split(net.String(), "\n")[1], " input %d", &n)
	NoError(t, err)
	return n
}
