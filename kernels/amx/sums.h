/* A panel's sums, for the walk of the products: in memory, since a tile's sums come by memory as well. */
#ifndef GYRE_KERNELS_AMX_SUMS_H
#define GYRE_KERNELS_AMX_SUMS_H

#include "kernels/constant_n.h"
#include "kernels/kernels.h"

#include <string.h>

typedef float panel_sums[ACT_TILE][PANEL_ROWS];
#define SUMS_IN_REGISTERS(len) ACT_TILE /* tokens, of blocks of len columns */

/* What tells the types of a file apart; each file has its own. */
struct form;

/* Adds a block of a panel to acc[n]. */
typedef void block_fn(int n, const struct form *f, panel_sums acc, const uint8_t *w, const uint8_t *x);

INLINE void sums_zero(const int n, panel_sums acc)
{
	memset(acc, 0, (size_t)n * sizeof(acc[0]));
}

INLINE void sums_copy(const int n, panel_sums to, panel_sums from)
{
	memcpy(to, from, (size_t)n * sizeof(to[0]));
}

/* acc = left + acc. */
INLINE void sums_add(const int n, panel_sums left, panel_sums acc)
{
	for (int t = 0; t < n; t++)
		for (int r = 0; r < PANEL_ROWS; r++)
			acc[t][r] = left[t][r] + acc[t][r];
}

INLINE void sums_store(const int n, float *y, size_t y_stride, panel_sums acc)
{
	for (int t = 0; t < n; t++)
		memcpy(y + (size_t)t * y_stride, acc[t], sizeof(acc[t]));
}

#endif
