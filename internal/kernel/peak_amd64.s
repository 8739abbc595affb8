//go:build amd64 && !purego

#include "textflag.h"

// Twelve independent chains of n FMAs each, for the benchmarks: what the machine can do at most.
#define CHAINS(OP) \
	OP(Z0, Y0); OP(Z1, Y1); OP(Z2, Y2); OP(Z3, Y3); OP(Z4, Y4); OP(Z5, Y5); \
	OP(Z6, Y6); OP(Z7, Y7); OP(Z8, Y8); OP(Z9, Y9); OP(Z10, Y10); OP(Z11, Y11)
#define ZERO(z, y) VXORPD y, y, y
#define FMA8(z, y) VFMADD231PD Z12, Z12, z
#define FMA4(z, y) VFMADD231PD Y12, Y12, y

// func peakAVX512(n int)
TEXT ·peakAVX512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX
	VXORPD Y12, Y12, Y12
	CHAINS(ZERO)
loop:
	CHAINS(FMA8)
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func peakAVX2(n int)
TEXT ·peakAVX2(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX
	VXORPD Y12, Y12, Y12
	CHAINS(ZERO)
loop:
	CHAINS(FMA4)
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET
