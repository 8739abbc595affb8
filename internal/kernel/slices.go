package kernel

import (
	"math"
	"unsafe"
)

// Copy copies src to dst, piece by piece: the garbage collector would have to wait for the end of a
// single copy, however long.
func Copy(dst, src []float64) {
	const piece = 1 << 16
	for len(src) > piece {
		copyPiece(dst[:piece], src[:piece])
		dst, src = dst[piece:], src[piece:]
	}
	copy(dst, src)
}

//go:noinline
func copyPiece(dst, src []float64) { copy(dst, src) }

// Norm2 is the Euclidean norm of x. The squares are summed as they are, or scaled first where they
// would leave the range of a float64.
func Norm2(x []float64) float64 {
	switch sum := Dot(x, x); {
	case sum < 1e-280:
		return scaledNorm2(x, 0x1p600)
	case sum > math.MaxFloat64:
		return scaledNorm2(x, 0x1p-600)
	default:
		return math.Sqrt(sum)
	}
}

func scaledNorm2(x []float64, scale float64) float64 {
	sum := 0.0
	for _, v := range x {
		v *= scale
		sum += float64(v * v)
	}
	return math.Sqrt(sum) / scale
}

// Overlap reports whether two slices have an element in common.
func Overlap(a, b []float64) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	address := func(v *float64) uintptr { return uintptr(unsafe.Pointer(v)) }
	return address(&a[0]) <= address(&b[len(b)-1]) && address(&b[0]) <= address(&a[len(a)-1])
}

// The operands of rows are filled once, but for where a row begins: 1000 rows of 64 columns take 0.57
// of the time, of 16 0.40.

// NormalizeRows sets dst[i][j] = (x[i][j]−mean[j])·scale[j] + shift[j]. dst may be x.
func NormalizeRows(dst, x *Matrix, mean, scale, shift []float64) {
	dst.Check(dst.Rows, len(mean))
	x.Check(dst.Rows, len(mean))
	checkLength(scale, len(mean))
	checkLength(shift, len(mean))
	o := operands{n: len(mean), y: first(mean), z: first(scale), w: first(shift)}
	for i := range x.Rows {
		o.dst, o.x = first(dst.Row(i)), first(x.Row(i))
		o.run(normalize)
	}
}

// CorrelateRows sets sum[j] = Σᵢ (x[i][j]−xMean[j])·(y[i][j]−yMean[j]).
func CorrelateRows(sum []float64, x *Matrix, xMean []float64, y *Matrix, yMean []float64) {
	x.Check(x.Rows, len(sum))
	y.Check(x.Rows, len(sum))
	checkLength(xMean, len(sum))
	checkLength(yMean, len(sum))
	clear(sum)
	o := operands{dst: first(sum), n: len(sum), y: first(xMean), w: first(yMean)}
	for i := range x.Rows {
		o.x, o.z = first(x.Row(i)), first(y.Row(i))
		o.run(correlate)
	}
}

// DetrendRows computes dz ← (dz − t)·scale for each row, with the trend t = (x−mean)·slope + offset,
// for which row is memory. Zero is zeros.
func DetrendRows(dz, x *Matrix, mean, slope, offset, scale, row, zero []float64) {
	dz.Check(dz.Rows, len(mean))
	x.Check(dz.Rows, len(mean))
	for _, v := range [][]float64{slope, offset, scale, row, zero} {
		checkLength(v, len(mean))
	}
	trend := operands{dst: first(row), n: len(mean), y: first(mean), z: first(slope), w: first(offset)}
	rest := operands{n: len(mean), y: first(row), z: first(scale), w: first(zero)}
	for i := range dz.Rows {
		trend.x = first(x.Row(i))
		trend.run(normalize)
		rest.dst = first(dz.Row(i))
		rest.x = rest.dst
		rest.run(normalize)
	}
}

// ColumnMoments computes the mean and the population variance of each column of x, in two passes.
func ColumnMoments(mean, variance []float64, x *Matrix) {
	SumRows(mean, x)
	for j := range mean {
		mean[j] /= float64(x.Rows)
	}
	CorrelateRows(variance, x, mean, x, mean)
	for j := range variance {
		variance[j] /= float64(x.Rows)
	}
}
