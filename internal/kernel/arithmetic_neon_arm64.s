//go:build arm64 && !purego

#include "textflag.h"
#include "words_arm64.h"

// Elementwise functions with the rounding of AVX2's. R0 is the result, R1 to R3 are operands, R9
// counts elements. Four at a time are two vectors: V0, V2, V4, V6 and V1, V3, V5, V7. Of what is
// left each is the lower half of V0, V2, V4, V6, the upper being zero, and treated alike.
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
	FSTPQ.P (F4, F5), 32(R2); \
	FSTPQ.P (F6, F7), 32(R3)
#define ADAM_STORE1 \
	STORE1;            \
	FMOVD.P F4, 8(R2); \
	FMOVD.P F6, 8(R3)

// m = m + (1−β₁)·(g−m);  v = β₂·v + (1−β₂)·g²;  θ −= step·m/(√v + ε)
#define ADAM(theta, g, m, v) \
	FSUB(16, g, m);   \
	FMLAE(m, 16, 24); \
	FMULE(v, v, 25);  \
	FMULE(16, g, 26); \
	FMLA(v, g, 16);   \
	FSQRT(16, v);     \
	FADD(16, 16, 28); \
	FDIV(16, m, 16);  \
	FMLSE(theta, 16, 27)

// func adamNEON(params, grad, m, v []float64, alpha1, beta2, alpha2, step, eps float64)
TEXT ·adamNEON(SB), NOSPLIT, $0-136
	MOVD  params_base+0(FP), R0
	MOVD  params_len+8(FP), R9
	MOVD  grad_base+24(FP), R1
	MOVD  m_base+48(FP), R2
	MOVD  v_base+72(FP), R3
	FMOVD alpha1+96(FP), F24
	FMOVD beta2+104(FP), F25
	FMOVD alpha2+112(FP), F26
	FMOVD step+120(FP), F27
	FMOVD eps+128(FP), F28
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
