/*
 * Which of a model's engines a request goes to. What an engine knows of a prompt it need not run (its queue has hashes of its prefix cache,
 * a hint), so what counts is all that it would then have to do. A prefix that all ask for stays where it is known until that engine has as
 * many rows more to run than another as the prefix has tokens; then the other reads it, and knows it, too.
 */
#ifndef GYRE_DAEMON_INTAKE_ROUTE_H
#define GYRE_DAEMON_INTAKE_ROUTE_H

#include "daemon/flow/queue.h"
#include "daemon/flow/served.h"

/* The engine that would have the least to do, on a tie the one whose leader is here: it is awake. r NULL: its tokens are not known yet. */
struct queue *route_choose(const struct served *served, const struct request *r, const struct queue *own);

#endif
