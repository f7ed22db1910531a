/* Where the time of steps goes: the laps of a team (daemon/util/profile.h), taken in this process or told by a daemon. */
#ifndef GYRE_TOOLS_STEPS_H
#define GYRE_TOOLS_STEPS_H

#include "daemon/team/team.h"

#include <jansson.h>
#include <stdbool.h>

struct steps {
	struct profile_sum leader;
	uint32_t n_layer;
	int n_worker;
	double barrier_ns[TEAM_MAX]; /* what each worker waited at barriers */
};

void steps_read(struct steps *s, const struct team *t, uint32_t n_layer);
/* The "step" object of a daemon's statistics. false: it is none. */
bool steps_parse(struct steps *s, const json_t *step);
void steps_add(struct steps *sum, const struct steps *s);
void steps_subtract(struct steps *s, const struct steps *since);
/* Idle time is no part of a step. */
void steps_print(const struct steps *s);
json_t *steps_json(const struct steps *s);

#endif
