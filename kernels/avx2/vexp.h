/* ref/exp.h, eight at a time: the same operations in the same order. */
#ifndef GYRE_KERNELS_AVX2_VEXP_H
#define GYRE_KERNELS_AVX2_VEXP_H

#include "kernels/avx2/simd.h"
#include "kernels/ref/exp.h"

INLINE __m256 vexp_of(__m256 x, const bool or_nan)
{
	const __m256 low = _mm256_set1_ps(EXP_LO);
	__m256 in_range = or_nan ? _mm256_cmp_ps(x, low, _CMP_NLT_UQ) : _mm256_cmp_ps(x, low, _CMP_GE_OQ);
	x = _mm256_min_ps(_mm256_set1_ps(EXP_HI), x); /* a NaN as the second operand stays */
	__m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(EXP_LOG2E)),
				   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_HI), x);
	r = _mm256_fmadd_ps(n, _mm256_set1_ps(-EXP_LN2_LO), r);
	__m256 p = _mm256_fmadd_ps(_mm256_set1_ps(EXP_C5), r, _mm256_set1_ps(EXP_C4));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C3));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C2));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C1));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
	__m256i pow = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
	return _mm256_and_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(pow)), in_range);
}

INLINE __m256 vexp(__m256 x)
{
	return vexp_of(x, false);
}

INLINE __m256 vexp_or_nan(__m256 x)
{
	return vexp_of(x, true);
}

#endif
