/*
 * Attention over a q8_0 KV: as avx512vnni/attn_q8.c, eight lanes at a time. maddubs takes |q| unsigned and K with the sign of q:
 * both are within 127, so a pair is at most 2 * 127 * 127 = 32,258 and no int16 saturates. For p.v madd has 16 bits on both sides and
 * sums in 32. The arithmetic outlasts memory: lines are asked for once.
 */
#include "kernels/avx2/attn.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/quantize.h"
#include "kernels/kvq_q8.h"

#define LEN KVQ_Q8_LEN

struct queries {
	_Alignas(32) int8_t q[GROUP][DIM_K_MAX], abs[GROUP][DIM_K_MAX];
	float d[GROUP][KVQ_Q8_BLOCKS(DIM_K_MAX)];
};

/* y[32] = scale * x[len], zeros behind it. */
static void load_some(float *y, const float *x, int len, float scale)
{
	for (int i = 0; i < LEN; i += 8)
		_mm256_store_ps(y + i, i < len ? _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(scale))
					       : _mm256_setzero_ps());
}

INLINE uint16_t quantize(uint8_t *q, const float *x, int len)
{
	_Alignas(32) float y[LEN];
	__m256i v;

	load_some(y, x, len, 1.0f);
	float d = quantize_block(&v, y, KVQ_Q_MAX);

	_mm256_storeu_si256((__m256i *)q, _mm256_xor_si256(v, _mm256_set1_epi8(-128)));
	return _cvtss_sh(d, _MM_FROUND_TO_NEAREST_INT);
}

void avx2_kvq_store_q8_0(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	kvq_q8_store(kb, vb, k, v, slot, dim_k, dim_v, quantize);
}

/* Scores of sixteen positions, the lane-th of their block on. */
INLINE void scores16(float *s, const struct queries *x, struct attn_block block, int dim, int lane, const int n)
{
	__m256 acc[GROUP][2];

	for (int i = 0; i < n; i++)
		acc[i][0] = acc[i][1] = _mm256_setzero_ps();
	for (int b = 0; b * LEN < dim; b++) {
		const size_t scales = (size_t)b * KVQ_Q8_BYTES;
		int len = kvq_q8_len(dim, b * LEN);
		__m256i sum[GROUP][2];

		for (int i = 0; i < n; i++)
			sum[i][0] = sum[i][1] = _mm256_setzero_si256();
		attn_fetch_soon(&block, scales);
		for (int d = 0; d < len; d += 4)
			attn_fetch_soon(&block, scales + KVQ_Q8_QUANTS + (size_t)(d * KV_BLOCK + lane * 4));
		for (int h = 0; h < 2; h++) {
			size_t at = scales + KVQ_Q8_QUANTS + (size_t)(lane + 8 * h) * 4;

			for (int d = 0; d < len; d += 4, at += 4 * KV_BLOCK) {
				__m256i val = _mm256_xor_si256(load_bytes(block.p + at), _mm256_set1_epi8(-128));
				for (int i = 0; i < n; i++) {
					__m256i q = broadcast4(&x->q[i][b * LEN + d]),
						a = broadcast4(&x->abs[i][b * LEN + d]);
					__m256i pair = _mm256_maddubs_epi16(a, _mm256_sign_epi8(val, q));

					sum[i][h] = _mm256_add_epi32(sum[i][h],
								     _mm256_madd_epi16(pair, _mm256_set1_epi16(1)));
				}
			}
		}
		for (int h = 0; h < 2; h++) {
			__m256 kd = load_halfs(block.p + scales + 2 * (lane + 8 * h));

			for (int i = 0; i < n; i++)
				acc[i][h] = _mm256_fmadd_ps(_mm256_mul_ps(kd, _mm256_set1_ps(x->d[i][b])),
							    _mm256_cvtepi32_ps(sum[i][h]), acc[i][h]);
		}
	}
	for (int i = 0; i < n; i++) {
		_mm256_storeu_ps(s + i * ATTN_S_STRIDE, acc[i][0]);
		_mm256_storeu_ps(s + i * ATTN_S_STRIDE + 8, acc[i][1]);
	}
}

/* Weights of one block of dimensions for the positions of a chunk, in fours as 0 2 1 3: V's even bytes meet the first two. */
struct weights {
	_Alignas(32) int16_t q[GROUP][ATTN_CHUNK];
	int32_t start[GROUP]; /* -128 * sum of q */
	float scale[GROUP];
};

INLINE int32_t sum_lanes(__m256i v)
{
	__m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
	return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* e * scale of V for eight positions. */
INLINE __m256 weight8(const float *e, const uint8_t *d)
{
	return _mm256_mul_ps(_mm256_loadu_ps(e), load_halfs(d));
}

/* What divides the largest of each query's weights into ATTN_WEIGHT_MAX parts. */
INLINE void weight_scales(struct weights *w, __m256 *inv, const float *e, const struct attn_values *v, const int n)
{
	__m256 max[GROUP];

	for (int i = 0; i < n; i++)
		max[i] = _mm256_setzero_ps();
	for (int b = 0; b < v->n; b++)
		for (int slot = 0; slot < KV_BLOCK; slot += 8)
			for (int i = 0; i < n; i++) /* a NaN as the first operand loses */
				max[i] = _mm256_max_ps(weight8(e + i * ATTN_S_STRIDE + b * KV_BLOCK + slot,
							       attn_values_block(v, b).p + 2 * slot),
						       max[i]);
	for (int i = 0; i < n; i++) {
		float m = max_lane(_mm256_castps_si256(max[i]));

		w->scale[i] = m / ATTN_WEIGHT_MAX;
		inv[i] = _mm256_set1_ps(m > ATTN_WEIGHT_MIN ? ATTN_WEIGHT_MAX / m : 0.0f);
	}
}

/* e is 0 for what a query does not see, up to the end of its block. Scales there may be NaN, and 0 * NaN converts to INT_MIN: less
 * than 0. */
INLINE void quantize_weights(struct weights *w, const float *e, const struct attn_values *v, const int n)
{
	const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0, 1, 4, 5, 2, 3,
					       6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
	__m256 inv[GROUP];
	__m256i start[GROUP];

	weight_scales(w, inv, e, v, n);
	for (int i = 0; i < n; i++)
		start[i] = _mm256_setzero_si256();
	for (int p = 0; p < v->n * KV_BLOCK; p += LANES) {
		const uint8_t *d = attn_values_block(v, p / KV_BLOCK).p + p % KV_BLOCK * 2;

		for (int i = 0; i < n; i++) {
			const float *x = e + i * ATTN_S_STRIDE + p;
			__m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(weight8(x, d), inv[i])),
				b = _mm256_cvtps_epi32(_mm256_mul_ps(weight8(x + 8, d + 16), inv[i])),
				q = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);

			q = _mm256_shuffle_epi8(_mm256_max_epi16(q, _mm256_setzero_si256()), order);
			_mm256_store_si256((__m256i *)(w->q[i] + p), q);
			start[i] = _mm256_add_epi32(start[i], _mm256_madd_epi16(q, _mm256_set1_epi16(-128)));
		}
	}
	for (int i = 0; i < n; i++)
		w->start[i] = sum_lanes(start[i]);
}

/* o[i][0 .. 15], of the dimensions d on in their block. */
INLINE void values16(float *o, int dim_v, const struct weights *w, const struct attn_values *v, int d, const int n)
{
	__m256i acc[GROUP][2];

	for (int i = 0; i < n; i++)
		acc[i][0] = acc[i][1] = _mm256_set1_epi32(w->start[i]);
	for (int b = 0; b < v->n; b++) {
		struct attn_block block = attn_values_block(v, b);
		size_t at = KVQ_Q8_QUANTS + (size_t)d * 4;
		const int16_t *x = w->q[0] + b * KV_BLOCK;

		attn_fetch_soon(&block, 0);
		for (int slot = 0; slot < KV_BLOCK; slot += 4, at += 4 * LEN, x += 4) {
			attn_fetch_soon(&block, at);
			for (int j = 0; j < 2; j++) {
				__m256i val = load_bytes(block.p + at + j * 32), odd = _mm256_srli_epi16(val, 8),
					even = _mm256_and_si256(val, _mm256_set1_epi16(0xff));

				for (int i = 0; i < n; i++) {
					const int16_t *four = x + i * ATTN_CHUNK;
					__m256i sum = _mm256_add_epi32(_mm256_madd_epi16(even, load_pair(four)),
								       _mm256_madd_epi16(odd, load_pair(four + 2)));

					acc[i][j] = _mm256_add_epi32(acc[i][j], sum);
				}
			}
		}
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < 2; j++)
			_mm256_storeu_ps(o + i * dim_v + 8 * j,
					 _mm256_mul_ps(_mm256_set1_ps(w->scale[i]), _mm256_cvtepi32_ps(acc[i][j])));
}

static void quantize_queries(struct queries *x, const float *const *q, float scale, int n, int dim_k)
{
	for (int i = 0; i < n; i++)
		for (int b = 0; b * LEN < dim_k; b++) {
			_Alignas(32) float y[LEN];
			__m256i v;

			load_some(y, q[i] + b * LEN, kvq_q8_len(dim_k, b * LEN), scale);
			x->d[i][b] = quantize_block(&v, y, KVQ_Q_MAX);
			_mm256_store_si256((__m256i *)(x->q[i] + b * LEN), v);
			_mm256_store_si256((__m256i *)(x->abs[i] + b * LEN), _mm256_abs_epi8(v));
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
		avx2_attn_softmax(s + i * ATTN_S_STRIDE, &r, i, tile->cap, &to->m[begin + i], &to->l[begin + i]);
	for (int d = 0; d < kv->dim_v; d += LEN, v.at += KVQ_Q8_BYTES) {
		quantize_weights(&w, s, &v, n);
		values16(o + d, kv->dim_v, &w, &v, 0, n);
		if (d + LANES < kv->dim_v)
			values16(o + d + LANES, kv->dim_v, &w, &v, LANES, n);
	}
}

void avx2_attn_chunk_q8_0(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(tile, GROUP, WITH_CONSTANT_4, group, to, kv, p0, scratch)
}
