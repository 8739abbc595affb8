//go:build (amd64 || arm64) && !purego

package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestMicroKernelKeepsItsContract compares panels with their chains: of all heights and widths, A
// of any strides, from a row, from C₀ and from C itself, with special and with subnormal numbers.
func TestMicroKernelKeepsItsContract(t *testing.T) {
	special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0, 0x1p-1074, -0x1p-1060, math.MaxFloat64, 1, -1}
	ca, aa, ba, za := arena(newArena(t, 1<<12)), arena(newArena(t, 1<<12)), arena(newArena(t, 1<<12)), arena(newArena(t, 1<<12))
	each(t, func(t *testing.T) {
		if active == generic {
			t.Skip("no micro-kernel")
		}
		r := rand.New(rand.NewPCG(7, 8))
		for m := 1; m <= 18; m++ {
			for n := 1; n <= split(maxPanel); n++ {
				k := 1 + r.IntN(12)
				ldc, ldb := n+r.IntN(3), n+r.IntN(3)
				var a operand
				switch (m + n) % 4 {
				case 0:
					ld := k + r.IntN(3)
					a = operand{draw(r, aa.matrix(m, k, ld), m, k, ld), ld, 1}
				case 1:
					ld := m + r.IntN(3)
					a = operand{draw(r, aa.matrix(k, m, ld), k, m, ld), 1, ld}
				case 2:
					a = operand{draw(r, aa.matrix(m, 2*k-1, 2*k+1), m, 2*k-1, 2*k+1), 2*k + 1, 2}
				case 3:
					a = operand{data: draw(r, aa.matrix(1, 1, 1), 1, 1, 1)}
				}
				b := draw(r, ba.matrix(k, n, ldb), k, n, ldb)
				c, c0, ldc0 := ca.matrix(m, n, ldc), zero[:], 0
				switch r.IntN(4) {
				case 1:
					c0 = draw(r, za.matrix(1, n, n), 1, n, n)
				case 2:
					ldc0 = n + 1
					c0 = draw(r, za.matrix(m, n, ldc0), m, n, ldc0)
				case 3:
					c0, ldc0 = draw(r, c, m, n, ldc), ldc
				}
				switch r.IntN(3) {
				case 1:
					a.data[r.IntN(len(a.data))] = special[r.IntN(len(special))]
					b[r.IntN(len(b))] = special[r.IntN(len(special))]
				case 2:
					for i := range a.data {
						a.data[i] *= 0x1p-540
					}
					for i := range b {
						b[i] *= 0x1p-520
					}
				}
				want := make([]float64, m*n)
				for i := range m {
					for j := range n {
						want[i*n+j] = chain(c0[i*ldc0+j], k, func(l int) float64 { return a.data[i*a.row+l*a.col] }, func(l int) float64 { return b[l*ldb+j] })
					}
				}
				gemm(&panel{
					c: &c[0], ldc: ldc, a: &a.data[0], row: a.row, col: a.col, b: &b[0], ldb: ldb, c0: &c0[0], ldc0: ldc0,
					m: m, n: n, k: k,
				})
				ca.check(t, "C", m, n, ldc)
				for i := range m {
					for j := range n {
						if got := c[i*ldc+j]; !same(got, want[i*n+j]) {
							t.Fatalf("%d×%d×%d, A's strides %d and %d: element (%d, %d) = %v, want %v", m, n, k, a.row, a.col, i, j, got, want[i*n+j])
						}
					}
				}
			}
		}
	})
}

// TestMatvecKeepsItsContract compares panels of one row with their chains: all numbers of columns
// around the assembly's sixteen, begun with a row and with C itself, with special numbers.
func TestMatvecKeepsItsContract(t *testing.T) {
	special := []float64{math.NaN(), math.Inf(1), math.Copysign(0, -1), 0, 0x1p-1060}
	ca, xa, wa, ba := arena(newArena(t, 256)), arena(newArena(t, 256)), arena(newArena(t, 1<<15)), arena(newArena(t, 256))
	each(t, func(t *testing.T) {
		if active == generic {
			t.Skip("no micro-kernel")
		}
		r := rand.New(rand.NewPCG(7, 8))
		for n := 4; n <= 52; n++ {
			for _, k := range []int{1, 2, 3, 4, 5, 8, 11, 12 + r.IntN(40), 64 + r.IntN(4), 125 + r.IntN(12)} {
				ldw := k + r.IntN(3)
				if k >= 64 {
					ldw = 512 // a stride of 4 kB
				}
				x, w := draw(r, xa.matrix(1, k, k), 1, k, k), draw(r, wa.matrix(n, k, ldw), n, k, ldw)
				c, c0 := ca.matrix(1, n, n), draw(r, ba.matrix(1, n, n), 1, n, n)
				switch r.IntN(4) {
				case 1:
					c0 = draw(r, c, 1, n, n)
				case 2:
					x[r.IntN(k)] = special[r.IntN(len(special))]
				case 3:
					w[r.IntN(n)*ldw] = special[r.IntN(len(special))]
				}
				want := make([]float64, n)
				for j := range n {
					want[j] = chain(c0[j], k, func(l int) float64 { return x[l] }, func(l int) float64 { return w[j*ldw+l] })
				}
				matvec(&panel{c: &c[0], a: &x[0], b: &w[0], ldb: ldw, c0: &c0[0], m: 1, n: n, k: k})
				ca.check(t, "C", 1, n, n)
				for j := range n {
					if !same(c[j], want[j]) {
						t.Fatalf("%d columns, %d terms: element %d = %v, want %v", n, k, j, c[j], want[j])
					}
				}
			}
		}
	})
}

func TestTransposeAndPackCopyEveryElement(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	sa, da := arena(newArena(t, 1<<12)), arena(newArena(t, 1<<12))
	each(t, func(t *testing.T) {
		if active == generic {
			t.Skip("no assembly")
		}
		for rows := 1; rows <= 17; rows++ {
			for cols := 1; cols <= 17; cols++ {
				lds, ldd := cols+r.IntN(3), rows+r.IntN(3)
				src, dst := draw(r, sa.matrix(rows, cols, lds), rows, cols, lds), da.matrix(cols, rows, ldd)
				transpose(dst, ldd, src, lds, rows, cols)
				da.check(t, "transpose", cols, rows, ldd)
				for i := range rows {
					for j := range cols {
						if dst[j*ldd+i] != src[i*lds+j] {
							t.Fatalf("%d×%d: element (%d, %d) is not transposed", rows, cols, i, j)
						}
					}
				}
				if cols%4 != 0 {
					continue
				}
				dst = da.matrix(rows, cols, cols)
				pack(dst, src, lds, rows, cols)
				da.check(t, "pack", rows, cols, cols)
				for i := range rows {
					for j := range cols {
						if dst[i*cols+j] != src[i*lds+j] {
							t.Fatalf("%d×%d: element (%d, %d) is not packed", rows, cols, i, j)
						}
					}
				}
			}
		}
	})
}

// BenchmarkMicroKernel reports what eight rows of the widest panel reach with operands in the first
// level of cache, the measure of the products.
func BenchmarkMicroKernel(b *testing.B) {
	if active == generic {
		b.Skip("no micro-kernel")
	}
	const rows, k = 8, 128
	cols := split(maxPanel)
	c, a, s := make([]float64, rows*cols), make([]float64, rows*k), new(scratch)
	p := panel{c: &c[0], ldc: cols, a: &a[0], row: k, col: 1, b: &s.b[0], ldb: cols, c0: &zero[0], m: rows, n: cols, k: k}
	for b.Loop() {
		gemm(&p)
	}
	b.ReportMetric(2*float64(rows*cols*k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
}
