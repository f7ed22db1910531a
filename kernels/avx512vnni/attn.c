/* Attention over a KV of f16 or f32. Every query of a group uses each K and V vector while it is in a register; two groups of sixteen
 * positions, or up to four vectors of d, run side by side, for the chains of a few queries alone would wait for themselves. */
#include "kernels/avx512vnni/attn.h"
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/avx512vnni/vexp.h"
#include "kernels/avx512vnni/vtanh.h"

#include <math.h>

#define Q_STRIDE (DIM_K_MAX + LANES)

/* Which of the positions [p, p + 16) are in [first, end). */
INLINE __mmask16 lanes_seen(int p, int first, int end)
{
	uint32_t below_end = end - p >= LANES ? 0xffff
			     : end > p        ? (1u << (end - p)) - 1
					      : 0,
		 below_first = first - p >= LANES ? 0xffff
			       : first > p        ? (1u << (first - p)) - 1
						  : 0;

	return (__mmask16)(below_end & ~below_first);
}

static void cap_scores(float *s, int n, float cap)
{
	__m512 c = _mm512_set1_ps(cap);

	for (int p = 0; p < n; p += LANES)
		_mm512_storeu_ps(s + p, _mm512_mul_ps(c, vtanh(_mm512_div_ps(_mm512_loadu_ps(s + p), c))));
}

void avx512vnni_attn_softmax(float *s, const struct attn_reach *r, int i, float cap, float *m, float *l)
{
	int n = (r->n + KV_BLOCK - 1) / KV_BLOCK * KV_BLOCK, first = r->first[i], end = r->end[i];
	__m512 max = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();

	if (cap != 0.0f)
		cap_scores(s, n, cap);
	for (int p = 0; p < n; p += LANES) /* a NaN as the first operand loses */
		max = _mm512_mask_max_ps(max, lanes_seen(p, first, end), _mm512_loadu_ps(s + p), max);
	*m = _mm512_reduce_max_ps(max) + 0.0f;
	for (int p = 0; p < n; p += LANES) {
		__m512 e = vexp_or_nan(_mm512_sub_ps(_mm512_loadu_ps(s + p), _mm512_set1_ps(*m)));

		e = _mm512_maskz_mov_ps(lanes_seen(p, first, end), e);
		sum = _mm512_add_ps(sum, e);
		_mm512_storeu_ps(s + p, e);
	}
	*l = vreduce(sum);
}

/* Sixteen numbers of `size` bytes each. */
INLINE __m512 load16(const uint8_t *p, const size_t size)
{
	return size == 2 ? _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)) : _mm512_loadu_ps(p);
}

/* Scores of the 32 positions of a block. A block of K is as many lines as a head has dimensions; of floats, twice as many. */
INLINE void scores32(float *s, const float *q, struct attn_block block, int dim, const size_t size, const int n)
{
	const size_t row = size * LANES, half = (size_t)dim * row;
	__m512 acc[GROUP][2];

	for (int i = 0; i < n; i++)
		acc[i][0] = acc[i][1] = _mm512_setzero_ps();
	for (int d = 0; d < dim; d++) {
		size_t at = (size_t)d * row;
		__m512 a = load16(block.p + at, size), b = load16(block.p + half + at, size);

		attn_fetch(&block, 2 * at);
		if (size > 2)
			attn_fetch(&block, 2 * at + 64);
		for (int i = 0; i < n; i++) {
			__m512 x = _mm512_set1_ps(q[i * Q_STRIDE + d]);

			acc[i][0] = _mm512_fmadd_ps(x, a, acc[i][0]);
			acc[i][1] = _mm512_fmadd_ps(x, b, acc[i][1]);
		}
	}
	for (int i = 0; i < n; i++) {
		_mm512_storeu_ps(s + i * ATTN_S_STRIDE, acc[i][0]);
		_mm512_storeu_ps(s + i * ATTN_S_STRIDE + LANES, acc[i][1]);
	}
}

/* Adds positions [p, end) of a block. What a query must not see may be anything, and 0 * anything is not always 0. */
INLINE void add_values(__m512 acc[GROUP][4], const float *s, const struct attn_block *block, size_t at, size_t row,
		       const struct attn_reach *r, int p, int end, const bool is_all, const size_t size, const int n,
		       const int n_vec)
{
	__m512 val[4];

	for (; p < end; p++, at += row) {
		for (int j = 0; j < n_vec; j++)
			val[j] = load16(block->p + at + (size_t)j * size * LANES, size);
		for (int j = 0; j<n_vec; j += size> 2 ? 1 : 2)
			attn_fetch(block, at + (size_t)j * size * LANES);
		for (int i = 0; i < n; i++) {
			__m512 e = _mm512_set1_ps(s[i * ATTN_S_STRIDE + p]);
			__mmask16 sees = is_all ? 0xffff : (__mmask16) - (p >= r->first[i] && p < r->end[i]);

			for (int j = 0; j < n_vec; j++)
				acc[i][j] = is_all ? _mm512_fmadd_ps(e, val[j], acc[i][j])
						   : _mm512_mask3_fmadd_ps(e, val[j], acc[i][j], sees);
		}
	}
}

/* o[i][d0 .. d0 + 16*n_vec) */
INLINE void values(float *o, const float *s, const struct attn_kv *kv, int d0, const struct attn_reach *r,
		   const size_t size, const int n, const int n_vec)
{
	size_t row = (size_t)kv->dim_v * size;
	__m512 acc[GROUP][4];

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_vec; j++)
			acc[i][j] = _mm512_setzero_ps();
	for (int p = 0, end; p < r->n; p = end) {
		struct attn_block block = attn_block_v(kv, r->p0, p / KV_BLOCK);
		int stop = (p / KV_BLOCK + 1) * KV_BLOCK;
		size_t at = (size_t)(p % KV_BLOCK) * row + (size_t)d0 * size;
		bool is_all;

		end = attn_reach_run(r, p, stop < r->n ? stop : r->n, &is_all);
		if (is_all)
			add_values(acc, s, &block, at, row, r, p, end, true, size, n, n_vec);
		else
			add_values(acc, s, &block, at, row, r, p, end, false, size, n, n_vec);
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n_vec; j++)
			_mm512_storeu_ps(o + i * kv->dim_v + d0 + j * LANES, acc[i][j]);
}

INLINE void group(const int n, int begin, const struct attn_tile *tile, const struct attn_partial *to,
		  const struct attn_kv *kv, int32_t p0, float *s, const size_t size)
{
	struct attn_reach r = attn_reach(tile, begin, n, p0);
	__m512 scale = _mm512_set1_ps(tile->scale);
	float x[GROUP * Q_STRIDE], *o = to->o + begin * kv->dim_v;
	const int wide = n <= 4 ? 4 : 2;
	int d = 0;

	for (int i = 0; i < n; i++)
		for (int j = 0; j < kv->dim_k; j += LANES)
			_mm512_storeu_ps(x + i * Q_STRIDE + j,
					 _mm512_mul_ps(_mm512_loadu_ps(tile->q[begin + i] + j), scale));
	for (int p = 0; p < r.n; p += KV_BLOCK)
		scores32(s + p, x, attn_block_k(kv, r.p0, p / KV_BLOCK), kv->dim_k, size, n);
	for (int i = 0; i < n; i++)
		avx512vnni_attn_softmax(s + i * ATTN_S_STRIDE, &r, i, tile->cap, &to->m[begin + i], &to->l[begin + i]);
	for (; d + wide * LANES <= kv->dim_v; d += wide * LANES)
		values(o, s, kv, d, &r, size, n, wide);
	for (; d + 2 * LANES <= kv->dim_v; d += 2 * LANES)
		values(o, s, kv, d, &r, size, n, 2);
	for (; d < kv->dim_v; d += LANES)
		values(o, s, kv, d, &r, size, n, 1);
}

void avx512vnni_attn_chunk_f16(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(tile, GROUP, WITH_CONSTANT_8, group, to, kv, p0, scratch, sizeof(uint16_t))
}

void avx512vnni_attn_chunk_f32(ATTN_CHUNK_ARGS)
{
	FOR_EACH_GROUP(tile, GROUP, WITH_CONSTANT_8, group, to, kv, p0, scratch, sizeof(float))
}
