/*
 * SmolLM3 (Hugging Face 2025): a llama whose heads do not turn in every fourth layer, the last of four (NoPE: Yang et al. 2025):
 *   x += Wo . attention(Wq . n, Wk . n, Wv . n),  n = rms_norm(x) * attn_norm
 * there. Elsewhere rotary pairs are (2i, 2i+1). Files do not say which layers these are.
 */
#include "daemon/model/decoder.h"
#include "daemon/model/hparams.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
};

static int smollm3_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	(void)g, (void)arch, (void)e;
	hparams_set_period(hp, 4, LAYER_TURN);
	return 0;
}

const struct arch arch_smollm3 = {
	.name = "smollm3",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.imply = smollm3_imply,
};
