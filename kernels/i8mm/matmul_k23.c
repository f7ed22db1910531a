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
		end_sub_block();
	}
}

/* The products of quarter r. */
INLINE void dot_quarter(const int n, const int bits, float32x4_t *acc, const struct scales *sc, const uint8_t *panel,
			const uint8_t *x, int r)
{
	const int8_t *q = (const int8_t *)x + ACT_Q8_K_Q(n);
	const size_t share = PANEL_ROWS * (bits == 3 ? 110 : 84) / 4; /* to fetch in a turn */
	pair_sums isum;

	pairs_zero(n, isum);
#pragma GCC unroll 1
	for (int i = 0; i < 4; i++) {
		if (r == 0)
			prefetch(panel + (size_t)i * share, share);
		dot_half(n, bits, isum, sc, panel, q, i / 2, i % 2, r);
	}
	add_scaled_pairs(n, acc, load_halfs(panel + 8 * r), (const float *)x, isum);
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	const int bits = f->bits;
	struct scales sc;

	load_scales(&sc, bits, panel + SC23_AT(bits));
#pragma GCC unroll 1
	for (int r = 0; r < QUARTERS; r++)
		dot_quarter(n, bits, acc[r], &sc, panel, x, r);
	if (bits == 2)
		subtract_mins(n, acc, panel + DMIN2_AT, sc.min[0], 16, (const int16_t *)(x + ACT_Q8_K_SUM16(n)), x);
}

MATMUL_BY(walk_many, i8mm_matmul_q2_k, block, 256, 84, .few = neon_matmul_q2_k, .bits = 2)
MATMUL_BY(walk_many, i8mm_matmul_q3_k, block, 256, 110, .few = neon_matmul_q3_k, .bits = 3)

const struct matmul_row i8mm_matmul_k23[] = {
	{ QUANT_Q2_K, i8mm_matmul_q2_k },
	{ QUANT_Q3_K, i8mm_matmul_q3_k },
	{ .matmul = NULL },
};
