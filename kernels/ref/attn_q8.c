/* Attention over a q8_0 KV: the definition. Products are exact integers: of q and K within a block of dimensions, of weights and V
 * within a chunk of positions. */
#include "kernels/ref/ref.h"

#include "kernels/f16.h"

#include <math.h>

#define LEN 32 /* dimensions of a block */

/* Block b of the dimensions: f16 d[KV_BLOCK], then the quants. */
static uint8_t *kv_block(const void *base, int b)
{
	return (uint8_t *)base + (size_t)b * KV_Q8_0_BYTES;
}

static int block_len(int head_dim, int b)
{
	return head_dim - b * LEN < LEN ? head_dim - b * LEN : LEN;
}

static float scale_at(const uint8_t *block, int slot)
{
	return load_f16(block + 2 * slot);
}

static void set_scale(uint8_t *block, int slot, float d)
{
	((uint16_t *)block)[slot] = f32_to_f16(d);
}

/* Where K and V of a block of dimensions hold dimension i of a slot: 4 dimensions, and 4 positions, in adjacent bytes. */
static int k_at(int slot, int i)
{
	return (i / 4 * KV_BLOCK + slot) * 4 + i % 4;
}

static int v_at(int slot, int i)
{
	return (slot / 4 * LEN + i) * 4 + slot % 4;
}

void ref_kv_store_q8_0(void *kb, void *vb, const float *k, const float *v, int slot, int head_dim)
{
	for (int b = 0; b * LEN < head_dim; b++) {
		uint8_t *kd = kv_block(kb, b), *kq = kd + 2 * KV_BLOCK, *vd = kv_block(vb, b), *vq = vd + 2 * KV_BLOCK;
		int len = block_len(head_dim, b);
		int8_t q[LEN];

		set_scale(kd, slot, ref_quantize(q, k + b * LEN, len, KV_Q_MAX));
		for (int i = 0; i < len; i++)
			kq[k_at(slot, i)] = (uint8_t)(q[i] + 128);
		set_scale(vd, slot, ref_quantize(q, v + b * LEN, len, KV_Q_MAX));
		for (int i = 0; i < len; i++)
			vq[v_at(slot, i)] = (uint8_t)(q[i] + 128);
	}
}

struct query {
	float d[HEAD_DIM_MAX / LEN];
	int8_t q[HEAD_DIM_MAX];
};

static float score(const struct query *x, const struct attn_kv *kv, int32_t p)
{
	const uint8_t *k = kv->k + kv->blocks[p / KV_BLOCK] * kv->block_stride;
	int slot = p % KV_BLOCK;
	float s = 0.0f;

	for (int b = 0; b * LEN < kv->head_dim; b++) {
		const uint8_t *kd = kv_block(k, b), *kq = kd + 2 * KV_BLOCK;
		int32_t sum = 0;

		for (int i = 0; i < block_len(kv->head_dim, b); i++)
			sum += x->q[b * LEN + i] * (kq[k_at(slot, i)] - 128);
		s = fmaf(scale_at(kd, slot) * x->d[b], (float)sum, s);
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

/* o[d] of one block of dimensions. A sum stays within ATTN_CHUNK * 32767 * 127 < 2^31. */
static void values(float *o, const float *e, const struct attn_kv *kv, int b, int32_t p0, int32_t end)
{
	int len = block_len(kv->head_dim, b);
	float w[ATTN_CHUNK];
	int32_t sum[LEN] = { 0 };

	for (int32_t p = p0; p < end; p++)
		w[p - p0] = e[p - p0] *
			    scale_at(kv_block(kv->v + kv->blocks[p / KV_BLOCK] * kv->block_stride, b), p % KV_BLOCK);
	float scale = quantize_weights(w, end - p0);
	for (int32_t p = p0; p < end; p++) {
		const uint8_t *vq = kv_block(kv->v + kv->blocks[p / KV_BLOCK] * kv->block_stride, b) + 2 * KV_BLOCK;

		for (int i = 0; i < len; i++)
			sum[i] += (int32_t)w[p - p0] * (vq[v_at(p % KV_BLOCK, i)] - 128);
	}
	for (int i = 0; i < len; i++)
		o[i] = scale * (float)sum[i];
}

void ref_attn_chunk_q8_0(ATTN_CHUNK_ARGS)
{
	int hd = kv->head_dim;

	for (int i = 0; i < n_q; i++, o += hd) {
		int32_t end = p1 < pos[i] + 1 ? p1 : pos[i] + 1;
		float x[HEAD_DIM_MAX];
		struct query xq;

		ref_scale_query(x, q[i], scale, hd);
		for (int b = 0; b * LEN < hd; b++)
			xq.d[b] = ref_quantize(xq.q + b * LEN, x + b * LEN, block_len(hd, b), KV_Q_MAX);
		for (int32_t p = p0; p < end; p++)
			scratch[p - p0] = score(&xq, kv, p);
		ref_softmax(scratch, end - p0, &m[i], &l[i]);
		for (int b = 0; b * LEN < hd; b++)
			values(o + b * LEN, scratch, kv, b, p0, end);
	}
}
