/*
 * Which experts a token takes, and how much of each: from the router's logits, one row at a time. In floats, in one written order; of equal
 * scores the lower index is chosen first, and a NaN comes last, so that any logits choose n_expert_used experts.
 */
#ifndef GYRE_DAEMON_MODEL_ROUTE_H
#define GYRE_DAEMON_MODEL_ROUTE_H

#include "daemon/model/model.h"

/* An expert of a token. */
struct routed {
	uint32_t expert;
	float weight;
};

/* What a layer does to its router's logits and weights; [n_expert] each, NULL: nothing. */
struct route_in {
	const float *bias;        /* of the logits */
	const float *choose_bias; /* of the scores by which it chooses: it weighs nothing */
	const float *times;       /* what weights are multiplied with at last */
	float scale;              /* of the logits, before their bias; 0: 1 */
};

/* Floats that route_row works on. */
static inline size_t route_scratch(const struct hparams *hp)
{
	return 4 * (size_t)hp->n_expert;
}

/*
 * to[n_expert_used], in ascending order of experts. logits[n_expert], which are scaled and biased first: aside, for several workers
 * route one row.
 *   p = softmax(logits) | sigmoid(logits) | logits (GATING_SOFTMAX_CHOSEN)
 *   the n_expert_used largest of p + choose_bias, among the n_group_used groups whose two largest have the largest sum
 *   weight = p; softmax over the chosen for GATING_SOFTMAX_CHOSEN; / max(sum, ROUTE_SUM_MIN) if is_expert_normed; * expert_scale; * times[expert]
 */
void route_row(struct routed *to, const struct kernels *k, const struct hparams *hp, const struct route_in *in,
	       const float *logits, float *scratch);

/* Below it a sum of weights divides by this instead: the smallest normal number of f16, as llama.cpp has it. */
#define ROUTE_SUM_MIN 6.103515625e-5f

/* sigmoid(x . w): of the expert that all tokens take. Lane i % 16 adds x[i] * w[i], then halves are added. */
float route_gate(const struct kernels *k, const float *x, const float *w, size_t n);

#endif
