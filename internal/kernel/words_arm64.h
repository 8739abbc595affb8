// Instructions that Go's assembler does not have, as words. Registers are given by their numbers, as
// d, n and m in the manual's "Vd, Vn, Vm", the destination first. That each is what it says was seen
// with GNU objdump 2.40, which shows the .s files' words as:
//
//	fmla  v1.2d, v2.2d, v3.d[0]	fmax  v1.2d, v2.2d, v3.2d
//	fmls  v1.2d, v2.2d, v3.d[0]	fsqrt v1.2d, v2.2d
//	fmul  v1.2d, v2.2d, v3.d[0]	fcmgt v1.2d, v2.2d, #0.0
//	fadd  v1.2d, v2.2d, v3.2d	and   v1.16b, v2.16b, v3.16b
//	fsub  v1.2d, v2.2d, v3.2d	fdiv  v1.2d, v2.2d, v3.2d
//	fmul  v1.2d, v2.2d, v3.2d

// Vectors of two by vectors of two, lane by lane.
#define FADD(d, n, m) WORD $(0x4e60d400 | m<<16 | n<<5 | d)
#define FSUB(d, n, m) WORD $(0x4ee0d400 | m<<16 | n<<5 | d)
#define FMUL(d, n, m) WORD $(0x6e60dc00 | m<<16 | n<<5 | d)
#define FDIV(d, n, m) WORD $(0x6e60fc00 | m<<16 | n<<5 | d)
#define FMAX(d, n, m) WORD $(0x4e60f400 | m<<16 | n<<5 | d)
#define AND(d, n, m) WORD $(0x4e201c00 | m<<16 | n<<5 | d)

#define FSQRT(d, n) WORD $(0x6ee1f800 | n<<5 | d)
#define FCMGT0(d, n) WORD $(0x4ee0c800 | n<<5 | d)

// By element 0 of m: d = d + n·m[0], d = d − n·m[0], rounded once, and d = n·m[0].
#define FMLA(d, n, m) WORD $(0x4fc01000 | m<<16 | n<<5 | d)
#define FMLS(d, n, m) WORD $(0x4fc05000 | m<<16 | n<<5 | d)
#define FMULE(d, n, m) WORD $(0x4fc09000 | m<<16 | n<<5 | d)
