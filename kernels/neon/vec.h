/* A vector of floats, as kernels/mix.h wants it. */
#ifndef GYRE_KERNELS_NEON_VEC_H
#define GYRE_KERNELS_NEON_VEC_H

#include "kernels/neon/vexp.h"

#define VEC_FLOATS 4
typedef float32x4_t vec;

INLINE vec vec_load(const float *p)
{
	return vld1q_f32(p);
}

INLINE void vec_store(float *p, vec v)
{
	vst1q_f32(p, v);
}

INLINE vec vec_set(float x)
{
	return vdupq_n_f32(x);
}

INLINE vec vec_add(vec a, vec b)
{
	return vaddq_f32(a, b);
}

INLINE vec vec_sub(vec a, vec b)
{
	return vsubq_f32(a, b);
}

INLINE vec vec_mul(vec a, vec b)
{
	return vmulq_f32(a, b);
}

INLINE vec vec_div(vec a, vec b)
{
	return vdivq_f32(a, b);
}

/* a * b + c */
INLINE vec vec_fma(vec a, vec b, vec c)
{
	return vfmaq_f32(c, a, b);
}

INLINE vec vec_neg(vec a)
{
	return vnegq_f32(a);
}

INLINE vec vec_abs(vec a)
{
	return vabsq_f32(a);
}

/* Itself where it is above 0, else 0; of a NaN 0. */
INLINE vec vec_positive(vec a)
{
	return vmaxnmq_f32(a, vdupq_n_f32(0));
}

INLINE vec vec_exp(vec a)
{
	return vexp(a);
}

INLINE vec vec_exp_or_nan(vec a)
{
	return vexp_or_nan(a);
}

#endif
