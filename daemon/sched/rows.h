/*
 * Rows of a step: of each user one, then as many as its part has time for, then what others leave; streams before prompts. Blocks are
 * taken as rows are.
 */
#ifndef GYRE_DAEMON_SCHED_ROWS_H
#define GYRE_DAEMON_SCHED_ROWS_H

#include "daemon/sched/sched.h"

/* Of the users that go before others, or of all others. Behind the sort and the limits. */
void rows_serve(struct sched *s, struct queue *q, struct batch *b, bool is_above);

#endif
