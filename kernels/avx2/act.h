/* The sums that tiles of activations bring (kernels.h), for act_pack of this ISA and up. */
#ifndef GYRE_KERNELS_AVX2_ACT_H
#define GYRE_KERNELS_AVX2_ACT_H

#include <immintrin.h>

/* Sums of the eight i32 of each of four vectors. */
static inline __m128i sum_lanes(__m256i a, __m256i b, __m256i c, __m256i d)
{
	__m256i v = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));

	return _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

/* What adds up, over its eight lanes, to the sum of 16 i8. */
static inline __m256i lanes16(__m128i q)
{
	return _mm256_madd_epi16(_mm256_cvtepi8_epi16(q), _mm256_set1_epi16(1));
}

/* Likewise to the sum of a * (b + add). */
static inline __m256i lanes_of_products(__m128i a, __m128i b, short add)
{
	return _mm256_madd_epi16(_mm256_cvtepi8_epi16(a),
				 _mm256_add_epi16(_mm256_cvtepi8_epi16(b), _mm256_set1_epi16(add)));
}

#endif
