/*
 * GLM-4 (Zhipu 2025, its dense sizes of 9B and 32B): a llama that norms what it adds, too, and turns a part of each head's dimensions:
 *   x += norm(Wo . attention(rope(Wq . n + bq), rope(Wk . n + bk), Wv . n + bv)),  n = rms_norm(x) * attn_norm
 *   x += norm(Wdown . (silu(Wgate . n) * (Wup . n))),                              n = rms_norm(x) * ffn_norm
 * Rotary pairs are (2i, 2i+1). Biases are not in all sizes; Wgate and Wup are one tensor of the file.
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_BIAS_OPTIONAL,
	TENSORS_FF,
	TENSOR("post_attention_norm.weight", output.norm.w, .width = VECTOR_EMBD),
	TENSOR("post_ffw_norm.weight", down.norm.w, .width = VECTOR_EMBD),
};

const struct arch arch_glm4 = {
	.name = "glm4",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.cut = &cut_gate_up,
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
};
