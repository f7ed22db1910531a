/* Ernie 4.5 (Baidu 2025), its dense sizes: a llama by another name. Rotary pairs are (2i, 2i+1). */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
};

const struct arch arch_ernie4_5 = {
	.name = "ernie4_5",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
};
