/* The one rule of quantizing a block of 32 (kernels.h), for activations, queries, K and V. */
#ifndef GYRE_KERNELS_AVX512VNNI_QUANTIZE_H
#define GYRE_KERNELS_AVX512VNNI_QUANTIZE_H

#include "kernels/kernels.h"

#include <immintrin.h>

/* |x| as integers, which order as the floats do, with infinity above them and NaN above that. */
static inline __m512i abs_bits(__m512 x)
{
	return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(INT32_MAX));
}

static inline float max_lane(__m512i bits)
{
	__m128i m = _mm_set1_epi32(_mm512_reduce_max_epi32(bits));

	return _mm_cvtss_f32(_mm_castsi128_ps(m));
}

static inline float quantize_inverse(float amax, float q_max)
{
	return amax > ACT_AMAX_MIN ? q_max / amax : 0.0f;
}

/* 16 floats -> 16 i8 in [-q_max, q_max]. */
static inline __m128i quantize16(__m512 x, __m512 id, float q_max)
{
	const __m512i max = _mm512_set1_epi32((int)q_max), min = _mm512_set1_epi32(-(int)q_max);
	__m512i v = _mm512_cvtps_epi32(_mm512_mul_ps(x, id));

	return _mm512_cvtsepi32_epi8(_mm512_max_epi32(_mm512_min_epi32(v, max), min));
}

/* 32 floats -> 32 i8; returns d. */
static inline float quantize32(__m256i *q, __m512 a, __m512 b, float q_max)
{
	float amax = max_lane(_mm512_max_epi32(abs_bits(a), abs_bits(b)));
	__m512 id = _mm512_set1_ps(quantize_inverse(amax, q_max));

	*q = _mm256_set_m128i(quantize16(b, id, q_max), quantize16(a, id, q_max));
	return amax / q_max;
}

/* Sum of 32 i8. */
static inline int32_t sum32(__m256i q)
{
	__m256i four = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), q);
	__m128i s = _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));

	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
	return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

#endif
