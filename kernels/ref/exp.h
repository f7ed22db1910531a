/*
 * exp(x) in f32, the one definition for every ISA: n = rint(x * log2(e)); r = x - n * ln2 in two fma steps; a degree-6
 * polynomial in Horner form, all fma; the result scaled by 2^n in two exact steps. exp(0) is exactly 1. Below EXP_LO it is 0,
 * above EXP_HI it is exp(EXP_HI); NaN becomes 0. Error below 1.5 ulp. Coefficients: Taylor, enough on |r| <= ln2/2.
 */
#ifndef GYRE_KERNELS_REF_EXP_H
#define GYRE_KERNELS_REF_EXP_H

#include "kernels/f16.h"

#include <math.h>

#define EXP_LO     (-87.0f)
#define EXP_HI     88.0f
#define EXP_LOG2E  0x1.715476p+0f
#define EXP_LN2_HI 0x1.62e4p-1f
#define EXP_LN2_LO 0x1.7f7d1cp-20f
#define EXP_C2     0.5f
#define EXP_C3     0x1.555556p-3f
#define EXP_C4     0x1.555556p-5f
#define EXP_C5     0x1.111112p-7f
#define EXP_C6     0x1.6c16c2p-10f
#define EXP_C7     0x1.a01a02p-13f

static inline float ref_exp(float x)
{
	if (!(x >= EXP_LO)) /* also NaN */
		return 0.0f;
	if (x > EXP_HI)
		x = EXP_HI;
	float n = rintf(x * EXP_LOG2E);
	float r = fmaf(n, -EXP_LN2_HI, x);
	r = fmaf(n, -EXP_LN2_LO, r);
	float p = fmaf(EXP_C7, r, EXP_C6);
	p = fmaf(p, r, EXP_C5);
	p = fmaf(p, r, EXP_C4);
	p = fmaf(p, r, EXP_C3);
	p = fmaf(p, r, EXP_C2);
	p = fmaf(p, r, 1.0f);
	p = fmaf(p, r, 1.0f);
	return p * f32_from_bits((uint32_t)((int32_t)n + 127) << 23); /* n in [-126, 127]: always a normal power */
}

#endif
