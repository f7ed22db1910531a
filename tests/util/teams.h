/* Teams that tests run: workers anywhere, on virtual nodes. */
#ifndef GYRE_TESTS_UTIL_TEAMS_H
#define GYRE_TESTS_UTIL_TEAMS_H

#include "daemon/team/team.h"

/* Divided evenly between nodes. */
static inline struct layout layout_even(int n_worker, int n_node)
{
	struct layout l = { .n_worker = n_worker, .n_node = n_node };

	for (int i = 0; i < n_node; i++)
		l.node[i] = (struct layout_node){ n_worker / n_node + (i < n_worker % n_node), -1 };
	return l;
}

static inline int team_even(struct team **t, int n_worker, int n_node)
{
	struct layout l = layout_even(n_worker, n_node);

	return team_new(t, &l, NULL);
}

#endif
