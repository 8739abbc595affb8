//go:build amd64 && !purego && !noavx512

package kernel

// allowAVX512 is false with the build tag noavx512, by which AVX2 is tested on machines that have more.
const allowAVX512 = true
