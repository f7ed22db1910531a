/*
 * Who gives up what another takes, a block or a slot, when none is free. Between users: whoever is furthest above its limit, if the taker's is
 * below its own. Within a user: who came last.
 */
#ifndef GYRE_DAEMON_SCHED_VICTIM_H
#define GYRE_DAEMON_SCHED_VICTIM_H

#include "daemon/sched/sched.h"

/* A request whose last block, or whose slot, r has a right to. NULL: there is none. */
struct request *victim_find(struct sched *s, const struct queue *q, const struct request *r, bool is_slot);

#endif
