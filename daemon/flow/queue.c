#include "daemon/flow/queue.h"
#include "daemon/util/counter.h"
#include "shm/atomic.h"

#include <assert.h>
#include <string.h>
#include <time.h>

void queue_init(struct queue *q, bool is_shared)
{
	pthread_condattr_t attr;

	memset(q, 0, sizeof(*q));
	lock_init(&q->lock, is_shared);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->cond, &attr);
	pthread_condattr_destroy(&attr);
	q->inbox_end = &q->inbox;
}

void queue_deinit(struct queue *q)
{
	memset(q, 0, sizeof(*q));
}

void queue_put(struct queue *q, struct request *r)
{
	r->next = NULL;
	r->queue = q;
	r->load = request_rows(r);
	fetch_add64(&q->load, r->load);
	lock_take(&q->lock);
	*q->inbox_end = r;
	q->inbox_end = &r->next;
	store_release(&q->n_inbox, q->n_inbox + 1); /* pairs with queue_take */
	lock_drop(&q->lock);
	if (q->lock.is_shared) /* else it is the leader who puts it there */
		pthread_cond_signal(&q->cond);
}

void queue_ring(struct queue *q)
{
	lock_take(&q->lock);
	store_release(&q->is_rung, 1); /* pairs with queue_is_rung */
	lock_drop(&q->lock);
	pthread_cond_signal(&q->cond);
}

uint64_t queue_load(const struct queue *q)
{
	return load_relaxed64(&q->load);
}

void queue_take(struct queue *q)
{
	struct request *r;

	if (!load_acquire(&q->n_inbox)) /* pairs with queue_put */
		return;
	lock_take(&q->lock);
	r = q->inbox;
	q->inbox = NULL;
	q->inbox_end = &q->inbox;
	store_relaxed(&q->n_inbox, 0);
	lock_drop(&q->lock);
	for (uint32_t n = q->n_live; r; counter_set32(&q->n_live, ++n)) {
		r->is_live = true;
		r->arrival = r->ticket = ++q->n_ticket;
		q->live[n] = r;
		r = r->next;
	}
}

void queue_weigh(struct queue *q)
{
	uint64_t load = 0;

	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];
		uint32_t left = request_rows(r);

		load += left - (uint64_t)r->load;
		r->load = left;
	}
	if (load)
		fetch_add64(&q->load, load);
}

void queue_reap(struct queue *q)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];

		if (r->kept.state != REQUEST_DONE || !request_leave(r)) {
			q->live[n++] = r;
			continue;
		}
		assert(!r->kept.n_block && !r->kept.has_slot);
		fetch_add64(&q->load, -(uint64_t)r->load);
		r->next = q->done;
		q->done = r;
	}
	counter_set32(&q->n_live, n);
}

void queue_wait(struct queue *q, int timeout_ms)
{
	struct timespec end;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_ms > 0 ? timeout_ms / 1000 : 0;
	end.tv_nsec += (timeout_ms > 0 ? timeout_ms % 1000 : 0) * 1000000l;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	lock_take(&q->lock);
	assert(q->lock.is_shared); /* else nobody would wake us */
	while (r == 0 && !q->n_inbox && !q->is_rung)
		r = timeout_ms < 0 ? pthread_cond_wait(&q->cond, &q->lock.mutex)
				   : pthread_cond_timedwait(&q->cond, &q->lock.mutex, &end);
	lock_drop(&q->lock);
}

bool queue_is_rung(struct queue *q)
{
	if (!load_acquire(&q->is_rung)) /* pairs with queue_ring */
		return false;
	store_relaxed(&q->is_rung, 0);
	return true;
}
