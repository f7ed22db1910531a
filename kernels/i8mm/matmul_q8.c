/* Q4_0 Q4_1 Q5_0 Q5_1 Q8_0: 32 elements a block; quants as in neon/, in rows of eight columns. */
#include "kernels/i8mm/i8mm.h"

INLINE size_t head_bytes(const struct form *f)
{
	return 32 + (f->has_min ? 32 : 0) + (f->has_high ? 64 : 0);
}

/* Q4_0's quants are sixteen times too large, as neon/'s. */
INLINE bool is_scaled(const struct form *f)
{
	return f->bits == 4 && !f->has_min;
}

/* The fifth bits, where bit g of qh is k-group g's: of two groups, a bit each for the halves of every eight bytes. */
INLINE void add_high(const struct form *f, int8x16_t v[8], uint8x16_t qh)
{
	uint8x16_t h[2];

	pair_rows(h, qh, qh);
	for (int g = 0; g < 8; g++) {
		uint8x16_t bits = vreinterpretq_u8_u64(vdupq_n_u64(0x0202020201010101u << g / 2 * 2));

		v[g] = add_fifth(v[g], vtstq_u8(h[g % 2], bits), !f->has_min);
	}
}

/* The eight k-groups of a quarter panel. */
INLINE void unpack(const struct form *f, int8x16_t v[8], const uint8_t *panel, int quarter)
{
	const uint8_t *qs = panel + head_bytes(f) + 16 * quarter;

	for (int j = 0; j < (f->bits == 8 ? 8 : 4); j += 2) {
		uint8x16_t b[2];

		load_paired(b, qs + 64 * j);
		for (int i = j; i < j + 2; i++)
			if (f->bits == 8)
				v[i] = vreinterpretq_s8_u8(b[i - j]);
			else
				unpack_nibbles(&v[i], &v[i + 4], b[i - j], is_scaled(f));
	}
	if (f->has_high)
		add_high(f, v, vld1q_u8(qs - 64));
}

INLINE void quarter_block(const int n, const struct form *f, float32x4_t *acc, const uint8_t *panel, const uint8_t *x,
			  int quarter)
{
	const float *d = (const float *)x, *s = (const float *)(x + ACT_Q8_S(n));
	float32x4_t dw = load_halfs(panel + 8 * quarter), m = f->has_min ? load_halfs(panel + 32 + 8 * quarter) : dw;
	int8x16_t v[8];

	unpack(f, v, panel, quarter);
#pragma GCC unroll 6
	for (int t0 = 0; t0 < n; t0 += 2) {
		const bool is_last = t0 + 1 == n;
		int32x4_t isum[2] = { vdupq_n_s32(0), vdupq_n_s32(0) };

		dot_two(isum, v, 8, (const int8_t *)x + ACT_Q8_Q(n) + 8 * t0, n, is_last);
		swap_halves(isum, isum[0], isum[1]);
		for (int i = 0; i < 2 - is_last; i++) {
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
	prefetch(panel, head_bytes(f) + (f->bits == 8 ? 512 : 256));
#pragma GCC unroll 1
	for (int r = 0; r < QUARTERS; r++)
		quarter_block(n, f, acc[r], panel, x, r);
}

MATMUL_BY(walk_many, i8mm_matmul_q4_0, block, 32, 18, .few = neon_matmul_q4_0, .bits = 4)
MATMUL_BY(walk_many, i8mm_matmul_q4_1, block, 32, 20, .few = neon_matmul_q4_1, .bits = 4, .has_min = true)
MATMUL_BY(walk_many, i8mm_matmul_q5_0, block, 32, 22, .few = neon_matmul_q5_0, .bits = 5, .has_high = true)
MATMUL_BY(walk_many, i8mm_matmul_q5_1, block, 32, 24, .few = neon_matmul_q5_1, .bits = 5, .has_high = true,
	  .has_min = true)
MATMUL_BY(walk_many, i8mm_matmul_q8_0, block, 32, 34, .few = neon_matmul_q8_0, .bits = 8)

const struct matmul_row i8mm_matmul_q8[] = {
	{ QUANT_Q4_0, i8mm_matmul_q4_0 }, { QUANT_Q4_1, i8mm_matmul_q4_1 }, { QUANT_Q5_0, i8mm_matmul_q5_0 },
	{ QUANT_Q5_1, i8mm_matmul_q5_1 }, { QUANT_Q8_0, i8mm_matmul_q8_0 }, { .matmul = NULL },
};
