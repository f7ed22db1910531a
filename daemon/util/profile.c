#include "daemon/util/profile.h"
#include "daemon/util/counter.h"
#include "shm/atomic.h"
#include "shm/clock.h"

_Thread_local struct profile *profile_mine;

void profile_attach(struct profile *p)
{
	if (p && p != profile_mine) {
		p->last_ticks = cpu_ticks();
		if (!p->begin_ns) {
			p->begin_ticks = p->last_ticks;
			store_release64(&p->begin_ns, clock_ns()); /* pairs with profile_read */
		}
	}
	profile_mine = p;
}

void profile_read(const struct profile *p, struct profile_sum *sum)
{
	uint64_t begin_ns = load_acquire64(&p->begin_ns); /* pairs with profile_attach */
	uint64_t n_tick = begin_ns ? cpu_ticks() - p->begin_ticks : 0;
	double tick_ns = n_tick ? (double)(clock_ns() - begin_ns) / (double)n_tick : 0; /* none: ticks may be long */

	sum->n_row = counter_read(&p->n_row);
	for (int i = 0; i < PROFILE_PART_MAX; i++) {
		sum->n[i] = counter_read(&p->n[i]);
		sum->ns[i] = (double)counter_read(&p->ticks[i]) * tick_ns;
	}
}

uint64_t profile_laps(const struct profile *p)
{
	uint64_t n = 0;

	for (int i = 0; i < PROFILE_PART_MAX; i++)
		n += counter_read(&p->n[i]);
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
