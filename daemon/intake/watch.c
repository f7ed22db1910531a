#include "daemon/intake/watch.h"
#include "cpu.h"
#include "daemon/util/counter.h"
#include "shm/atomic.h"
#include "shm/clock.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOKS_PER_CLOCK 32 /* at the rings while spinning: a look is a few ns, a clock read about 25 */
#define PAUSED_POLL_MS  1  /* a client that reads its CQ does not ring: look again */

/* ---- life ---- */

int watch_init(struct watch *w, bool is_shared)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	int r;

	lock_init(&w->lock, is_shared);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->epoll_fd >= 0 && w->wake_fd >= 0 && epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev) == 0)
		return 0;
	r = -errno;
	watch_deinit(w);
	return r;
}

void watch_deinit(struct watch *w)
{
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	w->epoll_fd = w->wake_fd = -1;
}

int watch_add(struct watch *w, struct session *s)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = s };

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, s->doorbell_fd, &ev) < 0 ? -errno : 0;
}

void watch_remove(struct watch *w, struct session *s)
{
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, s->doorbell_fd, NULL);
}

void watch_call(struct watch *w)
{
	(void)!write(w->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* ---- coming and going ---- */

bool watch_enter(struct watch *w)
{
	return lock_try(&w->lock);
}

void watch_leave(struct watch *w, const struct queue *q)
{
	lock_drop(&w->lock);
	if (!w->lock.is_shared || (!q->n_live && !load_relaxed(&q->n_inbox)))
		return; /* back in a moment */
	fence();        /* the watch is free before we look who is idle; pairs with the fence in watch_wait */
	for (uint32_t k = 0; k < counter_read32(&w->n_queue); k++)
		if (&w->queue[k] != q && load_relaxed(&w->queue[k].is_idle)) {
			queue_ring(&w->queue[k]);
			return;
		}
}

/* A session that can be served: it has entries, and they are not waiting for CQ space. */
static bool has_work(struct watch *w)
{
	if (handover_has_mail(w->handover) || load_relaxed(w->n_text))
		return true;
	for (uint32_t k = 0; k < w->roster->n_session; k++) {
		struct session *s = w->roster->session[k];

		if (!s->is_paused && !s->kept.is_broken && load_relaxed(s->sq.shared_tail) != s->sq.head)
			return true;
		sq_consumer_fetch(&s->sq); /* the client writes it before the tail, so it is here when the tail is */
	}
	return false;
}

/* The clock is first read after a round of looks: a client that answers at once is not kept waiting for it. */
static bool spin(struct watch *w)
{
	uint64_t end = 0, now;

	do {
		for (int k = 0; k < LOOKS_PER_CLOCK; k++) {
			if (has_work(w))
				return true;
			cpu_relax();
		}
		now = clock_ns();
		end = end ? end : now + w->spin_ns;
	} while (now < end);
	return false;
}

/* How long a leader with nothing runnable may sleep: its live requests can only be paused, or kept until then. -1: without end. */
static int patience_ms(const struct queue *q)
{
	uint64_t now_ns;

	if (q->n_live > q->n_kept)
		return PAUSED_POLL_MS;
	if (!q->n_live)
		return -1;
	now_ns = clock_ns();
	return q->keep_end_ns > now_ns ? (int)((q->keep_end_ns - now_ns) / 1000000 + 1) : 0;
}

/* Likewise at the watch, where entries may wait for CQ space. */
static int patience_here_ms(const struct watch *w, const struct queue *q)
{
	for (uint32_t k = 0; k < w->roster->n_session; k++)
		if (w->roster->session[k]->is_paused)
			return PAUSED_POLL_MS;
	return patience_ms(q);
}

/* Sleeps until something rings. Doorbells are edges and need no reading; our own eventfd does. */
static void sleep_once(struct watch *w, struct queue *q, int timeout_ms)
{
	struct epoll_event ev[16];
	uint64_t ignored;
	int n;

	counter_add(&q->n_park, 1);
	n = epoll_wait(w->epoll_fd, ev, 16, timeout_ms);
	for (int k = 0; k < n; k++)
		if (!ev[k].data.ptr)
			(void)!read(w->wake_fd, &ignored, sizeof(ignored));
}

static void wait_here(struct watch *w, struct queue *q)
{
	if (load_relaxed(&q->n_inbox)) /* whoever was here before us put it there; from now on nobody does */
		return;
	if (spin(w))
		return;
	for (uint32_t k = 0; k < w->roster->n_session; k++)
		doorbell_arm(w->roster->session[k]->region.daemon);
	/* Who rings us writes wake_fd afterwards. */
	if (!queue_is_rung(q) && !has_work(w))
		sleep_once(w, q, patience_here_ms(w, q));
	for (uint32_t k = 0; k < w->roster->n_session; k++)
		doorbell_disarm(w->roster->session[k]->region.daemon);
}

/* Somebody has the watch. */
static void wait_aside(struct watch *w, struct queue *q)
{
	uint64_t end = clock_ns() + w->spin_ns;

	do {
		for (int k = 0; k < LOOKS_PER_CLOCK; k++) {
			if (load_relaxed(&q->n_inbox) || load_relaxed(&q->is_rung))
				return;
			cpu_relax();
		}
	} while (clock_ns() < end);
	counter_add(&q->n_park, 1);
	queue_wait(q, patience_ms(q));
}

void watch_wait(struct watch *w, struct queue *q)
{
	bool is_here = watch_enter(w);

	store_relaxed(&q->is_waiting, 1);
	if (!is_here) {
		store_relaxed(&q->is_idle, 1);
		fence(); /* we are known to be idle before we look again; pairs with the fence in watch_leave */
		is_here = watch_enter(w);
		if (!is_here)
			wait_aside(w, q);
		store_relaxed(&q->is_idle, 0);
	}
	if (is_here) {
		wait_here(w, q);
		lock_drop(&w->lock); /* without calling anybody: a drain follows */
	}
	store_relaxed(&q->is_waiting, 0);
	(void)queue_is_rung(q);
}
