//go:build js

// Command wasm hands the package lab to the page. It runs in a web worker, built for GOOS=js and
// GOARCH=wasm, and sets a function "lab" of a request and its arguments. It returns an object, of
// which the field error is what went wrong.
package main

import (
	"fmt"
	"slices"
	"syscall/js"
	"time"
	"unsafe"

	"example.com/backprop/examples/playground/lab"
)

type object = map[string]any

var session = &lab.Session{Stop: func() {}}

func main() {
	js.Global().Set("lab", js.FuncOf(func(_ js.Value, args []js.Value) any {
		reply := object{}
		if err := answer(args[0].String(), args[1:], reply); err != nil {
			reply["error"] = err.Error()
		}
		return reply
	}))
	select {}
}

// answer fills in the reply. A panic becomes an error, so that the page lives on.
func answer(request string, args []js.Value, reply object) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the program failed, which is a fault of it: %v", p)
		}
	}()
	switch request {
	case "begin": // with settings, a name and a value in turn
		err = begin(args, reply)
	case "advance": // for so many epochs or milliseconds
		err = session.Advance(args[0].Int(), time.Now().Add(time.Duration(args[1].Int())*time.Millisecond))
		reply["frame"] = array(session.Frame())
	case "maps":
		reply["maps"] = array(session.Maps())
	case "check":
		reply["says"], err = session.Check()
	case "steps": // so many, and the numbers of one more
		var numbers map[string][]float64
		numbers, err = lab.Steps(args[0].Int())
		for name, v := range numbers {
			reply[name] = array(v)
		}
	}
	return err
}

func begin(given []js.Value, reply object) error {
	settings := lab.Settings{}
	for pair := range slices.Chunk(given, 2) {
		settings[pair[0].String()] = pair[1].String()
	}
	next, err := lab.New(settings)
	if err != nil {
		return err
	}
	session.Stop()
	session = next
	blocks := []any{}
	for _, b := range session.Blocks {
		blocks = append(blocks, object{"inputs": b.Inputs, "units": b.Units, "at": b.At, "end": b.End})
	}
	reply["blocks"], reply["side"] = blocks, session.Side
	reply["points"], reply["training"] = array(session.Points), session.Training
	reply["frame"], reply["maps"] = array(session.Frame()), array(session.Maps())
	return nil
}

// array is a Float64Array. Its bytes are those of v, for WebAssembly and browsers are little-endian.
func array(v []float64) js.Value {
	bytes := js.Global().Get("Uint8Array").New(8 * len(v))
	js.CopyBytesToJS(bytes, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 8*len(v)))
	return js.Global().Get("Float64Array").New(bytes.Get("buffer"))
}
