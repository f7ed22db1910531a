/*
 * Mamba-2 (Dao and Gu 2024): every layer mixes tokens by a state space (block_mamba2.c), and nothing else:
 *   x += Wout . mamba2(Win . n),  n = rms_norm(x) * attn_norm
 * and logits = Woutput . (rms_norm(x) * output_norm).
 */
#include "daemon/model/decoder.h"
#include "daemon/model/mamba.h"

#include <string.h>

static const struct layer_tensor tensor[] = {
	TENSORS_MAMBA2,
};

static const char *const obeys[] = { MAMBA2_KEYS, NULL };

static int mamba2_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	memset(hp->kind, LAYER_STATE, hp->n_layer);
	return block_mamba2_read(hp, g, arch, e);
}

const struct arch arch_mamba2 = {
	.name = "mamba2",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.mixer = &block_mamba2,
	.obeys = obeys,
	.imply = mamba2_imply,
};
