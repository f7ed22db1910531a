/*
 * Q4_0 Q4_1 Q5_0 Q5_1 Q8_0: 32 elements a block, lane = output row, 4 rows a vector. sdot sums in int32, which is exact: a quant is
 * at most 128 * 120 * 32. Q4_0's nibbles stay where they are, their top bit flipped: sixteen times the signed value, which
 * the conversion to float divides out.
 */
#include "kernels/neon/neon.h"
#include "kernels/neon/sums.h"
#include "kernels/neon/unpack.h"
#include "kernels/matmul.h"

struct form {
	bool has_min, has_high, eight_bits;
	int offset;
};

INLINE size_t head_bytes(const struct form *f)
{
	return 32 + (f->has_min ? 32 : 0) + (f->has_high ? 64 : 0);
}

/* Sixteen times too large. */
INLINE bool is_scaled(const struct form *f)
{
	return f->offset == 8;
}

/* The eight k-groups of a quarter panel. */
INLINE void unpack(const struct form *f, int8x16_t v[8], const uint8_t *panel, int quarter)
{
	const uint8_t *qs = panel + head_bytes(f) + 16 * quarter;

	for (int j = 0; j < (f->eight_bits ? 8 : 4); j++) {
		uint8x16_t b = vld1q_u8(qs + 64 * j);

		if (f->eight_bits)
			v[j] = vreinterpretq_s8_u8(b);
		else
			unpack_nibbles(&v[j], &v[j + 4], b, is_scaled(f));
	}
	if (!f->has_high)
		return;
	uint8x16_t qh = vld1q_u8(qs - 64);
	for (int g = 0; g < 8; g++)
		v[g] = add_fifth(v[g], vtstq_u8(qh, vdupq_n_u8((uint8_t)(1 << g))), f->offset);
}

INLINE void quarter_block(const int n, const struct form *f, float32x4_t *acc, const uint8_t *panel, const uint8_t *x,
			  int quarter)
{
	const float *d = (const float *)x, *s = d + n;
	const int8_t *q = (const int8_t *)(s + 2 * n);
	float32x4_t dw = load_halfs(panel + 8 * quarter), m = f->has_min ? load_halfs(panel + 32 + 8 * quarter) : dw;
	int8x16_t v[8];

	unpack(f, v, panel, quarter);
#pragma GCC unroll 3
	for (int t0 = 0; t0 < n; t0 += 4) {
		const int n_here = four_of(n, t0);
		int32x4_t isum[4] = { vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0) };

		dot_tokens(isum, v, 8, q, n, t0, n_here);
#pragma GCC unroll 4
		for (int i = 0; i < n_here; i++) {
			const int t = t0 + i;
			float32x4_t sum = is_scaled(f) ? vcvtq_n_f32_s32(isum[i], 4) : vcvtq_f32_s32(isum[i]);

			acc[t] = vfmaq_f32(acc[t], vmulq_n_f32(dw, d[t]), sum);
			if (f->has_min)
				acc[t] = vfmaq_n_f32(acc[t], m, s[t]);
		}
	}
}

INLINE void block(const int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x)
{
	if (n >= PREFETCH_TOKENS)
		prefetch(panel, head_bytes(f) + (f->eight_bits ? 512 : 256));
	if (n <= SMALL) {
#pragma GCC unroll 4
		for (int r = 0; r < QUARTERS; r++)
			quarter_block(n, f, acc[r], panel, x, r);
		return;
	}
#pragma GCC unroll 1
	for (int r = 0; r < QUARTERS; r++)
		quarter_block(n, f, acc[r], panel, x, r);
}

MATMUL(neon_matmul_q4_0, block, 32, 18, .offset = 8)
MATMUL(neon_matmul_q4_1, block, 32, 20, .has_min = true)
MATMUL(neon_matmul_q5_0, block, 32, 22, .has_high = true, .offset = 16)
MATMUL(neon_matmul_q5_1, block, 32, 24, .has_high = true, .has_min = true)
MATMUL(neon_matmul_q8_0, block, 32, 34, .eight_bits = true)

const struct matmul_row neon_matmul_q8[] = {
	{ QUANT_Q4_0, neon_matmul_q4_0 }, { QUANT_Q4_1, neon_matmul_q4_1 }, { QUANT_Q5_0, neon_matmul_q5_0 },
	{ QUANT_Q5_1, neon_matmul_q5_1 }, { QUANT_Q8_0, neon_matmul_q8_0 }, { .matmul = NULL },
};
