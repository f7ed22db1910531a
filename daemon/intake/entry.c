#include "daemon/intake/entry.h"
#include "daemon/intake/drain.h"
#include "daemon/intake/mail.h"
#include "daemon/op/op.h"
#include "daemon/prompt/validate.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"
#include "shm/atomic.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <string.h>

#define PRIORITY_DEFAULT 128u /* libgyre's; what is above may outrank others, if the configuration lets it */

/* The engine with the least to do, on a tie the one whose leader is here: it is awake. */
static struct queue *route_request(const struct intake *i, struct queue *own)
{
	struct queue *best = own;

	for (uint32_t k = 0; k < i->n_queue; k++)
		if (queue_load(i->queue[k]) < queue_load(best))
			best = i->queue[k];
	return best;
}

void entry_text_done(struct intake *i, struct queue *own, struct request *r, int res)
{
	if (load_acquire(&r->session->is_gone)) {
		mail_let_go(i, r);
		return;
	}
	if (res < 0 || !r->op->wants_logits || request_is_cancelled(r))
		request_end(r, res < 0 ? res : 0);
	else
		r->state = REQUEST_WAITING;
	queue_put(route_request(i, own), r);
}

/* Copies only the used part of bias[] and stop[]. */
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
	r->user = s->user;
	r->op = op_find(sqe->opcode);
	r->flags = sqe->flags;
	r->priority = sqe->priority;
	r->is_above = s->user->may_outrank && sqe->priority < PRIORITY_DEFAULT;
	r->user_data = sqe->user_data;
	r->deadline_ns = sqe->deadline_ns;
	r->arrival_ns = doorbell_now_ns();
	r->max_tokens = sqe->max_tokens;
	copy_sampling(&r->sampling, sampling);
}

/* In the pool there is a place for each session there can be, and some that all share. */
static uint8_t find_place(const struct intake *i, const struct session *s)
{
	uint32_t n_shared = i->pool.n - INTAKE_SESSION_MAX, n_used;

	if (!load_relaxed(&s->has_own))
		return REQUEST_OWN_PLACE;
	n_used = user_count_extra(&i->users);
	return n_used < n_shared && n_shared - n_used > load_relaxed(&s->user->n_extra) ? REQUEST_SHARED_PLACE
											: REQUEST_NOWHERE;
}

/* From now on s has r. */
static void admit_request(struct intake *i, struct session *s, struct request *r, uint8_t place)
{
	r->place = place;
	if (place == REQUEST_SHARED_PLACE)
		__atomic_fetch_add(&s->user->n_extra, 1, __ATOMIC_RELAXED);
	else
		store_relaxed(&s->has_own, 1);
	__atomic_fetch_add(&s->n_ref, 1, __ATOMIC_RELAXED);
	lock_take(&s->lock);
	session_link(s, r);
	s->region.daemon->n_request++;
	lock_drop(&s->lock);
	counter_add(&i->stats.n_request, 1);
}

/* Bytes of a client's arena; the one read of them, for the client may be writing to them. */
static int read_arena(struct intake *i, const struct session *s, uint32_t off, void *to, uint32_t n)
{
	if (!n)
		return 0;
	i->left -= DRAIN_READ + (int)(n / DRAIN_COPY);
	return region_read_arena(&s->region, off, to, n);
}

/* A request for sqe, whose bytes are there. ENTRY_TAKEN: *out. */
static enum entry_fate make_request(struct intake *i, struct session *s, const struct gyre_sqe *sqe,
				    const struct sampling *sampling, struct request **out, int *res)
{
	uint8_t place = find_place(i, s);

	*res = -EBUSY;
	if (place == REQUEST_NOWHERE)
		return ENTRY_ANSWERED;
	*out = request_pool_get(&i->pool);
	if (!*out) /* one that is done has its place until its engine's next plan */
		return ENTRY_WAITS;
	fill_request(*out, s, sqe, sampling);
	admit_request(i, s, *out, place);
	return ENTRY_TAKEN;
}

/* Is it read in a few microseconds? */
static bool is_short(const struct gyre_sqe *sqe)
{
	if (sqe->flags & GYRE_SQE_CHAT)
		return false;
	return sqe->data_len <= (sqe->flags & GYRE_SQE_TOKENS ? INTAKE_INLINE_MAX : INTAKE_INLINE_TEXT);
}

static enum entry_fate take_short(struct intake *i, struct queue *q, struct session *s, const struct gyre_sqe *sqe,
				  const struct sampling *sampling, int *res)
{
	struct request *r;
	enum entry_fate fate;

	*res = read_arena(i, s, sqe->data_off, i->text, sqe->data_len);
	if (*res < 0)
		return ENTRY_ANSWERED;
	fate = make_request(i, s, sqe, sampling, &r, res);
	if (fate != ENTRY_TAKEN)
		return fate;
	i->left -= (int)(sqe->flags & GYRE_SQE_TOKENS ? sqe->data_len / DRAIN_CHECK : sqe->data_len);
	entry_text_done(i, q, r, prompt_read(&i->reader, r, i->text, sqe->data_len, sqe->split));
	return ENTRY_TAKEN;
}

/* The next piece of s->job's text; once it is whole, a request of it. */
static enum entry_fate copy_piece(struct intake *i, struct session *s, int *res)
{
	struct helper_job *job = s->job;
	uint32_t n = min_u32(job->sqe.data_len - job->n, DRAIN_PIECE);
	enum entry_fate fate;

	*res = load_acquire(&i->is_closed) ? -ESHUTDOWN
					   : read_arena(i, s, job->sqe.data_off + job->n, job->data + job->n, n);
	if (*res < 0) {
		helper_put(&i->helper, job);
		s->job = NULL;
		return ENTRY_ANSWERED;
	}
	job->n += n;
	if (job->n < job->sqe.data_len)
		return ENTRY_GOES_ON;
	fate = make_request(i, s, &job->sqe, &job->sampling, &job->request, res);
	if (fate == ENTRY_WAITS)
		return fate;
	s->job = NULL;
	if (fate == ENTRY_TAKEN) {
		job->request->state = REQUEST_TEXT;
		helper_submit(&i->helper, job);
	} else {
		helper_put(&i->helper, job);
	}
	return fate;
}

static enum entry_fate take_long(struct intake *i, struct session *s, const struct gyre_sqe *sqe,
				 const struct sampling *sampling, int *res)
{
	*res = -EBUSY;
	if (find_place(i, s) == REQUEST_NOWHERE)
		return ENTRY_ANSWERED;
	s->job = helper_get(&i->helper, s->user);
	if (!s->job)
		return ENTRY_WAITS;
	s->job->sqe = *sqe;
	copy_sampling(&s->job->sampling, sampling);
	return copy_piece(i, s, res);
}

static enum entry_fate read_entry(struct intake *i, struct queue *q, struct session *s, const struct gyre_sqe *sqe,
				  int *res)
{
	struct geometry g = s->served->geometry;
	int (*answer)(struct session *, const struct gyre_sqe *, uint32_t *);
	uint32_t n_looked = 0;
	enum entry_fate fate;
	struct sampling sampling;

	g.arena_bytes = s->region.layout.arena_bytes;
	*res = op_check(sqe, &g);
	if (*res < 0)
		return ENTRY_ANSWERED;
	answer = op_find(sqe->opcode)->answer;
	if (answer) {
		*res = answer(s, sqe, &n_looked);
		i->left -= (int)n_looked;
		return ENTRY_ANSWERED;
	}
	*res = -ESHUTDOWN;
	if (load_acquire(&i->is_closed))
		return ENTRY_ANSWERED;
	/* The one read of the options. */
	i->left -= (int)(sqe->opts_len / DRAIN_CHECK);
	*res = read_arena(i, s, sqe->opts_off, i->opts, sqe->opts_len);
	if (*res == 0)
		*res = validate_options(i->opts, sqe->opts_len, &g, &sampling);
	explicit_bzero(i->opts, sqe->opts_len);
	if (*res < 0)
		return ENTRY_ANSWERED;
	fate = is_short(sqe) ? take_short(i, q, s, sqe, &sampling, res) : take_long(i, s, sqe, &sampling, res);
	explicit_bzero(sampling.stop, sampling.n_stop * sizeof(sampling.stop[0]));
	return fate;
}

enum entry_fate entry_take(struct intake *i, struct queue *q, struct session *s, const struct gyre_sqe *sqe)
{
	uint64_t user_data = s->job ? s->job->sqe.user_data : sqe->user_data;
	enum entry_fate fate;
	bool has_space;
	int res = 0;

	lock_take(&s->lock);
	has_space = session_promise(s, 1, 1); /* for an answer */
	lock_drop(&s->lock);
	if (!has_space)
		return ENTRY_WAITS;
	fate = s->job ? copy_piece(i, s, &res) : read_entry(i, q, s, sqe, &res);
	lock_take(&s->lock);
	session_unpromise(s, 1);
	if (fate == ENTRY_ANSWERED)
		session_complete(s, user_data, NULL)->res = res;
	lock_drop(&s->lock);
	counter_add(&i->stats.n_refused, fate == ENTRY_ANSWERED && res < 0);
	return fate;
}
