/* What the products of 256-element types share: sub-blocks with a scale each, their sums by two tokens and two rows up to a block's end. */
#ifndef GYRE_KERNELS_I8MM_K_H
#define GYRE_KERNELS_I8MM_K_H

#include "kernels/i8mm/i8mm.h"
#include "kernels/neon/k.h"

/* Of a quarter panel: tokens 2p and 2p + 1, rows 0 and 1, rows 2 and 3. */
typedef int32x4_t pair_sums[(ACT_TILE + 1) / 2][2];

INLINE void pairs_zero(const int n, pair_sums sum)
{
	for (int p = 0; p < (n + 1) / 2; p++)
		sum[p][0] = sum[p][1] = vdupq_n_s32(0);
}

/* isum += scale * the products of a sub-block of n_group k-groups. */
INLINE void add_pairs(const int n, pair_sums isum, const int8x16_t *v, const int n_group, const int8_t *q,
		      int32x4_t scale)
{
	int32x4_t of[2];

	swap_halves(of, scale, scale);
#pragma GCC unroll 6
	for (int p = 0; p < (n + 1) / 2; p++) {
		int32x4_t sum[2] = { vdupq_n_s32(0), vdupq_n_s32(0) };

		dot_two(sum, v, n_group, q + 16 * p, n, 2 * p + 1 == n);
		isum[p][0] = vmlaq_s32(isum[p][0], sum[0], of[0]);
		isum[p][1] = vmlaq_s32(isum[p][1], sum[1], of[1]);
	}
}

/* Nothing of the next sub-block is loaded before this: gcc 12 unpacks several at once, for which there are no registers. */
INLINE void end_sub_block(void)
{
	__asm__ volatile("" : : : "memory");
}

/* acc[n] += (dw * d) * isum. */
INLINE void add_scaled_pairs(const int n, float32x4_t *acc, float32x4_t dw, const float *d, pair_sums isum)
{
	for (int p = 0; p < (n + 1) / 2; p++) {
		int32x4_t of_token[2];

		swap_halves(of_token, isum[p][0], isum[p][1]);
		add_scaled(2 * p + 1 == n ? 1 : 2, acc + 2 * p, dw, d + 2 * p, of_token);
	}
}

#endif
