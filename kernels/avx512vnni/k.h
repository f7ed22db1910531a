/* The scales and minima of Q4_K and Q5_K. AVX-512 BW is enough for them: Cascade Lake multiplies by VNNI and has no VBMI, so a byte
 * goes to its lane by a widening load, or inside its 128 bits. */
#ifndef GYRE_KERNELS_AVX512VNNI_K_H
#define GYRE_KERNELS_AVX512VNNI_K_H

#include "kernels/avx512vnni/sums.h"

/* Six-bit scales 4h .. 4h + 3 of sixteen rows, bytes [4][16], from the panel's sc[12][16] (quant.h). */
INLINE __m512i scales6(const uint8_t *sc, int h)
{
	__m512i first = _mm512_loadu_si512(sc);

	if (h == 0)
		return _mm512_and_si512(first, _mm512_set1_epi8(63));
	return _mm512_or_si512(_mm512_and_si512(_mm512_loadu_si512(sc + 128), _mm512_set1_epi8(15)),
			       _mm512_and_si512(_mm512_srli_epi16(first, 2), _mm512_set1_epi8(48)));
}

/* And minima. */
INLINE __m512i mins6(const uint8_t *sc, int h)
{
	__m512i first = _mm512_loadu_si512(sc + 64);

	if (h == 0)
		return _mm512_and_si512(first, _mm512_set1_epi8(63));
	return _mm512_or_si512(
		_mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(sc + 128), 4), _mm512_set1_epi8(15)),
		_mm512_and_si512(_mm512_srli_epi16(first, 2), _mm512_set1_epi8(48)));
}

/* The eight scales of a block, for scale6 to widen one at a time. */
INLINE void unpack_scales6(uint8_t to[8][PANEL_ROWS], const uint8_t *sc)
{
	_mm512_storeu_si512(to[0], scales6(sc, 0));
	_mm512_storeu_si512(to[4], scales6(sc, 1));
}

/* One of them, a lane a row. */
INLINE __m512i scale6(const uint8_t of[PANEL_ROWS])
{
	return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)of));
}

/* Minima 2p and 2p + 1 (p = 0..3), a pair of i16 a row: the four bytes of rows 4i .. 4i + 3 of each of four minima meet in the
 * i-th 128 bits, where a byte can be put anywhere, or left out (-1). */
INLINE __m512i min6_pair(const uint8_t *sc, int p)
{
	const __m512i by_four_rows = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
	const __m128i first = _mm_set_epi8(-1, 7, -1, 3, -1, 6, -1, 2, -1, 5, -1, 1, -1, 4, -1, 0);
	const __m128i second = _mm_set_epi8(-1, 15, -1, 11, -1, 14, -1, 10, -1, 13, -1, 9, -1, 12, -1, 8);

	return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(by_four_rows, mins6(sc, p / 2)),
				   _mm512_broadcast_i32x4(p % 2 ? second : first));
}

/* acc[n] += dw * da * isum - dmin * da * sum of min * sum32: what ends a block of w for the n tokens of x. */
INLINE void end_block_k45(const size_t n, panel_sums acc, const uint8_t *w, const uint8_t *x, const __m512i *isum)
{
	const float *d = (const float *)x;
	const uint8_t *sum32 = x + ACT_Q8_K_SUM32(n), *sc = w + 64;
	__m512i mins[ACT_TILE];

	for (size_t t = 0; t < n; t++)
		mins[t] = _mm512_setzero_si512();
	for (int p = 0; p < 4; p++) {
		__m512i pair = min6_pair(sc, p);

		for (size_t t = 0; t < n; t++)
			mins[t] = dot2(mins[t], pair, sum32 + ((size_t)p * n + t) * 4);
	}
	__m512 dw = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)w));
	__m512 dmin = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(w + 32)));

	for (size_t t = 0; t < n; t++) {
		__m512 da = _mm512_set1_ps(d[t]);

		acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(dw, da), _mm512_cvtepi32_ps(isum[t]), acc[t]);
		acc[t] = _mm512_fnmadd_ps(_mm512_mul_ps(dmin, da), _mm512_cvtepi32_ps(mins[t]), acc[t]);
	}
}

#endif
