/* The one rule of quantizing a block (kernels.h), for activations, queries, K and V. */
#ifndef GYRE_KERNELS_AVX2_QUANTIZE_H
#define GYRE_KERNELS_AVX2_QUANTIZE_H

#include "kernels/avx2/simd.h"

/* max(amax, |x|) as integers: NaN above infinity above all else. */
INLINE __m256i max_abs(__m256i amax, const float *x)
{
	return _mm256_max_epi32(_mm256_and_si256(_mm256_loadu_si256((const __m256i *)x), _mm256_set1_epi32(INT32_MAX)),
				amax);
}

INLINE float max_lane(__m256i v)
{
	__m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
	return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1))));
}

INLINE __m256 inverse(float amax, float q_max)
{
	return _mm256_set1_ps(amax > ACT_AMAX_MIN ? q_max / amax : 0.0f);
}

/* 32 floats -> 32 i8 in [-q_max, q_max], in order. A NaN converts to INT_MIN, hence -q_max. */
INLINE __m256i quantize32(const float *x, __m256 id, float q_max)
{
	const __m256i low = _mm256_set1_epi8((char)-q_max);
	__m256i v[4];

	for (int i = 0; i < 4; i++)
		v[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), id));
	__m256i q = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));

	q = _mm256_permutevar8x32_epi32(q,
					_mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)); /* packs works by 128-bit halves */
	return _mm256_max_epi8(q, low);
}

/* 32 floats -> 32 i8; returns d. */
INLINE float quantize_block(__m256i *q, const float *x, float q_max)
{
	__m256i max = _mm256_setzero_si256();

	for (size_t i = 0; i < 32; i += 8)
		max = max_abs(max, x + i);
	float amax = max_lane(max);

	*q = quantize32(x, inverse(amax, q_max), q_max);
	return amax / q_max;
}

#endif
