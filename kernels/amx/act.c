/* Tiles whose tokens' quants stand side by side: the parent quantizes token by token, and the parts of its tiles of one go to their
 * places. Tiles of few tokens are the parent's. */
#include "kernels/amx/amx.h"

/* A part of a block: `each` bytes of a token side by side, `count` times, as many of all tokens apart. */
INLINE void spread(uint8_t *tile, const uint8_t *one, const size_t at, const size_t each, const size_t count, size_t n,
		   size_t t)
{
	for (size_t i = 0; i < count; i++)
		memcpy(tile + at * n + (i * n + t) * each, one + at + i * each, each);
}

void amx_act_pack_q8_rows(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok;

	if (n_tok < ACT_ROWS_MIN) {
		amx_parent.act_pack[ACT_Q8](dst, x, x_stride, n_tok, n_col);
		return;
	}
	for (size_t t = 0; t < n; t++)
		for (size_t b = 0; b < n_col / 32; b++) {
			uint8_t *tile = (uint8_t *)dst + b * ACT_Q8_BYTES(n);
			_Alignas(4) uint8_t one[ACT_Q8_BYTES(1)];

			amx_parent.act_pack[ACT_Q8](one, x + t * x_stride + 32 * b, 32, 1, 32);
			spread(tile, one, 0, 4, 3, n, t); /* d, s, nsum */
			spread(tile, one, ACT_Q8_Q(1), 32, 1, n, t);
			spread(tile, one, ACT_Q8_CROSS(1), 4, 1, n, t);
		}
}

void amx_act_pack_q8_k_rows(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	size_t n = (size_t)n_tok;

	if (n_tok < ACT_ROWS_MIN) {
		amx_parent.act_pack[ACT_Q8_K](dst, x, x_stride, n_tok, n_col);
		return;
	}
	for (size_t t = 0; t < n; t++)
		for (size_t b = 0; b < n_col / 256; b++) {
			uint8_t *tile = (uint8_t *)dst + b * ACT_Q8_K_BYTES(n);
			_Alignas(4) uint8_t one[ACT_Q8_K_BYTES(1)];

			amx_parent.act_pack[ACT_Q8_K](one, x + t * x_stride + 256 * b, 256, 1, 256);
			spread(tile, one, 0, 4, 13, n, t); /* d, sum32, sum16 */
			spread(tile, one, ACT_Q8_K_Q(1), 256, 1, n, t);
			spread(tile, one, ACT_Q8_K_CROSS(1), 4, 24, n, t); /* cross, off */
		}
}
