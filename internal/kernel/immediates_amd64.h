// Immediate operands of vector instructions.

// Predicates of VCMPPD $p, y, x, m, which asks "x p y" of each lane. All but NOT_EQUAL are false of
// a NaN; none signals.
#define EQUAL     $0x00
#define NOT_EQUAL $0x04
#define LESS      $0x11
#define AT_LEAST  $0x1d

// A predicate of VPCMPUQ.
#define NOT_LESS $5

// Functions of three bits x, y, z for VPTERNLOGQ $f, z, y, x.
#define X_OR_Y_AND_Z $0xf8
#define ALWAYS       $0xff

// A shift to the right that leaves the sign.
#define SIGN_BIT $63

// VFIXUPIMMPD raises no exceptions.
#define QUIET $0

// The half of a vector that VINSERT sets and VEXTRACT gets.
#define UPPER $1

// VPERM2F128 joins the lower halves of two vectors, or the upper ones; VPSHUFD exchanges the halves
// of one of 128 bits.
#define LOWER_HALVES   $0x20
#define UPPER_HALVES   $0x31
#define EXCHANGED      $0x4e

// What VMOVMSKPD gives if it is set in all four lanes.
#define ALL_LANES $0xf
