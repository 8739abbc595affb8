//go:build arm64 && !purego

#include "go_asm.h"
#include "textflag.h"
#include "words_arm64.h"

// gemmNEON computes a panel of at most 12 columns, with the rounding of gemmAVX2.
//
// The columns are one to six vectors of two. The last of several is always columns n-2 and n-1: if n
// is odd it overlaps the one before, and computes and stores a column twice, with the same bits. A
// single column is a vector of which only the lower half is loaded and stored. The rows are taken
// four, two or one at a time; such a tile lives in registers while l runs.
//
//	V0-V23   the tile: row r has V(6r) to V(6r+5)
//	V24-V27  parts of one row of B
//	V28-V31  one element of A for each row, in the lower half
//	R0, R1   C at the next row; its stride in bytes, as are all
//	R2-R4    A at the tile's first row; its strides by row and by column
//	R5, R6   B; its stride
//	R7, R8   C₀ at the next row; its stride
//	R9, R10  rows still to do; where the last vector begins in a row
//	R11      what is left of l, of R21
//	R12, R22 B and its last vector, run along l
//	R13-R15, R20  A's rows; R19 runs along l from each
//
// A multiplication by element needs no copy of A's element in both lanes, for which a vector unit
// would have to do what LD1R and DUP ask. So one l of four rows and six vectors is 36 instructions, of
// which 24 multiply and 8 load.

// A column of vectors: B's in b, the tile's in r0 to r3.
#define COLUMN4(b, r0, r1, r2, r3) \
	FMLAE(r0, b, 28); \
	FMLAE(r1, b, 29); \
	FMLAE(r2, b, 30); \
	FMLAE(r3, b, 31)
#define COLUMN2(b, r0, r1, r2, r3) \
	FMLAE(r0, b, 28); \
	FMLAE(r1, b, 29)
#define COLUMN1(b, r0, r1, r2, r3) \
	FMLAE(r0, b, 28)

#define LOADA1 \
	FMOVD (R13)(R19), F28
#define LOADA2 \
	LOADA1; \
	FMOVD (R14)(R19), F29
#define LOADA4 \
	LOADA2;                \
	FMOVD (R15)(R19), F30; \
	FMOVD (R20)(R19), F31

// One l: a row of B, of one column or of one to six vectors, times a column of A.
#define STEP0(COLUMN) \
	FMOVD (R12), F24; \
	COLUMN(24, 0, 6, 12, 18)
#define STEP1(COLUMN) \
	FMOVQ (R12), F24; \
	COLUMN(24, 0, 6, 12, 18)
#define STEP2(COLUMN) \
	FMOVQ  (R12), F24;          \
	VLD1.P (R22)(R6), [V25.D2]; \
	COLUMN(24, 0, 6, 12, 18);   \
	COLUMN(25, 1, 7, 13, 19)
#define STEP3(COLUMN) \
	FLDPQ  (R12), (F24, F25);   \
	VLD1.P (R22)(R6), [V26.D2]; \
	COLUMN(24, 0, 6, 12, 18);   \
	COLUMN(25, 1, 7, 13, 19);   \
	COLUMN(26, 2, 8, 14, 20)
#define STEP4(COLUMN) \
	FLDPQ  (R12), (F24, F25);   \
	FMOVQ  32(R12), F26;        \
	VLD1.P (R22)(R6), [V27.D2]; \
	COLUMN(24, 0, 6, 12, 18);   \
	COLUMN(25, 1, 7, 13, 19);   \
	COLUMN(26, 2, 8, 14, 20);   \
	COLUMN(27, 3, 9, 15, 21)
#define STEP5(COLUMN) \
	FLDPQ  (R12), (F24, F25);   \
	FLDPQ  32(R12), (F26, F27); \
	COLUMN(24, 0, 6, 12, 18);   \
	COLUMN(25, 1, 7, 13, 19);   \
	VLD1.P (R22)(R6), [V24.D2]; \
	COLUMN(26, 2, 8, 14, 20);   \
	COLUMN(27, 3, 9, 15, 21);   \
	COLUMN(24, 4, 10, 16, 22)
#define STEP6(COLUMN) \
	FLDPQ  (R12), (F24, F25);   \
	FLDPQ  32(R12), (F26, F27); \
	COLUMN(24, 0, 6, 12, 18);   \
	COLUMN(25, 1, 7, 13, 19);   \
	FMOVQ  64(R12), F24;        \
	VLD1.P (R22)(R6), [V25.D2]; \
	COLUMN(26, 2, 8, 14, 20);   \
	COLUMN(27, 3, 9, 15, 21);   \
	COLUMN(24, 4, 10, 16, 22);  \
	COLUMN(25, 5, 11, 17, 23)

// Operations on a row of the tile: start from C₀ and store to C, the last of several vectors apart.
#define STARTLAST(f) \
	ADD   R10, R7, R23; \
	FMOVQ (R23), f;     \
	ADD   R8, R7
#define START0(f0, f1, f2, f3, f4, f5) \
	FMOVD (R7), f0; \
	ADD   R8, R7
#define START1(f0, f1, f2, f3, f4, f5) \
	FMOVQ (R7), f0; \
	ADD   R8, R7
#define START2(f0, f1, f2, f3, f4, f5) \
	FMOVQ (R7), f0; \
	STARTLAST(f1)
#define START3(f0, f1, f2, f3, f4, f5) \
	FLDPQ (R7), (f0, f1); \
	STARTLAST(f2)
#define START4(f0, f1, f2, f3, f4, f5) \
	FLDPQ (R7), (f0, f1); \
	FMOVQ 32(R7), f2;     \
	STARTLAST(f3)
#define START5(f0, f1, f2, f3, f4, f5) \
	FLDPQ (R7), (f0, f1);   \
	FLDPQ 32(R7), (f2, f3); \
	STARTLAST(f4)
#define START6(f0, f1, f2, f3, f4, f5) \
	FLDPQ (R7), (f0, f1);   \
	FLDPQ 32(R7), (f2, f3); \
	FMOVQ 64(R7), f4;       \
	STARTLAST(f5)

#define STORELAST(f) \
	ADD   R10, R0, R23; \
	FMOVQ f, (R23);     \
	ADD   R1, R0
#define STORE0(f0, f1, f2, f3, f4, f5) \
	FMOVD f0, (R0); \
	ADD   R1, R0
#define STORE1(f0, f1, f2, f3, f4, f5) \
	FMOVQ f0, (R0); \
	ADD   R1, R0
#define STORE2(f0, f1, f2, f3, f4, f5) \
	FMOVQ f0, (R0); \
	STORELAST(f1)
#define STORE3(f0, f1, f2, f3, f4, f5) \
	FSTPQ (f0, f1), (R0); \
	STORELAST(f2)
#define STORE4(f0, f1, f2, f3, f4, f5) \
	FSTPQ (f0, f1), (R0); \
	FMOVQ f2, 32(R0);     \
	STORELAST(f3)
#define STORE5(f0, f1, f2, f3, f4, f5) \
	FSTPQ (f0, f1), (R0);   \
	FSTPQ (f2, f3), 32(R0); \
	STORELAST(f4)
#define STORE6(f0, f1, f2, f3, f4, f5) \
	FSTPQ (f0, f1), (R0);   \
	FSTPQ (f2, f3), 32(R0); \
	FMOVQ f4, 64(R0);       \
	STORELAST(f5)

#define ROWS1(OP) \
	OP(F0, F1, F2, F3, F4, F5)
#define ROWS2(OP) \
	ROWS1(OP); \
	OP(F6, F7, F8, F9, F10, F11)
#define ROWS4(OP) \
	ROWS2(OP);                        \
	OP(F12, F13, F14, F15, F16, F17); \
	OP(F18, F19, F20, F21, F22, F23)

// The tile of some rows at R2, R7 and R0.
#define TILE(loop, ROWS, LOADA, COLUMN, START, STEP, STORE) \
	MOVD R2, R13;      \
	ADD  R3, R13, R14; \
	ADD  R3, R14, R15; \
	ADD  R3, R15, R20; \
	MOVD ZR, R19;      \
	MOVD R5, R12;      \
	ADD  R10, R5, R22; \
	MOVD R21, R11;     \
	ROWS(START);       \
	PCALIGN $16;       \
loop:                      \
	LOADA;             \
	STEP(COLUMN);      \
	ADD  R4, R19;      \
	ADD  R6, R12;      \
	SUBS $1, R11;      \
	BNE  loop;         \
	ROWS(STORE)

// All rows: fours, then what is left.
#define PANEL(START, STEP, STORE) \
fours:                                                           \
	SUBS $4, R9;                                             \
	BLT  less4;                                              \
	TILE(loop4, ROWS4, LOADA4, COLUMN4, START, STEP, STORE); \
	ADD  R3, R20, R2;                                        \
	B    fours;                                              \
less4:                                                           \
	TBZ  $1, R9, less2;                                      \
	TILE(loop2, ROWS2, LOADA2, COLUMN2, START, STEP, STORE); \
	MOVD R15, R2;                                            \
less2:                                                           \
	TBZ  $0, R9, done;                                       \
	TILE(loop1, ROWS1, LOADA1, COLUMN1, START, STEP, STORE); \
done:                                                            \
	RET

// func gemmNEON(p *panel)
TEXT ·gemmNEON(SB), NOSPLIT, $0-8
	MOVD p+0(FP), R26
	MOVD panel_c(R26), R0
	MOVD panel_ldc(R26), R1
	MOVD panel_a(R26), R2
	MOVD panel_row(R26), R3
	MOVD panel_col(R26), R4
	MOVD panel_b(R26), R5
	MOVD panel_ldb(R26), R6
	MOVD panel_c0(R26), R7
	MOVD panel_ldc0(R26), R8
	MOVD panel_m(R26), R9
	MOVD panel_n(R26), R25
	MOVD panel_k(R26), R21
	LSL  $3, R1
	LSL  $3, R3
	LSL  $3, R4
	LSL  $3, R6
	LSL  $3, R8
	SUB  $2, R25, R10
	LSL  $3, R10
	CMP  $10, R25
	BGT  six
	CMP  $8, R25
	BGT  five
	CMP  $6, R25
	BGT  four
	CMP  $4, R25
	BGT  three
	CMP  $2, R25
	BGT  two
	BEQ  one
	B    column<>(SB)

one:
	B one<>(SB)

two:
	B two<>(SB)

three:
	B three<>(SB)

four:
	B four<>(SB)

five:
	B five<>(SB)

six:
	B six<>(SB)

TEXT column<>(SB), NOSPLIT, $0-8
	PANEL(START0, STEP0, STORE0)

TEXT one<>(SB), NOSPLIT, $0-8
	PANEL(START1, STEP1, STORE1)

TEXT two<>(SB), NOSPLIT, $0-8
	PANEL(START2, STEP2, STORE2)

TEXT three<>(SB), NOSPLIT, $0-8
	PANEL(START3, STEP3, STORE3)

TEXT four<>(SB), NOSPLIT, $0-8
	PANEL(START4, STEP4, STORE4)

TEXT five<>(SB), NOSPLIT, $0-8
	PANEL(START5, STEP5, STORE5)

TEXT six<>(SB), NOSPLIT, $0-8
	PANEL(START6, STEP6, STORE6)

// dst = srcᵀ, rows and columns in multiples of four, as transposeAVX2, by blocks of 4×2.
//
// func transposeNEON(dst *float64, ldd int, src *float64, lds int, rows, cols int)
TEXT ·transposeNEON(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD ldd+8(FP), R1
	MOVD src+16(FP), R2
	MOVD lds+24(FP), R3
	MOVD rows+32(FP), R9
	MOVD cols+40(FP), R10
	LSL  $3, R1
	LSL  $3, R3

rows:
	MOVD R2, R13
	ADD  R3, R13, R14
	ADD  R3, R14, R15
	ADD  R3, R15, R20
	MOVD R0, R4
	MOVD R10, R11

columns:
	FMOVQ.P 16(R13), F0
	FMOVQ.P 16(R14), F1
	FMOVQ.P 16(R15), F2
	FMOVQ.P 16(R20), F3
	VTRN1   V1.D2, V0.D2, V4.D2
	VTRN1   V3.D2, V2.D2, V5.D2
	VTRN2   V1.D2, V0.D2, V6.D2
	VTRN2   V3.D2, V2.D2, V7.D2
	FSTPQ   (F4, F5), (R4)
	ADD     R1, R4
	FSTPQ   (F6, F7), (R4)
	ADD     R1, R4
	SUBS    $2, R11
	BNE     columns
	ADD     R3<<2, R2
	ADD     $32, R0
	SUBS    $4, R9
	BNE     rows
	RET

// Columns of B, in fours, their rows one after the other, as packAVX2.
//
// func packNEON(dst, src *float64, lds, rows, vectors int)
TEXT ·packNEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD lds+16(FP), R2
	MOVD rows+24(FP), R3
	MOVD vectors+32(FP), R4
	LSL  $3, R2
	LSL  $3, R2, R7

row:
	ADD  R7, R1, R8
	PRFM (R8), PLDL1KEEP
	PRFM 64(R8), PLDL1KEEP
	MOVD R1, R5
	MOVD R4, R6

loop:
	FLDPQ.P 32(R5), (F0, F1)
	FSTPQ.P (F0, F1), 32(R0)
	SUBS    $1, R6
	BNE     loop
	ADD     R2, R1
	SUBS    $1, R3
	BNE     row
	RET

// matvecNEON computes a panel of one row and at least four columns, as matvecAVX2: four groups of four
// rows of W, which may overlap, each row's chain in a register of its own. To interleave rows for
// vectors would take as many steps of the vector units as it spares.
//
//	F0-F15        z
//	F16-F19       two elements of x; of a row of W
//	R0-R15        rows of W, run along l
//	R19, R20      x; what is left of k
//	R21, R22, R26 C, C₀ and W at the first group
//	R23, R24      where the last group begins; rows still to do
//	R25           W's stride in bytes
//	R16, R17      scratch

// R16 = where group i begins.
#define FIRST(i) \
	MOVD $(4*i), R16; \
	CMP  R23, R16;    \
	CSEL LT, R16, R23, R16
#define START(i, w0, w1, w2, w3, f0, f1, f2, f3) \
	FIRST(i);                \
	MADD  R25, R26, R16, w0; \
	ADD   R25, w0, w1;       \
	ADD   R25, w1, w2;       \
	ADD   R25, w2, w3;       \
	ADD   R16<<3, R22, R16;  \
	FLDPD (R16), (f0, f1);   \
	FLDPD 16(R16), (f2, f3)
#define STORE(i, f0, f1, f2, f3) \
	FIRST(i);               \
	ADD   R16<<3, R21, R16; \
	FSTPD (f0, f1), (R16);  \
	FSTPD (f2, f3), 16(R16)

// Two terms of a row, and one.
#define TWO(w, acc) \
	FLDPD.P 16(w), (F18, F19);  \
	FMADDD  F16, acc, F18, acc; \
	FMADDD  F17, acc, F19, acc
#define ONE(w, acc) \
	FMOVD  (w), F18; \
	FMADDD F16, acc, F18, acc

#define ROWS16(OP) \
	OP(R0, F0);   \
	OP(R1, F1);   \
	OP(R2, F2);   \
	OP(R3, F3);   \
	OP(R4, F4);   \
	OP(R5, F5);   \
	OP(R6, F6);   \
	OP(R7, F7);   \
	OP(R8, F8);   \
	OP(R9, F9);   \
	OP(R10, F10); \
	OP(R11, F11); \
	OP(R12, F12); \
	OP(R13, F13); \
	OP(R14, F14); \
	OP(R15, F15)

// func matvecNEON(p *panel)
TEXT ·matvecNEON(SB), NOSPLIT, $0-8
	MOVD p+0(FP), R19
	MOVD panel_c(R19), R21
	MOVD panel_c0(R19), R22
	MOVD panel_b(R19), R26
	MOVD panel_ldb(R19), R25
	MOVD panel_n(R19), R24
	LSL  $3, R25

rows:
	// Sixteen rows, or all that are left, but twelve of 17 to 19, so that four are left.
	MOVD $16, R23
	MOVD $12, R16
	SUB  $17, R24, R17
	CMP  $3, R17
	CSEL LO, R16, R23, R23
	CMP  R24, R23
	CSEL LT, R23, R24, R23
	SUB  $4, R23
	START(0, R0, R1, R2, R3, F0, F1, F2, F3)
	START(1, R4, R5, R6, R7, F4, F5, F6, F7)
	START(2, R8, R9, R10, R11, F8, F9, F10, F11)
	START(3, R12, R13, R14, R15, F12, F13, F14, F15)
	MOVD p+0(FP), R17
	MOVD panel_a(R17), R19
	MOVD panel_k(R17), R20
	SUBS $2, R20
	BLT  last

twos:
	FLDPD.P 16(R19), (F16, F17)
	ROWS16(TWO)
	SUBS    $2, R20
	BGE     twos

last:
	TBZ   $0, R20, done
	FMOVD (R19), F16
	ROWS16(ONE)

done:
	STORE(0, F0, F1, F2, F3)
	STORE(1, F4, F5, F6, F7)
	STORE(2, F8, F9, F10, F11)
	STORE(3, F12, F13, F14, F15)
	ADD  $4, R23
	ADD  R23<<3, R21
	ADD  R23<<3, R22
	MADD R25, R26, R23, R26
	SUBS R23, R24
	BNE  rows
	RET
