/*
 * gpt-oss (OpenAI 2025): a decoder of experts with a bias at every product. Each query head has a sink, one more logit that takes its part of
 * the softmax and has no value; every other layer, from the first on, sees a sliding window:
 *   x += Wo . attention(rope(Wq . n + bq), rope(Wk . n + bk), Wv . n + bv) + bo,  n = rms_norm(x) * attn_norm
 *   x += sum over experts i of w[i] * expert[i](n),                              n = rms_norm(x) * post_attention_norm
 * where the four with the largest logits Wrouter . n + brouter are chosen, and w is the softmax of these four. An expert multiplies
 * g * sigmoid(1.702 g) * (u + 1), g = min(gate, 7), u = clamp(up, -7, 7). Rotary pairs are (i, i + n_rot / 2); YaRN's bounds lie between
 * pairs, as the model was trained (llama.cpp rounds them to whole ones).
 */
#include "daemon/model/decoder.h"
#include "daemon/model/hparams.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_BIAS,
	TENSOR("attn_output.bias", output.bias, .width = VECTOR_EMBD),
	TENSOR("attn_sinks.weight", attention.sink, .width = VECTOR_N_HEAD),
	TENSORS_EXPERTS_OF("post_attention_norm.weight"),
	TENSORS_EXPERTS_BIAS,
};

static const char *const obeys[] = { "attention.sliding_window_pattern", NULL };

static int gpt_oss_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	return hparams_read_pattern(hp, g, arch, 2, LAYER_WINDOW, e);
}

const struct arch arch_gpt_oss = {
	.name = "gpt-oss",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_OAI,
	.experts = { .are = EXPERTS_ALWAYS, .gating = GATING_SOFTMAX_CHOSEN },
	.has_window = true,
	.has_exact_yarn = true,
	.obeys = obeys,
	.imply = gpt_oss_imply,
};
