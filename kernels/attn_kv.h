/*
 * Where attention finds a chunk's blocks, and what it fetches meanwhile. A block is done in less time than memory takes for one, so
 * beside each line of it two others are asked for, into L2: what is used in its place half a chunk later (V after K, then the
 * caller's next K) and a whole chunk later. That is twice for each line, since a CPU that has too many misses under way forgets.
 */
#ifndef GYRE_KERNELS_ATTN_KV_H
#define GYRE_KERNELS_ATTN_KV_H

#include "kernels/constant_n.h"
#include "kernels/kernels.h"

/* K or V of a block, and what comes half a chunk and a chunk later; the block itself where the caller names nothing. */
struct kv_block {
	const uint8_t *p, *soon, *later;
};

INLINE const uint8_t *kv_next(const struct attn_kv *kv, const uint8_t *base, int j, const uint8_t *otherwise)
{
	return j < kv->n_next ? base + kv->next_blocks[j] * kv->block_stride : otherwise;
}

/* The j-th block from position p0 on. */
INLINE struct kv_block kv_block_k(const struct attn_kv *kv, int32_t p0, int j)
{
	size_t at = kv->blocks[p0 / KV_BLOCK + j] * kv->block_stride;
	const uint8_t *k = kv->k + at;

	return (struct kv_block){ k, kv->v + at, kv_next(kv, kv->next_k, j, k) };
}

INLINE struct kv_block kv_block_v(const struct attn_kv *kv, int32_t p0, int j)
{
	const uint8_t *v = kv->v + kv->blocks[p0 / KV_BLOCK + j] * kv->block_stride;

	return (struct kv_block){ v, kv_next(kv, kv->next_k, j, v), kv_next(kv, kv->next_v, j, v) };
}

INLINE void kv_fetch_soon(const struct kv_block *b, size_t at)
{
	__builtin_prefetch(b->soon + at, 0, 2);
}

INLINE void kv_fetch(const struct kv_block *b, size_t at)
{
	kv_fetch_soon(b, at);
	__builtin_prefetch(b->later + at, 0, 2);
}

/* V of a block of dimensions (q8_0) in n blocks of positions from p0 on: `at` bytes into each. */
struct kv_part {
	const struct attn_kv *kv;
	int32_t p0;
	int n;
	size_t at;
};

INLINE struct kv_block kv_part_block(const struct kv_part *v, int j)
{
	struct kv_block b = kv_block_v(v->kv, v->p0, j);

	return (struct kv_block){ b.p + v->at, b.soon + v->at, b.later + v->at };
}

#endif
