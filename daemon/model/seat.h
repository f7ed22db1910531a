/* Where a worker sits in a pass: looked up once, and handed to every block of it. */
#ifndef GYRE_DAEMON_MODEL_SEAT_H
#define GYRE_DAEMON_MODEL_SEAT_H

#include "daemon/model/state.h"

struct seat {
	struct model *m;
	int worker;
	const struct team_node *team; /* the workers of its node, and the node's number */
	struct node *node;
	struct scratch *own;
};

/* Which of the node's workers it is. */
static inline int seat_in_node(const struct seat *s)
{
	return s->worker - s->team->first;
}

/* Ends a stretch of work, which goes to the architecture's part `lap` of the profile: what every worker wrote before it is seen
 * by all after it. */
static inline void seat_meet(const struct seat *s, int lap)
{
	profile_lap((enum profile_part)(PROFILE_MODEL + lap));
	team_barrier(s->m->team, s->worker);
}

#endif
