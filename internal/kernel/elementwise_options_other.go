//go:build !(amd64 || arm64) || purego

package kernel

func apply(f loop, o *operands) { applyGeneric(f, o) }
