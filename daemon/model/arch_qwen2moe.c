/*
 * Qwen 1.5 and 2 with experts (Bai et al. 2024): the attention of Qwen2; of the softmax over all experts the largest weigh as they are, and
 * beside them an expert that all tokens take has a weight of its own:
 *   x += sigmoid(wshared . n) * shared(n) + sum over experts i of p[i] * expert[i](n),  n = rms_norm(x) * ffn_norm, p = softmax(Wrouter . n)
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION, TENSORS_BIAS, TENSORS_EXPERTS, TENSORS_SHARED, TENSOR_SHARED_INP,
};

const struct arch arch_qwen2moe = {
	.name = "qwen2moe",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS, .is_unnormed = true },
};
