/* Activation tiles; layout and rule in kernels.h. */
#include "kernels/neon/act.h"
#include "kernels/neon/neon.h"

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

void neon_act_pack_q8(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	pack_q8(dst, x, x_stride, n_tok, n_col, 4);
}

void neon_act_pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	pack_q8_k(dst, x, x_stride, n_tok, n_col, 4);
}
