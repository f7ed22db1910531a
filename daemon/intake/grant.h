/*
 * Before each step a leader has completions promised to each of its requests, as many as its CQ has room for: without, its rows
 * pause, so nothing is ever dropped. What a step has not used is taken back after it.
 */
#ifndef GYRE_DAEMON_INTAKE_GRANT_H
#define GYRE_DAEMON_INTAKE_GRANT_H

#include "daemon/flow/queue.h"

/* For a token of each request, oldest first; then, of what is left, for all that a step may give it. Those of a client that has gone are done. */
void grant_space(struct queue *q);
void grant_take_back(struct queue *q);

#endif
