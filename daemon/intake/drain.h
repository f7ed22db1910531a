/*
 * How far the rings are drained between two steps. Work is counted, not timed, in units of about 50 ns: a drain has DRAIN_UNITS
 * (25 us), which users that have sessions divide, idle or not. What a user's entries have no units left for stays in its SQs
 * until the next drain, which follows the next step or, on an idle machine, at once.
 */
#ifndef GYRE_DAEMON_INTAKE_DRAIN_H
#define GYRE_DAEMON_INTAKE_DRAIN_H

#include "daemon/intake/intake.h"

#define DRAIN_UNITS     512
#define DRAIN_UNITS_MIN 16 /* of a user: a look, an entry, and most of its options */

#define DRAIN_LOOK  1      /* at an SQ: two cold lines */
#define DRAIN_ENTRY 3      /* copied, checked, answered */
#define DRAIN_READ  8      /* a read of the arena, whatever its length: a system call */
#define DRAIN_COPY  512    /* bytes copied in a unit, */
#define DRAIN_CHECK 64     /* or copied and checked */
#define DRAIN_WAKE  32     /* a client that sleeps: a system call that may run a scheduler */
#define DRAIN_PIECE 32768u /* bytes of a long prompt that are copied at once */

/* At the desk, the leader whose engine has q. */
void drain_users(struct intake *i, struct queue *q);

#endif
