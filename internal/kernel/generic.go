package kernel

var generic = implementation{
	name: "generic",
	exp:  expGeneric, sigmoid: sigmoidGeneric, tanh: tanhGeneric, relu: reluGeneric,
	sigmoidBackward: sigmoidBackwardGeneric, tanhBackward: tanhBackwardGeneric, reluBackward: reluBackwardGeneric,
	adam: adamGeneric, axpy: axpyGeneric,
}

func affineGeneric(z []float64, ldz int, x []float64, ldx int, w []float64, ldw int, b []float64, n, in, out int) {
	for i := range n {
		for j := range out {
			var s float64
			if b != nil {
				s = b[j]
			}
			for l := range in {
				s += float64(x[i*ldx+l] * w[j*ldw+l])
			}
			z[i*ldz+j] = s
		}
	}
}

func multiplyGeneric(c []float64, ldc int, a []float64, ars, acs int, b []float64, ldb int, m, n, k int) {
	for i := range m {
		for j := range n {
			var s float64
			for l := range k {
				s += float64(a[i*ars+l*acs] * b[l*ldb+j])
			}
			c[i*ldc+j] = s
		}
	}
}
