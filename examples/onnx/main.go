// Command onnx writes a saved network as an ONNX file, for ONNX Runtime and all else that reads
// such files.
//
//	cd examples/onnx && go run . -model net.safetensors -out net.onnx [-float]
//
// The file takes an input x, N×inputs, to an output y, N×outputs, for any N. All numbers are of
// type double, in which ONNX Runtime agrees with Predict to 1e-12 of the largest output, or with
// -float of type float, in which it does to 1e-6 where float is enough for the data: inputs that
// differ by less than a ten-millionth of themselves are one to it. Tensors have the names, and the
// file has the metadata, of the network's own file, to which examples/table writes the columns.
//
// It is a module of its own, because its tests load ONNX Runtime.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"example.com/backprop"
)

func main() {
	log.SetFlags(0)
	model := flag.String("model", "", "the `file` of the network, as Save writes it")
	out := flag.String("out", "", "the ONNX `file` to write")
	asFloat := flag.Bool("float", false, "write numbers of type float, not double")
	flag.Parse()
	if *model == "" || *out == "" || flag.NArg() > 0 {
		log.Fatal("usage: onnx -model net.safetensors -out net.onnx [-float]")
	}
	numbers := double
	if *asFloat {
		numbers = float
	}
	if err := convert(os.Stdout, *model, *out, numbers); err != nil {
		log.Fatal("onnx: ", err)
	}
}

// convert writes the network in the one file as ONNX to the other, and says so.
func convert(w io.Writer, model, out string, numbers numberType) error {
	net, err := backprop.Load(model)
	if err != nil {
		return err
	}
	file, err := encode(net, numbers)
	if err != nil {
		return fmt.Errorf("%s: %w", model, err)
	}
	if err := replace(out, file); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: x N×%d, y N×%d, %d bytes\n", out, net.Inputs(), net.Outputs(), len(file))
	return nil
}

// replace makes data the content of a file, which until then has what it had before.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".writing-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
