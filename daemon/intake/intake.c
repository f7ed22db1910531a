#include "daemon/intake/intake.h"
#include "daemon/intake/chain.h"
#include "daemon/intake/grant.h"
#include "daemon/util/counter.h"
#include "daemon/util/probe.h"
#include "daemon/util/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void connect_parts(struct intake *i, const struct intake_options *o)
{
	i->watch = (struct watch){ .spin_ns = o->spin_ns,
				   .epoll_fd = -1,
				   .wake_fd = -1,
				   .roster = &i->roster,
				   .handover = &i->handover,
				   .n_text = &i->n_text,
				   .queue = i->queue };
	i->take.roster = &i->roster;
	i->take.handover = &i->handover;
	i->take.served = o->served;
	i->take.n_text = &i->n_text;
}

int intake_init(struct intake *i, const struct intake_options *o, int control_fd)
{
	bool is_shared = o->n_engine > 1;
	int r;

	memset(i, 0, sizeof(*i));
	i->block_len = o->block_len;
	i->roster.users.n_outrank = o->n_outrank;
	memcpy(i->roster.users.outrank, o->outrank, sizeof(o->outrank));
	connect_parts(i, o);
	for (uint32_t k = 0; k < QUEUE_ENGINE_MAX; k++)
		queue_init(&i->queue[k], is_shared);
	r = watch_init(&i->watch, is_shared);
	if (r == 0)
		handover_init(&i->handover, control_fd, i->watch.wake_fd, is_shared);
	if (r == 0)
		r = take_init(&i->take);
	if (r < 0)
		intake_deinit(i);
	return r;
}

void intake_deinit(struct intake *i)
{
	if (!i->watch.roster) /* zero-filled */
		return;
	take_deinit(&i->take);
	watch_deinit(&i->watch);
	i->watch.roster = NULL;
}

void intake_set_outrank(struct intake *i, uint32_t n, const uint32_t *uid)
{
	pthread_mutex_lock(&i->handover.lock); /* under which the table is changed */
	user_set_outrank(&i->roster.users, n, uid);
	pthread_mutex_unlock(&i->handover.lock);
}

int intake_open(struct intake *i, struct served *s)
{
	int r = request_pool_init(&s->pool, INTAKE_SESSION_MAX + s->n_engine * BATCH_SEQ_MAX, s->geometry.n_ctx,
				  i->block_len, i->watch.lock.is_shared);

	s->helper = r < 0 ? NULL : malloc(sizeof(*s->helper));
	if (r == 0 && !s->helper)
		r = -ENOMEM;
	if (r == 0)
		r = helper_init(s->helper, s, &i->n_text, i->watch.wake_fd);
	if (r == 0)
		return 0;
	free(s->helper); /* helper_init leaves nothing */
	s->helper = NULL;
	request_pool_deinit(&s->pool);
	return r;
}

void intake_shut(struct served *s)
{
	if (!s->helper)
		return;
	helper_deinit(s->helper);
	free(s->helper);
	s->helper = NULL;
	request_pool_deinit(&s->pool);
}

struct queue *intake_queue(struct intake *i, uint32_t slot)
{
	if (slot >= i->watch.n_queue)
		counter_set32(&i->watch.n_queue, slot + 1);
	return &i->queue[slot];
}

void intake_share(struct intake *i)
{
	handover_await(&i->handover, true);
}

/* A leader more: what only this one has taken is taken by others from now on. It has the watch, and none of the other locks. */
static void share_locks(struct intake *i)
{
	i->handover.wants_shared = false;
	if (i->handover.is_shared)
		return;
	i->handover.is_shared = true;
	lock_share(&i->watch.lock, true);
	for (uint32_t k = 0; k < QUEUE_ENGINE_MAX; k++)
		lock_share(&i->queue[k].lock, false);
	for (uint32_t k = 0; k < i->roster.n_session; k++)
		lock_share(&i->roster.session[k]->lock, false);
	for (uint32_t k = 0; k < SERVED_MAX; k++) {
		struct request_pool *p = &i->take.served[k].pool;

		lock_share(&p->lock, false);
		for (uint32_t n = 0; n < p->n; n++) /* those of sessions that have left */
			if (p->request[n].kept.state != REQUEST_FREE)
				lock_share(&p->request[n].session->lock, false);
	}
}

void intake_close(struct intake *i)
{
	take_close(&i->take);
	watch_call(&i->watch);
}

/* Sessions that come and go. */
static void read_mail(struct intake *i)
{
	struct session *s;

	if (!handover_begin(&i->handover))
		return;
	if (i->handover.wants_shared)
		share_locks(i);
	while ((s = handover_next_attached(&i->handover))) {
		s->lock.is_shared = i->handover.is_shared;
		roster_admit(&i->roster, s);
		if (watch_add(&i->watch, s) < 0)
			session_break(s);
	}
	while ((s = handover_next_detached(&i->handover))) {
		watch_remove(&i->watch, s);
		roster_drop(&i->roster, s);
		if (s->job)
			helper_put(s->served->helper, s->job);
		s->job = NULL;
		chain_close(s);
		handover_let_go(&i->handover, s);
	}
	handover_end(&i->handover);
}

/* What the last step left: requests that are done, promises that were not used. */
static void tidy(struct intake *i, struct queue *q)
{
	struct request *r;

	while ((r = q->done)) {
		q->done = r->next;
		place_leave(&i->handover, r);
	}
	if (i->watch.lock.is_shared)
		queue_weigh(q);
	grant_take_back(q);
}

void intake_drain(struct intake *i, struct queue *q)
{
	tidy(i, q);
	if (watch_enter(&i->watch)) {
		read_mail(i);
		take_texts(&i->take, q);
		drain_users(&i->roster, &i->take, q);
		watch_leave(&i->watch, q);
	}
	queue_take(q);
	grant_space(q);
	counter_add(&q->n_step, 1);
	profile_lap(PROFILE_INTAKE);
}

void intake_park(struct intake *i, struct queue *q)
{
	tidy(i, q); /* a client that has gone is let go of before we sleep */
	PROBE1(park, q->n_live);
	watch_wait(&i->watch, q);
	profile_lap(PROFILE_IDLE);
}
