/* Sizes of activation tiles; layouts in kernels.h. */
#include "kernels/tile.h"

#include "kernels/kernels.h"

size_t act_block_len(enum act_kind kind)
{
	if (kind == ACT_F32)
		return 1;
	return kind == ACT_Q8 || kind == ACT_Q8_ROWS || kind == ACT_Q8_EIGHTS ? 32 : 256;
}

size_t act_tile_bytes(enum act_kind kind, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok, len = act_block_len(kind);

	if (len == 1)
		return n_col * n * sizeof(float);
	return n_col / len * (len == 32 ? ACT_Q8_BYTES(n) : ACT_Q8_K_BYTES(n));
}
