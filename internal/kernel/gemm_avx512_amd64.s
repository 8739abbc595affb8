//go:build amd64 && !purego

#include "textflag.h"

// C = C₀ + A·B for at most 24 columns, one FMA chain per element in the order of l:
//
//	for i := range m {
//		for j := range n {
//			acc := c0[i*ldc0+j]
//			for l := range k {
//				acc = math.FMA(a[i*ars+l*acs], b[l*ldb+j], acc)
//			}
//			if alpha != nil {
//				acc = math.FMA(*alpha, acc, c[i*ldc+j])
//			}
//			c[i*ldc+j] = acc
//		}
//	}
//
// The columns are half a vector of eight, one, two or three vectors, the last one masked by K1. The rows are
// taken eight, four, two or one at a time; such a tile lives in registers while l runs.
//
//	Z0-Z23   the tile: row r has Z(3r), Z(3r+1), Z(3r+2)
//	Z24-Z26  one row of B
//	Z27      one element of A in all lanes
//	Z28      α
//	SI       A at the tile's first row; AX and R15 run along l from its rows 0 and 4
//	DX       B, runs along l
//	BX, DI   C₀ and C at the next row
//	R8-R12   strides in bytes: c, a by row, a by column, b, c₀
//	R14      three times a's row stride
//	CX, R13  C at a row of the next tile, what is left of l, where α is; rows still to do

// Rows of a tile: the operation, applied to each row's element of A and its accumulators.
#define ROWS1(OP) \
	OP((AX), Z0, Z1, Z2)
#define ROWS2(OP) \
	ROWS1(OP);                    \
	OP((AX)(R9*1), Z3, Z4, Z5)
#define ROWS4(OP) \
	ROWS2(OP);                    \
	OP((AX)(R9*2), Z6, Z7, Z8);   \
	OP((AX)(R14*1), Z9, Z10, Z11)
#define ROWS8(OP) \
	ROWS4(OP);                       \
	OP((R15), Z12, Z13, Z14);        \
	OP((R15)(R9*1), Z15, Z16, Z17);  \
	OP((R15)(R9*2), Z18, Z19, Z20);  \
	OP((R15)(R14*1), Z21, Z22, Z23)

// The same for rows of at most four columns, which use half of each register: so narrow a matrix is
// often just written, and a load that reaches beyond what a store wrote has to wait for it.
#define HALVES1(OP) \
	OP((AX), Y0, Y1, Y2)
#define HALVES2(OP) \
	HALVES1(OP);                  \
	OP((AX)(R9*1), Y3, Y4, Y5)
#define HALVES4(OP) \
	HALVES2(OP);                  \
	OP((AX)(R9*2), Y6, Y7, Y8);   \
	OP((AX)(R14*1), Y9, Y10, Y11)
#define HALVES8(OP) \
	HALVES4(OP);                     \
	OP((R15), Y12, Y13, Y14);        \
	OP((R15)(R9*1), Y15, Y16, Y17);  \
	OP((R15)(R9*2), Y18, Y19, Y20);  \
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

#define FMA0(a, c0, c1, c2) \
	VBROADCASTSD a, Y27;       \
	VFMADD231PD  Y24, Y27, c0
#define FMA1(a, c0, c1, c2) \
	VBROADCASTSD a, Z27;       \
	VFMADD231PD  Z24, Z27, c0
#define FMA2(a, c0, c1, c2) \
	FMA1(a, c0, c1, c2);      \
	VFMADD231PD Z25, Z27, c1
#define FMA3(a, c0, c1, c2) \
	FMA2(a, c0, c1, c2);      \
	VFMADD231PD Z26, Z27, c2

// Set a row of the tile to C + α·tile.
#define ADD0(c0, c1, c2) \
	VFMADD213PD (DI), Y28, K1, c0
#define ADD1(c0, c1, c2) \
	VFMADD213PD (DI), Z28, K1, c0
#define ADD2(c0, c1, c2) \
	VFMADD213PD (DI), Z28, c0;      \
	VFMADD213PD 64(DI), Z28, K1, c1
#define ADD3(c0, c1, c2) \
	VFMADD213PD (DI), Z28, c0;       \
	VFMADD213PD 64(DI), Z28, c1;     \
	VFMADD213PD 128(DI), Z28, K1, c2

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

// The last l of a row, together with its store: if all stores of a tile waited for their turn at its end, the next
// tile would have to wait with them.
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
#define LASTADD0(a, c0, c1, c2) \
	FMA0(a, c0, c1, c2); \
	ADD0(c0, c1, c2);    \
	STORE1(c0, c1, c2)
#define LASTADD1(a, c0, c1, c2) \
	FMA1(a, c0, c1, c2); \
	ADD1(c0, c1, c2);    \
	STORE1(c0, c1, c2)
#define LASTADD2(a, c0, c1, c2) \
	FMA2(a, c0, c1, c2); \
	ADD2(c0, c1, c2);    \
	STORE2(c0, c1, c2)
#define LASTADD3(a, c0, c1, c2) \
	FMA3(a, c0, c1, c2); \
	ADD3(c0, c1, c2);    \
	STORE3(c0, c1, c2)

#define LOADB0 \
	VMOVUPD.Z (DX), K1, Y24
#define LOADB1 \
	VMOVUPD.Z (DX), K1, Z24
#define LOADB2 \
	VMOVUPD   (DX), Z24;       \
	VMOVUPD.Z 64(DX), K1, Z25
#define LOADB3 \
	VMOVUPD   (DX), Z24;        \
	VMOVUPD   64(DX), Z25;      \
	VMOVUPD.Z 128(DX), K1, Z26

// The same for a whole last vector: a mask takes a unit that multiplies.
#define LOADB2W \
	VMOVUPD (DX), Z24;   \
	VMOVUPD 64(DX), Z25
#define LOADB3W \
	VMOVUPD (DX), Z24;    \
	VMOVUPD 64(DX), Z25;  \
	VMOVUPD 128(DX), Z26

// The tile of some rows at SI, BX and DI.
#define TILE(loop, last, store, end, ROWS, START, LOADB, FMA, LASTADD, LAST) \
	MOVQ b+40(FP), DX;      \
	LEAQ (DI)(R8*8), CX;    \
	MOVQ SI, AX;            \
	LEAQ (SI)(R9*4), R15;   \
	ROWS(START);            \
	MOVQ k+88(FP), CX;      \
	DECQ CX;                \
	JZ   last;              \
	PCALIGN $32;            \
loop:                           \
	LOADB;                  \
	ROWS(FMA);              \
	ADDQ R11, DX;           \
	ADDQ R10, AX;           \
	ADDQ R10, R15;          \
	DECQ CX;                \
	JNZ  loop;              \
last:                           \
	LOADB;                  \
	MOVQ alpha+96(FP), CX;  \
	TESTQ CX, CX;           \
	JZ   store;             \
	VBROADCASTSD (CX), Z28; \
	ROWS(LASTADD);          \
	JMP  end;               \
store:                          \
	ROWS(LAST);             \
end:

// All rows: eights, then what is left.
#define PANEL(eights, loop8, last8, store8, end8, less8, loop4, last4, store4, end4, less4, loop2, last2, store2, end2, less2, loop1, last1, store1, end1, ROWS8, ROWS4, ROWS2, ROWS1, START, LOADB, FMA, LASTADD, LAST) \
eights:                                          \
	SUBQ  $8, R13;                               \
	JLT   less8;                                 \
	TILE(loop8, last8, store8, end8, ROWS8, START, LOADB, FMA, LASTADD, LAST); \
	LEAQ  (SI)(R9*8), SI;                        \
	JMP   eights;                                \
less8:                                           \
	TESTQ $4, R13;                               \
	JZ    less4;                                 \
	TILE(loop4, last4, store4, end4, ROWS4, START, LOADB, FMA, LASTADD, LAST); \
	LEAQ  (SI)(R9*4), SI;                        \
less4:                                           \
	TESTQ $2, R13;                               \
	JZ    less2;                                 \
	TILE(loop2, last2, store2, end2, ROWS2, START, LOADB, FMA, LASTADD, LAST); \
	LEAQ  (SI)(R9*2), SI;                        \
less2:                                           \
	TESTQ $1, R13;                               \
	JZ    done;                                  \
	TILE(loop1, last1, store1, end1, ROWS1, START, LOADB, FMA, LASTADD, LAST); \
	JMP   done

// func gemmAVX512(c *float64, ldc int, a *float64, ars, acs int, b *float64, ldb int, c0 *float64, ldc0 int, m, n, k int, alpha *float64)
TEXT ·gemmAVX512(SB), NOSPLIT, $0-104
	MOVQ c+0(FP), DI
	MOVQ ldc+8(FP), R8
	MOVQ a+16(FP), SI
	MOVQ ars+24(FP), R9
	MOVQ acs+32(FP), R10
	MOVQ ldb+48(FP), R11
	MOVQ c0+56(FP), BX
	MOVQ ldc0+64(FP), R12
	MOVQ m+72(FP), R13
	MOVQ n+80(FP), CX
	SHLQ $3, R8
	SHLQ $3, R9
	SHLQ $3, R10
	SHLQ $3, R11
	SHLQ $3, R12
	LEAQ (R9)(R9*2), R14

	// K1: the lanes of the last vector, (n-1)&7 + 1 of them.
	MOVQ  CX, DX
	DECQ  CX
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
	JMP   threeWhole

half:
	PANEL(eights0, loop80, last80, store80, end80, less80, loop40, last40, store40, end40, less40, loop20, last20, store20, end20, less20, loop10, last10, store10, end10, HALVES8, HALVES4, HALVES2, HALVES1, START1, LOADB0, FMA0, LASTADD0, LAST0)

one:
	PANEL(eights1, loop81, last81, store81, end81, less81, loop41, last41, store41, end41, less41, loop21, last21, store21, end21, less21, loop11, last11, store11, end11, ROWS8, ROWS4, ROWS2, ROWS1, START1, LOADB1, FMA1, LASTADD1, LAST1)

two:
	PANEL(eights2, loop82, last82, store82, end82, less82, loop42, last42, store42, end42, less42, loop22, last22, store22, end22, less22, loop12, last12, store12, end12, ROWS8, ROWS4, ROWS2, ROWS1, START2, LOADB2, FMA2, LASTADD2, LAST2)

twoWhole:
	PANEL(eights2w, loop82w, last82w, store82w, end82w, less82w, loop42w, last42w, store42w, end42w, less42w, loop22w, last22w, store22w, end22w, less22w, loop12w, last12w, store12w, end12w, ROWS8, ROWS4, ROWS2, ROWS1, START2, LOADB2W, FMA2, LASTADD2, LAST2)

three:
	PANEL(eights3, loop83, last83, store83, end83, less83, loop43, last43, store43, end43, less43, loop23, last23, store23, end23, less23, loop13, last13, store13, end13, ROWS8, ROWS4, ROWS2, ROWS1, START3, LOADB3, FMA3, LASTADD3, LAST3)

threeWhole:
	PANEL(eights3w, loop83w, last83w, store83w, end83w, less83w, loop43w, last43w, store43w, end43w, less43w, loop23w, last23w, store23w, end23w, less23w, loop13w, last13w, store13w, end13w, ROWS8, ROWS4, ROWS2, ROWS1, START3, LOADB3W, FMA3, LASTADD3, LAST3)

done:
	VZEROUPPER
	RET
