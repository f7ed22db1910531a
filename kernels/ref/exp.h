/*
 * exp(x) in f32, the one definition for every ISA: n = rint(x * log2(e)); r = x - n * ln2 in two fma steps; a degree-5
 * polynomial in Horner form, all fma; the result times 2^n, which is exact. exp(0) is exactly 1. Below EXP_LO it is 0, above
 * EXP_HI it is exp(EXP_HI). NaN becomes 0, or in ref_exp_or_nan stays one. Error below 1.4 * 2^-23, relative. Coefficients: the least maximum of
 * |p(r) / exp(r) - 1| on |r| <= ln2/2 with p(0) = 1, rounded one after the other, the later ones fitted again.
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
#define EXP_C1     0x1.fffff6p-1f
#define EXP_C2     0x1.fffdc4p-2f
#define EXP_C3     0x1.555a82p-3f
#define EXP_C4     0x1.573acep-5f
#define EXP_C5     0x1.0f9f6ap-7f

static inline float ref_exp(float x)
{
	if (!(x >= EXP_LO)) /* also NaN */
		return 0.0f;
	if (x > EXP_HI)
		x = EXP_HI;
	float n = rintf(x * EXP_LOG2E);
	float r = fmaf(n, -EXP_LN2_HI, x);
	r = fmaf(n, -EXP_LN2_LO, r);
	float p = fmaf(EXP_C5, r, EXP_C4);
	p = fmaf(p, r, EXP_C3);
	p = fmaf(p, r, EXP_C2);
	p = fmaf(p, r, EXP_C1);
	p = fmaf(p, r, 1.0f);
	return p * f32_from_bits((uint32_t)((int32_t)n + 127) << 23); /* n in [-126, 127]: always a normal power */
}

static inline float ref_exp_or_nan(float x)
{
	return isnan(x) ? x : ref_exp(x);
}

/* Of oai_mul (kernels.h). */
#define OAI_ALPHA 1.702f
#define OAI_LIMIT 7.0f

#endif
