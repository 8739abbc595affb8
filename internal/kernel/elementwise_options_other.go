//go:build !amd64 || purego

package kernel

//go:noinline
func apply(f loop, o *operands) { applyGeneric(f, o) }
