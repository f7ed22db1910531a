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

extern const struct pass dense_pass;

#endif
