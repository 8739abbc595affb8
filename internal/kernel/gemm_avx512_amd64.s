//go:build amd64 && !purego

#include "go_asm.h"
#include "textflag.h"

// gemmAVX512 computes a panel of at most 24 columns, see type panel.
//
// The columns are half a vector of eight, one, two or three vectors, the last one masked by K1. The
// rows are taken eight, four, two or one at a time; such a tile lives in registers while l runs.
//
//	Z0-Z23   the tile: row r has Z(3r), Z(3r+1), Z(3r+2)
//	Z24-Z26  one row of B
//	Z27      one element of A in all lanes
//	SI       A at the tile's first row; AX and R15 run along l from its rows 0 and 4
//	DX       B, runs along l
//	BX, DI   C₀ and C at the next row
//	R8-R12   strides in bytes: c, a by row, a by column, b, c₀
//	R14      three times a's row stride
//	CX, R13  C at a row of the next tile, what is left of l; rows still to do

// Rows of a tile: the operation, applied to each row's element of A and its accumulators.
#define ROWS1(OP) \
	OP((AX), Z0, Z1, Z2)
#define ROWS2(OP) \
	ROWS1(OP); \
	OP((AX)(R9*1), Z3, Z4, Z5)
#define ROWS4(OP) \
	ROWS2(OP);                  \
	OP((AX)(R9*2), Z6, Z7, Z8); \
	OP((AX)(R14*1), Z9, Z10, Z11)
#define ROWS8(OP) \
	ROWS4(OP);                      \
	OP((R15), Z12, Z13, Z14);       \
	OP((R15)(R9*1), Z15, Z16, Z17); \
	OP((R15)(R9*2), Z18, Z19, Z20); \
	OP((R15)(R14*1), Z21, Z22, Z23)

// The same for rows of at most four columns, which use half of each register: so narrow a matrix is
// often just written, and a load that reaches beyond what a store wrote has to wait for it.
#define HALVES1(OP) \
	OP((AX), Y0, Y1, Y2)
#define HALVES2(OP) \
	HALVES1(OP); \
	OP((AX)(R9*1), Y3, Y4, Y5)
#define HALVES4(OP) \
	HALVES2(OP);                \
	OP((AX)(R9*2), Y6, Y7, Y8); \
	OP((AX)(R14*1), Y9, Y10, Y11)
#define HALVES8(OP) \
	HALVES4(OP);                    \
	OP((R15), Y12, Y13, Y14);       \
	OP((R15)(R9*1), Y15, Y16, Y17); \
	OP((R15)(R9*2), Y18, Y19, Y20); \
	OP((R15)(R14*1), Y21, Y22, Y23)

// Operations on a row of half a vector, one, two or three: start from C₀, add a·B, store to C. The
// rows of C of the tile that follows, at CX, are fetched while l runs.
#define START1(a, c0, c1, c2) \
	VMOVUPD.Z (BX), K1, c0; \
	ADDQ      R12, BX
#define START2(a, c0, c1, c2) \
	VMOVUPD   (BX), c0;       \
	VMOVUPD.Z 64(BX), K1, c1; \
	ADDQ      R12, BX
#define START3(a, c0, c1, c2) \
	PREFETCHT0 (CX);            \
	PREFETCHT0 64(CX);          \
	PREFETCHT0 128(CX);         \
	ADDQ       R8, CX;          \
	VMOVUPD    (BX), c0;        \
	VMOVUPD    64(BX), c1;      \
	VMOVUPD.Z  128(BX), K1, c2; \
	ADDQ       R12, BX

// A broadcast with a product of its own is part of it, which takes 0.9 of the time.
#define FMA0(a, c0, c1, c2) \
	VFMADD231PD.BCST a, Y24, c0
#define FMA1(a, c0, c1, c2) \
	VFMADD231PD.BCST a, Z24, c0
#define FMA2(a, c0, c1, c2) \
	VBROADCASTSD a, Z27;       \
	VFMADD231PD  Z24, Z27, c0; \
	VFMADD231PD  Z25, Z27, c1
#define FMA3(a, c0, c1, c2) \
	FMA2(a, c0, c1, c2); \
	VFMADD231PD Z26, Z27, c2

#define STORE1(c0, c1, c2) \
	VMOVUPD c0, K1, (DI); \
	ADDQ    R8, DI
#define STORE2(c0, c1, c2) \
	VMOVUPD c0, (DI);       \
	VMOVUPD c1, K1, 64(DI); \
	ADDQ    R8, DI
#define STORE3(c0, c1, c2) \
	VMOVUPD c0, (DI);        \
	VMOVUPD c1, 64(DI);      \
	VMOVUPD c2, K1, 128(DI); \
	ADDQ    R8, DI

// The last l of a row, together with its store: if all stores of a tile waited for their turn at
// its end, the next tile would have to wait with them.
#define LAST0(a, c0, c1, c2) \
	FMA0(a, c0, c1, c2); \
	STORE1(c0, c1, c2)
#define LAST1(a, c0, c1, c2) \
	FMA1(a, c0, c1, c2); \
	STORE1(c0, c1, c2)
#define LAST2(a, c0, c1, c2) \
	FMA2(a, c0, c1, c2); \
	STORE2(c0, c1, c2)
#define LAST3(a, c0, c1, c2) \
	FMA3(a, c0, c1, c2); \
	STORE3(c0, c1, c2)

#define LOADB0 \
	VMOVUPD.Z (DX), K1, Y24
#define LOADB1 \
	VMOVUPD.Z (DX), K1, Z24
#define LOADB2 \
	VMOVUPD   (DX), Z24; \
	VMOVUPD.Z 64(DX), K1, Z25
#define LOADB3 \
	VMOVUPD   (DX), Z24;   \
	VMOVUPD   64(DX), Z25; \
	VMOVUPD.Z 128(DX), K1, Z26

// The same for a whole last vector: a mask takes a unit that multiplies.
#define LOADB2W \
	VMOVUPD (DX), Z24; \
	VMOVUPD 64(DX), Z25
#define LOADB3W \
	VMOVUPD (DX), Z24;   \
	VMOVUPD 64(DX), Z25; \
	VMOVUPD 128(DX), Z26

// The tile of some rows at SI, BX and DI.
#define TILE(loop, last, ROWS, START, LOADB, FMA, LAST) \
	LEAQ (DI)(R8*8), CX;  \
	MOVQ SI, AX;          \
	LEAQ (SI)(R9*4), R15; \
	ROWS(START);          \
	MOVQ p+0(FP), CX;     \
	MOVQ panel_b(CX), DX; \
	MOVQ panel_k(CX), CX; \
	DECQ CX;              \
	JZ   last;            \
	PCALIGN $32;          \
loop:                         \
	LOADB;                \
	ROWS(FMA);            \
	ADDQ R11, DX;         \
	ADDQ R10, AX;         \
	ADDQ R10, R15;        \
	DECQ CX;              \
	JNZ  loop;            \
last:                         \
	LOADB;                \
	ROWS(LAST)

// All rows: eights, then what is left.
#define PANEL(ROWS8, ROWS4, ROWS2, ROWS1, START, LOADB, FMA, LAST) \
eights:                                                     \
	SUBQ  $8, R13;                                      \
	JLT   less8;                                        \
	TILE(loop8, last8, ROWS8, START, LOADB, FMA, LAST); \
	LEAQ  (SI)(R9*8), SI;                               \
	JMP   eights;                                       \
less8:                                                      \
	TESTQ $4, R13;                                      \
	JZ    less4;                                        \
	TILE(loop4, last4, ROWS4, START, LOADB, FMA, LAST); \
	LEAQ  (SI)(R9*4), SI;                               \
less4:                                                      \
	TESTQ $2, R13;                                      \
	JZ    less2;                                        \
	TILE(loop2, last2, ROWS2, START, LOADB, FMA, LAST); \
	LEAQ  (SI)(R9*2), SI;                               \
less2:                                                      \
	TESTQ $1, R13;                                      \
	JZ    done;                                         \
	TILE(loop1, last1, ROWS1, START, LOADB, FMA, LAST); \
done:                                                       \
	VZEROUPPER;                                         \
	RET

// func gemmAVX512(p *panel)
TEXT ·gemmAVX512(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	MOVQ panel_c(AX), DI
	MOVQ panel_ldc(AX), R8
	MOVQ panel_a(AX), SI
	MOVQ panel_row(AX), R9
	MOVQ panel_col(AX), R10
	MOVQ panel_ldb(AX), R11
	MOVQ panel_c0(AX), BX
	MOVQ panel_ldc0(AX), R12
	MOVQ panel_m(AX), R13
	MOVQ panel_n(AX), DX
	SHLQ $3, R8
	SHLQ $3, R9
	SHLQ $3, R10
	SHLQ $3, R11
	SHLQ $3, R12
	LEAQ (R9)(R9*2), R14

	// K1: the lanes of the last vector, (n-1)&7 + 1 of them.
	LEAQ  -1(DX), CX
	ANDQ  $7, CX
	MOVL  $2, AX
	SHLQ  CX, AX
	DECQ  AX
	KMOVW AX, K1
	CMPQ  DX, $4
	JLE   half
	CMPQ  DX, $8
	JLE   one
	CMPQ  DX, $16
	JLT   two
	JEQ   twoWhole
	CMPQ  DX, $24
	JLT   three
	JMP   threeWhole<>(SB)

half:
	JMP half<>(SB)

one:
	JMP one<>(SB)

two:
	JMP two<>(SB)

twoWhole:
	JMP twoWhole<>(SB)

three:
	JMP three<>(SB)

TEXT half<>(SB), NOSPLIT, $0-8
	PANEL(HALVES8, HALVES4, HALVES2, HALVES1, START1, LOADB0, FMA0, LAST0)

TEXT one<>(SB), NOSPLIT, $0-8
	PANEL(ROWS8, ROWS4, ROWS2, ROWS1, START1, LOADB1, FMA1, LAST1)

TEXT two<>(SB), NOSPLIT, $0-8
	PANEL(ROWS8, ROWS4, ROWS2, ROWS1, START2, LOADB2, FMA2, LAST2)

TEXT twoWhole<>(SB), NOSPLIT, $0-8
	PANEL(ROWS8, ROWS4, ROWS2, ROWS1, START2, LOADB2W, FMA2, LAST2)

TEXT three<>(SB), NOSPLIT, $0-8
	PANEL(ROWS8, ROWS4, ROWS2, ROWS1, START3, LOADB3, FMA3, LAST3)

TEXT threeWhole<>(SB), NOSPLIT, $0-8
	PANEL(ROWS8, ROWS4, ROWS2, ROWS1, START3, LOADB3W, FMA3, LAST3)
