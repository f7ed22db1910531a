/* Tiles of quants (kernels.h), interleaved by four or by eight columns, for act_pack of this level and those above. */
#ifndef GYRE_KERNELS_NEON_ACT_H
#define GYRE_KERNELS_NEON_ACT_H

#include "kernels/neon/quantize.h"

/* Sixteen columns of a token among those of n: four fours, or two eights. */
INLINE void scatter(int8_t *dst, size_t n, int8x16_t q, const size_t each)
{
	int32x4_t v = vreinterpretq_s32_s8(q);

	if (each == 8) {
		vst1_s8(dst, vget_low_s8(q));
		vst1_s8(dst + 8 * n, vget_high_s8(q));
		return;
	}
	vst1q_lane_s32((int32_t *)dst, v, 0);
	vst1q_lane_s32((int32_t *)(dst + 4 * n), v, 1);
	vst1q_lane_s32((int32_t *)(dst + 8 * n), v, 2);
	vst1q_lane_s32((int32_t *)(dst + 12 * n), v, 3);
}

/* Sum of 16 products. */
INLINE int32_t dot16(int8x16_t a, int8x16_t b)
{
	return vaddvq_s32(vdotq_s32(vdupq_n_s32(0), a, b));
}

INLINE void pack_q8(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col, const size_t each)
{
	size_t n = (size_t)n_tok;

	for (size_t t = 0; t < n; t++) {
		const float *row = x + t * x_stride;
		uint8_t *block = dst;

		for (size_t b = 0; b < n_col / 32; b++, block += ACT_Q8_BYTES(n), row += 32) {
			float *d = (float *)block + t, *s = (float *)(block + ACT_Q8_S(n)) + t;
			int32_t *nsum = (int32_t *)(block + ACT_Q8_NSUM(n)) + t;
			int8_t *q = (int8_t *)block + ACT_Q8_Q(n) + each * t;
			float amax = amax_of(row, 32), id = inverse(amax, ACT_Q_MAX);
			int8x16_t low = quantize16(row, id, ACT_Q_MAX), high = quantize16(row + 16, id, ACT_Q_MAX);
			int32_t sum_low = vaddlvq_s8(low);

			*d = amax / ACT_Q_MAX;
			*nsum = -(sum_low + vaddlvq_s8(high));
			*s = *d * (float)-*nsum;
			((int32_t *)(block + ACT_Q8_CROSS(n)))[t] = -(dot16(low, high) + 128 * sum_low);
			scatter(q, n, low, each);
			scatter(q + 16 * n, n, high, each);
		}
	}
}

/* 32 columns, the j-th, of token t of a block of n. */
INLINE void pack32_q8_k(uint8_t *block, const float *x, float id, size_t j, size_t t, size_t n, const size_t each)
{
	int16_t *sum32 = (int16_t *)(block + ACT_Q8_K_SUM32(n)), *sum16 = (int16_t *)(block + ACT_Q8_K_SUM16(n));
	int8_t *q = (int8_t *)block + ACT_Q8_K_Q(n) + 32 * j * n + each * t;
	int32_t *cross = (int32_t *)(block + ACT_Q8_K_CROSS(n)), *off = (int32_t *)(block + ACT_Q8_K_OFF(n));
	int8x16_t low = quantize16(x, id, ACT_Q_MAX), high = quantize16(x + 16, id, ACT_Q_MAX);
	int32_t first = vaddlvq_s8(low), second = vaddlvq_s8(high);

	sum16[(j * n + t) * 2] = (int16_t)first;
	sum16[(j * n + t) * 2 + 1] = (int16_t)second;
	sum32[(j / 2 * n + t) * 2 + j % 2] = (int16_t)(first + second);
	off[2 * j * n + t] = -32 * first;
	off[(2 * j + 1) * n + t] = -32 * second;
	cross[j * n + t] = 8 * second - 120 * first - dot16(low, high);
	scatter(q, n, low, each);
	scatter(q + 16 * n, n, high, each);
}

INLINE void pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col, const size_t each)
{
	size_t n = (size_t)n_tok;

	for (size_t t = 0; t < n; t++) {
		const float *row = x + t * x_stride;
		uint8_t *block = dst;

		for (size_t b = 0; b < n_col / 256; b++, block += ACT_Q8_K_BYTES(n), row += 256) {
			float amax = amax_of(row, 256), id = inverse(amax, ACT_Q_MAX);

			((float *)block)[t] = amax / ACT_Q_MAX;
			for (size_t j = 0; j < 8; j++)
				pack32_q8_k(block, row + 32 * j, id, j, t, n, each);
		}
	}
}

#endif
