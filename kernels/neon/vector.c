/* Element-wise operations and 16-lane reductions; four vectors are the sixteen lanes. */
#include "kernels/neon/neon.h"
#include "kernels/neon/vexp.h"
#include "kernels/neon/vtanh.h"
#include "kernels/ref/reduce.h"

#include <math.h>

#define PARTS 4 /* vectors of LANES */

INLINE void zero_lanes(float32x4_t v[PARTS])
{
	for (int k = 0; k < PARTS; k++)
		v[k] = vdupq_n_f32(0);
}

INLINE void store_lanes(float lane[LANES], const float32x4_t v[PARTS])
{
	for (int k = 0; k < PARTS; k++)
		vst1q_f32(lane + 4 * k, v[k]);
}

float neon_sum_squares(const float *x, size_t n)
{
	float32x4_t sum[PARTS];
	float lane[LANES];
	size_t i = 0;

	zero_lanes(sum);
	for (; i + LANES <= n; i += LANES) {
		for (size_t k = 0; k < PARTS; k++) {
			float32x4_t v = vld1q_f32(x + i + 4 * k);

			sum[k] = vfmaq_f32(sum[k], v, v);
		}
	}
	store_lanes(lane, sum);
	for (; i < n; i++)
		lane[i % LANES] = fmaf(x[i], x[i], lane[i % LANES]);
	return ref_reduce(lane);
}

void neon_mul_scaled(float *y, const float *x, const float *w, size_t n, float by)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
		vst1q_f32(y + i, vmulq_f32(vmulq_n_f32(vld1q_f32(x + i), by), vld1q_f32(w + i)));
	for (; i < n; i++)
		y[i] = (x[i] * by) * w[i];
}

void neon_rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
	neon_mul_scaled(y, x, w, n, 1.0f / sqrtf(neon_sum_squares(x, n) / (float)n + eps));
}

INLINE float sum_of(const float *x, size_t n)
{
	float32x4_t sum[PARTS];
	float lane[LANES];
	size_t i = 0;

	zero_lanes(sum);
	for (; i + LANES <= n; i += LANES)
		for (size_t k = 0; k < PARTS; k++)
			sum[k] = vaddq_f32(sum[k], vld1q_f32(x + i + 4 * k));
	store_lanes(lane, sum);
	for (; i < n; i++)
		lane[i % LANES] += x[i];
	return ref_reduce(lane);
}

/* The sum of (x - mean)^2. */
INLINE float sum_of_squares(const float *x, size_t n, float mean)
{
	float32x4_t sum[PARTS];
	float lane[LANES];
	size_t i = 0;

	zero_lanes(sum);
	for (; i + LANES <= n; i += LANES)
		for (size_t k = 0; k < PARTS; k++) {
			float32x4_t d = vsubq_f32(vld1q_f32(x + i + 4 * k), vdupq_n_f32(mean));

			sum[k] = vfmaq_f32(sum[k], d, d);
		}
	store_lanes(lane, sum);
	for (; i < n; i++)
		lane[i % LANES] = fmaf(x[i] - mean, x[i] - mean, lane[i % LANES]);
	return ref_reduce(lane);
}

void neon_layer_norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps)
{
	float mean = sum_of(x, n) / (float)n, scale = 1.0f / sqrtf(sum_of_squares(x, n, mean) / (float)n + eps);
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		float32x4_t v = vmulq_n_f32(vsubq_f32(vld1q_f32(x + i), vdupq_n_f32(mean)), scale);

		v = vmulq_f32(v, vld1q_f32(w + i));
		vst1q_f32(y + i, b ? vaddq_f32(v, vld1q_f32(b + i)) : v);
	}
	for (; i < n; i++) {
		float v = ((x[i] - mean) * scale) * w[i];

		y[i] = b ? v + b[i] : v;
	}
}

/* x0, x1 -> x0', x1' */
INLINE void rotate4(float32x4_t *x0, float32x4_t *x1, float32x4_t c, float32x4_t s)
{
	float32x4_t a = *x0, b = *x1;

	*x0 = vfmaq_f32(vnegq_f32(vmulq_f32(b, s)), a, c);
	*x1 = vfmaq_f32(vmulq_f32(b, c), a, s);
}

INLINE void rotate(float *a, float *b, float c, float s)
{
	float x0 = *a, x1 = *b;

	*a = fmaf(x0, c, -(x1 * s));
	*b = fmaf(x0, s, x1 * c);
}

/* Pairs (i, i + half). */
INLINE void rope_apart(float *x, const float *cos, const float *sin, int half)
{
	int i = 0;

	for (; i + 4 <= half; i += 4) {
		float32x4_t x0 = vld1q_f32(x + i), x1 = vld1q_f32(x + half + i);

		rotate4(&x0, &x1, vld1q_f32(cos + i), vld1q_f32(sin + i));
		vst1q_f32(x + i, x0);
		vst1q_f32(x + half + i, x1);
	}
	for (; i < half; i++)
		rotate(x + i, x + half + i, cos[i], sin[i]);
}

/* Pairs (2i, 2i + 1). */
INLINE void rope_adjacent(float *x, const float *cos, const float *sin, int half)
{
	int i = 0;

	for (; i + 4 <= half; i += 4) {
		float32x4x2_t v = vld2q_f32(x + 2 * i);

		rotate4(&v.val[0], &v.val[1], vld1q_f32(cos + i), vld1q_f32(sin + i));
		vst2q_f32(x + 2 * i, v);
	}
	for (; i < half; i++)
		rotate(x + 2 * i, x + 2 * i + 1, cos[i], sin[i]);
}

void neon_rope(float *x, const float *cos, const float *sin, int n_head, int head_dim, int n_rot, bool neox)
{
	for (int h = 0; h < n_head; h++, x += head_dim) {
		if (neox)
			rope_apart(x, cos, sin, n_rot / 2);
		else
			rope_adjacent(x, cos, sin, n_rot / 2);
	}
}

void neon_silu_mul(float *y, const float *gate, const float *up, size_t n)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		float32x4_t g = vld1q_f32(gate + i);
		float32x4_t v = vdivq_f32(g, vaddq_f32(vdupq_n_f32(1.0f), vexp(vnegq_f32(g))));

		vst1q_f32(y + i, vmulq_f32(v, vld1q_f32(up + i)));
	}
	ref_silu_mul(y + i, gate + i, up + i, n - i);
}

INLINE float32x4_t vgelu(float32x4_t x)
{
	float32x4_t t = vfmaq_f32(vdupq_n_f32(GELU_C1), vmulq_n_f32(x, GELU_C3), x);

	t = vaddq_f32(vdupq_n_f32(1.0f), vtanh(vmulq_f32(x, t)));
	return vmulq_f32(vmulq_n_f32(x, 0.5f), t);
}

void neon_gelu_mul(float *y, const float *gate, const float *up, size_t n)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
		vst1q_f32(y + i, vmulq_f32(vgelu(vld1q_f32(gate + i)), vld1q_f32(up + i)));
	ref_gelu_mul(y + i, gate + i, up + i, n - i);
}

void neon_oai_mul(float *y, const float *gate, const float *up, size_t n)
{
	const float32x4_t most = vdupq_n_f32(OAI_LIMIT), one = vdupq_n_f32(1.0f);
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		float32x4_t g = vminq_f32(vld1q_f32(gate + i), most);
		float32x4_t u = vmaxq_f32(vminq_f32(vld1q_f32(up + i), most), vnegq_f32(most));

		g = vdivq_f32(g, vaddq_f32(one, vexp(vnegq_f32(vmulq_n_f32(g, OAI_ALPHA)))));
		vst1q_f32(y + i, vmulq_f32(g, vaddq_f32(u, one)));
	}
	ref_oai_mul(y + i, gate + i, up + i, n - i);
}

void neon_gelu(float *y, const float *x, size_t n)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
		vst1q_f32(y + i, vgelu(vld1q_f32(x + i)));
	ref_gelu(y + i, x + i, n - i);
}

void neon_relu2(float *y, const float *x, size_t n)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		float32x4_t v = vmaxq_f32(vld1q_f32(x + i), vdupq_n_f32(0)); /* a NaN stays */

		vst1q_f32(y + i, vmulq_f32(v, v));
	}
	ref_relu2(y + i, x + i, n - i);
}

void neon_xielu(float *y, const float *x, size_t n, const struct xielu *p)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		float32x4_t v = vld1q_f32(x + i), by_beta = vmulq_n_f32(v, p->beta);
		float32x4_t e = vsubq_f32(vexpm1(vminq_f32(v, vdupq_n_f32(p->eps))), v);
		float32x4_t above = vfmaq_f32(by_beta, vmulq_n_f32(v, p->alpha_p), v);

		vst1q_f32(y + i, vbslq_f32(vcgtq_f32(v, vdupq_n_f32(0)), above,
					   vfmaq_f32(by_beta, e, vdupq_n_f32(p->alpha_n))));
	}
	ref_xielu(y + i, x + i, n - i, p);
}

void neon_cap(float *y, size_t n, float cap)
{
	float32x4_t c = vdupq_n_f32(cap);
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
		vst1q_f32(y + i, vmulq_f32(c, vtanh(vdivq_f32(vld1q_f32(y + i), c))));
	ref_cap(y + i, n - i, cap);
}

void neon_add(float *y, const float *x, size_t n)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
		vst1q_f32(y + i, vaddq_f32(vld1q_f32(y + i), vld1q_f32(x + i)));
	ref_add(y + i, x + i, n - i);
}

/* max would return a NaN, and maxnm one that is signalling. */
INLINE float32x4_t larger(float32x4_t best, float32x4_t v)
{
	return vbslq_f32(vcgtq_f32(v, best), v, best);
}

float neon_max(const float *x, size_t n)
{
	float32x4_t best[PARTS];
	float m = -INFINITY;
	size_t i = 0;

	for (int k = 0; k < PARTS; k++)
		best[k] = vdupq_n_f32(m);
	for (; i + LANES <= n; i += LANES)
		for (size_t k = 0; k < PARTS; k++)
			best[k] = larger(best[k], vld1q_f32(x + i + 4 * k));
	for (; i + 4 <= n; i += 4)
		best[0] = larger(best[0], vld1q_f32(x + i));
	m = vmaxvq_f32(vmaxq_f32(vmaxq_f32(best[0], best[1]), vmaxq_f32(best[2], best[3])));
	for (; i < n; i++)
		m = x[i] > m ? x[i] : m;
	return m + 0.0f;
}

/* The largest, then where it first stands: to carry places along costs more than a second look at half of x. */
size_t neon_argmax(const float *x, size_t n)
{
	float m = neon_max(x, n);
	size_t i = 0;

	if (m == -INFINITY) /* which index is a matter of NaN and -inf order */
		return ref_argmax(x, n);
	for (; i + LANES <= n; i += LANES) {
		uint32x4_t here = vdupq_n_u32(0);

		for (size_t k = 0; k < PARTS; k++)
			here = vorrq_u32(here, vceqq_f32(vld1q_f32(x + i + 4 * k), vdupq_n_f32(m)));
		if (vmaxvq_u32(here))
			break;
	}
	while (x[i] != m)
		i++;
	return i;
}

void neon_exps(float *y, const float *x, size_t n, float scale, float max)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
		vst1q_f32(y + i, vexp(vsubq_f32(vmulq_n_f32(vld1q_f32(x + i), scale), vdupq_n_f32(max))));
	ref_exps(y + i, x + i, n - i, scale, max);
}

float neon_sum_exp(const float *x, size_t n, float max)
{
	float32x4_t sum[PARTS];
	float lane[LANES];
	size_t i = 0;

	zero_lanes(sum);
	for (; i + LANES <= n; i += LANES)
		for (size_t k = 0; k < PARTS; k++)
			sum[k] = vaddq_f32(sum[k], vexp(vsubq_f32(vld1q_f32(x + i + 4 * k), vdupq_n_f32(max))));
	store_lanes(lane, sum);
	for (; i < n; i++)
		lane[i % LANES] += ref_exp(x[i] - max);
	return ref_reduce(lane);
}
