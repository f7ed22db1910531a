/*
 * LFM2 (Liquid AI 2025), dense and with experts: a layer without heads is a short convolution (block_shortconv.h), the others are the
 * attention of Qwen3:
 *   x += Wout . (c * conv(b * z)), or x += Wo . attention(rope(norm(Wq . n)), rope(norm(Wk . n)), Wv . n),  n = rms_norm(x) * attn_norm
 *   x += Wdown . (silu(Wgate . n) * (Wup . n)),                                                           n = rms_norm(x) * ffn_norm
 * Behind the first layers lfm2moe has experts instead, weighed by the sigmoid of the router's logits but chosen by it with a bias added.
 * Rotary pairs are (i, i + n_rot / 2). The norm before the output bears the name of one of the embedding.
 */
#include "daemon/model/block_shortconv.h"
#include "daemon/model/decoder.h"

#define TENSORS_TOKENS                                                                                         \
	TENSORS_ATTENTION, TENSORS_SHORTCONV,                                                                  \
		TENSOR("attn_q_norm.weight", heads.q_norm.w, .width = VECTOR_HEAD_DIM, .in = LAYER_ATTENTION), \
		TENSOR("attn_k_norm.weight", heads.k_norm.w, .width = VECTOR_HEAD_DIM, .in = LAYER_ATTENTION), \
		TENSORS_FF

static const struct layer_tensor tensor[] = { TENSORS_TOKENS };

static const struct layer_tensor tensor_moe[] = { TENSORS_TOKENS, TENSORS_EXPERTS, TENSOR_CHOOSE_BIAS };

static const char *const obeys[] = { "shortconv.l_cache", NULL };

const struct arch arch_lfm2 = {
	.name = "lfm2",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.output_norm = "token_embd_norm.weight",
	.mixer = &shortconv,
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.obeys = obeys,
	.imply = block_shortconv_read,
};

const struct arch arch_lfm2moe = {
	.name = "lfm2moe",
	.pass = &decoder_pass,
	.tensor = tensor_moe,
	.n_tensor = sizeof(tensor_moe) / sizeof(tensor_moe[0]),
	.output_norm = "token_embd_norm.weight",
	.mixer = &shortconv,
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS, .gating = GATING_SIGMOID },
	.obeys = obeys,
	.imply = block_shortconv_read,
};
