/* What the products of 256-element types share: sub-blocks with a scale each, and minima. */
#ifndef GYRE_KERNELS_NEON_K_H
#define GYRE_KERNELS_NEON_K_H

#include "kernels/neon/sums.h"

/* isum[n] += scale * the products of a sub-block of n_group k-groups, whose sums start at off[n], if there is one. */
INLINE void dot_scaled(const int n, int32x4_t *isum, const int8x16_t *v, const int n_group, const int8_t *q,
		       int32x4_t scale, const int32_t *off)
{
#pragma GCC unroll 3
	for (int t0 = 0; t0 < n; t0 += 4) {
		const int n_here = four_of(n, t0);
		int32x4_t sum[4];

#pragma GCC unroll 4
		for (int i = 0; i < n_here; i++)
			sum[i] = off ? vld1q_dup_s32(off + t0 + i) : vdupq_n_s32(0);
		dot_tokens(sum, v, n_group, q, n, t0, n_here);
#pragma GCC unroll 4
		for (int i = 0; i < n_here; i++)
			isum[t0 + i] = vmlaq_s32(isum[t0 + i], sum[i], scale);
	}
}

/* acc[n] += (dw * d) * isum. */
INLINE void add_scaled(const int n, float32x4_t *acc, float32x4_t dw, const float *d, const int32x4_t *isum)
{
	for (int t = 0; t < n; t++)
		acc[t] = vfmaq_f32(acc[t], vmulq_n_f32(dw, d[t]), vcvtq_f32_s32(isum[t]));
}

/* Four i16 pairs of a token, 2 * n_tok apart. */
INLINE int16x8_t load_pairs(const int16_t *p, const int n_tok)
{
	int32x4_t v = vdupq_n_s32(0);

	v = vld1q_lane_s32((const int32_t *)p, v, 0);
	v = vld1q_lane_s32((const int32_t *)(p + 2 * n_tok), v, 1);
	v = vld1q_lane_s32((const int32_t *)(p + 4 * n_tok), v, 2);
	v = vld1q_lane_s32((const int32_t *)(p + 6 * n_tok), v, 3);
	return vreinterpretq_s16_s32(v);
}

/* acc[r] += min[s][r] * sums[s] for eight s, of four rows; min steps by PANEL_ROWS bytes. */
INLINE int32x4_t dot_sums(int32x4_t acc, const uint8_t *min, int16x8_t sums)
{
	int16x4_t m[8];

	for (int s = 0; s < 8; s++)
		m[s] = vreinterpret_s16_u16(vget_low_u16(widen4(min + PANEL_ROWS * s)));
	acc = vmlal_laneq_s16(acc, m[0], sums, 0);
	acc = vmlal_laneq_s16(acc, m[1], sums, 1);
	acc = vmlal_laneq_s16(acc, m[2], sums, 2);
	acc = vmlal_laneq_s16(acc, m[3], sums, 3);
	acc = vmlal_laneq_s16(acc, m[4], sums, 4);
	acc = vmlal_laneq_s16(acc, m[5], sums, 5);
	acc = vmlal_laneq_s16(acc, m[6], sums, 6);
	return vmlal_laneq_s16(acc, m[7], sums, 7);
}

/* acc -= (dmin * d) * sum of min * the tile's sums, which are pairs: n_sub (8 or 16) minima a row, dmin f16[16]. */
INLINE void subtract_mins(const int n, panel_sums acc, const uint8_t *dmin, const uint8_t *min, const int n_sub,
			  const int16_t *sum, const uint8_t *x)
{
	const float *d = (const float *)x;

	for (int t = 0; t < n; t++) {
		int16x8_t low = load_pairs(sum + 2 * t, n),
			  high = n_sub > 8 ? load_pairs(sum + 2 * (4 * n + t), n) : low;

#pragma GCC unroll 4
		for (int r = 0; r < QUARTERS; r++) {
			float32x4_t scale = vmulq_n_f32(load_halfs(dmin + 8 * r), d[t]);
			int32x4_t mins = dot_sums(vdupq_n_s32(0), min + 4 * r, low);

			if (n_sub > 8)
				mins = dot_sums(mins, min + 8 * PANEL_ROWS + 4 * r, high);
			acc[r][t] = vfmsq_f32(acc[r][t], scale, vcvtq_f32_s32(mins));
		}
	}
}

#endif
