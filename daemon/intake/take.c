#include "daemon/intake/take.h"
#include "daemon/intake/chain.h"
#include "daemon/intake/quota.h"
#include "daemon/intake/route.h"
#include "daemon/intake/source.h"
#include "daemon/intake/units.h"
#include "daemon/op/op.h"
#include "daemon/prompt/validate.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"
#include "daemon/util/probe.h"
#include "shm/atomic.h"
#include "shm/clock.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <string.h>

#define PRIORITY_DEFAULT 128u /* libgyre's; what is above may outrank others, if the configuration lets it */

int take_init(struct taker *t)
{
	return prompt_reader_init(&t->reader, INTAKE_INLINE_MAX * VOCAB_GROWTH);
}

void take_deinit(struct taker *t)
{
	prompt_reader_deinit(&t->reader);
}

void take_close(struct taker *t)
{
	store_relaxed(&t->is_closed, 1);
}

/* ---- on the way to an engine ---- */

/* Its tokens are there, or will never be (res). */
static void send_request(struct queue *own, struct request *r, int res)
{
	if (!r->queue)
		r->queue = route_choose(r->session->served, res < 0 ? NULL : r, own);
	if (res == 0 && r->op->wants_logits)
		res = quota_claim(r);
	if (res < 0 || request_is_cancelled(r))
		request_end(r, res < 0 ? res : 0);
	else if (r->before)
		r->kept.state = REQUEST_LINKED;
	else if (!r->op->wants_logits)
		request_end(r, 0);
	else
		r->kept.state = r->source ? REQUEST_FORK : REQUEST_WAITING;
	PROBE2(request_routed, r->number, r->kept.n_prompt);
	queue_put(r->queue, r);
}

void take_texts(struct taker *t, struct queue *own)
{
	struct helper_job *job;

	if (!load_relaxed(t->n_text))
		return;
	for (uint32_t i = 0; i < SERVED_MAX; i++) {
		struct served *s = &t->served[i];

		while (served_is_open(s) && (job = helper_finished(s->helper))) {
			send_request(own, job->request, job->res);
			helper_put(s->helper, job);
		}
	}
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
	r->n_session = s->number;
	r->served = s->served;
	r->user = s->user;
	r->op = op_find(sqe->opcode);
	r->kept.flags = sqe->flags;
	r->kept.priority = sqe->priority;
	r->weight = load_relaxed(&s->weight);
	r->is_above = load_relaxed(&s->user->may_outrank) && sqe->priority < PRIORITY_DEFAULT;
	r->kept.user_data = sqe->user_data;
	r->kept.deadline_ns = sqe->deadline_ns;
	r->kept.opcode = sqe->opcode;
	r->kept.target = sqe->target;
	r->kept.max_tokens = sqe->max_tokens;
	r->kept.keep_ms = sqe->keep_ms;
	r->kept.split = sqe->split;
	copy_sampling(&r->kept.sampling, sampling);
}

/* ---- refusals, in words ---- */

static int refuse_closed(struct taker *t)
{
	return words_set(&t->words, -ESHUTDOWN, "gyred is shutting down and takes no more requests");
}

/* What is told of others is what statistics tell anybody: how many there are. */
static int refuse_busy(struct taker *t, const struct session *s)
{
	const struct served *m = s->served;

	return words_set(&t->words, -EBUSY,
			 "gyred has %u of %u requests; uid %u has %u beside one for each session, and may have more "
			 "while it has fewer than are left: wait until one ends, or use a session that has none",
			 counter_read32(&m->pool.n_live), m->pool.n, s->user->uid,
			 load_relaxed(&s->user->n_extra[m->index]));
}

/* ---- of an entry a request ---- */

/* Bytes of a client's arena; the one read of them, for the client may be writing to them. */
static int read_arena(struct taker *t, const struct session *s, uint32_t off, void *to, uint32_t n)
{
	int r;

	if (!n)
		return 0;
	t->left -= DRAIN_READ + (int)(n / DRAIN_COPY);
	r = region_read_arena(&s->region, off, to, n);
	return r < 0 ? words_set(&t->words, r, "the arena cannot be read at %u (errno %d): connect again", off, -r) : 0;
}

/* Where a request for sqe would be, or in *res why nowhere. */
static uint8_t find_place(struct taker *t, const struct session *s, const struct gyre_sqe *sqe, int *res)
{
	uint8_t place = place_find(t->roster, s);

	*res = quota_check(s, sqe->priority, op_find(sqe->opcode)->wants_logits, &t->words);
	if (*res == 0 && place == REQUEST_NOWHERE)
		*res = refuse_busy(t, s);
	return place;
}

static void note_request(struct taker *t, struct request *r)
{
	r->number = t->n_request;
	r->came_ns = r->session->job ? r->session->job->came_ns : clock_ns();
	PROBE4(request_accepted, r->user->uid, r->n_session, r->number, r->kept.opcode);
	if (event_is_wanted(t->events, EVENT_DEBUG))
		event_put_request(t->events, EVENT_ACCEPTED, r, 0, r->came_ns);
}

/* Which engine it goes to is settled, if it is not yet. */
static struct queue *settle_route(struct taker *t, struct request *r)
{
	if (!r->queue)
		r->queue = route_choose(r->served, NULL, t->own);
	return r->queue;
}

/* What it goes on from, whose engine is its own, too. */
static int find_source(struct taker *t, struct request *r, uint64_t target)
{
	uint32_t n_looked = 0;
	int res = source_find(r, target, &n_looked, &t->words);

	t->left -= (int)n_looked;
	if (res < 0)
		return res;
	r->queue = settle_route(t, r->source); /* its text may still be read */
	return 0;
}

/* A request for sqe, whose bytes are there. TAKE_MADE: *out. */
static enum take_fate make_request(struct taker *t, struct session *s, const struct gyre_sqe *sqe,
				   const struct sampling *sampling, struct request **out, int *res)
{
	uint8_t place = find_place(t, s, sqe, res);

	if (*res < 0)
		return TAKE_ANSWERED;
	*out = request_pool_get(&s->served->pool);
	if (!*out) /* one that is done has its place until its engine's next plan */
		return TAKE_WAITS;
	fill_request(*out, s, sqe, sampling);
	if (request_is_fork(*out) && (*res = find_source(t, *out, sqe->target)) < 0) {
		request_pool_put(&s->served->pool, *out);
		return TAKE_ANSWERED;
	}
	if (chain_must_wait(s) && !(*out)->queue) /* where it hears of the end of the one before it at once */
		(*out)->queue = settle_route(t, s->chain.before);
	chain_join(s, *out);
	place_take(s, *out, place);
	counter_add(&t->n_request, 1);
	counter_add(&s->served->n_request, 1);
	note_request(t, *out);
	return TAKE_MADE;
}

/* Is it read in a few microseconds? */
static bool is_short(const struct gyre_sqe *sqe)
{
	if (sqe->flags & GYRE_SQE_CHAT)
		return false;
	return sqe->data_len <= (sqe->flags & GYRE_SQE_TOKENS ? INTAKE_INLINE_MAX : INTAKE_INLINE_TEXT);
}

/* It has no prompt, but has to wait for others of its chain. */
static enum take_fate take_bare(struct taker *t, struct queue *q, struct session *s, const struct gyre_sqe *sqe,
				int *res)
{
	struct sampling none;
	struct request *r;
	enum take_fate fate;

	memset(&none, 0, offsetof(struct sampling, bias));
	fate = make_request(t, s, sqe, &none, &r, res);
	if (fate == TAKE_MADE)
		send_request(q, r, 0);
	return fate;
}

static enum take_fate take_short(struct taker *t, struct queue *q, struct session *s, const struct gyre_sqe *sqe,
				 const struct sampling *sampling, int *res)
{
	struct request *r;
	enum take_fate fate;

	*res = read_arena(t, s, sqe->data_off, t->text, sqe->data_len);
	if (*res < 0)
		return TAKE_ANSWERED;
	fate = make_request(t, s, sqe, sampling, &r, res);
	if (fate != TAKE_MADE)
		return fate;
	t->left -= (int)(sqe->flags & GYRE_SQE_TOKENS ? sqe->data_len / DRAIN_CHECK : sqe->data_len);
	send_request(q, r, prompt_read(&t->reader, r, t->text, sqe->data_len, sqe->split));
	return TAKE_MADE;
}

/* The next piece of s->job's text; once it is whole, a request of it. */
static enum take_fate copy_piece(struct taker *t, struct session *s, int *res)
{
	struct helper_job *job = s->job;
	uint32_t n = min_u32(job->sqe.data_len - job->n, DRAIN_PIECE);
	enum take_fate fate;

	*res = load_relaxed(&t->is_closed) ? refuse_closed(t)
					   : read_arena(t, s, job->sqe.data_off + job->n, job->data + job->n, n);
	if (*res < 0) {
		helper_put(s->served->helper, job);
		s->job = NULL;
		return TAKE_ANSWERED;
	}
	job->n += n;
	if (job->n < job->sqe.data_len)
		return TAKE_GOES_ON;
	fate = make_request(t, s, &job->sqe, &job->sampling, &job->request, res);
	if (fate == TAKE_WAITS)
		return fate;
	s->job = NULL;
	if (fate == TAKE_MADE) {
		job->request->kept.state = REQUEST_TEXT;
		helper_submit(s->served->helper, job);
	} else {
		helper_put(s->served->helper, job);
	}
	return fate;
}

static enum take_fate take_long(struct taker *t, struct session *s, const struct gyre_sqe *sqe,
				const struct sampling *sampling, int *res)
{
	(void)find_place(t, s, sqe, res);
	if (*res < 0)
		return TAKE_ANSWERED;
	s->job = helper_get(s->served->helper, s->user);
	if (!s->job)
		return TAKE_WAITS;
	s->job->sqe = *sqe;
	s->job->came_ns = clock_ns();
	copy_sampling(&s->job->sampling, sampling);
	return copy_piece(t, s, res);
}

/* Its model is not there. What sleeps is woken, and the entry waits for it; a failure is told, and tried again for a later one. */
static enum take_fate without_model(struct taker *t, struct session *s, int *res)
{
	struct served *m = s->served;
	uint32_t state = load_acquire(&m->state); /* pairs with set_state */
	bool is_wanted = state == SERVED_ASLEEP || state == SERVED_FAILED;

	if (is_wanted && !load_relaxed(&m->is_wanted)) {
		store_relaxed(&m->is_wanted, 1); /* who has the watch sets it, the control thread clears it */
		handover_call_control(t->handover);
	}
	if (state == SERVED_OFF || state == SERVED_NONE)
		*res = words_set(&t->words, -ENXIO, "%s has been unloaded; gyre load %s brings it back", m->name,
				 m->name);
	else if (state == SERVED_FAILED)
		*res = words_set(&t->words, -ENXIO, "%.*s", (int)m->why.n, m->why.text);
	else if (state == SERVED_READY)
		*res = words_set(&t->words, -ESTALE,
				 "the file of %s has changed since this session began: connect again", m->name);
	else
		return TAKE_WAITS;
	return TAKE_ANSWERED;
}

static enum take_fate read_entry(struct taker *t, struct queue *q, struct session *s, const struct gyre_sqe *sqe,
				 int *res)
{
	const struct geometry *g = &s->geometry;
	int (*answer)(struct session *, uint64_t, uint32_t *);
	uint32_t n_looked = 0;
	enum take_fate fate;
	struct sampling sampling;

	*res = op_check(sqe, g, &t->words);
	if (*res < 0)
		return TAKE_ANSWERED;
	answer = op_find(sqe->opcode)->answer;
	if (answer && !chain_must_wait(s)) {
		lock_take(&s->lock);
		*res = answer(s, sqe->target, &n_looked);
		lock_drop(&s->lock);
		t->left -= (int)n_looked;
		return TAKE_ANSWERED;
	}
	if (load_relaxed(&t->is_closed)) {
		*res = refuse_closed(t);
		return TAKE_ANSWERED;
	}
	/* Pairs with set_state. */
	if (load_acquire(&s->served->state) != SERVED_READY || s->generation != s->served->generation)
		return without_model(t, s, res);
	if (answer)
		return take_bare(t, q, s, sqe, res);
	/* The one read of the options. */
	t->left -= (int)(sqe->opts_len / DRAIN_CHECK);
	*res = read_arena(t, s, sqe->opts_off, t->opts, sqe->opts_len);
	if (*res == 0)
		*res = validate_options(t->opts, sqe->opts_len, g, &sampling, &t->words);
	if (*res == 0)
		*res = op_check_options(op_find(sqe->opcode), &sampling, &t->words);
	explicit_bzero(t->opts, sqe->opts_len);
	if (*res < 0)
		return TAKE_ANSWERED;
	fate = is_short(sqe) ? take_short(t, q, s, sqe, &sampling, res) : take_long(t, s, sqe, &sampling, res);
	explicit_bzero(sampling.stop, sampling.n_stop * sizeof(sampling.stop[0]));
	return fate;
}

static void note_refusal(struct taker *t, const struct session *s, uint8_t opcode, int res)
{
	enum meter_refusal why = meter_refusal_of(res);

	counter_add(&t->n_refused, 1);
	counter_add(&t->refusal[why], 1);
	if (event_is_wanted(t->events, EVENT_ERRORS))
		event_put(t->events, &(struct event){ .kind = EVENT_REFUSED,
						      .opcode = opcode,
						      .reason = (uint8_t)why,
						      .res = res,
						      .uid = s->kept.uid,
						      .session = s->number,
						      .served = s->served });
}

enum take_fate take_entry(struct taker *t, struct queue *q, struct session *s, const struct gyre_sqe *sqe)
{
	uint64_t user_data = s->job ? s->job->sqe.user_data : sqe->user_data;
	uint8_t opcode = s->job ? s->job->sqe.opcode : sqe->opcode;
	uint16_t flags = s->job ? s->job->sqe.flags : sqe->flags;
	enum take_fate fate;
	bool has_space, is_refused;
	int res = 0;

	t->words.n = 0;
	t->own = q;
	t->events = &q->meter.events;
	lock_take(&s->lock);
	has_space = session_promise(s, 1, 1); /* for an answer */
	lock_drop(&s->lock);
	if (!has_space)
		return TAKE_WAITS;
	fate = TAKE_ANSWERED;
	if (chain_is_cut(s))
		res = chain_refuse(&t->words);
	else
		fate = s->job ? copy_piece(t, s, &res) : read_entry(t, q, s, sqe, &res);
	is_refused = fate == TAKE_ANSWERED && res < 0;
	t->left -= is_refused ? DRAIN_WORDS : 0;
	lock_take(&s->lock);
	session_unpromise(s, 1);
	if (fate == TAKE_ANSWERED)
		session_answer(s, user_data, res, &t->words);
	lock_drop(&s->lock);
	if (fate == TAKE_MADE || fate == TAKE_ANSWERED)
		chain_pass(s, flags, is_refused);
	if (is_refused)
		note_refusal(t, s, opcode, res);
	return fate;
}
