/* Attention over a paged KV: what every type has in common, and f16. Lane = position for q.k, lane = d for p.v, so nothing is summed across lanes
 * but the softmax denominator. */
#include "kernels/ref/ref.h"

#include "kernels/f16.h"
#include "kernels/ref/exp.h"
#include "kernels/ref/reduce.h"
#include "kernels/ref/tanh.h"

#include <math.h>

struct ref_seen ref_attn_seen(const struct attn_tile *tile, int i, int32_t p0)
{
	int32_t first = tile->first[i] > p0 ? tile->first[i] : p0, end = tile->end[i];

	end = end < p0 + ATTN_CHUNK ? end : p0 + ATTN_CHUNK;
	return first < end ? (struct ref_seen){ first - p0, end - p0 } : (struct ref_seen){ 0, 0 };
}

void ref_scale_query(float *y, const float *q, float scale, int dim_k)
{
	for (int d = 0; d < dim_k; d++)
		y[d] = q[d] * scale;
}

void ref_softmax(float *s, struct ref_seen seen, float cap, float *m, float *l)
{
	float lane[LANES] = { 0 }, max = -INFINITY;

	for (int p = seen.first; p < seen.end; p++) {
		s[p] = cap != 0.0f ? cap * ref_tanh(s[p] / cap) : s[p];
		max = s[p] > max ? s[p] : max;
	}
	for (int p = seen.first; p < seen.end; p++) {
		s[p] = ref_exp_or_nan(s[p] - max);
		lane[p % LANES] += s[p];
	}
	*m = max + 0.0f;
	*l = ref_reduce(lane);
}

void ref_kvq_store_f16(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	uint16_t *kg = (uint16_t *)kb + (size_t)(slot / LANES) * (size_t)dim_k * LANES + slot % LANES;
	uint16_t *vr = (uint16_t *)vb + (size_t)slot * (size_t)dim_v;

	for (int d = 0; d < dim_k; d++)
		kg[d * LANES] = f32_to_f16(k[d]);
	for (int d = 0; d < dim_v; d++)
		vr[d] = f32_to_f16(v[d]);
}

static float score(const float *q, const struct attn_kv *kv, int32_t p)
{
	int slot = p % KV_BLOCK;
	const uint16_t *k = (const uint16_t *)(kv->k + kv->blocks[p / KV_BLOCK] * kv->k_stride) +
			    (size_t)(slot / LANES) * (size_t)kv->dim_k * LANES + slot % LANES;
	float s = 0.0f;

	for (int d = 0; d < kv->dim_k; d++)
		s = fmaf(q[d], f16_to_f32(k[d * LANES]), s);
	return s;
}

void ref_attn_chunk_f16(ATTN_CHUNK_ARGS)
{
	for (int i = 0; i < tile->n; i++) {
		struct ref_seen seen = ref_attn_seen(tile, i, p0);
		float x[DIM_K_MAX], *o = to->o + (size_t)i * (size_t)kv->dim_v;

		ref_scale_query(x, tile->q[i], tile->scale, kv->dim_k);
		for (int32_t p = seen.first; p < seen.end; p++)
			scratch[p] = score(x, kv, p0 + p);
		ref_softmax(scratch, seen, tile->cap, &to->m[i], &to->l[i]);
		for (int d = 0; d < kv->dim_v; d++)
			o[d] = 0.0f;
		for (int32_t p = seen.first; p < seen.end; p++) {
			uint32_t block = kv->blocks[(p0 + p) / KV_BLOCK];
			const uint16_t *v = (const uint16_t *)(kv->v + block * kv->v_stride) + p % KV_BLOCK * kv->dim_v;

			for (int d = 0; d < kv->dim_v; d++)
				o[d] = fmaf(scratch[p], f16_to_f32(v[d]), o[d]);
		}
	}
}

void ref_attn_merge(float *y, const float *o, size_t o_stride, const float *m, const float *l, int n_part, int dim_v,
		    float sink)
{
	float max = sink, sum = 0.0f;

	for (int c = 0; c < n_part; c++)
		max = m[c] > max ? m[c] : max;
	for (int d = 0; d < dim_v; d++)
		y[d] = 0.0f;
	for (int c = 0; c < n_part; c++) {
		if (l[c] == 0.0f)
			continue;
		float w = ref_exp(m[c] - max);

		sum = fmaf(w, l[c], sum);
		for (int d = 0; d < dim_v; d++)
			y[d] = fmaf(w, o[(size_t)c * o_stride + (size_t)d], y[d]);
	}
	if (sink != -INFINITY)
		sum += ref_exp(sink - max);
	for (int d = 0; d < dim_v; d++)
		y[d] /= sum;
}
