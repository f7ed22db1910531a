/* Attention over an f16 KV: lane = position for q.k, lane = d for p.v, as in ref/attn.c; up to GROUP queries use each K and V
 * vector while it is in a register. */
#include "kernels/avx2/attn.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vexp.h"
#include "kernels/ref/reduce.h"

#include <math.h>

void avx2_kv_store_f16(void *kb, void *vb, const float *k, const float *v, int slot, int head_dim)
{
	uint16_t *kg = (uint16_t *)kb + (size_t)(slot / LANES) * (size_t)head_dim * LANES + slot % LANES;
	uint16_t *vr = (uint16_t *)vb + slot * head_dim;

	for (int d = 0; d < head_dim; d += 8) {
		uint16_t half[8];

		_mm_storeu_si128((__m128i *)half, _mm256_cvtps_ph(_mm256_loadu_ps(k + d), _MM_FROUND_TO_NEAREST_INT));
		for (int i = 0; i < 8; i++)
			kg[(d + i) * LANES] = half[i];
		_mm_storeu_si128((__m128i *)(vr + d),
				 _mm256_cvtps_ph(_mm256_loadu_ps(v + d), _MM_FROUND_TO_NEAREST_INT));
	}
}

struct reach avx2_attn_reach(const int32_t *pos, int n, int32_t p0, int32_t p1)
{
	struct reach r = { .common = p1 - p0 };

	for (int i = 0; i < n; i++) {
		int32_t end = p1 < pos[i] + 1 ? p1 : pos[i] + 1;

		r.len[i] = end > p0 ? end - p0 : 0;
		r.longest = r.len[i] > r.longest ? r.len[i] : r.longest;
		r.common = r.len[i] < r.common ? r.len[i] : r.common;
	}
	return r;
}

void avx2_attn_softmax(float *s, int n, float *m, float *l)
{
	__m256 sum[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };
	float lane[LANES], max = -INFINITY;

	for (int p = 0; p < n; p++)
		max = s[p] > max ? s[p] : max;
	for (int i = n; i % LANES; i++)
		s[i] = -INFINITY;
	for (int i = 0; i < n; i += LANES) {
		for (int h = 0; h < 2; h++) {
			__m256 e = vexp(_mm256_sub_ps(_mm256_loadu_ps(s + i + 8 * h), _mm256_set1_ps(max)));

			_mm256_storeu_ps(s + i + 8 * h, e);
			sum[h] = _mm256_add_ps(sum[h], e);
		}
	}
	_mm256_storeu_ps(lane, sum[0]);
	_mm256_storeu_ps(lane + 8, sum[1]);
	*m = max;
	*l = ref_reduce(lane);
}

/* Scores of sixteen positions, the first or second half of their block. */
INLINE void scores16(float *s, const float *q, struct kv_block block, int half, int hd, const int n)
{
	size_t at = (size_t)(half * hd) * 2 * LANES;
	__m256 acc[GROUP][2];

	for (int i = 0; i < n; i++)
		acc[i][0] = acc[i][1] = _mm256_setzero_ps();
	for (int d = 0; d < hd; d++, at += 2 * LANES) {
		__m256 a = load_halfs(block.p + at), b = load_halfs(block.p + at + 16);

		kv_fetch(&block, at);
		for (int i = 0; i < n; i++) {
			__m256 x = _mm256_set1_ps(q[i * HEAD_DIM_MAX + d]);

			acc[i][0] = _mm256_fmadd_ps(x, a, acc[i][0]);
			acc[i][1] = _mm256_fmadd_ps(x, b, acc[i][1]);
		}
	}
	for (int i = 0; i < n; i++) {
		_mm256_storeu_ps(s + i * S_STRIDE, acc[i][0]);
		_mm256_storeu_ps(s + i * S_STRIDE + 8, acc[i][1]);
	}
}

/* o[i][d .. d + 15]; what a query must not see may be anything, and 0 * anything is not always 0. */
INLINE void values16(float *o, const float *s, const struct attn_kv *kv, int32_t p0, int d, const struct reach *r,
		     const int n)
{
	__m256 acc[GROUP][2];
	int hd = kv->head_dim;

	for (int i = 0; i < n; i++)
		acc[i][0] = acc[i][1] = _mm256_setzero_ps();
	for (int p = 0; p < r->longest; p++) {
		struct kv_block block = kv_block_v(kv, p0, p / KV_BLOCK);
		size_t at = (size_t)(p % KV_BLOCK * hd + d) * 2;
		__m256 a = load_halfs(block.p + at), b = load_halfs(block.p + at + 16);

		kv_fetch(&block, at);
		for (int i = 0; i < n; i++) {
			if (p >= r->common && p >= r->len[i])
				continue;
			__m256 e = _mm256_set1_ps(s[i * S_STRIDE + p]);

			acc[i][0] = _mm256_fmadd_ps(e, a, acc[i][0]);
			acc[i][1] = _mm256_fmadd_ps(e, b, acc[i][1]);
		}
	}
	for (int i = 0; i < n; i++) {
		_mm256_storeu_ps(o + i * hd + d, acc[i][0]);
		_mm256_storeu_ps(o + i * hd + d + 8, acc[i][1]);
	}
}

INLINE void group(const int n, float *o, float *m, float *l, const float *const *q, float scale, const int32_t *pos,
		  const struct attn_kv *kv, int32_t p0, int32_t p1, float *s)
{
	struct reach r = avx2_attn_reach(pos, n, p0, p1);
	float x[GROUP * HEAD_DIM_MAX];
	int hd = kv->head_dim;

	for (int i = 0; i < n; i++)
		for (int d = 0; d < hd; d += 8)
			_mm256_storeu_ps(x + i * HEAD_DIM_MAX + d,
					 _mm256_mul_ps(_mm256_loadu_ps(q[i] + d), _mm256_set1_ps(scale)));
	for (int p = 0; p < r.longest; p += LANES)
		scores16(s + p, x, kv_block_k(kv, p0, p / KV_BLOCK), p % KV_BLOCK / LANES, hd, n);
	for (int i = 0; i < n; i++)
		avx2_attn_softmax(s + i * S_STRIDE, r.len[i], &m[i], &l[i]);
	for (int d = 0; d < hd; d += LANES)
		values16(o, s, kv, p0, d, &r, n);
}

void avx2_attn_chunk_f16(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(n_q, group, o + i * kv->head_dim, m + i, l + i, q + i, scale, pos + i, kv, p0, p1, scratch)
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
