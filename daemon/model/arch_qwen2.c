/*
 * Qwen2 (Yang et al. 2024): a llama whose queries, keys and values have biases, and whose rotary pairs are (i, i + n_rot / 2):
 *   x += Wo . attention(rope(Wq . n + bq), rope(Wk . n + bk), Wv . n + bv),  n = rms_norm(x) * attn_norm
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
	TENSORS_BIAS,
};

const struct arch arch_qwen2 = {
	.name = "qwen2",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
};

/*
 * Qwen2-VL and Qwen2.5-VL (Qwen Team 2024) where it reads text: a position's numbers of time, height and width, by which different pairs of dimensions turn, are then
 * equal, which is the rotation above.
 */
static const char *const of_images[] = { "rope.dimension_sections", NULL };

const struct arch arch_qwen2vl = {
	.name = "qwen2vl",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.of_images = of_images,
};
