/*
 * LINK: a request that waits until the one before it in its chain has ended. It holds nothing but its tokens; the one before it may be any
 * engine's, and is only asked whether its end has been told, and how.
 */
#ifndef GYRE_DAEMON_SCHED_LINK_H
#define GYRE_DAEMON_SCHED_LINK_H

#include "daemon/flow/queue.h"

/* Those whose turn has come begin, or end with -ECANCELED. */
void link_begin_all(const struct queue *q);

#endif
