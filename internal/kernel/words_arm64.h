// Instructions of which Go's assembler has none, or none whose registers are numbers, as words. The
// registers are those of the manual's "Vd, Vn, Vm", the destination first. GNU as 2.40 makes the same
// words of "fadd vD.2d, vN.2d, vM.2d" and so on for each, with 32 registers as D, 11 as N, 7 as M.

// Lane by lane; FMLA is d = d + n·m, rounded once.
#define FADD(d, n, m) WORD $(0x4e60d400 | m<<16 | n<<5 | d)
#define FSUB(d, n, m) WORD $(0x4ee0d400 | m<<16 | n<<5 | d)
#define FMUL(d, n, m) WORD $(0x6e60dc00 | m<<16 | n<<5 | d)
#define FDIV(d, n, m) WORD $(0x6e60fc00 | m<<16 | n<<5 | d)
#define FMAX(d, n, m) WORD $(0x4e60f400 | m<<16 | n<<5 | d)
#define FMLA(d, n, m) WORD $(0x4e60cc00 | m<<16 | n<<5 | d)
#define BITAND(d, n, m) WORD $(0x4e201c00 | m<<16 | n<<5 | d)

#define FSQRT(d, n) WORD $(0x6ee1f800 | n<<5 | d)
#define FCMGT0(d, n) WORD $(0x4ee0c800 | n<<5 | d)

// By element 0 of m: d = d + n·m[0], d = d − n·m[0], rounded once, and d = n·m[0].
#define FMLAE(d, n, m) WORD $(0x4fc01000 | m<<16 | n<<5 | d)
#define FMLSE(d, n, m) WORD $(0x4fc05000 | m<<16 | n<<5 | d)
#define FMULE(d, n, m) WORD $(0x4fc09000 | m<<16 | n<<5 | d)
