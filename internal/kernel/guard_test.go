//go:build !linux

package kernel

import "testing"

func newArena(tb testing.TB, n int) []float64 { return make([]float64, n) }
