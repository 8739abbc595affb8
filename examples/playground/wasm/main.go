//go:build js

// Command wasm hands the package lab to the page. It runs in a web worker, built for GOOS=js and
// GOARCH=wasm, and sets an object "lab" of functions. Each returns an object; what went wrong is
// its field error.
package main

import (
	"fmt"
	"syscall/js"
	"time"

	"example.com/backprop/examples/playground/lab"
)

type object = map[string]any

var (
	session *lab.Session
	steps   *lab.Steps
)

func main() {
	js.Global().Set("lab", object{
		"begin":     function(begin),
		"advance":   function(advance),
		"refresh":   function(refresh),
		"check":     function(check),
		"takeSteps": function(takeSteps),
	})
	select {}
}

// function makes a function of the page. A panic becomes an error, so that the page lives on.
func function(f func(args []js.Value) (object, error)) js.Func {
	return js.FuncOf(func(_ js.Value, args []js.Value) (result any) {
		defer func() {
			if p := recover(); p != nil {
				result = object{"error": fmt.Sprint("The program failed, which is a fault of it: ", p)}
			}
		}()
		o, err := f(args)
		if o == nil {
			o = object{}
		}
		if err != nil {
			o["error"] = lab.Explain(err)
		}
		return o
	})
}

// begin takes an object of settings.
func begin(args []js.Value) (object, error) {
	settings, told := lab.Parse(func(name string) string {
		if v := args[0].Get(name); v.Type() == js.TypeString {
			return v.String()
		}
		return ""
	})
	s, err := lab.New(settings)
	if err != nil {
		return nil, err
	}
	session = s
	blocks := []any{}
	for _, b := range s.Blocks {
		blocks = append(blocks, object{"units": b.Units, "inputs": b.Inputs, "at": b.At, "end": b.End})
	}
	defaults, _ := lab.Parse(func(string) string { return "" })
	return object{
		"settings": table(settings), "defaults": table(defaults), "told": list(told), "blocks": blocks, "side": s.Side,
		"points": list(s.Points), "training": s.Training, "frame": frame(),
	}, nil
}

// advance takes epochs and milliseconds.
func advance(args []js.Value) (object, error) {
	until := time.Now().Add(time.Duration(args[1].Float() * float64(time.Millisecond)))
	err := session.Advance(args[0].Int(), until)
	return object{"frame": frame()}, err
}

func refresh([]js.Value) (object, error) {
	session.Refresh()
	return object{"frame": frame()}, nil
}

func frame() js.Value {
	b := session.Frame()
	array := js.Global().Get("Uint8Array").New(len(b))
	js.CopyBytesToJS(array, b)
	return array
}

func check([]js.Value) (object, error) {
	says, err := session.Check()
	return object{"says": says}, err
}

// takeSteps takes how many steps are to be taken, of which a negative number begins anew.
func takeSteps(args []js.Value) (_ object, err error) {
	n := args[0].Int()
	if n < 0 || steps == nil {
		if steps, err = lab.NewSteps(0); err != nil {
			return nil, err
		}
	}
	if err := steps.Take(n); err != nil {
		return nil, err
	}
	numbers, err := steps.Numbers()
	o := object{"n": steps.N, "rate": lab.StepRate}
	for name, m := range numbers {
		o[name] = lab.Flat(m)
	}
	return o, err
}

func list[T any](of []T) []any {
	l := make([]any, len(of))
	for i, v := range of {
		l[i] = v
	}
	return l
}

func table(of map[string]string) object {
	o := object{}
	for name, v := range of {
		o[name] = v
	}
	return o
}
