/*
 * Granite 3 (IBM 2024): a llama with four scales, which its file has:
 *   x = embedding_scale * token_embd[token]
 *   x += residual_scale * (what a llama adds), scores being attention.scale * q.k
 * and logits divided by logit_scale. Rotary pairs are (2i, 2i+1).
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
};

static const char *const obeys[] = { "embedding_scale", "residual_scale", "logit_scale", "attention.scale", NULL };

static int granite_imply(struct hparams *hp, const struct gguf *g, struct error *e)
{
	(void)g, (void)e;
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
