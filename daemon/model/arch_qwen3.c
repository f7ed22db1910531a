/*
 * Qwen3 (Yang et al. 2025): a llama that norms each head of its queries and keys before it turns them, in rotary pairs
 * (i, i + n_rot / 2):
 *   x += Wo . attention(rope(norm(Wq . n)), rope(norm(Wk . n)), Wv . n),  n = rms_norm(x) * attn_norm
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
	TENSOR("attn_q_norm.weight", heads.q_norm.w, .width = VECTOR_HEAD_DIM),
	TENSOR("attn_k_norm.weight", heads.k_norm.w, .width = VECTOR_HEAD_DIM),
};

const struct arch arch_qwen3 = {
	.name = "qwen3",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
};

/*
 * Qwen3-VL (Qwen Team 2025) where it reads text: a position's numbers of time, height and width, by which different pairs of dimensions turn, are then
 * equal, which is the rotation above.
 */
static const char *const of_images[] = { "rope.dimension_sections", "n_deepstack_layers", NULL };

const struct arch arch_qwen3vl = {
	.name = "qwen3vl",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.of_images = of_images,
};
