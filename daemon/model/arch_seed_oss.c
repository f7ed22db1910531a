/*
 * Seed-OSS (ByteDance 2025): a llama whose queries, keys and values have biases, and whose rotary pairs are (i, i + n_rot / 2). What its
 * file calls post_attention_norm is the norm that its feed-forward begins with:
 *   x += Wo . attention(rope(Wq . n + bq), rope(Wk . n + bk), Wv . n + bv),  n = rms_norm(x) * attn_norm
 *   x += Wdown . (silu(Wgate . n) * (Wup . n)),                              n = rms_norm(x) * post_attention_norm
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_BIAS,
	TENSORS_FF_OF("post_attention_norm.weight"),
};

const struct arch arch_seed_oss = {
	.name = "seed_oss",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
};
