/* What attention over every KV type shares here. */
#ifndef GYRE_KERNELS_NEON_ATTN_H
#define GYRE_KERNELS_NEON_ATTN_H

#include "kernels/attn_kv.h"
#include "kernels/neon/simd.h"

#define GROUP 4 /* queries side by side, a lane each: with sixteen positions or dimensions sixteen sums */
#define PARTS 4 /* vectors of LANES */

/* Scores of query i -> weights in place, 0 for what it does not see, up to the end of the last block; max and sum. */
void neon_attn_softmax(float *s, const struct attn_reach *r, int i, float cap, float *m, float *l);

#endif
