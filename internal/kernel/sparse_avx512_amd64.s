//go:build amd64 && !purego

#include "go_asm.h"
#include "textflag.h"
#include "immediates_amd64.h"

// sparseAVX512 computes a panel of 25 to 64 columns and k up to 64 without the terms of A's zeros.
// A lies by rows, the rows of B one after the other:
//
//	for i := range m {
//		for j := range n {
//			acc := c0[i*ldc0+j]
//			for l := range 64 {
//				if nonzero[i]>>l&1 != 0 {
//					acc = math.FMA(a[i*row+l], b[l*n+j], acc)
//				}
//			}
//			c[i*ldc+j] = acc
//		}
//	}
//
// One row is computed at a time, since each has its zeros elsewhere. So every vector of B is read
// for a single multiplication: B should lie in the first level of cache, whose speed is the limit.
//
//	Z0-Z7    the row, the last vector masked by K1
//	Z8       one element of A in all lanes
//	SI, BX, DI  the row of A, C₀, C
//	DX       B, which is read as far as whole vectors go
//	R15, R14 the row's word of nonzero, what is left of it
//	CX, AX   l; the place of row l of B
//	R8-R11   strides in bytes: c, a, b, c₀
//	R13      rows to do

// Vectors of a row, the last one by an operation of its own.
#define VECTORS4(OP, LAST) \
	OP(0, Z0);   \
	OP(64, Z1);  \
	OP(128, Z2); \
	LAST(192, Z3)
#define VECTORS5(OP, LAST) \
	VECTORS4(OP, OP); \
	LAST(256, Z4)
#define VECTORS6(OP, LAST) \
	VECTORS5(OP, OP); \
	LAST(320, Z5)
#define VECTORS7(OP, LAST) \
	VECTORS6(OP, OP); \
	LAST(384, Z6)
#define VECTORS8(OP, LAST) \
	VECTORS7(OP, OP); \
	LAST(448, Z7)

#define START(at, c) \
	VMOVUPD at(BX), c
#define STARTLAST(at, c) \
	VMOVUPD.Z at(BX), K1, c
#define FMA(at, c) \
	VFMADD231PD at(DX)(AX*1), Z8, c
#define STORE(at, c) \
	VMOVUPD c, at(DI)
#define STORELAST(at, c) \
	VMOVUPD c, K1, at(DI)

// K1: the lanes of the last of the vectors that CX + 1 elements take.
#define LAST_LANES \
	ANDQ  $7, CX;  \
	MOVL  $2, R12; \
	SHLQ  CX, R12; \
	DECQ  R12;     \
	KMOVW R12, K1

#define PANEL(VECTORS) \
row:                                 \
	VECTORS(START, STARTLAST);   \
	MOVQ (R15), R14;             \
	TESTQ R14, R14;              \
	JZ   end;                    \
	PCALIGN $32;                 \
loop:                                \
	TZCNTQ R14, CX;              \
	MOVQ  CX, AX;                \
	IMULQ R10, AX;               \
	VBROADCASTSD (SI)(CX*8), Z8; \
	BLSRQ R14, R14;              \
	VECTORS(FMA, FMA);           \
	JNZ   loop;                  \
end:                                 \
	VECTORS(STORE, STORELAST);   \
	ADDQ R8, DI;                 \
	ADDQ R9, SI;                 \
	ADDQ R11, BX;                \
	ADDQ $8, R15;                \
	DECQ R13;                    \
	JNZ  row;                    \
	VZEROUPPER;                  \
	RET

// func sparseAVX512(p *panel, nonzero *uint64)
TEXT ·sparseAVX512(SB), NOSPLIT, $0-16
	MOVQ p+0(FP), AX
	MOVQ nonzero+8(FP), R15
	MOVQ panel_c(AX), DI
	MOVQ panel_ldc(AX), R8
	MOVQ panel_a(AX), SI
	MOVQ panel_row(AX), R9
	MOVQ panel_b(AX), DX
	MOVQ panel_c0(AX), BX
	MOVQ panel_ldc0(AX), R11
	MOVQ panel_m(AX), R13
	MOVQ panel_n(AX), CX
	SHLQ $3, R8
	SHLQ $3, R9
	SHLQ $3, R11

	// AX: the vectors before the last.
	LEAQ  (CX*8), R10
	DECQ  CX
	MOVQ  CX, AX
	SHRQ  $3, AX
	LAST_LANES
	CMPQ  AX, $4
	JLT   four
	JEQ   five
	CMPQ  AX, $6
	JLT   six
	JEQ   seven
	JMP   sparse8<>(SB)

four:
	JMP sparse4<>(SB)

five:
	JMP sparse5<>(SB)

six:
	JMP sparse6<>(SB)

seven:
	JMP sparse7<>(SB)

TEXT sparse4<>(SB), NOSPLIT, $0-16
	PANEL(VECTORS4)

TEXT sparse5<>(SB), NOSPLIT, $0-16
	PANEL(VECTORS5)

TEXT sparse6<>(SB), NOSPLIT, $0-16
	PANEL(VECTORS6)

TEXT sparse7<>(SB), NOSPLIT, $0-16
	PANEL(VECTORS7)

TEXT sparse8<>(SB), NOSPLIT, $0-16
	PANEL(VECTORS8)

// Bit l of nonzero[i] tells whether a[i*lda+l] is not 0, for m rows and k up to 64. A row is taken
// from its end.
//
//	Z0      0
//	K1, K2  the lanes of the last vector; those that are not 0
//	R8      a's stride in bytes
//	BX, R9  where the last vector begins in a row, the current one
//
// func nonzerosAVX512(nonzero *uint64, a *float64, lda, m, k int)
TEXT ·nonzerosAVX512(SB), NOSPLIT, $0-40
	MOVQ  nonzero+0(FP), DI
	MOVQ  a+8(FP), SI
	MOVQ  lda+16(FP), R8
	MOVQ  m+24(FP), R13
	MOVQ  k+32(FP), CX
	SHLQ  $3, R8
	DECQ  CX
	MOVQ  CX, BX
	ANDQ  $~7, BX
	SHLQ  $3, BX
	LAST_LANES
	VPXORQ Z0, Z0, Z0

row:
	MOVQ  BX, R9
	VMOVUPD.Z (SI)(R9*1), K1, Z1
	VCMPPD NOT_EQUAL, Z0, Z1, K2
	KMOVW K2, AX

vector:
	SUBQ  $64, R9
	JLT   store
	VCMPPD NOT_EQUAL, (SI)(R9*1), Z0, K2
	KMOVW K2, CX
	SHLQ  $8, AX
	ORQ   CX, AX
	JMP   vector

store:
	MOVQ AX, (DI)
	ADDQ $8, DI
	ADDQ R8, SI
	DECQ R13
	JNZ  row
	VZEROUPPER
	RET

// low and high become the smallest magnitude but 0, or 0 if there is none, and the largest of m
// rows and n columns. As magnitudes are ordered like their bits, integers are compared: low less 1,
// so that 0 is above all.
//
//	Z0, Z1  low less 1, high
//	Z2, Z3  all bits but the sign; −1
//	K1      the lanes of the last vector

#define INIT \
	VPTERNLOGQ ALWAYS, Z3, Z3, Z3; \
	VPSRLQ     $1, Z3, Z2;         \
	VMOVDQA64  Z3, Z0;             \
	VPXORQ     Z1, Z1, Z1

#define LOOK(x) \
	VPANDQ  x, Z2, x;  \
	VPMAXUQ x, Z1, Z1; \
	VPADDQ  x, Z3, x;  \
	VPMINUQ x, Z0, Z0

// The vectors are folded to one element.
#define FOLD(low, high) \
	VEXTRACTI64X4 UPPER, Z0, Y4;     \
	VEXTRACTI64X4 UPPER, Z1, Y5;     \
	VPMINUQ       Y4, Y0, Y0;        \
	VPMAXUQ       Y5, Y1, Y1;        \
	VEXTRACTI128  UPPER, Y0, X4;     \
	VEXTRACTI128  UPPER, Y1, X5;     \
	VPMINUQ       X4, X0, X0;        \
	VPMAXUQ       X5, X1, X1;        \
	VPSHUFD       EXCHANGED, X0, X4; \
	VPSHUFD       EXCHANGED, X1, X5; \
	VPMINUQ       X4, X0, X0;        \
	VPMAXUQ       X5, X1, X1;        \
	VPSUBQ        X3, X0, X0;        \
	VMOVQ         X0, low;           \
	VMOVQ         X1, high;          \
	VZEROUPPER

// Look at the rows from SI on, R13 of them, of BX vectors and a last one, and COPY each.
#define SCAN(row, one, last, COPY, COPYLAST) \
row:                              \
	MOVQ  SI, DX;             \
	MOVQ  BX, CX;             \
	TESTQ CX, CX;             \
	JZ    last;               \
one:                              \
	VMOVDQU64 (DX), Z4;       \
	COPY;                     \
	LOOK(Z4);                 \
	ADDQ  $64, DX;            \
	DECQ  CX;                 \
	JNZ   one;                \
last:                             \
	VMOVDQU64.Z (DX), K1, Z4; \
	COPYLAST;                 \
	LOOK(Z4);                 \
	ADDQ  R8, SI;             \
	DECQ  R13;                \
	JNZ   row

#define NOWHERE
#define TODST \
	VMOVDQU64 Z4, (DI); \
	ADDQ      $64, DI
#define TODSTLAST \
	VMOVDQU64 Z4, K1, (DI); \
	ADDQ      R9, DI

// func magnitudesAVX512(x *float64, ld, m, n int) (low, high uint64)
TEXT ·magnitudesAVX512(SB), NOSPLIT, $0-48
	MOVQ x+0(FP), SI
	MOVQ ld+8(FP), R8
	MOVQ m+16(FP), R13
	MOVQ n+24(FP), CX
	SHLQ $3, R8
	DECQ CX
	MOVQ CX, BX
	SHRQ $3, BX
	LAST_LANES
	INIT
	SCAN(row, one, last, NOWHERE, NOWHERE)
	FOLD(low+32(FP), high+40(FP))
	RET

// The same for k rows of a panel, which it copies to dst one after another.
//
// func packAVX512(dst, src *float64, ld, k, n int) (low, high uint64)
TEXT ·packAVX512(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ ld+16(FP), R8
	MOVQ k+24(FP), R13
	MOVQ n+32(FP), CX
	SHLQ $3, R8
	DECQ CX
	MOVQ CX, BX
	SHRQ $3, BX
	LAST_LANES
	LEAQ 8(CX*8), R9
	INIT
	SCAN(row, one, last, TODST, TODSTLAST)
	FOLD(low+40(FP), high+48(FP))
	RET
