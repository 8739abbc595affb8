//go:build cgo

package main

import "C"

// PrintResults is what C calls; it returns 0 if all went well.
//
//export PrintResults
func PrintResults() C.int {
	if Print() != nil {
		return 1
	}
	return 0
}
