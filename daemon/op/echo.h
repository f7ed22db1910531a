/*
 * GYRE_SQE_ECHO: each token of the prompt but the first is told, with the probability it had where it stands, by the operations that
 * take the flag. Told are those that have rows: kept.n_scored counts them, so what is computed again is not told again.
 */
#ifndef GYRE_DAEMON_OP_ECHO_H
#define GYRE_DAEMON_OP_ECHO_H

#include "daemon/flow/batch.h"

/* Is there a token of the prompt left to be told? */
bool echo_is_due(const struct request *r);
/* What precedes each of those. */
struct op_span echo_wants_logits(const struct request *r);
/* The next of them: a result of the step. */
void echo_take_token(struct request *r, const struct batch_token *t, uint64_t time_ns);

#endif
