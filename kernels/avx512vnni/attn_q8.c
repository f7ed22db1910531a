/*
 * Attention over a q8_0 KV. Scores: K is unsigned (q + 128), so one vpdpbusd multiplies four dimensions of sixteen positions, and
 * a sum starts at -128 times the sum of the query's quants. Values: the weight of a position takes in its scale once for
 * all 32 dimensions of a block, then one chain of fma as for f16.
 */
#include "kernels/avx512vnni/attn.h"
#include "kernels/avx512vnni/quantize.h"

#include "kernels/f16.h"

#define LEN       32 /* dimensions of a block */
#define BLOCK_MAX (HEAD_DIM_MAX / LEN)
#define SCALES    (2 * KV_BLOCK) /* bytes before the quants */

struct queries {
	_Alignas(64) uint8_t q[GROUP][HEAD_DIM_MAX];
	int32_t start[GROUP][BLOCK_MAX]; /* -128 * sum of q */
	float d[GROUP][BLOCK_MAX];
};

/* 32 floats, or 16 and zeros. */
static inline float quantize_some(__m256i *q, const float *x, int len, __m512 scale)
{
	__m512 b = _mm512_maskz_loadu_ps(len > LANES ? 0xffff : 0, x + LANES);

	return quantize32(q, _mm512_mul_ps(_mm512_loadu_ps(x), scale), _mm512_mul_ps(b, scale));
}

static inline void set_scale(uint8_t *block, int slot, float d)
{
	((uint16_t *)block)[slot] = _cvtss_sh(d, _MM_FROUND_TO_NEAREST_INT);
}

void avx512vnni_kv_store_q8_0(void *kb, void *vb, const float *k, const float *v, int slot, int head_dim)
{
	uint8_t *kd = kb, *vd = vb;

	for (int d = 0; d < head_dim; d += LEN, kd += KV_Q8_0_BYTES, vd += KV_Q8_0_BYTES) {
		int len = head_dim - d < LEN ? head_dim - d : LEN;
		__m256i q;
		uint8_t four[LEN];

		set_scale(kd, slot, quantize_some(&q, k + d, len, _mm512_set1_ps(1.0f)));
		_mm256_storeu_si256((__m256i *)four, _mm256_xor_si256(q, _mm256_set1_epi8(-128)));
		for (int i = 0; i < len; i += 4)
			memcpy(kd + SCALES + i * KV_BLOCK + slot * 4, four + i, 4);
		set_scale(vd, slot, quantize_some(&q, v + d, len, _mm512_set1_ps(1.0f)));
		_mm256_mask_storeu_epi8(vd + SCALES + slot * LEN, len < LEN ? 0xffffu : ~0u, q);
	}
}

/* Scores of 16*n_lane positions from the lane-th sixteen of a block on. */
ALWAYS_INLINE void scores(float *s, const struct queries *x, const uint8_t *k, const uint8_t *next, int hd, int lane,
			  const int n, const int n_lane)
{
	__m512 acc[GROUP][2];
	__m512i sum[GROUP][2], val[2];

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_lane; j++)
			acc[i][j] = _mm512_setzero_ps();
	for (int b = 0; b * LEN < hd; b++, k += KV_Q8_0_BYTES, next += KV_Q8_0_BYTES) {
		const uint8_t *kq = k + SCALES + lane * 64, *nq = next + SCALES + lane * 64;
		int len = hd - b * LEN < LEN ? hd - b * LEN : LEN;

		fetch(next);
		for (int i = 0; i < n; i++)
			for (int j = 0; j < n_lane; j++)
				sum[i][j] = _mm512_set1_epi32(x->start[i][b]);
		for (int d = 0; d < len; d += 4, kq += 4 * KV_BLOCK, nq += 4 * KV_BLOCK) {
			for (int j = 0; j < n_lane; j++) {
				val[j] = _mm512_load_si512(kq + j * 64);
				fetch(nq + j * 64);
			}
			for (int i = 0; i < n; i++)
				for (int j = 0; j < n_lane; j++)
					sum[i][j] = dot4(sum[i][j], val[j], &x->q[i][b * LEN + d]);
		}
		for (int j = 0; j < n_lane; j++) {
			__m512 kd = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(k + 32 * (lane + j))));

			for (int i = 0; i < n; i++)
				acc[i][j] = _mm512_fmadd_ps(_mm512_mul_ps(kd, _mm512_set1_ps(x->d[i][b])),
							    _mm512_cvtepi32_ps(sum[i][j]), acc[i][j]);
		}
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_lane; j++)
			_mm512_storeu_ps(s + i * S_STRIDE + (lane + j) * LANES, acc[i][j]);
}

ALWAYS_INLINE __m512 load16(const uint8_t *p)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* w[i][slot] = e * scale of V, for the positions of a block. */
ALWAYS_INLINE void weights32(float (*w)[KV_BLOCK], const float *s, const uint8_t *vd, const int n)
{
	__m512 a = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)vd)),
	       b = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(vd + 32)));

	for (int i = 0; i < n; i++) {
		_mm512_store_ps(w[i], _mm512_mul_ps(_mm512_loadu_ps(s + i * S_STRIDE), a));
		_mm512_store_ps(w[i] + LANES, _mm512_mul_ps(_mm512_loadu_ps(s + i * S_STRIDE + LANES), b));
	}
}

/* o[i][0 .. 16*n_vec) of block b of the dimensions; as for f16, `common` positions concern all queries. */
ALWAYS_INLINE void values(float *o, const float *s, const struct attn_kv *kv, const uint32_t *block, int b,
			  const struct reach *r, const int n, const int n_vec)
{
	_Alignas(64) float w[GROUP][KV_BLOCK];
	__m512 acc[GROUP][2], val[2];

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_vec; j++)
			acc[i][j] = _mm512_setzero_ps();
	for (int p = 0; p < r->longest; p += KV_BLOCK, block++) {
		const uint8_t *vd = kv->v + *block * kv->block_stride + b * KV_Q8_0_BYTES, *v = vd + SCALES;
		int n_slot = r->longest - p < KV_BLOCK ? r->longest - p : KV_BLOCK, slot = 0;
		int all = r->common - p < n_slot ? r->common - p : n_slot;
		const uint8_t *next = kv->v + block[p + KV_BLOCK < r->longest] * kv->block_stride + b * KV_Q8_0_BYTES;

		weights32(w, s + p, vd, n);
		fetch(next);
		for (; slot < all; slot++, v += LEN) {
			for (int j = 0; j < n_vec; j++)
				val[j] = load16(v + j * LANES);
			fetch(next + SCALES + slot * LEN);
			for (int i = 0; i < n; i++)
				for (int j = 0; j < n_vec; j++)
					acc[i][j] = _mm512_fmadd_ps(_mm512_set1_ps(w[i][slot]), val[j], acc[i][j]);
		}
		for (; slot < n_slot; slot++, v += LEN) {
			for (int j = 0; j < n_vec; j++)
				val[j] = load16(v + j * LANES);
			for (int i = 0; i < n; i++) {
				__mmask16 sees = p + slot < r->len[i] ? 0xffff : 0;

				for (int j = 0; j < n_vec; j++)
					acc[i][j] = _mm512_mask3_fmadd_ps(_mm512_set1_ps(w[i][slot]), val[j], acc[i][j],
									  sees);
			}
		}
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_vec; j++)
			_mm512_storeu_ps(o + i * kv->head_dim + b * LEN + j * LANES, acc[i][j]);
}

static void quantize_queries(struct queries *x, const float *const *q, float scale, int n, int hd)
{
	for (int i = 0; i < n; i++)
		for (int b = 0; b * LEN < hd; b++) {
			__m256i v;

			x->d[i][b] = quantize_some(&v, q[i] + b * LEN, hd - b * LEN, _mm512_set1_ps(scale));
			x->start[i][b] = -128 * sum32(v);
			_mm256_store_si256((__m256i *)(x->q[i] + b * LEN), v);
		}
}

ALWAYS_INLINE void group(const int n, float *o, float *m, float *l, const float *const *q, float scale,
			 const int32_t *pos, const struct attn_kv *kv, int32_t p0, int32_t p1, float *s)
{
	const uint32_t *block = kv->blocks + p0 / KV_BLOCK;
	struct reach r = avx512vnni_attn_reach(pos, n, p0, p1);
	const int n_lane = n <= 4 ? 2 : 1;
	struct queries x;
	int b = 0;

	quantize_queries(&x, q, scale, n, kv->head_dim);
	for (int p = 0; p < r.longest; p += KV_BLOCK) {
		const uint8_t *k = kv->k + block[p / KV_BLOCK] * kv->block_stride,
			      *next = p + KV_BLOCK < r.longest ? kv->k + block[p / KV_BLOCK + 1] * kv->block_stride
							       : kv->v + block[0] * kv->block_stride;

		for (int lane = 0; lane < KV_BLOCK / LANES; lane += n_lane)
			scores(s + p, &x, k, next, kv->head_dim, lane, n, n_lane);
	}
	for (int i = 0; i < n; i++)
		avx512vnni_attn_softmax(s + i * S_STRIDE, r.len[i], &m[i], &l[i]);
	for (; (b + 1) * LEN <= kv->head_dim; b++)
		values(o, s, kv, block, b, &r, n, 2);
	if (b * LEN < kv->head_dim)
		values(o, s, kv, block, b, &r, n, 1);
}

void avx512vnni_attn_chunk_q8_0(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(n_q, group, o + i * kv->head_dim, m + i, l + i, q + i, scale, pos + i, kv, p0, p1, scratch)
}
