#include "daemon/stream/stream.h"
#include "daemon/session/session.h"
#include "daemon/stream/hold.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"
#include "daemon/util/number.h"
#include "shm/atomic.h"
#include "shm/clock.h"

#include <errno.h>
#include <string.h>

_Static_assert(GYRE_WORDS_MAX <= GYRE_RESULT_TEXT_BYTES, "its words fit a slot");
_Static_assert(GYRE_RESULT_TEXT_BYTES + GYRE_TOP_MAX * sizeof(struct gyre_top) <= GYRE_RESULT_SLOT_BYTES, "slot");

uint32_t stream_pieces(const struct vocab *v)
{
	uint32_t longest = 0;

	for (uint32_t i = 0; i < vocab_size(v); i++)
		longest = max_u32(longest, vocab_token_bytes(v, i, false, true).n);
	return max_u32(2, (longest + HOLD_PIECE - 1) / HOLD_PIECE);
}

struct gyre_cqe *stream_complete(struct request *r, uint8_t **result)
{
	if (!r->grant)
		return NULL;
	r->grant--;
	session_unpromise(r->session, 1);
	return session_complete(r->session, r->kept.user_data, result);
}

void stream_let_go(struct request *r)
{
	bool is_failed = r->kept.res < 0;

	store_release(&r->told, is_failed ? REQUEST_TOLD_FAILED : REQUEST_TOLD_WELL); /* pairs with link_begin_all */
	if (request_keep(r, r->kept.keep_ms ? clock_ns() : 0)) {
		fetch_add(&r->session->served->pool.n_kept, 1);
		return;
	}
	r->kept.state = REQUEST_DONE;
	if (!load_relaxed(&r->n_waiter)) /* else it stays in its place until they have begun */
		session_leave_place(r->session, r);
}

/* Text without a token: what a token's completion had no room for, or what was held back at the end. */
static void put_piece(struct request *r, uint32_t index, uint32_t flags, const uint8_t *p, uint32_t n)
{
	uint8_t *result;
	struct gyre_cqe *cqe = stream_complete(r, &result);

	if (!cqe)
		return;
	cqe->flags = GYRE_CQE_MORE | flags;
	cqe->index = index;
	session_put_bytes(cqe, result, p, n);
}

/* A token, and the bytes that go out with it. */
struct put {
	const struct batch_token *token;
	uint64_t time_ns;
	uint32_t index, flags;
};

static void put_token(struct request *r, const struct put *put, const uint8_t *p, uint32_t n)
{
	const struct batch_token *t = put->token;
	uint8_t *result;
	struct gyre_cqe *cqe = stream_complete(r, &result);

	if (!cqe)
		return;
	cqe->flags = GYRE_CQE_MORE | put->flags | (t->is_drafted ? GYRE_CQE_DRAFTED : 0);
	cqe->index = put->index;
	cqe->token = t->token;
	cqe->logprob = t->logprob;
	cqe->time_ns = put->time_ns;
	session_put_bytes(cqe, result, p, n);
	if (t->n_top) {
		cqe->flags |= GYRE_CQE_TOP;
		cqe->n_top = (uint16_t)t->n_top;
		memcpy(result + GYRE_RESULT_TEXT_BYTES, t->top, t->n_top * sizeof(t->top[0]));
	}
}

/* Of p[n], what ends no character in its middle. */
static uint32_t whole(const struct request *r, const uint8_t *p, uint32_t n)
{
	return r->kept.flags & GYRE_SQE_WHOLE_CHARS ? hold_char(p, n) : n;
}

/* Words for what ended it on its way: no stage before had any. */
static void explain_end(struct request *r, uint32_t n_token)
{
	const struct geometry *g = &r->session->served->geometry;
	char pool[32];

	if (r->kept.why_res == r->kept.res)
		return;
	if (r->kept.res == -ETIME)
		request_explain(r, -ETIME,
				"its deadline passed after %u of the prompt's %u tokens and %u of an answer: give it "
				"more time, or ask for less",
				min_u32(r->kept.n_past, r->kept.n_prompt), r->kept.n_prompt, n_token);
	if (r->kept.res == -ENOSPC)
		request_explain(r, -ENOSPC,
				"the prompt's %u tokens and %u of an answer fill gyred's whole KV pool of %u positions "
				"(%s): ask for less, or give gyred a larger --kv-bytes",
				r->kept.n_prompt, n_token, g->n_kv,
				number_size(pool, sizeof(pool), g->n_kv * g->kv_bytes));
	if (r->kept.res == -EDOM)
		request_explain(r, -EDOM,
				"the model gave a NaN or an infinity after %u tokens: %sits file is damaged (download "
				"or quantize it again); gyred's log has more",
				n_token, r->kept.sampling.n_bias ? "a logit bias bans every token, or " : "");
}

/* What is held goes out; the beginning of a character that will not come, with the last completion, whose flag says so. */
void stream_end(struct request *r, uint32_t n_token)
{
	uint32_t n = whole(r, r->kept.hold.byte, r->kept.hold.n);
	struct gyre_cqe *cqe;
	uint8_t *result;

	if (n)
		put_piece(r, r->kept.n_emitted, 0, r->kept.hold.byte, n);
	hold_drop(&r->kept.hold, n);
	explain_end(r, n_token);
	cqe = stream_complete(r, &result);
	if (!cqe)
		return;
	cqe->res = r->kept.res < 0 ? r->kept.res : (int32_t)r->kept.n_cached;
	cqe->flags = GYRE_CQE_PROMPT | (r->kept.hit_stop && r->kept.res == 0 ? GYRE_CQE_STOP : 0) |
		     (r->kept.hold.n ? GYRE_CQE_HALF : 0);
	cqe->index = r->kept.n_prompt;
	cqe->token = (int32_t)n_token;
	cqe->logprob = r->kept.sum_logprob;
	if (r->kept.hold.n || r->kept.res != r->kept.why_res)
		session_put_bytes(cqe, result, r->kept.hold.byte, r->kept.hold.n);
	else
		session_put_bytes(cqe, result, r->kept.why.text, r->kept.why.n);
	counter_add(&r->session->region.daemon->n_cancelled, r->kept.res == -ECANCELED);
	counter_add(&r->session->region.daemon->n_token_cached, r->kept.n_cached);
	stream_let_go(r);
}

/* The bytes of a new token join those held back, a piece at a time; what may go out goes, the first with the token. */
void stream_token(struct request *r, const struct batch_token *t, uint64_t time_ns, struct text_span text,
		  bool is_hidden)
{
	static const struct sampling no_stop;
	const struct sampling *s = r->op->is_drawn ? &r->kept.sampling : &no_stop;

	for (uint32_t at = 0, n; at == 0 || (at < text.n && !r->kept.hit_stop); at += n) {
		uint32_t n_out;

		n = min_u32(text.n - at, GYRE_RESULT_TEXT_BYTES - r->kept.hold.n);
		n_out = hold_join(&r->kept.hold, s, text.p + at, n, is_hidden, &r->kept.hit_stop);
		if (r->kept.hit_stop)
			r->kept.hold.n = n_out; /* the rest is the stop string, or behind it */
		n_out = whole(r, r->kept.hold.byte, n_out);
		if (at == 0)
			put_token(r, &(struct put){ t, time_ns, r->kept.n_emitted++, 0 }, r->kept.hold.byte, n_out);
		else if (n_out)
			put_piece(r, r->kept.n_emitted, 0, r->kept.hold.byte, n_out);
		hold_drop(&r->kept.hold, n_out);
		if (!text.n)
			return;
	}
}

void stream_answer(struct request *r)
{
	uint32_t n_looked = 0;
	struct gyre_cqe *cqe;
	uint8_t *result;

	if (r->kept.res < 0) {
		stream_end(r, 0);
		return;
	}
	r->kept.res = r->op->answer(r->session, r->kept.target, &n_looked);
	cqe = stream_complete(r, &result);
	if (!cqe)
		return;
	cqe->res = r->kept.res;
	stream_let_go(r);
}

/* Nothing is held back of what the client has written itself. */
void stream_echo(struct request *r, const struct batch_token *t, uint64_t time_ns, uint32_t pos, struct text_span text)
{
	const uint8_t *p = (const uint8_t *)text.p;
	uint32_t n = min_u32(text.n, GYRE_RESULT_TEXT_BYTES);

	put_token(r, &(struct put){ t, time_ns, pos, GYRE_CQE_ECHO }, p, n);
	for (uint32_t at = n; at < text.n; at += n) {
		n = min_u32(text.n - at, GYRE_RESULT_TEXT_BYTES);
		put_piece(r, pos, GYRE_CQE_ECHO, p + at, n);
	}
}
