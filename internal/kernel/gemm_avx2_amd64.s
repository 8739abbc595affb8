//go:build amd64 && !purego

#include "go_asm.h"
#include "textflag.h"
#include "immediates_amd64.h"

// gemmAVX2 computes a panel of at most 12 columns, with the rounding of gemmAVX512.
//
// The columns are one, two or three vectors of four, of which the last is loaded, and if it is not
// full also stored, through a mask. The rows are taken four, two or one at a time.
//
//	Y0-Y11   the tile: row r has Y(3r), Y(3r+1), Y(3r+2)
//	Y12-Y14  one row of B
//	Y15      the mask, then one element of A in all lanes
//	SI       A at the tile's first row; AX runs along l from there
//	DX       B, runs along l
//	BX, DI   C₀ and C at the next row
//	R8-R12   strides in bytes: c, a by row, a by column, b, c₀
//	R14      three times a's row stride
//	R15      address of the mask
//	CX, R13  l and rows still to do

#define ROWS1(OP) \
	OP((AX), Y0, Y1, Y2)
#define ROWS2(OP) \
	ROWS1(OP); \
	OP((AX)(R9*1), Y3, Y4, Y5)
#define ROWS4(OP) \
	ROWS2(OP);                  \
	OP((AX)(R9*2), Y6, Y7, Y8); \
	OP((AX)(R14*1), Y9, Y10, Y11)

#define MASK VMOVUPD (R15), Y15

// Operations on a row of one, two or three vectors: start from C₀, add a·B, store to C whole or
// masked.
#define START1(a, c0, c1, c2) \
	VMASKMOVPD (BX), Y15, c0; \
	ADDQ       R12, BX
#define START2(a, c0, c1, c2) \
	VMOVUPD    (BX), c0;        \
	VMASKMOVPD 32(BX), Y15, c1; \
	ADDQ       R12, BX
#define START3(a, c0, c1, c2) \
	VMOVUPD    (BX), c0;        \
	VMOVUPD    32(BX), c1;      \
	VMASKMOVPD 64(BX), Y15, c2; \
	ADDQ       R12, BX

#define FMA1(a, c0, c1, c2) \
	VBROADCASTSD a, Y15; \
	VFMADD231PD  Y12, Y15, c0
#define FMA2(a, c0, c1, c2) \
	FMA1(a, c0, c1, c2); \
	VFMADD231PD Y13, Y15, c1
#define FMA3(a, c0, c1, c2) \
	FMA2(a, c0, c1, c2); \
	VFMADD231PD Y14, Y15, c2

#define STORE1(a, c0, c1, c2) \
	VMOVUPD c0, (DI); \
	ADDQ    R8, DI
#define STORE2(a, c0, c1, c2) \
	VMOVUPD c0, (DI);   \
	VMOVUPD c1, 32(DI); \
	ADDQ    R8, DI
#define STORE3(a, c0, c1, c2) \
	VMOVUPD c0, (DI);   \
	VMOVUPD c1, 32(DI); \
	VMOVUPD c2, 64(DI); \
	ADDQ    R8, DI

#define MASKED1(a, c0, c1, c2) \
	VMASKMOVPD c0, Y15, (DI); \
	ADDQ       R8, DI
#define MASKED2(a, c0, c1, c2) \
	VMOVUPD    c0, (DI);        \
	VMASKMOVPD c1, Y15, 32(DI); \
	ADDQ       R8, DI
#define MASKED3(a, c0, c1, c2) \
	VMOVUPD    c0, (DI);        \
	VMOVUPD    c1, 32(DI);      \
	VMASKMOVPD c2, Y15, 64(DI); \
	ADDQ       R8, DI

#define LOADB1 \
	VMASKMOVPD (DX), Y15, Y12
#define LOADB2 \
	VMOVUPD    (DX), Y12; \
	VMASKMOVPD 32(DX), Y15, Y13
#define LOADB3 \
	VMOVUPD    (DX), Y12;   \
	VMOVUPD    32(DX), Y13; \
	VMASKMOVPD 64(DX), Y15, Y14

#define TILE(loop, masked, stored, ROWS, START, LOADB, FMA, STORE, MASKED) \
	MOVQ p+0(FP), CX;     \
	MOVQ panel_b(CX), DX; \
	MOVQ panel_k(CX), CX; \
	MOVQ SI, AX;          \
	MASK;                 \
	ROWS(START);          \
	PCALIGN $32;          \
loop:                         \
	MASK;                 \
	LOADB;                \
	ROWS(FMA);            \
	ADDQ R11, DX;         \
	ADDQ R10, AX;         \
	DECQ CX;              \
	JNZ  loop;            \
	MASK;                 \
	CMPQ 24(R15), $0;     \
	JEQ  masked;          \
	ROWS(STORE);          \
	JMP  stored;          \
masked:                       \
	ROWS(MASKED);         \
stored:

// All rows: fours, then what is left.
#define PANEL(START, LOADB, FMA, STORE, MASKED) \
fours:                                                                          \
	SUBQ  $4, R13;                                                          \
	JLT   less4;                                                            \
	TILE(loop4, masked4, stored4, ROWS4, START, LOADB, FMA, STORE, MASKED); \
	LEAQ  (SI)(R9*4), SI;                                                   \
	JMP   fours;                                                            \
less4:                                                                          \
	TESTQ $2, R13;                                                          \
	JZ    less2;                                                            \
	TILE(loop2, masked2, stored2, ROWS2, START, LOADB, FMA, STORE, MASKED); \
	LEAQ  (SI)(R9*2), SI;                                                   \
less2:                                                                          \
	TESTQ $1, R13;                                                          \
	JZ    done;                                                             \
	TILE(loop1, masked1, stored1, ROWS1, START, LOADB, FMA, STORE, MASKED); \
done:                                                                           \
	VZEROUPPER;                                                             \
	RET

// func gemmAVX2(p *panel)
TEXT ·gemmAVX2(SB), NOSPLIT, $0-8
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

	// The last vector has (n-1)&3 + 1 lanes.
	LEAQ -1(DX), CX
	ANDQ $3, CX
	SHLQ $3, CX
	LEAQ ·lanes+24(SB), R15
	SUBQ CX, R15
	CMPQ DX, $4
	JLE  one
	CMPQ DX, $8
	JLE  two
	JMP  three<>(SB)

one:
	JMP one<>(SB)

two:
	JMP two<>(SB)

TEXT one<>(SB), NOSPLIT, $0-8
	PANEL(START1, LOADB1, FMA1, STORE1, MASKED1)

TEXT two<>(SB), NOSPLIT, $0-8
	PANEL(START2, LOADB2, FMA2, STORE2, MASKED2)

TEXT three<>(SB), NOSPLIT, $0-8
	PANEL(START3, LOADB3, FMA3, STORE3, MASKED3)

// dst = srcᵀ, rows and columns in multiples of four:
//
//	for i := range rows {
//		for j := range cols {
//			dst[j*ldd+i] = src[i*lds+j]
//		}
//	}
//
// Of a block of 4×4, halves of rows that are two apart share a register, and two registers are
// interleaved.

// The transposed block of the rows at p, p+R11, p+2·R11, p+R14, in t0-t3. Clobbers u0-u3, whose
// lower halves x0-x3 are.
#define TRANSPOSED4(p, t0, t1, t2, t3, u0, u1, u2, u3, x0, x1, x2, x3) \
	VMOVUPD     (p), x0;                     \
	VMOVUPD     (p)(R11*1), x1;              \
	VMOVUPD     16(p), x2;                   \
	VMOVUPD     16(p)(R11*1), x3;            \
	VINSERTF128 UPPER, (p)(R11*2), u0, u0;   \
	VINSERTF128 UPPER, (p)(R14*1), u1, u1;   \
	VINSERTF128 UPPER, 16(p)(R11*2), u2, u2; \
	VINSERTF128 UPPER, 16(p)(R14*1), u3, u3; \
	VUNPCKLPD   u1, u0, t0;                  \
	VUNPCKHPD   u1, u0, t1;                  \
	VUNPCKLPD   u3, u2, t2;                  \
	VUNPCKHPD   u3, u2, t3

// func transposeAVX2(dst *float64, ldd int, src *float64, lds int, rows, cols int)
TEXT ·transposeAVX2(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ ldd+8(FP), R8
	MOVQ src+16(FP), SI
	MOVQ lds+24(FP), R11
	MOVQ rows+32(FP), R13
	SHLQ $3, R8
	SHLQ $3, R11
	LEAQ (R8)(R8*2), R9
	LEAQ (R11)(R11*2), R14

rows:
	MOVQ SI, AX
	MOVQ DI, BX
	MOVQ cols+40(FP), CX

columns:
	TRANSPOSED4(AX, Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y3, X0, X1, X2, X3)
	VMOVUPD Y4, (BX)
	VMOVUPD Y5, (BX)(R8*1)
	VMOVUPD Y6, (BX)(R8*2)
	VMOVUPD Y7, (BX)(R9*1)
	ADDQ    $32, AX
	LEAQ    (BX)(R8*4), BX
	SUBQ    $4, CX
	JNZ     columns
	LEAQ    (SI)(R11*4), SI
	ADDQ    $32, DI
	SUBQ    $4, R13
	JNZ     rows
	VZEROUPPER
	RET

// Columns of B, in whole vectors, their rows one after the other:
//
//	for l := range rows {
//		copy(dst[4*vectors*l:4*vectors*(l+1)], src[l*lds:])
//	}
//
// The rows of a wide matrix are on as many pages; they are fetched ahead.
//
// func packAVX2(dst, src *float64, lds, rows, vectors int)
TEXT ·packAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ lds+16(FP), R11
	MOVQ rows+24(FP), CX
	SHLQ $3, R11

row:
	MOVQ       vectors+32(FP), AX
	MOVQ       SI, BX
	PREFETCHT0 (SI)(R11*8)
	PREFETCHT0 64(SI)(R11*8)
	PREFETCHT0 128(SI)(R11*8)

loop:
	VMOVUPD (BX), Y0
	VMOVUPD Y0, (DI)
	ADDQ    $32, BX
	ADDQ    $32, DI
	DECQ    AX
	JNZ     loop
	ADDQ    R11, SI
	DECQ    CX
	JNZ     row
	VZEROUPPER
	RET

// matvecAVX2 computes a panel of one row and at least four columns, whose B is the transpose of a
// matrix W, n×k. Four rows of W are a group, transposed in registers, so that each lane is one row's
// chain. Four groups are computed at a time; those of fewer than sixteen rows overlap, and compute an
// element more than once, with the same bits.
//
//	Y0-Y3    z, a group each
//	Y4-Y7    elements of x in all lanes
//	AX, BX, CX, DX  W at the groups, run along l
//	R15, DI, R12    W, C₀ and C at the first group
//	R11, R14 W's stride in bytes and, while l runs, three times that
//	R9, R10  where the last group begins; rows still to do
//	SI, R13  x; what is left of k
//	R8       rounds, where groups are apart

// R14 = where group i begins.
#define FIRST(i) \
	MOVQ    $(4*i), R14; \
	CMPQ    R14, R9;     \
	CMOVQGT R9, R14
#define START(i, w, acc) \
	FIRST(i);                 \
	VMOVUPD (DI)(R14*8), acc; \
	IMULQ   R11, R14;         \
	LEAQ    (R15)(R14*1), w
#define STORE(i, acc) \
	FIRST(i); \
	VMOVUPD acc, (R12)(R14*8)

// acc += W·x over four columns and the four rows at w, which are transposed.
#define FOUR(w, acc) \
	VMOVUPD     (w), Y8;                     \
	VMOVUPD     (w)(R11*1), Y9;              \
	VMOVUPD     (w)(R11*2), Y10;             \
	VMOVUPD     (w)(R14*1), Y11;             \
	VUNPCKLPD   Y9, Y8, Y12;                 \
	VUNPCKHPD   Y9, Y8, Y13;                 \
	VUNPCKLPD   Y11, Y10, Y14;               \
	VUNPCKHPD   Y11, Y10, Y15;               \
	VPERM2F128  LOWER_HALVES, Y14, Y12, Y8;  \
	VPERM2F128  LOWER_HALVES, Y15, Y13, Y9;  \
	VPERM2F128  UPPER_HALVES, Y14, Y12, Y10; \
	VPERM2F128  UPPER_HALVES, Y15, Y13, Y11; \
	VFMADD231PD Y8, Y4, acc;                 \
	VFMADD231PD Y9, Y5, acc;                 \
	VFMADD231PD Y10, Y6, acc;                \
	VFMADD231PD Y11, Y7, acc;                \
	ADDQ        $32, w

// Four elements of x, o bytes on, in all lanes.
#define ELEMENTS(o) \
	VBROADCASTSD o(SI), Y4;    \
	VBROADCASTSD 8+o(SI), Y5;  \
	VBROADCASTSD 16+o(SI), Y6; \
	VBROADCASTSD 24+o(SI), Y7

// Where W's stride is a multiple of 4 kB, the lines of sixteen rows at the same columns belong to one
// set of the first level of cache, which has room for eight or twelve. Two groups then go ahead by so
// many columns: on Zen 4 256×512 takes 0.5 of the time.
#define LAG 64

// acc += W·x over one column.
#define COLUMN(w, acc) \
	VMOVSD      (w), X8;             \
	VMOVHPD     (w)(R11*1), X8, X8;  \
	VMOVSD      (w)(R11*2), X9;      \
	VMOVHPD     (w)(R14*1), X9, X9;  \
	VINSERTF128 UPPER, X9, Y8, Y8;   \
	VFMADD231PD Y8, Y4, acc;         \
	ADDQ        $8, w

// func matvecAVX2(p *panel)
TEXT ·matvecAVX2(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), SI
	MOVQ panel_b(SI), R15
	MOVQ panel_c0(SI), DI
	MOVQ panel_c(SI), R12
	MOVQ panel_ldb(SI), R11
	MOVQ panel_n(SI), R10
	SHLQ $3, R11

rows:
	// Sixteen rows, or all that are left, but twelve of 17 to 19, so that four are left.
	MOVQ    $16, R9
	MOVQ    $12, R14
	LEAQ    -17(R10), R13
	CMPQ    R13, $3
	CMOVQCS R14, R9
	CMPQ    R10, R9
	CMOVQLT R10, R9
	SUBQ    $4, R9
	START(0, AX, Y0)
	START(1, BX, Y1)
	START(2, CX, Y2)
	START(3, DX, Y3)
	LEAQ    (R11)(R11*2), R14
	MOVQ    p+0(FP), SI
	MOVQ    panel_k(SI), R13
	MOVQ    panel_a(SI), SI
	TESTQ   $4095, R11
	JNE     together
	CMPQ    R13, $(2*LAG)
	JGE     apart

together:
	SUBQ    $4, R13
	JLT     last
	PCALIGN $32

fours:
	ELEMENTS(0)
	FOUR(AX, Y0)
	FOUR(BX, Y1)
	FOUR(CX, Y2)
	FOUR(DX, Y3)
	ADDQ $32, SI
	SUBQ $4, R13
	JGE  fours

last:
	ADDQ $4, R13
	JEQ  done

ones:
	VBROADCASTSD (SI), Y4
	COLUMN(AX, Y0)
	COLUMN(BX, Y1)
	COLUMN(CX, Y2)
	COLUMN(DX, Y3)
	ADDQ         $8, SI
	DECQ         R13
	JNZ          ones

done:
	STORE(0, Y0)
	STORE(1, Y1)
	STORE(2, Y2)
	STORE(3, Y3)
	ADDQ  $4, R9
	LEAQ  (DI)(R9*8), DI
	LEAQ  (R12)(R9*8), R12
	SUBQ  R9, R10
	IMULQ R11, R9
	ADDQ  R9, R15
	TESTQ R10, R10
	JNZ   rows
	VZEROUPPER
	RET

	// As above, but two groups are LAG columns ahead of the others.
apart:
	MOVQ $(LAG/4), R8

ahead:
	ELEMENTS(0)
	FOUR(AX, Y0)
	FOUR(BX, Y1)
	ADDQ $32, SI
	DECQ R8
	JNZ  ahead
	SUBQ $(LAG+4), R13

both:
	ELEMENTS(0)
	FOUR(AX, Y0)
	FOUR(BX, Y1)
	ELEMENTS(-8*LAG)
	FOUR(CX, Y2)
	FOUR(DX, Y3)
	ADDQ $32, SI
	SUBQ $4, R13
	JGE  both
	SUBQ $(8*LAG), SI
	MOVQ $(LAG/4), R8

behind:
	ELEMENTS(0)
	FOUR(CX, Y2)
	FOUR(DX, Y3)
	ADDQ $32, SI
	DECQ R8
	JNZ  behind
	JMP  last
