//go:build arm64 && !purego

#include "textflag.h"
#include "words_arm64.h"

// Elementwise functions. R0 is the result, R1 to R3 are operands, R9 counts elements. Of a vector that
// is not full, only the lower half is loaded and stored.

// The functions with an exponential take a vector at a time: V0 is z and the result, V1 da, V2 a. A
// BODY may use the labels it is given, V1 to V11 but for operands, R5 and R6.
#define PAIRS(LOAD2, LOAD1, BODY) \
	SUBS    $2, R9;        \
	BLT     last;          \
twos:                          \
	LOAD2;                 \
	BODY(inside, ready);   \
	FMOVQ.P F0, 16(R0);    \
	SUBS    $2, R9;        \
	BGE     twos;          \
last:                          \
	TBZ     $0, R9, done;  \
	LOAD1;                 \
	BODY(inside1, ready1); \
	FMOVD   F0, (R0);      \
done:                          \
	RET

#define UNARY_LOAD2 \
	FMOVQ.P 16(R1), F0
#define UNARY_LOAD1 \
	FMOVD (R1), F0
#define UNARY(BODY) \
	MOVD dst_base+0(FP), R0;  \
	MOVD dst_len+8(FP), R9;   \
	MOVD src_base+24(FP), R1; \
	PAIRS(UNARY_LOAD2, UNARY_LOAD1, BODY)

#define BACKWARD_LOAD2 \
	FMOVQ.P 16(R1), F1; \
	FMOVQ.P 16(R2), F0; \
	FMOVQ.P 16(R3), F2
#define BACKWARD_LOAD1 \
	FMOVD (R1), F1; \
	FMOVD (R2), F0; \
	FMOVD (R3), F2
#define BACKWARD(BODY) \
	MOVD dz_base+0(FP), R0;  \
	MOVD dz_len+8(FP), R9;   \
	MOVD da_base+24(FP), R1; \
	MOVD z_base+48(FP), R2;  \
	MOVD a_base+72(FP), R3;  \
	PAIRS(BACKWARD_LOAD2, BACKWARD_LOAD1, BODY)

// V16 to V18 log₂ e, ln 2 in two parts; V12 what rounds; V19 to V28 q; V29 1, V30 -1000, V31 1 − 2⁻¹².
#define CONSTANTS \
	MOVD    ·exponentials(SB), R4;  \
	VLD1R.P 8(R4), [V16.D2];        \
	VLD1R.P 8(R4), [V17.D2];        \
	VLD1R.P 8(R4), [V18.D2];        \
	VLD1R.P 8(R4), [V12.D2];        \
	VLD1R.P 8(R4), [V19.D2];        \
	VLD1R.P 8(R4), [V20.D2];        \
	VLD1R.P 8(R4), [V21.D2];        \
	VLD1R.P 8(R4), [V22.D2];        \
	VLD1R.P 8(R4), [V23.D2];        \
	VLD1R.P 8(R4), [V24.D2];        \
	VLD1R.P 8(R4), [V25.D2];        \
	VLD1R.P 8(R4), [V26.D2];        \
	VLD1R.P 8(R4), [V27.D2];        \
	VLD1R.P 8(R4), [V28.D2];        \
	VLD1R.P 8(R4), [V29.D2];        \
	VLD1R.P 8(R4), [V30.D2];        \
	VLD1R.P 8(R4), [V31.D2]

// e^V0 = 2ⁿ·(1+t): n = round(x/ln 2), r = x − n·ln 2, t = e^r − 1 = r + r²·q(r), the odd and the
// even coefficients of q in two chains. V5 has n in the low bits, V4 = t. Clobbers V0, V3, V6 to V9.
#define REDUCE_AND_EXPM1 \
	COPY(5, 12);     \
	FMLAE(5, 0, 16); \
	FSUB(3, 5, 12);  \
	FMLSE(0, 3, 17); \
	FMLSE(0, 3, 18); \
	FMUL(6, 0, 0);   \
	COPY(7, 26);     \
	COPY(8, 25);     \
	FMLA(7, 28, 6);  \
	FMLA(8, 27, 6);  \
	COPY(9, 24);     \
	COPY(3, 23);     \
	FMLA(9, 7, 6);   \
	FMLA(3, 8, 6);   \
	COPY(7, 22);     \
	COPY(8, 21);     \
	FMLA(7, 9, 6);   \
	FMLA(8, 3, 6);   \
	COPY(9, 20);     \
	COPY(3, 19);     \
	FMLA(9, 7, 6);   \
	FMLA(3, 8, 6);   \
	FMLA(3, 9, 0);   \
	COPY(4, 0);      \
	FMLA(4, 3, 6)

// y = 2^y for an integer in the low bits: added to the exponent of 1.
#define POWER(y) \
	SHL52(y, y); \
	IADD(y, y, 29)

// V4 = e^V0, gradually to zero and to infinity: 1+t is scaled by 2^h and 2^(n−h), h about n/2, so
// that both are normal and only the second product rounds.
#define EXP \
	REDUCE_AND_EXPM1; \
	FADD(4, 4, 29);   \
	SSHR1(6, 5);      \
	ISUB(5, 5, 6);    \
	POWER(6);         \
	POWER(5);         \
	FMUL(4, 4, 6);    \
	FMUL(4, 4, 5)

#define EXP_BODY(inside, ready) \
	FMIN(0, 0, 31); \
	FMAX(0, 0, 30); \
	EXP;            \
	COPY(0, 4)

// func expNEON(dst, src []float64)
TEXT ·expNEON(SB), NOSPLIT, $0-48
	CONSTANTS
	FNEG(31, 30)
	UNARY(EXP_BODY)

// V4 = e = e^−|z|, V5 = 1 + e.
#define EXP_OF_MINUS_ABS \
	FABS(0, 0);     \
	FNEG(0, 0);     \
	FMAX(0, 0, 30); \
	EXP;            \
	FADD(5, 4, 29)

// σ(z) = 1/(1+e) for z ≥ 0, e/(1+e) for z < 0.
#define SIGMOID_BODY(inside, ready) \
	SSHR63(10, 0);    \
	EXP_OF_MINUS_ABS; \
	BIF(4, 29, 10);   \
	FDIV(0, 4, 5)

// func sigmoidNEON(dst, src []float64)
TEXT ·sigmoidNEON(SB), NOSPLIT, $0-48
	CONSTANTS
	UNARY(SIGMOID_BODY)

// tanh |z| = tanh(a+b) = (t+h)/(1+t·h): a is the table's number next to |z|, t its tanh, and h =
// tanh b = b + b³·q(b²). Where |z| goes beyond the table, e^−2y = (1−t)(1−h)/((1+t)(1+h)) for y =
// |z|/8: numerator and denominator are raised to the eighth power, and tanh |z| is their difference
// by their sum. R7 points to the table, R8 tells whether a lane is beyond it; the constants are those
// of tanhNEON.
#define TANH_BODY(inside, ready) \
	COPY(10, 0);                   \
	FABS(0, 0);                    \
	FCMGE(11, 0, 22);              \
	VMOV  V11.D[0], R8;            \
	VMOV  V11.D[1], R6;            \
	ORR   R6, R8;                  \
	CBZ   R8, inside;              \
	FMIN(1, 0, 24);                \
	FMUL(1, 1, 25);                \
	BIT(0, 1, 11);                 \
inside:                                \
	FADD(3, 0, 16);                \
	VMOV  V3.D[0], R5;             \
	VMOV  V3.D[1], R6;             \
	UBFIZ $4, R5, $4, R5;          \
	UBFIZ $4, R6, $4, R6;          \
	ADD   R7, R5;                  \
	ADD   R7, R6;                  \
	FMOVQ (R5), F4;                \
	FMOVQ (R6), F5;                \
	VZIP1 V5.D2, V4.D2, V6.D2;     \
	VZIP2 V5.D2, V4.D2, V7.D2;     \
	FSUB(0, 0, 6);                 \
	FMUL(3, 0, 0);                 \
	COPY(8, 20);                   \
	COPY(9, 19);                   \
	FMLA(8, 21, 3);                \
	FMLA(9, 8, 3);                 \
	COPY(8, 18);                   \
	FMLA(8, 9, 3);                 \
	COPY(9, 17);                   \
	FMLA(9, 8, 3);                 \
	FMUL(3, 3, 0);                 \
	COPY(2, 0);                    \
	FMLA(2, 9, 3);                 \
	FADD(1, 7, 2);                 \
	COPY(4, 23);                   \
	FMLA(4, 7, 2);                 \
	CBZ   R8, ready;               \
	FSUB(5, 23, 7);                \
	FSUB(6, 23, 2);                \
	FMUL(5, 5, 6);                 \
	FADD(6, 23, 7);                \
	FADD(8, 23, 2);                \
	FMUL(6, 6, 8);                 \
	FMUL(5, 5, 5);                 \
	FMUL(6, 6, 6);                 \
	FMUL(5, 5, 5);                 \
	FMUL(6, 6, 6);                 \
	FMUL(5, 5, 5);                 \
	FMUL(6, 6, 6);                 \
	FSUB(8, 6, 5);                 \
	FADD(9, 6, 5);                 \
	BIT(1, 8, 11);                 \
	BIT(4, 9, 11);                 \
ready:                                 \
	FDIV(0, 1, 4);                 \
	BIT(0, 10, 26)

// func tanhNEON(dst, src []float64)
TEXT ·tanhNEON(SB), NOSPLIT, $0-48
	MOVD    ·tanhs(SB), R4
	VLD1R.P 8(R4), [V16.D2] // what leaves the number of quarters
	VLD1R.P 8(R4), [V17.D2] // to V21 q
	VLD1R.P 8(R4), [V18.D2]
	VLD1R.P 8(R4), [V19.D2]
	VLD1R.P 8(R4), [V20.D2]
	VLD1R.P 8(R4), [V21.D2]
	VLD1R.P 8(R4), [V22.D2] // the table's end
	VLD1R.P 8(R4), [V23.D2] // 1
	VLD1R.P 8(R4), [V24.D2] // tanh is 1
	VLD1R.P 8(R4), [V25.D2] // 1/8
	VLD1R.P 8(R4), [V26.D2] // -0
	MOVD    $·tanhTable(SB), R7
	UNARY(TANH_BODY)

// Go where both lanes of V10 are ones.
#define IF_BOTH(label) \
	VMOV V10.D[0], R5; \
	VMOV V10.D[1], R6; \
	AND  R6, R5;       \
	CMN  $1, R5;       \
	BEQ  label

// dz = da·a·(1−a) where a is not close to 1, else da·e/(1+e)².
#define SIGMOID_BACKWARD_BODY(inside, ready) \
	FCMGT(10, 31, 2); \
	FSUB(11, 29, 2);  \
	FMUL(11, 11, 2);  \
	IF_BOTH(ready);   \
	EXP_OF_MINUS_ABS; \
	FMUL(5, 5, 5);    \
	FDIV(4, 4, 5);    \
	BIF(11, 4, 10);   \
ready:                    \
	FMUL(0, 11, 1)

// func sigmoidBackwardNEON(dz, da, z, a []float64)
TEXT ·sigmoidBackwardNEON(SB), NOSPLIT, $0-96
	CONSTANTS
	BACKWARD(SIGMOID_BACKWARD_BODY)

// dz = da·(1−a²) where |a| is not close to 1, else da·4e/(1+e)² with e = e^−2|z|.
#define TANH_BACKWARD_BODY(inside, ready) \
	FABS(10, 2);       \
	FCMGT(10, 31, 10); \
	COPY(11, 29);      \
	FMLS(11, 2, 2);    \
	IF_BOTH(ready);    \
	FADD(0, 0, 0);     \
	EXP_OF_MINUS_ABS;  \
	FMUL(5, 5, 5);     \
	FADD(4, 4, 4);     \
	FADD(4, 4, 4);     \
	FDIV(4, 4, 5);     \
	BIF(11, 4, 10);    \
ready:                     \
	FMUL(0, 11, 1)

// func tanhBackwardNEON(dz, da, z, a []float64)
TEXT ·tanhBackwardNEON(SB), NOSPLIT, $0-96
	CONSTANTS
	BACKWARD(TANH_BACKWARD_BODY)

// The others take two vectors at a time, V0, V2, V4, V6 and V1, V3,
// V5, V7, and what is left one element at a time in V0, V2, V4, V6.
#define MAP(LOAD4, LOAD1, BODY, STORE4, STORE1) \
	SUBS $4, R9;      \
	BLT  less4;       \
fours:                    \
	LOAD4;            \
	BODY(0, 2, 4, 6); \
	BODY(1, 3, 5, 7); \
	STORE4;           \
	SUBS $4, R9;      \
	BGE  fours;       \
less4:                    \
	ADDS $4, R9;      \
	BEQ  done;        \
ones:                     \
	LOAD1;            \
	BODY(0, 2, 4, 6); \
	STORE1;           \
	SUBS $1, R9;      \
	BNE  ones;        \
done:                     \
	RET

#define STORE4 \
	FSTPQ.P (F0, F1), 32(R0)
#define STORE1 \
	FMOVD.P F0, 8(R0)

#define RELU_LOAD4 \
	FLDPQ.P 32(R1), (F0, F1)
#define RELU_LOAD1 \
	FMOVD.P 8(R1), F0
#define RELU(z, _1, _2, _3) \
	FMAX(z, z, 31)

// func reluNEON(a, z []float64)
TEXT ·reluNEON(SB), NOSPLIT, $0-48
	MOVD a_base+0(FP), R0
	MOVD a_len+8(FP), R9
	MOVD z_base+24(FP), R1
	VEOR V31.B16, V31.B16, V31.B16
	MAP(RELU_LOAD4, RELU_LOAD1, RELU, STORE4, STORE1)

#define RELU_BACKWARD_LOAD4 \
	FLDPQ.P 32(R1), (F0, F1); \
	FLDPQ.P 32(R2), (F2, F3)
#define RELU_BACKWARD_LOAD1 \
	FMOVD.P 8(R1), F0; \
	FMOVD.P 8(R2), F2
#define RELU_BACKWARD(da, z, _2, _3) \
	FCMGT0(z, z); \
	BITAND(da, da, z)

// func reluBackwardNEON(dz, da, z []float64)
TEXT ·reluBackwardNEON(SB), NOSPLIT, $0-72
	MOVD dz_base+0(FP), R0
	MOVD dz_len+8(FP), R9
	MOVD da_base+24(FP), R1
	MOVD z_base+48(FP), R2
	MAP(RELU_BACKWARD_LOAD4, RELU_BACKWARD_LOAD1, RELU_BACKWARD, STORE4, STORE1)

#define ADAM_LOAD4 \
	FLDPQ   (R0), (F0, F1);   \
	FLDPQ.P 32(R1), (F2, F3); \
	FLDPQ   (R2), (F4, F5);   \
	FLDPQ   (R3), (F6, F7)
#define ADAM_LOAD1 \
	FMOVD   (R0), F0;  \
	FMOVD.P 8(R1), F2; \
	FMOVD   (R2), F4;  \
	FMOVD   (R3), F6
#define ADAM_STORE4 \
	STORE4;                   \
	FSTPQ.P (F2, F3), 32(R2); \
	FSTPQ.P (F6, F7), 32(R3)
#define ADAM_STORE1 \
	STORE1;            \
	FMOVD.P F2, 8(R2); \
	FMOVD.P F6, 8(R3)

// g = β₁·m + g, which is to be m;  v = β₂·v + g²;  θ −= step·m/(√v + ε)
#define ADAM(theta, g, m, v) \
	FMULE(v, v, 25);  \
	FMLA(v, g, g);    \
	FMLAE(g, m, 24);  \
	FSQRT(16, v);     \
	FADD(16, 16, 28); \
	FDIV(16, g, 16);  \
	FMLSE(theta, 16, 27)

// func adamNEON(params, grad, m, v []float64, beta1, beta2, step, eps float64)
TEXT ·adamNEON(SB), NOSPLIT, $0-128
	MOVD  params_base+0(FP), R0
	MOVD  params_len+8(FP), R9
	MOVD  grad_base+24(FP), R1
	MOVD  m_base+48(FP), R2
	MOVD  v_base+72(FP), R3
	FMOVD beta1+96(FP), F24
	FMOVD beta2+104(FP), F25
	FMOVD step+112(FP), F27
	FMOVD eps+120(FP), F28
	VDUP  V28.D[0], V28.D2
	MAP(ADAM_LOAD4, ADAM_LOAD1, ADAM, ADAM_STORE4, ADAM_STORE1)

#define AXPY_LOAD4 \
	FLDPQ   (R0), (F0, F1); \
	FLDPQ.P 32(R1), (F2, F3)
#define AXPY_LOAD1 \
	FMOVD   (R0), F0; \
	FMOVD.P 8(R1), F2
#define AXPY(y, x, _2, _3) \
	FMLAE(y, x, 31)

// func axpyNEON(alpha float64, x, y []float64)
TEXT ·axpyNEON(SB), NOSPLIT, $0-56
	FMOVD alpha+0(FP), F31
	MOVD  x_base+8(FP), R1
	MOVD  y_base+32(FP), R0
	MOVD  y_len+40(FP), R9
	MAP(AXPY_LOAD4, AXPY_LOAD1, AXPY, STORE4, STORE1)

// s = s + x·y, t = t + x·y, each product rounded, for the next two vectors.
#define DOT(s, t) \
	FLDPQ.P 32(R1), (F16, F17); \
	FLDPQ.P 32(R2), (F18, F19); \
	FMUL(16, 16, 18);           \
	FMUL(17, 17, 19);           \
	FADD(s, s, 16);             \
	FADD(t, t, 17)

// sums[i%32] += x[i]·y[i], each product rounded, for a length that is a multiple of 32.
//
// func dotNEON(sums *[32]float64, x, y []float64)
TEXT ·dotNEON(SB), NOSPLIT, $0-56
	MOVD  sums+0(FP), R0
	MOVD  x_base+8(FP), R1
	MOVD  x_len+16(FP), R9
	MOVD  y_base+32(FP), R2
	FLDPQ (R0), (F0, F1)
	FLDPQ 32(R0), (F2, F3)
	FLDPQ 64(R0), (F4, F5)
	FLDPQ 96(R0), (F6, F7)
	FLDPQ 128(R0), (F8, F9)
	FLDPQ 160(R0), (F10, F11)
	FLDPQ 192(R0), (F12, F13)
	FLDPQ 224(R0), (F14, F15)

loop:
	DOT(0, 1)
	DOT(2, 3)
	DOT(4, 5)
	DOT(6, 7)
	DOT(8, 9)
	DOT(10, 11)
	DOT(12, 13)
	DOT(14, 15)
	SUBS  $32, R9
	BNE   loop
	FSTPQ (F0, F1), (R0)
	FSTPQ (F2, F3), 32(R0)
	FSTPQ (F4, F5), 64(R0)
	FSTPQ (F6, F7), 96(R0)
	FSTPQ (F8, F9), 128(R0)
	FSTPQ (F10, F11), 160(R0)
	FSTPQ (F12, F13), 192(R0)
	FSTPQ (F14, F15), 224(R0)
	RET

// s = s + 0·x, t = t + 0·x for the next two vectors.
#define FINITE(s, t) \
	FLDPQ.P 32(R1), (F16, F17); \
	FMLAE(s, 16, 31);           \
	FMLAE(t, 17, 31)

// Whether 0·x summed over x, a multiple of 16 long, is a number: ±Inf and NaN make it NaN.
//
// func finiteNEON(x []float64) bool
TEXT ·finiteNEON(SB), NOSPLIT, $0-25
	MOVD x_base+0(FP), R1
	MOVD x_len+8(FP), R9
	VEOR V31.B16, V31.B16, V31.B16
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V5.B16, V5.B16, V5.B16
	VEOR V6.B16, V6.B16, V6.B16
	VEOR V7.B16, V7.B16, V7.B16

loop:
	FINITE(0, 1)
	FINITE(2, 3)
	FINITE(4, 5)
	FINITE(6, 7)
	SUBS  $16, R9
	BNE   loop
	FADD(0, 0, 1)
	FADD(2, 2, 3)
	FADD(4, 4, 5)
	FADD(6, 6, 7)
	FADD(0, 0, 2)
	FADD(4, 4, 6)
	FADD(0, 0, 4)
	VDUP  V0.D[1], V1.D2
	FADDD F1, F0
	FCMPD F0, F0
	CSET  VC, R0
	MOVB  R0, ret+24(FP)
	RET
