//go:build amd64 && !purego

#include "go_asm.h"
#include "textflag.h"
#include "constants_amd64.h"
#include "immediates_amd64.h"

// Elementwise functions, eight lanes at a time. Every loop has the same frame: BX is the offset in
// bytes that all slices share, CX what is left, and K1 selects all lanes, but for the last time
// round only those that are left.

// What most functions work on: dst in DI, x in SI, y in R8, z in R9 and w in R10, as far as there
// are any.
#define OPERANDS \
	MOVQ o+0(FP), AX;          \
	MOVQ operands_dst(AX), DI; \
	MOVQ operands_n(AX), CX;   \
	MOVQ operands_x(AX), SI;   \
	MOVQ operands_y(AX), R8;   \
	MOVQ operands_z(AX), R9;   \
	MOVQ operands_w(AX), R10

// At most four elements are left to the AVX2 loop, which computes the same bits: they were often
// just written, next to others that were, and a load of 64 bytes has to wait for all stores within
// its reach. Measured: tanh of four numbers just stored, and its derivative, take 0.91 of their
// time, σ 0.84.
#define SHORT(f) \
	CMPQ CX, $4; \
	JGT  2(PC);  \
	JMP  f(SB)

#define EACH \
	XORL   BX, BX;     \
	KXNORW K1, K1, K1; \
	SUBQ   $8, CX;     \
	JLT    tail;       \
	PCALIGN $64;       \
loop:

#define NEXT \
	ADDQ  $64, BX; \
	SUBQ  $8, CX;  \
	JGE   loop;    \
tail:                  \
	ADDQ  $8, CX;  \
	JEQ   done;    \
	MOVL  $1, AX;  \
	SHLL  CX, AX;  \
	DECL  AX;      \
	KMOVW AX, K1;  \
	XORL  CX, CX;  \
	JMP   loop;    \
done:                  \
	VZEROUPPER;    \
	RET

// e^x = 2ⁿ·(1+t): n = round(x/ln 2), r = x − n·ln 2, t = e^r − 1 = r + r²·q(r). The odd and the
// even coefficients of q are two chains in r², which take half the time of one.
//
//	Z0       x, clobbered
//	Z1       n
//	Z2       t
//	Z3, Z7   clobbered
//	Z16-Z31  see EXP_CONSTANTS
#define REDUCE_AND_EXPM1 \
	VMOVAPD      Z16, Z1;     \
	VFMADD231PD  Z17, Z0, Z1; \
	VSUBPD       Z16, Z1, Z1; \
	VFNMADD231PD Z18, Z1, Z0; \
	VFNMADD231PD Z19, Z1, Z0; \
	VMOVAPD      Z29, Z2;     \
	VMOVAPD      Z28, Z7;     \
	VMULPD       Z0, Z0, Z3;  \
	VFMADD213PD  Z27, Z3, Z2; \
	VFMADD213PD  Z26, Z3, Z7; \
	VFMADD213PD  Z25, Z3, Z2; \
	VFMADD213PD  Z24, Z3, Z7; \
	VFMADD213PD  Z23, Z3, Z2; \
	VFMADD213PD  Z22, Z3, Z7; \
	VFMADD213PD  Z21, Z3, Z2; \
	VFMADD213PD  Z20, Z3, Z7; \
	VFMADD213PD  Z7, Z0, Z2;  \
	VFMADD213PD  Z0, Z3, Z2

// Z2 = e^Z0, gradually to zero and to infinity.
#define EXP \
	REDUCE_AND_EXPM1;      \
	VADDPD    Z30, Z2, Z2; \
	VSCALEFPD Z1, Z2, Z2

// What EXP needs, and SMALL, with which those who use it clamp. These are no broadcast operands of
// the instructions themselves: in a plugin the assembler takes the address of a symbol from the
// global offset table, and loses the suffix .BCST on the way. In registers they cost less, too: e^x
// of 8192 numbers takes 0.92 of its time, of 16 0.94.
#define EXP_CONSTANTS \
	VBROADCASTSD ROUND, Z16;    \
	VBROADCASTSD LOG2E, Z17;    \
	VBROADCASTSD LN2_HIGH, Z18; \
	VBROADCASTSD LN2_LOW, Z19;  \
	VBROADCASTSD Q0, Z20;       \
	VBROADCASTSD Q1, Z21;       \
	VBROADCASTSD Q2, Z22;       \
	VBROADCASTSD Q3, Z23;       \
	VBROADCASTSD Q4, Z24;       \
	VBROADCASTSD Q5, Z25;       \
	VBROADCASTSD Q6, Z26;       \
	VBROADCASTSD Q7, Z27;       \
	VBROADCASTSD Q8, Z28;       \
	VBROADCASTSD Q9, Z29;       \
	VBROADCASTSD ONE, Z30;      \
	VBROADCASTSD SMALL, Z31

// func expAVX512(dst, src []float64)
TEXT ·expAVX512(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	SHORT(·expAVX2)
	MOVQ src_base+24(FP), SI
	EXP_CONSTANTS
	VBROADCASTSD LARGE, Z8
	EACH
	VMOVUPD.Z (SI)(BX*1), K1, Z0
	VMINPD    Z0, Z8, Z0 // A NaN stays: x is the operand that counts then.
	VMAXPD    Z0, Z31, Z0
	EXP
	VMOVUPD   Z2, K1, (DI)(BX*1)
	NEXT

// Z5 = σ(z) = 1/(1+e) for z ≥ 0, e/(1+e) for z < 0, where e = e^−|z| and Z0 is z.
#define SIGMOID \
	VPMOVQ2M Z0, K2;      \
	VORPD    Z8, Z0, Z0;  \
	VMAXPD   Z0, Z31, Z0; \
	EXP;                  \
	VADDPD   Z30, Z2, Z4; \
	VMOVAPD  Z30, Z5;     \
	VMOVAPD  Z2, K2, Z5;  \
	VDIVPD   Z4, Z5, Z5

// func sigmoidAVX512(dst, src []float64)
TEXT ·sigmoidAVX512(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	SHORT(·sigmoidAVX2)
	MOVQ src_base+24(FP), SI
	EXP_CONSTANTS
	VBROADCASTSD SIGN, Z8
	EACH
	VMOVUPD.Z (SI)(BX*1), K1, Z0
	SIGMOID
	VMOVUPD   Z5, K1, (DI)(BX*1)
	NEXT

// tanh |z| = tanh(a+b) = (t+h)/(1+t·h): a is the table's number next to |z|, t its tanh, and h =
// tanh b = b + b³·q(b²).
//
//	Z0      |z|, then b
//	Z1      t
//	Z2      h
//	Z3      clobbered
//	Z16-Z27 see tanhAVX512
#define TANH_OF_PARTS \
	VADDPD      Z24, Z0, Z3;  \
	VMOVAPD     Z3, Z1;       \
	VPERMI2PD   Z17, Z16, Z3; \
	VPERMI2PD   Z19, Z18, Z1; \
	VSUBPD      Z3, Z0, Z0;   \
	VMULPD      Z0, Z0, Z3;   \
	VMOVAPD     Z23, Z2;      \
	VFMADD213PD Z22, Z3, Z2;  \
	VFMADD213PD Z21, Z3, Z2;  \
	VFMADD213PD Z20, Z3, Z2;  \
	VFMADD213PD Z27, Z3, Z2;  \
	VMULPD      Z0, Z3, Z3;   \
	VFMADD213PD Z0, Z3, Z2

// A vector in which |z| goes beyond the table uses e^−2y = (1−t)(1−h)/((1+t)(1+h)) for y = |z|/8
// there: numerator and denominator are raised to the eighth power, and tanh |z| is their difference
// by their sum.
//
// func tanhAVX512(dst, src []float64)
TEXT ·tanhAVX512(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	SHORT(·tanhAVX2)
	MOVQ src_base+24(FP), SI
	LEAQ ·tanhColumns(SB), AX
	VMOVUPD (AX), Z16
	VMOVUPD 64(AX), Z17
	VMOVUPD 128(AX), Z18
	VMOVUPD 192(AX), Z19
	VBROADCASTSD TANH1, Z20
	VBROADCASTSD TANH2, Z21
	VBROADCASTSD TANH3, Z22
	VBROADCASTSD TANH4, Z23
	VBROADCASTSD QUARTERS, Z24
	VBROADCASTSD TABLE_END, Z25
	VBROADCASTSD SIGN, Z26
	VBROADCASTSD TANH0, Z27
	VBROADCASTSD ONE, Z28
	VBROADCASTSD TANH_ONE, Z29
	VBROADCASTSD EIGHTH, Z30
	EACH
	VMOVUPD.Z   (SI)(BX*1), K1, Z4
	VANDNPD     Z4, Z26, Z0
	VCMPPD      AT_LEAST, Z25, Z0, K2 // |z| ≥ the table's end
	KORTESTB    K2, K2
	JNZ         beyond
	TANH_OF_PARTS
	VADDPD      Z2, Z1, Z5
	VFMADD213PD Z28, Z1, Z2

quotient:
	VDIVPD      Z2, Z5, Z5
	VPTERNLOGQ  X_OR_Y_AND_Z, Z26, Z4, Z5 // with z's sign
	VMOVUPD     Z5, K1, (DI)(BX*1)
	NEXT

beyond:
	VMINPD      Z29, Z0, K2, Z0
	VMULPD      Z30, Z0, K2, Z0
	TANH_OF_PARTS
	VSUBPD      Z1, Z28, Z6
	VSUBPD      Z2, Z28, Z7
	VMULPD      Z7, Z6, Z6
	VADDPD      Z1, Z28, Z7
	VADDPD      Z2, Z28, Z8
	VMULPD      Z8, Z7, Z7
	VMULPD      Z6, Z6, Z6
	VMULPD      Z7, Z7, Z7
	VMULPD      Z6, Z6, Z6
	VMULPD      Z7, Z7, Z7
	VMULPD      Z6, Z6, Z6
	VMULPD      Z7, Z7, Z7
	VADDPD      Z2, Z1, Z5
	VFMADD213PD Z28, Z1, Z2
	VSUBPD      Z6, Z7, K2, Z5
	VADDPD      Z6, Z7, K2, Z2
	JMP         quotient

// dz = da·a·(1−a) where a is not close to 1, else da·e/(1+e)² with e = e^−|z|.
//
// func sigmoidBackwardAVX512(dz, da, z, a []float64)
TEXT ·sigmoidBackwardAVX512(SB), NOSPLIT, $0-96
	MOVQ dz_base+0(FP), DI
	MOVQ dz_len+8(FP), CX
	SHORT(·sigmoidBackwardAVX2)
	MOVQ da_base+24(FP), SI
	MOVQ z_base+48(FP), R8
	MOVQ a_base+72(FP), R9
	VBROADCASTSD NEAR_ONE, Z9
	VBROADCASTSD ONE, Z30
	XORL R10, R10 // whether EXP is prepared: most calls need none
	EACH
	VMOVUPD.Z  (R9)(BX*1), K1, Z4
	VCMPPD     LESS, Z9, Z4, K2 // a < 1 − 2⁻¹²
	VSUBPD     Z4, Z30, Z5
	VMULPD     Z4, Z5, Z5
	KORTESTB   K2, K2
	JCS        store
	TESTL      R10, R10
	JNZ        prepared
	INCL       R10
	EXP_CONSTANTS
	VBROADCASTSD SIGN, Z8

prepared:
	VMOVUPD.Z  (R8)(BX*1), K1, Z0
	VORPD      Z8, Z0, Z0
	VMAXPD     Z0, Z31, Z0
	EXP
	VADDPD     Z30, Z2, Z4
	VMULPD     Z4, Z4, Z4
	VDIVPD     Z4, Z2, Z2
	VMOVAPD    Z5, K2, Z2
	VMOVAPD    Z2, Z5

store:
	VMULPD  (SI)(BX*1), Z5, K1, Z5
	VMOVUPD Z5, K1, (DI)(BX*1)
	NEXT

// dz = da·(1−a²) where |a| is not close to 1, else da·4e/(1+e)² with e = e^−2|z|.
//
// func tanhBackwardAVX512(dz, da, z, a []float64)
TEXT ·tanhBackwardAVX512(SB), NOSPLIT, $0-96
	MOVQ dz_base+0(FP), DI
	MOVQ dz_len+8(FP), CX
	SHORT(·tanhBackwardAVX2)
	MOVQ da_base+24(FP), SI
	MOVQ z_base+48(FP), R8
	MOVQ a_base+72(FP), R9
	VBROADCASTSD SIGN, Z8
	VBROADCASTSD NEAR_ONE, Z9
	VBROADCASTSD ONE, Z30
	XORL R10, R10 // whether EXP is prepared: most calls need none
	EACH
	VMOVUPD.Z    (R9)(BX*1), K1, Z4
	VANDNPD      Z4, Z8, Z6
	VCMPPD       LESS, Z9, Z6, K2 // |a| < 1 − 2⁻¹²
	VMOVAPD      Z30, Z5
	VFNMADD231PD Z4, Z4, Z5
	KORTESTB     K2, K2
	JCS          store
	TESTL        R10, R10
	JNZ          prepared
	INCL         R10
	EXP_CONSTANTS
	VBROADCASTSD FOUR, Z10

prepared:
	VMOVUPD.Z    (R8)(BX*1), K1, Z0
	VORPD        Z8, Z0, Z0
	VADDPD       Z0, Z0, Z0
	VMAXPD       Z0, Z31, Z0
	EXP
	VADDPD       Z30, Z2, Z4
	VMULPD       Z4, Z4, Z4
	VMULPD       Z10, Z2, Z2
	VDIVPD       Z4, Z2, Z2
	VMOVAPD      Z5, K2, Z2
	VMOVAPD      Z2, Z5

store:
	VMULPD  (SI)(BX*1), Z5, K1, Z5
	VMOVUPD Z5, K1, (DI)(BX*1)
	NEXT

// Z5 = √v, v being Z1, rounded as by VSQRTPD, which would occupy the divider for twice as long as all
// the rest of Adam takes. With r ≈ 1/√v to 14 bits, t = v·r rounded, l what t lacks of v·r, and e = 1 −
// t·r, the root is t + (t·e + l)·(1/2 + 3/8·e + 5/16·e²), off by less than a tenth of an ulp before it
// is rounded down to s. It is then s or the next number s⁺, and rather this one where s·s⁺ < v: the
// square of their middle is more by a quarter of an ulp squared, and v and s·s⁺ are multiples of an
// ulp squared (Tuckerman's test). The sign of s·s⁺ − v is right even where the difference underflows.
// What is zero, infinite or a NaN is its own root.
#define ROOT \
	VRSQRT14PD    Z1, Z6;           \
	VMULPD        Z6, Z1, Z5;       \
	VMOVAPD       Z25, Z7;          \
	VFNMADD231PD  Z6, Z5, Z7;       \
	VFMSUB213PD   Z5, Z1, Z6;       \
	VMOVAPD       Z23, Z8;          \
	VFMADD231PD   Z24, Z7, Z8;      \
	VFMADD213PD   Z22, Z7, Z8;      \
	VFMADD231PD   Z5, Z7, Z6;       \
	VMULPD        Z6, Z8, Z8;       \
	VADDPD.RD_SAE Z8, Z5, Z5;       \
	VPSUBQ        Z27, Z5, Z6;      \
	VFMSUB213PD   Z1, Z5, Z6;       \
	VPSRLQ        SIGN_BIT, Z6, Z6; \
	VPADDQ        Z6, Z5, Z5;       \
	VFIXUPIMMPD   QUIET, Z26, Z1, Z5

#define ROOT_CONSTANTS \
	VBROADCASTSD HALF, Z22;      \
	VBROADCASTSD ROOT2, Z23;     \
	VBROADCASTSD ROOT3, Z24;     \
	VBROADCASTSD ONE, Z25;       \
	VBROADCASTSD OWN_ROOTS, Z26; \
	VPTERNLOGQ ALWAYS, Z27, Z27, Z27 // −1

// func adamAVX512(params, grad, m, v []float64, beta1, beta2, step, eps float64)
TEXT ·adamAVX512(SB), NOSPLIT, $0-128
	MOVQ params_base+0(FP), DI
	MOVQ params_len+8(FP), CX
	MOVQ grad_base+24(FP), SI
	MOVQ m_base+48(FP), R8
	MOVQ v_base+72(FP), R9
	VBROADCASTSD beta1+96(FP), Z17
	VBROADCASTSD beta2+104(FP), Z18
	VBROADCASTSD step+112(FP), Z20
	VBROADCASTSD eps+120(FP), Z21
	ROOT_CONSTANTS
	EACH
	VMOVUPD.Z    (SI)(BX*1), K1, Z2
	VMOVUPD.Z    (R8)(BX*1), K1, Z0
	VMOVUPD.Z    (R9)(BX*1), K1, Z1
	VMOVUPD.Z    (DI)(BX*1), K1, Z3
	VFMADD213PD  Z2, Z17, Z0 // m = β₁·m + g
	VMULPD       Z18, Z1, Z1
	VFMADD231PD  Z2, Z2, Z1  // v = β₂·v + g²
	ROOT
	VADDPD       Z21, Z5, Z5
	VDIVPD       Z5, Z0, Z5
	VFNMADD231PD Z20, Z5, Z3 // θ −= step·m/(√v + ε)
	VMOVUPD      Z0, K1, (R8)(BX*1)
	VMOVUPD      Z1, K1, (R9)(BX*1)
	VMOVUPD      Z3, K1, (DI)(BX*1)
	NEXT

// p·z where z > 0, else q·(e^z − 1) = q·(2ⁿ·t + (2ⁿ − 1)), of which the zeros have z's sign.
//
// func eluAVX512(o *operands)
TEXT ·eluAVX512(SB), NOSPLIT, $0-8
	OPERANDS
	EXP_CONSTANTS
	VBROADCASTSD operands_p(AX), Z8
	VBROADCASTSD operands_q(AX), Z9
	VBROADCASTSD EXPM1_END, Z10
	VBROADCASTSD SIGN, Z11
	VXORPD X15, X15, X15
	EACH
	VMOVUPD.Z   (R9)(BX*1), K1, Z4
	VCMPPD      LESS, Z4, Z15, K2
	VMINPD      Z4, Z15, Z0
	VMAXPD      Z0, Z10, Z0
	REDUCE_AND_EXPM1
	VSCALEFPD   Z1, Z30, Z1
	VSUBPD      Z30, Z1, Z3
	VFMADD213PD Z3, Z1, Z2
	VPTERNLOGQ  X_OR_Y_AND_Z, Z11, Z4, Z2
	VMULPD      Z9, Z2, Z2
	VMULPD      Z8, Z4, K2, Z2
	VMOVUPD     Z2, K1, (DI)(BX*1)
	NEXT

// p·x where z > 0, else q·x·e^z.
//
// func eluBackwardAVX512(o *operands)
TEXT ·eluBackwardAVX512(SB), NOSPLIT, $0-8
	OPERANDS
	EXP_CONSTANTS
	VBROADCASTSD operands_p(AX), Z8
	VBROADCASTSD operands_q(AX), Z9
	VXORPD X15, X15, X15
	EACH
	VMOVUPD.Z (R9)(BX*1), K1, Z0
	VCMPPD    LESS, Z0, Z15, K2
	VMINPD    Z0, Z15, Z0
	VMAXPD    Z0, Z31, Z0
	EXP
	VMULPD    Z9, Z2, Z2
	VMOVAPD   Z8, K2, Z2
	VMULPD    (SI)(BX*1), Z2, K1, Z2
	VMOVUPD   Z2, K1, (DI)(BX*1)
	NEXT

// x·σ(z).
//
// func mulSigmoidAVX512(o *operands)
TEXT ·mulSigmoidAVX512(SB), NOSPLIT, $0-8
	OPERANDS
	EXP_CONSTANTS
	VBROADCASTSD SIGN, Z8
	EACH
	VMOVUPD.Z (R9)(BX*1), K1, Z0
	SIGMOID
	VMULPD    (SI)(BX*1), Z5, K1, Z5
	VMOVUPD   Z5, K1, (DI)(BX*1)
	NEXT

// x·σ(z)·(1 + z·σ(−z)): with s = 1/(1+e) and e = e^−|z|, one of the two σ is s and the other e·s.
//
// func siluBackwardAVX512(o *operands)
TEXT ·siluBackwardAVX512(SB), NOSPLIT, $0-8
	OPERANDS
	EXP_CONSTANTS
	VBROADCASTSD SIGN, Z8
	EACH
	VMOVUPD.Z   (R9)(BX*1), K1, Z4
	VPMOVQ2M    Z4, K2
	VORPD       Z8, Z4, Z0
	VMAXPD      Z0, Z31, Z0
	EXP
	VADDPD      Z30, Z2, Z5
	VDIVPD      Z5, Z30, Z5
	VMULPD      Z5, Z2, Z2
	VMOVAPD     Z5, Z6
	VMOVAPD     Z2, K2, Z6     // σ(z)
	VMOVAPD     Z5, K2, Z2     // σ(−z)
	VFMADD213PD Z30, Z4, Z2
	VMULPD      Z6, Z2, Z2
	VMULPD      (SI)(BX*1), Z2, K1, Z2
	VMOVUPD     Z2, K1, (DI)(BX*1)
	NEXT

// max(z, 0) + log(1+e) with e = e^−|z|. From √2−1 on log(1+e) is ln 2 + log(1+f) with f = (e−1)/2,
// below f = e. With s = f/(2+f), log(1+f) = f − (h − s·(h + s²·q(s²))) and h = f²/2, as FreeBSD's
// log has it.
//
// func softplusAVX512(o *operands)
TEXT ·softplusAVX512(SB), NOSPLIT, $0-8
	OPERANDS
	EXP_CONSTANTS
	VBROADCASTSD SIGN, Z8
	VBROADCASTSD LOG_SPLIT, Z9
	VBROADCASTSD HALF, Z10
	VADDPD Z30, Z30, Z11
	VXORPD X15, X15, X15
	LEAQ LOG(0), R11
	EACH
	VMOVUPD.Z   (R9)(BX*1), K1, Z4
	VORPD       Z8, Z4, Z0
	VMAXPD      Z0, Z31, Z0
	EXP
	VCMPPD      LESS, Z2, Z9, K2
	VSUBPD      Z30, Z2, K2, Z2
	VMULPD      Z10, Z2, K2, Z2 // f
	VADDPD      Z11, Z2, Z5
	VDIVPD      Z5, Z2, Z5      // s
	VMULPD      Z5, Z5, Z6
	VBROADCASTSD (32*6)(R11), Z1
	VFMADD213PD.BCST (32*5)(R11), Z6, Z1
	VFMADD213PD.BCST (32*4)(R11), Z6, Z1
	VFMADD213PD.BCST (32*3)(R11), Z6, Z1
	VFMADD213PD.BCST (32*2)(R11), Z6, Z1
	VFMADD213PD.BCST 32(R11), Z6, Z1
	VFMADD213PD.BCST (R11), Z6, Z1
	VMULPD      Z10, Z2, Z0
	VMULPD      Z2, Z0, Z0      // h
	VFMADD213PD Z0, Z6, Z1
	VMOVAPD.Z   Z19, K2, Z3     // ln 2, or 0
	VFMADD213PD Z3, Z5, Z1
	VSUBPD      Z1, Z0, Z0
	VSUBPD      Z2, Z0, Z0
	VMOVAPD.Z   Z18, K2, Z3
	VSUBPD      Z0, Z3, Z0
	VMAXPD      Z4, Z15, Z4
	VADDPD      Z4, Z0, Z0
	VMOVUPD     Z0, K1, (DI)(BX*1)
	NEXT

// z in Z4, y = min(|z|, 40) in Z5 and e^(−y²/2) in Z2. What y² lacks of being exact, l, is made up
// for by a factor of 1 − l/2.
#define BELL \
	VMOVUPD.Z    (R9)(BX*1), K1, Z4; \
	VANDNPD      Z4, Z8, Z5;         \
	VMINPD       Z5, Z9, Z5;         \
	VMULPD       Z5, Z5, Z0;         \
	VMOVAPD      Z5, Z6;             \
	VFMSUB213PD  Z0, Z5, Z6;         \
	VMULPD       Z10, Z6, Z6;        \
	VMULPD       Z10, Z0, Z0;        \
	VXORPD       Z8, Z0, Z0;         \
	EXP;                             \
	VFNMADD231PD Z6, Z2, Z2

#define BELL_CONSTANTS \
	EXP_CONSTANTS;              \
	VBROADCASTSD SIGN, Z8;      \
	VBROADCASTSD FORTY, Z9;     \
	VBROADCASTSD HALF, Z10

#define MILLS_PAIR(i) \
	VFMADD213PD.BCST (32*(i))(R11), Z7, Z0; \
	VFMADD213PD.BCST (32*(i)+32)(R11), Z7, Z1

// z·Φ(z): Φ(−y) = e^(−y²/2)·t·P(w) with t = 1/(y+5) and w = 10·t − 1, the even and the odd
// coefficients of P in two chains. What the sum and the quotient of t lack of being exact, an ulp
// of which would cost up to four in the end, is added to t and w.
//
// func geluAVX512(o *operands)
TEXT ·geluAVX512(SB), NOSPLIT, $0-8
	OPERANDS
	BELL_CONSTANTS
	VBROADCASTSD FIVE, Z11
	VBROADCASTSD TEN, Z12
	LEAQ MILLS(0), R11
	EACH
	BELL
	VADDPD       Z11, Z5, Z3
	VSUBPD       Z11, Z3, Z6
	VSUBPD       Z6, Z5, Z6
	VDIVPD       Z3, Z30, Z7
	VMOVAPD      Z30, Z1
	VFNMADD231PD Z3, Z7, Z1
	VFNMADD231PD Z6, Z7, Z1
	VMULPD       Z7, Z1, Z1
	VMOVAPD      Z12, Z6
	VFMSUB213PD  Z30, Z7, Z6
	VFMADD231PD  Z12, Z1, Z6
	VADDPD       Z1, Z7, Z3
	VMULPD       Z6, Z6, Z7
	VBROADCASTSD (32*20)(R11), Z0
	VBROADCASTSD (32*21)(R11), Z1
	MILLS_PAIR(18)
	MILLS_PAIR(16)
	MILLS_PAIR(14)
	MILLS_PAIR(12)
	MILLS_PAIR(10)
	MILLS_PAIR(8)
	MILLS_PAIR(6)
	MILLS_PAIR(4)
	MILLS_PAIR(2)
	MILLS_PAIR(0)
	VFMADD213PD  Z0, Z6, Z1
	VMULPD       Z3, Z1, Z1
	VMULPD       Z5, Z1, Z1    // y·t·P(w)
	VMULPD       Z2, Z1, Z0    // y·Φ(−y)
	VPMOVQ2M     Z4, K2
	VSUBPD       Z0, Z4, Z4    // z ≥ 0: z − z·Φ(−z)
	VXORPD       Z8, Z0, K2, Z4
	VMOVUPD      Z4, K1, (DI)(BX*1)
	NEXT

// x·(Φ(z) + z·φ(z)), with Φ(z) = w/z where z is not tiny.
//
// func geluBackwardAVX512(o *operands)
TEXT ·geluBackwardAVX512(SB), NOSPLIT, $0-8
	OPERANDS
	BELL_CONSTANTS
	VBROADCASTSD TINY, Z11
	VBROADCASTSD GAUSS, Z12
	EACH
	BELL
	VCMPPD     LESS, Z11, Z5, K2
	VMOVUPD.Z  (R10)(BX*1), K1, Z3
	VDIVPD     Z4, Z3, Z3
	VMOVAPD    Z10, K2, Z3 // 1/2
	VPTERNLOGQ X_OR_Y_AND_Z, Z8, Z4, Z5 // y with z's sign
	VMULPD     Z12, Z5, Z5
	VFMADD231PD Z5, Z2, Z3
	VMULPD     (SI)(BX*1), Z3, K1, Z3
	VMOVUPD    Z3, K1, (DI)(BX*1)
	NEXT

// y = p·y + x²; then x/(√(y−z²) + r).
//
// func rmsAVX512(o *operands)
TEXT ·rmsAVX512(SB), NOSPLIT, $0-8
	OPERANDS
	VBROADCASTSD operands_p(AX), Z17
	VBROADCASTSD operands_r(AX), Z19
	ROOT_CONSTANTS
	VXORPD X15, X15, X15
	EACH
	VMOVUPD.Z    (SI)(BX*1), K1, Z2
	VMOVUPD.Z    (R8)(BX*1), K1, Z1
	VMOVUPD.Z    (R9)(BX*1), K1, Z4
	VMULPD       Z17, Z1, Z1
	VFMADD231PD  Z2, Z2, Z1
	VMOVUPD      Z1, K1, (R8)(BX*1)
	VFNMADD231PD Z4, Z4, Z1
	VMAXPD       Z1, Z15, Z1 // a variance; rounding may take it below 0
	ROOT
	VADDPD       Z19, Z5, Z5
	VDIVPD       Z5, Z2, Z5
	VMOVUPD      Z5, K1, (DI)(BX*1)
	NEXT

// p·x where the number of element i is at least the threshold, else 0·x. It is that of mix, halved
// so that its comparison needs no sign. Where all of x is zero there is nothing to draw.
//
// func dropoutAVX512(o *operands)
TEXT ·dropoutAVX512(SB), NOSPLIT, $0-8
	OPERANDS
	VBROADCASTSD operands_p(AX), Z16
	VPBROADCASTQ operands_key(AX), Z4
	VPBROADCASTQ operands_threshold(AX), Z17
	VPBROADCASTQ MIX1, Z18
	VPBROADCASTQ MIX2, Z19
	VPBROADCASTQ STEPS8, Z20
	VPADDQ ·weyls(SB), Z4, Z4
	EACH
	VMOVUPD.Z (SI)(BX*1), K1, Z0
	VPTESTMQ  Z0, Z0, K2
	KORTESTB  K2, K2
	JEQ       store
	VPSRLQ    $30, Z4, Z1
	VPXORQ    Z4, Z1, Z1
	VPMULLQ   Z18, Z1, Z1
	VPSRLQ    $27, Z1, Z2
	VPXORQ    Z2, Z1, Z1
	VPMULLQ   Z19, Z1, Z1
	VPSRLQ    $1, Z1, Z1
	VPCMPUQ   NOT_LESS, Z17, Z1, K2
	VMOVAPD.Z Z16, K2, Z1
	VMULPD    Z1, Z0, Z0

store:
	VMOVUPD Z0, K1, (DI)(BX*1)
	VPADDQ  Z20, Z4, Z4
	NEXT
