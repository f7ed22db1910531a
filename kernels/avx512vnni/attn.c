/* Attention over an f16 KV. Every query of a group uses each K and V vector while it is in a register; two groups of sixteen
 * positions, or up to four vectors of d, run side by side, for the chains of a few queries alone would wait for themselves. */
#include "kernels/avx512vnni/attn.h"
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/vexp.h"

#include <math.h>

#define Q_STRIDE (HEAD_DIM_MAX + LANES)

struct reach avx512vnni_attn_reach(const int32_t *pos, int n, int32_t p0, int32_t p1)
{
	struct reach r = { .common = p1 - p0 };

	for (int i = 0; i < n; i++) {
		int32_t end = p1 < pos[i] + 1 ? p1 : pos[i] + 1;

		r.len[i] = end > p0 ? end - p0 : 0;
		r.longest = r.len[i] > r.longest ? r.len[i] : r.longest;
		r.common = r.len[i] < r.common ? r.len[i] : r.common;
	}
	return r;
}

void avx512vnni_attn_softmax(float *s, int len, float *m, float *l)
{
	__m512 max = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();

	for (int p = 0; p < len; p += 16) {
		__mmask16 in = len - p >= 16 ? 0xffff : (__mmask16)((1u << (len - p)) - 1);

		/* Scores first: maxps returns its second operand for NaN, which never wins. */
		max = _mm512_mask_max_ps(max, in, _mm512_loadu_ps(s + p), max);
	}
	*m = _mm512_reduce_max_ps(max);
	for (int p = 0; *m == 0.0f && p < len; p++) { /* of equal zeros, the first one's sign */
		if (s[p] == 0.0f) {
			*m = s[p];
			break;
		}
	}
	for (int p = 0; p < len; p += 16) {
		__mmask16 in = len - p >= 16 ? 0xffff : (__mmask16)((1u << (len - p)) - 1);
		__m512 e = vexp(_mm512_sub_ps(_mm512_loadu_ps(s + p), _mm512_set1_ps(*m)));

		sum = _mm512_mask_add_ps(sum, in, sum, e);
		_mm512_storeu_ps(s + p, _mm512_maskz_mov_ps(in, e));
	}
	*l = vreduce(sum);
}

INLINE __m512 load16(const uint16_t *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

/* Scores of the 32 positions of a block. A block of K is as many lines as a head has dimensions. */
INLINE void scores32(float *s, const float *q, struct kv_block block, int hd, const int n)
{
	const uint16_t *k = (const uint16_t *)block.p;
	__m512 acc[GROUP][2];

	for (int i = 0; i < n; i++)
		acc[i][0] = acc[i][1] = _mm512_setzero_ps();
	for (int d = 0; d < hd; d++) {
		__m512 a = load16(k + d * LANES), b = load16(k + (hd + d) * LANES);

		kv_fetch(&block, (size_t)d * 64);
		for (int i = 0; i < n; i++) {
			__m512 x = _mm512_set1_ps(q[i * Q_STRIDE + d]);

			acc[i][0] = _mm512_fmadd_ps(x, a, acc[i][0]);
			acc[i][1] = _mm512_fmadd_ps(x, b, acc[i][1]);
		}
	}
	for (int i = 0; i < n; i++) {
		_mm512_storeu_ps(s + i * S_STRIDE, acc[i][0]);
		_mm512_storeu_ps(s + i * S_STRIDE + LANES, acc[i][1]);
	}
}

/* o[i][d0 .. d0 + 16*n_vec). Up to `common` every query attends; from there on each by its own length, because a value that
 * a query must not see may be anything, and 0 * anything is not always 0. */
INLINE void values(float *o, const float *s, const struct attn_kv *kv, int32_t p0, int d0, const struct reach *r,
		   const int n, const int n_vec)
{
	__m512 acc[GROUP][4], val[4];
	int hd = kv->head_dim;

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_vec; j++)
			acc[i][j] = _mm512_setzero_ps();
	for (int p = 0; p < r->longest;) {
		struct kv_block block = kv_block_v(kv, p0, p / KV_BLOCK);
		const uint16_t *v = (const uint16_t *)block.p + d0;
		int end = r->longest - p < KV_BLOCK ? r->longest : p + KV_BLOCK,
		    all = r->common < end ? r->common : end;
		size_t at = (size_t)d0 * 2;

		for (; p < all; p++, v += hd, at += (size_t)hd * 2) {
			for (int j = 0; j < n_vec; j++)
				val[j] = load16(v + j * LANES);
			for (int j = 0; j < n_vec; j += 2)
				kv_fetch(&block, at + (size_t)j * 2 * LANES);
			for (int i = 0; i < n; i++) {
				__m512 e = _mm512_set1_ps(s[i * S_STRIDE + p]);

				for (int j = 0; j < n_vec; j++)
					acc[i][j] = _mm512_fmadd_ps(e, val[j], acc[i][j]);
			}
		}
		for (; p < end; p++, v += hd) {
			for (int j = 0; j < n_vec; j++)
				val[j] = load16(v + j * LANES);
			for (int i = 0; i < n; i++) {
				__m512 e = _mm512_set1_ps(s[i * S_STRIDE + p]);
				__mmask16 sees = (__mmask16) - (p < r->len[i]);

				for (int j = 0; j < n_vec; j++)
					acc[i][j] = _mm512_mask3_fmadd_ps(e, val[j], acc[i][j], sees);
			}
		}
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_vec; j++)
			_mm512_storeu_ps(o + i * hd + d0 + j * LANES, acc[i][j]);
}

INLINE void group(const int n, float *o, float *m, float *l, const float *const *q, float scale, const int32_t *pos,
		  const struct attn_kv *kv, int32_t p0, int32_t p1, float *s)
{
	struct reach r = avx512vnni_attn_reach(pos, n, p0, p1);
	float x[GROUP * Q_STRIDE];
	int hd = kv->head_dim, d = 0;
	const int wide = n <= 4 ? 4 : 2;

	for (int i = 0; i < n; i++)
		for (int j = 0; j < hd; j += LANES)
			_mm512_storeu_ps(x + i * Q_STRIDE + j,
					 _mm512_mul_ps(_mm512_loadu_ps(q[i] + j), _mm512_set1_ps(scale)));
	for (int p = 0; p < r.longest; p += KV_BLOCK)
		scores32(s + p, x, kv_block_k(kv, p0, p / KV_BLOCK), hd, n);
	for (int i = 0; i < n; i++)
		avx512vnni_attn_softmax(s + i * S_STRIDE, r.len[i], &m[i], &l[i]);
	for (; d + wide * LANES <= hd; d += wide * LANES)
		values(o, s, kv, p0, d, &r, n, wide);
	for (; d + 2 * LANES <= hd; d += 2 * LANES)
		values(o, s, kv, p0, d, &r, n, 2);
	for (; d < hd; d += LANES)
		values(o, s, kv, p0, d, &r, n, 1);
}

void avx512vnni_attn_chunk_f16(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(n_q, group, o + i * kv->head_dim, m + i, l + i, q + i, scale, pos + i, kv, p0, p1, scratch)
}
