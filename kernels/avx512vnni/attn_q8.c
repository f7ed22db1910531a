/*
 * Attention over a q8_0 KV. Scores: K is unsigned (q + 128), so one vpdpbusd multiplies four dimensions of sixteen positions, and
 * a sum starts at -128 times the sum of the query's quants. Values: V is unsigned too. The weight of a position takes in its scale
 * and becomes an i16, and one vpdpwssd multiplies two positions of sixteen dimensions; a sum starts at -128 times that of the weights.
 */
#include "kernels/avx512vnni/attn.h"
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/quantize.h"
#include "kernels/kvq_q8.h"

#define LEN KVQ_Q8_LEN

struct queries {
	_Alignas(64) uint8_t q[GROUP][DIM_K_MAX];
	int32_t start[GROUP][KVQ_Q8_BLOCKS(DIM_K_MAX)]; /* -128 * sum of q */
	float d[GROUP][KVQ_Q8_BLOCKS(DIM_K_MAX)];
};

/* 32 floats, or 16 and zeros. */
static inline float quantize_some(__m256i *q, const float *x, int len, __m512 scale)
{
	__m512 b = _mm512_maskz_loadu_ps(len > LANES ? 0xffff : 0, x + LANES);

	return quantize32(q, _mm512_mul_ps(_mm512_loadu_ps(x), scale), _mm512_mul_ps(b, scale), KVQ_Q_MAX);
}

INLINE uint16_t quantize(uint8_t *q, const float *x, int len)
{
	__m256i v;
	float d = quantize_some(&v, x, len, _mm512_set1_ps(1.0f));

	_mm256_storeu_si256((__m256i *)q, _mm256_xor_si256(v, _mm256_set1_epi8(-128)));
	return _cvtss_sh(d, _MM_FROUND_TO_NEAREST_INT);
}

void avx512vnni_kvq_store_q8_0(void *kb, void *vb, const float *k, const float *v, int slot, int dim_k, int dim_v)
{
	kvq_q8_store(kb, vb, k, v, slot, dim_k, dim_v, quantize);
}

/* Scores of 16*n_lane positions from the lane-th sixteen of a block on. */
INLINE void scores(float *s, const struct queries *x, struct attn_block block, int dim, int lane, const int n,
		   const int n_lane)
{
	__m512 acc[GROUP][2];
	__m512i sum[GROUP][2], val[2];

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_lane; j++)
			acc[i][j] = _mm512_setzero_ps();
	for (int b = 0; b * LEN < dim; b++) {
		size_t at = (size_t)b * KVQ_Q8_BYTES, quants = at + KVQ_Q8_QUANTS + (size_t)lane * 64;
		int len =
			dim - b * LEN < LEN ? dim - b * LEN : LEN; /* gcc 12 does not see that kvq_q8_len is above 0 */

		attn_fetch(&block, at);
		for (int i = 0; i < n; i++)
			for (int j = 0; j < n_lane; j++)
				sum[i][j] = _mm512_set1_epi32(x->start[i][b]);
		for (int d = 0; d < len; d += 4, quants += 4 * KV_BLOCK) {
			for (int j = 0; j < n_lane; j++) {
				val[j] = _mm512_load_si512(block.p + quants + j * 64);
				attn_fetch(&block, quants + (size_t)j * 64);
			}
			for (int i = 0; i < n; i++)
				for (int j = 0; j < n_lane; j++)
					sum[i][j] = dot4(sum[i][j], val[j], &x->q[i][b * LEN + d]);
		}
		for (int j = 0; j < n_lane; j++) {
			__m512 kd =
				_mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(block.p + at + 32 * (lane + j))));

			for (int i = 0; i < n; i++)
				acc[i][j] = _mm512_fmadd_ps(_mm512_mul_ps(kd, _mm512_set1_ps(x->d[i][b])),
							    _mm512_cvtepi32_ps(sum[i][j]), acc[i][j]);
		}
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_lane; j++)
			_mm512_storeu_ps(s + i * ATTN_S_STRIDE + (lane + j) * LANES, acc[i][j]);
}

/* Weights of one block of dimensions for the positions of a chunk, in fours as 0 2 1 3: V's even bytes meet the first two. */
struct weights {
	_Alignas(64) int16_t q[GROUP][ATTN_CHUNK];
	int32_t start[GROUP]; /* -128 * sum of q */
	float scale[GROUP];
};

INLINE __m512 load_scales(const uint8_t *p)
{
	return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)p));
}

/* What divides the largest of each query's weights into ATTN_WEIGHT_MAX parts. */
INLINE void weight_scales(struct weights *w, __m512 *inv, const float *e, const struct attn_values *v, const int n)
{
	__m512 max[GROUP];

	for (int i = 0; i < n; i++)
		max[i] = _mm512_setzero_ps();
	for (int j = 0; j < v->n; j++) {
		const uint8_t *d = attn_values_block(v, j).p;
		__m512 d0 = load_scales(d), d1 = load_scales(d + 32);

		for (int i = 0; i < n; i++) {
			const float *x = e + i * ATTN_S_STRIDE + j * KV_BLOCK;

			/* A NaN as the first operand loses. */
			max[i] = _mm512_max_ps(_mm512_mul_ps(_mm512_loadu_ps(x), d0), max[i]);
			max[i] = _mm512_max_ps(_mm512_mul_ps(_mm512_loadu_ps(x + LANES), d1), max[i]);
		}
	}
	for (int i = 0; i < n; i++) {
		float m = _mm512_reduce_max_ps(max[i]);

		w->scale[i] = m / ATTN_WEIGHT_MAX;
		inv[i] = _mm512_set1_ps(m > ATTN_WEIGHT_MIN ? ATTN_WEIGHT_MAX / m : 0.0f);
	}
}

/* e is 0 for what a query does not see, up to the end of its block. Scales there may be NaN, and 0 * NaN converts to INT_MIN, of
 * which the low half is kept: 0. */
INLINE void quantize_weights(struct weights *w, const float *e, const struct attn_values *v, const int n)
{
	static const _Alignas(64)
		int16_t order[32] = { 0,  4,  2,  6,  8,  12, 10, 14, 16, 20, 18, 22, 24, 28, 26, 30,
				      32, 36, 34, 38, 40, 44, 42, 46, 48, 52, 50, 54, 56, 60, 58, 62 };
	__m512 inv[GROUP];
	__m512i start[GROUP];

	weight_scales(w, inv, e, v, n);
	for (int i = 0; i < n; i++)
		start[i] = _mm512_setzero_si512();
	for (int j = 0; j < v->n; j++) {
		const uint8_t *d = attn_values_block(v, j).p;
		__m512 d0 = load_scales(d), d1 = load_scales(d + 32);

		for (int i = 0; i < n; i++) {
			const float *x = e + i * ATTN_S_STRIDE + j * KV_BLOCK;
			__m512 a = _mm512_mul_ps(_mm512_loadu_ps(x), d0),
			       b = _mm512_mul_ps(_mm512_loadu_ps(x + LANES), d1);
			__m512i q = _mm512_permutex2var_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(a, inv[i])),
							      _mm512_load_si512(order),
							      _mm512_cvtps_epi32(_mm512_mul_ps(b, inv[i])));

			_mm512_store_si512(w->q[i] + j * KV_BLOCK, q);
			start[i] = _mm512_dpwssd_epi32(start[i], q, _mm512_set1_epi16(-128));
		}
	}
	for (int i = 0; i < n; i++)
		w->start[i] = _mm512_reduce_add_epi32(start[i]);
}

/* o[i][0 .. 16*n_vec) of a block of dimensions. Integers may be summed in any order: for one or two queries in two parts, since one
 * sum would wait for itself. */
INLINE void values(float *o, int dim_v, const struct weights *w, const struct attn_values *v, const int n,
		   const int n_vec)
{
	const int other = n <= 2;
	__m512i acc[GROUP][2][2];

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_vec; j++) {
			acc[i][j][other] = _mm512_setzero_si512();
			acc[i][j][0] = _mm512_set1_epi32(w->start[i]);
		}
	for (int b = 0; b < v->n; b++) {
		struct attn_block block = attn_values_block(v, b);
		size_t at = KVQ_Q8_QUANTS;
		const int16_t *x = w->q[0] + b * KV_BLOCK;

		attn_fetch(&block, 0);
#pragma GCC unroll 1
		for (int slot = 0; slot < KV_BLOCK; slot += 4, at += 4 * LEN, x += 4)
			for (int j = 0; j < n_vec; j++) {
				__m512i val = _mm512_load_si512(block.p + at + j * 64), odd = _mm512_srli_epi16(val, 8),
					even = _mm512_and_si512(val, _mm512_set1_epi16(0xff));

				attn_fetch(&block, at + (size_t)j * 64);
				for (int i = 0; i < n; i++) {
					const uint8_t *four = (const uint8_t *)(x + i * ATTN_CHUNK);

					acc[i][j][0] = dot2(acc[i][j][0], even, four);
					acc[i][j][other] = dot2(acc[i][j][other], odd, four + 4);
				}
			}
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_vec; j++) {
			__m512i sum = other ? _mm512_add_epi32(acc[i][j][0], acc[i][j][1]) : acc[i][j][0];

			_mm512_storeu_ps(o + i * dim_v + j * LANES,
					 _mm512_mul_ps(_mm512_set1_ps(w->scale[i]), _mm512_cvtepi32_ps(sum)));
		}
}

static void quantize_queries(struct queries *x, const float *const *q, float scale, int n, int dim_k)
{
	for (int i = 0; i < n; i++)
		for (int b = 0; b * LEN < dim_k; b++) {
			__m256i v;

			x->d[i][b] =
				quantize_some(&v, q[i] + b * LEN, kvq_q8_len(dim_k, b * LEN), _mm512_set1_ps(scale));
			x->start[i][b] = -128 * sum32(v);
			_mm256_store_si256((__m256i *)(x->q[i] + b * LEN), v);
		}
}

INLINE void group(const int n, int begin, const struct attn_tile *tile, const struct attn_partial *to,
		  const struct attn_kv *kv, int32_t p0, float *s)
{
	struct attn_reach r = attn_reach(tile, begin, n, p0);
	struct attn_values v = { .kv = kv, .p0 = r.p0, .n = (r.n + KV_BLOCK - 1) / KV_BLOCK };
	float *o = to->o + begin * kv->dim_v;
	const int n_lane = n <= 4 ? 2 : 1;
	struct queries x;
	struct weights w;

	quantize_queries(&x, tile->q + begin, tile->scale, n, kv->dim_k);
	for (int j = 0; j < v.n; j++)
		for (int lane = 0; lane < KV_BLOCK / LANES; lane += n_lane)
			scores(s + j * KV_BLOCK, &x, attn_block_k(kv, r.p0, j), kv->dim_k, lane, n, n_lane);
	for (int i = 0; i < n; i++)
		avx512vnni_attn_softmax(s + i * ATTN_S_STRIDE, &r, i, tile->cap, &to->m[begin + i], &to->l[begin + i]);
	for (int d = 0; d < kv->dim_v; d += LEN, v.at += KVQ_Q8_BYTES) {
		quantize_weights(&w, s, &v, n);
		if (d + LEN <= kv->dim_v)
			values(o + d, kv->dim_v, &w, &v, n, 2);
		else
			values(o + d, kv->dim_v, &w, &v, n, 1);
	}
}

void avx512vnni_attn_chunk_q8_0(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(tile, GROUP, WITH_CONSTANT_8, group, to, kv, p0, scratch)
}
