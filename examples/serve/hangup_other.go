//go:build !unix

package main

import "os"

// notifyHangups has nothing to do: there is no SIGHUP.
func notifyHangups(chan<- os.Signal) {}
