/*
 * tanh(x) in f32, the one definition for every ISA: with y = -2|x| and e = exp(y) - 1, it is -e / (e + 2) with the sign of x. y is
 * reduced as in ref/exp.h; e is (q(r) * r) * 2^n + (2^n - 1), the last in one fma, so that nothing cancels near 0. q is the least
 * maximum of |q(r) / ((exp(r) - 1) / r) - 1| on |r| <= ln2/2 with q(0) = 1, rounded as there. From |x| = 10 on it is exactly 1; a NaN
 * stays one. Error below 5 * 2^-24, relative.
 */
#ifndef GYRE_KERNELS_REF_TANH_H
#define GYRE_KERNELS_REF_TANH_H

#include "kernels/ref/exp.h"

#define TANH_LO (-20.0f) /* exp of it is nothing beside 1 */
#define TANH_C1 0x1.fffffep-2f
#define TANH_C2 0x1.5554b4p-3f
#define TANH_C3 0x1.5556f6p-5f
#define TANH_C4 0x1.122538p-7f
#define TANH_C5 0x1.6b97b6p-10f

/* Of gelu's argument (Hendrycks and Gimpel 2016): sqrt(2 / pi), and 0.044715 times it. */
#define GELU_C1 0.7978845608028654f
#define GELU_C3 0.03567740813636141f

/* exp(y) - 1 of y <= 0. */
static inline float ref_expm1(float y)
{
	if (isnan(y))
		return y;
	if (y < TANH_LO)
		y = TANH_LO;
	float n = rintf(y * EXP_LOG2E);
	float r = fmaf(n, -EXP_LN2_HI, y);
	r = fmaf(n, -EXP_LN2_LO, r);
	float q = fmaf(TANH_C5, r, TANH_C4);
	q = fmaf(q, r, TANH_C3);
	q = fmaf(q, r, TANH_C2);
	q = fmaf(q, r, TANH_C1);
	q = fmaf(q, r, 1.0f);
	float pow = f32_from_bits((uint32_t)((int32_t)n + 127) << 23);
	return fmaf(q * r, pow, pow - 1.0f);
}

static inline float ref_tanh(float x)
{
	float e = ref_expm1(-2.0f * fabsf(x));

	return copysignf(-e / (e + 2.0f), x);
}

#endif
