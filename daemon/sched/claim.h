/*
 * Positions that a user's requests may hold at once (max-positions). Before its first row a request claims all that it may come to hold, or
 * waits, holding nothing, until others of its user have ended: so none waits for another that waits for it, on whichever engines they are,
 * and none is preempted over a quota. A user's claims come in order of priority, then arrival.
 */
#ifndef GYRE_DAEMON_SCHED_CLAIM_H
#define GYRE_DAEMON_SCHED_CLAIM_H

#include "daemon/sched/sched.h"

/* Requests that may claim what they need do so; of a user with a limit, one in a step. */
void claim_take_all(struct sched *s, const struct queue *q);
/* r is kept: it claims no more than it holds. */
void claim_shrink(const struct sched *s, struct request *r);
/* r has ended: it claims and pins nothing. */
void claim_drop(struct request *r);
/* Its answer has no end of its own and has reached the limit; then r is told so in words. */
bool claim_is_used_up(const struct sched *s, struct request *r);

#endif
