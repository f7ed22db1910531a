/*
 * Gemma 2 (Gemma Team 2024): a llama that norms what it adds, too, gates by gelu and caps scores and logits:
 *   x = token_embd[token] * sqrt(n_embd)
 *   x += norm(Wo . attention(rope(Wq . n), rope(Wk . n), Wv . n)),  n = rms_norm(x) * attn_norm, scores s = cap * tanh(s / cap)
 *   x += norm(Wdown . (gelu(Wgate . n) * (Wup . n))),               n = rms_norm(x) * ffn_norm
 * and logits = cap * tanh(Woutput . (rms_norm(x) * output_norm) / cap). Every other layer, from the first on, sees a sliding window.
 * Rotary pairs are (i, i + n_rot / 2). Norms come out of the file with their 1 added.
 */
#include "daemon/model/decoder.h"
#include "daemon/model/hparams.h"

#include <math.h>

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
	TENSOR("post_attention_norm.weight", output.norm.w, .width = VECTOR_EMBD),
	TENSOR("post_ffw_norm.weight", down.norm.w, .width = VECTOR_EMBD),
};

static const char *const obeys[] = { "attn_logit_softcapping", "final_logit_softcapping", NULL };

#define N_LAYER_27B 46u

/* Files say neither the scales nor which layers have the window. Of the three sizes one divides its scores by another number than the root
 * of a head's dimensions. */
static int gemma2_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	(void)g, (void)arch, (void)e;
	hp->embd_scale = sqrtf((float)hp->n_embd);
	hparams_set_period(hp, 2, LAYER_WINDOW);
	if (hp->n_layer == N_LAYER_27B)
		hp->attn_scale = 1.0f / sqrtf((float)(hp->n_embd / hp->n_head));
	if (!hp->attn_cap)
		hp->attn_cap = 50;
	if (!hp->logit_cap)
		hp->logit_cap = 30;
	return 0;
}

const struct arch arch_gemma2 = {
	.name = "gemma2",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_GELU,
	.has_window = true,
	.obeys = obeys,
	.imply = gemma2_imply,
};
