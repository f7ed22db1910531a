/*
 * Hunyuan (Tencent 2025), its dense sizes: a llama that norms each head of its queries and keys after it turned them:
 *   x += Wo . attention(norm(rope(Wq . n)), norm(rope(Wk . n)), Wv . n),  n = rms_norm(x) * attn_norm
 * Rotary pairs are (i, i + n_rot / 2). The base that the alpha of its context makes comes out of the file.
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
	TENSOR("attn_q_norm.weight", heads.q_norm_late.w, .width = VECTOR_HEAD_DIM),
	TENSOR("attn_k_norm.weight", heads.k_norm_late.w, .width = VECTOR_HEAD_DIM),
};

const struct arch arch_hunyuan_dense = {
	.name = "hunyuan-dense",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
};
