//go:build arm64 && !purego

package kernel

// apply runs a loop on at most a chunk. It is not inlined, so that a goroutine can be preempted
// where it begins.
//
//go:noinline
func apply(f loop, o *operands) {
	if active == neon {
		applyExact(f, o)
	} else {
		applyGeneric(f, o)
	}
}
