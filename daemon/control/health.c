#include "daemon/control/health.h"

#include "daemon/util/counter.h"
#include "daemon/util/log.h"
#include "shm/atomic.h"

#include <time.h>

#define BUSY_SHARE 4 /* a quarter of the time on a CPU: in an operation rather than waiting for one */

static uint64_t count_laps(const struct engine *e)
{
	uint64_t n = counter_read(&e->queue->n_step);

	for (int i = 0; i < team_size(e->team); i++)
		n += profile_laps(team_profile(e->team, i));
	return n;
}

static uint64_t leader_cpu_ns(const struct engine *e)
{
	struct timespec t;
	clockid_t clock;

	if (pthread_getcpuclockid(e->leader, &clock) || clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t n_waiting(const struct engine *e)
{
	return counter_read32(&e->queue->n_live) + load_relaxed(&e->queue->n_inbox);
}

/* Asleep, and nobody wants anything; or another model has its cores, and is looked at itself. */
static bool is_resting(const struct engine *e)
{
	return (load_relaxed(&e->queue->is_waiting) && n_waiting(e) == 0) || load_relaxed(&e->seat.is_waiting);
}

static void say_moving(struct health *h, uint32_t i, uint64_t now_ns)
{
	if (h->is_stalled)
		log_warn("engine %u goes on after %.1f s without progress", i, (double)(now_ns - h->moved_ns) * 1e-9);
	h->is_stalled = false;
	counter_set(&h->stalled_ms, 0);
}

void health_look(struct health *h, const struct engine *e, uint32_t i, bool is_called, uint64_t now_ns)
{
	uint64_t n_lap, cpu_ns, still_ns, limit_ns;

	if (!load_acquire(&e->has_leader)) /* a test makes its steps; pairs with engine_start */
		return;
	n_lap = count_laps(e);
	cpu_ns = leader_cpu_ns(e) + team_cpu_ns(e->team);
	if (n_lap != h->n_lap || !h->moved_ns || (is_resting(e) && !is_called)) {
		say_moving(h, i, now_ns);
		h->n_lap = n_lap;
		h->moved_ns = now_ns;
		h->cpu_ns = cpu_ns;
		return;
	}
	still_ns = now_ns - h->moved_ns;
	limit_ns = cpu_ns - h->cpu_ns > still_ns / BUSY_SHARE ? HEALTH_BUSY_NS : HEALTH_STALL_NS;
	if (!h->is_stalled && still_ns < limit_ns + e->intake->watch.spin_ns)
		return;
	counter_set(&h->stalled_ms, still_ns / 1000000u);
	if (h->is_stalled)
		return;
	h->is_stalled = true;
	counter_add(&h->n_stall, 1);
	log_warn("engine %u makes no progress for %.1f s with %u requests: one of its threads is stopped, starved of "
		 "CPU or "
		 "waits for memory; /proc/PID/task/*/stack and `gyre stat` show more",
		 i, (double)still_ns * 1e-9, n_waiting(e));
}

/* A model that is not ready has no engine that could be looked at; its leaders only watch the rings. */
static void look_at_model(struct health_all *h, struct served *s, bool is_called, uint64_t now_ns, bool *all_move)
{
	for (uint32_t k = 0; k < s->n_engine; k++) {
		uint32_t i = s->index * s->n_engine + k;

		if (!served_is_ready(s)) {
			h->engine[i] = (struct health){ .n_stall = h->engine[i].n_stall };
			continue;
		}
		health_look(&h->engine[i], &s->engine[k], i, is_called, now_ns);
		*all_move &= !h->engine[i].is_stalled;
	}
}

bool health_look_at_all(struct health_all *h, struct registry *r, struct intake *i, bool is_unread, uint64_t now_ns)
{
	uint64_t n_step = 0;
	bool all_move = true;

	for (uint32_t k = 0; k < QUEUE_ENGINE_MAX; k++)
		n_step += counter_read(&i->queue[k].n_step);
	if (is_unread)
		watch_call(&i->watch);
	for (uint32_t k = 0; k < SERVED_MAX; k++)
		look_at_model(h, &r->served[k], is_unread && n_step == h->n_step, now_ns, &all_move);
	h->n_step = n_step;
	return all_move;
}
