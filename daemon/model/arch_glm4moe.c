/*
 * GLM 4.5 to 4.7 (GLM Team 2025): the first layers have a feed-forward, the others experts. These are weighed by the sigmoid of the router's
 * logits, but chosen by it with a bias added; beside them is one that all tokens take:
 *   x += Wo . attention(rope(norm(Wq . n + bq)), rope(norm(Wk . n + bk)), Wv . n + bv),  n = rms_norm(x) * attn_norm
 *   x += shared(n) + sum over experts i of s[i] / sum(s) * expert_weights_scale * expert[i](n),
 * n = rms_norm(x) * post_attention_norm, s = sigmoid(Wrouter . n), chosen by s + exp_probs_b. Rotary pairs are (i, i + n_rot / 2) of half of a
 * head; not all sizes norm their heads. The block that predicts the token after the next is left out.
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_BIAS,
	TENSOR("attn_q_norm.weight", heads.q_norm.w, .width = VECTOR_HEAD_DIM, .is_optional = true),
	TENSOR("attn_k_norm.weight", heads.k_norm.w, .width = VECTOR_HEAD_DIM, .is_optional = true),
	TENSORS_FF_OF("post_attention_norm.weight"),
	TENSORS_EXPERTS_OF("post_attention_norm.weight"),
	TENSOR_CHOOSE_BIAS,
	TENSORS_SHARED,
};

const struct arch arch_glm4moe = {
	.name = "glm4moe",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS, .gating = GATING_SIGMOID },
};
