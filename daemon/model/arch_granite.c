/*
 * Granite 3 (IBM 2024): a llama with four scales, which its file has:
 *   x = embedding_scale * token_embd[token]
 *   x += residual_scale * (what a llama adds), scores being attention.scale * q.k
 * and logits divided by logit_scale. Rotary pairs are (2i, 2i+1).
 */
#include "daemon/model/dense.h"

static const struct layer_tensor tensor[] = {
	DENSE_TENSORS,
};

static const char *const obeys[] = { "embedding_scale", "residual_scale", "logit_scale", "attention.scale", NULL };

static void granite_imply(struct hparams *hp)
{
	if (hp->logit_scale)
		hp->logit_scale = 1 / hp->logit_scale;
}

const struct arch arch_granite = {
	.name = "granite",
	.pass = &dense_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.obeys = obeys,
	.imply = granite_imply,
};
