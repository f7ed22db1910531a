/* The types whose nibbles index a table: IQ4_NL, IQ4_XS, MXFP4; lane = output row, 4 rows a vector, the table in a register. */
#include "kernels/neon/k.h"
#include "kernels/neon/neon.h"
#include "kernels/codes.h"
#include "kernels/matmul.h"

struct form {
	enum quant_type type;
};

/* Where the fields of an IQ4_XS panel block lie (quant.h). */
#define SH_AT 32
#define SL_AT 64
#define QS_AT 128

/* The eight k-groups of 32 values of four rows; qs steps by 64 bytes. */
INLINE void look_up(int8x16_t v[8], int8x16_t table, const uint8_t *qs)
{
	for (int j = 0; j < 4; j++) {
		uint8x16_t b = vld1q_u8(qs + 64 * j);

		v[j] = vqtbl1q_s8(table, vandq_u8(b, vdupq_n_u8(15)));
		v[j + 4] = vqtbl1q_s8(table, vshrq_n_u8(b, 4));
	}
}

/* Halves of four E8M0 scales: 2^(e - 128), subnormal for 0 and 1. */
INLINE float32x4_t load_e8m0(const uint8_t *p)
{
	int32x4_t e = load_u8(p), normal = vshlq_n_s32(vsubq_s32(e, vdupq_n_s32(1)), 23),
		  tiny = vshlq_s32(vdupq_n_s32(0x00200000), e);

	return vreinterpretq_f32_s32(vbslq_s32(vcltq_s32(e, vdupq_n_s32(2)), tiny, normal));
}

/* A block of 32 of quarter r. */
INLINE void quarter_block(const int n, float32x4_t *acc, float32x4_t dw, int8x16_t table, const uint8_t *qs,
			  const uint8_t *x)
{
	int8x16_t v[8];

	look_up(v, table, qs);
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

/* Scale s of four rows; sh[2][16] and sl[4][16] at the first one's bytes. */
INLINE int32x4_t scale_xs(const uint8_t *sh, const uint8_t *sl, const int s)
{
	int32x4_t low = load_u8(sl + 16 * (s / 2)), high = load_u8(sh + 16 * (s / 4));

	low = vandq_s32(vshlq_s32(low, vdupq_n_s32(s % 2 * -4)), vdupq_n_s32(15));
	high = vandq_s32(vshlq_s32(high, vdupq_n_s32(s % 4 * -2)), vdupq_n_s32(3));
	return vsubq_s32(vorrq_s32(low, vshlq_n_s32(high, 4)), vdupq_n_s32(32));
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

			look_up(v, table, panel + QS_AT + 256 * s + 16 * r);
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
