/* Activation tiles; layout and rule in kernels.h. */
#include "kernels/neon/neon.h"
#include "kernels/neon/quantize.h"

/* 4x4 floats: row[t] lane k -> row[k] lane t. */
INLINE void transpose(float32x4_t row[4])
{
	float32x4_t a = vzip1q_f32(row[0], row[2]), b = vzip2q_f32(row[0], row[2]), c = vzip1q_f32(row[1], row[3]),
		    d = vzip2q_f32(row[1], row[3]);

	row[0] = vzip1q_f32(a, c);
	row[1] = vzip2q_f32(a, c);
	row[2] = vzip1q_f32(b, d);
	row[3] = vzip2q_f32(b, d);
}

/* Four columns of two or three tokens. */
INLINE void pack_few(float *y, const float *x, size_t x_stride, size_t n)
{
	if (n == 2)
		vst2q_f32(y, ((float32x4x2_t){ { vld1q_f32(x), vld1q_f32(x + x_stride) } }));
	else
		vst3q_f32(y,
			  ((float32x4x3_t){ { vld1q_f32(x), vld1q_f32(x + x_stride), vld1q_f32(x + 2 * x_stride) } }));
}

/* Four columns of n >= 4 tokens, four at a time; the last four may have had a turn already. */
INLINE void pack_many(float *y, const float *x, size_t x_stride, size_t n)
{
	for (size_t i = 0; i < n; i += 4) {
		size_t t0 = i + 4 <= n ? i : n - 4;
		float32x4_t row[4];

		for (size_t t = 0; t < 4; t++)
			row[t] = vld1q_f32(x + (t0 + t) * x_stride);
		transpose(row);
		for (size_t k = 0; k < 4; k++)
			vst1q_f32(y + k * n + t0, row[k]);
	}
}

void neon_act_pack_f32(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok, whole = n_col - n_col % 4;
	float *y = dst;

	if (n == 1) {
		memcpy(dst, x, n_col * sizeof(float));
		return;
	}
	for (size_t k = 0; k < whole; k += 4, y += 4 * n) {
		if (n < 4)
			pack_few(y, x + k, x_stride, n);
		else
			pack_many(y, x + k, x_stride, n);
	}
	ref_act_pack_f32(y, x + whole, x_stride, n_tok, n_col - whole);
}

/* Four groups of four bytes, `step` bytes apart. */
INLINE void scatter(int8_t *dst, size_t step, int8x16_t q)
{
	int32x4_t v = vreinterpretq_s32_s8(q);

	vst1q_lane_s32((int32_t *)dst, v, 0);
	vst1q_lane_s32((int32_t *)(dst + step), v, 1);
	vst1q_lane_s32((int32_t *)(dst + 2 * step), v, 2);
	vst1q_lane_s32((int32_t *)(dst + 3 * step), v, 3);
}

/* Sum of 16 products. */
INLINE int32_t dot16(int8x16_t a, int8x16_t b)
{
	return vaddvq_s32(vdotq_s32(vdupq_n_s32(0), a, b));
}

void neon_act_pack_q8(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok;

	for (size_t t = 0; t < n; t++) {
		const float *row = x + t * x_stride;
		uint8_t *block = dst;

		for (size_t b = 0; b < n_col / 32; b++, block += ACT_Q8_BYTES(n), row += 32) {
			float *d = (float *)block + t, *s = (float *)(block + ACT_Q8_S(n)) + t;
			int32_t *nsum = (int32_t *)(block + ACT_Q8_NSUM(n)) + t;
			int8_t *q = (int8_t *)block + ACT_Q8_Q(n) + 4 * t;
			float amax = amax_of(row, 32), id = inverse(amax, ACT_Q_MAX);
			int8x16_t low = quantize16(row, id, ACT_Q_MAX), high = quantize16(row + 16, id, ACT_Q_MAX);
			int32_t sum_low = vaddlvq_s8(low);

			*d = amax / ACT_Q_MAX;
			*nsum = -(sum_low + vaddlvq_s8(high));
			*s = *d * (float)-*nsum;
			((int32_t *)(block + ACT_Q8_CROSS(n)))[t] = -(dot16(low, high) + 128 * sum_low);
			scatter(q, 4 * n, low);
			scatter(q + 16 * n, 4 * n, high);
		}
	}
}

/* 32 columns, the j-th, of token t of a block of n. */
INLINE void pack32_q8_k(uint8_t *block, const float *x, float id, size_t j, size_t t, size_t n)
{
	int16_t *sum32 = (int16_t *)(block + ACT_Q8_K_SUM32(n)), *sum16 = (int16_t *)(block + ACT_Q8_K_SUM16(n));
	int8_t *q = (int8_t *)block + ACT_Q8_K_Q(n) + (8 * j * n + t) * 4;
	int32_t *cross = (int32_t *)(block + ACT_Q8_K_CROSS(n)), *off = (int32_t *)(block + ACT_Q8_K_OFF(n));
	int8x16_t low = quantize16(x, id, ACT_Q_MAX), high = quantize16(x + 16, id, ACT_Q_MAX);
	int32_t first = vaddlvq_s8(low), second = vaddlvq_s8(high);

	sum16[(j * n + t) * 2] = (int16_t)first;
	sum16[(j * n + t) * 2 + 1] = (int16_t)second;
	sum32[(j / 2 * n + t) * 2 + j % 2] = (int16_t)(first + second);
	off[2 * j * n + t] = -32 * first;
	off[(2 * j + 1) * n + t] = -32 * second;
	cross[j * n + t] = 8 * second - 120 * first - dot16(low, high);
	scatter(q, 4 * n, low);
	scatter(q + 16 * n, 4 * n, high);
}

void neon_act_pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok;

	for (size_t t = 0; t < n; t++) {
		const float *row = x + t * x_stride;
		uint8_t *block = dst;

		for (size_t b = 0; b < n_col / 256; b++, block += ACT_Q8_K_BYTES(n), row += 256) {
			float amax = amax_of(row, 256), id = inverse(amax, ACT_Q_MAX);

			((float *)block)[t] = amax / ACT_Q_MAX;
			for (size_t j = 0; j < 8; j++)
				pack32_q8_k(block, row + 32 * j, id, j, t, n);
		}
	}
}
