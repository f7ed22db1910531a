/*
 * Cohere 2 (Command R7B and Command A, 2024): one layer norm of a layer, without a bias, and both branches work on it (parallel.h):
 *   x += Wo . attention(rope(Wq . n), rope(Wk . n), Wv . n) + Wdown . (silu(Wgate . n) * (Wup . n)),  n = layer_norm(x) * attn_norm
 * and logits times logit_scale. Of four layers the last sees all positions and does not turn; the others have a window. Rotary pairs are
 * (2i, 2i+1).
 */
#include "daemon/model/hparams.h"
#include "daemon/model/parallel.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_GATED,
};

static const char *const obeys[] = { "attention.sliding_window_pattern", "logit_scale", NULL };

static int cohere2_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	return hparams_read_pattern(hp, g, arch, 4, LAYER_WINDOW | LAYER_TURN, e);
}

const struct arch arch_cohere2 = {
	.name = "cohere2",
	.pass = &parallel_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.norm = NORM_LAYER,
	.has_window = true,
	.obeys = obeys,
	.imply = cohere2_imply,
};
