//go:build amd64 && !purego

package kernel

import "math"

// constants are the numbers of the elementwise functions, each in the four lanes of a vector;
// constants_amd64.h names the rows for the assembly.
//
//lint:ignore U1000 the assembly reads them
var constants = func() (rows [75][4]float64) {
	i := 0
	for _, numbers := range [][]float64{
		{math.Log2E, ln2High, ln2Low, round},
		expPoly[:],
		{math.Copysign(0, -1), 0.5, 1, 4, expEnd, -expEnd, tanhOne, nearOne},

		// (1−e)^−½ = 1 + e/2 + ROOT2·e² + ROOT3·e³ for |e| ≤ 2⁻¹³. The term 35/128·e⁴ is in the
		// second as the Chebyshev polynomial that fits it best has it.
		{3./8 + 35./128*0x1p-26, 5. / 16},

		tanhPoly[:],
		{quarters, tableEnd, 0.125, expm1End, gaussEnd, 10, gaussLow, gauss},
		mills[:],
		{5},

		// The generator of Dropout: its two factors, their upper halves for machines that multiply
		// half words, and the increments of four and of eight elements.
		{
			math.Float64frombits(mix1), math.Float64frombits(mix2),
			math.Float64frombits(mix1 >> 32), math.Float64frombits(mix2 >> 32),
			math.Float64frombits(4 * weyl & math.MaxUint64), math.Float64frombits(8 * weyl & math.MaxUint64),
		},

		logPoly[:],
		{logSplit},
		{math.Float64frombits(ownRoots)},
	} {
		for _, x := range numbers {
			rows[i] = [4]float64{x, x, x, x}
			i++
		}
	}
	return rows
}()

// ownRoots tells VFIXUPIMMPD to take what is no number as it is, but quiet, and zero and +∞ as they
// are.
const ownRoots = 2 | 2<<4 | 1<<8 | 1<<20

// weyls are the first multiples of the generator's increment.
//
//lint:ignore U1000 the assembly reads them
var weyls = [8]uint64{
	0, weyl, 2 * weyl & math.MaxUint64, 3 * weyl & math.MaxUint64,
	4 * weyl & math.MaxUint64, 5 * weyl & math.MaxUint64, 6 * weyl & math.MaxUint64, 7 * weyl & math.MaxUint64,
}

// tanhColumns are the two columns of tanhTable.
//
//lint:ignore U1000 the assembly reads it
var tanhColumns = func() (columns [2][16]float64) {
	for k, pair := range tanhTable {
		columns[0][k], columns[1][k] = pair[0], pair[1]
	}
	return columns
}()

// lanes holds the masks of 256-bit vectors: one for t lanes begins t words before the middle.
//
//lint:ignore U1000 the assembly reads them
var lanes = [8]int64{-1, -1, -1, -1}
