/*
 * Attention over a q8_0 KV: as avx512vnni/attn_q8.c, eight lanes at a time. maddubs takes |q| unsigned and K with the sign of q:
 * both are within 127, so a pair is at most 2 * 127 * 127 = 32,258 and no int16 saturates.
 */
#include "kernels/avx2/attn.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/quantize.h"

#define LEN       32 /* dimensions of a block */
#define BLOCK_MAX (HEAD_DIM_MAX / LEN)
#define SCALES    (2 * KV_BLOCK) /* bytes before the quants */

struct queries {
	_Alignas(32) int8_t q[GROUP][HEAD_DIM_MAX], abs[GROUP][HEAD_DIM_MAX];
	float d[GROUP][BLOCK_MAX];
};

static void set_scale(uint8_t *block, int slot, float d)
{
	((uint16_t *)block)[slot] =
		(uint16_t)_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(d), _MM_FROUND_TO_NEAREST_INT), 0);
}

/* y[32] = scale * x[len], zeros behind it. */
static void load_some(float *y, const float *x, int len, float scale)
{
	for (int i = 0; i < LEN; i += 8)
		_mm256_store_ps(y + i, i < len ? _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(scale))
					       : _mm256_setzero_ps());
}

void avx2_kv_store_q8_0(void *kb, void *vb, const float *k, const float *v, int slot, int head_dim)
{
	uint8_t *kd = kb, *vd = vb;

	for (int d = 0; d < head_dim; d += LEN, kd += KV_Q8_0_BYTES, vd += KV_Q8_0_BYTES) {
		size_t len = (size_t)(head_dim - d < LEN ? head_dim - d : LEN);
		_Alignas(32) float x[LEN];
		_Alignas(32) uint8_t q[LEN];
		__m256i v8;

		load_some(x, k + d, (int)len, 1.0f);
		set_scale(kd, slot, quantize_block(&v8, x));
		_mm256_store_si256((__m256i *)q, _mm256_xor_si256(v8, _mm256_set1_epi8(-128)));
		for (size_t i = 0; i < len; i += 4)
			memcpy(kd + SCALES + i * KV_BLOCK + (size_t)slot * 4, q + i, 4);
		load_some(x, v + d, (int)len, 1.0f);
		set_scale(vd, slot, quantize_block(&v8, x));
		_mm256_store_si256((__m256i *)q, v8);
		memcpy(vd + SCALES + slot * LEN, q, len);
	}
}

/* Scores of sixteen positions, the lane-th of their block on. */
INLINE void scores16(float *s, const struct queries *x, const uint8_t *k, int hd, int lane, const int n)
{
	__m256 acc[GROUP][2];

	for (int i = 0; i < n; i++)
		acc[i][0] = acc[i][1] = _mm256_setzero_ps();
	for (int b = 0; b * LEN < hd; b++, k += KV_Q8_0_BYTES) {
		int len = hd - b * LEN < LEN ? hd - b * LEN : LEN;
		__m256i sum[GROUP][2];

		for (int i = 0; i < n; i++)
			sum[i][0] = sum[i][1] = _mm256_setzero_si256();
		for (int h = 0; h < 2; h++) {
			const uint8_t *kq = k + SCALES + (lane + 8 * h) * 4;

			for (int d = 0; d < len; d += 4, kq += 4 * KV_BLOCK) {
				__m256i val = _mm256_xor_si256(load_bytes(kq), _mm256_set1_epi8(-128));

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
			__m256 kd = load_halfs(k + 2 * (lane + 8 * h));

			for (int i = 0; i < n; i++)
				acc[i][h] = _mm256_fmadd_ps(_mm256_mul_ps(kd, _mm256_set1_ps(x->d[i][b])),
							    _mm256_cvtepi32_ps(sum[i][h]), acc[i][h]);
		}
	}
	for (int i = 0; i < n; i++) {
		_mm256_storeu_ps(s + i * S_STRIDE, acc[i][0]);
		_mm256_storeu_ps(s + i * S_STRIDE + 8, acc[i][1]);
	}
}

INLINE __m256 load8(const uint8_t *p)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

/* w[i][slot] = e * scale of V, for the positions of a block. */
INLINE void weights32(float (*w)[KV_BLOCK], const float *s, const uint8_t *vd, const int n)
{
	for (int h = 0; h < KV_BLOCK; h += 8)
		for (int i = 0; i < n; i++)
			_mm256_store_ps(w[i] + h,
					_mm256_mul_ps(_mm256_loadu_ps(s + i * S_STRIDE + h), load_halfs(vd + 2 * h)));
}

/* o[i][d .. d + 15]; what a query must not see may be anything, and 0 * anything is not always 0. */
INLINE void values16(float *o, const float *s, const struct attn_kv *kv, const uint32_t *block, int d,
		     const struct reach *r, const int n)
{
	_Alignas(32) float w[GROUP][KV_BLOCK];
	__m256 acc[GROUP][2];
	const uint8_t *v = NULL;

	for (int i = 0; i < n; i++)
		acc[i][0] = acc[i][1] = _mm256_setzero_ps();
	for (int p = 0; p < r->longest; p++, v += LEN) {
		int slot = p % KV_BLOCK;

		if (slot == 0) {
			const uint8_t *vd = kv->v + block[p / KV_BLOCK] * kv->block_stride + d / LEN * KV_Q8_0_BYTES;

			weights32(w, s + p, vd, n);
			v = vd + SCALES + d % LEN;
		}
		__m256 a = load8(v), b = load8(v + 8);

		for (int i = 0; i < n; i++) {
			if (p >= r->common && p >= r->len[i])
				continue;
			__m256 e = _mm256_set1_ps(w[i][slot]);

			acc[i][0] = _mm256_fmadd_ps(e, a, acc[i][0]);
			acc[i][1] = _mm256_fmadd_ps(e, b, acc[i][1]);
		}
	}
	for (int i = 0; i < n; i++) {
		_mm256_storeu_ps(o + i * kv->head_dim + d, acc[i][0]);
		_mm256_storeu_ps(o + i * kv->head_dim + d + 8, acc[i][1]);
	}
}

static void quantize_queries(struct queries *x, const float *const *q, float scale, int n, int hd)
{
	for (int i = 0; i < n; i++)
		for (int b = 0; b * LEN < hd; b++) {
			_Alignas(32) float y[LEN];
			__m256i v;

			load_some(y, q[i] + b * LEN, hd - b * LEN, scale);
			x->d[i][b] = quantize_block(&v, y);
			_mm256_store_si256((__m256i *)(x->q[i] + b * LEN), v);
			_mm256_store_si256((__m256i *)(x->abs[i] + b * LEN), _mm256_abs_epi8(v));
		}
}

INLINE void group(const int n, float *o, float *m, float *l, const float *const *q, float scale, const int32_t *pos,
		  const struct attn_kv *kv, int32_t p0, int32_t p1, float *s)
{
	const uint32_t *block = kv->blocks + p0 / KV_BLOCK;
	struct reach r = avx2_attn_reach(pos, n, p0, p1);
	struct queries x;

	quantize_queries(&x, q, scale, n, kv->head_dim);
	for (int p = 0; p < r.longest; p += LANES)
		scores16(s + p, &x, kv->k + block[p / KV_BLOCK] * kv->block_stride, kv->head_dim, p % KV_BLOCK, n);
	for (int i = 0; i < n; i++)
		avx2_attn_softmax(s + i * S_STRIDE, r.len[i], &m[i], &l[i]);
	for (int d = 0; d < kv->head_dim; d += LANES)
		values16(o, s, kv, block, d, &r, n);
}

void avx2_attn_chunk_q8_0(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(n_q, group, o + i * kv->head_dim, m + i, l + i, q + i, scale, pos + i, kv, p0, p1, scratch)
}
