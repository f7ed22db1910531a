/*
 * StarCoder 2 (Lozhkov et al. 2024): layer norms and biases everywhere, and a feed-forward without a gate:
 *   x += Wo . attention(rope(Wq . n + bq), rope(Wk . n + bk), Wv . n + bv) + bo,  n = layer_norm(x) * attn_norm + its bias
 *   x += Wdown . gelu(Wup . n + bup) + bdown,                                     n = layer_norm(x) * ffn_norm + its bias
 * Rotary pairs are (i, i + n_rot / 2).
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_BIAS,
	TENSORS_UNGATED,
	TENSOR("attn_norm.bias", heads.norm.bias, .width = VECTOR_EMBD),
	TENSOR("attn_output.bias", output.bias, .width = VECTOR_EMBD),
	TENSOR("ffn_norm.bias", ffn.norm.bias, .width = VECTOR_EMBD),
	TENSOR("ffn_up.bias", ffn.up_bias, .width = VECTOR_FF),
	TENSOR("ffn_down.bias", down.bias, .width = VECTOR_EMBD),
};

const struct arch arch_starcoder2 = {
	.name = "starcoder2",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_GELU,
	.norm = NORM_LAYER_BIAS,
	.has_window = true,
};
