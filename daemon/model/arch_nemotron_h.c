/*
 * Nemotron-H (NVIDIA 2025): each layer has one norm and does one thing, a Mamba-2 (block_mamba2.c), an attention whose heads do not turn, or a
 * feed-forward without a gate:
 *   x += Wout . mamba2(Win . n), or attention(n), or Wdown . max(Wup . n, 0)^2,  n = rms_norm(x) * attn_norm
 * A layer is a feed-forward where feed_forward_length says so, else an attention where it has KV heads (attention.head_count_kv).
 */
#include "daemon/model/decoder.h"
#include "daemon/model/mamba.h"

static const struct layer_tensor tensor[] = {
	TENSORS_ATTENTION,
	TENSORS_MAMBA2,
	TENSOR("attn_norm.weight", ffn.norm.w, .width = VECTOR_EMBD, .in = LAYER_FF),
	TENSORS_UP_DOWN,
	TENSOR("attn_output.bias", output.bias, .width = VECTOR_EMBD, .in = LAYER_ATTENTION, .is_optional = true),
	TENSOR("ffn_up.bias", ffn.up_bias, .width = VECTOR_FF, .in = LAYER_FF, .is_optional = true),
	TENSOR("ffn_down.bias", down.bias, .width = VECTOR_EMBD, .in = LAYER_FF, .is_optional = true),
};

static const char *const obeys[] = { MAMBA2_KEYS, NULL };

static int nemotron_h_imply(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	for (uint32_t i = 0; i < hp->n_layer; i++)
		hp->kind[i] = hp->kind[i] & LAYER_FF          ? LAYER_FF
			      : hp->kind[i] & LAYER_ATTENTION ? LAYER_ATTENTION
							      : LAYER_STATE;
	return block_mamba2_read(hp, g, arch, e);
}

const struct arch arch_nemotron_h = {
	.name = "nemotron_h",
	.pass = &decoder_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.mixer = &block_mamba2,
	.gate = GATE_RELU2,
	.obeys = obeys,
	.imply = nemotron_h_imply,
};
