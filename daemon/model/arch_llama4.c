/*
 * Llama 4 (Meta 2025), text: of four layers the first three turn their heads, in pairs (2i, 2i + 1), and see no further back than the last
 * multiple of 8192; after they turned queries and keys are normed without weights, but in the largest size. The fourth sees all positions,
 * turns nothing, and multiplies its queries with a temperature that grows with their position:
 *   x += Wo . attention(norm(rope(Wq . n)), norm(rope(Wk . n)), Wv . n),        n = rms_norm(x) * attn_norm
 *   x += Wo . attention(t(pos) * Wq . n, Wk . n, Wv . n),                       t = 1 + 0.1 * ln(1 + floor((pos + 1) / 8192))
 *   x += shared(n) + expert i(sigmoid(logits[i]) * n), logits = Wrouter . n,    n = rms_norm(x) * ffn_norm
 * The expert is the one of the largest logit; interleave_moe_layer_step says which layers have experts, the others have a feed-forward.
 */
#include "daemon/model/decoder.h"
#include "daemon/model/hparams.h"

#include <errno.h>

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
	TENSORS_EXPERTS,
	TENSORS_SHARED,
};

#define PERIOD       4
#define CHUNK        8192u /* no key says it */
#define N_EXPERT_TOP 128u  /* of the largest size */

static int llama4_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	/* Converters write a 0 for those that see all positions everywhere, whose layers turn and scale otherwise. */
	int r = hparams_get_count(g, arch, "attention.sliding_window", &hp->n_window, CHUNK, UINT32_MAX, e);

	if (r == 0 && !hp->n_window)
		return error_set(
			e, -ENOTSUP,
			"%s.attention.sliding_window is 0: gyre runs those that have a window; use another model",
			arch);
	hp->has_window_grid = true;
	hparams_set_period(hp, PERIOD, LAYER_WINDOW | LAYER_TURN);
	hp->temp_scale = 0.1f;
	hp->temp_length = CHUNK;
	hp->temp_first = 1;
	hp->n_ff_shared = hp->n_ff_expert;
	for (uint32_t i = 0; i < hp->n_layer; i++) {
		if (hp->kind[i] & LAYER_TURN)
			hp->kind[i] &= (uint8_t)~LAYER_TEMPER;
		if (hp->kind[i] & LAYER_EXPERTS)
			hp->kind[i] |= LAYER_SHARED;
	}
	return r;
}

static int llama4_open(struct tensors *t, struct error *e)
{
	const struct hparams *hp = &t->m->hp;
	struct decoder_layer *layer = t->m->layer;

	(void)e;
	for (uint32_t i = 0; i < hp->n_layer; i++)
		layer[i].heads.is_qk_normed_late = hp->kind[i] & LAYER_TURN && hp->n_expert != N_EXPERT_TOP;
	return 0;
}

const struct arch arch_llama4 = {
	.name = "llama4",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS, .gating = GATING_SIGMOID, .is_unnormed = true, .is_on_input = true },
	.has_window = true,
	.imply = llama4_imply,
	.open = llama4_open,
};
