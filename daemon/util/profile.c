#include "daemon/util/profile.h"

#include <time.h>

_Thread_local struct profile *profile_mine;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void profile_attach(struct profile *p)
{
	if (p && p != profile_mine) {
		p->last_ticks = cpu_ticks();
		if (!p->begin_ns) {
			p->begin_ticks = p->last_ticks;
			__atomic_store_n(&p->begin_ns, now_ns(), __ATOMIC_RELEASE); /* pairs with profile_read */
		}
	}
	profile_mine = p;
}

void profile_read(const struct profile *p, struct profile_sum *sum)
{
	uint64_t begin_ns = __atomic_load_n(&p->begin_ns, __ATOMIC_ACQUIRE); /* pairs with profile_attach */
	uint64_t n_tick = begin_ns ? cpu_ticks() - p->begin_ticks : 0;
	double tick_ns = n_tick ? (double)(now_ns() - begin_ns) / (double)n_tick : 0; /* none: ticks may be long */

	sum->n_row = __atomic_load_n(&p->n_row, __ATOMIC_RELAXED);
	for (int i = 0; i < PROFILE_PART_MAX; i++) {
		sum->n[i] = __atomic_load_n(&p->n[i], __ATOMIC_RELAXED);
		sum->ns[i] = (double)__atomic_load_n(&p->ticks[i], __ATOMIC_RELAXED) * tick_ns;
	}
}

uint64_t profile_laps(const struct profile *p)
{
	uint64_t n = 0;

	for (int i = 0; i < PROFILE_PART_MAX; i++)
		n += __atomic_load_n(&p->n[i], __ATOMIC_RELAXED);
	return n;
}

void profile_subtract(struct profile_sum *sum, const struct profile_sum *since)
{
	sum->n_row -= since->n_row;
	for (int i = 0; i < PROFILE_PART_MAX; i++) {
		sum->n[i] -= since->n[i];
		sum->ns[i] -= since->ns[i];
	}
}

void profile_add_sum(struct profile_sum *sum, const struct profile_sum *more)
{
	sum->n_row += more->n_row;
	for (int i = 0; i < PROFILE_PART_MAX; i++) {
		sum->n[i] += more->n[i];
		sum->ns[i] += more->ns[i];
	}
}

const char *profile_part_name(enum profile_part part, const char *const model[PROFILE_MODEL_MAX])
{
	static const char *const name[PROFILE_PART_MAX] = {
		[PROFILE_IDLE] = "idle",     [PROFILE_INTAKE] = "intake", [PROFILE_PLAN] = "plan",
		[PROFILE_DRAFT] = "draft",   [PROFILE_EMBED] = "embed",   [PROFILE_REDUCE] = "reduce",
		[PROFILE_NORM] = "norm",     [PROFILE_HEAD] = "head",     [PROFILE_BARRIER] = "barrier",
		[PROFILE_SAMPLE] = "sample", [PROFILE_EMIT] = "emit",
	};

	return part >= PROFILE_MODEL && part < PROFILE_HEAD ? model[part - PROFILE_MODEL] : name[part];
}
