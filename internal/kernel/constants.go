//go:build (amd64 || arm64) && !purego

package kernel

import "math"

// The numbers of the elementwise functions, in Go and in assembly.
const (
	ln2High = 0x1.62e42fefa39efp-1  // ln 2
	ln2Low  = 0x1.abc9e3b39803fp-56 // and what it lacks
	round   = 0x1.8p52              // added and taken away again rounds to an integer, left in the low bits meanwhile

	expEnd   = 1000        // e^x is infinite from here on, and of its negative zero
	expm1End = -64         // e^x − 1 is −1
	nearOne  = 1 - 0x1p-12 // up to here 1 − a, of an a good to 2.5 ulp, is good to 2⁻³⁹·⁶

	quarters = 0x1.8p50 // added, leaves the number of quarters in the low bits
	tableEnd = 3.875    // up to where tanhTable reaches
	tanhOne  = 22       // tanh x is 1

	gaussEnd = 40                                 // Φ(−x) is zero
	gaussLow = 0x1p-60                            // Φ is 1/2 closer to zero
	gauss    = math.SqrtPi / math.Pi / math.Sqrt2 // 1/√(2π)

	logSplit = math.Sqrt2 - 1 // up to here f = e, beyond log(1+e) = ln 2 + log(1+f) with f = (e−1)/2
)

// expPoly is q(r) = (e^r − 1 − r)/r² for |r| ≤ ln 2 / 2: the minimax polynomial for r·q, off by at
// most 1.8e-17.
var expPoly = [...]float64{
	0x1.0000000000005p-1, 0x1.555555555555cp-3, 0x1.55555555520f4p-5, 0x1.111111110e6e4p-7, 0x1.6c16c17f375c8p-10,
	0x1.a01a01b5d2945p-13, 0x1.a019a6860f95cp-16, 0x1.71ddea12dc4d1p-19, 0x1.28a2ab4c61be6p-22, 0x1.af76957bcbd8cp-26,
}

// tanhPoly is q(u) = (tanh(b)/b − 1)/u with u = b² for |b| ≤ 1/8: the minimax polynomial for u·q,
// off by at most 2.8e-17.
var tanhPoly = [...]float64{
	-0x1.5555555554fa3p-2, 0x1.1111110e8a8ffp-3, -0x1.ba1b96174e81dp-5, 0x1.6643932961425p-6, -0x1.1d12638b3a1b9p-7,
}

// mills is P(w) = (y+5)·Φ(−y)·e^(y²/2) with w = 10/(y+5) − 1, for 0 ≤ y ≤ 40: the minimax
// polynomial, off by at most 1.5e-17 of P.
var mills = [...]float64{
	0x1.89d3abe1f95aep-1, 0x1.54ad03f27ca16p-1, 0x1.fb31653876f9ep-2, 0x1.410ed5f875b71p-2, 0x1.51f6329f0137ep-3,
	0x1.1b1c254c928fbp-4, 0x1.54b4d4f4e11d3p-6, 0x1.88590eb88d511p-9, -0x1.a25037f9fec01p-11, -0x1.1daf1ef3132fcp-11,
	-0x1.f2145585b689dp-15, 0x1.a1714ef7aa6c5p-15, 0x1.17dcb356a3f68p-16, -0x1.0b328648ca36fp-18, -0x1.73a2be58eb797p-19,
	0x1.6ab85009ba5fep-22, 0x1.d0597c74c3302p-22, -0x1.76bb07501aa3ep-25, -0x1.17bdff7428fbap-24, 0x1.5d62f2794cb23p-27,
	0x1.e90605dacd64cp-28, -0x1.10ddbe16b7a29p-29,
}

// tanhTable has numbers a close to 0, 1/4, … 15/4, each with its tanh, those a being chosen whose
// tanh is within a thousandth of an ulp of a float64.
var tanhTable = [...][2]float64{
	{0, 0},
	{0x1.0000000000cdcp-2, 0x1.f597ea69a34b3p-3},
	{0x1.fffffffffe898p-2, 0x1.d9353d756788bp-2},
	{0x1.8000000000d38p-1, 0x1.45323e552fa0bp-1},
	{0x1.ffffffffff5f6p-1, 0x1.85efab514ef5dp-1},
	{0x1.3fffffffffee6p+0, 0x1.b2523bb6b2d50p-1},
	{0x1.7fffffffff7e1p+0, 0x1.cf6f9786df288p-1},
	{0x1.bfffffffffdb0p+0, 0x1.e1fbf97e334a0p-1},
	{0x1.0000000000f07p+1, 0x1.ed9505e1bc813p-1},
	{0x1.200000000015ep+1, 0x1.f4bfd6c2dfd5bp-1},
	{0x1.3fffffffff1e8p+1, 0x1.f9258260a7042p-1},
	{0x1.600000000097ep+1, 0x1.fbd509ae7aedcp-1},
	{0x1.7fffffffff5d1p+1, 0x1.fd77d111a0a99p-1},
	{0x1.9fffffffff5afp+1, 0x1.fe76795d35361p-1},
	{0x1.bfffffffffff0p+1, 0x1.ff112c63a9077p-1},
	{0x1.dfffffffff8ebp+1, 0x1.ff6f17a754762p-1},
}
