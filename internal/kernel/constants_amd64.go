//go:build amd64 && !purego

package kernel

import "math"

// constants are the numbers of the elementwise functions, each in the four lanes of a vector;
// constants_amd64.h names the rows for the assembly.
//
//lint:ignore U1000 the assembly reads them
var constants = [...][4]float64{
	lanes4(math.Log2E),
	lanes4(0x1.62e42fefa39efp-1),  // ln 2
	lanes4(0x1.abc9e3b39803fp-56), // and what it lacks
	lanes4(0x1.8p52),              // added and taken away again rounds to an integer, left in the low bits meanwhile

	// q(r) = (e^r − 1 − r)/r² for |r| ≤ ln 2 / 2: the minimax polynomial for r·q, off by at most 1.8e-17.
	lanes4(0x1.0000000000005p-1),
	lanes4(0x1.555555555555cp-3),
	lanes4(0x1.55555555520f4p-5),
	lanes4(0x1.111111110e6e4p-7),
	lanes4(0x1.6c16c17f375c8p-10),
	lanes4(0x1.a01a01b5d2945p-13),
	lanes4(0x1.a019a6860f95cp-16),
	lanes4(0x1.71ddea12dc4d1p-19),
	lanes4(0x1.28a2ab4c61be6p-22),
	lanes4(0x1.af76957bcbd8cp-26),

	lanes4(math.Copysign(0, -1)),
	lanes4(0.5),
	lanes4(1),
	lanes4(2),
	lanes4(4),
	lanes4(1000),        // e^x is infinite from here on
	lanes4(-1000),       // and zero
	lanes4(44),          // tanh x/2 is 1
	lanes4(1 - 0x1p-12), // up to here 1 − a, of an a good to 2 ulp, is good to 2⁻⁴⁰

	// (1−e)^−½ = 1 + e/2 + ROOT2·e² + ROOT3·e³ for |e| ≤ 2⁻¹³. The term 35/128·e⁴ is in the second as the
	// Chebyshev polynomial that fits it best has it.
	lanes4(3./8 + 35./128*0x1p-26),
	lanes4(5. / 16),
}

//lint:ignore U1000 constants are made of it
func lanes4(x float64) [4]float64 { return [4]float64{x, x, x, x} }

// lanes holds the masks of 256-bit vectors: one for t lanes begins t words before the middle.
//
//lint:ignore U1000 the assembly reads them
var lanes = [8]int64{-1, -1, -1, -1}
