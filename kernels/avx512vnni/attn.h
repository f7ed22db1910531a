/*
 * What attention over every KV type shares here. Queries go in groups of up to GROUP through all positions of a chunk: scores
 * (lane = position), softmax, values (lane = d). So K and V come from memory once a call and from L2 after that.
 */
#ifndef GYRE_KERNELS_AVX512VNNI_ATTN_H
#define GYRE_KERNELS_AVX512VNNI_ATTN_H

#include "kernels/attn_kv.h"
#include "kernels/avx512vnni/simd.h"

#define GROUP ATTN_GROUP

/* Scores of query i -> weights in place, 0 for what it does not see, up to the end of the last block; max and sum. */
void avx512vnni_attn_softmax(float *s, const struct attn_reach *r, int i, float cap, float *m, float *l);

#endif
