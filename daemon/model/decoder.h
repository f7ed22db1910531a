/*
 * The pass of a decoder whose layers are an attention or what mixes tokens in its place (block_mix.h), then a gated feed-forward, each
 * added to the residual stream:
 *   x += attention(n), or Wout . mix(n), or both, n = norm(x)
 *   x += Wdown . (act(Wgate . n) * (Wup . n)), n = norm(x)
 * Which of them a layer has, its kind says (enum layer_kind); what an architecture does not have is NULL in its layers: biases, norms of
 * heads, norms of what is added.
 */
#ifndef GYRE_DAEMON_MODEL_DECODER_H
#define GYRE_DAEMON_MODEL_DECODER_H

#include "daemon/model/arch.h"
#include "daemon/model/block.h"
#include "daemon/model/block_mix.h"

#include <stddef.h>

struct decoder_layer {
	struct heads_in heads; /* LAYER_ATTENTION */
	struct attention_in attention;
	struct residual_in output;
	struct mix_in mix; /* LAYER_STATE */
	struct residual_in mix_output;
	struct ffn_in ffn; /* LAYER_FF */
	struct residual_in down;
	struct experts_in experts; /* LAYER_EXPERTS */
};

/* A row of an architecture's table: where its tensor goes, then what else layer_tensor says of it. */
#define TENSOR(tensor_name, field, ...)                                                       \
	{                                                                                     \
		.name = tensor_name, .at = offsetof(struct decoder_layer, field), __VA_ARGS__ \
	}

/* What a llama has, by kind of layer. */
#define TENSORS_ATTENTION \
	TENSOR("attn_norm.weight", heads.norm.w, .width = VECTOR_EMBD, .in = LAYER_ATTENTION), TENSORS_HEADS
#define TENSORS_FF TENSORS_FF_OF("ffn_norm.weight")
/* The name is of the norm that it begins with. */
#define TENSORS_FF_OF(norm_name) TENSOR(norm_name, ffn.norm.w, .width = VECTOR_EMBD, .in = LAYER_FF), TENSORS_GATED
/* The same without the norms before. */
#define TENSORS_HEADS                                                                          \
	TENSOR("attn_q.weight", heads.q, .axis = PLAN_HEAD, .in = LAYER_ATTENTION),            \
		TENSOR("attn_k.weight", heads.k, .axis = PLAN_HEAD_KV, .in = LAYER_ATTENTION), \
		TENSOR("attn_v.weight", heads.v, .axis = PLAN_HEAD_KV, .in = LAYER_ATTENTION), \
		TENSOR("attn_output.weight", output.w, .axis = PLAN_HEAD_K, .in = LAYER_ATTENTION)
#define TENSORS_GATED TENSOR("ffn_gate.weight", ffn.gate, .axis = PLAN_FF, .in = LAYER_FF), TENSORS_UP_DOWN
#define TENSORS_UP_DOWN                                                   \
	TENSOR("ffn_up.weight", ffn.up, .axis = PLAN_FF, .in = LAYER_FF), \
		TENSOR("ffn_down.weight", down.w, .axis = PLAN_FF_K, .in = LAYER_FF)
/* A feed-forward without a gate. */
#define TENSORS_UNGATED TENSOR("ffn_norm.weight", ffn.norm.w, .width = VECTOR_EMBD, .in = LAYER_FF), TENSORS_UP_DOWN
/* With norms of heads, and a gate of what each gives. */
#define TENSORS_GATED_ATTENTION                                                                                  \
	TENSORS_ATTENTION, TENSOR("attn_q_gate.weight", heads.q_gate, .axis = PLAN_HEAD, .in = LAYER_ATTENTION), \
		TENSOR("attn_q_norm.weight", heads.q_norm.w, .width = VECTOR_HEAD_DIM, .in = LAYER_ATTENTION),   \
		TENSOR("attn_k_norm.weight", heads.k_norm.w, .width = VECTOR_HEAD_DIM, .in = LAYER_ATTENTION)
/* Biases of the queries, keys and values; of all sizes of an architecture, or of some. */
#define TENSORS_BIAS          TENSORS_BIAS_OF(false)
#define TENSORS_BIAS_OPTIONAL TENSORS_BIAS_OF(true)
#define TENSORS_BIAS_OF(optional)                                                                                   \
	TENSOR("attn_q.bias", heads.q_bias, .width = VECTOR_HEADS, .in = LAYER_ATTENTION, .is_optional = optional), \
		TENSOR("attn_k.bias", heads.k_bias, .width = VECTOR_HEADS_KV, .in = LAYER_ATTENTION,                \
		       .is_optional = optional),                                                                    \
		TENSOR("attn_v.bias", heads.v_bias, .width = VECTOR_HEADS_KV, .in = LAYER_ATTENTION,                \
		       .is_optional = optional)

/* What qwen3moe has in the place of TENSORS_FF, and others beside it. The name is of the norm that it begins with. */
#define TENSORS_EXPERTS TENSORS_EXPERTS_OF("ffn_norm.weight")
#define TENSORS_EXPERTS_OF(norm_name)                                                                     \
	TENSOR(norm_name, experts.norm.w, .width = VECTOR_EMBD, .in = LAYER_EXPERTS),                     \
		TENSOR("ffn_gate_inp.weight", experts.router, .axis = PLAN_ROW, .n_row = VECTOR_EXPERTS,  \
		       .width = VECTOR_EMBD, .in = LAYER_EXPERTS),                                        \
		TENSOR("ffn_gate_exps.weight", experts.gate, .axis = PLAN_ROW, .n_row = VECTOR_FF_EXPERT, \
		       .width = VECTOR_EMBD, .in = LAYER_EXPERTS, .is_of_experts = true),                 \
		TENSOR("ffn_up_exps.weight", experts.up, .axis = PLAN_ROW, .n_row = VECTOR_FF_EXPERT,     \
		       .width = VECTOR_EMBD, .in = LAYER_EXPERTS, .is_of_experts = true),                 \
		TENSOR("ffn_down_exps.weight", experts.down, .axis = PLAN_ROW, .n_row = VECTOR_EMBD,      \
		       .width = VECTOR_FF_EXPERT, .in = LAYER_EXPERTS, .is_of_experts = true)
/* And what gpt-oss adds to all their products. */
#define TENSORS_EXPERTS_BIAS                                                                                       \
	TENSOR("ffn_gate_inp.bias", experts.router_bias, .width = VECTOR_EXPERTS, .axis = PLAN_VECTOR,             \
	       .in = LAYER_EXPERTS),                                                                               \
		TENSOR("ffn_gate_exps.bias", experts.gate_bias, .width = VECTOR_EXPERTS_FF, .axis = PLAN_VECTOR,   \
		       .in = LAYER_EXPERTS),                                                                       \
		TENSOR("ffn_up_exps.bias", experts.up_bias, .width = VECTOR_EXPERTS_FF, .axis = PLAN_VECTOR,       \
		       .in = LAYER_EXPERTS),                                                                       \
		TENSOR("ffn_down_exps.bias", experts.down_bias, .width = VECTOR_EXPERTS_EMBD, .axis = PLAN_VECTOR, \
		       .in = LAYER_EXPERTS)
/* An expert of all tokens beside them. */
#define TENSORS_SHARED                                                                                        \
	TENSOR("ffn_gate_shexp.weight", experts.shared_gate, .axis = PLAN_ROW, .n_row = VECTOR_FF_SHARED,     \
	       .width = VECTOR_EMBD, .in = LAYER_SHARED),                                                     \
		TENSOR("ffn_up_shexp.weight", experts.shared_up, .axis = PLAN_ROW, .n_row = VECTOR_FF_SHARED, \
		       .width = VECTOR_EMBD, .in = LAYER_SHARED),                                             \
		TENSOR("ffn_down_shexp.weight", experts.shared_down, .axis = PLAN_ROW, .n_row = VECTOR_EMBD,  \
		       .width = VECTOR_FF_SHARED, .in = LAYER_SHARED)
/* Which weighs what it gives. */
#define TENSOR_SHARED_INP                                                                                 \
	TENSOR("ffn_gate_inp_shexp.weight", experts.shared_inp, .width = VECTOR_EMBD, .in = LAYER_SHARED, \
	       .axis = PLAN_VECTOR)
/* What is added to scores to choose by, and weighs nothing. */
#define TENSOR_CHOOSE_BIAS                                                                            \
	TENSOR("exp_probs_b.bias", experts.choose_bias, .width = VECTOR_EXPERTS, .axis = PLAN_VECTOR, \
	       .in = LAYER_EXPERTS)

extern const struct pass decoder_pass;

#endif
