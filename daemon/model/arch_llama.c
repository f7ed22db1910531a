/*
 * Llama (Touvron et al. 2023; Grouped-Query Attention of Llama 2 and 3), and Mistral with its sliding window of all layers. Per layer
 *   x += Wo . attention(rope(Wq . n), rope(Wk . n), Wv . n),  n = rms_norm(x) * attn_norm
 *   x += Wdown . (silu(Wgate . n) * (Wup . n)),               n = rms_norm(x) * ffn_norm
 * and logits = Woutput . (rms_norm(x) * output_norm). Rotary pairs are (2i, 2i+1), as GGUF stores this architecture.
 */
#include "daemon/model/dense.h"

static const struct layer_tensor tensor[] = {
	{ "attn_norm.weight", DENSE(heads.norm), PLAN_COPY, VECTOR_EMBD },
	{ "attn_q.weight", DENSE(heads.q), PLAN_HEAD, VECTOR_NONE },
	{ "attn_k.weight", DENSE(heads.k), PLAN_HEAD_KV, VECTOR_NONE },
	{ "attn_v.weight", DENSE(heads.v), PLAN_HEAD_KV, VECTOR_NONE },
	{ "attn_output.weight", DENSE(output.w), PLAN_HEAD_K, VECTOR_NONE },
	{ "ffn_norm.weight", DENSE(ffn.norm), PLAN_COPY, VECTOR_EMBD },
	{ "ffn_gate.weight", DENSE(ffn.gate), PLAN_FF, VECTOR_NONE },
	{ "ffn_up.weight", DENSE(ffn.up), PLAN_FF, VECTOR_NONE },
	{ "ffn_down.weight", DENSE(down.w), PLAN_FF_K, VECTOR_NONE },
};

const struct arch arch_llama = {
	.name = "llama",
	.pass = &dense_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_NEIGHBOURS,
	.gate = GATE_SILU,
	.has_window = true,
};
