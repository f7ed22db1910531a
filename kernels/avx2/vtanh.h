/* ref/tanh.h, eight at a time: the same operations in the same order. */
#ifndef GYRE_KERNELS_AVX2_VTANH_H
#define GYRE_KERNELS_AVX2_VTANH_H

#include "kernels/avx2/simd.h"
#include "kernels/ref/tanh.h"

INLINE __m256 vexpm1(__m256 y)
{
	y = _mm256_max_ps(_mm256_set1_ps(TANH_LO), y); /* a NaN as the second operand stays */
	__m256 n = _mm256_round_ps(_mm256_mul_ps(y, _mm256_set1_ps(EXP_LOG2E)),
				   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_HI), y);
	r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_LO), r);
	__m256 q = _mm256_fmadd_ps(_mm256_set1_ps(TANH_C5), r, _mm256_set1_ps(TANH_C4));
	q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(TANH_C3));
	q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(TANH_C2));
	q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(TANH_C1));
	q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(1.0f));
	__m256 pow = _mm256_castsi256_ps(
		_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
	return _mm256_fmadd_ps(_mm256_mul_ps(q, r), pow, _mm256_sub_ps(pow, _mm256_set1_ps(1.0f)));
}

INLINE __m256 vtanh(__m256 x)
{
	const __m256 sign = _mm256_set1_ps(-0.0f);
	__m256 e = vexpm1(_mm256_mul_ps(_mm256_set1_ps(-2.0f), _mm256_andnot_ps(sign, x)));
	__m256 t = _mm256_div_ps(_mm256_xor_ps(sign, e), _mm256_add_ps(e, _mm256_set1_ps(2.0f)));

	return _mm256_or_ps(_mm256_andnot_ps(sign, t), _mm256_and_ps(sign, x));
}

#endif
