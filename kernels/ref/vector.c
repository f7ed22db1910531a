/* Element-wise operations and 16-lane reductions: the definition. */
#include "kernels/ref/ref.h"

#include "kernels/ref/exp.h"
#include "kernels/ref/log.h"
#include "kernels/ref/reduce.h"
#include "kernels/ref/tanh.h"

#include <math.h>

float ref_sum_squares(const float *x, size_t n)
{
	float lane[LANES] = { 0 };

	for (size_t i = 0; i < n; i++)
		lane[i % LANES] = fmaf(x[i], x[i], lane[i % LANES]);
	return ref_reduce(lane);
}

void ref_mul_scaled(float *y, const float *x, const float *w, size_t n, float by)
{
	for (size_t i = 0; i < n; i++)
		y[i] = (x[i] * by) * w[i];
}

void ref_rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
	ref_mul_scaled(y, x, w, n, 1.0f / sqrtf(ref_sum_squares(x, n) / (float)n + eps));
}

void ref_layer_norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps)
{
	float sum[LANES] = { 0 }, square[LANES] = { 0 };

	for (size_t i = 0; i < n; i++)
		sum[i % LANES] += x[i];
	float mean = ref_reduce(sum) / (float)n;
	for (size_t i = 0; i < n; i++) {
		float d = x[i] - mean;

		square[i % LANES] = fmaf(d, d, square[i % LANES]);
	}
	float scale = 1.0f / sqrtf(ref_reduce(square) / (float)n + eps);
	for (size_t i = 0; i < n; i++) {
		float v = ((x[i] - mean) * scale) * w[i];

		y[i] = b ? v + b[i] : v;
	}
}

void ref_l2_norm(float *y, const float *x, size_t n, float eps)
{
	float lane[LANES] = { 0 };

	for (size_t i = 0; i < n; i++)
		lane[i % LANES] = fmaf(x[i], x[i], lane[i % LANES]);
	float scale = 1.0f / sqrtf(ref_reduce(lane) + eps);
	for (size_t i = 0; i < n; i++)
		y[i] = x[i] * scale;
}

void ref_rope(float *x, const float *cos, const float *sin, int n_head, int head_dim, int n_rot, bool neox)
{
	int step = neox ? 1 : 2, apart = neox ? n_rot / 2 : 1;

	for (int h = 0; h < n_head; h++, x += head_dim) {
		for (int i = 0; i < n_rot / 2; i++) {
			float *a = x + i * step, *b = a + apart;
			float x0 = *a, x1 = *b;

			*a = fmaf(x0, cos[i], -(x1 * sin[i]));
			*b = fmaf(x0, sin[i], x1 * cos[i]);
		}
	}
}

void ref_silu_mul(float *y, const float *gate, const float *up, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = gate[i] / (1.0f + ref_exp(-gate[i])) * up[i];
}

static inline float gelu(float x)
{
	return 0.5f * x * (1.0f + ref_tanh(x * fmaf(x * GELU_C3, x, GELU_C1)));
}

void ref_gelu_mul(float *y, const float *gate, const float *up, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = gelu(gate[i]) * up[i];
}

void ref_gelu(float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = gelu(x[i]);
}

void ref_relu2(float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		float v = x[i] < 0 ? 0 : x[i]; /* a NaN stays */

		y[i] = v * v;
	}
}

void ref_xielu(float *y, const float *x, size_t n, const struct xielu *p)
{
	for (size_t i = 0; i < n; i++) {
		float v = x[i], e = ref_expm1(v < p->eps ? v : p->eps) - v;

		y[i] = v > 0 ? fmaf(p->alpha_p * v, v, p->beta * v) : fmaf(e, p->alpha_n, p->beta * v);
	}
}

void ref_silu(float *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = y[i] / (1.0f + ref_exp(-y[i]));
}

void ref_sigmoid(float *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = 1.0f / (1.0f + ref_exp_or_nan(-y[i]));
}

void ref_sigmoid_mul(float *y, const float *gate, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = y[i] / (1.0f + ref_exp_or_nan(-gate[i]));
}

void ref_softplus(float *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = ref_softplus_of(y[i]);
}

void ref_mul(float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] *= x[i];
}

void ref_oai_mul(float *y, const float *gate, const float *up, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		float g = OAI_LIMIT < gate[i] ? OAI_LIMIT : gate[i], u = OAI_LIMIT < up[i] ? OAI_LIMIT : up[i];

		u = -OAI_LIMIT > u ? -OAI_LIMIT : u;
		y[i] = g / (1.0f + ref_exp(-(OAI_ALPHA * g))) * (u + 1.0f);
	}
}

void ref_add(float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += x[i];
}

void ref_scale(float *y, size_t n, float by)
{
	for (size_t i = 0; i < n; i++)
		y[i] *= by;
}

void ref_cap(float *y, size_t n, float cap)
{
	for (size_t i = 0; i < n; i++)
		y[i] = cap * ref_tanh(y[i] / cap);
}

float ref_max(const float *x, size_t n)
{
	float best = -INFINITY;

	for (size_t i = 0; i < n; i++)
		if (x[i] > best)
			best = x[i];
	return best + 0.0f; /* of equal zeros, max instructions return either; -0 + 0 is +0 */
}

size_t ref_argmax(const float *x, size_t n)
{
	float best = -INFINITY;
	size_t at = 0;
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		if (x[i] > best || (!found && x[i] == best)) {
			best = x[i];
			at = i;
			found = true;
		}
	}
	return at;
}

void ref_exps(float *y, const float *x, size_t n, float scale, float max)
{
	for (size_t i = 0; i < n; i++)
		y[i] = ref_exp(x[i] * scale - max);
}

float ref_sum_exp(const float *x, size_t n, float max)
{
	float lane[LANES] = { 0 };

	for (size_t i = 0; i < n; i++)
		lane[i % LANES] += ref_exp(x[i] - max);
	return ref_reduce(lane);
}
