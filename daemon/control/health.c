#include "daemon/control/health.h"

#include "daemon/machine/thread.h"
#include "daemon/util/counter.h"
#include "daemon/util/log.h"
#include "daemon/util/minmax.h"
#include "shm/atomic.h"

#include <stdio.h>
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
	return counter_read32(&e->queue->n_live) - counter_read32(&e->queue->n_kept) + load_relaxed(&e->queue->n_inbox);
}

/* Asleep, and nobody wants anything; or another model has its cores, and is looked at itself. */
static bool is_resting(const struct engine *e)
{
	return (load_relaxed(&e->queue->is_waiting) && n_waiting(e) == 0) || load_relaxed(&e->seat.is_waiting);
}

/* One of its threads is ready to run and gets no CPU, and none of them is held up by anything else. */
static bool is_starved(const struct engine *e)
{
	bool is_ready = false;

	for (int i = 0; i < team_size(e->team); i++) {
		char state = thread_state("", i ? team_thread(e->team, i) : e->leader);

		if (state != 'R' && state != 'S')
			return false;
		is_ready |= state == 'R';
	}
	return is_ready;
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
	if (!h->is_stalled && still_ns < HEALTH_BUSY_NS && is_starved(e))
		return;
	if (count_laps(e) != n_lap) /* it went on while its threads were looked at one by one */
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

/* Of a thread: since when it has a text and uses no CPU time. */
static uint64_t text_still_ns(struct health_texts *t, const struct helper *h, uint32_t i, uint64_t now_ns,
			      bool *is_reading)
{
	uint64_t cpu_ns;

	if (helper_is_reading(h, i, &cpu_ns) && cpu_ns == t->cpu_ns[i] && t->moved_ns[i]) {
		*is_reading = true;
		return now_ns - t->moved_ns[i];
	}
	*is_reading |= cpu_ns != t->cpu_ns[i];
	t->cpu_ns[i] = cpu_ns;
	t->moved_ns[i] = now_ns;
	return 0;
}

/* A text that waits while no thread reads has nobody to take it. */
static void look_at_texts(struct health_texts *t, const struct helper *h, uint64_t now_ns)
{
	bool is_reading = false, was_stalled = t->is_stalled;

	t->still_ns = 0;
	for (uint32_t i = 0; i < HELPER_THREAD_MAX; i++)
		t->still_ns = max_u64(t->still_ns, text_still_ns(t, h, i, now_ns, &is_reading));
	if (is_reading || !helper_has_queued(h))
		t->queued_ns = 0;
	else if (!t->queued_ns)
		t->queued_ns = now_ns;
	if (t->queued_ns)
		t->still_ns = max_u64(t->still_ns, now_ns - t->queued_ns);
	t->is_stalled = t->still_ns >= HEALTH_STALL_NS;
	if (t->is_stalled && !was_stalled)
		log_warn("long texts are not read for %.1f s: a thread that reads them is stopped, starved of CPU or "
			 "waits for memory; /proc/PID/task/*/stack shows more",
			 (double)t->still_ns * 1e-9);
	else if (was_stalled && !t->is_stalled)
		log_warn("long texts are read again");
}

/* A model that is not ready has no engine and no texts that could be looked at; its leaders only watch the rings. */
static void look_at_model(struct health_all *h, struct served *s, struct health_texts *t, bool is_called,
			  uint64_t now_ns, bool *all_move)
{

	if (served_is_open(s))
		look_at_texts(t, s->helper, now_ns);
	else
		*t = (struct health_texts){ 0 };
	*all_move &= !t->is_stalled;
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

size_t health_explain(const struct health_all *h, char *text, size_t n)
{
	for (uint32_t i = 0; i < QUEUE_ENGINE_MAX; i++)
		if (h->engine[i].is_stalled)
			return (size_t)snprintf(text, n, "engine %u makes no progress for %.1f s", i,
						(double)counter_read(&h->engine[i].stalled_ms) * 1e-3);
	for (uint32_t i = 0; i < SERVED_MAX; i++)
		if (h->texts[i].is_stalled)
			return (size_t)snprintf(text, n, "long texts are not read for %.1f s",
						(double)h->texts[i].still_ns * 1e-9);
	*text = 0;
	return 0;
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
		look_at_model(h, &r->served[k], &h->texts[k], is_unread && n_step == h->n_step, now_ns, &all_move);
	h->n_step = n_step;
	return all_move;
}
