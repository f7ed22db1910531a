#include "daemon/intake/intake.h"
#include "daemon/intake/grant.h"
#include "daemon/util/counter.h"
#include "daemon/util/profile.h"

#include <errno.h>
#include <string.h>

static void connect_parts(struct intake *i, const struct intake_options *o)
{
	i->watch = (struct watch){ .n_queue = o->served->n_engine,
				   .spin_ns = o->spin_ns,
				   .epoll_fd = -1,
				   .wake_fd = -1,
				   .roster = &i->roster,
				   .handover = &i->handover,
				   .helper = &i->helper };
	memcpy(i->watch.queue, o->served->queue, sizeof(i->watch.queue));
	i->take.pool = &i->pool;
	i->take.roster = &i->roster;
	i->take.handover = &i->handover;
	i->take.helper = &i->helper;
}

int intake_init(struct intake *i, const struct intake_options *o, int control_fd)
{
	uint32_t n_engine = o->served->n_engine;
	bool is_shared = n_engine > 1;
	int r;

	memset(i, 0, sizeof(*i));
	i->n_draft = o->n_draft;
	i->roster.users.n_outrank = o->n_outrank;
	memcpy(i->roster.users.outrank, o->outrank, sizeof(o->outrank));
	connect_parts(i, o);
	r = watch_init(&i->watch, is_shared);
	if (r == 0)
		handover_init(&i->handover, control_fd, i->watch.wake_fd, is_shared);
	if (r == 0)
		r = request_pool_init(&i->pool, INTAKE_SESSION_MAX + n_engine * BATCH_SEQ_MAX,
				      o->served->geometry.n_ctx, o->block_len, is_shared);
	if (r == 0)
		r = take_init(&i->take);
	if (r == 0)
		r = helper_init(&i->helper, o->served, i->watch.wake_fd);
	if (r < 0)
		intake_deinit(i);
	return r;
}

void intake_deinit(struct intake *i)
{
	if (!i->watch.roster) /* zero-filled */
		return;
	helper_deinit(&i->helper);
	take_deinit(&i->take);
	request_pool_deinit(&i->pool);
	watch_deinit(&i->watch);
	i->watch.roster = NULL;
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
	while ((s = handover_next_attached(&i->handover))) {
		roster_admit(&i->roster, s);
		if (watch_add(&i->watch, s) < 0)
			session_break(s);
	}
	while ((s = handover_next_detached(&i->handover))) {
		watch_remove(&i->watch, s);
		roster_drop(&i->roster, s);
		if (s->job)
			helper_put(&i->helper, s->job);
		s->job = NULL;
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
		place_leave(&i->pool, &i->handover, r);
	}
	if (i->watch.n_queue > 1)
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
	grant_space(q, i->n_draft);
	counter_add(&q->n_step, 1);
	profile_lap(PROFILE_INTAKE);
}

void intake_park(struct intake *i, struct queue *q)
{
	tidy(i, q); /* a client that has gone is let go of before we sleep */
	watch_wait(&i->watch, q);
	profile_lap(PROFILE_IDLE);
}
