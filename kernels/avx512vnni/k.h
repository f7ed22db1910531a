/* The scales and minima of Q4_K and Q5_K. */
#ifndef GYRE_KERNELS_AVX512VNNI_K_H
#define GYRE_KERNELS_AVX512VNNI_K_H

#include "kernels/avx512vnni/sums.h"

/* Row r's byte is the r-th of sixteen: r in both halves of lane r, for scale6 and min6_pair to add where their sixteen begin. */
INLINE __m512i row_places(void)
{
	return _mm512_set_epi32(0xf000f, 0xe000e, 0xd000d, 0xc000c, 0xb000b, 0xa000a, 0x90009, 0x80008, 0x70007,
				0x60006, 0x50005, 0x40004, 0x30003, 0x20002, 0x10001, 0);
}

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

/* Scale s (0..7), a lane a row. */
INLINE __m512i scale6(const uint8_t *sc, int s)
{
	__m512i at = _mm512_add_epi32(row_places(), _mm512_set1_epi32(s % 4 * 16));

	return _mm512_maskz_permutexvar_epi8(0x1111111111111111u, at, scales6(sc, s / 4));
}

/* Minima 2p and 2p + 1 (p = 0..3), a pair of i16 a row. */
INLINE __m512i min6_pair(const uint8_t *sc, int p)
{
	__m512i at = _mm512_add_epi32(row_places(), _mm512_set1_epi32(p % 2 * 0x200020 + 0x100000));

	return _mm512_maskz_permutexvar_epi8(0x5555555555555555u, at, mins6(sc, p / 2));
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
