#include "daemon/emit/emit.h"
#include "daemon/session/session.h"
#include "daemon/util/counter.h"
#include "daemon/util/log.h"
#include "daemon/util/probe.h"
#include "daemon/util/profile.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void emit_init(struct emit *e, struct meter *meter, uint32_t n_layer)
{
	*e = (struct emit){ .meter = meter, .n_layer = n_layer };
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
		snprintf(where, sizeof(where), "no layer's keys and values have one");
	log_error(
		"a request ended because the model gave a NaN or an infinity: %s; %llu such so far; if this model does "
		"it again its file is damaged: download or quantize it again",
		where, (unsigned long long)e->n_fault);
}

/* Once its last completion is written, and before it can be seen. */
static void count_end(const struct emit *e, const struct request *r, uint64_t time_ns)
{
	if (r->kept.state < REQUEST_KEPT)
		return;
	PROBE4(request_ended, r->number, r->kept.res, r->kept.n_prompt, r->kept.n_emitted);
	meter_end(e->meter, r, false, time_ns);
}

static void count_result(struct emit *e, struct request *r, uint32_t n_drawn, uint64_t time_ns)
{
	counter_add(&e->n_token, n_drawn);
	counter_add(&r->session->region.daemon->n_token_generated, n_drawn);
	meter_result(e->meter, r, n_drawn || !r->op->is_drawn, time_ns);
	PROBE2(token, r->number, r->kept.n_emitted);
}

/* false: the numbers are none, and the request has ended. */
static bool take_token(struct emit *e, struct request *r, const struct batch_token *t, uint64_t time_ns)
{
	uint32_t n = r->kept.n_emitted;

	if (!isfinite(t->logprob)) {
		request_end(r, -EDOM);
		r->op->end(r);
		return false;
	}
	r->op->take_token(r, t, time_ns);
	n = r->op->is_drawn ? r->kept.n_emitted - n : 0; /* not a token that ends the stream */
	user_charge(r->user, load_relaxed(&r->session->limits.tokens_a_second), n, time_ns);
	count_result(e, r, n, time_ns);
	return true;
}

/* The vectors of rows that are wanted, in order. */
static uint32_t take_vectors(struct emit *e, const struct batch *b)
{
	uint32_t n_fault = 0;

	for (uint32_t i = 0; i < b->n_hidden; i++) {
		struct request *r = b->seq[b->row_seq[b->hidden_row[i]]].request;

		if (r->kept.state != REQUEST_RUNNING)
			continue;
		begin(e, r);
		r->op->take_hidden(r, b->hidden + (size_t)i * b->hidden_stride);
		if (r->kept.state != REQUEST_RUNNING)
			count_result(e, r, 0, b->time_ns);
		n_fault += r->kept.state != REQUEST_RUNNING && r->kept.res == -EDOM;
		count_end(e, r, b->time_ns);
		finish(r);
	}
	return n_fault;
}

/* The live counters that a client reads in its daemon page. Positions that are computed again count again. */
static void count_rows(const struct batch *b)
{
	for (uint32_t i = 0; i < b->n_seq; i++) {
		const struct batch_seq *q = &b->seq[i];
		const struct request *r = q->request;
		struct abi_daemon_page *page = r->session->region.daemon;

		lock_take(&r->session->lock);
		if (q->n_past < r->kept.n_prompt)
			counter_add(&page->n_token_prompt,
				    q->n_past + q->n_row < r->kept.n_prompt ? q->n_row : r->kept.n_prompt - q->n_past);
		counter_set(&page->step_ns, b->forward_ns);
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
		r->op->end(r);
		count_end(e, r, b->time_ns);
		finish(r);
	}
	for (uint32_t i = 0; i < b->n_token; i++) {
		struct request *r = b->seq[b->out[i].seq].request;

		if (r->kept.state != REQUEST_RUNNING)
			continue; /* ended by an earlier token of this step */
		begin(e, r);
		n_fault += !take_token(e, r, &b->out[i], b->time_ns);
		count_end(e, r, b->time_ns);
		finish(r);
	}
	n_fault += take_vectors(e, b);
	for (uint32_t i = 0; i < e->n_touched; i++)
		session_flush(e->touched[i]);
	if (b->n_row)
		meter_step(e->meter, b->time_ns - b->layout_ns);
	PROBE3(step_end, b->n_seq, b->n_row, b->n_token);
	if (n_fault)
		log_fault(e, b, n_fault);
	profile_lap(PROFILE_EMIT);
}
