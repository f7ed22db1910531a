/*
 * The cores that engines of several models share: one of them makes a pass at a time, in the order in which they asked, so that barriers
 * are never waited for by a worker whose core another model has. With one model it is three memory accesses a step.
 */
#ifndef GYRE_DAEMON_TEAM_CORES_H
#define GYRE_DAEMON_TEAM_CORES_H

#include <stdbool.h>
#include <stdint.h>

struct cores {
	uint32_t n_ticket;  /* atomic: given out */
	uint32_t n_served;  /* atomic, and a futex: passes that have ended */
	uint32_t n_waiting; /* atomic: leaders that wait, or are about to */
};

/* An engine's own. */
struct cores_seat {
	struct cores *cores; /* NULL: nobody else has them */
	bool is_taken;       /* the leader's */
	uint32_t last;       /* its last ticket */
	uint32_t is_waiting; /* atomic: it waits for another model's pass */
};

/* Leader, for a pass of n_row rows; of none, nothing: they are its own until it gives them back. Whether another model has had them since
 * its last pass. */
bool cores_take(struct cores_seat *s, uint32_t n_row);
void cores_give(struct cores_seat *s);

#endif
