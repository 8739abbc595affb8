//go:build arm64 && !purego

package kernel

import "math"

// exponentials are the numbers of the exponential functions in the order in which the assembly loads
// them; constants_amd64.go says more of q.
//
//lint:ignore U1000 the assembly reads them
var exponentials = [...]float64{
	math.Log2E,
	0x1.62e42fefa39efp-1,  // ln 2
	0x1.abc9e3b39803fp-56, // and what it lacks

	// q(r) = (e^r − 1 − r)/r² for |r| ≤ ln 2 / 2
	0x1.0000000000005p-1,
	0x1.555555555555cp-3,
	0x1.55555555520f4p-5,
	0x1.111111110e6e4p-7,
	0x1.6c16c17f375c8p-10,
	0x1.a01a01b5d2945p-13,
	0x1.a019a6860f95cp-16,
	0x1.71ddea12dc4d1p-19,
	0x1.28a2ab4c61be6p-22,
	0x1.af76957bcbd8cp-26,

	1,
	-1000,       // e^x is zero up to here; from 1000 on it is infinite
	1 - 0x1p-12, // up to here 1 − a, of an a good to 2.5 ulp, is good to 2⁻³⁹·⁶
	-44,         // tanh x is 1 where −2x is less
}
