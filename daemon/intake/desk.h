/*
 * Who watches the rings. The desk is a lock: its holder drains, and when there is nothing to do waits there, spinning and then
 * asleep on all doorbells. Other idle leaders wait aside, in their own queues. Whoever leaves for a step calls one of them to the
 * desk, so that while any engine is idle, somebody watches, and a new request waits for no other engine's step; if all are busy,
 * each drains between its steps. With one engine its leader is always at the desk.
 */
#ifndef GYRE_DAEMON_INTAKE_DESK_H
#define GYRE_DAEMON_INTAKE_DESK_H

#include "daemon/intake/intake.h"

/* false: somebody is there. */
bool desk_enter(struct intake *i);
/* The leader whose engine has q, after a drain. */
void desk_leave(struct intake *i, const struct queue *q);
/* Until there is something to do, maybe sooner. */
void desk_wait(struct intake *i, struct queue *q);

#endif
