/*
 * Granite 3 (IBM 2024): a llama with four scales, which its file has:
 *   x = embedding_scale * token_embd[token]
 *   x += residual_scale * (what a llama adds), scores being attention.scale * q.k
 * and logits divided by logit_scale. Rotary pairs are (2i, 2i+1). Granite 3 with experts (granitemoe) has these in the place of each
 * feed-forward, weighed as in arch_qwen3moe.c; some files have an expert that all tokens take beside them.
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
};

static const struct layer_tensor tensor_moe[] = {
	TENSORS_ATTENTION,
	TENSORS_EXPERTS,
	TENSORS_SHARED,
};

static const char *const obeys[] = { "embedding_scale", "residual_scale", "logit_scale", "attention.scale", NULL };

static int granite_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	(void)g, (void)arch, (void)e;
	if (hp->logit_scale)
		hp->logit_scale = 1 / hp->logit_scale;
	return 0;
}

const struct arch arch_granite = {
	.name = "granite",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.obeys = obeys,
	.imply = granite_imply,
};

const struct arch arch_granitemoe = {
	.name = "granitemoe",
	.pass = &decoder_pass,
	.tensor = tensor_moe,
	.n_tensor = sizeof(tensor_moe) / sizeof(tensor_moe[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS },
	.obeys = obeys,
	.imply = granite_imply,
};
