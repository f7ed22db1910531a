/*
 * Qwen3 with experts (Yang et al. 2025): a Qwen3 whose feed-forward is the sum of n_expert_used of n_expert small ones, weighed by the softmax
 * of a router's logits, of which the chosen become a part of their sum:
 *   x += Wo . attention(rope(norm(Wq . n)), rope(norm(Wk . n)), Wv . n),         n = rms_norm(x) * attn_norm
 *   x += sum over experts i of p[i] * Wdown[i] . (silu(Wgate[i] . n) * (Wup[i] . n)), n = rms_norm(x) * ffn_norm, p = softmax(Wrouter . n)
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_EXPERTS,
	TENSOR("attn_q_norm.weight", heads.q_norm.w, .width = VECTOR_HEAD_DIM),
	TENSOR("attn_k_norm.weight", heads.k_norm.w, .width = VECTOR_HEAD_DIM),
};

const struct arch arch_qwen3moe = {
	.name = "qwen3moe",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS },
};
