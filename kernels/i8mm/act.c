/* Activation tiles whose quants are interleaved by eights; those of few tokens are the parent's. */
#include "kernels/i8mm/i8mm.h"
#include "kernels/neon/act.h"

void i8mm_act_pack_q8_eights(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	if (n_tok < ACT_EIGHTS_MIN)
		neon_act_pack_q8(dst, x, x_stride, n_tok, n_col);
	else
		pack_q8(dst, x, x_stride, n_tok, n_col, 8);
}

void i8mm_act_pack_q8_k_eights(void *dst, const float *x, size_t x_stride, int n_tok, size_t n_col)
{
	if (n_tok < ACT_EIGHTS_MIN)
		neon_act_pack_q8_k(dst, x, x_stride, n_tok, n_col);
	else
		pack_q8_k(dst, x, x_stride, n_tok, n_col, 8);
}
