/*
 * Which positions of a chunk attention walks through, where it finds their blocks, and what it fetches meanwhile. A block is done in less time than memory takes for one, so
 * beside each line of it two others are asked for, into L2: what is used in its place half a chunk later (V after K, then the
 * caller's next K) and a whole chunk later. That is twice for each line, since a CPU that has too many misses under way forgets.
 */
#ifndef GYRE_KERNELS_ATTN_KV_H
#define GYRE_KERNELS_ATTN_KV_H

#include "kernels/constant_n.h"
#include "kernels/kernels.h"

#define ATTN_S_STRIDE (ATTN_CHUNK + LANES) /* of scores: not a multiple of 2 KiB, which would fill few sets of L1 */

/* Calls body(n as a constant, begin, tile, ...) for each `len` queries of a tile, of which n are left, from the begin-th on. */
#define FOR_EACH_GROUP(tile, len, with_constant, body, ...)    \
	for (int begin = 0; begin < (tile)->n; begin += (len)) \
	with_constant((tile)->n - begin, body, begin, tile, __VA_ARGS__)

/* The positions of a chunk that each query of a group sees, counted from the first block on that has one of them. */
struct attn_reach {
	int32_t p0;                             /* where that block begins */
	int first[ATTN_GROUP], end[ATTN_GROUP]; /* 0, 0: none */
	int n;                                  /* the last one's end */
	int all_first, all_end;                 /* what all of them see */
};

/* Of the n queries from the begin-th on. */
static inline struct attn_reach attn_reach(const struct attn_tile *tile, int begin, int n, int32_t p0)
{
	struct attn_reach r = { .all_end = ATTN_CHUNK };
	int base = ATTN_CHUNK;

	for (int i = 0; i < n; i++) {
		int32_t first = tile->first[begin + i] > p0 ? tile->first[begin + i] : p0, end = tile->end[begin + i];

		end = end < p0 + ATTN_CHUNK ? end : p0 + ATTN_CHUNK;
		if (first < end) {
			r.first[i] = first - p0;
			r.end[i] = end - p0;
			base = r.first[i] < base ? r.first[i] : base;
		}
	}
	base = base / KV_BLOCK * KV_BLOCK;
	r.p0 = p0 + base;
	for (int i = 0; i < n; i++) {
		r.first[i] -= r.end[i] ? base : 0;
		r.end[i] -= r.end[i] ? base : 0;
		r.n = r.end[i] > r.n ? r.end[i] : r.n;
		r.all_first = r.first[i] > r.all_first ? r.first[i] : r.all_first;
		r.all_end = r.end[i] < r.all_end ? r.end[i] : r.all_end;
	}
	return r;
}

/* How far from p on, up to `stop`, either all see every position (*is_all) or some do not. */
INLINE int attn_reach_run(const struct attn_reach *r, int p, int stop, bool *is_all)
{
	int end = stop;

	*is_all = p >= r->all_first && p < r->all_end;
	if (*is_all)
		end = r->all_end;
	else if (p < r->all_first && r->all_first < r->all_end)
		end = r->all_first;
	return end < stop ? end : stop;
}

/* K or V of a block, and what comes half a chunk and a chunk later; the block itself where the caller names nothing. */
struct attn_block {
	const uint8_t *p, *soon, *later;
};

INLINE const uint8_t *attn_next(const struct attn_kv *kv, const uint8_t *base, size_t stride, int j,
				const uint8_t *otherwise)
{
	return j < kv->n_next ? base + kv->next_blocks[j] * stride : otherwise;
}

/* The j-th block from position p0 on. */
INLINE struct attn_block attn_block_k(const struct attn_kv *kv, int32_t p0, int j)
{
	size_t block = kv->blocks[p0 / KV_BLOCK + j];
	const uint8_t *k = kv->k + block * kv->k_stride;

	return (struct attn_block){ k, kv->v + block * kv->v_stride, attn_next(kv, kv->next_k, kv->k_stride, j, k) };
}

INLINE struct attn_block attn_block_v(const struct attn_kv *kv, int32_t p0, int j)
{
	const uint8_t *v = kv->v + kv->blocks[p0 / KV_BLOCK + j] * kv->v_stride;

	return (struct attn_block){ v, attn_next(kv, kv->next_k, kv->k_stride, j, v),
				    attn_next(kv, kv->next_v, kv->v_stride, j, v) };
}

INLINE void attn_fetch_soon(const struct attn_block *b, size_t at)
{
	__builtin_prefetch(b->soon + at, 0, 2);
}

INLINE void attn_fetch(const struct attn_block *b, size_t at)
{
	attn_fetch_soon(b, at);
	__builtin_prefetch(b->later + at, 0, 2);
}

/* V of a block of dimensions (q8_0) in n blocks of positions from p0 on: `at` bytes into each. */
struct attn_values {
	const struct attn_kv *kv;
	int32_t p0;
	int n;
	size_t at;
};

INLINE struct attn_block attn_values_block(const struct attn_values *v, int j)
{
	struct attn_block b = attn_block_v(v->kv, v->p0, j);

	return (struct attn_block){ b.p + v->at, b.soon + v->at, b.later + v->at };
}

#endif
