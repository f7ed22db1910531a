/* A panel's sums, for the walk of the products: two half panels of 8 rows. */
#ifndef GYRE_KERNELS_AVX2_SUMS_H
#define GYRE_KERNELS_AVX2_SUMS_H

#include "kernels/avx2/simd.h"

typedef __m256 panel_sums[2][ACT_TILE];
#define SUMS_IN_REGISTERS(len) ((len) == 1 ? ACT_TILE : 6) /* tokens, of blocks of len columns */

/* What tells the types of a file apart; each file has its own. */
struct form;

/* Adds a block of a panel to acc[half][n]. */
typedef void block_fn(int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x);

INLINE void sums_zero(const int n, panel_sums acc)
{
	for (int t = 0; t < n; t++)
		acc[0][t] = acc[1][t] = _mm256_setzero_ps();
}

INLINE void sums_copy(const int n, panel_sums to, panel_sums from)
{
	for (int t = 0; t < n; t++) {
		to[0][t] = from[0][t];
		to[1][t] = from[1][t];
	}
}

/* acc = left + acc. */
INLINE void sums_add(const int n, panel_sums left, panel_sums acc)
{
	for (int t = 0; t < n; t++) {
		acc[0][t] = _mm256_add_ps(left[0][t], acc[0][t]);
		acc[1][t] = _mm256_add_ps(left[1][t], acc[1][t]);
	}
}

INLINE void sums_store(const int n, float *y, size_t y_stride, panel_sums acc)
{
	for (int t = 0; t < n; t++) {
		_mm256_storeu_ps(y + (size_t)t * y_stride, acc[0][t]);
		_mm256_storeu_ps(y + (size_t)t * y_stride + 8, acc[1][t]);
	}
}

#endif
