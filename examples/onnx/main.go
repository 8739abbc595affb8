// Command onnx writes a saved network as an ONNX file, for ONNX Runtime and all else that reads
// such files.
//
//	cd examples/onnx && go run . -model net.safetensors -out net.onnx [-float]
//
// The file takes an input x, N×inputs, to an output y, N×outputs, for any N. All its numbers are
// of type double, and ONNX Runtime, from 1.18 on, agrees with Predict to 1e-12 of the largest
// output. With -float they are of type float, and it agrees to 1e-6, from 1.14 on, where float is
// enough for the data: inputs that differ by less than a ten-millionth of themselves are the same
// to it. Tensors have the names that they have in the network's own file, and the metadata are that
// file's, with the columns of examples/table.
//
// It is a module of its own, because its tests load ONNX Runtime.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"example.com/backprop"
)

func main() {
	log.SetFlags(0)
	model := flag.String("model", "", "the `file` of the network, as Save writes it")
	out := flag.String("out", "", "the ONNX `file` to write")
	asFloat := flag.Bool("float", false, "write numbers of type float, not double")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("onnx: %q is not used; only flags are", flag.Arg(0))
	}
	if *model == "" || *out == "" {
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
	part := path + ".part"
	defer os.Remove(part) // which is no longer there where all goes well
	if err := os.WriteFile(part, data, 0o666); err != nil {
		return err
	}
	return os.Rename(part, path)
}
