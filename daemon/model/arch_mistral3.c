/*
 * Mistral's models from Ministral 3 on (Mistral AI 2025): a llama whose queries have a temperature, which grows with their position t:
 *   q = rope(Wq . n) * (1 + temperature_scale * ln(1 + floor(t / original_context_length)))
 * Rotary pairs are (2i, 2i+1).
 */
#include "daemon/model/decoder.h"
#include "daemon/model/hparams.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
};

static const char *const obeys[] = { "attention.temperature_scale", "rope.scaling.yarn_log_multiplier", NULL };

/* 0 is as good as absent. */
static int mistral3_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	int r = hparams_get_count(g, arch, "rope.scaling.original_context_length", &hp->temp_length, 0, UINT32_MAX, e);

	if (!hp->temp_length)
		hp->temp_length = hp->n_ctx_train;
	return r;
}

const struct arch arch_mistral3 = {
	.name = "mistral3",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.obeys = obeys,
	.imply = mistral3_imply,
};
