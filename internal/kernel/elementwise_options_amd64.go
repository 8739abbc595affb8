//go:build amd64 && !purego

package kernel

// apply runs a loop on at most a chunk. It is not inlined, so that a goroutine can be preempted
// where it begins. Some loops are bound by memory: wider registers gain nothing.
//
//go:noinline
func apply(f loop, o *operands) {
	if active == generic {
		applyGeneric(f, o)
		return
	}
	switch f {
	case leaky:
		leakyAVX2(o)
	case axpby:
		axpbyAVX2(o)
	case difference:
		differenceAVX2(o)
	case normalize:
		normalizeAVX2(o)
	case correlate:
		correlateAVX2(o)
	default:
		if active == avx512 {
			applyAVX512(f, o)
		} else {
			applyAVX2(f, o)
		}
	}
}

func applyAVX512(f loop, o *operands) {
	switch f {
	case elu:
		eluAVX512(o)
	case eluBackward:
		eluBackwardAVX512(o)
	case mulSigmoid:
		mulSigmoidAVX512(o)
	case siluBackward:
		siluBackwardAVX512(o)
	case softplus:
		softplusAVX512(o)
	case gelu:
		geluAVX512(o)
	case geluBackward:
		geluBackwardAVX512(o)
	case rms:
		rmsAVX512(o)
	case dropout:
		dropoutAVX512(o)
	}
}

func applyAVX2(f loop, o *operands) {
	switch f {
	case elu:
		eluAVX2(o)
	case eluBackward:
		eluBackwardAVX2(o)
	case mulSigmoid:
		mulSigmoidAVX2(o)
	case siluBackward:
		siluBackwardAVX2(o)
	case softplus:
		softplusAVX2(o)
	case gelu:
		geluAVX2(o)
	case geluBackward:
		geluBackwardAVX2(o)
	case rms:
		rmsAVX2(o)
	case dropout:
		dropoutAVX2(o)
	}
}

//go:noescape
func leakyAVX2(o *operands)

//go:noescape
func eluAVX2(o *operands)

//go:noescape
func eluBackwardAVX2(o *operands)

//go:noescape
func mulSigmoidAVX2(o *operands)

//go:noescape
func siluBackwardAVX2(o *operands)

//go:noescape
func softplusAVX2(o *operands)

//go:noescape
func geluAVX2(o *operands)

//go:noescape
func geluBackwardAVX2(o *operands)

//go:noescape
func rmsAVX2(o *operands)

//go:noescape
func axpbyAVX2(o *operands)

//go:noescape
func differenceAVX2(o *operands)

//go:noescape
func normalizeAVX2(o *operands)

//go:noescape
func correlateAVX2(o *operands)

//go:noescape
func dropoutAVX2(o *operands)

//go:noescape
func eluAVX512(o *operands)

//go:noescape
func eluBackwardAVX512(o *operands)

//go:noescape
func mulSigmoidAVX512(o *operands)

//go:noescape
func siluBackwardAVX512(o *operands)

//go:noescape
func softplusAVX512(o *operands)

//go:noescape
func geluAVX512(o *operands)

//go:noescape
func geluBackwardAVX512(o *operands)

//go:noescape
func rmsAVX512(o *operands)

//go:noescape
func dropoutAVX512(o *operands)
