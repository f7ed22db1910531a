/*
 * Slots, one for each sequence that runs, where the model has states. blocks.c takes them with the first block and gives them up with the
 * last; here is who may have how many.
 */
#ifndef GYRE_DAEMON_SCHED_SLOTS_H
#define GYRE_DAEMON_SCHED_SLOTS_H

#include "daemon/sched/sched.h"

/* Each user's limit for this step. n_sharer: users that share the pool. */
void slots_set_limits(struct sched *s, uint32_t n_sharer);
/* true: it has one now, or the model has no states. slots_take: one that the cache gives up, if none is free. */
bool slots_take_free(struct sched *s, struct request *r);
bool slots_take(struct sched *s, struct request *r);
/* The slot is r's; it is somebody else's, who has taken it from r. */
void slots_adopt(struct sched *s, struct request *r, uint32_t slot);
void slots_leave(struct sched *s, struct request *r);
/* It has none any more. */
void slots_give(struct sched *s, struct request *r);

#endif
