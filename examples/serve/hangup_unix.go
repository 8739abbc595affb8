//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyHangups lets SIGHUPs go to a channel.
func notifyHangups(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP) }
