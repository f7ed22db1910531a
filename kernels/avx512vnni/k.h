/* The scales and minima of Q4_K and Q5_K. */
#ifndef GYRE_KERNELS_AVX512VNNI_K_H
#define GYRE_KERNELS_AVX512VNNI_K_H

#include "kernels/avx512vnni/sums.h"

INLINE __m512i widen(const uint8_t *p, int mask)
{
	return _mm512_and_si512(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)), _mm512_set1_epi32(mask));
}

/* Minimum s of the sixteen rows from the panel's sc[12][16] (quant.h). */
INLINE __m512i min6(const uint8_t *sc, int s)
{
	if (s < 4)
		return widen(sc + 16 * (8 + s), 63);
	const uint8_t *p = sc + 48 * (s - 4);
	__m512i a = _mm512_srli_epi32(widen(p, 255), 6), b = _mm512_srli_epi32(widen(p + 16, 255), 6),
		c = _mm512_srli_epi32(widen(p + 32, 255), 6);

	return _mm512_or_si512(a, _mm512_or_si512(_mm512_slli_epi32(b, 2), _mm512_slli_epi32(c, 4)));
}

/* acc[n] += dw * da * isum - dmin * da * sum of min * sum32: what ends a block of w for the n tokens of x. */
INLINE void end_block_k45(const size_t n, panel_sums acc, const uint8_t *w, const uint8_t *x, const __m512i *isum)
{
	const float *d = (const float *)x;
	const uint8_t *sum32 = x + 4 * n, *sc = w + 64;
	__m512i mins[ACT_TILE];

	for (size_t t = 0; t < n; t++)
		mins[t] = _mm512_setzero_si512();
	for (int p = 0; p < 4; p++) {
		__m512i pair = _mm512_or_si512(min6(sc, 2 * p), _mm512_slli_epi32(min6(sc, 2 * p + 1), 16));

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
