/* A panel's sums, for the walk of the products: four quarter panels of 4 rows. */
#ifndef GYRE_KERNELS_NEON_SUMS_H
#define GYRE_KERNELS_NEON_SUMS_H

#include "kernels/neon/simd.h"

#define SMALL 2 /* tokens for which the sums of a whole panel and a quarter's weights fit the registers */

typedef float32x4_t panel_sums[QUARTERS][ACT_TILE];
#define SUMS_IN_REGISTERS(len) ACT_TILE /* tokens, of blocks of len columns */

/* What tells the types of a file apart; each file has its own. */
struct form;

/* Adds a block of a panel to acc[quarter][n]. */
typedef void block_fn(int n, const struct form *f, panel_sums acc, const uint8_t *panel, const uint8_t *x);

INLINE void sums_zero(const int n, panel_sums acc)
{
	for (int r = 0; r < QUARTERS; r++)
		for (int t = 0; t < n; t++)
			acc[r][t] = vdupq_n_f32(0);
}

INLINE void sums_copy(const int n, panel_sums to, panel_sums from)
{
	for (int r = 0; r < QUARTERS; r++)
		for (int t = 0; t < n; t++)
			to[r][t] = from[r][t];
}

/* acc = left + acc. */
INLINE void sums_add(const int n, panel_sums left, panel_sums acc)
{
	for (int r = 0; r < QUARTERS; r++)
		for (int t = 0; t < n; t++)
			acc[r][t] = vaddq_f32(left[r][t], acc[r][t]);
}

INLINE void sums_store(const int n, float *y, size_t y_stride, panel_sums acc)
{
	for (int r = 0; r < QUARTERS; r++)
		for (int t = 0; t < n; t++)
			vst1q_f32(y + (size_t)t * y_stride + 4 * r, acc[r][t]);
}

#endif
