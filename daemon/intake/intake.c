#include "daemon/intake/intake.h"
#include "daemon/intake/desk.h"
#include "daemon/intake/drain.h"
#include "daemon/intake/entry.h"
#include "daemon/intake/mail.h"
#include "daemon/flow/grant.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"
#include "shm/atomic.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int intake_init(struct intake *i, const struct intake_options *o, int control_fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	int r;

	memset(i, 0, sizeof(*i));
	i->epoll_fd = i->wake_fd = -1;
	i->control_fd = control_fd;
	memcpy(i->queue, o->served->queue, sizeof(i->queue));
	i->n_queue = o->served->n_engine;
	i->spin_ns = o->spin_ns;
	i->users.n_outrank = o->n_outrank;
	memcpy(i->users.outrank, o->outrank, sizeof(i->users.outrank));
	i->n_draft = o->n_draft;
	pthread_mutex_init(&i->mail_lock, NULL);
	lock_init(&i->desk, i->n_queue > 1);
	i->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	i->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (i->epoll_fd < 0 || i->wake_fd < 0 || epoll_ctl(i->epoll_fd, EPOLL_CTL_ADD, i->wake_fd, &ev) < 0) {
		r = -errno;
		intake_deinit(i);
		return r;
	}
	r = request_pool_init(&i->pool, INTAKE_SESSION_MAX + i->n_queue * BATCH_SEQ_MAX, o->served->geometry.n_ctx,
			      o->block_len, i->n_queue > 1);
	if (r == 0)
		r = prompt_reader_init(&i->reader, INTAKE_INLINE_MAX);
	if (r == 0)
		r = helper_init(&i->helper, o->served, i->wake_fd);
	if (r < 0)
		intake_deinit(i);
	return r;
}

void intake_deinit(struct intake *i)
{
	helper_deinit(&i->helper);
	prompt_reader_deinit(&i->reader);
	request_pool_deinit(&i->pool);
	if (i->epoll_fd >= 0)
		close(i->epoll_fd);
	if (i->wake_fd >= 0)
		close(i->wake_fd);
	i->epoll_fd = i->wake_fd = -1;
}

void intake_wake(struct intake *i)
{
	(void)!write(i->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void intake_close(struct intake *i)
{
	store_release(&i->is_closed, 1);
	intake_wake(i);
}

/* What the last step left: requests that are done, promises that were not used. */
static void tidy(struct intake *i, struct queue *q)
{
	struct request *r;

	while ((r = q->done)) {
		q->done = r->next;
		mail_let_go(i, r);
	}
	if (i->n_queue > 1)
		queue_weigh(q);
	for (uint32_t k = 0; k < q->n_live; k++) {
		r = q->live[k];
		if (!r->grant)
			continue;
		lock_take(&r->session->lock);
		session_unpromise(r->session, r->grant);
		lock_drop(&r->session->lock);
		r->grant = 0;
	}
}

/* Has each session's CQ space promised to its requests, oldest first. Those of a client that has gone are done. */
static void grant_space(struct intake *i, struct queue *q)
{
	for (uint32_t k = 0; k < q->n_live; k++) {
		struct request *r = q->live[k];
		uint32_t n_piece;

		if (load_acquire(&r->session->is_gone)) { /* pairs with the store in drop_session */
			r->state = REQUEST_DONE;
			continue;
		}
		if (r->state == REQUEST_DONE)
			continue;
		n_piece = r->session->served->geometry.n_piece;
		lock_take(&r->session->lock);
		r->grant = session_promise(r->session, grant_for(n_piece, 1 + i->n_draft), grant_for(n_piece, 1));
		lock_drop(&r->session->lock);
		r->n_room = grant_tokens(n_piece, r->grant);
	}
}

static void drain_all(struct intake *i, struct queue *q)
{
	struct helper_job *job;

	mail_read(i);
	while ((job = helper_finished(&i->helper))) {
		entry_text_done(i, q, job->request, job->res);
		helper_put(&i->helper, job);
	}
	drain_users(i, q);
	counter_set(&i->stats.n_session, i->n_session);
}

void intake_drain(struct intake *i, struct queue *q)
{
	tidy(i, q);
	if (desk_enter(i)) {
		drain_all(i, q);
		desk_leave(i, q);
	}
	queue_take(q);
	grant_space(i, q);
	counter_add(&q->n_step, 1);
	profile_lap(PROFILE_INTAKE);
}

void intake_park(struct intake *i, struct queue *q)
{
	tidy(i, q); /* a client that has gone is let go of before we sleep */
	desk_wait(i, q);
	profile_lap(PROFILE_IDLE);
}
