/* What the files of avx2/ share: loads by half panel (8 rows = one ymm). */
#ifndef GYRE_KERNELS_AVX2_SIMD_H
#define GYRE_KERNELS_AVX2_SIMD_H

#include "kernels/constant_n.h"
#include "kernels/kernels.h"
#include "kernels/ref/ref.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

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

INLINE __m256i load_u8(const uint8_t *p)
{
	return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

INLINE __m256i load_i8(const uint8_t *p)
{
	return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

INLINE __m256i load_pair(const int16_t *p)
{
	int32_t v;

	memcpy(&v, p, 4);
	return _mm256_set1_epi32(v);
}

/* Sums of chunks that wait to be added up, of both halves of a panel. */
struct wait {
	__m256 sum[CHUNK_WAIT_MAX][2][ACT_TILE];
};

/* Ends chunk *c, whose sums of n tokens are in acc: adds them to those that wait for them. Then goes on to the next, and
 * what came out waits; false after the last chunk. */
INLINE bool next_chunk(const int n, const struct chunks *k, uint32_t *c, __m256 acc[2][ACT_TILE], struct wait *w)
{
	int depth = chunk_waiting(*c), left = chunk_left_waiting(k, *c);

	while (depth-- > left)
		for (int t = 0; t < n; t++) {
			acc[0][t] = _mm256_add_ps(w->sum[depth][0][t], acc[0][t]);
			acc[1][t] = _mm256_add_ps(w->sum[depth][1][t], acc[1][t]);
		}
	if (++*c == k->n)
		return false;
	for (int t = 0; t < n; t++) {
		w->sum[left][0][t] = acc[0][t];
		w->sum[left][1][t] = acc[1][t];
	}
	return true;
}

#endif
