/*
 * Q4_K and Q5_K: a block for a tile's tokens, in groups of as many as have their sums in registers. Two sub-blocks, whose nibbles are in
 * the same bytes, are multiplied side by side; a group of one or two tokens takes both half panels, so that each activation is
 * loaded once for 16 rows.
 */
#ifndef GYRE_KERNELS_AVX2_K45_H
#define GYRE_KERNELS_AVX2_K45_H

#include "kernels/avx2/simd.h"
#include "kernels/avx2/sums.h"
#include "kernels/avx2/unpack.h"
#include "kernels/matmul.h"

#define GROUP_MAX 6 /* times two sub-blocks: 12 of 16 registers */
#define BOTH_MAX  2 /* times two half panels */

/* Of a half panel, in pairs as madd wants them. */
struct k45_scales {
	__m256i scale[8], min[4];
};

INLINE void k45_read_scales(struct k45_scales *to, const uint8_t *sc)
{
	for (int s = 0; s < 8; s++) {
		__m128i six = scale6(sc, s);

		to->scale[s] = pairs_u8(six, six);
	}
	for (int p = 0; p < 4; p++)
		to->min[p] = pairs_u8(min6(sc, 2 * p), min6(sc, 2 * p + 1));
}

/* Tokens of a tile of n_tok: n of them, of n_half half panels from the one on at which qs and qh are. */
struct k45_group {
	int n_tok, n, n_half;
	bool five;
	const uint8_t *qs, *qh;
	const int8_t *q;
	const int16_t *sum32;
	const struct k45_scales *scales; /* [n_half] */
	__m256i sum[2][GROUP_MAX], min[2][GROUP_MAX];
};

/* k-group j of sub-blocks 2p and 2p + 1 of a half panel. */
INLINE void k45_unpack_pair(__m256i v[2], const uint8_t *qs, const uint8_t *qh, int p, int j, const bool five)
{
	const __m256i low = _mm256_set1_epi8(15);
	__m256i b = load_bytes(qs + 64 * (8 * p + j));

	v[0] = _mm256_and_si256(b, low);
	v[1] = _mm256_and_si256(_mm256_srli_epi16(b, 4), low);
	if (five) {
		__m256i h = _mm256_srl_epi16(load_bytes(qh + 64 * j), _mm_cvtsi32_si128(2 * p));
		__m256i first = _mm256_and_si256(h, _mm256_set1_epi8(1)),
			second = _mm256_and_si256(h, _mm256_set1_epi8(2));

		v[0] = _mm256_or_si256(v[0], _mm256_slli_epi16(first, 4));
		v[1] = _mm256_or_si256(v[1], _mm256_slli_epi16(second, 3));
	}
}

/* Adds the products of k-group j of both sub-blocks of pair p to part[half][token][sub-block]. */
INLINE void k45_mul_pair(const struct k45_group *g, __m256i part[2][GROUP_MAX][2], int p, int j)
{
	__m256i v[2][2];

	for (int h = 0; h < g->n_half; h++)
		k45_unpack_pair(v[h], g->qs + 32 * h, g->qh + 32 * h, p, j, g->five);
	for (int t = 0; t < g->n; t++)
		for (int i = 0; i < 2; i++) {
			__m256i x = broadcast4(g->q + 4 * ((8 * (2 * p + i) + j) * g->n_tok + t));

			for (int h = 0; h < g->n_half; h++) {
				part[h][t][i] = _mm256_add_epi16(part[h][t][i], _mm256_maddubs_epi16(v[h][i], x));
				/* Else gcc 12 keeps products to add them up in trees, and spills: 0.7 to 0.9 of the speed. */
				__asm__("" : "+x"(part[h][t][i]));
			}
		}
}

/* Adds pair p, of whose k-groups as many are added up at a time as fit an int16. */
INLINE void k45_add_pair(struct k45_group *g, int p)
{
	const int run = g->five ? 4 : 8;

	for (int j0 = 0; j0 < 8; j0 += run) {
		__m256i part[2][GROUP_MAX][2];

		for (int h = 0; h < g->n_half; h++)
			for (int t = 0; t < g->n; t++)
				part[h][t][0] = part[h][t][1] = _mm256_setzero_si256();
#pragma GCC unroll 8
		for (int j = j0; j < j0 + run; j++)
			k45_mul_pair(g, part, p, j);
		for (int h = 0; h < g->n_half; h++)
			for (int t = 0; t < g->n; t++)
				for (int i = 0; i < 2; i++)
					g->sum[h][t] = _mm256_add_epi32(
						g->sum[h][t],
						_mm256_madd_epi16(part[h][t][i], g->scales[h].scale[2 * p + i]));
	}
}

INLINE void k45_add_mins(struct k45_group *g, int p)
{
	for (int h = 0; h < g->n_half; h++)
		for (int t = 0; t < g->n; t++)
			g->min[h][t] = _mm256_add_epi32(
				g->min[h][t],
				_mm256_madd_epi16(g->scales[h].min[p], load_pair(g->sum32 + (p * g->n_tok + t) * 2)));
}

/* acc[half][n] += d of the half panel * d of the token * its sums. */
INLINE void k45_end(const struct k45_group *g, __m256 *acc, const uint8_t *dw, const float *d)
{
	for (int h = 0; h < g->n_half; h++, acc += ACT_TILE, dw += 16) {
		__m256 scale = load_halfs(dw), min = load_halfs(dw + 32);

		for (int t = 0; t < g->n; t++) {
			__m256 da = _mm256_set1_ps(d[t]);

			acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(scale, da), _mm256_cvtepi32_ps(g->sum[h][t]), acc[t]);
			acc[t] = _mm256_fnmadd_ps(_mm256_mul_ps(min, da), _mm256_cvtepi32_ps(g->min[h][t]), acc[t]);
		}
	}
}

/* A block for tokens [t0, t0 + n) of n_tok, half panels [half, half + n_half). acc: of the first of both. */
INLINE void k45_group(const int n_tok, const int n, const int n_half, const bool five, __m256 *acc,
		      const uint8_t *panel, const uint8_t *x, const struct k45_scales *scales, int half, int t0)
{
	const size_t share = PANEL_ROWS * (five ? 176 : 144) / 4; /* to fetch beside each pair of sub-blocks */
	struct k45_group g = { .n_tok = n_tok,
			       .n = n,
			       .n_half = n_half,
			       .five = five,
			       .qh = panel + 256 + 32 * half,
			       .q = (const int8_t *)(x + ACT_Q8_K_Q(n_tok)) + 4 * t0,
			       .sum32 = (const int16_t *)(x + ACT_Q8_K_SUM32(n_tok)) + 2 * t0,
			       .scales = scales };

	g.qs = g.qh + (five ? 512 : 0);
	for (int h = 0; h < n_half; h++)
		for (int t = 0; t < n; t++)
			g.sum[h][t] = g.min[h][t] = _mm256_setzero_si256();
#pragma GCC unroll 1
	for (int p = 0; p < 4; p++) {
		if (n_tok > 1 && t0 == 0)
			prefetch(panel + (size_t)p * share, share);
		k45_add_pair(&g, p);
		k45_add_mins(&g, p);
	}
	k45_end(&g, acc, panel + 16 * half, (const float *)x + t0);
}

/* Groups as equal as can be: first those of one token more. */
INLINE void k45_half(const int n, const bool five, __m256 *acc, const uint8_t *panel, const uint8_t *x, int half)
{
	const int n_group = (n + GROUP_MAX - 1) / GROUP_MAX, n_more = n % n_group, few = n / n_group;
	struct k45_scales scales;
	int t = 0;

	k45_read_scales(&scales, panel + 64 + 8 * half);
#pragma GCC unroll 1
	for (; t < n_more * (few + 1); t += few + 1)
		k45_group(n, few + 1, 1, five, acc + t, panel, x, &scales, half, t);
#pragma GCC unroll 1
	for (; t < n; t += few)
		k45_group(n, few, 1, five, acc + t, panel, x, &scales, half, t);
}

INLINE void k45_block(const int n, const bool five, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	struct k45_scales scales[2];

	if (n > BOTH_MAX) {
		for (int half = 0; half < 2; half++)
			k45_half(n, five, acc[half], panel, x, half);
		return;
	}
	k45_read_scales(&scales[0], panel + 64);
	k45_read_scales(&scales[1], panel + 64 + 8);
	k45_group(n, n, 2, five, acc[0], panel, x, scales, 0, 0);
}

#endif
