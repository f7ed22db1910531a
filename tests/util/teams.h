/* Teams that tests run: workers anywhere, on virtual nodes. */
#ifndef GYRE_TESTS_UTIL_TEAMS_H
#define GYRE_TESTS_UTIL_TEAMS_H

#include "daemon/team/team.h"

static inline int team_even(struct team **t, int n_worker, int n_node)
{
	struct layout l = layout_even(n_worker, n_node);

	return team_new(t, &l, NULL);
}

#endif
