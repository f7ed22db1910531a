/*
 * Qwen2 (Yang et al. 2024): a llama whose queries, keys and values have biases, and whose rotary pairs are (i, i + n_rot / 2):
 *   x += Wo . attention(rope(Wq . n + bq), rope(Wk . n + bk), Wv . n + bv),  n = rms_norm(x) * attn_norm
 */
#include "daemon/model/dense.h"

static const struct layer_tensor tensor[] = {
	DENSE_TENSORS,
	{ "attn_q.bias", DENSE(heads.q_bias), PLAN_COPY, VECTOR_HEADS },
	{ "attn_k.bias", DENSE(heads.k_bias), PLAN_COPY, VECTOR_HEADS_KV },
	{ "attn_v.bias", DENSE(heads.v_bias), PLAN_COPY, VECTOR_HEADS_KV },
};

const struct arch arch_qwen2 = {
	.name = "qwen2",
	.pass = &dense_pass,
	.tensor = tensor,
	.n_tensor = sizeof(tensor) / sizeof(tensor[0]),
	.rope = ROPE_HALVES,
	.gate = GATE_SILU,
};
