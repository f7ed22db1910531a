/* What attention over every KV type shares here. */
#ifndef GYRE_KERNELS_AVX2_ATTN_H
#define GYRE_KERNELS_AVX2_ATTN_H

#include "kernels/attn_kv.h"
#include "kernels/avx2/simd.h"

#define GROUP    4                    /* queries side by side: eight accumulators of sixteen registers */
#define S_STRIDE (ATTN_CHUNK + LANES) /* of scores: not a multiple of 2 KiB, which would fill few sets of L1 */

/* How many positions of a chunk each query of a group sees; the least and the most of them. */
struct reach {
	int len[GROUP], common, longest;
};

struct reach avx2_attn_reach(const int32_t *pos, int n, int32_t p0, int32_t p1);
/* s -> exp(s - max) in place for n positions, up to 15 zeros behind them; max and sum. */
void avx2_attn_softmax(float *s, int n, float *m, float *l);

/* Calls body(n as a constant, ...) for each group; i is its first query. */
#define FOR_EACH_GROUP(n_q, body, ...)         \
	for (int i = 0; i < (n_q); i += GROUP) \
	WITH_CONSTANT_4((n_q)-i, body, __VA_ARGS__)

#endif
