/*
 * Ernie 4.5 with experts (Baidu 2025): the first layers, and where the file says so others, have a feed-forward, the rest experts. These are
 * weighed by softmax, but chosen by it with a bias added; beside them is one that all tokens take:
 *   x += shared(n) + sum over experts i of p[i] / sum(p) * expert[i](n),
 * n = rms_norm(x) * ffn_norm, p = softmax(Wrouter . n), chosen by p + exp_probs_b. Rotary pairs are (2i, 2i+1).
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
	TENSORS_EXPERTS,
	TENSOR("exp_probs_b.bias", experts.choose_bias, .width = VECTOR_EXPERTS, .axis = PLAN_VECTOR,
	       .in = LAYER_EXPERTS, .is_optional = true),
	TENSORS_SHARED,
};

const struct arch arch_ernie4_5_moe = {
	.name = "ernie4_5-moe",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS },
};
