/*
 * Qwen3-Next (2025): Qwen3.5 with experts, but that a group's heads stand together, and the products that its gates are made of are one:
 *   x += Wout . delta(n), x += Wo . (attention(..) * sigmoid(Wqgate . n))     n = rms_norm(x) * attn_norm
 *   x += sigmoid(wshared . n) * shared(n) + experts(n)                        n = rms_norm(x) * post_attention_norm
 * Every fourth layer is an attention. Rotary pairs are (i, i + n_rot / 2) of a quarter of a head. Norms come out of the file with their 1 added.
 */
#include "daemon/model/block_delta.h"
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_GATED_ATTENTION,
	TENSORS_DELTA,
	TENSOR("ssm_ba.weight", mix.proj[2], .axis = PLAN_ROW, .n_row = VECTOR_SSM_RANKS, .width = VECTOR_EMBD,
	       .in = LAYER_STATE),
	TENSORS_EXPERTS_OF("post_attention_norm.weight"),
	TENSORS_SHARED,
	TENSOR_SHARED_INP,
};

static const char *const obeys[] = { DELTA_KEYS, NULL };
static const char *const of_images[] = { "rope.dimension_sections", NULL };

const struct arch arch_qwen3next = {
	.name = "qwen3next",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.cut = &cut_q_gate,
	.mixer = &delta_grouped,
	.has_q_gate = true,
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_ALWAYS },
	.obeys = obeys,
	.of_images = of_images,
	.imply = block_delta_read,
};
