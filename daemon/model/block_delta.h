/*
 * The gated delta rule (Yang et al. 2025, "Gated Delta Networks") of heads of values, which share keys and queries in groups:
 *   q, k, v = silu(conv(Wqkv . n));  q = q / |q| / sqrt(state_size);  k = k / |k|
 *   s = w s + beta (v - (w s).k) k,  y = s.q,   w = exp(a * softplus(Walpha . n + dt)), beta = sigmoid(Wbeta . n)
 *   the source of the output product: rms_norm(y) * y_norm * silu(Wgate . n)
 * A node has whole heads of values; those that share keys may be on several.
 */
#ifndef GYRE_DAEMON_MODEL_BLOCK_DELTA_H
#define GYRE_DAEMON_MODEL_BLOCK_DELTA_H

#include "daemon/model/block_mix.h"
#include "daemon/model/hparams.h"

/* proj: Wqkv, Wgate, Wbeta, Walpha; head h has the keys of group h % group_count. */
extern const struct mixer delta_tiled;
/* proj: Wqkv, Wgate, and Wbeta and Walpha as one, of each group its heads' beta, then their alpha; head h has the keys of group
 * h / (time_step_rank / group_count). */
extern const struct mixer delta_grouped;

/* Rows of a decoder's table but for proj[2] and proj[3], and the keys that it obeys. */
#define TENSORS_DELTA                                                                                         \
	TENSOR("attn_norm.weight", mix.norm.w, .width = VECTOR_EMBD, .in = LAYER_STATE),                      \
		TENSOR("attn_qkv.weight", mix.proj[0], .axis = PLAN_ROW, .n_row = VECTOR_SSM_CHANNELS,        \
		       .width = VECTOR_EMBD, .in = LAYER_STATE),                                              \
		TENSOR("attn_gate.weight", mix.proj[1], .axis = PLAN_ROW, .n_row = VECTOR_SSM_INNER,          \
		       .width = VECTOR_EMBD, .in = LAYER_STATE),                                              \
		TENSOR("ssm_conv1d.weight", mix.conv, .n_row = VECTOR_SSM_CHANNELS, .width = VECTOR_SSM_TAPS, \
		       .in = LAYER_STATE),                                                                    \
		TENSOR("ssm_dt.bias", mix.dt_bias, .width = VECTOR_SSM_RANK, .in = LAYER_STATE),              \
		TENSOR("ssm_a", mix.a, .width = VECTOR_SSM_RANK, .in = LAYER_STATE),                          \
		TENSOR("ssm_norm.weight", mix.y_norm.w, .width = VECTOR_SSM_HEAD, .in = LAYER_STATE),         \
		TENSOR("ssm_out.weight", mix_output.w, .axis = PLAN_ROW, .n_row = VECTOR_EMBD,                \
		       .width = VECTOR_SSM_INNER, .in = LAYER_STATE)
#define DELTA_KEYS                                                                                      \
	"ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank", "ssm.group_count", \
		"full_attention_interval", "attention.recurrent_layers"

/* Reads hparams.ssm, and which layers are mixers in the place of attentions: those that attention.recurrent_layers lists, or all but every
 * full_attention_interval-th (4 where the key is absent). -ENOTSUP, -EINVAL with what is wrong. */
int block_delta_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e);

#endif
