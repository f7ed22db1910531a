/* A panel's sums, for the walk of the products. */
#ifndef GYRE_KERNELS_AVX512VNNI_SUMS_H
#define GYRE_KERNELS_AVX512VNNI_SUMS_H

#include "kernels/avx512vnni/simd.h"

typedef __m512 panel_sums[ACT_TILE];
#define SUMS_IN_REGISTERS(len) ACT_TILE /* tokens, of blocks of len columns */

/* What tells the types of a file apart; each file has its own. */
struct form;

/* Adds a block of a panel to acc[n]. */
typedef void block_fn(size_t n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x);

INLINE void sums_zero(const int n, panel_sums acc)
{
	for (int t = 0; t < n; t++)
		acc[t] = _mm512_setzero_ps();
}

INLINE void sums_copy(const int n, panel_sums to, panel_sums from)
{
	for (int t = 0; t < n; t++)
		to[t] = from[t];
}

/* acc = left + acc. */
INLINE void sums_add(const int n, panel_sums left, panel_sums acc)
{
	for (int t = 0; t < n; t++)
		acc[t] = _mm512_add_ps(left[t], acc[t]);
}

INLINE void sums_store(const int n, float *y, size_t y_stride, panel_sums acc)
{
	for (int t = 0; t < n; t++)
		_mm512_storeu_ps(y + (size_t)t * y_stride, acc[t]);
}

#endif
