/* A vector of floats, as kernels/mix.h wants it. */
#ifndef GYRE_KERNELS_AVX2_VEC_H
#define GYRE_KERNELS_AVX2_VEC_H

#include "kernels/avx2/vexp.h"

#define VEC_FLOATS 8
typedef __m256 vec;

INLINE vec vec_load(const float *p)
{
	return _mm256_loadu_ps(p);
}

INLINE void vec_store(float *p, vec v)
{
	_mm256_storeu_ps(p, v);
}

INLINE vec vec_set(float x)
{
	return _mm256_set1_ps(x);
}

INLINE vec vec_add(vec a, vec b)
{
	return _mm256_add_ps(a, b);
}

INLINE vec vec_sub(vec a, vec b)
{
	return _mm256_sub_ps(a, b);
}

INLINE vec vec_mul(vec a, vec b)
{
	return _mm256_mul_ps(a, b);
}

INLINE vec vec_div(vec a, vec b)
{
	return _mm256_div_ps(a, b);
}

/* a * b + c */
INLINE vec vec_fma(vec a, vec b, vec c)
{
	return _mm256_fmadd_ps(a, b, c);
}

INLINE vec vec_neg(vec a)
{
	return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f));
}

INLINE vec vec_abs(vec a)
{
	return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

/* Itself where it is above 0, else 0; of a NaN 0. */
INLINE vec vec_positive(vec a)
{
	return _mm256_max_ps(a, _mm256_setzero_ps());
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
