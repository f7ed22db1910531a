/*
 * FORK: a request that goes on from another of the same engine, its source. It waits, holding nothing, until the source has come as far as
 * it wants to begin from; then it takes the source's tokens in front of its own, and
 * holds the source's blocks as well.
 */
#ifndef GYRE_DAEMON_SCHED_FORK_H
#define GYRE_DAEMON_SCHED_FORK_H

#include "daemon/sched/sched.h"

/* Those that can begin do, or end: -ECANCELED (the source has failed), -EINVAL (it has fewer tokens), -E2BIG, -ENOSPC, -EFBIG. Before what has
 * ended gives up its blocks. */
void fork_begin_all(struct sched *s, const struct queue *q);

#endif
