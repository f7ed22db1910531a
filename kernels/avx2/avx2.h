/* The functions that avx2.c installs; contracts in kernels.h. */
#ifndef GYRE_KERNELS_AVX2_AVX2_H
#define GYRE_KERNELS_AVX2_AVX2_H

#include "kernels/ref/ref.h"

ref_matmul_fn avx2_matmul_q4_0, avx2_matmul_q4_1, avx2_matmul_q5_0,
	avx2_matmul_q5_1, avx2_matmul_q8_0, avx2_matmul_q4_k, avx2_matmul_q5_k, avx2_matmul_q6_k;

#endif
