/*
 * OLMo 2 (OLMo Team 2025) and 3: no norm stands before an attention or a feed-forward, but one behind each, before it is added; and queries
 * and keys are normed over all their heads as one row, before they turn in pairs (i, i + n_rot / 2):
 *   x += norm(Wo . attention(rope(norm(Wq . x)), rope(norm(Wk . x)), Wv . x))
 *   x += norm(Wdown . (silu(Wgate . x) * (Wup . x)))
 * OLMo 3 is the same with a window in three layers of four, which alone do not scale their frequencies (YaRN).
 */
#include "daemon/model/decoder.h"
#include "daemon/model/hparams.h"

static const struct layer_tensor tensor[] = {
	TENSORS_HEADS,
	TENSORS_GATED,
	TENSOR("attn_q_norm.weight", heads.q_wide, .width = VECTOR_HEADS),
	TENSOR("attn_k_norm.weight", heads.k_wide, .width = VECTOR_HEADS_KV),
	TENSOR("post_attention_norm.weight", output.norm.w, .width = VECTOR_EMBD),
	TENSOR("post_ffw_norm.weight", down.norm.w, .width = VECTOR_EMBD),
};

static const char *const obeys[] = { "attention.sliding_window_pattern", "rope.freq_base_swa", NULL };

static int olmo2_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	return hparams_read_pattern(hp, g, arch, 4, LAYER_WINDOW, e);
}

const struct arch arch_olmo2 = {
	.name = "olmo2",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.has_window = true,
	.has_window_rope = true,
	.obeys = obeys,
	.imply = olmo2_imply,
};
