/*
 * How far the rings are drained between two steps (units.h): users in turn, of each its sessions in turn, as far as its part goes. What
 * a user's entries have no units left for stays in its SQs until the next drain, which follows the next step or, on an idle machine, at
 * once.
 */
#ifndef GYRE_DAEMON_INTAKE_DRAIN_H
#define GYRE_DAEMON_INTAKE_DRAIN_H

#include "daemon/intake/roster.h"
#include "daemon/intake/take.h"
#include "daemon/intake/units.h"

/* At the watch, the leader whose engine has q. */
void drain_users(struct roster *r, struct taker *t, struct queue *q);

#endif
