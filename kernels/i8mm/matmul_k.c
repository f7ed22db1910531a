/* Q4_K Q5_K Q6_K: 256 elements a block. */
#include "kernels/i8mm/k.h"

/* Sub-block s of four rows: eight k-groups; qs where the two that share its bytes begin. */
INLINE void unpack(int8x16_t v[8], const uint8_t *qh, const uint8_t *qs, int s, const bool is_odd, const bool five)
{
	for (int j = 0; j < 8; j += 2) {
		uint8x16_t b[2], h[2] = { vdupq_n_u8(0), vdupq_n_u8(0) };

		load_paired(b, qs + 64 * j);
		if (five)
			load_paired(h, qh + 64 * j);
		v[j] = unpack_k45(b[0], h[0], s, is_odd, five);
		v[j + 1] = unpack_k45(b[1], h[1], s, is_odd, five);
	}
}

/* The products of quarter r. */
INLINE void dot_k45(const int n, const bool five, float32x4_t *acc, const uint8_t *panel, const uint8_t *x,
		    const struct six *six, int r)
{
	const int8_t *q = (const int8_t *)x + ACT_Q8_K_Q(n);
	const uint8_t *qh = panel + QH_AT + 16 * r, *qs = qh + (five ? 512 : 0);
	const size_t share = PANEL_ROWS * (five ? 176 : 144) / 4; /* to fetch in a turn */
	pair_sums isum;

	pairs_zero(n, isum);
#pragma GCC unroll 1
	for (int p = 0; p < 4; p++, qs += 512) {
		int8x16_t v[8];

		if (r == 0)
			prefetch(panel + (size_t)p * share, share);
		unpack(v, qh, qs, 2 * p, false, five);
		add_pairs(n, isum, v, 8, q + 64 * p * n, load_u8(six->scale[2 * p] + 4 * r));
		end_sub_block();
		unpack(v, qh, qs, 2 * p + 1, true, five);
		add_pairs(n, isum, v, 8, q + (64 * p + 32) * n, load_u8(six->scale[2 * p + 1] + 4 * r));
		end_sub_block();
	}
	add_scaled_pairs(n, acc, load_halfs(panel + 8 * r), (const float *)x, isum);
}

INLINE void block_k45(const int n, const bool five, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	struct six six;

	load_six(&six, panel + SC_AT);
#pragma GCC unroll 1
	for (int r = 0; r < QUARTERS; r++)
		dot_k45(n, five, acc[r], panel, x, &six, r);
	subtract_mins(n, acc, panel + DMIN_AT, six.min[0], 8, (const int16_t *)(x + ACT_Q8_K_SUM32(n)), x);
}

/* A sub-block of four rows of Q6_K: four k-groups of -32..31. */
INLINE void unpack_signed(int8x16_t v[4], const uint8_t *sub)
{
	const int8x16_t offset = vdupq_n_s8(32);
	uint8x16_t b[2];

	unpack_q6(v, sub);
	for (int g = 0; g < 4; g += 2) {
		pair_rows(b, vreinterpretq_u8_s8(v[g]), vreinterpretq_u8_s8(v[g + 1]));
		v[g] = vsubq_s8(vreinterpretq_s8_u8(b[0]), offset);
		v[g + 1] = vsubq_s8(vreinterpretq_s8_u8(b[1]), offset);
	}
}

/* The products of quarter r. */
INLINE void dot_q6(const int n, float32x4_t *acc, const uint8_t *panel, const uint8_t *x, int r)
{
	const int8_t *q = (const int8_t *)x + ACT_Q8_K_Q(n);
	pair_sums isum;

	pairs_zero(n, isum);
	for (int s = 0; s < 16; s++) {
		int8x16_t v[4];

		if (r == 0)
			prefetch(panel + s * 210, 210);
		unpack_signed(v, panel + SUB6_AT + SUB6_LEN * s + 16 * r);
		add_pairs(n, isum, v, 4, q + 16 * s * n, load_i8(panel + SC6_AT + 16 * s + 4 * r));
	}
	add_scaled_pairs(n, acc, load_halfs(panel + 8 * r), (const float *)x, isum);
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	if (f->bits < 6) {
		block_k45(n, f->bits == 5, acc, panel, x);
		return;
	}
#pragma GCC unroll 1
	for (int r = 0; r < QUARTERS; r++)
		dot_q6(n, acc[r], panel, x, r);
}

MATMUL_BY(walk_many, i8mm_matmul_q4_k, block, 256, 144, .few = neon_matmul_q4_k, .bits = 4)
MATMUL_BY(walk_many, i8mm_matmul_q5_k, block, 256, 176, .few = neon_matmul_q5_k, .bits = 5)
MATMUL_BY(walk_many, i8mm_matmul_q6_k, block, 256, 210, .few = neon_matmul_q6_k, .bits = 6)

const struct matmul_row i8mm_matmul_k[] = {
	{ QUANT_Q4_K, i8mm_matmul_q4_k },
	{ QUANT_Q5_K, i8mm_matmul_q5_k },
	{ QUANT_Q6_K, i8mm_matmul_q6_k },
	{ .matmul = NULL },
};
