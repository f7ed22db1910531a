/* Where the time of steps goes: the laps of a team (daemon/util/profile.h), taken in this process or told by a daemon. */
#ifndef GYRE_TOOLS_STEPS_H
#define GYRE_TOOLS_STEPS_H

#include "daemon/model/model.h"
#include "tools/tool.h"

struct steps {
	struct profile_sum leader;
	char lap[PROFILE_MODEL_MAX][16]; /* what the model calls its parts */
	uint32_t n_layer;
	int n_worker;
	double barrier_ns[TEAM_MAX]; /* each worker's wait at barriers */
};

/* A daemon's statistics. NULL: *code is the exit code, and why was printed. */
json_t *stats_query(struct gyre *g, int *code);
/* Those with a row for each session, and without a session of our own: when every place is taken, too. */
json_t *stats_ask(const struct args *a, int *code);
/* The time of a daemon's steps since it started. An exit code; an error was printed. */
int steps_query(struct gyre *g, struct steps *s);
void steps_read(struct steps *s, const struct team *t, const struct model *m);
void steps_add(struct steps *sum, const struct steps *s);
/* Leaves the time since `since`. Nothing becomes negative; the counters of a daemon that has started anew stay as they are. */
void steps_subtract(struct steps *s, const struct steps *since);
/* Idle time is no part of a step. Where none was made: says so, and null in JSON for each figure of it. */
void steps_print(const struct steps *s);
/* Share of the step that is neither the forward pass nor waiting in it: intake, plan, drafts, sampling, emit. */
double steps_own_share(const struct steps *s);
json_t *steps_json(const struct steps *s);

#endif
