/*
 * Hunyuan (Tencent 2024, "Hunyuan-Large"; A13B 2025), its sizes with experts: the attention of the dense ones, which norms heads after it
 * turned them; of the softmax of the router's logits the chosen become a part of their sum, beside an expert that all tokens take:
 *   x += Wo . attention(norm(rope(Wq . n)), norm(rope(Wk . n)), Wv . n),  n = rms_norm(x) * attn_norm
 *   x += shared(n) + sum over experts i of p[i] / sum(p) * expert[i](n),  n = rms_norm(x) * ffn_norm, p = softmax(Wrouter . n)
 * Rotary pairs are (i, i + n_rot / 2).
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSOR("attn_q_norm.weight", heads.q_norm_late.w, .width = VECTOR_HEAD_DIM),
	TENSOR("attn_k_norm.weight", heads.k_norm_late.w, .width = VECTOR_HEAD_DIM),
	TENSORS_EXPERTS,
	TENSORS_SHARED,
};

const struct arch arch_hunyuan_moe = {
	.name = "hunyuan-moe",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS },
};
