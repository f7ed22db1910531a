/* What the files of this folder share. */
#ifndef GYRE_KERNELS_AVXVNNI_AVXVNNI_H
#define GYRE_KERNELS_AVXVNNI_AVXVNNI_H

#include "kernels/avx2/sums.h"
#include "kernels/avx2/unpack.h"
#include "kernels/avxvnni/dot.h"
#include "kernels/matmul.h"

/* Adds the products of n_group k-groups of unsigned bytes with one token's; q steps by `step` bytes from group to group. */
INLINE __m256i dot_groups(__m256i isum, const __m256i *v, const int n_group, const int8_t *q, size_t step)
{
	for (int g = 0; g < n_group; g++)
		isum = dot4(isum, v[g], broadcast4(q + (size_t)g * step));
	return isum;
}

/* acc[n] += dw * d[n] * isum[n] */
INLINE void add_scaled(const int n, __m256 *acc, __m256 dw, const float *d, const __m256i *isum)
{
	for (int t = 0; t < n; t++)
		acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_set1_ps(d[t])), _mm256_cvtepi32_ps(isum[t]), acc[t]);
}

/* matmul_q8.c, matmul_k.c, matmul_iq.c */
extern const struct matmul_row avxvnni_matmul_q8[], avxvnni_matmul_k[], avxvnni_matmul_iq[];

#endif
