//go:build amd64 && !purego && noavx512

package kernel

const allowAVX512 = false
