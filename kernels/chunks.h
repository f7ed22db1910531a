/*
 * The tree in which the sums of chunks meet (kernels.h, matmul), walked chunk by chunk. Sums that wait for their right
 * sibling are a stack; when chunk c is done it holds one for each bit of c, as a binary counter does.
 */
#ifndef GYRE_KERNELS_CHUNKS_H
#define GYRE_KERNELS_CHUNKS_H

#include "kernels/kernels.h"

#define CHUNK_WAIT_MAX 4 /* bits of c < CHUNK_MAX */
_Static_assert(CHUNK_MAX == 1 << CHUNK_WAIT_MAX, "a sum waits for each bit of a chunk's index");

/* Sums that wait while chunk c is added up. */
static inline int chunk_waiting(uint32_t c)
{
	return __builtin_popcount(c);
}

/* And how many of them still wait once it has met its left siblings; none after the last chunk. */
static inline int chunk_left_waiting(const struct chunks *k, uint32_t c)
{
	return c + 1 < k->n ? __builtin_popcount(c & (c + 1)) : 0;
}

#endif
