/* What the files of neon/ share: loads by quarter panel (4 rows = one vector), and dot products with one token of a tile. */
#ifndef GYRE_KERNELS_NEON_SIMD_H
#define GYRE_KERNELS_NEON_SIMD_H

#include "kernels/constant_n.h"
#include "kernels/kernels.h"
#include "kernels/ref/ref.h"

#include <arm_neon.h>
#include <string.h>

#define QUARTERS 4 /* of a panel */

/* f16[4] -> f32[4] */
INLINE float32x4_t load_halfs(const uint8_t *p)
{
	return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

/* u8[4] -> u16[4] in the low half, and no byte behind them is read. */
INLINE uint16x8_t widen4(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(v)));
}

/* u8[4] -> i32[4] */
INLINE int32x4_t load_u8(const uint8_t *p)
{
	return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(widen4(p))));
}

/* i8[4] -> i32[4] */
INLINE int32x4_t load_i8(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(v)))));
}

/* sum[t][r] += sum over i of v[g][r][i] * the i-th of the four activations that are lane g * n + t of x: the instruction wants the lane
 * as a constant, hence no loop. */
#define DOT(n, g, t) sum[t] = vdotq_laneq_s32(sum[t], v[g], x[((g) * (n) + (t)) / 4], ((g) * (n) + (t)) % 4)

/* Four k-groups of a tile of one token, which are the lanes of a vector; of two; of three. */
INLINE void dot_1(int32x4_t *sum, const int8x16_t *v, const int8_t *q)
{
	int8x16_t x[1] = { vld1q_s8(q) };

	DOT(1, 0, 0), DOT(1, 1, 0), DOT(1, 2, 0), DOT(1, 3, 0);
}

INLINE void dot_2(int32x4_t *sum, const int8x16_t *v, const int8_t *q)
{
	int8x16_t x[2] = { vld1q_s8(q), vld1q_s8(q + 16) };

	DOT(2, 0, 0), DOT(2, 0, 1), DOT(2, 1, 0), DOT(2, 1, 1);
	DOT(2, 2, 0), DOT(2, 2, 1), DOT(2, 3, 0), DOT(2, 3, 1);
}

INLINE void dot_3(int32x4_t *sum, const int8x16_t *v, const int8_t *q)
{
	int8x16_t x[3] = { vld1q_s8(q), vld1q_s8(q + 16), vld1q_s8(q + 32) };

	DOT(3, 0, 0), DOT(3, 0, 1), DOT(3, 0, 2), DOT(3, 1, 0), DOT(3, 1, 1), DOT(3, 1, 2);
	DOT(3, 2, 0), DOT(3, 2, 1), DOT(3, 2, 2), DOT(3, 3, 0), DOT(3, 3, 1), DOT(3, 3, 2);
}

/* One k-group of n tokens, the last ones of the four that lie at q. */
INLINE void dot_of_4(int32x4_t *sum, int8x16_t v, const int8_t *q, const int n)
{
	int8x16_t x = vld1q_s8(q);

	if (n > 3)
		sum[n - 4] = vdotq_laneq_s32(sum[n - 4], v, x, 0);
	if (n > 2)
		sum[n - 3] = vdotq_laneq_s32(sum[n - 3], v, x, 1);
	if (n > 1)
		sum[n - 2] = vdotq_laneq_s32(sum[n - 2], v, x, 2);
	sum[n - 1] = vdotq_laneq_s32(sum[n - 1], v, x, 3);
}

/*
 * sum[0 .. n) += n_group (a multiple of four) groups of four columns of four rows, v, times the same columns of tokens t0 .. t0 + n - 1
 * (n <= 4; the rest of the tile if less) of a tile of n_tok: q[n_group][n_tok][4]. A vector of the tile holds four of a group's
 * tokens, or several groups of a small tile; no byte outside of q is read.
 */
INLINE void dot_tokens(int32x4_t *sum, const int8x16_t *v, const int n_group, const int8_t *q, const int n_tok,
		       const int t0, const int n)
{
#pragma GCC unroll 8
	for (int g = 0; g < n_group; g++) {
		if (n_tok >= 4)
			dot_of_4(sum, v[g], q + 4 * (g * n_tok + t0 + n - 4), n);
		else if (g % 4)
			continue;
		else if (n_tok == 1)
			dot_1(sum, v + g, q + 4 * g);
		else if (n_tok == 2)
			dot_2(sum, v + g, q + 8 * g);
		else
			dot_3(sum, v + g, q + 12 * g);
	}
}

/* Tokens from t0 on, four at most. */
INLINE int four_of(const int n_tok, const int t0)
{
	return n_tok - t0 < 4 ? n_tok - t0 : 4;
}

#endif
