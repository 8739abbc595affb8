//go:build amd64 && !purego

#include "go_asm.h"
#include "textflag.h"
#include "constants_amd64.h"
#include "immediates_amd64.h"

// Elementwise functions, four lanes at a time, operation for operation those of
// elementwise_avx512_amd64.s, so that the bits are the same. Every function has the same frame: BX
// is the offset in bytes that all slices share, CX what is left. A BODY loads and stores by the
// macros that it is given, at the end through the mask Y15 of the lanes that are left; it may use
// the labels.

#define LOAD(p, y)        VMOVUPD (p)(BX*1), y
#define STORE(y, p)       VMOVUPD y, (p)(BX*1)
#define LOADMASKED(p, y)  VMASKMOVPD (p)(BX*1), Y15, y
#define STOREMASKED(y, p) VMASKMOVPD y, Y15, (p)(BX*1)

#define MAP(BODY) \
	XORL BX, BX;                                    \
	SUBQ $4, CX;                                    \
	JLT  tail;                                      \
	PCALIGN $64;                                    \
loop:                                                   \
	BODY(LOAD, STORE, inside, store);               \
	ADDQ $32, BX;                                   \
	SUBQ $4, CX;                                    \
	JGE  loop;                                      \
tail:                                                   \
	ADDQ $4, CX;                                    \
	JEQ  done;                                      \
	SHLQ $3, CX;                                    \
	LEAQ ·lanes+32(SB), AX;                         \
	SUBQ CX, AX;                                    \
	VMOVUPD (AX), Y15;                              \
	BODY(LOADMASKED, STOREMASKED, inside1, store1); \
done:                                                   \
	VZEROUPPER;                                     \
	RET

#define UNARY(BODY) \
	MOVQ dst_base+0(FP), DI;  \
	MOVQ dst_len+8(FP), CX;   \
	MOVQ src_base+24(FP), SI; \
	MAP(BODY)

#define BACKWARD(BODY) \
	MOVQ    dz_base+0(FP), DI;  \
	MOVQ    dz_len+8(FP), CX;   \
	MOVQ    da_base+24(FP), SI; \
	MOVQ    z_base+48(FP), R8;  \
	MOVQ    a_base+72(FP), R9;  \
	VMOVUPD ONE, Y13;           \
	VMOVUPD SMALL, Y14;         \
	VMOVUPD NEAR_ONE, Y12;      \
	MAP(BODY)

// What most functions work on: dst in DI, x in SI, y in R8, z in R9 and w in R10, p in Y8, q in Y9
// and r in Y12, as far as there are any; and zero in Y13.
#define OPERANDS \
	MOVQ   o+0(FP), AX;               \
	MOVQ   operands_dst(AX), DI;      \
	MOVQ   operands_n(AX), CX;        \
	MOVQ   operands_x(AX), SI;        \
	MOVQ   operands_y(AX), R8;        \
	MOVQ   operands_z(AX), R9;        \
	MOVQ   operands_w(AX), R10;       \
	VBROADCASTSD operands_p(AX), Y8;  \
	VBROADCASTSD operands_q(AX), Y9;  \
	VBROADCASTSD operands_r(AX), Y12; \
	VXORPD Y13, Y13, Y13

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

#define EXP_BODY(LD, ST, inside, store) \
	LD(SI, Y0);          \
	VMINPD  Y0, Y13, Y0; \
	VMAXPD  Y0, Y14, Y0; \
	EXP;                 \
	VMOVAPD Y2, Y0;      \
	ST(Y0, DI)

// func expAVX2(dst, src []float64)
TEXT ·expAVX2(SB), NOSPLIT, $0-48
	VMOVUPD LARGE, Y13
	VMOVUPD SMALL, Y14
	UNARY(EXP_BODY)

// Y0 = σ(z) = 1/(1+e) for z ≥ 0, e/(1+e) for z < 0, where e = e^−|z| and Y0 is z.
#define SIGMOID \
	VMOVAPD   Y0, Y5;          \
	VORPD     SIGN, Y0, Y0;    \
	VMAXPD    Y0, Y14, Y0;     \
	EXP;                       \
	VADDPD    Y13, Y2, Y4;     \
	VBLENDVPD Y5, Y2, Y13, Y0; \
	VDIVPD    Y4, Y0, Y0

#define SIGMOID_BODY(LD, ST, inside, store) \
	LD(SI, Y0); \
	SIGMOID;    \
	ST(Y0, DI)

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

// The pairs of tanhTable at the offsets Y3 give a in Y4 and t in Y1.
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

#define TANH_BODY(LD, ST, inside, store) \
	LD(SI, Y0);                        \
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
	VORPD       Y5, Y0, Y0;            \
	ST(Y0, DI)

// func tanhAVX2(dst, src []float64)
TEXT ·tanhAVX2(SB), NOSPLIT, $0-48
	VMOVUPD SIGN, Y13
	VMOVUPD TABLE_END, Y14
	LEAQ    ·tanhTable(SB), R8
	UNARY(TANH_BODY)

// dz = da·a·(1−a) where a is not close to 1, else da·e/(1+e)² with e = e^−|z|.
#define SIGMOID_BACKWARD_BODY(LD, ST, inside, store) \
	LD(SI, Y7);                  \
	LD(R8, Y0);                  \
	LD(R9, Y6);                  \
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
	VMULPD    Y7, Y5, Y0;        \
	ST(Y0, DI)

// func sigmoidBackwardAVX2(dz, da, z, a []float64)
TEXT ·sigmoidBackwardAVX2(SB), NOSPLIT, $0-96
	BACKWARD(SIGMOID_BACKWARD_BODY)

// dz = da·(1−a²) where |a| is not close to 1, else da·4e/(1+e)² with e = e^−2|z|.
#define TANH_BACKWARD_BODY(LD, ST, inside, store) \
	LD(SI, Y7);                     \
	LD(R8, Y0);                     \
	LD(R9, Y6);                     \
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
	VMULPD       Y7, Y5, Y0;        \
	ST(Y0, DI)

// func tanhBackwardAVX2(dz, da, z, a []float64)
TEXT ·tanhBackwardAVX2(SB), NOSPLIT, $0-96
	BACKWARD(TANH_BACKWARD_BODY)

#define RELU_BODY(LD, ST, inside, store) \
	LD(SI, Y0);         \
	VMAXPD Y0, Y14, Y0; \
	VADDPD Y0, Y14, Y0; \
	ST(Y0, DI)

// func reluAVX2(dst, src []float64)
TEXT ·reluAVX2(SB), NOSPLIT, $0-48
	VXORPD Y14, Y14, Y14
	UNARY(RELU_BODY)

#define RELU_BACKWARD_BODY(LD, ST, inside, store) \
	LD(SI, Y1);               \
	LD(R8, Y0);               \
	VCMPPD LESS, Y0, Y14, Y2; \
	VANDPD Y1, Y2, Y0;        \
	ST(Y0, DI)

// func reluBackwardAVX2(dz, da, z []float64)
TEXT ·reluBackwardAVX2(SB), NOSPLIT, $0-72
	MOVQ   dz_base+0(FP), DI
	MOVQ   dz_len+8(FP), CX
	MOVQ   da_base+24(FP), SI
	MOVQ   z_base+48(FP), R8
	VXORPD Y14, Y14, Y14
	MAP(RELU_BACKWARD_BODY)

// m = β₁·m + g;  v = β₂·v + g²;  θ −= step·m/(√v + ε)
#define ADAM_BODY(LD, ST, inside, store) \
	LD(SI, Y2);               \
	LD(R8, Y0);               \
	LD(R9, Y1);               \
	LD(DI, Y3);               \
	VFMADD213PD  Y2, Y7, Y0;  \
	VMULPD       Y8, Y1, Y1;  \
	VFMADD231PD  Y2, Y2, Y1;  \
	VSQRTPD      Y1, Y5;      \
	VADDPD       Y11, Y5, Y5; \
	VDIVPD       Y5, Y0, Y5;  \
	VFNMADD231PD Y10, Y5, Y3; \
	ST(Y0, R8);               \
	ST(Y1, R9);               \
	ST(Y3, DI)

// func adamAVX2(params, grad, m, v []float64, beta1, beta2, step, eps float64)
TEXT ·adamAVX2(SB), NOSPLIT, $0-128
	MOVQ params_base+0(FP), DI
	MOVQ params_len+8(FP), CX
	MOVQ grad_base+24(FP), SI
	MOVQ m_base+48(FP), R8
	MOVQ v_base+72(FP), R9
	VBROADCASTSD beta1+96(FP), Y7
	VBROADCASTSD beta2+104(FP), Y8
	VBROADCASTSD step+112(FP), Y10
	VBROADCASTSD eps+120(FP), Y11
	MAP(ADAM_BODY)

#define AXPY_BODY(LD, ST, inside, store) \
	LD(SI, Y1);              \
	LD(DI, Y0);              \
	VFMADD231PD Y14, Y1, Y0; \
	ST(Y0, DI)

// func axpyAVX2(alpha float64, x, y []float64)
TEXT ·axpyAVX2(SB), NOSPLIT, $0-56
	VBROADCASTSD alpha+0(FP), Y14
	MOVQ x_base+8(FP), SI
	MOVQ y_base+32(FP), DI
	MOVQ y_len+40(FP), CX
	MAP(AXPY_BODY)

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

// x where z > 0, else p·x.
#define LEAKY_BODY(LD, ST, inside, store) \
	LD(SI, Y1);                  \
	LD(R9, Y0);                  \
	VCMPPD    LESS, Y0, Y13, Y2; \
	VMULPD    Y8, Y1, Y3;        \
	VBLENDVPD Y2, Y1, Y3, Y0;    \
	ST(Y0, DI)

// func leakyAVX2(o *operands)
TEXT ·leakyAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	MAP(LEAKY_BODY)

// p·z where z > 0, else q·(e^z − 1) = q·(2ⁿ·t + (2ⁿ − 1)), of which the zeros have z's sign.
#define ELU_BODY(LD, ST, inside, store) \
	LD(R9, Y5);                    \
	VMINPD      Y5, Y13, Y0;       \
	VMAXPD      Y0, Y14, Y0;       \
	REDUCE_AND_EXPM1;              \
	POWER(Y3);                     \
	VSUBPD      ONE, Y3, Y4;       \
	VFMADD213PD Y4, Y3, Y2;        \
	VANDPD      SIGN, Y5, Y4;      \
	VORPD       Y4, Y2, Y2;        \
	VMULPD      Y9, Y2, Y2;        \
	VMULPD      Y8, Y5, Y4;        \
	VCMPPD      LESS, Y5, Y13, Y6; \
	VBLENDVPD   Y6, Y4, Y2, Y0;    \
	ST(Y0, DI)

// func eluAVX2(o *operands)
TEXT ·eluAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	VMOVUPD EXPM1_END, Y14
	MAP(ELU_BODY)

// p·x where z > 0, else q·x·e^z.
#define ELU_BACKWARD_BODY(LD, ST, inside, store) \
	LD(R9, Y0);                  \
	VCMPPD    LESS, Y0, Y13, Y5; \
	VMINPD    Y0, Y13, Y0;       \
	VMAXPD    Y0, Y14, Y0;       \
	EXP;                         \
	VMULPD    Y9, Y2, Y2;        \
	VBLENDVPD Y5, Y8, Y2, Y2;    \
	LD(SI, Y0);                  \
	VMULPD    Y0, Y2, Y0;        \
	ST(Y0, DI)

// func eluBackwardAVX2(o *operands)
TEXT ·eluBackwardAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	VMOVUPD SMALL, Y14
	MAP(ELU_BACKWARD_BODY)

// x·σ(z).
#define MUL_SIGMOID_BODY(LD, ST, inside, store) \
	LD(R9, Y0);         \
	SIGMOID;            \
	LD(SI, Y1);         \
	VMULPD Y1, Y0, Y0;  \
	ST(Y0, DI)

// func mulSigmoidAVX2(o *operands)
TEXT ·mulSigmoidAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	VMOVUPD ONE, Y13
	VMOVUPD SMALL, Y14
	MAP(MUL_SIGMOID_BODY)

// x·σ(z)·(1 + z·σ(−z)): with s = 1/(1+e) and e = e^−|z|, one of the two σ is s and the other e·s.
#define SILU_BACKWARD_BODY(LD, ST, inside, store) \
	LD(R9, Y5);                 \
	VORPD       SIGN, Y5, Y0;   \
	VMAXPD      Y0, Y14, Y0;    \
	EXP;                        \
	VADDPD      Y13, Y2, Y4;    \
	VDIVPD      Y4, Y13, Y4;    \
	VMULPD      Y4, Y2, Y2;     \
	VBLENDVPD   Y5, Y2, Y4, Y6; \
	VBLENDVPD   Y5, Y4, Y2, Y2; \
	VFMADD213PD Y13, Y5, Y2;    \
	VMULPD      Y6, Y2, Y2;     \
	LD(SI, Y0);                 \
	VMULPD      Y0, Y2, Y0;     \
	ST(Y0, DI)

// func siluBackwardAVX2(o *operands)
TEXT ·siluBackwardAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	VMOVUPD ONE, Y13
	VMOVUPD SMALL, Y14
	MAP(SILU_BACKWARD_BODY)

// max(z, 0) + log(1+e) with e = e^−|z|. From √2−1 on log(1+e) is ln 2 + log(1+f) with f = (e−1)/2,
// below f = e. With s = f/(2+f), log(1+f) = f − (h − s·(h + s²·q(s²))) and h = f²/2, as FreeBSD's
// log has it.
#define SOFTPLUS_BODY(LD, ST, inside, store) \
	LD(R9, Y5);                    \
	VORPD       SIGN, Y5, Y0;      \
	VMAXPD      Y0, Y14, Y0;       \
	EXP;                           \
	VCMPPD      LESS, Y2, Y11, Y9; \
	VSUBPD      Y8, Y2, Y3;        \
	VMULPD      Y12, Y3, Y3;       \
	VBLENDVPD   Y9, Y3, Y2, Y2;    \
	VADDPD      Y8, Y8, Y4;        \
	VADDPD      Y4, Y2, Y4;        \
	VDIVPD      Y4, Y2, Y4;        \
	VMULPD      Y4, Y4, Y6;        \
	VMOVUPD     LOG(6), Y1;        \
	VFMADD213PD LOG(5), Y6, Y1;    \
	VFMADD213PD LOG(4), Y6, Y1;    \
	VFMADD213PD LOG(3), Y6, Y1;    \
	VFMADD213PD LOG(2), Y6, Y1;    \
	VFMADD213PD LOG(1), Y6, Y1;    \
	VFMADD213PD LOG(0), Y6, Y1;    \
	VMULPD      Y12, Y2, Y0;       \
	VMULPD      Y2, Y0, Y0;        \
	VFMADD213PD Y0, Y6, Y1;        \
	VANDPD      LN2_LOW, Y9, Y7;   \
	VFMADD213PD Y7, Y4, Y1;        \
	VSUBPD      Y1, Y0, Y0;        \
	VSUBPD      Y2, Y0, Y0;        \
	VANDPD      LN2_HIGH, Y9, Y7;  \
	VSUBPD      Y0, Y7, Y0;        \
	VMAXPD      Y5, Y13, Y5;       \
	VADDPD      Y5, Y0, Y0;        \
	ST(Y0, DI)

// func softplusAVX2(o *operands)
TEXT ·softplusAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	VMOVUPD ONE, Y8
	VMOVUPD LOG_SPLIT, Y11
	VMOVUPD HALF, Y12
	VMOVUPD SMALL, Y14
	MAP(SOFTPLUS_BODY)

// z in Y5, y = min(|z|, 40) in Y6 and e^(−y²/2) in Y2. What y² lacks of being exact, l, is made up
// for by a factor of 1 − l/2.
#define BELL(LD) \
	LD(R9, Y5);               \
	VANDNPD      Y5, Y13, Y6; \
	VMINPD       Y6, Y12, Y6; \
	VMULPD       Y6, Y6, Y0;  \
	VMOVAPD      Y6, Y7;      \
	VFMSUB213PD  Y0, Y6, Y7;  \
	VMULPD       Y11, Y7, Y7; \
	VMULPD       Y11, Y0, Y0; \
	VXORPD       Y13, Y0, Y0; \
	EXP;                      \
	VFNMADD231PD Y7, Y2, Y2

#define BELL_CONSTANTS \
	VMOVUPD SIGN, Y13;  \
	VMOVUPD FORTY, Y12; \
	VMOVUPD HALF, Y11

#define MILLS_PAIR(i) \
	VFMADD213PD MILLS(i), Y8, Y0; \
	VFMADD213PD MILLS(i+1), Y8, Y1

// z·Φ(z): Φ(−y) = e^(−y²/2)·t·P(w) with t = 1/(y+5) and w = 10·t − 1, the even and the odd
// coefficients of P in two chains. What the sum and the quotient of t lack of being exact, an ulp
// of which would cost up to four in the end, is added to t and w.
#define GELU_BODY(LD, ST, inside, store) \
	BELL(LD);                   \
	VMOVUPD      FIVE, Y0;      \
	VMOVUPD      TEN, Y9;       \
	VADDPD       Y0, Y6, Y3;    \
	VSUBPD       Y0, Y3, Y7;    \
	VSUBPD       Y7, Y6, Y7;    \
	VDIVPD       Y3, Y14, Y8;   \
	VMOVAPD      Y14, Y1;       \
	VFNMADD231PD Y3, Y8, Y1;    \
	VFNMADD231PD Y7, Y8, Y1;    \
	VMULPD       Y8, Y1, Y1;    \
	VMOVAPD      Y9, Y7;        \
	VFMSUB213PD  Y14, Y8, Y7;   \
	VFMADD231PD  Y9, Y1, Y7;    \
	VADDPD       Y1, Y8, Y3;    \
	VMULPD       Y7, Y7, Y8;    \
	VMOVUPD     MILLS(20), Y0;  \
	VMOVUPD     MILLS(21), Y1;  \
	MILLS_PAIR(18);             \
	MILLS_PAIR(16);             \
	MILLS_PAIR(14);             \
	MILLS_PAIR(12);             \
	MILLS_PAIR(10);             \
	MILLS_PAIR(8);              \
	MILLS_PAIR(6);              \
	MILLS_PAIR(4);              \
	MILLS_PAIR(2);              \
	MILLS_PAIR(0);              \
	VFMADD213PD Y0, Y7, Y1;     \
	VMULPD      Y3, Y1, Y1;     \
	VMULPD      Y6, Y1, Y1;     \
	VMULPD      Y2, Y1, Y0;     \
	VSUBPD      Y0, Y5, Y4;     \
	VXORPD      Y13, Y0, Y0;    \
	VBLENDVPD   Y5, Y0, Y4, Y0; \
	ST(Y0, DI)

// func geluAVX2(o *operands)
TEXT ·geluAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	BELL_CONSTANTS
	VMOVUPD ONE, Y14
	MAP(GELU_BODY)

// x·(Φ(z) + z·φ(z)), with Φ(z) = w/z where z is not tiny.
#define GELU_BACKWARD_BODY(LD, ST, inside, store) \
	BELL(LD);                       \
	LD(R10, Y3);                    \
	VDIVPD       Y5, Y3, Y3;        \
	VCMPPD       LESS, Y14, Y6, Y4; \
	VBLENDVPD    Y4, Y11, Y3, Y3;   \
	VANDPD       Y13, Y5, Y4;       \
	VORPD        Y4, Y6, Y6;        \
	VMULPD       GAUSS, Y6, Y6;     \
	VFMADD231PD  Y6, Y2, Y3;        \
	LD(SI, Y0);                     \
	VMULPD       Y0, Y3, Y0;        \
	ST(Y0, DI)

// func geluBackwardAVX2(o *operands)
TEXT ·geluBackwardAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	BELL_CONSTANTS
	VMOVUPD TINY, Y14
	MAP(GELU_BACKWARD_BODY)

// y = p·y + x²; then x/(√(y−z²) + r).
#define RMS_BODY(LD, ST, inside, store) \
	LD(SI, Y2);               \
	LD(R8, Y1);               \
	LD(R9, Y4);               \
	VMULPD       Y8, Y1, Y1;  \
	VFMADD231PD  Y2, Y2, Y1;  \
	ST(Y1, R8);               \
	VFNMADD231PD Y4, Y4, Y1;  \
	VMAXPD       Y1, Y13, Y1; \
	VSQRTPD      Y1, Y5;      \
	VADDPD       Y12, Y5, Y5; \
	VDIVPD       Y5, Y2, Y0;  \
	ST(Y0, DI)

// func rmsAVX2(o *operands)
TEXT ·rmsAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	MAP(RMS_BODY)

// p·x + q·dst.
#define AXPBY_BODY(LD, ST, inside, store) \
	LD(SI, Y1);             \
	LD(DI, Y0);             \
	VMULPD      Y9, Y0, Y0; \
	VFMADD231PD Y8, Y1, Y0; \
	ST(Y0, DI)

// func axpbyAVX2(o *operands)
TEXT ·axpbyAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	MAP(AXPBY_BODY)

// q·c, where c is p·(x−y) clamped to ±r.
#define DIFFERENCE_BODY(LD, ST, inside, store) \
	LD(SI, Y0);         \
	LD(R8, Y1);         \
	VSUBPD Y1, Y0, Y0;  \
	VMULPD Y8, Y0, Y0;  \
	VMINPD Y0, Y12, Y0; \
	VMAXPD Y0, Y14, Y0; \
	VMULPD Y9, Y0, Y0;  \
	ST(Y0, DI)

// func differenceAVX2(o *operands)
TEXT ·differenceAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	VXORPD SIGN, Y12, Y14
	MAP(DIFFERENCE_BODY)

// (x−y)·z + w.
#define NORMALIZE_BODY(LD, ST, inside, store) \
	LD(SI, Y0);             \
	LD(R8, Y1);             \
	LD(R9, Y2);             \
	LD(R10, Y3);            \
	VSUBPD      Y1, Y0, Y0; \
	VFMADD213PD Y3, Y2, Y0; \
	ST(Y0, DI)

// func normalizeAVX2(o *operands)
TEXT ·normalizeAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	MAP(NORMALIZE_BODY)

// dst + (x−y)·(z−w).
#define CORRELATE_BODY(LD, ST, inside, store) \
	LD(SI, Y0);             \
	LD(R8, Y1);             \
	LD(R9, Y2);             \
	LD(R10, Y3);            \
	LD(DI, Y4);             \
	VSUBPD      Y1, Y0, Y0; \
	VSUBPD      Y3, Y2, Y2; \
	VFMADD213PD Y4, Y2, Y0; \
	ST(Y0, DI)

// func correlateAVX2(o *operands)
TEXT ·correlateAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	MAP(CORRELATE_BODY)

#define MIX_SHIFT1 $30
#define MIX_SHIFT2 $27
#define HALF_WORD  $32
#define BY_TWO     $1

// Y1 = Y1·factor, of which high is the upper half.
#define TIMES(factor, high) \
	VPSRLQ   HALF_WORD, Y1, Y2; \
	VPMULUDQ factor, Y2, Y2;    \
	VPMULUDQ high, Y1, Y3;      \
	VPADDQ   Y3, Y2, Y2;        \
	VPSLLQ   HALF_WORD, Y2, Y2; \
	VPMULUDQ factor, Y1, Y1;    \
	VPADDQ   Y2, Y1, Y1

// p·x where the number of element i is at least the threshold, else 0·x. It is that of mix, halved
// so that its comparison needs no sign. Where all of x is zero there is nothing to draw.
#define DROPOUT_BODY(LD, ST, inside, store) \
	LD(SI, Y0);                  \
	VPTEST   Y0, Y0;             \
	JEQ      store;              \
	VPSRLQ   MIX_SHIFT1, Y4, Y1; \
	VPXOR    Y4, Y1, Y1;         \
	TIMES(MIX1, MIX1_HIGH);      \
	VPSRLQ   MIX_SHIFT2, Y1, Y2; \
	VPXOR    Y2, Y1, Y1;         \
	TIMES(MIX2, MIX2_HIGH);      \
	VPSRLQ   BY_TWO, Y1, Y1;     \
	VPCMPGTQ Y1, Y5, Y1;         \
	VANDNPD  Y8, Y1, Y1;         \
	VMULPD   Y1, Y0, Y0;         \
store:                               \
	ST(Y0, DI);                  \
	VPADDQ   STEPS4, Y4, Y4

// func dropoutAVX2(o *operands)
TEXT ·dropoutAVX2(SB), NOSPLIT, $0-8
	OPERANDS
	VPBROADCASTQ operands_key(AX), Y4
	VPBROADCASTQ operands_threshold(AX), Y5
	VPADDQ ·weyls(SB), Y4, Y4
	MAP(DROPOUT_BODY)
