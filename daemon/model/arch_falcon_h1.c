/*
 * Falcon-H1 (TII 2025): in each layer an attention and a Mamba-2 (block_mamba2.c) work side by side on one norm, then comes a
 * feed-forward:
 *   x += attention(n) + Wout . mamba2(Win . n),  n = rms_norm(x) * attn_norm
 *   x += Wdown . (silu(Wgate . n) * (Wup . n)),  n = rms_norm(x) * ffn_norm
 * Rotary pairs are (i, i + n_rot / 2). Its multipliers are in the weights already.
 */
#include "daemon/model/decoder.h"
#include "daemon/model/mamba.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_MAMBA2,
	TENSORS_FF_OF("ffn_norm"),
};

static const char *const obeys[] = { MAMBA2_KEYS, NULL };

static int falcon_h1_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	for (uint32_t i = 0; i < hp->n_layer; i++)
		hp->kind[i] |= LAYER_STATE;
	return block_mamba2_read(hp, g, arch, e);
}

const struct arch arch_falcon_h1 = {
	.name = "falcon-h1",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.mixer = &block_mamba2,
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.obeys = obeys,
	.imply = falcon_h1_imply,
};
