// Command host prints what package compute does, and then what the plugin it is given does.
package main

import (
	"fmt"
	"os"
	"plugin"

	"example.com/backprop/internal/tests/buildmodes/compute"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string) error {
	if err := compute.Print(os.Stdout); err != nil {
		return err
	}
	p, err := plugin.Open(path)
	if err != nil {
		return err
	}
	symbol, err := p.Lookup("Print")
	if err != nil {
		return err
	}
	return symbol.(func() error)()
}
