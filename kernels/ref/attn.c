/* Attention over a paged KV: what every type has in common, and f16. Lane = position for q.k, lane = d for p.v, so nothing is summed across lanes
 * but the softmax denominator. */
#include "kernels/ref/ref.h"

#include "kernels/f16.h"
#include "kernels/ref/exp.h"
#include "kernels/ref/reduce.h"

#include <math.h>

void ref_scale_query(float *y, const float *q, float scale, int head_dim)
{
	for (int d = 0; d < head_dim; d++)
		y[d] = q[d] * scale;
}

void ref_softmax(float *s, int n, float *m, float *l)
{
	float lane[LANES] = { 0 }, max = -INFINITY;

	for (int p = 0; p < n; p++)
		max = s[p] > max ? s[p] : max;
	for (int p = 0; p < n; p++) {
		s[p] = ref_exp(s[p] - max);
		lane[p % LANES] += s[p];
	}
	*m = max;
	*l = ref_reduce(lane);
}

void ref_kv_store_f16(void *kb, void *vb, const float *k, const float *v, int slot, int head_dim)
{
	uint16_t *kg = (uint16_t *)kb + (size_t)(slot / LANES) * (size_t)head_dim * LANES + slot % LANES;
	uint16_t *vr = (uint16_t *)vb + (size_t)slot * (size_t)head_dim;

	for (int d = 0; d < head_dim; d++) {
		kg[d * LANES] = f32_to_f16(k[d]);
		vr[d] = f32_to_f16(v[d]);
	}
}

static float score(const float *q, const struct attn_kv *kv, int32_t p)
{
	int slot = p % KV_BLOCK;
	const uint16_t *k = (const uint16_t *)(kv->k + kv->blocks[p / KV_BLOCK] * kv->block_stride) +
			    (size_t)(slot / LANES) * (size_t)kv->head_dim * LANES + slot % LANES;
	float s = 0.0f;

	for (int d = 0; d < kv->head_dim; d++)
		s = fmaf(q[d], f16_to_f32(k[d * LANES]), s);
	return s;
}

void ref_attn_chunk_f16(ATTN_CHUNK_ARGS)
{
	int hd = kv->head_dim;

	for (int i = 0; i < n_q; i++, o += hd) {
		int32_t end = p1 < pos[i] + 1 ? p1 : pos[i] + 1;
		float x[HEAD_DIM_MAX];

		ref_scale_query(x, q[i], scale, hd);
		for (int32_t p = p0; p < end; p++)
			scratch[p - p0] = score(x, kv, p);
		ref_softmax(scratch, end - p0, &m[i], &l[i]);
		for (int d = 0; d < hd; d++)
			o[d] = 0.0f;
		for (int32_t p = p0; p < end; p++) {
			const uint16_t *v = (const uint16_t *)(kv->v + kv->blocks[p / KV_BLOCK] * kv->block_stride) +
					    p % KV_BLOCK * hd;

			for (int d = 0; d < hd; d++)
				o[d] = fmaf(scratch[p - p0], f16_to_f32(v[d]), o[d]);
		}
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
