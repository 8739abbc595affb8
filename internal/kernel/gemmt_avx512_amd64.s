//go:build amd64 && !purego

#include "textflag.h"

// C = C₀ + A·Bᵀ for sixteen columns and k a multiple of four, the chains of gemmAVX512:
//
//	for i := range m {
//		for j := range 16 {
//			acc := c0[i*ldc0+j]
//			for l := range k {
//				acc = math.FMA(a[i*lda+l], b[j*ldb+l], acc)
//			}
//			c[i*ldc+j] = acc
//		}
//	}
//
// Both operands are read along their rows. Four columns of B's sixteen rows are transposed in registers,
// by the unit that shuffles while the others multiply, and used at once.
//
//	Z0-Z15   the tile: row r has Z(2r), Z(2r+1)
//	Z16-Z23  four columns of B: column q has Z(16+2q), Z(17+2q)
//	Z24-Z31  halfway there
//	SI       A at the tile's first row; AX and R15 run along l from its rows 0 and 4
//	DX, CX   B from its rows 0 and 8, run along l
//	BX, DI   C₀ and C at the next row
//	R8, R9   strides in bytes: c, a; R14 is three times a's
//	R11, R10, R12, R13  b's stride once, three, five and seven times
//
// The frame holds where a row of A has its last four columns and c₀'s stride.

#define ROWS1(OP) \
	OP((AX), Z0, Z1)
#define ROWS2(OP) \
	ROWS1(OP);                \
	OP((AX)(R9*1), Z2, Z3)
#define ROWS4(OP) \
	ROWS2(OP);                \
	OP((AX)(R9*2), Z4, Z5);   \
	OP((AX)(R14*1), Z6, Z7)
#define ROWS8(OP) \
	ROWS4(OP);                  \
	OP((R15), Z8, Z9);          \
	OP((R15)(R9*1), Z10, Z11);  \
	OP((R15)(R9*2), Z12, Z13);  \
	OP((R15)(R14*1), Z14, Z15)

#define START(a, c0, c1) \
	VMOVUPD (BX), c0;            \
	VMOVUPD 64(BX), c1;          \
	ADDQ    ldc0_bytes-8(SP), BX

// Add column q of A times column q of B.
#define FMA0(a, c0, c1) \
	VFMADD231PD.BCST a, Z16, c0; \
	VFMADD231PD.BCST a, Z17, c1
#define FMA1(a, c0, c1) \
	VFMADD231PD.BCST 8 a, Z18, c0; \
	VFMADD231PD.BCST 8 a, Z19, c1
#define FMA2(a, c0, c1) \
	VFMADD231PD.BCST 16 a, Z20, c0; \
	VFMADD231PD.BCST 16 a, Z21, c1
#define FMA3(a, c0, c1) \
	VFMADD231PD.BCST 24 a, Z22, c0; \
	VFMADD231PD.BCST 24 a, Z23, c1

// The last four columns of a row, and its store, as in gemmAVX512.
#define LAST(a, c0, c1) \
	FMA0(a, c0, c1);    \
	FMA1(a, c0, c1);    \
	FMA2(a, c0, c1);    \
	FMA3(a, c0, c1);    \
	VMOVUPD c0, (DI);   \
	VMOVUPD c1, 64(DI); \
	ADDQ    R8, DI

// Four columns of the eight rows from p. Rows that are two apart share a register, their elements
// are interleaved with those of the rows after them, and the lanes of 128 bits put in order:
//
//	Z24 = 0₀0₁0₂0₃ 2₀2₁2₂2₃, Z25 = 1₀1₁1₂1₃ 3₀3₁3₂3₃   (row, column)
//	Z28 = 0₀1₀0₂1₂ 2₀3₀2₂3₂, Z30 = 4₀5₀4₂5₂ 6₀7₀6₂7₂
//	t0  = 0₀1₀2₀3₀ 4₀5₀6₀7₀, t2 = 0₂1₂2₂3₂ 4₂5₂6₂7₂
#define TRANSPOSED8(p, t0, t1, t2, t3) \
	VMOVUPD      (p), Y24;                    \
	VMOVUPD      (p)(R11*1), Y25;             \
	VMOVUPD      (p)(R11*4), Y26;             \
	VMOVUPD      (p)(R12*1), Y27;             \
	VINSERTF64X4 $1, (p)(R11*2), Z24, Z24;    \
	VINSERTF64X4 $1, (p)(R10*1), Z25, Z25;    \
	VINSERTF64X4 $1, (p)(R10*2), Z26, Z26;    \
	VINSERTF64X4 $1, (p)(R13*1), Z27, Z27;    \
	VUNPCKLPD    Z25, Z24, Z28;               \
	VUNPCKHPD    Z25, Z24, Z29;               \
	VUNPCKLPD    Z27, Z26, Z30;               \
	VUNPCKHPD    Z27, Z26, Z31;               \
	VSHUFF64X2   $0x88, Z30, Z28, t0;         \
	VSHUFF64X2   $0x88, Z31, Z29, t1;         \
	VSHUFF64X2   $0xdd, Z30, Z28, t2;         \
	VSHUFF64X2   $0xdd, Z31, Z29, t3

#define TILE(loop, last, ROWS) \
	MOVQ b+32(FP), DX;                   \
	MOVQ SI, AX;                         \
	LEAQ (SI)(R9*4), R15;                \
	ROWS(START);                         \
	MOVQ k+72(FP), CX;                   \
	LEAQ -32(SI)(CX*8), CX;              \
	MOVQ CX, end-16(SP);                 \
	LEAQ (DX)(R11*8), CX;                \
	CMPQ AX, end-16(SP);                 \
	JGE  last;                           \
	PCALIGN $32;                         \
loop:                                        \
	TRANSPOSED8(DX, Z16, Z18, Z20, Z22); \
	TRANSPOSED8(CX, Z17, Z19, Z21, Z23); \
	ROWS(FMA0);                          \
	ROWS(FMA1);                          \
	ROWS(FMA2);                          \
	ROWS(FMA3);                          \
	ADDQ $32, DX;                        \
	ADDQ $32, CX;                        \
	ADDQ $32, AX;                        \
	ADDQ $32, R15;                       \
	CMPQ AX, end-16(SP);                 \
	JLT  loop;                           \
last:                                        \
	TRANSPOSED8(DX, Z16, Z18, Z20, Z22); \
	TRANSPOSED8(CX, Z17, Z19, Z21, Z23); \
	ROWS(LAST)

// func gemmtAVX512(c *float64, ldc int, a *float64, lda int, b *float64, ldb int, c0 *float64, ldc0 int, m, k int)
TEXT ·gemmtAVX512(SB), NOSPLIT, $16-80
	MOVQ c+0(FP), DI
	MOVQ ldc+8(FP), R8
	MOVQ a+16(FP), SI
	MOVQ lda+24(FP), R9
	MOVQ ldb+40(FP), R11
	MOVQ c0+48(FP), BX
	MOVQ ldc0+56(FP), AX
	SHLQ $3, R8
	SHLQ $3, R9
	SHLQ $3, R11
	SHLQ $3, AX
	MOVQ AX, ldc0_bytes-8(SP)
	LEAQ (R9)(R9*2), R14
	LEAQ (R11)(R11*2), R10
	LEAQ (R11)(R11*4), R12
	LEAQ (R10)(R11*4), R13

eights:
	SUBQ $8, m+64(FP)
	JLT  less8
	TILE(loop8, last8, ROWS8)
	LEAQ (SI)(R9*8), SI
	JMP  eights

less8:
	TESTQ $4, m+64(FP)
	JZ    less4
	TILE(loop4, last4, ROWS4)
	LEAQ  (SI)(R9*4), SI

less4:
	TESTQ $2, m+64(FP)
	JZ    less2
	TILE(loop2, last2, ROWS2)
	LEAQ  (SI)(R9*2), SI

less2:
	TESTQ $1, m+64(FP)
	JZ    done
	TILE(loop1, last1, ROWS1)

done:
	VZEROUPPER
	RET
