/* The functions that avx2.c installs; contracts in kernels.h. */
#ifndef GYRE_KERNELS_AVX2_AVX2_H
#define GYRE_KERNELS_AVX2_AVX2_H

#include "kernels/ref/ref.h"

ref_matmul_fn avx2_matmul_q4_0, avx2_matmul_q4_1, avx2_matmul_q5_0,
	avx2_matmul_q5_1, avx2_matmul_q8_0, avx2_matmul_q4_k, avx2_matmul_q5_k, avx2_matmul_q6_k;

void avx2_silu_mul(float *y, const float *gate, const float *up, size_t n);
void avx2_attn_chunk(float *o, float *m, float *l, const float *q, const int32_t *pos, int n_q, const struct attn_kv *kv,
		     int32_t p0, int32_t p1, float *scratch);

#endif
