//go:build amd64 && !purego

#include "textflag.h"
#include "constants_amd64.h"
#include "immediates_amd64.h"

// Elementwise functions, four lanes at a time, operation for operation those of
// elementwise_avx512_amd64.s, so that the bits are the same. Every function has the same frame: BX
// is the offset in bytes that all slices share, CX what is left; the lanes that are left at the end
// are loaded and stored through the mask Y15. A BODY may use the labels it is given.

#define MAP(LOAD, LOADMASKED, BODY, STORE, STOREMASKED) \
	XORL BX, BX;                 \
	SUBQ $4, CX;                 \
	JLT  tail;                   \
	PCALIGN $64;                 \
loop:                                \
	LOAD;                        \
	BODY(loopinside, loopstore); \
	STORE;                       \
	ADDQ $32, BX;                \
	SUBQ $4, CX;                 \
	JGE  loop;                   \
tail:                                \
	ADDQ $4, CX;                 \
	JEQ  done;                   \
	SHLQ $3, CX;                 \
	LEAQ ·lanes+32(SB), AX;      \
	SUBQ CX, AX;                 \
	VMOVUPD (AX), Y15;           \
	LOADMASKED;                  \
	BODY(tailinside, tailstore); \
	STOREMASKED;                 \
done:                                \
	VZEROUPPER;                  \
	RET

// Y0 from one slice and back to one.
#define LOAD1   VMOVUPD (SI)(BX*1), Y0
#define LOAD1M  VMASKMOVPD (SI)(BX*1), Y15, Y0
#define STORE1  VMOVUPD Y0, (DI)(BX*1)
#define STORE1M VMASKMOVPD Y0, Y15, (DI)(BX*1)

#define UNARY(BODY) \
	MOVQ dst_base+0(FP), DI;  \
	MOVQ dst_len+8(FP), CX;   \
	MOVQ src_base+24(FP), SI; \
	MAP(LOAD1, LOAD1M, BODY, STORE1, STORE1M)

// Y7 from da, Y0 from z, Y6 from a.
#define LOAD3 \
	VMOVUPD (SI)(BX*1), Y7; \
	VMOVUPD (R8)(BX*1), Y0; \
	VMOVUPD (R9)(BX*1), Y6
#define LOAD3M \
	VMASKMOVPD (SI)(BX*1), Y15, Y7; \
	VMASKMOVPD (R8)(BX*1), Y15, Y0; \
	VMASKMOVPD (R9)(BX*1), Y15, Y6

#define BACKWARD(BODY) \
	MOVQ    dz_base+0(FP), DI;  \
	MOVQ    dz_len+8(FP), CX;   \
	MOVQ    da_base+24(FP), SI; \
	MOVQ    z_base+48(FP), R8;  \
	MOVQ    a_base+72(FP), R9;  \
	VMOVUPD ONE, Y13;           \
	VMOVUPD SMALL, Y14;         \
	VMOVUPD NEAR_ONE, Y12;      \
	MAP(LOAD3, LOAD3M, BODY, STORE1, STORE1M)

// e^x = 2ⁿ·(1+t): n = round(x/ln 2), r = x − n·ln 2, t = e^r − 1 = r + r²·q(r), the odd and the
// even coefficients of q in two chains.
//
//	Y0       x, clobbered
//	Y1       n
//	Y2       t
//	Y3       n in the low bits of its lanes
//	Y4, Y10  clobbered
#define REDUCE_AND_EXPM1 \
	VMOVUPD      ROUND, Y3;        \
	VFMADD231PD  LOG2E, Y0, Y3;    \
	VSUBPD       ROUND, Y3, Y1;    \
	VFNMADD231PD LN2_HIGH, Y1, Y0; \
	VFNMADD231PD LN2_LOW, Y1, Y0;  \
	VMOVUPD      Q9, Y2;           \
	VMOVUPD      Q8, Y10;          \
	VMULPD       Y0, Y0, Y4;       \
	VFMADD213PD  Q7, Y4, Y2;       \
	VFMADD213PD  Q6, Y4, Y10;      \
	VFMADD213PD  Q5, Y4, Y2;       \
	VFMADD213PD  Q4, Y4, Y10;      \
	VFMADD213PD  Q3, Y4, Y2;       \
	VFMADD213PD  Q2, Y4, Y10;      \
	VFMADD213PD  Q1, Y4, Y2;       \
	VFMADD213PD  Q0, Y4, Y10;      \
	VFMADD213PD  Y10, Y0, Y2;      \
	VFMADD213PD  Y0, Y4, Y2

// Y2 = e^Y0, gradually to zero and to infinity: 1+t is scaled by 2^h and 2^(n−h), h about n/2, so
// that both are normal and only the second product rounds.
#define EXP \
	REDUCE_AND_EXPM1;         \
	VADDPD      ONE, Y2, Y2;  \
	VMOVUPD     ROUND, Y4;    \
	VFMADD231PD HALF, Y1, Y4; \
	VPSUBQ      Y4, Y3, Y3;   \
	POWER(Y4);                \
	POWER(Y3);                \
	VMULPD      Y4, Y2, Y2;   \
	VMULPD      Y3, Y2, Y2

// y = 2^y for an integer in the low bits: added to the exponent of 1.
#define EXPONENT $52 // where a float64 has its exponent
#define POWER(y) \
	VPSLLQ EXPONENT, y, y; \
	VPADDQ ONE, y, y

#define EXP_BODY(inside, store) \
	VMINPD  Y0, Y13, Y0; \
	VMAXPD  Y0, Y14, Y0; \
	EXP;                 \
	VMOVAPD Y2, Y0

// func expAVX2(dst, src []float64)
TEXT ·expAVX2(SB), NOSPLIT, $0-48
	VMOVUPD LARGE, Y13
	VMOVUPD SMALL, Y14
	UNARY(EXP_BODY)

// σ(z) = 1/(1+e) for z ≥ 0, e/(1+e) for z < 0, where e = e^−|z|.
#define SIGMOID_BODY(inside, store) \
	VMOVAPD   Y0, Y5;          \
	VORPD     SIGN, Y0, Y0;    \
	VMAXPD    Y0, Y14, Y0;     \
	EXP;                       \
	VADDPD    Y13, Y2, Y4;     \
	VBLENDVPD Y5, Y2, Y13, Y0; \
	VDIVPD    Y4, Y0, Y0

// func sigmoidAVX2(dst, src []float64)
TEXT ·sigmoidAVX2(SB), NOSPLIT, $0-48
	VMOVUPD ONE, Y13
	VMOVUPD SMALL, Y14
	UNARY(SIGMOID_BODY)

// tanh |z| = tanh(a+b) = (t+h)/(1+t·h): a is the table's number next to |z|, t its tanh, and h =
// tanh b = b + b³·q(b²). Where |z| goes beyond the table, e^−2y = (1−t)(1−h)/((1+t)(1+h)) for y =
// |z|/8: numerator and denominator are raised to the eighth power, and tanh |z| is their difference
// by their sum.

// Shifted left by LOW4 and right by PAIR, the lowest four bits are left, times the 16 bytes of a
// pair.
#define LOW4 $60
#define PAIR $56

// The pairs of tanhPairs at the offsets Y3 give a in Y4 and t in Y1.
#define LOOKUP \
	VMOVQ        X3, AX;                     \
	VPEXTRQ      UPPER, X3, R9;              \
	VEXTRACTI128 UPPER, Y3, X3;              \
	VMOVQ        X3, R10;                    \
	VPEXTRQ      UPPER, X3, R11;             \
	VMOVUPD      (R8)(AX*1), X1;             \
	VMOVUPD      (R8)(R9*1), X6;             \
	VINSERTF128  UPPER, (R8)(R10*1), Y1, Y1; \
	VINSERTF128  UPPER, (R8)(R11*1), Y6, Y6; \
	VUNPCKLPD    Y6, Y1, Y4;                 \
	VUNPCKHPD    Y6, Y1, Y1

#define TANH_BODY(inside, store) \
	VMOVAPD     Y0, Y5;                \
	VANDNPD     Y0, Y13, Y0;           \
	VCMPPD      AT_LEAST, Y14, Y0, Y9; \
	VMOVMSKPD   Y9, R12;               \
	TESTL       R12, R12;              \
	JZ          inside;                \
	VMINPD      TANH_ONE, Y0, Y1;      \
	VMULPD      EIGHTH, Y1, Y1;        \
	VBLENDVPD   Y9, Y1, Y0, Y0;        \
inside:                                    \
	VADDPD      QUARTERS, Y0, Y3;      \
	VPSLLQ      LOW4, Y3, Y3;          \
	VPSRLQ      PAIR, Y3, Y3;          \
	LOOKUP;                            \
	VSUBPD      Y4, Y0, Y0;            \
	VMULPD      Y0, Y0, Y3;            \
	VMOVUPD     TANH4, Y2;             \
	VFMADD213PD TANH3, Y3, Y2;         \
	VFMADD213PD TANH2, Y3, Y2;         \
	VFMADD213PD TANH1, Y3, Y2;         \
	VFMADD213PD TANH0, Y3, Y2;         \
	VMULPD      Y0, Y3, Y3;            \
	VFMADD213PD Y0, Y3, Y2;            \
	VMOVUPD     ONE, Y8;               \
	VADDPD      Y2, Y1, Y0;            \
	VMOVAPD     Y8, Y4;                \
	VFMADD231PD Y2, Y1, Y4;            \
	TESTL       R12, R12;              \
	JZ          store;                 \
	VSUBPD      Y1, Y8, Y6;            \
	VSUBPD      Y2, Y8, Y7;            \
	VMULPD      Y7, Y6, Y6;            \
	VADDPD      Y1, Y8, Y7;            \
	VADDPD      Y2, Y8, Y10;           \
	VMULPD      Y10, Y7, Y7;           \
	VMULPD      Y6, Y6, Y6;            \
	VMULPD      Y7, Y7, Y7;            \
	VMULPD      Y6, Y6, Y6;            \
	VMULPD      Y7, Y7, Y7;            \
	VMULPD      Y6, Y6, Y6;            \
	VMULPD      Y7, Y7, Y7;            \
	VSUBPD      Y6, Y7, Y1;            \
	VADDPD      Y6, Y7, Y2;            \
	VBLENDVPD   Y9, Y1, Y0, Y0;        \
	VBLENDVPD   Y9, Y2, Y4, Y4;        \
store:                                     \
	VDIVPD      Y4, Y0, Y0;            \
	VANDPD      Y13, Y5, Y5;           \
	VORPD       Y5, Y0, Y0

// func tanhAVX2(dst, src []float64)
TEXT ·tanhAVX2(SB), NOSPLIT, $0-48
	VMOVUPD SIGN, Y13
	VMOVUPD TABLE_END, Y14
	LEAQ    ·tanhPairs(SB), R8
	UNARY(TANH_BODY)

// dz = da·a·(1−a) where a is not close to 1, else da·e/(1+e)² with e = e^−|z|.
#define SIGMOID_BACKWARD_BODY(inside, store) \
	VCMPPD    LESS, Y12, Y6, Y8; \
	VSUBPD    Y6, Y13, Y5;       \
	VMULPD    Y6, Y5, Y5;        \
	VMOVMSKPD Y8, AX;            \
	CMPL      AX, ALL_LANES;     \
	JEQ       store;             \
	VORPD     SIGN, Y0, Y0;      \
	VMAXPD    Y0, Y14, Y0;       \
	EXP;                         \
	VADDPD    Y13, Y2, Y4;       \
	VMULPD    Y4, Y4, Y4;        \
	VDIVPD    Y4, Y2, Y2;        \
	VBLENDVPD Y8, Y5, Y2, Y5;    \
store:                               \
	VMULPD    Y7, Y5, Y0

// func sigmoidBackwardAVX2(dz, da, z, a []float64)
TEXT ·sigmoidBackwardAVX2(SB), NOSPLIT, $0-96
	BACKWARD(SIGMOID_BACKWARD_BODY)

// dz = da·(1−a²) where |a| is not close to 1, else da·4e/(1+e)² with e = e^−2|z|.
#define TANH_BACKWARD_BODY(inside, store) \
	VMOVUPD      SIGN, Y9;          \
	VANDNPD      Y6, Y9, Y8;        \
	VCMPPD       LESS, Y12, Y8, Y8; \
	VMOVAPD      Y13, Y5;           \
	VFNMADD231PD Y6, Y6, Y5;        \
	VMOVMSKPD    Y8, AX;            \
	CMPL         AX, ALL_LANES;     \
	JEQ          store;             \
	VORPD        Y9, Y0, Y0;        \
	VADDPD       Y0, Y0, Y0;        \
	VMAXPD       Y0, Y14, Y0;       \
	EXP;                            \
	VADDPD       Y13, Y2, Y4;       \
	VMULPD       Y4, Y4, Y4;        \
	VMULPD       FOUR, Y2, Y2;      \
	VDIVPD       Y4, Y2, Y2;        \
	VBLENDVPD    Y8, Y5, Y2, Y5;    \
store:                                  \
	VMULPD       Y7, Y5, Y0

// func tanhBackwardAVX2(dz, da, z, a []float64)
TEXT ·tanhBackwardAVX2(SB), NOSPLIT, $0-96
	BACKWARD(TANH_BACKWARD_BODY)

#define RELU_BODY(inside, store) \
	VMAXPD Y0, Y14, Y0; \
	VADDPD Y0, Y14, Y0

// func reluAVX2(dst, src []float64)
TEXT ·reluAVX2(SB), NOSPLIT, $0-48
	VXORPD Y14, Y14, Y14
	UNARY(RELU_BODY)

#define LOAD2 \
	VMOVUPD (SI)(BX*1), Y1; \
	VMOVUPD (R8)(BX*1), Y0
#define LOAD2M \
	VMASKMOVPD (SI)(BX*1), Y15, Y1; \
	VMASKMOVPD (R8)(BX*1), Y15, Y0

#define RELU_BACKWARD_BODY(inside, store) \
	VCMPPD LESS, Y0, Y14, Y2; \
	VANDPD Y1, Y2, Y0

// func reluBackwardAVX2(dz, da, z []float64)
TEXT ·reluBackwardAVX2(SB), NOSPLIT, $0-72
	MOVQ   dz_base+0(FP), DI
	MOVQ   dz_len+8(FP), CX
	MOVQ   da_base+24(FP), SI
	MOVQ   z_base+48(FP), R8
	VXORPD Y14, Y14, Y14
	MAP(LOAD2, LOAD2M, RELU_BACKWARD_BODY, STORE1, STORE1M)

#define ADAM_LOAD \
	VMOVUPD (SI)(BX*1), Y2; \
	VMOVUPD (R8)(BX*1), Y0; \
	VMOVUPD (R9)(BX*1), Y1; \
	VMOVUPD (DI)(BX*1), Y3
#define ADAM_LOADM \
	VMASKMOVPD (SI)(BX*1), Y15, Y2; \
	VMASKMOVPD (R8)(BX*1), Y15, Y0; \
	VMASKMOVPD (R9)(BX*1), Y15, Y1; \
	VMASKMOVPD (DI)(BX*1), Y15, Y3
#define ADAM_STORE \
	VMOVUPD Y0, (R8)(BX*1); \
	VMOVUPD Y1, (R9)(BX*1); \
	VMOVUPD Y3, (DI)(BX*1)
#define ADAM_STOREM \
	VMASKMOVPD Y0, Y15, (R8)(BX*1); \
	VMASKMOVPD Y1, Y15, (R9)(BX*1); \
	VMASKMOVPD Y3, Y15, (DI)(BX*1)

// m = m + (1−β₁)·(g−m);  v = β₂·v + (1−β₂)·g²;  θ −= step·m/(√v + ε)
#define ADAM_BODY(inside, store) \
	VSUBPD       Y0, Y2, Y4;  \
	VFMADD231PD  Y7, Y4, Y0;  \
	VMULPD       Y8, Y1, Y1;  \
	VMULPD       Y9, Y2, Y4;  \
	VFMADD231PD  Y4, Y2, Y1;  \
	VSQRTPD      Y1, Y5;      \
	VADDPD       Y11, Y5, Y5; \
	VDIVPD       Y5, Y0, Y5;  \
	VFNMADD231PD Y10, Y5, Y3

// func adamAVX2(params, grad, m, v []float64, alpha1, beta2, alpha2, step, eps float64)
TEXT ·adamAVX2(SB), NOSPLIT, $0-136
	MOVQ params_base+0(FP), DI
	MOVQ params_len+8(FP), CX
	MOVQ grad_base+24(FP), SI
	MOVQ m_base+48(FP), R8
	MOVQ v_base+72(FP), R9
	VBROADCASTSD alpha1+96(FP), Y7
	VBROADCASTSD beta2+104(FP), Y8
	VBROADCASTSD alpha2+112(FP), Y9
	VBROADCASTSD step+120(FP), Y10
	VBROADCASTSD eps+128(FP), Y11
	MAP(ADAM_LOAD, ADAM_LOADM, ADAM_BODY, ADAM_STORE, ADAM_STOREM)

#define AXPY_LOAD \
	VMOVUPD (SI)(BX*1), Y1; \
	VMOVUPD (DI)(BX*1), Y0
#define AXPY_LOADM \
	VMASKMOVPD (SI)(BX*1), Y15, Y1; \
	VMASKMOVPD (DI)(BX*1), Y15, Y0
#define AXPY_BODY(inside, store) \
	VFMADD231PD Y14, Y1, Y0

// func axpyAVX2(alpha float64, x, y []float64)
TEXT ·axpyAVX2(SB), NOSPLIT, $0-56
	VBROADCASTSD alpha+0(FP), Y14
	MOVQ x_base+8(FP), SI
	MOVQ y_base+32(FP), DI
	MOVQ y_len+40(FP), CX
	MAP(AXPY_LOAD, AXPY_LOADM, AXPY_BODY, STORE1, STORE1M)

// s += x·y for the four lanes at offset o.
#define DOT(o, s, t) \
	VMOVUPD o(SI), t;    \
	VMULPD  o(DX), t, t; \
	VADDPD  t, s, s

// sums[i%32] += x[i]·y[i], each product rounded, for a length that is a multiple of 32.
//
// func dotAVX2(sums *[32]float64, x, y []float64)
TEXT ·dotAVX2(SB), NOSPLIT, $0-56
	MOVQ    sums+0(FP), DI
	MOVQ    x_base+8(FP), SI
	MOVQ    x_len+16(FP), CX
	MOVQ    y_base+32(FP), DX
	VMOVUPD (DI), Y0
	VMOVUPD 32(DI), Y1
	VMOVUPD 64(DI), Y2
	VMOVUPD 96(DI), Y3
	VMOVUPD 128(DI), Y4
	VMOVUPD 160(DI), Y5
	VMOVUPD 192(DI), Y6
	VMOVUPD 224(DI), Y7

loop:
	DOT(0, Y0, Y8)
	DOT(32, Y1, Y9)
	DOT(64, Y2, Y10)
	DOT(96, Y3, Y11)
	DOT(128, Y4, Y12)
	DOT(160, Y5, Y13)
	DOT(192, Y6, Y14)
	DOT(224, Y7, Y15)
	ADDQ    $256, SI
	ADDQ    $256, DX
	SUBQ    $32, CX
	JNZ     loop
	VMOVUPD Y0, (DI)
	VMOVUPD Y1, 32(DI)
	VMOVUPD Y2, 64(DI)
	VMOVUPD Y3, 96(DI)
	VMOVUPD Y4, 128(DI)
	VMOVUPD Y5, 160(DI)
	VMOVUPD Y6, 192(DI)
	VMOVUPD Y7, 224(DI)
	VZEROUPPER
	RET

// Whether 0·x summed over x, a multiple of 16 long, is a number: ±Inf and NaN make it NaN.
//
// func finiteAVX2(x []float64) bool
TEXT ·finiteAVX2(SB), NOSPLIT, $0-25
	MOVQ   x_base+0(FP), SI
	MOVQ   x_len+8(FP), CX
	VXORPD Y4, Y4, Y4
	VXORPD Y0, Y0, Y0
	VXORPD Y1, Y1, Y1
	VXORPD Y2, Y2, Y2
	VXORPD Y3, Y3, Y3

loop:
	VFMADD231PD (SI), Y4, Y0
	VFMADD231PD 32(SI), Y4, Y1
	VFMADD231PD 64(SI), Y4, Y2
	VFMADD231PD 96(SI), Y4, Y3
	ADDQ        $128, SI
	SUBQ        $16, CX
	JNZ         loop
	VADDPD      Y1, Y0, Y0
	VADDPD      Y3, Y2, Y2
	VADDPD      Y2, Y0, Y0
	VCMPPD      EQUAL, Y0, Y0, Y0 // to itself
	VMOVMSKPD   Y0, AX
	CMPL        AX, ALL_LANES
	SETEQ       ret+24(FP)
	VZEROUPPER
	RET
