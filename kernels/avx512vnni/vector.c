/* Element-wise operations and 16-lane reductions. */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/simd.h"
#include "kernels/avx512vnni/vexp.h"
#include "kernels/avx512vnni/vtanh.h"

#include <math.h>

static inline __mmask16 tail(size_t left)
{
	return left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
}

float avx512vnni_sum_squares(const float *x, size_t n)
{
	__m512 sum = _mm512_setzero_ps();

	for (size_t i = 0; i < n; i += 16) {
		__m512 v = _mm512_maskz_loadu_ps(tail(n - i), x + i);

		sum = _mm512_fmadd_ps(v, v, sum);
	}
	return vreduce(sum);
}

void avx512vnni_mul_scaled(float *y, const float *x, const float *w, size_t n, float by)
{
	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = tail(n - i);
		__m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(k, x + i), _mm512_set1_ps(by));

		_mm512_mask_storeu_ps(y + i, k, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(k, w + i)));
	}
}

void avx512vnni_rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
	avx512vnni_mul_scaled(y, x, w, n, 1.0f / sqrtf(avx512vnni_sum_squares(x, n) / (float)n + eps));
}

void avx512vnni_layer_norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps)
{
	__m512 sum = _mm512_setzero_ps(), square = _mm512_setzero_ps();

	for (size_t i = 0; i < n; i += 16)
		sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(tail(n - i), x + i));
	__m512 mean = _mm512_set1_ps(vreduce(sum) / (float)n);

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = tail(n - i);
		__m512 d = _mm512_maskz_sub_ps(k, _mm512_maskz_loadu_ps(k, x + i), mean);

		square = _mm512_fmadd_ps(d, d, square);
	}
	__m512 scale = _mm512_set1_ps(1.0f / sqrtf(vreduce(square) / (float)n + eps));

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = tail(n - i);
		__m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(k, x + i), mean), scale);

		v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(k, w + i));
		_mm512_mask_storeu_ps(y + i, k, b ? _mm512_add_ps(v, _mm512_maskz_loadu_ps(k, b + i)) : v);
	}
}

void avx512vnni_silu_mul(float *y, const float *gate, const float *up, size_t n)
{
	const __m512 sign = _mm512_set1_ps(-0.0f), one = _mm512_set1_ps(1.0f);

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = tail(n - i);
		__m512 g = _mm512_maskz_loadu_ps(k, gate + i);
		__m512 s = _mm512_div_ps(g, _mm512_add_ps(one, vexp(_mm512_xor_ps(g, sign))));

		_mm512_mask_storeu_ps(y + i, k, _mm512_mul_ps(s, _mm512_maskz_loadu_ps(k, up + i)));
	}
}

INLINE __m512 vgelu(__m512 x)
{
	__m512 t = _mm512_fmadd_ps(_mm512_mul_ps(x, _mm512_set1_ps(GELU_C3)), x, _mm512_set1_ps(GELU_C1));

	t = _mm512_add_ps(_mm512_set1_ps(1.0f), vtanh(_mm512_mul_ps(x, t)));
	return _mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(0.5f), x), t);
}

void avx512vnni_gelu_mul(float *y, const float *gate, const float *up, size_t n)
{
	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = tail(n - i);
		__m512 g = vgelu(_mm512_maskz_loadu_ps(k, gate + i));

		_mm512_mask_storeu_ps(y + i, k, _mm512_mul_ps(g, _mm512_maskz_loadu_ps(k, up + i)));
	}
}

void avx512vnni_gelu(float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = tail(n - i);

		_mm512_mask_storeu_ps(y + i, k, vgelu(_mm512_maskz_loadu_ps(k, x + i)));
	}
}

void avx512vnni_relu2(float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = tail(n - i);
		/* A NaN as the second operand stays. */
		__m512 v = _mm512_max_ps(_mm512_setzero_ps(), _mm512_maskz_loadu_ps(k, x + i));

		_mm512_mask_storeu_ps(y + i, k, _mm512_mul_ps(v, v));
	}
}

void avx512vnni_xielu(float *y, const float *x, size_t n, const struct xielu *p)
{
	const __m512 alpha_n = _mm512_set1_ps(p->alpha_n), alpha_p = _mm512_set1_ps(p->alpha_p);
	const __m512 beta = _mm512_set1_ps(p->beta), eps = _mm512_set1_ps(p->eps);

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = tail(n - i);
		__m512 v = _mm512_maskz_loadu_ps(k, x + i), by_beta = _mm512_mul_ps(beta, v);
		__m512 e = _mm512_sub_ps(vexpm1(_mm512_min_ps(v, eps)), v);
		__m512 above = _mm512_fmadd_ps(_mm512_mul_ps(alpha_p, v), v, by_beta);
		__mmask16 is_above = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ);

		v = _mm512_mask_blend_ps(is_above, _mm512_fmadd_ps(e, alpha_n, by_beta), above);
		_mm512_mask_storeu_ps(y + i, k, v);
	}
}

void avx512vnni_oai_mul(float *y, const float *gate, const float *up, size_t n)
{
	const __m512 most = _mm512_set1_ps(OAI_LIMIT), one = _mm512_set1_ps(1.0f);

	for (size_t i = 0; i < n; i += 16) { /* min and max return their second operand where one is a NaN */
		__mmask16 k = tail(n - i);
		__m512 g = _mm512_min_ps(most, _mm512_maskz_loadu_ps(k, gate + i));
		__m512 u = _mm512_min_ps(most, _mm512_maskz_loadu_ps(k, up + i));
		__m512 x = _mm512_xor_ps(_mm512_mul_ps(_mm512_set1_ps(OAI_ALPHA), g), _mm512_set1_ps(-0.0f));

		u = _mm512_max_ps(_mm512_set1_ps(-OAI_LIMIT), u);
		g = _mm512_div_ps(g, _mm512_add_ps(one, vexp(x)));
		_mm512_mask_storeu_ps(y + i, k, _mm512_mul_ps(g, _mm512_add_ps(u, one)));
	}
}

void avx512vnni_cap(float *y, size_t n, float cap)
{
	__m512 c = _mm512_set1_ps(cap);

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = tail(n - i);
		__m512 x = _mm512_div_ps(_mm512_maskz_loadu_ps(k, y + i), c);

		_mm512_mask_storeu_ps(y + i, k, _mm512_mul_ps(c, vtanh(x)));
	}
}

void avx512vnni_add(float *y, const float *x, size_t n)
{
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		_mm512_storeu_ps(y + i, _mm512_add_ps(_mm512_loadu_ps(y + i), _mm512_loadu_ps(x + i)));
	if (i < n) {
		__mmask16 k = tail(n - i);

		_mm512_mask_storeu_ps(y + i, k,
				      _mm512_add_ps(_mm512_maskz_loadu_ps(k, y + i), _mm512_maskz_loadu_ps(k, x + i)));
	}
}

float avx512vnni_max(const float *x, size_t n)
{
	__m512 best[4];
	size_t i = 0;

	for (int k = 0; k < 4; k++)
		best[k] = _mm512_set1_ps(-INFINITY);
	/* max returns its second operand when the first is a NaN. */
	for (; i + 64 <= n; i += 64)
		for (int k = 0; k < 4; k++)
			best[k] = _mm512_max_ps(_mm512_loadu_ps(x + i + 16 * k), best[k]);
	for (; i < n; i += 16)
		best[0] = _mm512_max_ps(_mm512_mask_loadu_ps(best[0], tail(n - i), x + i), best[0]);
	best[0] = _mm512_max_ps(_mm512_max_ps(best[0], best[1]), _mm512_max_ps(best[2], best[3]));
	return _mm512_reduce_max_ps(best[0]) + 0.0f;
}

/* The largest, then where it first stands: to carry places along costs more than a second look at half of x. */
size_t avx512vnni_argmax(const float *x, size_t n)
{
	float m = avx512vnni_max(x, n);

	if (m == -INFINITY) /* which index is a matter of NaN and -inf order */
		return ref_argmax(x, n);
	for (size_t i = 0;; i += 16) {
		__m512 v = _mm512_maskz_loadu_ps(tail(n - i), x + i);
		__mmask16 here = _mm512_mask_cmp_ps_mask(tail(n - i), v, _mm512_set1_ps(m), _CMP_EQ_OQ);

		if (here)
			return i + (size_t)__builtin_ctz(here);
	}
}

void avx512vnni_exps(float *y, const float *x, size_t n, float scale, float max)
{
	const __m512 m = _mm512_set1_ps(max), by = _mm512_set1_ps(scale);

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = tail(n - i);
		__m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(k, x + i), by);

		_mm512_mask_storeu_ps(y + i, k, vexp(_mm512_sub_ps(v, m)));
	}
}

float avx512vnni_sum_exp(const float *x, size_t n, float max)
{
	const __m512 m = _mm512_set1_ps(max);
	__m512 sum = _mm512_setzero_ps();

	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		sum = _mm512_add_ps(sum, vexp(_mm512_sub_ps(_mm512_loadu_ps(x + i), m)));
	if (i < n) {
		__mmask16 k = tail(n - i);
		__m512 e = vexp(_mm512_sub_ps(_mm512_maskz_loadu_ps(k, x + i), m));

		sum = _mm512_mask_add_ps(sum, k, sum, e);
	}
	return vreduce(sum);
}
