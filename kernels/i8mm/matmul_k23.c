/* Q2_K Q3_K: 256 elements a block; a vector of quants holds k-groups of four sub-blocks, as in neon/. */
#include "kernels/i8mm/k.h"

/* isum += the products of the sub-blocks 8h + m, 8h + 2 + m ... of quarter r. */
INLINE void dot_half(const int n, const int bits, pair_sums isum, const struct scales *sc, const uint8_t *panel,
		     const int8_t *q, int h, int m, const int r)
{
	const uint8_t *qs = panel + QS23_AT(bits) + 512 * h + 256 * m + 16 * r, *hm = panel + HM3_AT + 256 * m + 16 * r;
	uint8x16_t b[4], high[4] = { vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0) };

	for (int g = 0; g < 4; g += 2) {
		load_paired(b + g, qs + 64 * g);
		if (bits == 3)
			load_paired(high + g, hm + 64 * g);
	}
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++) {
		const int s = 8 * h + 2 * c + m;
		int8x16_t v[4];

		for (int g = 0; g < 4; g++)
			v[g] = unpack_k23(bits, b[g], high[g], h, c);
		add_pairs(n, isum, v, 4, q + 16 * s * n, load_i8((const uint8_t *)sc->scale[s] + 4 * r));
	}
}

/* The products of n_r quarters from r0 on. */
INLINE void dot_quarters(const int n, const int bits, panel_sums acc, const struct scales *sc, const uint8_t *panel,
			 const uint8_t *x, const int n_r, int r0)
{
	const int8_t *q = (const int8_t *)x + ACT_Q8_K_Q(n);
	const size_t share = PANEL_ROWS * (bits == 3 ? 110 : 84) / 4; /* to fetch in a turn */
	pair_sums isum[QUARTERS];

	for (int i = 0; i < n_r; i++)
		pairs_zero(n, isum[i]);
#pragma GCC unroll 1
	for (int i = 0; i < 4; i++) {
		if (n >= PREFETCH_TOKENS && r0 == 0)
			prefetch(panel + (size_t)i * share, share);
		for (int r = r0; r < r0 + n_r; r++)
			dot_half(n, bits, isum[r - r0], sc, panel, q, i / 2, i % 2, r);
	}
	for (int i = 0; i < n_r; i++)
		add_scaled_pairs(n, acc[r0 + i], load_halfs(panel + 8 * (r0 + i)), (const float *)x, isum[i]);
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

MATMUL_BY(walk_many, i8mm_matmul_q2_k, block, 256, 84, .one = neon_matmul_q2_k, .bits = 2)
MATMUL_BY(walk_many, i8mm_matmul_q3_k, block, 256, 110, .one = neon_matmul_q3_k, .bits = 3)

const struct matmul_row i8mm_matmul_k23[] = {
	{ QUANT_Q2_K, i8mm_matmul_q2_k },
	{ QUANT_Q3_K, i8mm_matmul_q3_k },
	{ .matmul = NULL },
};
