/* The types whose nibbles index a table: IQ4_NL, IQ4_XS, MXFP4; lane = output row, 4 rows a vector, the table in a register. */
#include "kernels/neon/k.h"
#include "kernels/neon/neon.h"
#include "kernels/neon/unpack.h"
#include "kernels/codes.h"
#include "kernels/matmul.h"

struct form {
	enum quant_type type;
};

/* The eight k-groups of 32 values of four rows; qs steps by 64 bytes. */
INLINE void unpack(int8x16_t v[8], int8x16_t table, const uint8_t *qs)
{
	for (int j = 0; j < 4; j++)
		look_up(&v[j], &v[j + 4], table, vld1q_u8(qs + 64 * j));
}

/* A block of 32 of quarter r. */
INLINE void quarter_block(const int n, float32x4_t *acc, float32x4_t dw, int8x16_t table, const uint8_t *qs,
			  const uint8_t *x)
{
	int8x16_t v[8];

	unpack(v, table, qs);
#pragma GCC unroll 3
	for (int t0 = 0; t0 < n; t0 += 4) {
		const int n_here = four_of(n, t0);
		int32x4_t isum[4] = { vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0) };

		dot_tokens(isum, v, 8, (const int8_t *)x + ACT_Q8_Q(n), n, t0, n_here);
		add_scaled(n_here, acc + t0, dw, (const float *)x + t0, isum);
	}
}

INLINE void block_32(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	const bool is_mxfp4 = f->type == QUANT_MXFP4;
	const uint8_t *qs = panel + (is_mxfp4 ? 16 : 32);
	int8x16_t table = vld1q_s8(is_mxfp4 ? codes_mxfp4 : codes_iq4);

	if (n >= PREFETCH_TOKENS)
		prefetch(panel, 288);
#pragma GCC unroll 1
	for (int r = 0; r < QUARTERS; r++)
		quarter_block(n, acc[r], is_mxfp4 ? load_e8m0(panel + 4 * r) : load_halfs(panel + 8 * r), table,
			      qs + 16 * r, x);
}

/* The products of n_r quarters from r0 on of a block of IQ4_XS. */
INLINE void dot_xs(const int n, panel_sums acc, const uint8_t *panel, const uint8_t *x, const int n_r, int r0)
{
	const int8_t *q = (const int8_t *)x + ACT_Q8_K_Q(n);
	int8x16_t table = vld1q_s8(codes_iq4);
	int32x4_t isum[QUARTERS][ACT_TILE];

	for (int i = 0; i < n_r; i++)
		for (int t = 0; t < n; t++)
			isum[i][t] = vdupq_n_s32(0);
	for (int s = 0; s < 8; s++) {
		if (n >= PREFETCH_TOKENS && r0 == 0)
			prefetch(panel + s * 272, 272);
		for (int r = r0; r < r0 + n_r; r++) {
			int32x4_t scale = scale_xs(panel + SH_AT + 4 * r, panel + SL_AT + 4 * r, s);
			int8x16_t v[8];

			unpack(v, table, panel + QSXS_AT + 256 * s + 16 * r);
			dot_scaled(n, isum[r - r0], v, 8, q + 32 * s * n, scale, NULL);
		}
	}
	for (int i = 0; i < n_r; i++)
		add_scaled(n, acc[r0 + i], load_halfs(panel + 8 * (r0 + i)), (const float *)x, isum[i]);
}

INLINE void block_xs(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	(void)f;
	if (n <= SMALL)
		dot_xs(n, acc, panel, x, QUARTERS, 0);
	else
#pragma GCC unroll 1
		for (int r = 0; r < QUARTERS; r++)
			dot_xs(n, acc, panel, x, 1, r);
}

MATMUL(neon_matmul_iq4_nl, block_32, 32, 18, .type = QUANT_IQ4_NL)
MATMUL(neon_matmul_mxfp4, block_32, 32, 17, .type = QUANT_MXFP4)
MATMUL(neon_matmul_iq4_xs, block_xs, 256, 136, .type = QUANT_IQ4_XS)

const struct matmul_row neon_matmul_iq[] = {
	{ QUANT_IQ4_NL, neon_matmul_iq4_nl },
	{ QUANT_MXFP4, neon_matmul_mxfp4 },
	{ QUANT_IQ4_XS, neon_matmul_iq4_xs },
	{ .matmul = NULL },
};
