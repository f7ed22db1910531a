/*
 * The short convolution of LFM2 (Liquid AI 2025): b, c, z = Win . n;  the source of the output product is c * conv(b * z). proj: Win.
 */
#ifndef GYRE_DAEMON_MODEL_BLOCK_SHORTCONV_H
#define GYRE_DAEMON_MODEL_BLOCK_SHORTCONV_H

#include "daemon/model/block_mix.h"
#include "daemon/model/hparams.h"

extern const struct mixer shortconv;

/* Rows of a decoder's table. */
#define TENSORS_SHORTCONV                                                                                      \
	TENSOR("attn_norm.weight", mix.norm.w, .width = VECTOR_EMBD, .in = LAYER_STATE),                       \
		TENSOR("shortconv.in_proj.weight", mix.proj[0], .axis = PLAN_ROW, .n_row = VECTOR_EMBD_THRICE, \
		       .width = VECTOR_EMBD, .in = LAYER_STATE),                                               \
		TENSOR("shortconv.conv.weight", mix.conv, .n_row = VECTOR_EMBD, .width = VECTOR_SSM_TAPS,      \
		       .in = LAYER_STATE),                                                                     \
		TENSOR("shortconv.out_proj.weight", mix_output.w, .axis = PLAN_ROW, .n_row = VECTOR_EMBD,      \
		       .width = VECTOR_EMBD, .in = LAYER_STATE)

/* Reads hparams.ssm.conv_kernel; the layers that have no heads are convolutions. -ENOTSUP, -EINVAL with what is wrong. */
int block_shortconv_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e);

#endif
