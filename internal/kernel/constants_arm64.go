//go:build arm64 && !purego

package kernel

import "math"

// exponentials are the numbers of the exponential functions in the order in which the assembly loads
// them.
//
//lint:ignore U1000 the assembly reads them
var exponentials = append(append([]float64{math.Log2E, ln2High, ln2Low, round}, expPoly[:]...), 1, -expEnd, nearOne)

// tanhs are those of tanh.
//
//lint:ignore U1000 the assembly reads them
var tanhs = append(append([]float64{quarters}, tanhPoly[:]...), tableEnd, 1, tanhOne, 0.125, math.Copysign(0, -1))
