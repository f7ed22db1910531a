/*
 * Whose turn it is: the users of a step, in order, with the share of each; and the requests of each in its own order.
 */
#ifndef GYRE_DAEMON_SCHED_TURN_H
#define GYRE_DAEMON_SCHED_TURN_H

#include "daemon/sched/sched.h"

/* The step that has been run, for what a row and a step take here. */
void turn_measure(struct sched *s, uint32_t n_row, uint64_t forward_ns);
/* Counts the live requests by user and lists those that may run. */
void turn_take_census(struct sched *s, const struct queue *q);
/* Users by when they were last served, the requests of each by priority and ticket. */
void turn_sort(struct sched *s, const struct queue *q);
/* Rows, seats and logit rows of each user. */
void turn_share_step(struct sched *s, uint32_t n_logit_max);
/* Who rides in the batch goes to the back of the users' line. */
void turn_note_served(struct sched *s, const struct batch *b);

#endif
