/*
 * Where a thread's time goes, always compiled in. A lap ends the stretch that began at the lap before it and adds it to one
 * part, so the parts of a thread sum to all of its time. One lap is a counter read and two additions, about 20 ns.
 *
 * A profile has one writer, the thread it is attached to, and lies on cache lines of its own. Anybody may read it meanwhile:
 * a stale or torn set of parts costs a figure its last step.
 */
#ifndef GYRE_DAEMON_UTIL_PROFILE_H
#define GYRE_DAEMON_UTIL_PROFILE_H

#include "cpu.h"
#include "daemon/util/counter.h"

#include <stdint.h>

#define PROFILE_MODEL_MAX 12

/* In the order of a step. IDLE: waiting for a run or a request; BARRIER: for the other workers. */
enum profile_part {
	PROFILE_IDLE,
	PROFILE_INTAKE,
	PROFILE_PLAN,
	PROFILE_DRAFT,
	PROFILE_EMBED,
	PROFILE_REDUCE, /* adding up the nodes' partial sums; of many rows a part of NORM */
	PROFILE_NORM,   /* norm and packing of activations, of all products */
	PROFILE_MODEL,  /* the first of PROFILE_MODEL_MAX that the model's architecture names */
	PROFILE_HEAD = PROFILE_MODEL + PROFILE_MODEL_MAX,
	PROFILE_BARRIER,
	PROFILE_SAMPLE,
	PROFILE_EMIT,
	PROFILE_PART_MAX
};

struct profile {
	uint64_t last_ticks __attribute__((aligned(64)));
	uint64_t begin_ticks, begin_ns; /* when it was attached first: the length of a tick */
	uint64_t n_row;
	uint64_t ticks[PROFILE_PART_MAX];
	uint64_t n[PROFILE_PART_MAX]; /* laps */
};

/* A reading of it. */
struct profile_sum {
	uint64_t n_row;
	uint64_t n[PROFILE_PART_MAX];
	double ns[PROFILE_PART_MAX];
};

extern _Thread_local struct profile *profile_mine;

/* From now on this thread's laps go to p (zeroed memory at first); NULL: nowhere. */
void profile_attach(struct profile *p);
void profile_read(const struct profile *p, struct profile_sum *sum);
/* All laps so far. */
uint64_t profile_laps(const struct profile *p);
/* *sum -= *since, a reading taken earlier. */
void profile_subtract(struct profile_sum *sum, const struct profile_sum *since);
void profile_add_sum(struct profile_sum *sum, const struct profile_sum *more);
/* "idle", "intake", ...; of the model's parts what it calls them, NULL: it has no such part. */
const char *profile_part_name(enum profile_part part, const char *const model[PROFILE_MODEL_MAX]);

static inline void profile_lap(enum profile_part part)
{
	struct profile *p = profile_mine;
	uint64_t now;

	if (!p)
		return;
	now = cpu_ticks();
	counter_add(&p->ticks[part], now - p->last_ticks);
	counter_add(&p->n[part], 1);
	p->last_ticks = now;
}

static inline void profile_rows(uint32_t n_row)
{
	if (profile_mine)
		counter_add(&profile_mine->n_row, n_row);
}

#endif
