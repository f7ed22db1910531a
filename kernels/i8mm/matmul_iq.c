/* The types whose nibbles index a table: IQ4_NL, IQ4_XS, MXFP4. */
#include "kernels/codes.h"
#include "kernels/i8mm/k.h"

/* The eight k-groups of 32 values of four rows; qs steps by 64 bytes. */
INLINE void unpack(int8x16_t v[8], int8x16_t table, const uint8_t *qs)
{
	for (int j = 0; j < 4; j += 2) {
		uint8x16_t b[2];

		load_paired(b, qs + 64 * j);
		look_up(&v[j], &v[j + 4], table, b[0]);
		look_up(&v[j + 1], &v[j + 5], table, b[1]);
	}
}

/* A block of 32 of quarter r. */
INLINE void quarter_block(const int n, float32x4_t *acc, float32x4_t dw, int8x16_t table, const uint8_t *qs,
			  const uint8_t *x)
{
	int8x16_t v[8];

	unpack(v, table, qs);
#pragma GCC unroll 6
	for (int t = 0; t < n; t += 2) {
		const bool is_last = t + 1 == n;
		int32x4_t isum[2] = { vdupq_n_s32(0), vdupq_n_s32(0) };

		dot_two(isum, v, 8, (const int8_t *)x + ACT_Q8_Q(n) + 8 * t, n, is_last);
		swap_halves(isum, isum[0], isum[1]);
		add_scaled(2 - is_last, acc + t, dw, (const float *)x + t, isum);
	}
}

INLINE void block_32(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	const uint8_t *qs = panel + (f->is_e8m0 ? 16 : 32);
	int8x16_t table = vld1q_s8(f->codes);

	prefetch(panel, 288);
#pragma GCC unroll 1
	for (int r = 0; r < QUARTERS; r++)
		quarter_block(n, acc[r], f->is_e8m0 ? load_e8m0(panel + 4 * r) : load_halfs(panel + 8 * r), table,
			      qs + 16 * r, x);
}

/* The products of quarter r of a block of IQ4_XS. */
INLINE void dot_xs(const int n, float32x4_t *acc, const uint8_t *panel, const uint8_t *x, int r)
{
	const int8_t *q = (const int8_t *)x + ACT_Q8_K_Q(n);
	int8x16_t table = vld1q_s8(codes_iq4);
	pair_sums isum;

	pairs_zero(n, isum);
	for (int s = 0; s < 8; s++) {
		int8x16_t v[8];

		if (r == 0)
			prefetch(panel + s * 272, 272);
		unpack(v, table, panel + QSXS_AT + 256 * s + 16 * r);
		add_pairs(n, isum, v, 8, q + 32 * s * n, scale_xs(panel + SH_AT + 4 * r, panel + SL_AT + 4 * r, s));
		end_sub_block();
	}
	add_scaled_pairs(n, acc, load_halfs(panel + 8 * r), (const float *)x, isum);
}

INLINE void block_xs(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	(void)f;
#pragma GCC unroll 1
	for (int r = 0; r < QUARTERS; r++)
		dot_xs(n, acc[r], panel, x, r);
}

MATMUL_BY(walk_many, i8mm_matmul_iq4_nl, block_32, 32, 18, .few = neon_matmul_iq4_nl, .codes = codes_iq4)
MATMUL_BY(walk_many, i8mm_matmul_mxfp4, block_32, 32, 17, .few = neon_matmul_mxfp4, .codes = codes_mxfp4,
	  .is_e8m0 = true)
MATMUL_BY(walk_many, i8mm_matmul_iq4_xs, block_xs, 256, 136, .few = neon_matmul_iq4_xs)

const struct matmul_row i8mm_matmul_iq[] = {
	{ QUANT_IQ4_NL, i8mm_matmul_iq4_nl },
	{ QUANT_MXFP4, i8mm_matmul_mxfp4 },
	{ QUANT_IQ4_XS, i8mm_matmul_iq4_xs },
	{ .matmul = NULL },
};
