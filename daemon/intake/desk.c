#include "daemon/intake/desk.h"
#include "cpu.h"
#include "daemon/util/counter.h"
#include "shm/atomic.h"
#include "shm/doorbell.h"

#include <sys/epoll.h>
#include <unistd.h>

#define LOOKS_PER_CLOCK 32 /* at the rings while spinning: a look is a few ns, a clock read about 25 */
#define PAUSED_POLL_MS  1  /* a client that reads its CQ does not ring: look again */

bool desk_enter(struct intake *i)
{
	return lock_try(&i->desk);
}

void desk_leave(struct intake *i, const struct queue *q)
{
	lock_drop(&i->desk);
	if (i->n_queue == 1 || (!q->n_live && !load_relaxed(&q->n_inbox)))
		return; /* back in a moment */
	fence();        /* the desk is free before we look who is idle; pairs with the fence in wait_aside */
	for (uint32_t k = 0; k < i->n_queue; k++)
		if (i->queue[k] != q && load_relaxed(&i->queue[k]->is_idle)) {
			queue_ring(i->queue[k]);
			return;
		}
}

/* A session that can be served: it has entries, and they are not waiting for CQ space. */
static bool has_work(struct intake *i)
{
	if (load_acquire(&i->has_mail) || helper_finished(&i->helper))
		return true;
	for (uint32_t k = 0; k < i->n_session; k++) {
		struct session *s = i->session[k];

		/* Pairs with the client's store-release of sq_tail; the value is only compared. */
		if (!s->is_paused && !s->is_broken && load_acquire(s->sq.shared_tail) != s->sq.head)
			return true;
		sq_consumer_fetch(&s->sq); /* the client writes it before the tail, so it is here when the tail is */
	}
	return false;
}

/* The clock is first read after a round of looks: a client that answers at once is not kept waiting for it. */
static bool spin(struct intake *i)
{
	uint64_t end = 0, now;

	do {
		for (int k = 0; k < LOOKS_PER_CLOCK; k++) {
			if (has_work(i))
				return true;
			cpu_relax();
		}
		now = doorbell_now_ns();
		end = end ? end : now + i->spin_ns;
	} while (now < end);
	return false;
}

/* Entries, or rows of requests that run: what else is live while there is nothing to do? */
static bool is_any_paused(const struct intake *i, const struct queue *q)
{
	for (uint32_t k = 0; k < i->n_session; k++)
		if (i->session[k]->is_paused)
			return true;
	return q->n_live;
}

/* Sleeps until something rings. Doorbells are edges and need no reading; our own eventfd does. */
static void sleep_once(struct intake *i, struct queue *q, int timeout_ms)
{
	struct epoll_event ev[16];
	uint64_t ignored;
	int n;

	counter_add(&q->n_park, 1);
	n = epoll_wait(i->epoll_fd, ev, 16, timeout_ms);
	for (int k = 0; k < n; k++)
		if (!ev[k].data.ptr)
			(void)!read(i->wake_fd, &ignored, sizeof(ignored));
}

static void wait_here(struct intake *i, struct queue *q)
{
	if (load_relaxed(&q->n_inbox)) /* whoever was here before us put it there; from now on nobody does */
		return;
	if (spin(i))
		return;
	for (uint32_t k = 0; k < i->n_session; k++)
		doorbell_arm(i->session[k]->region.daemon);
	/* Who rings us writes wake_fd afterwards. */
	if (!queue_is_rung(q) && !has_work(i))
		sleep_once(i, q, is_any_paused(i, q) ? PAUSED_POLL_MS : -1);
	for (uint32_t k = 0; k < i->n_session; k++)
		doorbell_disarm(i->session[k]->region.daemon);
}

/* Somebody is at the desk. */
static void wait_aside(struct intake *i, struct queue *q)
{
	uint64_t end = doorbell_now_ns() + i->spin_ns;

	do {
		for (int k = 0; k < LOOKS_PER_CLOCK; k++) {
			if (load_acquire(&q->n_inbox) || load_relaxed(&q->is_rung))
				return;
			cpu_relax();
		}
	} while (doorbell_now_ns() < end);
	counter_add(&q->n_park, 1);
	queue_wait(q, q->n_live ? PAUSED_POLL_MS : -1);
}

void desk_wait(struct intake *i, struct queue *q)
{
	bool is_here = desk_enter(i);

	store_relaxed(&q->is_waiting, 1);
	if (!is_here) {
		store_relaxed(&q->is_idle, 1);
		fence(); /* we are known to be idle before we look again; pairs with the fence in desk_leave */
		is_here = desk_enter(i);
		if (!is_here)
			wait_aside(i, q);
		store_relaxed(&q->is_idle, 0);
	}
	if (is_here) {
		wait_here(i, q);
		lock_drop(&i->desk); /* without calling anybody: a drain follows */
	}
	store_relaxed(&q->is_waiting, 0);
	(void)queue_is_rung(q);
}
