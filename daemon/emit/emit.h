/*
 * Tokens -> CQ rings: what the requests of a step have come to is told to their operations, which write the completions
 * (stream/stream.h), under the lock of each one's session. Published and rung at the end, once a session. Leader thread.
 */
#ifndef GYRE_DAEMON_EMIT_EMIT_H
#define GYRE_DAEMON_EMIT_EMIT_H

#include "daemon/flow/batch.h"
#include "daemon/flow/meter.h"

#define EMIT_SESSION_MAX (2 * BATCH_SEQ_MAX)

struct emit {
	struct meter *meter; /* its engine's */
	uint32_t n_layer;
	uint32_t n_touched;
	struct session *touched[EMIT_SESSION_MAX]; /* to be flushed at the end of the step */
	uint64_t n_token;                          /* generated */
	uint64_t n_fault;                          /* requests that ended because their numbers were none */
	uint64_t fault_log_ns;
};

void emit_init(struct emit *e, struct meter *meter, uint32_t n_layer);
void emit_batch(struct emit *e, struct batch *b);

#endif
