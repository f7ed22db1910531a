/* Where a block of positions of a q8_0 KV holds what (kernels.h, enum kv_type): blocks of 32 dimensions, each its positions' scales and
 * then their quants. */
#ifndef GYRE_KERNELS_KV_Q8_H
#define GYRE_KERNELS_KV_Q8_H

#include "kernels/kernels.h"

#define KV_Q8_LEN             32             /* dimensions of a block */
#define KV_Q8_QUANTS          (2 * KV_BLOCK) /* where the quants begin, behind f16 d[KV_BLOCK] */
#define KV_Q8_BYTES           (KV_Q8_QUANTS + KV_Q8_LEN * KV_BLOCK)
#define KV_Q8_BLOCKS(dim_max) (((dim_max) + KV_Q8_LEN - 1) / KV_Q8_LEN) /* blocks at most */

/* How many dimensions a block from dimension d on has: the last may be a half. */
static inline int kv_q8_len(int dim, int d)
{
	return dim - d < KV_Q8_LEN ? dim - d : KV_Q8_LEN;
}

/* Dimension d (0..KV_Q8_LEN-1) of a slot among the quants of K, and of V: 4 dimensions, and 4 positions, in adjacent bytes. */
static inline size_t kv_q8_k_at(int slot, int d)
{
	return (size_t)((d / 4 * KV_BLOCK + slot) * 4 + d % 4);
}

static inline size_t kv_q8_v_at(int slot, int d)
{
	return (size_t)((slot / 4 * KV_Q8_LEN + d) * 4 + slot % 4);
}

#endif
