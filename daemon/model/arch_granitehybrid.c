/*
 * Granite 4 (IBM 2025): layers without KV heads (attention.head_count_kv) mix tokens by Mamba-2 (block_mamba2.c), the others are attentions,
 * and behind each lies a feed-forward, or experts beside one that all tokens take, with Granite's four scales (arch_granite.c):
 *   x += residual_scale * Wout . mamba2(Win . n), or residual_scale * attention(n),  n = rms_norm(x) * attn_norm
 *   x += residual_scale * ffn(n)                                                     n = rms_norm(x) * ffn_norm
 * Heads do not turn where rope.scaling.finetuned is false; else their rotary pairs are (2i, 2i+1).
 */
#include "daemon/model/decoder.h"
#include "daemon/model/hparams.h"
#include "daemon/model/mamba.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION, TENSORS_MAMBA2, TENSORS_FF, TENSORS_EXPERTS, TENSORS_SHARED,
};

static const char *const obeys[] = {
	MAMBA2_KEYS, "rope.scaling.finetuned", "embedding_scale", "residual_scale", "logit_scale", "attention.scale",
	NULL
};

static int granitehybrid_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	bool turns = true;
	int r = hparams_get_bool(g, arch, "rope.scaling.finetuned", &turns, e);

	for (uint32_t i = 0; i < hp->n_layer; i++) {
		if (!(hp->kind[i] & LAYER_ATTENTION))
			hp->kind[i] |= LAYER_STATE;
		if (!turns)
			hp->kind[i] &= (uint8_t)~LAYER_TURN;
	}
	if (hp->logit_scale)
		hp->logit_scale = 1 / hp->logit_scale;
	return r == 0 ? block_mamba2_read(hp, g, arch, e) : r;
}

const struct arch arch_granitehybrid = {
	.name = "granitehybrid",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.mixer = &block_mamba2,
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_MAYBE },
	.obeys = obeys,
	.imply = granitehybrid_imply,
};
