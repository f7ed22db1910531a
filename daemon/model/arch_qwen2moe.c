/*
 * Qwen 1.5 and 2 with experts (Bai et al. 2024): the attention of Qwen2; of the softmax over all experts the largest weigh as they are, and
 * beside them an expert that all tokens take has a weight of its own:
 *   x += sigmoid(wshared . n) * shared(n) + sum over experts i of p[i] * expert[i](n),  n = rms_norm(x) * ffn_norm, p = softmax(Wrouter . n)
 * Files of before the keys for their widths have a shared expert of feed_forward_length, and others that are together as wide as it.
 */
#include "daemon/model/decoder.h"
#include "daemon/model/hparams.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION, TENSORS_BIAS, TENSORS_EXPERTS, TENSORS_SHARED, TENSOR_SHARED_INP,
};

static int qwen2moe_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	uint32_t n_ff;
	int r = hparams_get_count(g, arch, "expert_feed_forward_length", &n_ff, 0, HPARAMS_DIM_MAX, e);

	if (r == 0 && !n_ff)
		hp->n_ff_expert = hp->n_ff / hp->n_expert_used;
	if (hp->n_ff_shared)
		return r;
	hp->n_ff_shared = hp->n_ff;
	for (uint32_t i = 0; i < hp->n_layer; i++)
		if (hp->kind[i] & LAYER_EXPERTS)
			hp->kind[i] |= LAYER_SHARED;
	return r;
}

const struct arch arch_qwen2moe = {
	.name = "qwen2moe",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS, .is_unnormed = true },
	.imply = qwen2moe_imply,
};
