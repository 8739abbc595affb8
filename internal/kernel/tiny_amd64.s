//go:build amd64 && !purego

#include "go_asm.h"
#include "textflag.h"
#include "immediates_amd64.h"

// C = 1·c₀ᵀ + A·B for at most four columns and products per element, the chains of gemmAVX2. B is
// given by rows or, if transposed, by columns:
//
//	for i := range m {
//		for j := range n {
//			acc := c0[j]
//			for l := range k {
//				acc = math.FMA(a[i*ars+l*acs], b[l*ldb+j], acc) // or b[j*ldb+l]
//			}
//			c[i*ldc+j] = acc
//		}
//	}
//
// tinyAffine, tinyMulTN and tinyMulNN say which matrix is A and which B, and leave the rest to
// tinyStraight and tinyRows. All of B is in registers, transposed there if need be: to write Bᵀ and
// to read it back at once would take longer than the product.
//
//	Y0       a row of C
//	Y1       one element of A in all lanes
//	Y2       c₀
//	Y4-Y7    rows of B
//	DI, SI, R14  C and A at the next row; B, then three times a's column stride
//	R8-R11   strides in bytes: c, a by row, a by column, b
//	R13, CX, DX  rows still to do; n; k

#define PRODUCT(a, b) \
	VBROADCASTSD a, Y1; \
	VFMADD231PD  b, Y1, Y0
#define PRODUCTS1 \
	PRODUCT((SI), Y4)
#define PRODUCTS2 \
	PRODUCTS1; \
	PRODUCT((SI)(R10*1), Y5)
#define PRODUCTS3 \
	PRODUCTS2; \
	PRODUCT((SI)(R10*2), Y6)
#define PRODUCTS4 \
	PRODUCTS3; \
	PRODUCT((SI)(R14*1), Y7)

// All rows. Of fewer than four columns a pair is stored and the odd one.
#define ROWS(row, next, part, pair, PRODUCTS) \
row:                                \
	VMOVAPD      Y2, Y0;        \
	PRODUCTS;                   \
	CMPQ         CX, $4;        \
	JNE          part;          \
	VMOVUPD      Y0, (DI);      \
next:                               \
	ADDQ         R8, DI;        \
	ADDQ         R9, SI;        \
	DECQ         R13;           \
	JNZ          row;           \
	VZEROUPPER;                 \
	RET;                        \
part:                               \
	CMPQ         CX, $1;        \
	JNE          pair;          \
	VMOVSD       X0, (DI);      \
	JMP          next;          \
pair:                               \
	VMOVUPD      X0, (DI);      \
	CMPQ         CX, $2;        \
	JEQ          next;          \
	VEXTRACTF128 UPPER, Y0, X0; \
	VMOVSD       X0, 16(DI);    \
	JMP          next

// The four rows or, where there are fewer, the last one again: at p, AX, BX, R15.
#define FOUR(p, count) \
	MOVQ    p, AX;            \
	LEAQ    (p)(R11*1), BX;   \
	CMPQ    count, $2;        \
	CMOVQGE BX, AX;           \
	MOVQ    AX, BX;           \
	LEAQ    (AX)(R11*1), R15; \
	CMPQ    count, $3;        \
	CMOVQGE R15, BX;          \
	LEAQ    (BX)(R11*1), R12; \
	MOVQ    BX, R15;          \
	CMPQ    count, $4;        \
	CMOVQGE R12, R15

// Where a matrix is and its stride in bytes; AX points to it for the rest.
#define MATRIX(name, offset, at, stride) \
	MOVQ name+offset(FP), AX;       \
	MOVQ Matrix_Data(AX), at;       \
	MOVQ Matrix_Stride(AX), stride; \
	SHLQ $3, stride

// A mask of t lanes begins so many words before the middle of the table.
#define MASK(t, mask) \
	LEAQ    ·lanes+32(SB), AX; \
	LEAQ    (t*8), BX;         \
	NEGQ    BX;                \
	VMOVUPD (AX)(BX*1), mask

// func tinyAffine(z, x, w *Matrix, c0 *float64)
TEXT ·tinyAffine(SB), NOSPLIT, $0-32
	MATRIX(z, 0, DI, R8)
	MOVQ Matrix_Rows(AX), R13
	MOVQ Matrix_Cols(AX), CX
	MATRIX(w, 16, R14, R11)
	MOVQ Matrix_Cols(AX), DX
	MATRIX(x, 8, SI, R9)
	MOVQ $8, R10
	MASK(CX, Y15)
	MOVQ c0+24(FP), BX
	VMASKMOVPD (BX), Y15, Y2
	MASK(DX, Y15)
	FOUR(R14, CX)
	VMASKMOVPD (R14), Y15, Y8
	VMASKMOVPD (AX), Y15, Y9
	VMASKMOVPD (BX), Y15, Y10
	VMASKMOVPD (R15), Y15, Y11
	VUNPCKLPD  Y9, Y8, Y12         // 0₀1₀0₂1₂ (column, row)
	VUNPCKHPD  Y9, Y8, Y13
	VUNPCKLPD  Y11, Y10, Y14       // 2₀3₀2₂3₂
	VUNPCKHPD  Y11, Y10, Y15
	VPERM2F128 LOWER_HALVES, Y14, Y12, Y4
	VPERM2F128 LOWER_HALVES, Y15, Y13, Y5
	VPERM2F128 UPPER_HALVES, Y14, Y12, Y6
	VPERM2F128 UPPER_HALVES, Y15, Y13, Y7
	JMP        tinyRows<>(SB)

// func tinyMulTN(dw, dz, x *Matrix)
TEXT ·tinyMulTN(SB), NOSPLIT, $0-24
	MATRIX(dw, 0, DI, R8)
	MOVQ Matrix_Rows(AX), R13
	MOVQ Matrix_Cols(AX), CX
	MATRIX(dz, 8, SI, R10)
	MOVQ $8, R9
	MATRIX(x, 16, R14, R11)
	MOVQ Matrix_Rows(AX), DX
	JMP  tinyStraight<>(SB)

// func tinyMulNN(dx, dz, w *Matrix)
TEXT ·tinyMulNN(SB), NOSPLIT, $0-24
	MATRIX(dx, 0, DI, R8)
	MOVQ Matrix_Rows(AX), R13
	MOVQ Matrix_Cols(AX), CX
	MATRIX(dz, 8, SI, R9)
	MOVQ $8, R10
	MATRIX(w, 16, R14, R11)
	MOVQ Matrix_Rows(AX), DX
	JMP  tinyStraight<>(SB)

// Without c₀ and with B by rows.
TEXT tinyStraight<>(SB), NOSPLIT, $0-0
	MASK(CX, Y15)
	VXORPD     X2, X2, X2
	FOUR(R14, DX)
	VMASKMOVPD (R14), Y15, Y4
	VMASKMOVPD (AX), Y15, Y5
	VMASKMOVPD (BX), Y15, Y6
	VMASKMOVPD (R15), Y15, Y7
	JMP        tinyRows<>(SB)

TEXT tinyRows<>(SB), NOSPLIT, $0-0
	LEAQ (R10)(R10*2), R14
	CMPQ DX, $2
	JLT  one
	JEQ  two
	CMPQ DX, $4
	JLT  three
	ROWS(row4, next4, part4, pair4, PRODUCTS4)

one:
	ROWS(row1, next1, part1, pair1, PRODUCTS1)

two:
	ROWS(row2, next2, part2, pair2, PRODUCTS2)

three:
	ROWS(row3, next3, part3, pair3, PRODUCTS3)
