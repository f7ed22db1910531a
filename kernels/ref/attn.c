/* Attention over a paged KV: what every type has in common, f16 and f32. Lane = position for q.k, lane = d for p.v, so nothing is summed across lanes
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

/* Element i of what is stored. */
typedef float get_fn(const void *p, size_t i);
typedef void put_fn(void *p, size_t i, float x);

static float get_f16(const void *p, size_t i)
{
	return f16_to_f32(((const uint16_t *)p)[i]);
}

static float get_f32(const void *p, size_t i)
{
	return ((const float *)p)[i];
}

static void put_f16(void *p, size_t i, float x)
{
	((uint16_t *)p)[i] = f32_to_f16(x);
}

static void put_f32(void *p, size_t i, float x)
{
	((float *)p)[i] = x;
}

/* Where dimension d of a slot's K is. */
static size_t k_at(int slot, int d, int dim_k)
{
	return ((size_t)(slot / LANES) * (size_t)dim_k + (size_t)d) * LANES + (size_t)(slot % LANES);
}

static void store(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v, put_fn *put)
{
	for (int d = 0; d < dim_k; d++)
		put(kb, k_at(slot, d, dim_k), k[d]);
	for (int d = 0; d < dim_v; d++)
		put(vb, (size_t)slot * (size_t)dim_v + (size_t)d, v[d]);
}

void ref_kvq_store_f16(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	store(kb, vb, k, v, slot, dim_k, dim_v, put_f16);
}

void ref_kvq_store_f32(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	store(kb, vb, k, v, slot, dim_k, dim_v, put_f32);
}

static float score(const float *q, const struct attn_kv *kv, int32_t p, get_fn *get)
{
	const uint8_t *k = kv->k + kv->blocks[p / KV_BLOCK] * kv->k_stride;
	float s = 0.0f;

	for (int d = 0; d < kv->dim_k; d++)
		s = fmaf(q[d], get(k, k_at(p % KV_BLOCK, d, kv->dim_k)), s);
	return s;
}

/* o[dim_v] = the sum of V by weights e[]. */
static void weigh(float *o, const struct attn_kv *kv, int32_t p0, struct ref_seen seen, const float *e, get_fn *get)
{
	for (int d = 0; d < kv->dim_v; d++)
		o[d] = 0.0f;
	for (int32_t p = seen.first; p < seen.end; p++) {
		const uint8_t *v = kv->v + kv->blocks[(p0 + p) / KV_BLOCK] * kv->v_stride;

		for (int d = 0; d < kv->dim_v; d++)
			o[d] = fmaf(e[p], get(v, (size_t)(p % KV_BLOCK * kv->dim_v + d)), o[d]);
	}
}

static void attend(const struct attn_partial *to, const struct attn_tile *tile, const struct attn_kv *kv, int32_t p0,
		   float *scratch, get_fn *get)
{
	for (int i = 0; i < tile->n; i++) {
		struct ref_seen seen = ref_attn_seen(tile, i, p0);
		float x[DIM_K_MAX];

		ref_scale_query(x, tile->q[i], tile->scale, kv->dim_k);
		for (int32_t p = seen.first; p < seen.end; p++)
			scratch[p] = score(x, kv, p0 + p, get);
		ref_softmax(scratch, seen, tile->cap, &to->m[i], &to->l[i]);
		weigh(to->o + (size_t)i * (size_t)kv->dim_v, kv, p0, seen, scratch, get);
	}
}

void ref_attn_chunk_f16(ATTN_CHUNK_ARGS)
{
	attend(to, tile, kv, p0, scratch, get_f16);
}

void ref_attn_chunk_f32(ATTN_CHUNK_ARGS)
{
	attend(to, tile, kv, p0, scratch, get_f32);
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
