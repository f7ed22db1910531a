/*
 * Whose turn it is: the users of a step, in order of the time that they have used, and the requests of each in its own order.
 */
#ifndef GYRE_DAEMON_SCHED_TURN_H
#define GYRE_DAEMON_SCHED_TURN_H

#include "daemon/sched/sched.h"

/* Counts the live requests by user and lists those that may run. */
void turn_take_census(struct sched *s, const struct queue *q);
/* Users by virtual time, the requests of each by priority and ticket. */
void turn_sort(struct sched *s, const struct queue *q);
/* Who rides in the batch was served just now. */
void turn_note_served(struct sched *s, const struct batch *b);

#endif
