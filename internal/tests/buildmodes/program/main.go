// Command program prints what package compute does. It can be built as a plugin and as a library
// for C, too.
package main

import (
	"fmt"
	"os"

	"example.com/backprop/internal/tests/buildmodes/compute"
)

func main() {
	if err := Print(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Print is what a plugin is asked for.
func Print() error { return compute.Print(os.Stdout) }
