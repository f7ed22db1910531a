/*
 * log(1 + e) of e in [0, 1] in f32, the one definition for every ISA: with z = e / (e + 2) it is 2 atanh(z) = z * q(z * z), so that
 * nothing cancels near 0, and no range is reduced. q is the least maximum of |q(u) / (2 atanh(z) / z) - 1| on u in [0, 1/9] with
 * q(0) = 2, rounded. A NaN stays one. Error below 2^-22, relative.
 */
#ifndef GYRE_KERNELS_REF_LOG_H
#define GYRE_KERNELS_REF_LOG_H

#include "kernels/ref/exp.h"

#define LOG_C1 0x1.555502p-1f
#define LOG_C2 0x1.99d208p-2f
#define LOG_C3 0x1.1ebd0ep-2f
#define LOG_C4 0x1.1ed7bep-2f

static inline float ref_log1p(float e)
{
	float z = e / (e + 2.0f), u = z * z;
	float q = fmaf(LOG_C4, u, LOG_C3);

	q = fmaf(q, u, LOG_C2);
	q = fmaf(q, u, LOG_C1);
	q = fmaf(q, u, 2.0f);
	return z * q;
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). */
static inline float ref_softplus_of(float x)
{
	return (x > 0 ? x : 0.0f) + ref_log1p(ref_exp_or_nan(-fabsf(x)));
}

#endif
