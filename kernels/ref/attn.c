/* Attention over a paged f16 KV: the definition. Lane = position for q.k, lane = d for p.v, so nothing is summed across lanes
 * but the softmax denominator. */
#include "kernels/ref/ref.h"

#include "kernels/f16.h"
#include "kernels/ref/exp.h"
#include "kernels/ref/reduce.h"

#include <math.h>

void ref_kv_store(uint16_t *kb, uint16_t *vb, const float *k, const float *v, int slot, int head_dim)
{
	uint16_t *kg = kb + (size_t)(slot / LANES) * (size_t)head_dim * LANES + slot % LANES;

	for (int d = 0; d < head_dim; d++) {
		kg[d * LANES] = f32_to_f16(k[d]);
		vb[slot * head_dim + d] = f32_to_f16(v[d]);
	}
}

static float score(const float *q, const struct attn_kv *kv, int32_t p)
{
	int slot = p % KV_BLOCK;
	const uint16_t *k = kv->k + kv->blocks[p / KV_BLOCK] * kv->block_stride +
			    (size_t)(slot / LANES) * (size_t)kv->head_dim * LANES + slot % LANES;
	float s = 0.0f;

	for (int d = 0; d < kv->head_dim; d++)
		s = fmaf(q[d], f16_to_f32(k[d * LANES]), s);
	return s;
}

void ref_attn_chunk(float *o, float *m, float *l, const float *q, const int32_t *pos, int n_q, const struct attn_kv *kv,
		    int32_t p0, int32_t p1, float *scratch)
{
	int hd = kv->head_dim;

	for (int i = 0; i < n_q; i++, q += hd, o += hd) {
		int32_t end = p1 < pos[i] + 1 ? p1 : pos[i] + 1;
		float lane[LANES] = { 0 }, max = -INFINITY;

		for (int32_t p = p0; p < end; p++) {
			scratch[p - p0] = score(q, kv, p);
			max = scratch[p - p0] > max ? scratch[p - p0] : max;
		}
		for (int d = 0; d < hd; d++)
			o[d] = 0.0f;
		for (int32_t p = p0; p < end; p++) {
			float e = ref_exp(scratch[p - p0] - max);
			const uint16_t *v =
				kv->v + kv->blocks[p / KV_BLOCK] * kv->block_stride + (size_t)(p % KV_BLOCK * hd);

			lane[p % LANES] += e;
			for (int d = 0; d < hd; d++)
				o[d] = fmaf(e, f16_to_f32(v[d]), o[d]);
		}
		m[i] = max;
		l[i] = ref_reduce(lane);
	}
}

void ref_attn_merge(float *y, const float *o, size_t o_stride, const float *m, const float *l, int n_part, int head_dim)
{
	float max = -INFINITY, sum = 0.0f;

	for (int c = 0; c < n_part; c++)
		max = m[c] > max ? m[c] : max;
	for (int d = 0; d < head_dim; d++)
		y[d] = 0.0f;
	for (int c = 0; c < n_part; c++) {
		if (m[c] == -INFINITY)
			continue;
		float w = ref_exp(m[c] - max);

		sum = fmaf(w, l[c], sum);
		for (int d = 0; d < head_dim; d++)
			y[d] = fmaf(w, o[(size_t)c * o_stride + (size_t)d], y[d]);
	}
	for (int d = 0; d < head_dim; d++)
		y[d] /= sum;
}
