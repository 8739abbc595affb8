// Instructions of which Go's assembler has none, or none whose registers are numbers, as words. The
// registers are those of the manual's "Vd, Vn, Vm", the destination first. GNU as 2.40 makes the same
// words of "fadd v1.2d, v2.2d, v3.2d" and so on, with all registers in all places.

// Lane by lane; FMLA is d = d + n·m, FMLS d = d − n·m, rounded once.
#define FADD(d, n, m) WORD $(0x4e60d400 | m<<16 | n<<5 | d)
#define FSUB(d, n, m) WORD $(0x4ee0d400 | m<<16 | n<<5 | d)
#define FMUL(d, n, m) WORD $(0x6e60dc00 | m<<16 | n<<5 | d)
#define FDIV(d, n, m) WORD $(0x6e60fc00 | m<<16 | n<<5 | d)
#define FMAX(d, n, m) WORD $(0x4e60f400 | m<<16 | n<<5 | d)
#define FMLA(d, n, m) WORD $(0x4e60cc00 | m<<16 | n<<5 | d)
#define FMIN(d, n, m) WORD $(0x4ee0f400 | m<<16 | n<<5 | d)
#define FMLS(d, n, m) WORD $(0x4ee0cc00 | m<<16 | n<<5 | d)
#define FCMGT(d, n, m) WORD $(0x6ee0e400 | m<<16 | n<<5 | d)
#define FCMGE(d, n, m) WORD $(0x6e60e400 | m<<16 | n<<5 | d)

// Integers, and bits: BIT is d = n where m has ones, BIF where it has zeros.
#define IADD(d, n, m) WORD $(0x4ee08400 | m<<16 | n<<5 | d)
#define ISUB(d, n, m) WORD $(0x6ee08400 | m<<16 | n<<5 | d)
#define BITAND(d, n, m) WORD $(0x4e201c00 | m<<16 | n<<5 | d)
#define COPY(d, n) WORD $(0x4ea01c00 | n<<16 | n<<5 | d)
#define BIT(d, n, m) WORD $(0x6ea01c00 | m<<16 | n<<5 | d)
#define BIF(d, n, m) WORD $(0x6ee01c00 | m<<16 | n<<5 | d)

// Of one operand: SHL52 shifts left by 52, SSHR1 and SSHR63 right, the sign coming after.
#define FABS(d, n) WORD $(0x4ee0f800 | n<<5 | d)
#define FNEG(d, n) WORD $(0x6ee0f800 | n<<5 | d)
#define SHL52(d, n) WORD $(0x4f745400 | n<<5 | d)
#define SSHR1(d, n) WORD $(0x4f7f0400 | n<<5 | d)
#define SSHR63(d, n) WORD $(0x4f410400 | n<<5 | d)
#define FSQRT(d, n) WORD $(0x6ee1f800 | n<<5 | d)
#define FCMGT0(d, n) WORD $(0x4ee0c800 | n<<5 | d)

// By element 0 of m: d = d + n·m[0], d = d − n·m[0], rounded once, and d = n·m[0].
#define FMLAE(d, n, m) WORD $(0x4fc01000 | m<<16 | n<<5 | d)
#define FMLSE(d, n, m) WORD $(0x4fc05000 | m<<16 | n<<5 | d)
#define FMULE(d, n, m) WORD $(0x4fc09000 | m<<16 | n<<5 | d)
