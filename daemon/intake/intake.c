#include "daemon/intake/intake.h"
#include "daemon/intake/desk.h"
#include "daemon/intake/mail.h"
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

#define TEXT_BYTES_PER_TOKEN 16u /* a prompt of more bytes than this per position cannot fit the context */
#define TEXT_BYTES_MIN       65536u
#define ARENA_ROOM           65536u /* beside the longest prompt: its options, and the next request */
#define PIECES               2u     /* completions for a token's bytes, if no vocabulary says otherwise */

static uint32_t arena_for(uint32_t text_max)
{
	uint32_t bytes = min_u32(text_max, GYRE_ARENA_BYTES_MAX - ARENA_ROOM) + ARENA_ROOM;

	return max_u32(bytes, GYRE_ARENA_BYTES_DEFAULT);
}

int intake_init(struct intake *i, const struct vocab *v, const struct intake_options *o, int control_fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	int r;

	memset(i, 0, sizeof(*i));
	i->epoll_fd = i->wake_fd = -1;
	i->control_fd = control_fd;
	memcpy(i->queue, o->queue, sizeof(i->queue));
	i->n_queue = o->n_queue;
	i->spin_ns = o->spin_ns;
	i->n_draft = o->n_draft;
	i->n_piece = o->n_piece ? o->n_piece : PIECES;
	i->geometry = (struct geometry){ .n_vocab = o->n_vocab, .n_ctx = o->n_ctx };
	i->geometry.text_max =
		o->n_ctx > TEXT_BYTES_MIN / TEXT_BYTES_PER_TOKEN ? o->n_ctx * TEXT_BYTES_PER_TOKEN : TEXT_BYTES_MIN;
	i->geometry.arena_bytes = arena_for(i->geometry.text_max);
	pthread_mutex_init(&i->mail_lock, NULL);
	lock_init(&i->desk, i->n_queue > 1);
	i->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	i->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (i->epoll_fd < 0 || i->wake_fd < 0 || epoll_ctl(i->epoll_fd, EPOLL_CTL_ADD, i->wake_fd, &ev) < 0) {
		r = -errno;
		intake_deinit(i);
		return r;
	}
	r = request_pool_init(&i->pool, INTAKE_SESSION_MAX + i->n_queue * BATCH_SEQ_MAX, o->n_ctx, o->block_len,
			      i->n_queue > 1);
	if (r == 0)
		r = prompt_reader_init(&i->reader, v, i->geometry.text_max);
	if (r == 0)
		r = prompt_helper_init(&i->helper, v, o->chat, i->geometry.text_max, i->wake_fd);
	if (r < 0)
		intake_deinit(i);
	return r;
}

uint32_t intake_cq_min(const struct intake *i)
{
	return i->n_piece + REQUEST_END_PIECES;
}

void intake_deinit(struct intake *i)
{
	prompt_helper_deinit(&i->helper);
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

/* The engine with the least to do, on a tie the one whose leader is here: it is awake. Where its prefix lies may count one day. */
static struct queue *route_request(const struct intake *i, struct queue *own, const struct request *r)
{
	struct queue *best = own;

	(void)r;
	for (uint32_t k = 0; k < i->n_queue; k++)
		if (queue_load(i->queue[k]) < queue_load(best))
			best = i->queue[k];
	return best;
}

/* Its tokens are there, or will never be. */
static void prompt_done(struct intake *i, struct queue *own, struct request *r, int res)
{
	if (load_acquire(&r->session->is_gone)) {
		mail_let_go(i, r);
		return;
	}
	if (res < 0 || r->op == GYRE_OP_TOKENIZE || request_is_cancelled(r))
		request_end(r, res < 0 ? res : 0);
	else
		r->state = REQUEST_WAITING;
	queue_put(route_request(i, own, r), r);
}

/* Whichever engine has them. What a request belongs to is written here, at the desk, and nowhere else. */
static int cancel(struct intake *i, const struct session *s, uint64_t target)
{
	int n = 0;

	for (uint32_t k = 0; k < i->pool.n; k++) {
		struct request *r = &i->pool.request[k];

		n += r->session == s && r->user_data == target && request_cancel(r);
	}
	return n;
}

/* What there is of it: see struct sampling. */
static void copy_sampling(struct sampling *to, const struct sampling *from)
{
	memcpy(to, from, offsetof(struct sampling, bias));
	memcpy(to->bias, from->bias, from->n_bias * sizeof(to->bias[0]));
	memcpy(to->stop, from->stop, from->n_stop * sizeof(to->stop[0]));
}

static void fill_request(struct request *r, struct session *s, const struct gyre_sqe *sqe,
			 const struct sampling *sampling)
{
	r->session = s;
	r->uid = s->uid;
	r->op = sqe->opcode;
	r->flags = sqe->flags;
	r->priority = sqe->priority;
	r->user_data = sqe->user_data;
	r->deadline_ns = sqe->deadline_ns;
	r->arrival_ns = doorbell_now_ns();
	r->max_tokens = sqe->max_tokens;
	copy_sampling(&r->sampling, sampling);
}

static void count_request(struct intake *i, struct session *s)
{
	__atomic_fetch_add(&s->n_ref, 1, __ATOMIC_RELAXED);
	lock_take(&s->lock);
	counter_set32(&s->n_held, s->n_held + 1);
	s->region.daemon->n_request++;
	lock_drop(&s->lock);
	counter_add(&i->stats.n_request, 1);
}

/* May s take one more of the pool? What every other session may need for its first request is not free to anyone else. */
static bool has_share(const struct intake *i, const struct session *s)
{
	uint32_t n_held = counter_read32(&s->n_held), n_kept = INTAKE_SESSION_MAX;

	if (n_held == 0)
		return true;
	for (uint32_t k = 0; k < i->n_session; k++)
		n_kept -= counter_read32(&i->session[k]->n_held) > 0;
	return i->pool.n - counter_read32(&i->pool.n_live) > n_kept + n_held;
}

enum entry_fate { ENTRY_STAYS, ENTRY_TAKEN, ENTRY_ANSWERED };

/* A checked text operation -> a request. It stays while the helper or the pool has no room yet. */
static enum entry_fate take_prompt(struct intake *i, struct queue *q, struct session *s, const struct gyre_sqe *sqe,
				   const struct geometry *g, const struct sampling *sampling, int *res)
{
	bool is_long = sqe->data_len > PROMPT_INLINE_MAX || (sqe->flags & GYRE_SQE_CHAT);
	struct prompt_job *job = is_long ? prompt_helper_get(&i->helper) : NULL;
	struct request *r;

	if (is_long && !job)
		return ENTRY_STAYS;
	*res = -EBUSY;
	if (!has_share(i, s))
		return ENTRY_ANSWERED;
	r = request_pool_get(&i->pool);
	if (!r) /* one that is done has its place until its engine's next plan */
		return ENTRY_STAYS;
	/* The one read of the prompt; the client may be writing to it. */
	*res = region_read_arena(&s->region, sqe->data_off, is_long ? job->data : i->text, sqe->data_len);
	if (*res < 0) {
		request_pool_put(&i->pool, r);
		return ENTRY_ANSWERED;
	}
	fill_request(r, s, sqe, sampling);
	count_request(i, s);
	if (!is_long) {
		prompt_done(i, q, r, prompt_read(&i->reader, r, g, i->text, sqe->data_len, sqe->split));
		return ENTRY_TAKEN;
	}
	r->state = REQUEST_TEXT;
	job->request = r;
	job->geometry = *g;
	job->n = sqe->data_len;
	job->split = sqe->split;
	prompt_helper_submit(&i->helper, job);
	return ENTRY_TAKEN;
}

static enum entry_fate read_entry(struct intake *i, struct queue *q, struct session *s, const struct gyre_sqe *sqe,
				  int *res)
{
	struct geometry g = i->geometry;
	enum entry_fate fate;
	struct sampling sampling;

	g.arena_bytes = s->region.layout.arena_bytes;
	*res = validate_sqe(sqe, &g);
	if (*res == 0 && sqe->opcode == GYRE_OP_CANCEL)
		*res = cancel(i, s, sqe->target);
	if (*res < 0 || sqe->opcode == GYRE_OP_CANCEL || sqe->opcode == GYRE_OP_NOP)
		return ENTRY_ANSWERED;
	*res = -ESHUTDOWN;
	if (load_acquire(&i->is_closed))
		return ENTRY_ANSWERED;
	/* The one read of the options. */
	*res = region_read_arena(&s->region, sqe->opts_off, i->opts, sqe->opts_len);
	if (*res == 0)
		*res = validate_options(i->opts, sqe->opts_len, &g, &sampling);
	explicit_bzero(i->opts, sqe->opts_len);
	if (*res < 0)
		return ENTRY_ANSWERED;
	fate = take_prompt(i, q, s, sqe, &g, &sampling, res);
	explicit_bzero(sampling.stop, sampling.n_stop * sizeof(sampling.stop[0]));
	return fate;
}

/* false: no room for what it needs; the entry stays in the SQ. */
static bool take_entry(struct intake *i, struct queue *q, struct session *s, const struct gyre_sqe *sqe)
{
	enum entry_fate fate = ENTRY_STAYS;
	bool has_space;
	int res = 0;

	lock_take(&s->lock);
	has_space = session_promise(s, 1, 1); /* for an answer */
	lock_drop(&s->lock);
	if (!has_space)
		return false;
	fate = read_entry(i, q, s, sqe, &res);
	lock_take(&s->lock);
	session_unpromise(s, 1);
	if (fate == ENTRY_ANSWERED)
		session_complete(s, sqe->user_data, NULL)->res = res;
	lock_drop(&s->lock);
	counter_add(&i->stats.n_refused, fate == ENTRY_ANSWERED && res < 0);
	return fate != ENTRY_STAYS;
}

static void drain_session(struct intake *i, struct queue *q, struct session *s)
{
	struct gyre_sqe sqe;
	bool is_honest;

	s->is_paused = false;
	if (s->is_broken)
		return;
	lock_take(&s->lock);
	is_honest = session_load_space(s);
	lock_drop(&s->lock);
	if (!is_honest || sq_consumer_load(&s->sq) < 0) {
		session_break(s);
		return;
	}
	while (sq_consumer_peek(&s->sq, &sqe)) {
		if (!take_entry(i, q, s, &sqe)) {
			s->is_paused = true;
			break;
		}
		sq_consumer_advance(&s->sq);
	}
	sq_consumer_commit(&s->sq);
	session_flush(s);
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
	uint32_t least = i->n_piece + REQUEST_END_PIECES, want = least + i->n_piece * i->n_draft;

	for (uint32_t k = 0; k < q->n_live; k++) {
		struct request *r = q->live[k];

		if (load_acquire(&r->session->is_gone)) { /* pairs with the store in drop_session */
			r->state = REQUEST_DONE;
			continue;
		}
		if (r->state == REQUEST_DONE)
			continue;
		lock_take(&r->session->lock);
		r->grant = session_promise(r->session, want, least);
		lock_drop(&r->session->lock);
	}
}

static void drain_all(struct intake *i, struct queue *q)
{
	struct prompt_job *job;

	mail_read(i);
	while ((job = prompt_helper_finished(&i->helper))) {
		prompt_done(i, q, job->request, job->res);
		prompt_helper_put(job);
	}
	for (uint32_t k = 0; k < i->n_session; k++)
		drain_session(i, q, i->session[(i->first + k) % i->n_session]);
	i->first++;
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

int intake_park(struct intake *i, struct queue *q)
{
	tidy(i, q); /* a client that has gone is let go of before we sleep */
	desk_wait(i, q);
	profile_lap(PROFILE_IDLE);
	return 0;
}
