/* Attention: lane = position for q.k, lane = d for p.v, as in ref/attn.c. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/exp.h"
#include "kernels/ref/reduce.h"

void avx2_kv_store(uint16_t *kb, uint16_t *vb, const float *k, const float *v, int slot, int head_dim)
{
	uint16_t *kg = kb + (size_t)(slot / LANES) * (size_t)head_dim * LANES + slot % LANES;

	for (int d = 0; d < head_dim; d += 8) {
		uint16_t half[8];

		_mm_storeu_si128((__m128i *)half, _mm256_cvtps_ph(_mm256_loadu_ps(k + d), _MM_FROUND_TO_NEAREST_INT));
		for (int i = 0; i < 8; i++)
			kg[(d + i) * LANES] = half[i];
		_mm_storeu_si128((__m128i *)(vb + slot * head_dim + d),
				 _mm256_cvtps_ph(_mm256_loadu_ps(v + d), _MM_FROUND_TO_NEAREST_INT));
	}
}

/* Scores of positions [p0, end rounded up to 16): what lies past end is never read again. */
static void score(float *s, const float *q, const struct attn_kv *kv, int32_t p0, int32_t end)
{
	for (int32_t p = p0; p < end; p += LANES, s += LANES) {
		const uint16_t *k = kv->k + kv->blocks[p / KV_BLOCK] * kv->block_stride +
				    (size_t)(p % KV_BLOCK) * (size_t)kv->head_dim;
		__m256 a = _mm256_setzero_ps(), b = a;

		for (int d = 0; d < kv->head_dim; d++, k += LANES) {
			__m256 qd = _mm256_set1_ps(q[d]);

			a = _mm256_fmadd_ps(qd, load_halfs((const uint8_t *)k), a);
			b = _mm256_fmadd_ps(qd, load_halfs((const uint8_t *)(k + 8)), b);
		}
		_mm256_storeu_ps(s, a);
		_mm256_storeu_ps(s + 8, b);
	}
}

/* s -> e in place for n positions; returns their sum by lanes. */
static float soften(float *s, int n, float max)
{
	__m256 sum[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() }, m = _mm256_set1_ps(max);
	float lane[LANES];

	for (int i = n; i % LANES; i++)
		s[i] = -INFINITY;
	for (int i = 0; i < n; i += LANES) {
		for (int h = 0; h < 2; h++) {
			__m256 e = exp8(_mm256_sub_ps(_mm256_loadu_ps(s + i + 8 * h), m));

			_mm256_storeu_ps(s + i + 8 * h, e);
			sum[h] = _mm256_add_ps(sum[h], e);
		}
	}
	_mm256_storeu_ps(lane, sum[0]);
	_mm256_storeu_ps(lane + 8, sum[1]);
	return ref_reduce(lane);
}

/* o[d .. d + 8*n_vec) over positions [p0, end). */
INLINE void weigh(const int n_vec, float *o, const float *e, const struct attn_kv *kv, int d, int32_t p0, int32_t end)
{
	__m256 acc[8];

	for (int i = 0; i < n_vec; i++)
		acc[i] = _mm256_setzero_ps();
	for (int32_t p = p0; p < end; p++) {
		const uint16_t *v =
			kv->v + kv->blocks[p / KV_BLOCK] * kv->block_stride + (size_t)(p % KV_BLOCK * kv->head_dim + d);
		__m256 ep = _mm256_set1_ps(e[p - p0]);

		for (int i = 0; i < n_vec; i++)
			acc[i] = _mm256_fmadd_ps(ep, load_halfs((const uint8_t *)(v + 8 * i)), acc[i]);
	}
	for (int i = 0; i < n_vec; i++)
		_mm256_storeu_ps(o + d + 8 * i, acc[i]);
}

void avx2_attn_chunk(float *o, float *m, float *l, const float *q, const int32_t *pos, int n_q,
		     const struct attn_kv *kv, int32_t p0, int32_t p1, float *scratch)
{
	int hd = kv->head_dim;

	for (int i = 0; i < n_q; i++, q += hd, o += hd) {
		int32_t end = p1 < pos[i] + 1 ? p1 : pos[i] + 1;
		float max = -INFINITY;
		int d = 0;

		score(scratch, q, kv, p0, end);
		for (int32_t p = 0; p < end - p0; p++)
			max = scratch[p] > max ? scratch[p] : max;
		m[i] = max;
		l[i] = end > p0 ? soften(scratch, end - p0, max) : 0.0f;
		for (; d + 64 <= hd; d += 64)
			weigh(8, o, scratch, kv, d, p0, end);
		for (; d < hd; d += 16)
			weigh(2, o, scratch, kv, d, p0, end);
	}
}

void avx2_attn_merge(float *y, const float *o, size_t o_stride, const float *m, const float *l, int n_part,
		     int head_dim)
{
	float max = -INFINITY, sum = 0.0f;

	for (int c = 0; c < n_part; c++)
		max = m[c] > max ? m[c] : max;
	for (int d = 0; d < head_dim; d += 8)
		_mm256_storeu_ps(y + d, _mm256_setzero_ps());
	for (int c = 0; c < n_part; c++, o += o_stride) {
		if (m[c] == -INFINITY)
			continue;
		float w = ref_exp(m[c] - max);

		sum = fmaf(w, l[c], sum);
		for (int d = 0; d < head_dim; d += 8)
			_mm256_storeu_ps(y + d, _mm256_fmadd_ps(_mm256_set1_ps(w), _mm256_loadu_ps(o + d),
								_mm256_loadu_ps(y + d)));
	}
	for (int d = 0; d < head_dim; d += 8)
		_mm256_storeu_ps(y + d, _mm256_div_ps(_mm256_loadu_ps(y + d), _mm256_set1_ps(sum)));
}
