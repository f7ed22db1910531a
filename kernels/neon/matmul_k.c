/*
 * Q4_K Q5_K Q6_K: 256 elements a block, lane = output row, 4 rows a vector. A sub-block's products are summed by sdot and then
 * multiplied with its scale, all in int32. Up to SMALL tokens the panel is read line by line, sums of all its rows in registers; with
 * more a quarter of the rows at a time has its turn.
 */
#include "kernels/neon/neon.h"
#include "kernels/neon/k.h"
#include "kernels/neon/unpack.h"
#include "kernels/matmul.h"

struct form {
	int bits;
};

/* Sub-block s of four rows: eight k-groups; qs where the two that share its bytes begin. */
INLINE void unpack(int8x16_t v[8], const uint8_t *qh, const uint8_t *qs, int s, const bool is_odd, const bool five)
{
	for (int j = 0; j < 8; j++) {
		uint8x16_t b = vld1q_u8(qs + 64 * j);

		v[j] = unpack_k45(b, five ? vld1q_u8(qh + 64 * j) : b, s, is_odd, five);
	}
}

/* The products of n_r quarters from r0 on. */
INLINE void dot_k45(const int n, const bool five, panel_sums acc, const uint8_t *panel, const uint8_t *x,
		    const struct six *six, const int n_r, int r0)
{
	const int8_t *q = (const int8_t *)x + ACT_Q8_K_Q(n);
	const size_t share = PANEL_ROWS * (five ? 176 : 144) / 4; /* to fetch in a turn */
	int32x4_t isum[QUARTERS][ACT_TILE];

	for (int i = 0; i < n_r; i++)
		for (int t = 0; t < n; t++)
			isum[i][t] = vdupq_n_s32(0);
#pragma GCC unroll 1
	for (int p = 0; p < 4; p++) {
		if (n > 1 && r0 == 0)
			prefetch(panel + (size_t)p * share, share);
		for (int r = r0; r < r0 + n_r; r++) {
			const uint8_t *qh = panel + QH_AT + 16 * r, *qs = qh + (five ? 512 : 0) + 512 * p;
			int8x16_t v[8];

			unpack(v, qh, qs, 2 * p, false, five);
			dot_scaled(n, isum[r - r0], v, 8, q + 64 * p * n, load_u8(six->scale[2 * p] + 4 * r), NULL);
			unpack(v, qh, qs, 2 * p + 1, true, five);
			dot_scaled(n, isum[r - r0], v, 8, q + (64 * p + 32) * n, load_u8(six->scale[2 * p + 1] + 4 * r),
				   NULL);
		}
	}
	for (int i = 0; i < n_r; i++)
		add_scaled(n, acc[r0 + i], load_halfs(panel + 8 * (r0 + i)), (const float *)x, isum[i]);
}

INLINE void block_k45(const int n, const bool five, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	struct six six;

	load_six(&six, panel + SC_AT);
	if (n <= SMALL)
		dot_k45(n, five, acc, panel, x, &six, QUARTERS, 0);
	else
#pragma GCC unroll 1
		for (int r = 0; r < QUARTERS; r++)
			dot_k45(n, five, acc, panel, x, &six, 1, r);
	subtract_mins(n, acc, panel + DMIN_AT, six.min[0], 8, (const int16_t *)(x + ACT_Q8_K_SUM32(n)), x);
}

/* The products of n_r quarters from r0 on. */
INLINE void dot_q6(const int n, panel_sums acc, const uint8_t *panel, const uint8_t *x, const int n_r, int r0)
{
	const int8_t *q = (const int8_t *)x + ACT_Q8_K_Q(n);
	const int32_t *off = (const int32_t *)(x + ACT_Q8_K_OFF(n));
	int32x4_t isum[QUARTERS][ACT_TILE];

	for (int i = 0; i < n_r; i++)
		for (int t = 0; t < n; t++)
			isum[i][t] = vdupq_n_s32(0);
	for (int s = 0; s < 16; s++) {
		if (n > 1 && r0 == 0)
			prefetch(panel + s * 210, 210);
		for (int r = r0; r < r0 + n_r; r++) {
			int8x16_t v[4];

			unpack_q6(v, panel + SUB6_AT + SUB6_LEN * s + 16 * r);
			dot_scaled(n, isum[r - r0], v, 4, q + 16 * s * n, load_i8(panel + SC6_AT + 16 * s + 4 * r),
				   off + s * n);
		}
	}
	for (int i = 0; i < n_r; i++)
		add_scaled(n, acc[r0 + i], load_halfs(panel + 8 * (r0 + i)), (const float *)x, isum[i]);
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	if (f->bits < 6)
		block_k45(n, f->bits == 5, acc, panel, x);
	else if (n <= SMALL)
		dot_q6(n, acc, panel, x, QUARTERS, 0);
	else
#pragma GCC unroll 1
		for (int r = 0; r < QUARTERS; r++)
			dot_q6(n, acc, panel, x, 1, r);
}

MATMUL(neon_matmul_q4_k, block, 256, 144, .bits = 4)
MATMUL(neon_matmul_q5_k, block, 256, 176, .bits = 5)
MATMUL(neon_matmul_q6_k, block, 256, 210, .bits = 6)

const struct matmul_row neon_matmul_k[] = {
	{ QUANT_Q4_K, neon_matmul_q4_k },
	{ QUANT_Q5_K, neon_matmul_q5_k },
	{ QUANT_Q6_K, neon_matmul_q6_k },
	{ .matmul = NULL },
};
