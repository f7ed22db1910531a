/* ref/exp.h, sixteen lanes at a time: the same operations in the same order. */
#ifndef GYRE_KERNELS_AVX512VNNI_VEXP_H
#define GYRE_KERNELS_AVX512VNNI_VEXP_H

#include "kernels/constant_n.h"
#include "kernels/ref/exp.h"

#include <immintrin.h>
#include <stdbool.h>

INLINE __m512 vexp_of(__m512 x, const bool or_nan)
{
	const __m512 low = _mm512_set1_ps(EXP_LO);
	__mmask16 in = or_nan ? _mm512_cmp_ps_mask(x, low, _CMP_NLT_UQ) : _mm512_cmp_ps_mask(x, low, _CMP_GE_OQ);

	x = _mm512_min_ps(_mm512_set1_ps(EXP_HI), x); /* a NaN as the second operand stays */
	__m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(EXP_LOG2E)),
					_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXP_LN2_HI), x);

	r = _mm512_fmadd_ps(n, _mm512_set1_ps(-EXP_LN2_LO), r);
	__m512 p = _mm512_fmadd_ps(_mm512_set1_ps(EXP_C5), r, _mm512_set1_ps(EXP_C4));

	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_C3));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_C2));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_C1));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
	return _mm512_maskz_scalef_ps(in, p, n); /* times 2^n, rounded once, as the product is */
}

INLINE __m512 vexp(__m512 x)
{
	return vexp_of(x, false);
}

INLINE __m512 vexp_or_nan(__m512 x)
{
	return vexp_of(x, true);
}

/* ref/reduce.h's tree. */
static inline float vreduce(__m512 v)
{
	__m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
	__m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

	b = _mm_add_ps(b, _mm_movehl_ps(b, b));
	return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

#endif
