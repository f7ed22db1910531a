/* Attention over a KV of f16 or f32: lane = position for q.k, lane = d for p.v, as in ref/attn.c; up to GROUP queries use each K and V
 * vector while it is in a register. */
#include "kernels/neon/attn.h"
#include "kernels/neon/neon.h"
#include "kernels/neon/vexp.h"
#include "kernels/neon/vtanh.h"
#include "kernels/ref/reduce.h"

#include <math.h>

void neon_kvq_store_f16(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	uint16_t *kg = (uint16_t *)kb + (size_t)(slot / LANES) * (size_t)dim_k * LANES + slot % LANES;
	uint16_t *vr = (uint16_t *)vb + slot * dim_v;

	for (int d = 0; d < dim_k; d += 4) {
		uint16x4_t half = vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(k + d)));

		vst1_lane_u16(kg + d * LANES, half, 0);
		vst1_lane_u16(kg + (d + 1) * LANES, half, 1);
		vst1_lane_u16(kg + (d + 2) * LANES, half, 2);
		vst1_lane_u16(kg + (d + 3) * LANES, half, 3);
	}
	for (int d = 0; d < dim_v; d += 4)
		vst1_u16(vr + d, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(v + d))));
}

void neon_kvq_store_f32(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	float *kg = (float *)kb + (size_t)(slot / LANES) * (size_t)dim_k * LANES + slot % LANES;

	for (int d = 0; d < dim_k; d++)
		kg[d * LANES] = k[d];
	memcpy((float *)vb + slot * dim_v, v, (size_t)dim_v * sizeof(float));
}

static void zero(float *s, int begin, int end)
{
	for (int p = begin; p < end; p += 4)
		vst1q_f32(s + p, vdupq_n_f32(0));
}

static void cap_scores(float *s, int begin, int end, float cap)
{
	float32x4_t c = vdupq_n_f32(cap);

	for (int p = begin; p < end; p += 4)
		vst1q_f32(s + p, vmulq_f32(c, vtanh(vdivq_f32(vld1q_f32(s + p), c))));
}

/* maxnm prefers a number to the quiet NaN that arithmetic makes. */
static float max_score(const float *s, int begin, int end)
{
	float32x4_t max = vdupq_n_f32(-INFINITY);

	for (int p = begin; p < end; p += 4)
		max = vmaxnmq_f32(vld1q_f32(s + p), max);
	return vmaxvq_f32(max) + 0.0f;
}

void neon_attn_softmax(float *s, const struct attn_reach *r, int i, float cap, float *m, float *l)
{
	int first = r->first[i], end = r->end[i], begin = first / LANES * LANES,
	    stop = (end + LANES - 1) / LANES * LANES;
	float32x4_t sum[PARTS] = { vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0) };
	float lane[LANES];

	if (cap != 0.0f)
		cap_scores(s, begin, stop, cap);
	for (int p = begin; p < first; p++)
		s[p] = -INFINITY;
	for (int p = end; p < stop; p++)
		s[p] = -INFINITY;
	*m = max_score(s, begin, stop);
	for (int p = begin; p < stop; p += LANES)
		for (int k = 0; k < PARTS; k++) {
			float *x = s + p + 4 * k;
			float32x4_t e = vexp_or_nan(vsubq_f32(vld1q_f32(x), vdupq_n_f32(*m)));

			vst1q_f32(x, e);
			sum[k] = vaddq_f32(sum[k], e);
		}
	for (int k = 0; k < PARTS; k++)
		vst1q_f32(lane + 4 * k, sum[k]);
	*l = ref_reduce(lane);
	zero(s, 0, begin);
	zero(s, stop, (r->n + KV_BLOCK - 1) / KV_BLOCK * KV_BLOCK);
}

/* acc[i] += k * lane i of x, for n queries. */
INLINE void add_lanes(float32x4_t acc[GROUP][PARTS], const float32x4_t k[PARTS], float32x4_t x, const int n)
{
	for (int h = 0; h < PARTS; h++) {
		acc[0][h] = vfmaq_laneq_f32(acc[0][h], k[h], x, 0);
		if (n > 1)
			acc[1][h] = vfmaq_laneq_f32(acc[1][h], k[h], x, 1);
		if (n > 2)
			acc[2][h] = vfmaq_laneq_f32(acc[2][h], k[h], x, 2);
		if (n > 3)
			acc[3][h] = vfmaq_laneq_f32(acc[3][h], k[h], x, 3);
	}
}

/* Sixteen numbers of `size` bytes each. */
INLINE void load16(float32x4_t v[PARTS], const uint8_t *p, const size_t size)
{
	for (int h = 0; h < PARTS; h++)
		v[h] = size == 2 ? load_halfs(p + 8 * h) : vld1q_f32((const float *)p + 4 * h);
}

INLINE void zero_sums(float32x4_t acc[GROUP][PARTS], const int n)
{
	for (int i = 0; i < n; i++)
		for (int h = 0; h < PARTS; h++)
			acc[i][h] = vdupq_n_f32(0);
}

INLINE void store_sums(float *to, size_t stride, float32x4_t acc[GROUP][PARTS], const int n)
{
	for (int i = 0; i < n; i++)
		for (int h = 0; h < PARTS; h++)
			vst1q_f32(to + (size_t)i * stride + 4 * h, acc[i][h]);
}

/* Scores of sixteen positions, the first or second half of their block; q[dim][GROUP]. */
INLINE void scores16(float *s, const float *q, struct attn_block block, int half, int dim, const size_t size,
		     const int n)
{
	size_t at = (size_t)(half * dim) * size * LANES;
	float32x4_t acc[GROUP][PARTS];

	zero_sums(acc, n);
	for (int d = 0; d < dim; d++, at += size * LANES) {
		float32x4_t k[PARTS];

		load16(k, block.p + at, size);
		attn_fetch(&block, at);
		add_lanes(acc, k, vld1q_f32(q + GROUP * d), n);
	}
	store_sums(s, ATTN_S_STRIDE, acc, n);
}

/* Adds positions [p, end) of a block. What a query must not see may be anything, and 0 * anything is not always 0. */
INLINE void add_values(float32x4_t acc[GROUP][PARTS], const float *s, const struct attn_block *block, size_t at,
		       size_t row, const struct attn_reach *r, int p, int end, const bool is_all, const size_t size,
		       const int n)
{
	for (; p < end; p++, at += row) {
		float32x4_t v[PARTS];

		load16(v, block->p + at, size);
		attn_fetch(block, at);
		for (int i = 0; i < n; i++) {
			if (!is_all && (p < r->first[i] || p >= r->end[i]))
				continue;
			for (int h = 0; h < PARTS; h++)
				acc[i][h] = vfmaq_n_f32(acc[i][h], v[h], s[i * ATTN_S_STRIDE + p]);
		}
	}
}

/* o[i][d .. d + 15] */
INLINE void values16(float *o, const float *s, const struct attn_kv *kv, int d, const struct attn_reach *r,
		     const size_t size, const int n)
{
	size_t row = (size_t)kv->dim_v * size;
	float32x4_t acc[GROUP][PARTS];

	zero_sums(acc, n);
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
	store_sums(o + d, (size_t)kv->dim_v, acc, n);
}

INLINE void group(const int n, int begin, const struct attn_tile *tile, const struct attn_partial *to,
		  const struct attn_kv *kv, int32_t p0, float *s, const size_t size)
{
	struct attn_reach r = attn_reach(tile, begin, n, p0);
	_Alignas(16) float x[DIM_K_MAX * GROUP];

	for (int d = 0; d < kv->dim_k; d++)
		for (int i = 0; i < GROUP; i++)
			x[GROUP * d + i] = i < n ? tile->q[begin + i][d] * tile->scale : 0.0f;
	for (int p = 0; p < r.n; p += LANES)
		scores16(s + p, x, attn_block_k(kv, r.p0, p / KV_BLOCK), p % KV_BLOCK / LANES, kv->dim_k, size, n);
	for (int i = 0; i < n; i++)
		neon_attn_softmax(s + i * ATTN_S_STRIDE, &r, i, tile->cap, &to->m[begin + i], &to->l[begin + i]);
	for (int d = 0; d < kv->dim_v; d += LANES)
		values16(to->o + begin * kv->dim_v, s, kv, d, &r, size, n);
}

void neon_attn_chunk_f16(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(tile, GROUP, WITH_CONSTANT_4, group, to, kv, p0, scratch, sizeof(uint16_t))
}

void neon_attn_chunk_f32(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(tile, GROUP, WITH_CONSTANT_4, group, to, kv, p0, scratch, sizeof(float))
}

void neon_attn_merge(float *y, const float *o, size_t o_stride, const float *m, const float *l, int n_part, int dim_v,
		     float sink)
{
	float max = sink, sum = 0.0f;

	for (int c = 0; c < n_part; c++)
		max = m[c] > max ? m[c] : max;
	zero(y, 0, dim_v);
	for (int c = 0; c < n_part; c++, o += o_stride) {
		if (l[c] == 0.0f)
			continue;
		float w = ref_exp(m[c] - max);

		sum = fmaf(w, l[c], sum);
		for (int d = 0; d < dim_v; d += 4)
			vst1q_f32(y + d, vfmaq_n_f32(vld1q_f32(y + d), vld1q_f32(o + d), w));
	}
	if (sink != -INFINITY)
		sum += ref_exp(sink - max);
	for (int d = 0; d < dim_v; d += 4)
		vst1q_f32(y + d, vdivq_f32(vld1q_f32(y + d), vdupq_n_f32(sum)));
}
