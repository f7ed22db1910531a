#include "daemon/emit/emit.h"
#include "daemon/emit/hold.h"
#include "daemon/intake/session.h"
#include "daemon/util/counter.h"
#include "daemon/util/profile.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define TOKENIZE_PIECE (GYRE_RESULT_SLOT_BYTES / sizeof(uint32_t))

_Static_assert(GYRE_RESULT_TEXT_BYTES + GYRE_TOP_MAX * sizeof(struct gyre_top) <= GYRE_RESULT_SLOT_BYTES, "slot");

void emit_init(struct emit *e, const struct vocab *v, uint32_t n_ctx)
{
	*e = (struct emit){ .vocab = v, .n_ctx = n_ctx };
}

/* Locks the session of r: what is written from now on is to be flushed at the end of the step. */
static void begin(struct emit *e, const struct request *r)
{
	if (!e->n_touched || e->touched[e->n_touched - 1] != r->session) {
		assert(e->n_touched < EMIT_SESSION_MAX);
		e->touched[e->n_touched++] = r->session;
	}
	lock_take(&r->session->lock);
}

static void finish(const struct request *r)
{
	lock_drop(&r->session->lock);
}

/* One of those granted. */
static struct gyre_cqe *complete(struct request *r, uint8_t **result)
{
	if (!r->grant)
		return NULL;
	r->grant--;
	session_unpromise(r->session, 1);
	return session_complete(r->session, r->user_data, result);
}

/* Before the last completion can be seen: the client may have another request in its place. */
static void let_go(struct request *r)
{
	r->state = REQUEST_DONE;
	counter_set32(&r->session->n_held, r->session->n_held - 1);
}

static void put_bytes(struct gyre_cqe *cqe, uint8_t *result, const uint8_t *p, uint32_t n)
{
	cqe->n_bytes = (uint16_t)n;
	if (n > GYRE_CQE_INLINE_BYTES) {
		cqe->flags |= GYRE_CQE_EXT;
		memcpy(result, p, n);
	} else {
		memcpy(cqe->bytes, p, n);
	}
}

/* A piece of text without a token: what a token's completion had no room for, or what was held back at the end. */
static void emit_piece(struct request *r, const uint8_t *p, uint32_t n)
{
	uint8_t *result;
	struct gyre_cqe *cqe = complete(r, &result);

	if (!cqe)
		return;
	cqe->flags = GYRE_CQE_MORE;
	cqe->index = r->n_emitted;
	put_bytes(cqe, result, p, n);
}

static void emit_token(struct request *r, const struct batch_token *t, uint64_t time_ns, const uint8_t *p, uint32_t n)
{
	uint32_t n_first = n < GYRE_RESULT_TEXT_BYTES ? n : GYRE_RESULT_TEXT_BYTES;
	uint8_t *result;
	struct gyre_cqe *cqe = complete(r, &result);

	if (!cqe)
		return;
	cqe->flags = GYRE_CQE_MORE;
	cqe->index = r->n_emitted++;
	cqe->token = t->token;
	cqe->logprob = t->logprob;
	cqe->time_ns = time_ns;
	put_bytes(cqe, result, p, n_first);
	if (t->n_top) {
		cqe->flags |= GYRE_CQE_TOP;
		cqe->n_top = (uint16_t)t->n_top;
		memcpy(result + GYRE_RESULT_TEXT_BYTES, t->top, t->n_top * sizeof(t->top[0]));
	}
	if (n > n_first)
		emit_piece(r, p + n_first, n - n_first);
}

static void emit_last(struct request *r)
{
	struct gyre_cqe *cqe;

	if (r->n_held)
		emit_piece(r, r->held, r->n_held);
	r->n_held = 0;
	cqe = complete(r, NULL);
	if (!cqe)
		return;
	cqe->res = r->res;
	cqe->flags = GYRE_CQE_PROMPT | (r->hit_stop && r->res == 0 ? GYRE_CQE_STOP : 0);
	cqe->index = r->n_prompt;
	cqe->token = (int32_t)(r->op == GYRE_OP_SCORE ? r->n_scored : r->n_emitted);
	cqe->logprob = r->sum_logprob;
	r->session->region.daemon->n_cancelled += r->res == -ECANCELED;
	let_go(r);
}

static void end_request(struct request *r, int res)
{
	request_end(r, res);
	emit_last(r);
}

/* The bytes of a new token join those held back; what may go out goes. */
static void emit_generated(struct emit *e, struct request *r, const struct batch_token *t, uint64_t time_ns)
{
	bool is_special = r->flags & GYRE_SQE_SPECIAL;
	struct text_span text = vocab_token_bytes(e->vocab, (uint32_t)t->token, false, is_special);
	uint32_t room = sizeof(r->held) - r->n_held, n;

	n = text.n < room ? text.n : room;
	memcpy(r->held + r->n_held, text.p, n);
	r->n_held += n;
	n = hold_stop(&r->sampling, r->held, r->n_held, &r->hit_stop);
	if ((r->flags & GYRE_SQE_WHOLE_CHARS) && !r->hit_stop)
		n = hold_char(r->held, n);
	emit_token(r, t, time_ns, r->held, n);
	r->n_held = r->hit_stop ? 0 : r->n_held - n;
	memmove(r->held, r->held + n, r->n_held);
}

static void take_generated(struct emit *e, struct request *r, const struct batch_token *t, uint64_t time_ns)
{
	if (!(r->flags & GYRE_SQE_IGNORE_EOS) && vocab_is_end(e->vocab, (uint32_t)t->token)) {
		r->hit_stop = true;
		end_request(r, 0);
		return;
	}
	r->sum_logprob += t->logprob;
	emit_generated(e, r, t, time_ns);
	counter_add(&e->n_token, 1);
	r->session->region.daemon->n_token_generated++;
	if (r->hit_stop || (r->max_tokens && r->n_emitted >= r->max_tokens) || r->n_prompt + r->n_emitted >= e->n_ctx)
		end_request(r, 0);
}

static void take_scored(struct emit *e, struct request *r, const struct batch_token *t, uint64_t time_ns)
{
	struct text_span text = vocab_token_bytes(e->vocab, (uint32_t)t->token, false, true);

	emit_token(r, t, time_ns, (const uint8_t *)text.p, text.n < sizeof(r->held) ? text.n : sizeof(r->held));
	r->sum_logprob += t->logprob;
	if (++r->n_scored == r->n_score)
		end_request(r, 0);
}

/* Ids in pieces of a result slot, as many as are granted; the last one ends the request. */
static void emit_ids(struct request *r)
{
	while (r->grant) {
		uint32_t left = r->n_token - r->n_emitted, n = left < TOKENIZE_PIECE ? left : TOKENIZE_PIECE;
		uint8_t *result;
		struct gyre_cqe *cqe = complete(r, &result);

		if (!cqe)
			return;
		memcpy(result, r->token + r->n_emitted, n * sizeof(uint32_t));
		cqe->res = (int32_t)n;
		cqe->index = r->n_emitted;
		cqe->flags = GYRE_CQE_EXT | (n < left ? GYRE_CQE_MORE : 0);
		r->n_emitted += n;
		if (n == left) {
			let_go(r);
			return;
		}
	}
}

/* The live counters that a client reads in its daemon page. Positions that are computed again count again. */
static void count_rows(const struct batch *b)
{
	for (uint32_t i = 0; i < b->n_seq; i++) {
		const struct batch_seq *q = &b->seq[i];
		const struct request *r = q->request;
		struct abi_daemon_page *page = r->session->region.daemon;

		lock_take(&r->session->lock);
		if (q->n_past < r->n_prompt)
			page->n_token_prompt += q->n_past + q->n_row < r->n_prompt ? q->n_row : r->n_prompt - q->n_past;
		page->step_ns = b->forward_ns;
		lock_drop(&r->session->lock);
	}
}

void emit_batch(struct emit *e, struct batch *b)
{
	e->n_touched = 0;
	count_rows(b);
	for (uint32_t i = 0; i < b->n_ended; i++) {
		struct request *r = b->ended[i];

		begin(e, r);
		if (r->op == GYRE_OP_TOKENIZE && r->res == 0)
			emit_ids(r);
		else
			emit_last(r);
		finish(r);
	}
	for (uint32_t i = 0; i < b->n_token; i++) {
		struct request *r = b->seq[b->out[i].seq].request;

		if (r->state != REQUEST_RUNNING)
			continue; /* ended by an earlier token of this step */
		begin(e, r);
		if (r->op == GYRE_OP_SCORE)
			take_scored(e, r, &b->out[i], b->time_ns);
		else
			take_generated(e, r, &b->out[i], b->time_ns);
		finish(r);
	}
	for (uint32_t i = 0; i < e->n_touched; i++)
		session_flush(e->touched[i]);
	profile_lap(PROFILE_EMIT);
}
