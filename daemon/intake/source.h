/*
 * Which request an entry with FORK goes on from: one of the same session, that runs or is kept, with the user_data it names; of several
 * the one that came last. Other sessions' requests are not looked at, so nothing tells whether they have one.
 */
#ifndef GYRE_DAEMON_INTAKE_SOURCE_H
#define GYRE_DAEMON_INTAKE_SOURCE_H

#include "daemon/session/session.h"

/* At the watch; r is none of its session's requests yet. It is attached to its source (flow/request.h), or -ENOENT with words. *n_looked:
 * requests that were looked at. */
int source_find(struct request *r, uint64_t target, uint32_t *n_looked, struct words *w);

#endif
