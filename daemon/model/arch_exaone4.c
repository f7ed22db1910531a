/*
 * EXAONE 4 (LG AI Research 2025): no norm stands before an attention or a feed-forward, but one behind each, before it is added; each head of
 * q and k is normed before it turns, in pairs (i, i + n_rot / 2):
 *   x += norm(Wo . attention(rope(norm(Wq . x)), rope(norm(Wk . x)), Wv . x))
 *   x += norm(Wdown . (silu(Wgate . x) * (Wup . x)))
 * The 32B has a window in three layers of four, and only these turn; its files before 2026 do not say so.
 */
#include "daemon/model/decoder.h"
#include "daemon/model/hparams.h"

static const struct layer_tensor tensor[] = {
	TENSORS_HEADS,
	TENSORS_GATED,
	TENSOR("attn_q_norm.weight", heads.q_norm.w, .width = VECTOR_HEAD_DIM),
	TENSOR("attn_k_norm.weight", heads.k_norm.w, .width = VECTOR_HEAD_DIM),
	TENSOR("post_attention_norm.weight", output.norm.w, .width = VECTOR_EMBD),
	TENSOR("post_ffw_norm.weight", down.norm.w, .width = VECTOR_EMBD),
};

static const char *const obeys[] = { "attention.sliding_window_pattern", NULL };

#define N_LAYER_32B 64u
#define WINDOW_32B  4096u

static int exaone4_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	if (!hp->n_window && hp->n_layer == N_LAYER_32B)
		hp->n_window = WINDOW_32B;
	if (!hp->n_window)
		return 0;
	return hparams_read_pattern(hp, g, arch, 4, LAYER_WINDOW | LAYER_TURN, e);
}

const struct arch arch_exaone4 = {
	.name = "exaone4",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.has_window = true,
	.obeys = obeys,
	.imply = exaone4_imply,
};
