/*
 * MiniMax M2 (MiniMax 2025): queries and keys are normed over all their heads as one row, before a part of each head turns in pairs
 * (i, i + n_rot / 2); experts are weighed by the sigmoid of the router's logits, but chosen by it with a bias added:
 *   x += Wo . attention(rope(norm(Wq . n)), rope(norm(Wk . n)), Wv . n),  n = rms_norm(x) * attn_norm
 *   x += sum over experts i of s[i] / sum(s) * expert[i](n),              n = rms_norm(x) * ffn_norm, s = sigmoid(Wrouter . n)
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSOR("attn_q_norm.weight", heads.q_wide, .width = VECTOR_HEADS),
	TENSOR("attn_k_norm.weight", heads.k_wide, .width = VECTOR_HEADS_KV),
	TENSORS_EXPERTS,
	TENSOR_CHOOSE_BIAS,
};

const struct arch arch_minimax_m2 = {
	.name = "minimax-m2",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS, .gating = GATING_SIGMOID },
};
