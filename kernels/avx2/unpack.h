/* Weights and scales of a half panel (8 rows = one ymm) out of the layouts of quant.h, for this level's products and those of the levels
 * above that are as wide. */
#ifndef GYRE_KERNELS_AVX2_UNPACK_H
#define GYRE_KERNELS_AVX2_UNPACK_H

#include "kernels/avx2/simd.h"

/* The eight k-groups of a half panel of a 32-element type as unsigned bytes (of eight bits: signed). qs steps by 64 bytes; the fifth
 * bits stand before it. */
INLINE void unpack_q8(__m256i v[8], const uint8_t *qs, const bool eight_bits, const bool has_high)
{
	const __m256i low = _mm256_set1_epi8(15), bit = _mm256_set1_epi8(16);

	for (int j = 0; j < (eight_bits ? 8 : 4); j++) {
		__m256i b = load_bytes(qs + 64 * j);

		v[j] = eight_bits ? b : _mm256_and_si256(b, low);
		if (!eight_bits)
			v[j + 4] = _mm256_and_si256(_mm256_srli_epi16(b, 4), low);
	}
	if (!has_high)
		return;
	__m256i qh = load_bytes(qs - 64);
	for (int g = 0; g < 8; g++) {
		__m256i h = g < 4 ? _mm256_slli_epi16(qh, 4 - g) : _mm256_srli_epi16(qh, g - 4);

		v[g] = _mm256_or_si256(v[g], _mm256_and_si256(h, bit));
	}
}

/* Six-bit scale s (0..7) of 8 rows; sc points at the half's first byte of the panel's sc[12][16] (quant.h). */
INLINE __m128i scale6(const uint8_t *sc, int s)
{
	if (s < 4)
		return _mm_and_si128(load_8_bytes(sc + 16 * s), _mm_set1_epi8(63));
	return _mm_or_si128(_mm_and_si128(load_8_bytes(sc + 16 * (4 + s)), _mm_set1_epi8(15)),
			    _mm_and_si128(_mm_srli_epi16(load_8_bytes(sc + 16 * (s - 4)), 2), _mm_set1_epi8(48)));
}

/* And minimum s. */
INLINE __m128i min6(const uint8_t *sc, int s)
{
	if (s < 4)
		return _mm_and_si128(load_8_bytes(sc + 16 * (4 + s)), _mm_set1_epi8(63));
	return _mm_or_si128(_mm_and_si128(_mm_srli_epi16(load_8_bytes(sc + 16 * (4 + s)), 4), _mm_set1_epi8(15)),
			    _mm_and_si128(_mm_srli_epi16(load_8_bytes(sc + 16 * s), 2), _mm_set1_epi8(48)));
}

/* Sub-block s of a Q4_K or Q5_K half panel: eight k-groups of unsigned bytes. */
INLINE void unpack_k45(__m256i v[8], const uint8_t *qh, const uint8_t *qs, int s, bool five)
{
	const __m256i low = _mm256_set1_epi8(15), one = _mm256_set1_epi8(1);

	for (int j = 0; j < 8; j++) {
		__m256i b = load_bytes(qs + 64 * (s / 2 * 8 + j));

		v[j] = _mm256_and_si256(s % 2 ? _mm256_srli_epi16(b, 4) : b, low);
		if (five) {
			__m256i h = _mm256_srl_epi16(load_bytes(qh + 64 * j), _mm_cvtsi32_si128(s));
			v[j] = _mm256_or_si256(v[j], _mm256_slli_epi16(_mm256_and_si256(h, one), 4));
		}
	}
}

/* Sub-block s of a Q6_K half panel: four k-groups of 0..63. */
INLINE void unpack_q6(__m256i v[4], const uint8_t *sub, int s)
{
	const __m256i low = _mm256_set1_epi8(15), high = _mm256_set1_epi8(48);
	__m256i h = load_bytes(sub + 192 * s), a = load_bytes(sub + 192 * s + 64), b = load_bytes(sub + 192 * s + 128);

	v[0] = _mm256_or_si256(_mm256_and_si256(a, low), _mm256_and_si256(_mm256_slli_epi16(h, 4), high));
	v[1] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(a, 4), low),
			       _mm256_and_si256(_mm256_slli_epi16(h, 2), high));
	v[2] = _mm256_or_si256(_mm256_and_si256(b, low), _mm256_and_si256(h, high));
	v[3] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(b, 4), low),
			       _mm256_and_si256(_mm256_srli_epi16(h, 2), high));
}

/* Sixteen values plus an offset, in each 128-bit lane. */
INLINE __m256i load_table(const int8_t *codes, int offset)
{
	__m128i t = _mm_add_epi8(_mm_loadu_si128((const __m128i *)codes), _mm_set1_epi8((char)offset));

	return _mm256_broadcastsi128_si256(t);
}

/* The eight k-groups of 32 values of a half panel; qs steps by 64 bytes. */
INLINE void look_up(__m256i v[8], __m256i table, const uint8_t *qs)
{
	const __m256i low = _mm256_set1_epi8(15);

	for (int j = 0; j < 4; j++) {
		__m256i b = load_bytes(qs + 64 * j);

		v[j] = _mm256_shuffle_epi8(table, _mm256_and_si256(b, low));
		v[j + 4] = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(b, 4), low));
	}
}

/* Halves of eight E8M0 scales: 2^(e - 128), subnormal for 0 and 1. */
INLINE __m256 load_e8m0(const uint8_t *p)
{
	__m256i e = load_u8(p), normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
	__m256i tiny = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);

	return _mm256_castsi256_ps(_mm256_blendv_epi8(normal, tiny, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e)));
}

/* IQ4_XS's scale s of 8 rows; sh[2][16] and sl[4][16] at the half's first byte (quant.h). */
INLINE __m256i scale_xs(const uint8_t *sh, int s)
{
	__m256i low = _mm256_srl_epi32(load_u8(sh + 32 + 16 * (s / 2)), _mm_cvtsi32_si128(s % 2 * 4));
	__m256i high = _mm256_srl_epi32(load_u8(sh + 16 * (s / 4)), _mm_cvtsi32_si128(s % 4 * 2));

	low = _mm256_and_si256(low, _mm256_set1_epi32(15));
	high = _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4);
	return _mm256_sub_epi32(_mm256_or_si256(low, high), _mm256_set1_epi32(32));
}

#endif
