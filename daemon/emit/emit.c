#include "daemon/emit/emit.h"
#include "daemon/emit/hold.h"
#include "daemon/session/session.h"
#include "daemon/util/counter.h"
#include "daemon/util/log.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TOKENIZE_PIECE (GYRE_RESULT_SLOT_BYTES / sizeof(uint32_t))

_Static_assert(REQUEST_WHY_MAX <= GYRE_RESULT_TEXT_BYTES, "its words fit a slot");
_Static_assert(GYRE_RESULT_TEXT_BYTES + GYRE_TOP_MAX * sizeof(struct gyre_top) <= GYRE_RESULT_SLOT_BYTES, "slot");

uint32_t emit_pieces(const struct vocab *v)
{
	uint32_t longest = 0;

	for (uint32_t i = 0; i < vocab_size(v); i++)
		longest = max_u32(longest, vocab_token_bytes(v, i, false, true).n);
	return max_u32(2, (longest + HOLD_PIECE - 1) / HOLD_PIECE);
}

void emit_init(struct emit *e, const struct vocab *v, uint32_t n_ctx, uint32_t n_layer)
{
	*e = (struct emit){ .vocab = v, .n_ctx = n_ctx, .n_layer = n_layer };
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
	session_leave_place(r->session, r);
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

/* Text without a token: what a token's completion had no room for, or what was held back at the end. */
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
	uint8_t *result;
	struct gyre_cqe *cqe = complete(r, &result);

	if (!cqe)
		return;
	cqe->flags = GYRE_CQE_MORE;
	cqe->index = r->n_emitted++;
	cqe->token = t->token;
	cqe->logprob = t->logprob;
	cqe->time_ns = time_ns;
	put_bytes(cqe, result, p, n);
	if (t->n_top) {
		cqe->flags |= GYRE_CQE_TOP;
		cqe->n_top = (uint16_t)t->n_top;
		memcpy(result + GYRE_RESULT_TEXT_BYTES, t->top, t->n_top * sizeof(t->top[0]));
	}
}

/* Of p[n], what ends no character in its middle. */
static uint32_t whole(const struct request *r, const uint8_t *p, uint32_t n)
{
	return r->flags & GYRE_SQE_WHOLE_CHARS ? hold_char(p, n) : n;
}

/* What is held goes out; the beginning of a character that will not come, with the last completion, whose flag says so. */
static void emit_last(struct request *r)
{
	uint32_t n = whole(r, r->hold.byte, r->hold.n);
	struct gyre_cqe *cqe;
	uint8_t *result;

	if (n)
		emit_piece(r, r->hold.byte, n);
	hold_drop(&r->hold, n);
	cqe = complete(r, &result);
	if (!cqe)
		return;
	cqe->res = r->res;
	cqe->flags =
		GYRE_CQE_PROMPT | (r->hit_stop && r->res == 0 ? GYRE_CQE_STOP : 0) | (r->hold.n ? GYRE_CQE_HALF : 0);
	cqe->index = r->n_prompt;
	cqe->token = (int32_t)(r->op == GYRE_OP_SCORE ? r->n_scored : r->n_emitted);
	cqe->logprob = r->sum_logprob;
	if (r->hold.n || r->res != r->why_res)
		put_bytes(cqe, result, r->hold.byte, r->hold.n);
	else
		put_bytes(cqe, result, (const uint8_t *)r->why, r->n_why);
	r->session->region.daemon->n_cancelled += r->res == -ECANCELED;
	let_go(r);
}

static void end_request(struct request *r, int res)
{
	request_end(r, res);
	emit_last(r);
}

#define FAULT_LOG_NS 1000000000ull /* a line a second at most: a broken model ends every request */

/* What the operator can do something about; the client has its -EDOM. */
static void log_fault(struct emit *e, const struct batch *b, uint32_t n)
{
	char where[64] = "of single tokens alone";

	e->n_fault += n;
	if (e->fault_log_ns && b->time_ns - e->fault_log_ns < FAULT_LOG_NS)
		return;
	e->fault_log_ns = b->time_ns;
	if (b->fault_layer >= 0)
		snprintf(where, sizeof(where), "first seen in the keys and values of layer %d", b->fault_layer);
	if (b->fault_layer == (int32_t)e->n_layer)
		snprintf(where, sizeof(where), "it began behind the keys and values of the last layer");
	log_error(
		"a request ended because the model gave a NaN or an infinity: %s; %llu such so far; if this model does "
		"it again its file is damaged: download or quantize it again",
		where, (unsigned long long)e->n_fault);
}

/* The bytes of a new token join those held back, a piece at a time; what may go out goes, the first with the token. */
static void emit_text(struct request *r, const struct batch_token *t, uint64_t time_ns, struct text_span text,
		      bool is_hidden)
{
	static const struct sampling no_stop;
	const struct sampling *s = r->op == GYRE_OP_SCORE ? &no_stop : &r->sampling;

	for (uint32_t at = 0, n; at == 0 || (at < text.n && !r->hit_stop); at += n) {
		uint32_t n_out;

		n = min_u32(text.n - at, GYRE_RESULT_TEXT_BYTES - r->hold.n);
		n_out = hold_join(&r->hold, s, text.p + at, n, is_hidden, &r->hit_stop);
		if (r->hit_stop)
			r->hold.n = n_out; /* the rest is the stop string, or behind it */
		n_out = whole(r, r->hold.byte, n_out);
		if (at == 0)
			emit_token(r, t, time_ns, r->hold.byte, n_out);
		else if (n_out)
			emit_piece(r, r->hold.byte, n_out);
		hold_drop(&r->hold, n_out);
		if (!text.n)
			return;
	}
}

static void emit_generated(struct emit *e, struct request *r, const struct batch_token *t, uint64_t time_ns)
{
	bool is_special = r->flags & GYRE_SQE_SPECIAL;
	struct text_span text = vocab_token_bytes(e->vocab, (uint32_t)t->token, false, true);
	struct text_span shown = vocab_token_bytes(e->vocab, (uint32_t)t->token, false, is_special);

	emit_text(r, t, time_ns, text, shown.n < text.n);
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

	emit_text(r, t, time_ns, text, false);
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
	uint32_t n_fault = 0;

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
		if (!isfinite(b->out[i].logprob)) {
			end_request(r, -EDOM);
			n_fault++;
		} else if (r->op == GYRE_OP_SCORE) {
			take_scored(e, r, &b->out[i], b->time_ns);
		} else {
			take_generated(e, r, &b->out[i], b->time_ns);
		}
		finish(r);
	}
	for (uint32_t i = 0; i < e->n_touched; i++)
		session_flush(e->touched[i]);
	if (n_fault)
		log_fault(e, b, n_fault);
	profile_lap(PROFILE_EMIT);
}
