/* Attention over a q8_0 KV: the definition. Products are exact integers: of q and K within a block of dimensions, of weights and V
 * within a chunk of positions. */
#include "kernels/ref/ref.h"

#include "kernels/f16.h"
#include "kernels/kvq_q8.h"

#include <math.h>

static float scale_at(const uint8_t *block, int slot)
{
	return load_f16(block + 2 * slot);
}

static uint16_t quantize(uint8_t *q, const float *x, int len)
{
	int8_t quant[KVQ_Q8_LEN];
	float d = ref_quantize(quant, x, len, KVQ_Q_MAX);

	for (int i = 0; i < len; i++)
		q[i] = (uint8_t)(quant[i] + 128);
	return f32_to_f16(d);
}

void ref_kvq_store_q8_0(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	kvq_q8_store(kb, vb, k, v, slot, dim_k, dim_v, quantize);
}

struct query {
	float d[KVQ_Q8_BLOCKS(DIM_K_MAX)];
	int8_t q[DIM_K_MAX];
};

static void quantize_query(struct query *x, const float *q, float scale, int dim_k)
{
	float y[DIM_K_MAX];

	ref_scale_query(y, q, scale, dim_k);
	for (int d = 0; d < dim_k; d += KVQ_Q8_LEN)
		x->d[d / KVQ_Q8_LEN] = ref_quantize(x->q + d, y + d, kvq_q8_len(dim_k, d), KVQ_Q_MAX);
}

static float score(const struct query *x, const struct attn_kv *kv, int32_t p)
{
	const uint8_t *k = kv->k + kv->blocks[p / KV_BLOCK] * kv->k_stride;
	int slot = p % KV_BLOCK;
	float s = 0.0f;

	for (int d = 0; d < kv->dim_k; d += KVQ_Q8_LEN, k += KVQ_Q8_BYTES) {
		int32_t sum = 0;

		for (int i = 0; i < kvq_q8_len(kv->dim_k, d); i++)
			sum += x->q[d + i] * (k[KVQ_Q8_QUANTS + kvq_q8_k_at((size_t)slot, (size_t)i)] - 128);
		s = fmaf(scale_at(k, slot) * x->d[d / KVQ_Q8_LEN], (float)sum, s);
	}
	return s;
}

/* w[n] -> their quants, as floats; returns the scale. The clamp is for NaN and infinity, which must only be harmless. */
static float quantize_weights(float *w, int n)
{
	float max = 0.0f;

	for (int i = 0; i < n; i++)
		max = w[i] > max ? w[i] : max; /* a NaN never wins */
	float inv = max > ATTN_WEIGHT_MIN ? ATTN_WEIGHT_MAX / max : 0.0f;
	for (int i = 0; i < n; i++) {
		float v = rintf(w[i] * inv);
		w[i] = v >= 0.0f ? (v <= ATTN_WEIGHT_MAX ? v : ATTN_WEIGHT_MAX) : 0.0f;
	}
	return max / ATTN_WEIGHT_MAX;
}

/* V of a position, from dimension d on. */
static const uint8_t *value_at(const struct attn_kv *kv, int32_t p, int d)
{
	return kv->v + kv->blocks[p / KV_BLOCK] * kv->v_stride + (size_t)(d / KVQ_Q8_LEN) * KVQ_Q8_BYTES;
}

/* o[d ..] of one block of dimensions. A sum stays within ATTN_CHUNK * 32767 * 127 < 2^31. */
static void values(float *o, const float *e, const struct attn_kv *kv, int d, int32_t p0, struct ref_seen seen)
{
	int len = kvq_q8_len(kv->dim_v, d);
	float w[ATTN_CHUNK];
	int32_t sum[KVQ_Q8_LEN] = { 0 };

	for (int32_t p = seen.first; p < seen.end; p++)
		w[p] = e[p] * scale_at(value_at(kv, p0 + p, d), p % KV_BLOCK);
	float scale = quantize_weights(w + seen.first, seen.end - seen.first);
	for (int32_t p = seen.first; p < seen.end; p++) {
		const uint8_t *v = value_at(kv, p0 + p, d) + KVQ_Q8_QUANTS;

		for (int i = 0; i < len; i++)
			sum[i] += (int32_t)w[p] * (v[kvq_q8_v_at((size_t)p % KV_BLOCK, (size_t)i)] - 128);
	}
	for (int i = 0; i < len; i++)
		o[d + i] = scale * (float)sum[i];
}

void ref_attn_chunk_q8_0(ATTN_CHUNK_ARGS)
{
	for (int i = 0; i < tile->n; i++) {
		struct ref_seen seen = ref_attn_seen(tile, i, p0);
		struct query x;

		quantize_query(&x, tile->q[i], tile->scale, kv->dim_k);
		for (int32_t p = seen.first; p < seen.end; p++)
			scratch[p] = score(&x, kv, p0 + p);
		ref_softmax(scratch, seen, tile->cap, &to->m[i], &to->l[i]);
		for (int d = 0; d < kv->dim_v; d += KVQ_Q8_LEN)
			values(to->o + (size_t)i * (size_t)kv->dim_v, scratch, kv, d, p0, seen);
	}
}
