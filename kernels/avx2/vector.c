/* Element-wise operations and 16-lane reductions; two ymm are the sixteen lanes. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vexp.h"
#include "kernels/avx2/vtanh.h"
#include "kernels/ref/reduce.h"

#include <math.h>

float avx2_sum_squares(const float *x, size_t n)
{
	__m256 sum[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };
	float lane[LANES];
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		for (size_t h = 0; h < 2; h++) {
			__m256 v = _mm256_loadu_ps(x + i + 8 * h);

			sum[h] = _mm256_fmadd_ps(v, v, sum[h]);
		}
	}
	_mm256_storeu_ps(lane, sum[0]);
	_mm256_storeu_ps(lane + 8, sum[1]);
	for (; i < n; i++)
		lane[i % LANES] = fmaf(x[i], x[i], lane[i % LANES]);
	return ref_reduce(lane);
}

void avx2_mul_scaled(float *y, const float *x, const float *w, size_t n, float by)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(by));

		_mm256_storeu_ps(y + i, _mm256_mul_ps(v, _mm256_loadu_ps(w + i)));
	}
	for (; i < n; i++)
		y[i] = (x[i] * by) * w[i];
}

void avx2_rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
	avx2_mul_scaled(y, x, w, n, 1.0f / sqrtf(avx2_sum_squares(x, n) / (float)n + eps));
}

INLINE float sum_of(const float *x, size_t n)
{
	__m256 sum[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };
	float lane[LANES];
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		for (size_t h = 0; h < 2; h++)
			sum[h] = _mm256_add_ps(sum[h], _mm256_loadu_ps(x + i + 8 * h));
	_mm256_storeu_ps(lane, sum[0]);
	_mm256_storeu_ps(lane + 8, sum[1]);
	for (; i < n; i++)
		lane[i % LANES] += x[i];
	return ref_reduce(lane);
}

/* The sum of (x - mean)^2. */
INLINE float sum_of_squares(const float *x, size_t n, float mean)
{
	__m256 sum[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };
	float lane[LANES];
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		for (size_t h = 0; h < 2; h++) {
			__m256 d = _mm256_sub_ps(_mm256_loadu_ps(x + i + 8 * h), _mm256_set1_ps(mean));

			sum[h] = _mm256_fmadd_ps(d, d, sum[h]);
		}
	_mm256_storeu_ps(lane, sum[0]);
	_mm256_storeu_ps(lane + 8, sum[1]);
	for (; i < n; i++)
		lane[i % LANES] = fmaf(x[i] - mean, x[i] - mean, lane[i % LANES]);
	return ref_reduce(lane);
}

void avx2_layer_norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps)
{
	float mean = sum_of(x, n) / (float)n, scale = 1.0f / sqrtf(sum_of_squares(x, n, mean) / (float)n + eps);
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 v = _mm256_sub_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(mean));

		v = _mm256_mul_ps(_mm256_mul_ps(v, _mm256_set1_ps(scale)), _mm256_loadu_ps(w + i));
		_mm256_storeu_ps(y + i, b ? _mm256_add_ps(v, _mm256_loadu_ps(b + i)) : v);
	}
	for (; i < n; i++) {
		float v = ((x[i] - mean) * scale) * w[i];

		y[i] = b ? v + b[i] : v;
	}
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

	for (; i + 8 <= half; i += 8) {
		__m256 x0 = _mm256_loadu_ps(x + i), x1 = _mm256_loadu_ps(x + half + i);
		__m256 c = _mm256_loadu_ps(cos + i), s = _mm256_loadu_ps(sin + i);

		_mm256_storeu_ps(x + i, _mm256_fmsub_ps(x0, c, _mm256_mul_ps(x1, s)));
		_mm256_storeu_ps(x + half + i, _mm256_fmadd_ps(x0, s, _mm256_mul_ps(x1, c)));
	}
	for (; i < half; i++)
		rotate(x + i, x + half + i, cos[i], sin[i]);
}

/* Pairs (2i, 2i + 1): fmaddsub takes off in even lanes and adds in odd ones, which is the rotation. */
INLINE void rope_adjacent(float *x, const float *cos, const float *sin, int half)
{
	int i = 0;

	for (; i + 4 <= half; i += 4) {
		__m128 c = _mm_loadu_ps(cos + i), s = _mm_loadu_ps(sin + i);
		__m256 cs = _mm256_set_m128(_mm_unpackhi_ps(c, s), _mm_unpacklo_ps(c, s)),
		       v = _mm256_loadu_ps(x + 2 * i);
		__m256 cross = _mm256_mul_ps(_mm256_movehdup_ps(v), _mm256_permute_ps(cs, 0xb1));

		_mm256_storeu_ps(x + 2 * i, _mm256_fmaddsub_ps(_mm256_moveldup_ps(v), cs, cross));
	}
	for (; i < half; i++)
		rotate(x + 2 * i, x + 2 * i + 1, cos[i], sin[i]);
}

void avx2_rope(float *x, const float *cos, const float *sin, int n_head, int head_dim, int n_rot, bool neox)
{
	for (int h = 0; h < n_head; h++, x += head_dim) {
		if (neox)
			rope_apart(x, cos, sin, n_rot / 2);
		else
			rope_adjacent(x, cos, sin, n_rot / 2);
	}
}

void avx2_silu_mul(float *y, const float *gate, const float *up, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 g = _mm256_loadu_ps(gate + i);
		__m256 e = vexp(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));
		__m256 v = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e));

		_mm256_storeu_ps(y + i, _mm256_mul_ps(v, _mm256_loadu_ps(up + i)));
	}
	ref_silu_mul(y + i, gate + i, up + i, n - i);
}

INLINE __m256 vgelu(__m256 x)
{
	__m256 t = _mm256_fmadd_ps(_mm256_mul_ps(x, _mm256_set1_ps(GELU_C3)), x, _mm256_set1_ps(GELU_C1));

	t = _mm256_add_ps(_mm256_set1_ps(1.0f), vtanh(_mm256_mul_ps(x, t)));
	return _mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(0.5f), x), t);
}

void avx2_gelu_mul(float *y, const float *gate, const float *up, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 g = vgelu(_mm256_loadu_ps(gate + i));

		_mm256_storeu_ps(y + i, _mm256_mul_ps(g, _mm256_loadu_ps(up + i)));
	}
	ref_gelu_mul(y + i, gate + i, up + i, n - i);
}

void avx2_oai_mul(float *y, const float *gate, const float *up, size_t n)
{
	const __m256 most = _mm256_set1_ps(OAI_LIMIT), one = _mm256_set1_ps(1.0f);
	size_t i = 0;

	for (; i + 8 <= n; i += 8) { /* min and max return their second operand where one is a NaN */
		__m256 g = _mm256_min_ps(most, _mm256_loadu_ps(gate + i));
		__m256 u = _mm256_max_ps(_mm256_set1_ps(-OAI_LIMIT), _mm256_min_ps(most, _mm256_loadu_ps(up + i)));
		__m256 x = _mm256_xor_ps(_mm256_mul_ps(_mm256_set1_ps(OAI_ALPHA), g), _mm256_set1_ps(-0.0f));

		g = _mm256_div_ps(g, _mm256_add_ps(one, vexp(x)));
		_mm256_storeu_ps(y + i, _mm256_mul_ps(g, _mm256_add_ps(u, one)));
	}
	ref_oai_mul(y + i, gate + i, up + i, n - i);
}

void avx2_gelu(float *y, const float *x, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(y + i, vgelu(_mm256_loadu_ps(x + i)));
	ref_gelu(y + i, x + i, n - i);
}

void avx2_relu2(float *y, const float *x, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		/* A NaN as the second operand stays. */
		__m256 v = _mm256_max_ps(_mm256_setzero_ps(), _mm256_loadu_ps(x + i));

		_mm256_storeu_ps(y + i, _mm256_mul_ps(v, v));
	}
	ref_relu2(y + i, x + i, n - i);
}

void avx2_xielu(float *y, const float *x, size_t n, const struct xielu *p)
{
	const __m256 alpha_n = _mm256_set1_ps(p->alpha_n), alpha_p = _mm256_set1_ps(p->alpha_p);
	const __m256 beta = _mm256_set1_ps(p->beta), eps = _mm256_set1_ps(p->eps);
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 v = _mm256_loadu_ps(x + i), by_beta = _mm256_mul_ps(beta, v);
		__m256 e = _mm256_sub_ps(vexpm1(_mm256_min_ps(v, eps)), v);
		__m256 above = _mm256_fmadd_ps(_mm256_mul_ps(alpha_p, v), v, by_beta);
		__m256 is_above = _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GT_OQ);

		_mm256_storeu_ps(y + i, _mm256_blendv_ps(_mm256_fmadd_ps(e, alpha_n, by_beta), above, is_above));
	}
	ref_xielu(y + i, x + i, n - i, p);
}

void avx2_cap(float *y, size_t n, float cap)
{
	__m256 c = _mm256_set1_ps(cap);
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(y + i, _mm256_mul_ps(c, vtanh(_mm256_div_ps(_mm256_loadu_ps(y + i), c))));
	ref_cap(y + i, n - i, cap);
}

void avx2_add(float *y, const float *x, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
	ref_add(y + i, x + i, n - i);
}

float avx2_max(const float *x, size_t n)
{
	__m256 best[4];
	float lane[8], m = -INFINITY;
	size_t i = 0;

	for (int k = 0; k < 4; k++)
		best[k] = _mm256_set1_ps(m);
	/* max returns its second operand when the first is a NaN. */
	for (; i + 32 <= n; i += 32)
		for (size_t k = 0; k < 4; k++)
			best[k] = _mm256_max_ps(_mm256_loadu_ps(x + i + 8 * k), best[k]);
	for (; i + 8 <= n; i += 8)
		best[0] = _mm256_max_ps(_mm256_loadu_ps(x + i), best[0]);
	best[0] = _mm256_max_ps(_mm256_max_ps(best[0], best[1]), _mm256_max_ps(best[2], best[3]));
	_mm256_storeu_ps(lane, best[0]);
	for (int l = 0; l < 8; l++)
		m = lane[l] > m ? lane[l] : m;
	for (; i < n; i++)
		m = x[i] > m ? x[i] : m;
	return m + 0.0f;
}

/* The largest, then where it first stands: to carry places along costs more than a second look at half of x. */
size_t avx2_argmax(const float *x, size_t n)
{
	float m = avx2_max(x, n);
	size_t i = 0;

	if (m == -INFINITY) /* which index is a matter of NaN and -inf order */
		return ref_argmax(x, n);
	for (; i + 8 <= n; i += 8) {
		__m256 here = _mm256_cmp_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(m), _CMP_EQ_OQ);
		int mask = _mm256_movemask_ps(here);

		if (mask)
			return i + (size_t)__builtin_ctz((unsigned)mask);
	}
	while (x[i] != m)
		i++;
	return i;
}

void avx2_exps(float *y, const float *x, size_t n, float scale, float max)
{
	__m256 m = _mm256_set1_ps(max), by = _mm256_set1_ps(scale);
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(y + i, vexp(_mm256_sub_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i), by), m)));
	ref_exps(y + i, x + i, n - i, scale, max);
}

float avx2_sum_exp(const float *x, size_t n, float max)
{
	__m256 sum[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() }, m = _mm256_set1_ps(max);
	float lane[LANES];
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		for (size_t h = 0; h < 2; h++)
			sum[h] = _mm256_add_ps(sum[h], vexp(_mm256_sub_ps(_mm256_loadu_ps(x + i + 8 * h), m)));
	_mm256_storeu_ps(lane, sum[0]);
	_mm256_storeu_ps(lane + 8, sum[1]);
	for (; i < n; i++)
		lane[i % LANES] += ref_exp(x[i] - max);
	return ref_reduce(lane);
}
