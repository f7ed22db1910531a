/*
 * Tokens -> CQ rings. One completion a token, with its bytes, and more where they do not fit one; bytes in which a stop string
 * may begin (or, on request, an unfinished character) are held back and come with a later one. The last says how the request ended.
 * intake has granted the space beforehand, so a completion that is due always fits. Leader thread; nothing allocates.
 */
#ifndef GYRE_DAEMON_EMIT_EMIT_H
#define GYRE_DAEMON_EMIT_EMIT_H

#include "daemon/flow/batch.h"
#include "daemon/text/text.h"

#define EMIT_SESSION_MAX (2 * BATCH_SEQ_MAX)

struct emit {
	const struct vocab *vocab;
	uint32_t n_ctx, n_layer;
	uint32_t n_touched;
	struct session *touched[EMIT_SESSION_MAX]; /* to be flushed at the end of the step */
	uint64_t n_token;
	uint64_t n_fault; /* requests that ended because their numbers were none */
	uint64_t fault_log_ns;
};

/* Completions that a token's bytes take at most, at least 2: a request that runs is granted these for each token of a step, and
 * REQUEST_END_PIECES more. */
uint32_t emit_pieces(const struct vocab *v);

void emit_init(struct emit *e, const struct vocab *v, uint32_t n_ctx, uint32_t n_layer);
void emit_batch(struct emit *e, struct batch *b);

#endif
