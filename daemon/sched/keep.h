/*
 * Requests that have ended and are kept (GYRE_SQE_KEEP). Until they are let go of their tokens stay, and their blocks and slots as long as
 * nobody needs them: before a running request gives anything up, they do, first those of the user that keeps most. Who goes on from one
 * that has given blocks up computes them again.
 */
#ifndef GYRE_DAEMON_SCHED_KEEP_H
#define GYRE_DAEMON_SCHED_KEEP_H

#include "daemon/sched/sched.h"

/* Its time is over, or a CANCEL has come. */
bool keep_is_over(const struct sched *s, const struct request *r);
/* A block of a kept request, or all that one has with its slot. false: none has any. */
bool keep_give_block(struct sched *s, const struct queue *q);
bool keep_give_slot(struct sched *s, const struct queue *q);
/* All that the user keeps is given up, and the claims to it. */
void keep_give_claims(struct sched *s, const struct queue *q, const struct user *u);

#endif
