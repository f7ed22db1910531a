/*
 * Qwen3.5 (2026), dense and with experts: of every four layers three mix tokens by a gated delta rule (block_delta.h), and the fourth is an attention whose
 * output is gated, with norms of heads as in Qwen3 and of each head a quarter that turns:
 *   x += Wout . delta(n)                                                      n = rms_norm(x) * attn_norm
 *   x += Wo . (attention(rope(norm(Wq . n)), rope(norm(Wk . n)), Wv . n) * sigmoid(Wqgate . n))
 *   x += Wdown . (silu(Wgate . n) * (Wup . n))                                n = rms_norm(x) * post_attention_norm
 * or the experts of qwen3moe, beside one that all tokens take with a weight of its own, sigmoid(wshared . n).
 * Rotary pairs are (i, i + n_rot / 2); of text the three sections of positions are one. Norms come out of the file with their 1 added.
 */
#include "daemon/model/block_delta.h"
#include "daemon/model/decoder.h"

#define TENSORS_TOKENS                                                                              \
	TENSORS_GATED_ATTENTION, TENSORS_DELTA,                                                     \
		TENSOR("ssm_beta.weight", mix.proj[2], .axis = PLAN_ROW, .n_row = VECTOR_SSM_RANK,  \
		       .width = VECTOR_EMBD, .in = LAYER_STATE),                                    \
		TENSOR("ssm_alpha.weight", mix.proj[3], .axis = PLAN_ROW, .n_row = VECTOR_SSM_RANK, \
		       .width = VECTOR_EMBD, .in = LAYER_STATE)

static const struct layer_tensor tensor[] = {
	TENSORS_TOKENS,
	TENSORS_FF_OF("post_attention_norm.weight"),
};

static const struct layer_tensor tensor_moe[] = {
	TENSORS_TOKENS,
	TENSORS_EXPERTS_OF("post_attention_norm.weight"),
	TENSORS_SHARED,
	TENSOR_SHARED_INP,
};

static const char *const obeys[] = { DELTA_KEYS, NULL };
static const char *const of_images[] = { "rope.dimension_sections", NULL };

const struct arch arch_qwen35 = {
	.name = "qwen35",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.cut = &cut_q_gate,
	.mixer = &delta_tiled,
	.has_q_gate = true,
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.obeys = obeys,
	.of_images = of_images,
	.imply = block_delta_read,
};

const struct arch arch_qwen35moe = {
	.name = "qwen35moe",
	.pass = &decoder_pass,
	.tensor = tensor_moe,
	.n_tensor = sizeof(tensor_moe) / sizeof(tensor_moe[0]),
	.cut = &cut_q_gate,
	.mixer = &delta_tiled,
	.has_q_gate = true,
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS },
	.obeys = obeys,
	.of_images = of_images,
	.imply = block_delta_read,
};
