/*
 * Gemma 3 (Gemma Team 2025): a Gemma 2 that norms each head of its queries and keys before it turns them, and caps nothing:
 *   x = token_embd[token] * sqrt(n_embd)
 *   x += norm(Wo . attention(rope(norm(Wq . n)), rope(norm(Wk . n)), Wv . n)),  n = rms_norm(x) * attn_norm
 *   x += norm(Wdown . (gelu(Wgate . n) * (Wup . n))),                           n = rms_norm(x) * ffn_norm
 * Of six layers the last sees all positions and turns by rope.freq_base and its scaling; the others have a window and turn by a base of
 * their own, unscaled. Rotary pairs are (i, i + n_rot / 2). Norms come out of the file with their 1 added.
 */
#include "daemon/model/decoder.h"
#include "daemon/model/hparams.h"

#include <math.h>

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
	TENSOR("attn_q_norm.weight", heads.q_norm.w, .width = VECTOR_HEAD_DIM),
	TENSOR("attn_k_norm.weight", heads.k_norm.w, .width = VECTOR_HEAD_DIM),
	TENSOR("post_attention_norm.weight", output.norm.w, .width = VECTOR_EMBD),
	TENSOR("post_ffw_norm.weight", down.norm.w, .width = VECTOR_EMBD),
};

static const char *const obeys[] = { "attention.sliding_window_pattern", "rope.freq_base_swa",
				     "final_logit_softcapping", NULL };

#define N_LAYER_27B 62u

/* Of the five sizes one divides its scores by another number than the root of a head's dimensions, and its file does not say so. */
static int gemma3_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	hp->embd_scale = sqrtf((float)hp->n_embd);
	if (hp->n_layer == N_LAYER_27B)
		hp->attn_scale = 1.0f / sqrtf((float)(hp->n_embd / hp->n_head));
	return hparams_read_pattern(hp, g, arch, 6, LAYER_WINDOW, e);
}

const struct arch arch_gemma3 = {
	.name = "gemma3",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_GELU,
	.has_window = true,
	.has_window_rope = true,
	.window_base = 10000,
	.obeys = obeys,
	.imply = gemma3_imply,
};
