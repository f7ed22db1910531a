/*
 * Q2_K Q3_K: 256 elements a block, lane = output row, 4 rows a vector. A vector of quants holds a k-group of each of four sub-blocks;
 * Q3_K's third bit, where it is not set, takes four off.
 */
#include "kernels/neon/k.h"
#include "kernels/neon/neon.h"
#include "kernels/neon/unpack.h"
#include "kernels/matmul.h"

struct form {
	int bits;
};

/* isum[n] += the products of the sub-blocks 8h + m, 8h + 2 + m ... of quarter r. */
INLINE void dot_half(const int n, const int bits, int32x4_t *isum, const struct scales *sc, const uint8_t *panel,
		     const int8_t *q, int h, int m, const int r)
{
	const uint8_t *qs = panel + QS23_AT(bits) + 512 * h + 256 * m + 16 * r, *hm = panel + HM3_AT + 256 * m + 16 * r;
	uint8x16_t b[4], high[4];

	for (int i = 0; i < 4; i++) {
		b[i] = vld1q_u8(qs + 64 * i);
		high[i] = bits == 3 ? vld1q_u8(hm + 64 * i) : b[i];
	}
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++) {
		const int s = 8 * h + 2 * c + m;
		int8x16_t v[4];

		for (int i = 0; i < 4; i++)
			v[i] = unpack_k23(bits, b[i], high[i], h, c);
		dot_scaled(n, isum, v, 4, q + 16 * s * n, load_i8((const uint8_t *)sc->scale[s] + 4 * r), NULL);
	}
}

/* The products of n_r quarters from r0 on. */
INLINE void dot_quarters(const int n, const int bits, panel_sums acc, const struct scales *sc, const uint8_t *panel,
			 const uint8_t *x, const int n_r, int r0)
{
	const int8_t *q = (const int8_t *)x + ACT_Q8_K_Q(n);
	const size_t share = PANEL_ROWS * (bits == 3 ? 110 : 84) / 4; /* to fetch in a turn */
	int32x4_t isum[QUARTERS][ACT_TILE];

	for (int i = 0; i < n_r; i++)
		for (int t = 0; t < n; t++)
			isum[i][t] = vdupq_n_s32(0);
#pragma GCC unroll 1
	for (int i = 0; i < 4; i++) {
		if (n >= PREFETCH_TOKENS && r0 == 0)
			prefetch(panel + (size_t)i * share, share);
		for (int r = r0; r < r0 + n_r; r++)
			dot_half(n, bits, isum[r - r0], sc, panel, q, i / 2, i % 2, r);
	}
	for (int i = 0; i < n_r; i++)
		add_scaled(n, acc[r0 + i], load_halfs(panel + 8 * (r0 + i)), (const float *)x, isum[i]);
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	const int bits = f->bits;
	struct scales sc;

	load_scales(&sc, bits, panel + SC23_AT(bits));
	if (n <= SMALL)
		dot_quarters(n, bits, acc, &sc, panel, x, QUARTERS, 0);
	else
#pragma GCC unroll 1
		for (int r = 0; r < QUARTERS; r++)
			dot_quarters(n, bits, acc, &sc, panel, x, 1, r);
	if (bits == 2)
		subtract_mins(n, acc, panel + DMIN2_AT, sc.min[0], 16, (const int16_t *)(x + ACT_Q8_K_SUM16(n)), x);
}

MATMUL(neon_matmul_q2_k, block, 256, 84, .bits = 2)
MATMUL(neon_matmul_q3_k, block, 256, 110, .bits = 3)

const struct matmul_row neon_matmul_k23[] = {
	{ QUANT_Q2_K, neon_matmul_q2_k },
	{ QUANT_Q3_K, neon_matmul_q3_k },
	{ .matmul = NULL },
};
