/*
 * Slots, one for each sequence that runs, where the model has states. blocks.c takes them with the first block and gives them up with the
 * last; here is who may have how many.
 */
#ifndef GYRE_DAEMON_SCHED_SLOTS_H
#define GYRE_DAEMON_SCHED_SLOTS_H

#include "daemon/sched/sched.h"

/* Each user's limit for this step. n_sharer: users that share the pool. */
void slots_set_limits(struct sched *s, uint32_t n_sharer);
/* true: it has one now, or the model has no states. */
bool slots_take(struct sched *s, struct request *r);
/* It has none any more. */
void slots_give(struct sched *s, struct request *r);

#endif
