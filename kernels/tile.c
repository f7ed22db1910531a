/* Sizes of activation tiles; layouts in kernels.h. */
#include "kernels/tile.h"

#include "kernels/kernels.h"

size_t act_tile_bytes(enum act_kind kind, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok;

	switch (kind) {
	case ACT_F32:
		return n_col * n * sizeof(float);
	case ACT_Q8:
		return n_col / 32 * ACT_Q8_BYTES(n);
	default:
		return n_col / 256 * ACT_Q8_K_BYTES(n);
	}
}
