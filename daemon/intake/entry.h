/*
 * An entry of an SQ -> an answer, or a request on its way to an engine. At the desk. What the client wrote is copied once, checked,
 * and only then used; what it costs is taken off i->left, in units of drain.h.
 */
#ifndef GYRE_DAEMON_INTAKE_ENTRY_H
#define GYRE_DAEMON_INTAKE_ENTRY_H

#include "daemon/intake/intake.h"

enum entry_fate {
	ENTRY_WAITS,   /* for room in the CQ, at the helper, in the pool */
	ENTRY_GOES_ON, /* its text is being copied; s->job has the one copy of the entry */
	ENTRY_TAKEN,   /* a request has been made of it */
	ENTRY_ANSWERED,
};

/* sqe: a private copy of what is at the head of s's SQ; not looked at while s->job is set. */
enum entry_fate entry_take(struct intake *i, struct queue *q, struct session *s, const struct gyre_sqe *sqe);
/* A request's tokens are there, or will never be (res). */
void entry_text_done(struct intake *i, struct queue *own, struct request *r, int res);

#endif
