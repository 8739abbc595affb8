//go:build amd64 && !purego

package kernel

// detect returns what this processor and its operating system support.
func detect() []instructionSet {
	const (
		// CPUID leaf 1, ECX
		fma     = 1 << 12
		osxsave = 1 << 27
		avx     = 1 << 28
		// CPUID leaf 7, EBX
		bmi1     = 1 << 3
		avx2Bit  = 1 << 5
		avx512F  = 1 << 16
		avx512DQ = 1 << 17
		avx512BW = 1 << 30
		avx512VL = 1 << 31
		// XCR0: the registers that the operating system saves
		ymm = 1<<1 | 1<<2
		zmm = ymm | 1<<5 | 1<<6 | 1<<7
	)
	list := []instructionSet{generic}
	leaves, _, _, _ := cpuid(0, 0)
	if leaves < 7 {
		return list
	}
	_, _, features, _ := cpuid(1, 0)
	if features&(fma|osxsave|avx) != fma|osxsave|avx {
		return list
	}
	saved := xgetbv()
	_, extended, _, _ := cpuid(7, 0)
	if saved&ymm != ymm || extended&avx2Bit == 0 {
		return list
	}
	list = append(list, avx2)
	const all = bmi1 | avx512F | avx512DQ | avx512BW | avx512VL
	if allowAVX512 && saved&zmm == zmm && extended&all == all {
		list = append(list, avx512)
	}
	return list
}

func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

func xgetbv() uint32
