/*
 * Q2_K Q3_K: 256 elements a block, lane = output row, 8 rows a ymm. Quants 32c..32c+31 of a half block stay where they lie in
 * their nibble, so those of odd c come four times too large; they have a sum of their own, divided by four at the end.
 * Sub-scales multiply inside madd, which is exact: a maddubs pair of u2 x s8 is at most 2*12*127 = 3048 with the factor of four,
 * of u3 x s8 2*28*127 = 7112, so the four of a sub-block fit an int16. Products with the scales, as avx512vnni/matmul_k23.c
 * looks them up, would cost more here: of 45 x s8 only two fit.
 */
#ifndef GYRE_KERNELS_AVX2_K23_H
#define GYRE_KERNELS_AVX2_K23_H

#include "kernels/avx2/sums.h"
#include "kernels/matmul.h"

struct form {
	int bits;
};

/* Where the fields of a panel block of `bits` lie (quant.h). */
#define SC_AT(bits) ((bits) == 3 ? 32 : 64)
#define HM_AT       224
#define QS_AT(bits) ((bits) == 3 ? 736 : 320)

/* Scale s of 8 rows; sc points at the half's first byte. */
INLINE __m256i load_scale(const int bits, const uint8_t *sc, int s)
{
	if (bits == 2)
		return _mm256_and_si256(load_u8(sc + 16 * s), _mm256_set1_epi32(15));
	__m256i low = _mm256_srl_epi32(load_u8(sc + s % 8 * 16), _mm_cvtsi32_si128(s / 8 * 4));
	__m256i high = _mm256_srl_epi32(load_u8(sc + 128 + s % 4 * 16), _mm_cvtsi32_si128(s / 4 * 2));

	low = _mm256_and_si256(low, _mm256_set1_epi32(15));
	high = _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4);
	return _mm256_sub_epi32(_mm256_or_si256(low, high), _mm256_set1_epi32(32));
}

/* A k-group, in the low nibble: value of c = 0, 1 (times 1, 4); after a shift of four, of c = 2, 3. Its third bit is bit c of hm. */
INLINE __m256i field(const int bits, __m256i b, __m256i hm, const int c)
{
	const int up = (c % 2 ? 4 : 2) - c; /* from the third bit's place in hm to the one above the field */
	__m256i v = _mm256_and_si256(c < 2 ? b : _mm256_srli_epi16(b, 4), _mm256_set1_epi8(c % 2 ? 12 : 3));

	if (bits == 2)
		return v;
	hm = up > 0 ? _mm256_slli_epi16(hm, up) : _mm256_srli_epi16(hm, -up);
	return _mm256_or_si256(v, _mm256_and_si256(hm, _mm256_set1_epi8(c % 2 ? 16 : 4)));
}

/* Sum of pair * sum16 over the block. */
INLINE __m256i dot_sums(const __m256i pair[8], const int16_t *sum16, int n, int t)
{
	__m256i sum = _mm256_setzero_si256();

	for (int p = 0; p < 8; p++)
		sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pair[p], load_pair(sum16 + (p * n + t) * 2)));
	return sum;
}

#define TOKENS_MAX 8 /* of more, in one go, gcc 12 spills the sums: Q2_K 74-95 GMAC/s instead of 91-105 */

/* Adds the products of half h of a block and the first n_tok tokens from q on, of a tile of n, to isum[c % 2][t], and collects pairs of
 * minima or (Q3_K) scales. */
INLINE void dot_half(const int n, const int n_tok, const int bits, __m256i isum[2][ACT_TILE], __m256i pair[8],
		     const uint8_t *panel, const int8_t *q, const int h, int half, bool fetch)
{
	const uint8_t *sc = panel + SC_AT(bits) + 8 * half, *hm = panel + HM_AT + 32 * half,
		      *qs = panel + QS_AT(bits) + 512 * h + 32 * half;
	const size_t share = PANEL_ROWS * (bits == 3 ? 110 : 84) / 4; /* a half's turn comes with every other m */

	for (int m = 0; m < 2; m++) {
		__m256i third[4];

		if (fetch && m == half)
			prefetch(panel + (size_t)(2 * h + m) * share, share);
		for (int i = 0; i < 4 && bits == 3; i++)
			third[i] = _mm256_srl_epi16(load_bytes(hm + (4 * m + i) * 64), _mm_cvtsi32_si128(4 * h));
#pragma GCC unroll 4
		for (int c = 0; c < 4; c++) {
			const int s = 8 * h + 2 * c + m;
			__m256i scale = load_scale(bits, sc, s), v[4];
			__m256i other = bits == 2 ? _mm256_srli_epi32(load_u8(sc + 16 * s), 4) : scale;

			pair[4 * h + c] =
				m ? _mm256_blend_epi16(pair[4 * h + c], _mm256_slli_epi32(other, 16), 0xaa) : other;
			scale = twice(scale);
			for (int i = 0; i < 4; i++)
				v[i] = field(bits, load_bytes(qs + (4 * m + i) * 64), third[i], c);
			for (int t = 0; t < n_tok; t++) {
				const int8_t *x = q + 4 * (4 * s * n + t);
				__m256i part = _mm256_maddubs_epi16(v[0], broadcast4(x));

				for (int i = 1; i < 4; i++)
					part = _mm256_add_epi16(part,
								_mm256_maddubs_epi16(v[i], broadcast4(x + 4 * i * n)));
				isum[c % 2][t] = _mm256_add_epi32(isum[c % 2][t], _mm256_madd_epi16(part, scale));
			}
		}
	}
}

/* Adds half a panel's block to the sums of n_tok tokens: those of a tile of n whose four bytes of everything begin at x. */
INLINE void half_block(const int n, const int n_tok, const struct form *f, __m256 *acc, const uint8_t *panel,
		       const uint8_t *x, int half, bool fetch)
{
	const int bits = f->bits;
	const float *d = (const float *)x;
	const int16_t *sum16 = (const int16_t *)(x + ACT_Q8_K_SUM16(n));
	const int8_t *q = (const int8_t *)(x + ACT_Q8_K_Q(n));
	__m256 dw = load_halfs(panel + 16 * half), dmin = load_halfs(panel + 32 + 16 * half);
	__m256i isum[2][ACT_TILE], pair[8];

	for (int t = 0; t < n_tok; t++)
		isum[0][t] = isum[1][t] = _mm256_setzero_si256();
	if (bits == 2 || n < 4) {
		dot_half(n, n_tok, bits, isum, pair, panel, q, 0, half, fetch);
		dot_half(n, n_tok, bits, isum, pair, panel, q, 1, half, fetch);
	} else {
#pragma GCC unroll 1 /* else no faster for being compiled twice */
		for (int h = 0; h < 2; h++)
			dot_half(n, n_tok, bits, isum, pair, panel, q, h, half, fetch);
	}
	for (int t = 0; t < n_tok; t++) {
		__m256 da = _mm256_set1_ps(d[t]);
		__m256i sum = _mm256_add_epi32(isum[0][t], _mm256_srai_epi32(isum[1][t], 2));
		__m256i other = dot_sums(pair, sum16, n, t);

		if (bits == 3) /* quants are stored plus 4 */
			sum = _mm256_sub_epi32(sum, _mm256_slli_epi32(other, 2));
		acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(dw, da), _mm256_cvtepi32_ps(sum), acc[t]);
		if (bits == 2)
			acc[t] = _mm256_fnmadd_ps(_mm256_mul_ps(dmin, da), _mm256_cvtepi32_ps(other), acc[t]);
	}
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	const bool fetch = n >= PREFETCH_TOKENS;
	const int first = n <= TOKENS_MAX ? n : (n + 1) / 2;

	for (int half = 0; half < 2; half++) {
		if (first == n || n % 2) {
			half_block(n, first, f, acc[half], panel, x, half, fetch);
			if (first < n)
				half_block(n, n - first, f, acc[half] + first, panel, x + 4 * first, half, false);
			continue;
		}
#pragma GCC unroll 1 /* two groups of one size are one piece of code */
		for (int t = 0; t < n; t += first)
			half_block(n, first, f, acc[half] + t, panel, x + 4 * t, half, fetch && !t);
	}
}

#endif
