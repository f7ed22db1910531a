/* Activation tiles: kernels.h has the layout and the rule of quantization. */
#include "kernels/ref/ref.h"

#include "kernels/f16.h"

#include <math.h>
#include <string.h>

void ref_act_pack_f32(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	float *y = dst;

	for (size_t k = 0; k < n_col; k++)
		for (int t = 0; t < n_tok; t++)
			*y++ = x[(size_t)t * x_stride + k];
}

/* |x * id| <= q_max up to rounding, and rint cannot leave [-q_max, q_max] from there; the clamp is for
 * NaN and infinity, which have no right answer but must not be undefined. */
float ref_quantize(int8_t *q, const float *x, int len, float q_max)
{
	uint32_t top = 0;

	/* As integers, which order as the floats do, with infinity above them and NaN above that: so d tells of both. */
	for (int i = 0; i < len; i++) {
		uint32_t bits = f32_bits(x[i]) & 0x7fffffff;

		top = bits > top ? bits : top;
	}
	float amax = f32_from_bits(top);
	float id = amax > ACT_AMAX_MIN ? q_max / amax : 0.0f;
	for (int i = 0; i < len; i++) {
		float v = rintf(x[i] * id);
		q[i] = (int8_t)(v >= -q_max ? (v <= q_max ? v : q_max) : -q_max);
	}
	return amax / q_max;
}

static int sum(const int8_t *q, int len)
{
	int s = 0;

	for (int i = 0; i < len; i++)
		s += q[i];
	return s;
}

/* Sum of q[k] * (q[16 + k] + add) over k in 0..15. */
static int32_t sum_of_products(const int8_t *q, int add)
{
	int32_t s = 0;

	for (int k = 0; k < 16; k++)
		s += q[k] * (q[16 + k] + add);
	return s;
}

/* Token t's quants of a block: `each` of them at a time, interleaved with those of n tokens. */
static void place(uint8_t *to, const int8_t *q, size_t len, size_t n, size_t t, size_t each)
{
	for (size_t j = 0; j < len / each; j++)
		memcpy(to + (j * n + t) * each, q + each * j, each);
}

static void pack_q8(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col, size_t each)
{
	size_t n = (size_t)n_tok;

	for (size_t b = 0; b < n_col / 32; b++) {
		uint8_t *block = (uint8_t *)dst + b * ACT_Q8_BYTES(n);
		float *d = (float *)block, *s = (float *)(block + ACT_Q8_S(n));
		int32_t *nsum = (int32_t *)(block + ACT_Q8_NSUM(n)), *cross = (int32_t *)(block + ACT_Q8_CROSS(n));
		uint8_t *qt = block + ACT_Q8_Q(n);
		int8_t q[32];

		for (size_t t = 0; t < n; t++) {
			d[t] = ref_quantize(q, x + t * x_stride + b * 32, 32, ACT_Q_MAX);
			nsum[t] = -sum(q, 32);
			s[t] = d[t] * (float)-nsum[t];
			place(qt, q, 32, n, t, each);
			cross[t] = -sum_of_products(q, 128);
		}
	}
}

static void pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col, size_t each)
{
	size_t n = (size_t)n_tok;

	for (size_t b = 0; b < n_col / 256; b++) {
		uint8_t *block = (uint8_t *)dst + b * ACT_Q8_K_BYTES(n);
		float *d = (float *)block;
		int16_t *sum32 = (int16_t *)(block + ACT_Q8_K_SUM32(n)),
			*sum16 = (int16_t *)(block + ACT_Q8_K_SUM16(n));
		int32_t *cross = (int32_t *)(block + ACT_Q8_K_CROSS(n)), *off = (int32_t *)(block + ACT_Q8_K_OFF(n));
		uint8_t *qt = block + ACT_Q8_K_Q(n);
		int8_t q[256];

		for (size_t t = 0; t < n; t++) {
			d[t] = ref_quantize(q, x + t * x_stride + b * 256, 256, ACT_Q_MAX);
			for (size_t j = 0; j < 8; j++)
				sum32[(j / 2 * n + t) * 2 + j % 2] = (int16_t)sum(q + 32 * j, 32);
			for (size_t j = 0; j < 16; j++) {
				sum16[(j / 2 * n + t) * 2 + j % 2] = (int16_t)sum(q + 16 * j, 16);
				off[j * n + t] = -32 * sum(q + 16 * j, 16);
			}
			place(qt, q, 256, n, t, each);
			for (size_t j = 0; j < 8; j++)
				cross[j * n + t] = 8 * sum(q + 32 * j + 16, 16) - sum_of_products(q + 32 * j, 120);
		}
	}
}

void ref_act_pack_q8(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	pack_q8(dst, x, x_stride, n_tok, n_col, 4);
}

void ref_act_pack_q8_k(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	pack_q8_k(dst, x, x_stride, n_tok, n_col, 4);
}

void ref_act_pack_q8_rows(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	pack_q8(dst, x, x_stride, n_tok, n_col, n_tok >= ACT_ROWS_MIN ? 32 : 4);
}

void ref_act_pack_q8_k_rows(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	pack_q8_k(dst, x, x_stride, n_tok, n_col, n_tok >= ACT_ROWS_MIN ? 256 : 4);
}

void ref_act_pack_q8_eights(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	pack_q8(dst, x, x_stride, n_tok, n_col, n_tok >= ACT_EIGHTS_MIN ? 8 : 4);
}

void ref_act_pack_q8_k_eights(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	pack_q8_k(dst, x, x_stride, n_tok, n_col, n_tok >= ACT_EIGHTS_MIN ? 8 : 4);
}
