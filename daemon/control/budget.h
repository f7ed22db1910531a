/*
 * The memory of sessions: what all regions together may take, divided between uids as their places are. A uid may have more as
 * long as it leaves at least as much to others as it has then; one ordinary session it gets as long as there is any room.
 * Counted in full and by uid, so that it bounds what any number of sessions can make the kernel charge to this daemon: pages,
 * entries, completions, results, and the holes that a client punches into what is polled.
 */
#ifndef GYRE_DAEMON_CONTROL_BUDGET_H
#define GYRE_DAEMON_CONTROL_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct budget_use {
	uint64_t all, own; /* bytes of everybody's regions, of the uid's */
};

/* want more, of a session that takes `ordinary` bytes if its client asks for nothing special? */
bool budget_has_room(uint64_t limit, struct budget_use now, uint64_t want, uint64_t ordinary);
/* What the configuration says, or else a share of the memory that is left once everything else has been taken. */
uint64_t budget_limit(uint64_t configured, uint64_t available);

#endif
