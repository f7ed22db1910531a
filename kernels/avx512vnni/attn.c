/*
 * Attention over a paged f16 KV. Scores: lane = position, K comes transposed by sixteen positions, and every query of the tile
 * uses each K vector while it is in a register. Values: lane = d. Nothing is summed across lanes but the denominator.
 */
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/vexp.h"

#include <math.h>

static inline __m512 load16(const uint16_t *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

/* Scores of sixteen positions for n queries. */
static inline __attribute__((always_inline)) void scores16(float *s, const float *q, const uint16_t *k, int hd,
							   const int n)
{
	__m512 acc[ATTN_TILE];

	for (int i = 0; i < n; i++)
		acc[i] = _mm512_setzero_ps();
	for (int d = 0; d < hd; d++) {
		__m512 kv = load16(k + d * LANES);

		for (int i = 0; i < n; i++)
			acc[i] = _mm512_fmadd_ps(_mm512_set1_ps(q[i * hd + d]), kv, acc[i]);
	}
	for (int i = 0; i < n; i++)
		_mm512_storeu_ps(s + i * ATTN_CHUNK, acc[i]);
}

/* exp(s - max) of one query's scores in place; lanes past `len` are left out of the sum and become 0. */
static void softmax(float *s, int len, float *m, float *l)
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

/* o[i][d0..d0+15] of n queries. Up to `common` every query attends; from there on each by its own length, because a value
 * that a query must not see may be anything, and 0 * anything is not always 0. */
static inline __attribute__((always_inline)) void values16(float *o, const float *s, const struct attn_kv *kv,
							   int32_t p0, int d0, const int *len, int common, int longest,
							   const int n)
{
	__m512 acc[ATTN_TILE];
	int hd = kv->head_dim;

	for (int i = 0; i < n; i++)
		acc[i] = _mm512_setzero_ps();
	for (int b = 0; b < longest; b += KV_BLOCK) {
		const uint16_t *v = kv->v + kv->blocks[(p0 + b) / KV_BLOCK] * kv->block_stride + d0;
		int end = longest - b < KV_BLOCK ? longest : b + KV_BLOCK, all = common < end ? common : end, p = b;

		for (; p < all; p++, v += hd) {
			__m512 val = load16(v);

			for (int i = 0; i < n; i++)
				acc[i] = _mm512_fmadd_ps(_mm512_set1_ps(s[i * ATTN_CHUNK + p]), val, acc[i]);
		}
		for (; p < end; p++, v += hd) {
			__m512 val = load16(v);

			for (int i = 0; i < n; i++)
				if (p < len[i])
					acc[i] = _mm512_fmadd_ps(_mm512_set1_ps(s[i * ATTN_CHUNK + p]), val, acc[i]);
		}
	}
	for (int i = 0; i < n; i++)
		_mm512_storeu_ps(o + i * hd + d0, acc[i]);
}

static inline __attribute__((always_inline)) void chunk(float *o, float *m, float *l, const float *q,
							const int32_t *pos, const int n, const struct attn_kv *kv,
							int32_t p0, int32_t p1, float *s)
{
	int len[ATTN_TILE], longest = 0, common = p1 - p0, hd = kv->head_dim;

	for (int i = 0; i < n; i++) {
		int32_t end = p1 < pos[i] + 1 ? p1 : pos[i] + 1;

		len[i] = end > p0 ? end - p0 : 0;
		longest = len[i] > longest ? len[i] : longest;
		common = len[i] < common ? len[i] : common;
	}
	for (int p = 0; p < longest; p += LANES) {
		const uint16_t *k = kv->k + kv->blocks[(p0 + p) / KV_BLOCK] * kv->block_stride +
				    (size_t)(p % KV_BLOCK / LANES) * (size_t)hd * LANES;

		scores16(s + p, q, k, hd, n);
	}
	for (int i = 0; i < n; i++)
		softmax(s + i * ATTN_CHUNK, len[i], &m[i], &l[i]);
	for (int d = 0; d < hd; d += LANES)
		values16(o, s, kv, p0, d, len, common, longest, n);
}

void avx512vnni_attn_chunk(float *o, float *m, float *l, const float *q, const int32_t *pos, int n_q,
			   const struct attn_kv *kv, int32_t p0, int32_t p1, float *scratch)
{
	switch (n_q) {
	case 1:
		chunk(o, m, l, q, pos, 1, kv, p0, p1, scratch);
		break;
	case 2:
		chunk(o, m, l, q, pos, 2, kv, p0, p1, scratch);
		break;
	case 3:
		chunk(o, m, l, q, pos, 3, kv, p0, p1, scratch);
		break;
	case 4:
		chunk(o, m, l, q, pos, 4, kv, p0, p1, scratch);
		break;
	case 5:
		chunk(o, m, l, q, pos, 5, kv, p0, p1, scratch);
		break;
	case 6:
		chunk(o, m, l, q, pos, 6, kv, p0, p1, scratch);
		break;
	case 7:
		chunk(o, m, l, q, pos, 7, kv, p0, p1, scratch);
		break;
	default:
		chunk(o, m, l, q, pos, 8, kv, p0, p1, scratch);
	}
}
