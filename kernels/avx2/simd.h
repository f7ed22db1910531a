/* What the files of avx2/ share: loads by half panel (8 rows = one ymm). */
#ifndef GYRE_KERNELS_AVX2_SIMD_H
#define GYRE_KERNELS_AVX2_SIMD_H

#include "kernels/constant_n.h"
#include "kernels/kernels.h"
#include "kernels/ref/ref.h"

#include <immintrin.h>
#include <string.h>

INLINE __m256i load_bytes(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

/* f16[8] -> f32[8] */
INLINE __m256 load_halfs(const uint8_t *p)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

/* Four activations of one token, for every row. */
INLINE __m256i broadcast4(const int8_t *p)
{
	int32_t v;

	memcpy(&v, p, 4);
	return _mm256_set1_epi32(v);
}

/* i32[8] of 16 bits -> the value twice in each lane, as madd wants it. */
INLINE __m256i twice(__m256i v)
{
	return _mm256_or_si256(_mm256_slli_epi32(v, 16), _mm256_and_si256(v, _mm256_set1_epi32(0xffff)));
}

INLINE __m128i load_8_bytes(const uint8_t *p)
{
	return _mm_loadl_epi64((const __m128i *)p);
}

INLINE __m256i load_u8(const uint8_t *p)
{
	return _mm256_cvtepu8_epi32(load_8_bytes(p));
}

/* The first eight bytes of each -> pairs of i16. */
INLINE __m256i pairs_u8(__m128i a, __m128i b)
{
	return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
}

/* i8[8] -> the value twice in each lane. */
INLINE __m256i load_i8_twice(const uint8_t *p)
{
	__m128i v = load_8_bytes(p);

	return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(v, v));
}

INLINE __m256i load_pair(const int16_t *p)
{
	int32_t v;

	memcpy(&v, p, 4);
	return _mm256_set1_epi32(v);
}

#endif
