/*
 * The pass of a decoder whose layers are an attention and a gated feed-forward, each added to the residual stream:
 *   x += attention(n),             n = rms_norm(x) * norm
 *   x += Wdown . (act(Wgate . n) * (Wup . n))
 * where what an architecture does not have is NULL in its layers: biases, norms of heads, norms of what is added.
 */
#ifndef GYRE_DAEMON_MODEL_DENSE_H
#define GYRE_DAEMON_MODEL_DENSE_H

#include "daemon/model/arch.h"
#include "daemon/model/block.h"

#include <stddef.h>

struct dense_layer {
	struct heads_in heads;
	struct residual_in output;
	struct ffn_in ffn;
	struct residual_in down;
};

/* Where a row of an architecture's table puts its tensor. */
#define DENSE(field) offsetof(struct dense_layer, field)

/* Rows that every architecture of this pass has: those of a llama. */
#define DENSE_TENSORS                                                                \
	{ "attn_norm.weight", DENSE(heads.norm), PLAN_COPY, VECTOR_EMBD },           \
		{ "attn_q.weight", DENSE(heads.q), PLAN_HEAD, VECTOR_NONE },         \
		{ "attn_k.weight", DENSE(heads.k), PLAN_HEAD_KV, VECTOR_NONE },      \
		{ "attn_v.weight", DENSE(heads.v), PLAN_HEAD_KV, VECTOR_NONE },      \
		{ "attn_output.weight", DENSE(output.w), PLAN_HEAD_K, VECTOR_NONE }, \
		{ "ffn_norm.weight", DENSE(ffn.norm), PLAN_COPY, VECTOR_EMBD },      \
		{ "ffn_gate.weight", DENSE(ffn.gate), PLAN_FF, VECTOR_NONE },        \
		{ "ffn_up.weight", DENSE(ffn.up), PLAN_FF, VECTOR_NONE },            \
	{                                                                            \
		"ffn_down.weight", DENSE(down.w), PLAN_FF_K, VECTOR_NONE             \
	}

extern const struct pass dense_pass;

#endif
