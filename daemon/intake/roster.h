/*
 * Who is here: the sessions whose rings are drained, and their users, each with its sessions in a circle. At the watch. The slots of
 * users alone are changed under the handover's lock, since whoever lets go of a session last gives its slot back.
 */
#ifndef GYRE_DAEMON_INTAKE_ROSTER_H
#define GYRE_DAEMON_INTAKE_ROSTER_H

#include "daemon/flow/queue.h"
#include "daemon/session/session.h"

#define INTAKE_SESSION_MAX QUEUE_SESSION_MAX

struct roster {
	uint32_t n_session;  /* counter */
	uint32_t n_user;     /* users that have sessions here */
	uint32_t first_user; /* whose SQs are drained first in this step */
	struct user_table users;
	struct session *session[INTAKE_SESSION_MAX];
};

/* Under the handover's lock. */
void roster_admit(struct roster *r, struct session *s);
/* The client has gone: each engine ends the requests of s when it sees that. */
void roster_drop(struct roster *r, struct session *s);

#endif
