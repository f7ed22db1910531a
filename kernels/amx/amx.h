/*
 * Products by AMX: of a block, or a sub-block, of K = 32 or 16 columns, the tile of sums [n tokens][16 rows] is one tdpbssd of the
 * tokens' quants [n][K] and of the panel's weights [K / 4][16 rows][4], which is how a panel lies (quant.h). So a token's quants stand side by
 * side (ACT_Q8_ROWS, ACT_Q8_K_ROWS), weights become signed bytes, and everything that is not a tile is plain C for the compiler.
 *
 * Why the bits are those of ref/: weights without their offset (-128..127) times quants (|q| <= ACT_Q_MAX = 120) summed over 32 columns stay below
 * 2^19, and the sums of a block of 256 with their scales (at most 128) below 2^30: exact in 32 bits in any order. Floats see the same integers in the
 * same chain of fma: dw * da * sum, then the minima. Tiles hold integers only, so their treatment of floats does not matter.
 *
 * A tile of fewer than ACT_ROWS_MIN tokens goes to the parent's product, of which it has the layout: what a block costs whatever the
 * tokens, its weights made bytes, stored and loaded, is shared by too few.
 */
#ifndef GYRE_KERNELS_AMX_AMX_H
#define GYRE_KERNELS_AMX_AMX_H

#include "kernels/amx/sums.h"
#include "kernels/amx/tile.h"
#include "kernels/matmul.h"

#include <immintrin.h>
#include <math.h>

/* The level below, as it filled the table. Written where levels are selected, before any worker is there. */
extern struct kernels amx_parent;

/* Weights of a sub-block, as a tile holds them. */
typedef int8_t tile_weights[8][PANEL_ROWS * 4];

/* Sums of sub-blocks side by side: four, which hide each other's latency. */
typedef int32_t tile_sums[ACT_TILE][PANEL_ROWS];
#define SIDE_BY_SIDE 4

INLINE void configure(const int n, const int n_col)
{
	struct tile_config c = { .palette = 1 };

	for (int i = 0; i < SIDE_BY_SIDE; i++) {
		c.rows[i] = (uint8_t)n;
		c.row_bytes[i] = PANEL_ROWS * sizeof(int32_t);
	}
	c.rows[4] = (uint8_t)n;
	c.row_bytes[4] = (uint16_t)n_col;
	c.rows[5] = (uint8_t)(n_col / 4);
	c.row_bytes[5] = PANEL_ROWS * 4;
	tile_configure(&c);
}

/* sum[n][16] = q[n][n_col] . w; rows of q `step` bytes apart. */
INLINE void dot_one(tile_sums sum, const int8_t *q, size_t step, tile_weights w)
{
	tile_zero(0);
	tile_load(4, q, step);
	tile_load(5, w, sizeof(w[0]));
	tile_dot(0, 4, 5);
	tile_store(0, sum, sizeof(sum[0]));
}

/* The same of four sub-blocks of n_col columns, whose quants follow each other. */
INLINE void dot_four(tile_sums sum[4], const int8_t *q, size_t step, const int n_col, tile_weights w[4])
{
	tile_zero(0);
	tile_zero(1);
	tile_zero(2);
	tile_zero(3);
	tile_load(4, q, step);
	tile_load(5, w[0], sizeof(w[0][0]));
	tile_dot(0, 4, 5);
	tile_load(4, q + n_col, step);
	tile_load(5, w[1], sizeof(w[0][0]));
	tile_dot(1, 4, 5);
	tile_load(4, q + 2 * n_col, step);
	tile_load(5, w[2], sizeof(w[0][0]));
	tile_dot(2, 4, 5);
	tile_load(4, q + 3 * n_col, step);
	tile_load(5, w[3], sizeof(w[0][0]));
	tile_dot(3, 4, 5);
	tile_store(0, sum[0], sizeof(sum[0][0]));
	tile_store(1, sum[1], sizeof(sum[0][0]));
	tile_store(2, sum[2], sizeof(sum[0][0]));
	tile_store(3, sum[3], sizeof(sum[0][0]));
}

/* Sixteen halves. */
INLINE void load_halfs16(float d[PANEL_ROWS], const uint8_t *p)
{
	_mm256_storeu_ps(d, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)));
	_mm256_storeu_ps(d + 8, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 16))));
}

/* acc[n] += dw * d[n] * sum[n] */
INLINE void add_scaled(const int n, panel_sums acc, const float dw[PANEL_ROWS], const float *d, tile_sums sum)
{
	for (int t = 0; t < n; t++)
		for (int r = 0; r < PANEL_ROWS; r++)
			acc[t][r] = fmaf(dw[r] * d[t], (float)sum[t][r], acc[t][r]);
}

INLINE bytes64 load64(const uint8_t *p)
{
	bytes64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

INLINE bytes64 load_table16(const int8_t *codes)
{
	uint8_t four[64];

	for (size_t i = 0; i < 4; i++)
		memcpy(four + 16 * i, codes, 16);
	return load64(four);
}

INLINE void store64(int8_t *to, bytes64 v)
{
	memcpy(to, &v, sizeof(v));
}

/* What a block of 256 elements is besides its quants: scales, and minima of sub-blocks where it has any. */
struct sub_scales {
	float dw[PANEL_ROWS], dmin[PANEL_ROWS];
	int32_t scale[16][PANEL_ROWS], min[16][PANEL_ROWS];
};

/* Weights of sub-block s of a panel block. */
typedef void unpack_fn(tile_weights to, const uint8_t *w, int s, const struct form *f);

/* A block of 256 of n_sub sub-blocks. sums: where the tile's sums of quants are as pairs [n_sub / 2][n][2]; NULL: no minima. */
INLINE void block_256(const int n, panel_sums acc, const int n_sub, unpack_fn *unpack, const struct form *f,
		      const struct sub_scales *c, const int16_t *sums, const uint8_t *w, const uint8_t *x)
{
	const int n_col = 256 / n_sub;
	const float *d = (const float *)x;
	const int8_t *q = (const int8_t *)(x + ACT_Q8_K_Q(n));
	_Alignas(64) tile_weights weights[SIDE_BY_SIDE];
	_Alignas(64) tile_sums part[SIDE_BY_SIDE], isum;

	memset(isum, 0, (size_t)n * sizeof(isum[0]));
	for (int s = 0; s < n_sub; s += SIDE_BY_SIDE) {
		for (int i = 0; i < SIDE_BY_SIDE; i++)
			unpack(weights[i], w, s + i, f);
		dot_four(part, q + s * n_col, 256, n_col, weights);
		for (int t = 0; t < n; t++)
			for (int i = 0; i < SIDE_BY_SIDE; i++)
				for (int r = 0; r < PANEL_ROWS; r++)
					isum[t][r] += c->scale[s + i][r] * part[i][t][r];
	}
	add_scaled(n, acc, c->dw, d, isum);
	for (int t = 0; sums && t < n; t++) {
		int32_t m[PANEL_ROWS] = { 0 };

		for (int s = 0; s < n_sub; s++)
			for (int r = 0; r < PANEL_ROWS; r++)
				m[r] += c->min[s][r] * sums[(s / 2 * n + t) * 2 + s % 2];
		for (int r = 0; r < PANEL_ROWS; r++)
			acc[t][r] = fmaf(-(c->dmin[r] * d[t]), (float)m[r], acc[t][r]);
	}
}

/* Defines the product `name` of a type, tiles of n_col columns; the rest as MATMUL's (matmul.h). Of how many tokens is known at run time only: what
 * would be gained by constants is little beside the tiles. */
#define AMX_MATMUL(name, type, n_col, block, len, bytes, ...)                                                   \
	static void name(MATMUL_ARGS)                                                                           \
	{                                                                                                       \
		static const struct form form = { __VA_ARGS__ };                                                \
                                                                                                                \
		if (n_tok < ACT_ROWS_MIN) {                                                                     \
			amx_parent.matmul[type](y, y_stride, w, x_tile, n_tok, k, panel0, panel1);              \
			return;                                                                                 \
		}                                                                                               \
		configure(n_tok, n_col);                                                                        \
		walk(n_tok, block, &form, len, PANEL_ROWS *(bytes), y, y_stride, w, x_tile, k, panel0, panel1); \
		tile_release();                                                                                 \
	}

/* act.c */
void amx_act_pack_q8_rows(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void amx_act_pack_q8_k_rows(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);

/* matmul_q8.c, matmul_k.c, matmul_k23.c, matmul_iq.c */
extern const struct matmul_row amx_matmul_q8[], amx_matmul_k[], amx_matmul_k23[], amx_matmul_iq[];

#endif
