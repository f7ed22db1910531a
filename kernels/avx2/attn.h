/* What attention over every KV type shares here. */
#ifndef GYRE_KERNELS_AVX2_ATTN_H
#define GYRE_KERNELS_AVX2_ATTN_H

#include "kernels/attn_kv.h"
#include "kernels/avx2/simd.h"

#define GROUP 4 /* queries side by side: eight accumulators of sixteen registers */

/* Scores of query i -> weights in place, 0 for what it does not see, up to the end of the last block; max and sum. */
void avx2_attn_softmax(float *s, const struct attn_reach *r, int i, float cap, float *m, float *l);

#endif
