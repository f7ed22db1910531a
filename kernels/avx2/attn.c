/* Attention over a KV of f16 or f32: lane = position for q.k, lane = d for p.v, as in ref/attn.c; up to GROUP queries use each K and V
 * vector while it is in a register. */
#include "kernels/avx2/attn.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vexp.h"
#include "kernels/avx2/vtanh.h"
#include "kernels/ref/reduce.h"

#include <math.h>

INLINE __m128i to_halfs(const float *x)
{
	return _mm256_cvtps_ph(_mm256_loadu_ps(x), _MM_FROUND_TO_NEAREST_INT);
}

void avx2_kvq_store_f16(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	uint16_t *kg = (uint16_t *)kb + (size_t)(slot / LANES) * (size_t)dim_k * LANES + slot % LANES;
	uint16_t *vr = (uint16_t *)vb + slot * dim_v;

	for (int d = 0; d < dim_k; d += 8) {
		uint16_t half[8];

		_mm_storeu_si128((__m128i *)half, to_halfs(k + d));
		for (int i = 0; i < 8; i++)
			kg[(d + i) * LANES] = half[i];
	}
	for (int d = 0; d < dim_v; d += 8)
		_mm_storeu_si128((__m128i *)(vr + d), to_halfs(v + d));
}

void avx2_kvq_store_f32(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	float *kg = (float *)kb + (size_t)(slot / LANES) * (size_t)dim_k * LANES + slot % LANES;

	for (int d = 0; d < dim_k; d++)
		kg[d * LANES] = k[d];
	memcpy((float *)vb + slot * dim_v, v, (size_t)dim_v * sizeof(float));
}

static void zero(float *s, int begin, int end)
{
	for (int p = begin; p < end; p += 8)
		_mm256_storeu_ps(s + p, _mm256_setzero_ps());
}

static void cap_scores(float *s, int begin, int end, float cap)
{
	__m256 c = _mm256_set1_ps(cap);

	for (int p = begin; p < end; p += 8)
		_mm256_storeu_ps(s + p, _mm256_mul_ps(c, vtanh(_mm256_div_ps(_mm256_loadu_ps(s + p), c))));
}

/* A NaN as the first operand of max loses. */
static float max_score(const float *s, int begin, int end)
{
	__m256 max = _mm256_set1_ps(-INFINITY);

	for (int p = begin; p < end; p += 8)
		max = _mm256_max_ps(_mm256_loadu_ps(s + p), max);
	__m128 m = _mm_max_ps(_mm256_castps256_ps128(max), _mm256_extractf128_ps(max, 1));

	m = _mm_max_ps(m, _mm_movehl_ps(m, m));
	return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m))) + 0.0f;
}

void avx2_attn_softmax(float *s, const struct attn_reach *r, int i, float cap, float *m, float *l)
{
	int first = r->first[i], end = r->end[i], begin = first / LANES * LANES,
	    stop = (end + LANES - 1) / LANES * LANES;
	__m256 sum[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };
	float lane[LANES];

	if (cap != 0.0f)
		cap_scores(s, begin, stop, cap);
	for (int p = begin; p < first; p++)
		s[p] = -INFINITY;
	for (int p = end; p < stop; p++)
		s[p] = -INFINITY;
	*m = max_score(s, begin, stop);
	for (int p = begin; p < stop; p += LANES)
		for (int h = 0; h < 2; h++) {
			float *x = s + p + 8 * h;
			__m256 e = vexp_or_nan(_mm256_sub_ps(_mm256_loadu_ps(x), _mm256_set1_ps(*m)));

			_mm256_storeu_ps(x, e);
			sum[h] = _mm256_add_ps(sum[h], e);
		}
	_mm256_storeu_ps(lane, sum[0]);
	_mm256_storeu_ps(lane + 8, sum[1]);
	*l = ref_reduce(lane);
	zero(s, 0, begin);
	zero(s, stop, (r->n + KV_BLOCK - 1) / KV_BLOCK * KV_BLOCK);
}

/* Eight numbers of `size` bytes each. */
INLINE __m256 load8(const uint8_t *p, const size_t size)
{
	return size == 2 ? load_halfs(p) : _mm256_loadu_ps((const float *)p);
}

/* Scores of sixteen positions, the first or second half of their block. */
INLINE void scores16(float *s, const float *q, struct attn_block block, int half, int dim, const size_t size,
		     const int n)
{
	size_t at = (size_t)(half * dim) * size * LANES;
	__m256 acc[GROUP][2];

	for (int i = 0; i < n; i++)
		acc[i][0] = acc[i][1] = _mm256_setzero_ps();
	for (int d = 0; d < dim; d++, at += size * LANES) {
		__m256 a = load8(block.p + at, size), b = load8(block.p + at + 8 * size, size);

		attn_fetch(&block, at);
		for (int i = 0; i < n; i++) {
			__m256 x = _mm256_set1_ps(q[i * DIM_K_MAX + d]);

			acc[i][0] = _mm256_fmadd_ps(x, a, acc[i][0]);
			acc[i][1] = _mm256_fmadd_ps(x, b, acc[i][1]);
		}
	}
	for (int i = 0; i < n; i++) {
		_mm256_storeu_ps(s + i * ATTN_S_STRIDE, acc[i][0]);
		_mm256_storeu_ps(s + i * ATTN_S_STRIDE + 8, acc[i][1]);
	}
}

/* Adds positions [p, end) of a block. What a query must not see may be anything, and 0 * anything is not always 0. */
INLINE void add_values(__m256 acc[GROUP][2], const float *s, const struct attn_block *block, size_t at, size_t row,
		       const struct attn_reach *r, int p, int end, const bool is_all, const size_t size, const int n)
{
	for (; p < end; p++, at += row) {
		__m256 a = load8(block->p + at, size), b = load8(block->p + at + 8 * size, size);

		attn_fetch(block, at);
		for (int i = 0; i < n; i++) {
			if (!is_all && (p < r->first[i] || p >= r->end[i]))
				continue;
			__m256 e = _mm256_set1_ps(s[i * ATTN_S_STRIDE + p]);

			acc[i][0] = _mm256_fmadd_ps(e, a, acc[i][0]);
			acc[i][1] = _mm256_fmadd_ps(e, b, acc[i][1]);
		}
	}
}

/* o[i][d .. d + 15] */
INLINE void values16(float *o, const float *s, const struct attn_kv *kv, int d, const struct attn_reach *r,
		     const size_t size, const int n)
{
	size_t row = (size_t)kv->dim_v * size;
	__m256 acc[GROUP][2];

	for (int i = 0; i < n; i++)
		acc[i][0] = acc[i][1] = _mm256_setzero_ps();
	for (int p = 0, end; p < r->n; p = end) {
		struct attn_block block = attn_block_v(kv, r->p0, p / KV_BLOCK);
		int stop = (p / KV_BLOCK + 1) * KV_BLOCK;
		size_t at = (size_t)(p % KV_BLOCK) * row + (size_t)d * size;
		bool is_all;

		end = attn_reach_run(r, p, stop < r->n ? stop : r->n, &is_all);
		if (is_all)
			add_values(acc, s, &block, at, row, r, p, end, true, size, n);
		else
			add_values(acc, s, &block, at, row, r, p, end, false, size, n);
	}
	for (int i = 0; i < n; i++) {
		_mm256_storeu_ps(o + i * kv->dim_v + d, acc[i][0]);
		_mm256_storeu_ps(o + i * kv->dim_v + d + 8, acc[i][1]);
	}
}

INLINE void group(const int n, int begin, const struct attn_tile *tile, const struct attn_partial *to,
		  const struct attn_kv *kv, int32_t p0, float *s, const size_t size)
{
	struct attn_reach r = attn_reach(tile, begin, n, p0);
	__m256 scale = _mm256_set1_ps(tile->scale);
	float x[GROUP * DIM_K_MAX];

	for (int i = 0; i < n; i++)
		for (int d = 0; d < kv->dim_k; d += 8)
			_mm256_storeu_ps(x + i * DIM_K_MAX + d,
					 _mm256_mul_ps(_mm256_loadu_ps(tile->q[begin + i] + d), scale));
	for (int p = 0; p < r.n; p += LANES)
		scores16(s + p, x, attn_block_k(kv, r.p0, p / KV_BLOCK), p % KV_BLOCK / LANES, kv->dim_k, size, n);
	for (int i = 0; i < n; i++)
		avx2_attn_softmax(s + i * ATTN_S_STRIDE, &r, i, tile->cap, &to->m[begin + i], &to->l[begin + i]);
	for (int d = 0; d < kv->dim_v; d += LANES)
		values16(to->o + begin * kv->dim_v, s, kv, d, &r, size, n);
}

void avx2_attn_chunk_f16(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(tile, GROUP, WITH_CONSTANT_4, group, to, kv, p0, scratch, sizeof(uint16_t))
}

void avx2_attn_chunk_f32(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(tile, GROUP, WITH_CONSTANT_4, group, to, kv, p0, scratch, sizeof(float))
}

void avx2_attn_merge(float *y, const float *o, size_t o_stride, const float *m, const float *l, int n_part, int dim_v,
		     float sink)
{
	float max = sink, sum = 0.0f;

	for (int c = 0; c < n_part; c++)
		max = m[c] > max ? m[c] : max;
	for (int d = 0; d < dim_v; d += 8)
		_mm256_storeu_ps(y + d, _mm256_setzero_ps());
	for (int c = 0; c < n_part; c++, o += o_stride) {
		if (l[c] == 0.0f)
			continue;
		float w = ref_exp(m[c] - max);

		sum = fmaf(w, l[c], sum);
		for (int d = 0; d < dim_v; d += 8)
			_mm256_storeu_ps(y + d, _mm256_fmadd_ps(_mm256_set1_ps(w), _mm256_loadu_ps(o + d),
								_mm256_loadu_ps(y + d)));
	}
	if (sink != -INFINITY)
		sum += ref_exp(sink - max);
	for (int d = 0; d < dim_v; d += 8)
		_mm256_storeu_ps(y + d, _mm256_div_ps(_mm256_loadu_ps(y + d), _mm256_set1_ps(sum)));
}
