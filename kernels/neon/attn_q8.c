/*
 * Attention over a q8_0 KV. q.k: K's bytes less 128 times the queries', by sdot, a query a lane. p.v: a weight of 15 bits is two bytes and
 * V's bytes stay unsigned, so udot sums each half's products; 256 * high + low - 128 * (sum of weights) modulo 2^32 is the
 * sum that ref/ has, which fits an int32.
 */
#include "kernels/kvq_q8.h"
#include "kernels/neon/attn.h"
#include "kernels/neon/neon.h"
#include "kernels/neon/quantize.h"

#define LEN KVQ_Q8_LEN
/* Vectors of the eight dimensions that p.v does at a time: with both bytes of four queries sixteen sums. */
#define HALF 2

/* Four dimensions of each query in turn. */
struct queries {
	_Alignas(16) int8_t q[DIM_K_MAX / 4][GROUP][4];
	float d[GROUP][KVQ_Q8_BLOCKS(DIM_K_MAX)];
};

/* y[len] -> q[32], zeros behind them; returns the scale. */
INLINE float quantize_part(int8_t *q, const float *y, int len)
{
	float amax = len == LEN ? amax_of(y, LEN) : amax_of(y, LEN / 2), id = inverse(amax, KVQ_Q_MAX);

	vst1q_s8(q, quantize16(y, id, KVQ_Q_MAX));
	vst1q_s8(q + 16, len == LEN ? quantize16(y + 16, id, KVQ_Q_MAX) : vdupq_n_s8(0));
	return amax / KVQ_Q_MAX;
}

INLINE uint16_t quantize(uint8_t *q, const float *x, int len)
{
	int8_t v[LEN];
	float d = quantize_part(v, x, len);

	for (int i = 0; i < LEN; i += 16)
		vst1q_u8(q + i, veorq_u8(vreinterpretq_u8_s8(vld1q_s8(v + i)), vdupq_n_u8(0x80)));
	return vget_lane_u16(vreinterpret_u16_f16(vcvt_f16_f32(vdupq_n_f32(d))), 0);
}

void neon_kvq_store_q8_0(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	kvq_q8_store(kb, vb, k, v, slot, dim_k, dim_v, quantize);
}

static void quantize_queries(struct queries *x, const float *const *q, float scale, int n, int dim_k)
{
	for (int i = 0; i < n; i++)
		for (int d = 0; d < dim_k; d += LEN) {
			int len = kvq_q8_len(dim_k, d);
			int8_t v[LEN];
			float y[LEN];

			for (int k = 0; k < len; k += 4)
				vst1q_f32(y + k, vmulq_n_f32(vld1q_f32(q[i] + d + k), scale));
			x->d[i][d / LEN] = quantize_part(v, y, len);
			for (int k = 0; k < len; k += 4)
				memcpy(x->q[(d + k) / 4][i], v + k, 4);
		}
}

/* sum[i] += four positions' k . lane i of x, for n queries. */
INLINE void dot_queries(int32x4_t sum[GROUP], int8x16_t k, int8x16_t x, const int n)
{
	sum[0] = vdotq_laneq_s32(sum[0], k, x, 0);
	if (n > 1)
		sum[1] = vdotq_laneq_s32(sum[1], k, x, 1);
	if (n > 2)
		sum[2] = vdotq_laneq_s32(sum[2], k, x, 2);
	if (n > 3)
		sum[3] = vdotq_laneq_s32(sum[3], k, x, 3);
}

/* Adds a block of dimensions, the b-th, to the scores of sixteen positions. */
INLINE void add_scores(float32x4_t acc[PARTS][GROUP], const struct queries *x, const struct attn_block *block, int b,
		       int len, int lane, const int n)
{
	const uint8_t *scales = block->p + (size_t)b * KVQ_Q8_BYTES + 2 * lane;
	size_t at = (size_t)b * KVQ_Q8_BYTES + KVQ_Q8_QUANTS + (size_t)lane * 4;
	int32x4_t sum[PARTS][GROUP];

	for (int h = 0; h < PARTS; h++)
		for (int i = 0; i < n; i++)
			sum[h][i] = vdupq_n_s32(0);
	for (int d = 0; d < len; d += 4, at += 4 * KV_BLOCK) {
		int8x16_t q = vld1q_s8(x->q[(b * LEN + d) / 4][0]);

		attn_fetch_soon(block, at);
		for (int h = 0; h < PARTS; h++) {
			uint8x16_t k = veorq_u8(vld1q_u8(block->p + at + 16 * h), vdupq_n_u8(0x80));

			dot_queries(sum[h], vreinterpretq_s8_u8(k), q, n);
		}
	}
	for (int h = 0; h < PARTS; h++) {
		float32x4_t kd = load_halfs(scales + 8 * h);

		for (int i = 0; i < n; i++)
			acc[h][i] = vfmaq_f32(acc[h][i], vmulq_n_f32(kd, x->d[i][b]), vcvtq_f32_s32(sum[h][i]));
	}
}

/* Scores of sixteen positions, the lane-th of their block on. */
INLINE void scores16(float *s, const struct queries *x, struct attn_block block, int dim, int lane, const int n)
{
	float32x4_t acc[PARTS][GROUP];

	for (int h = 0; h < PARTS; h++)
		for (int i = 0; i < n; i++)
			acc[h][i] = vdupq_n_f32(0);
	for (int b = 0; b * LEN < dim; b++) {
		attn_fetch_soon(&block, (size_t)b * KVQ_Q8_BYTES);
		add_scores(acc, x, &block, b, kvq_q8_len(dim, b * LEN), lane, n);
	}
	for (int h = 0; h < PARTS; h++)
		for (int i = 0; i < n; i++)
			vst1q_f32(s + i * ATTN_S_STRIDE + 4 * h, acc[h][i]);
}

/* Weights of one block of dimensions for the positions of a chunk: four positions of each query in turn. */
struct weights {
	_Alignas(16) uint8_t low[ATTN_CHUNK / 4][GROUP][4], high[ATTN_CHUNK / 4][GROUP][4];
	uint32_t start[GROUP]; /* -128 * sum of weights */
	float scale[GROUP];
};

/* e * scale of V for four positions. */
INLINE float32x4_t weight4(const float *e, const uint8_t *d)
{
	return vmulq_f32(vld1q_f32(e), load_halfs(d));
}

/* What divides the largest of a query's weights into ATTN_WEIGHT_MAX parts. */
INLINE float weight_scale(float *scale, const float *e, const struct attn_values *v)
{
	float32x4_t max = vdupq_n_f32(0);
	float m;

	for (int b = 0; b < v->n; b++) {
		const uint8_t *d = attn_values_block(v, b).p;

		for (int slot = 0; slot < KV_BLOCK; slot += 4) /* maxnm prefers a number to a NaN */
			max = vmaxnmq_f32(weight4(e + b * KV_BLOCK + slot, d + 2 * slot), max);
	}
	m = vmaxvq_f32(max);
	*scale = m / ATTN_WEIGHT_MAX;
	return m > ATTN_WEIGHT_MIN ? ATTN_WEIGHT_MAX / m : 0.0f;
}

/* Sixteen weights of query i, from position p on; returns their sums by lane. */
INLINE int32x4_t quantize_weights16(struct weights *w, const float *e, const uint8_t *d, float inv, int p, int i)
{
	int16x4_t q[PARTS];
	int32x4_t sum = vdupq_n_s32(0);

	for (int h = 0; h < PARTS; h++) { /* 0 * NaN converts to 0 */
		int32x4_t v = vcvtnq_s32_f32(vmulq_n_f32(weight4(e + 4 * h, d + 8 * h), inv));

		q[h] = vmax_s16(vqmovn_s32(v), vdup_n_s16(0));
		sum = vaddw_s16(sum, q[h]);
	}
	uint8x16_t a = vreinterpretq_u8_s16(vcombine_s16(q[0], q[1])),
		   b = vreinterpretq_u8_s16(vcombine_s16(q[2], q[3]));
	uint32x4_t low = vreinterpretq_u32_u8(vuzp1q_u8(a, b)), high = vreinterpretq_u32_u8(vuzp2q_u8(a, b));
	uint32_t four[8];

	vst1q_u32(four, low);
	vst1q_u32(four + 4, high);
	for (int j = 0; j < 4; j++) {
		memcpy(w->low[p / 4 + j][i], &four[j], 4);
		memcpy(w->high[p / 4 + j][i], &four[4 + j], 4);
	}
	return sum;
}

/* e is 0 for what a query does not see, up to the end of its block; scales there may be NaN. */
INLINE void quantize_weights(struct weights *w, const float *e, const struct attn_values *v, const int n)
{
	for (int i = 0; i < n; i++) {
		const float *x = e + i * ATTN_S_STRIDE;
		float inv = weight_scale(&w->scale[i], x, v);
		int32x4_t sum = vdupq_n_s32(0);

		for (int p = 0; p < v->n * KV_BLOCK; p += LANES) {
			const uint8_t *d = attn_values_block(v, p / KV_BLOCK).p + p % KV_BLOCK * 2;

			sum = vaddq_s32(sum, quantize_weights16(w, x + p, d, inv, p, i));
		}
		w->start[i] = (uint32_t)vaddvq_s32(sum) * -128u;
	}
}

/* sum[i] += four dimensions' v . lane i of w, for n queries. */
INLINE void dot_weights(uint32x4_t sum[GROUP], uint8x16_t v, uint8x16_t w, const int n)
{
	sum[0] = vdotq_laneq_u32(sum[0], v, w, 0);
	if (n > 1)
		sum[1] = vdotq_laneq_u32(sum[1], v, w, 1);
	if (n > 2)
		sum[2] = vdotq_laneq_u32(sum[2], v, w, 2);
	if (n > 3)
		sum[3] = vdotq_laneq_u32(sum[3], v, w, 3);
}

/* o[i][0 .. 7], of the dimensions d on in their block. */
INLINE void values8(float *o, int dim_v, const struct weights *w, const struct attn_values *v, int d, const int n)
{
	uint32x4_t low[HALF][GROUP], high[HALF][GROUP];

	for (int h = 0; h < HALF; h++)
		for (int i = 0; i < n; i++) {
			low[h][i] = vdupq_n_u32(w->start[i]);
			high[h][i] = vdupq_n_u32(0);
		}
	for (int b = 0; b < v->n; b++) {
		struct attn_block block = attn_values_block(v, b);
		size_t at = KVQ_Q8_QUANTS + (size_t)d * 4;

		attn_fetch_soon(&block, 0);
		for (int j = 0; j < KV_BLOCK / 4; j++, at += 4 * LEN) {
			uint8x16_t wl = vld1q_u8(w->low[b * (KV_BLOCK / 4) + j][0]),
				   wh = vld1q_u8(w->high[b * (KV_BLOCK / 4) + j][0]);

			attn_fetch_soon(&block, at);
			for (int h = 0; h < HALF; h++) {
				uint8x16_t val = vld1q_u8(block.p + at + 16 * h);

				dot_weights(low[h], val, wl, n);
				dot_weights(high[h], val, wh, n);
			}
		}
	}
	for (int i = 0; i < n; i++)
		for (int h = 0; h < HALF; h++) {
			uint32x4_t sum = vaddq_u32(low[h][i], vshlq_n_u32(high[h][i], 8));
			float32x4_t y = vcvtq_f32_s32(vreinterpretq_s32_u32(sum));

			vst1q_f32(o + i * dim_v + 4 * h, vmulq_n_f32(y, w->scale[i]));
		}
}

INLINE void group(const int n, int begin, const struct attn_tile *tile, const struct attn_partial *to,
		  const struct attn_kv *kv, int32_t p0, float *s)
{
	struct attn_reach r = attn_reach(tile, begin, n, p0);
	struct attn_values v = { .kv = kv, .p0 = r.p0, .n = (r.n + KV_BLOCK - 1) / KV_BLOCK };
	float *o = to->o + begin * kv->dim_v;
	struct queries x;
	struct weights w;

	quantize_queries(&x, tile->q + begin, tile->scale, n, kv->dim_k);
	for (int p = 0; p < r.n; p += LANES)
		scores16(s + p, &x, attn_block_k(kv, r.p0, p / KV_BLOCK), kv->dim_k, p % KV_BLOCK, n);
	for (int i = 0; i < n; i++)
		neon_attn_softmax(s + i * ATTN_S_STRIDE, &r, i, tile->cap, &to->m[begin + i], &to->l[begin + i]);
	for (int d = 0; d < kv->dim_v; d += LEN, v.at += KVQ_Q8_BYTES) {
		quantize_weights(&w, s, &v, n);
		for (int i = 0; i < kvq_q8_len(kv->dim_v, d); i += 4 * HALF)
			values8(o + d + i, kv->dim_v, &w, &v, i, n);
	}
}

void neon_attn_chunk_q8_0(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(tile, GROUP, WITH_CONSTANT_4, group, to, kv, p0, scratch)
}
