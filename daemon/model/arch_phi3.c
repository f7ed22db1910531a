/*
 * Phi-3, 3.5 and 4 (Microsoft 2024): a llama with a sliding window of all layers in some sizes, whose rotary pairs are (i, i + n_rot / 2),
 * in Phi-4-mini of three quarters of a head. What is long has frequencies of its own (rope.c). Wq, Wk and Wv are one tensor of the file,
 * and so are Wgate and Wup.
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
};

const struct arch arch_phi3 = {
	.name = "phi3",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.cut = &cut_gate_up,
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
	.has_window = true,
};
