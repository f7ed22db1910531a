/* Where a block of positions of a q8_0 KV holds what (kernels.h, enum kvq_type): blocks of 32 dimensions, each its positions' scales and
 * then their quants. */
#ifndef GYRE_KERNELS_KVQ_Q8_H
#define GYRE_KERNELS_KVQ_Q8_H

#include "kernels/constant_n.h"
#include "kernels/kernels.h"

#include <string.h>

#define KVQ_Q8_LEN             32             /* dimensions of a block */
#define KVQ_Q8_QUANTS          (2 * KV_BLOCK) /* where the quants begin, behind f16 d[KV_BLOCK] */
#define KVQ_Q8_BYTES           (KVQ_Q8_QUANTS + KVQ_Q8_LEN * KV_BLOCK)
#define KVQ_Q8_BLOCKS(dim_max) (((dim_max) + KVQ_Q8_LEN - 1) / KVQ_Q8_LEN) /* blocks at most */

/* How many dimensions a block from dimension d on has: the last may be a half. */
static inline int kvq_q8_len(int dim, int d)
{
	return dim - d < KVQ_Q8_LEN ? dim - d : KVQ_Q8_LEN;
}

/* Dimension d (0..KVQ_Q8_LEN-1) of a slot among the quants of K, and of V: 4 dimensions, and 4 positions, in adjacent bytes. */
static inline size_t kvq_q8_k_at(size_t slot, size_t d)
{
	return (d / 4 * KV_BLOCK + slot) * 4 + d % 4;
}

static inline size_t kvq_q8_v_at(size_t slot, size_t d)
{
	return (slot / 4 * KVQ_Q8_LEN + d) * 4 + slot % 4;
}

/* The scale of a block that is not finite: one NaN on every ISA. */
#define KVQ_Q8_NAN 0x7e00

static inline bool kvq_q8_is_finite(uint16_t d)
{
	return (d & 0x7c00) != 0x7c00;
}

/* Quantizes x[len], len 16 or 32, by the rule of kernels.h to q + 128; returns d as f16. */
typedef uint16_t kvq_q8_quantize_fn(uint8_t q[KVQ_Q8_LEN], const float *x, int len);

/* Both return whether the block is finite. */
INLINE bool kvq_q8_store_k(uint8_t *block, const float *k, size_t slot, int len, kvq_q8_quantize_fn *quantize)
{
	uint8_t q[KVQ_Q8_LEN];
	uint16_t d = quantize(q, k, len);

	((uint16_t *)block)[slot] = kvq_q8_is_finite(d) ? d : KVQ_Q8_NAN;
	for (size_t i = 0; i < (size_t)len; i += 4)
		memcpy(block + KVQ_Q8_QUANTS + kvq_q8_k_at(slot, i), q + i, 4);
	return kvq_q8_is_finite(d);
}

INLINE bool kvq_q8_store_v(uint8_t *block, const float *v, size_t slot, int len, kvq_q8_quantize_fn *quantize)
{
	uint8_t q[KVQ_Q8_LEN];
	uint16_t d = quantize(q, v, len);

	((uint16_t *)block)[slot] = kvq_q8_is_finite(d) ? d : KVQ_Q8_NAN;
	for (size_t i = 0; i < (size_t)len; i++)
		block[KVQ_Q8_QUANTS + kvq_q8_v_at(slot, i)] = q[i];
	return kvq_q8_is_finite(d);
}

/* kvq_store of every ISA: only how a block is quantized is its own. K and V go side by side, for each waits for its own largest. Weights
 * of V leave a NaN out, since positions that are not seen may hold any; so K's first scale speaks for all of the position. */
INLINE void kvq_q8_store(uint8_t *kb, uint8_t *vb, const float *k, const float *v, int slot, int dim_k, int dim_v,
			 kvq_q8_quantize_fn *quantize)
{
	uint16_t *first = (uint16_t *)kb + slot;
	bool is_finite = true;

	for (int d = 0; d < dim_k || d < dim_v; d += KVQ_Q8_LEN, kb += KVQ_Q8_BYTES, vb += KVQ_Q8_BYTES) {
		if (d < dim_k)
			is_finite &= kvq_q8_store_k(kb, k + d, (size_t)slot, kvq_q8_len(dim_k, d), quantize);
		if (d < dim_v)
			is_finite &= kvq_q8_store_v(vb, v + d, (size_t)slot, kvq_q8_len(dim_v, d), quantize);
	}
	if (!is_finite)
		*first = KVQ_Q8_NAN;
}

#endif
