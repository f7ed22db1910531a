/* What Mamba and Mamba-2 share: channels that are convolved, and their sizes. */
#ifndef GYRE_DAEMON_MODEL_MAMBA_H
#define GYRE_DAEMON_MODEL_MAMBA_H

#include "daemon/model/block_mix.h"
#include "daemon/model/hparams.h"

#define MAMBA_UNIT 64u /* channels that go together */

/* block_mamba.c; proj: x and z. block_mamba2.c; proj: z, x, B, C and dt. */
extern const struct mixer block_mamba, block_mamba2;

/* Rows of a decoder's table, and the keys that it obeys. */
#define TENSORS_MAMBA2 \
	TENSOR("attn_norm.weight", mix.norm.w, .width = VECTOR_EMBD, .in = LAYER_STATE), TENSORS_MAMBA2_UNNORMED
#define TENSORS_MAMBA2_UNNORMED                                                                                 \
	TENSOR("ssm_in.weight", mix.proj[0], .axis = PLAN_ROW, .n_row = VECTOR_MAMBA2_IN, .width = VECTOR_EMBD, \
	       .in = LAYER_STATE),                                                                              \
		TENSOR("ssm_conv1d.weight", mix.conv, .n_row = VECTOR_SSM_CHANNELS, .width = VECTOR_SSM_TAPS,   \
		       .in = LAYER_STATE),                                                                      \
		TENSOR("ssm_conv1d.bias", mix.conv_bias, .width = VECTOR_SSM_CHANNELS, .in = LAYER_STATE,       \
		       .is_optional = true),                                                                    \
		TENSOR("ssm_dt.bias", mix.dt_bias, .width = VECTOR_SSM_RANK, .in = LAYER_STATE),                \
		TENSOR("ssm_a", mix.a, .axis = PLAN_VECTOR, .width = VECTOR_SSM_RANK, .in = LAYER_STATE),       \
		TENSOR("ssm_d", mix.d, .axis = PLAN_VECTOR, .width = VECTOR_SSM_RANK, .in = LAYER_STATE),       \
		TENSOR("ssm_norm.weight", mix.y_norm.w, .axis = PLAN_VECTOR, .width = VECTOR_SSM_INNER,         \
		       .in = LAYER_STATE, .is_optional = true),                                                 \
		TENSOR("ssm_out.weight", mix_output.w, .axis = PLAN_ROW, .n_row = VECTOR_EMBD,                  \
		       .width = VECTOR_SSM_INNER, .in = LAYER_STATE)
#define MAMBA2_KEYS "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank", "ssm.group_count"

/* Units of n_channel. */
static inline uint32_t mamba_n_unit(uint32_t n_channel)
{
	return (n_channel + MAMBA_UNIT - 1) / MAMBA_UNIT;
}

/* The rings of all units of a node, with which its state begins. */
size_t mamba_ring_floats(const struct model *m, uint32_t n_unit, uint32_t node);
/* x = silu(conv(x)) of the unit's channels of n_channel, which begin at a column of the rows. */
void mamba_conv(const struct mix_seq *q, uint32_t unit, uint32_t at, uint32_t n_channel);

/* Reads hparams.ssm of Mamba-2. -ENOTSUP, -EINVAL with what is wrong. */
int block_mamba2_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e);

#endif
