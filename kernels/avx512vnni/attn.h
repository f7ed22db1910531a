/*
 * What attention over every KV type shares here. Queries go in groups of up to GROUP through all positions of a chunk: scores
 * (lane = position), softmax, values (lane = d). So K and V come from memory once a call and from L2 after that.
 */
#ifndef GYRE_KERNELS_AVX512VNNI_ATTN_H
#define GYRE_KERNELS_AVX512VNNI_ATTN_H

#include "kernels/attn_kv.h"
#include "kernels/avx512vnni/simd.h"

#define GROUP    8
#define S_STRIDE (ATTN_CHUNK + LANES) /* of scores: not a multiple of 2 KiB, which would fill few sets of L1 */

/* How many positions of a chunk each query of a group sees; the least and the most of them. */
struct reach {
	int len[GROUP], common, longest;
};

struct reach avx512vnni_attn_reach(const int32_t *pos, int n, int32_t p0, int32_t p1);
/* exp(s - max) of one query's scores in place; lanes past `len` are left out of the sum and become 0. */
void avx512vnni_attn_softmax(float *s, int len, float *m, float *l);

/* Calls body(n as a constant, ...) for each group; i is its first query. */
#define FOR_EACH_GROUP(n_q, body, ...)         \
	for (int i = 0; i < (n_q); i += GROUP) \
	WITH_CONSTANT_8((n_q)-i, body, __VA_ARGS__)

#endif
