/*
 * Llama (Touvron et al. 2023; Grouped-Query Attention of Llama 2 and 3), Mistral with its sliding window of all layers, and Mixtral with
 * experts (Jiang et al. 2024), as arch_qwen3moe.c has them. Per layer
 *   x += Wo . attention(rope(Wq . n), rope(Wk . n), Wv . n),  n = rms_norm(x) * attn_norm
 *   x += Wdown . (silu(Wgate . n) * (Wup . n)),               n = rms_norm(x) * ffn_norm
 * and logits = Woutput . (rms_norm(x) * output_norm). Rotary pairs are (2i, 2i+1), as GGUF stores this architecture.
 */
#include "daemon/model/decoder.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_FF,
	TENSORS_EXPERTS,
};

const struct arch arch_llama = {
	.name = "llama",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.experts = { .are = EXPERTS_MAYBE },
	.has_window = true,
};
