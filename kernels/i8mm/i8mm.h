/*
 * Products by smmla: one instruction multiplies two rows of eight bytes by two others, four sums of eight products, where sdot makes four of
 * four. So of a quarter panel (4 rows) two k-groups change places, until a vector holds eight columns of two rows, and a tile keeps a
 * token's quants by eights (ACT_Q8_EIGHTS, ACT_Q8_K_EIGHTS), where two tokens are sixteen bytes that lie together. What comes out is
 * (t, r0) (t, r1) (t + 1, r0) (t + 1, r1).
 *
 * Why the bits are those of ref/: sums are of the same integers, exact in 32 bits in any order (the bounds are neon/'s), and change their
 * lanes back before the chain of fma sees them.
 *
 * Changing places costs eight zips a quarter and 32 columns (four where two nibbles do so together), which fewer than ACT_EIGHTS_MIN tokens do
 * not win back (LOG.md): those are the parent's, product and tile.
 */
#ifndef GYRE_KERNELS_I8MM_I8MM_H
#define GYRE_KERNELS_I8MM_I8MM_H

#include "kernels/neon/neon.h"
#include "kernels/neon/sums.h"
#include "kernels/neon/unpack.h"
#include "kernels/matmul.h"

struct form {
	matmul_fn *few; /* the parent's */
	const int8_t *codes;
	int bits;
	bool has_min, has_high, is_e8m0;
};

/* Two vectors of four rows that are neighbours in k -> eight columns of rows 0 and 1, and of rows 2 and 3. */
INLINE void pair_rows(uint8x16_t to[2], uint8x16_t a, uint8x16_t b)
{
	uint32x4_t left = vreinterpretq_u32_u8(a), right = vreinterpretq_u32_u8(b);

	to[0] = vreinterpretq_u8_u32(vzip1q_u32(left, right));
	to[1] = vreinterpretq_u8_u32(vzip2q_u32(left, right));
}

INLINE void load_paired(uint8x16_t to[2], const uint8_t *groups)
{
	pair_rows(to, vld1q_u8(groups), vld1q_u8(groups + 64));
}

/* sum of the rows 0 and 1, and of the rows 2 and 3, of n_group k-groups times the same columns of two tokens of n, or of the last one
 * twice; q at the first's eight. */
INLINE void dot_two(int32x4_t sum[2], const int8x16_t *v, const int n_group, const int8_t *q, const int n,
		    const bool is_last)
{
#pragma GCC unroll 4
	for (int g = 0; g < n_group; g += 2, q += 8 * n) {
		int8x16_t x = is_last ? vreinterpretq_s8_s64(vld1q_dup_s64((const int64_t *)q)) : vld1q_s8(q);

		sum[0] = vmmlaq_s32(sum[0], x, v[g]);
		sum[1] = vmmlaq_s32(sum[1], x, v[g + 1]);
	}
}

/* Lanes of a vector of four rows, or sums of two tokens, by twos: {0, 1} of both, {2, 3} of both. The way there and back. */
INLINE void swap_halves(int32x4_t to[2], int32x4_t a, int32x4_t b)
{
	int64x2_t left = vreinterpretq_s64_s32(a), right = vreinterpretq_s64_s32(b);

	to[0] = vreinterpretq_s32_s64(vzip1q_s64(left, right));
	to[1] = vreinterpretq_s32_s64(vzip2q_s64(left, right));
}

/* MATMUL's walk (matmul.h), from ACT_EIGHTS_MIN tokens on. */
INLINE void walk_many(const int n, block_fn *block, const struct form *f, const uint32_t len, const size_t bytes,
		      float *y, size_t y_stride, const uint8_t *w, const uint8_t *x, const struct chunks *k,
		      size_t panel0, size_t panel1)
{
	if (n < ACT_EIGHTS_MIN)
		f->few(y, y_stride, w, x, n, k, panel0, panel1);
	else
		walk(n, block, f, len, bytes, y, y_stride, w, x, k, panel0, panel1);
}

/* act.c */
void i8mm_act_pack_q8_eights(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);
void i8mm_act_pack_q8_k_eights(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col);

/* matmul_q8.c, matmul_k.c, matmul_k23.c, matmul_iq.c */
extern const struct matmul_row i8mm_matmul_q8[], i8mm_matmul_k[], i8mm_matmul_k23[], i8mm_matmul_iq[];

#endif
