#include "daemon/flow/request.h"
#include "daemon/util/minmax.h"
#include "shm/atomic.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

void request_end(struct request *r, int res)
{
	uint32_t open = REQUEST_OPEN;
	bool is_ours = compare_swap(&r->outcome, &open, REQUEST_SETTLED);

	r->kept.res = is_ours || open == REQUEST_SETTLED ? res : -ECANCELED;
	r->kept.state = REQUEST_ENDED;
}

bool request_cancel(struct request *r)
{
	uint32_t open = REQUEST_OPEN;

	return compare_swap(&r->outcome, &open, REQUEST_CANCELLED);
}

bool request_is_cancelled(const struct request *r)
{
	return load_relaxed(&r->outcome) == REQUEST_CANCELLED;
}

bool request_keep(struct request *r, uint64_t now_ns)
{
	uint32_t n_over;

	if (!(r->kept.flags & GYRE_SQE_KEEP) || r->kept.res < 0)
		return false;
	/* An end token, and what was drawn behind it, were never told. */
	if (r->op->is_drawn)
		r->kept.n_token = r->kept.n_prompt + r->kept.n_emitted;
	n_over = r->kept.n_past - min_u32(r->kept.n_past, r->kept.n_token);
	r->kept.n_past -= n_over;
	r->kept.n_replay -= min_u32(n_over, r->kept.n_replay);
	r->kept.keep_end_ns = now_ns + r->kept.keep_ms * 1000000ull;
	if (r->kept.deadline_ns && r->kept.deadline_ns < r->kept.keep_end_ns)
		r->kept.keep_end_ns = r->kept.deadline_ns;
	r->kept.state = REQUEST_KEPT;
	store_relaxed(&r->outcome, REQUEST_OPEN);
	return true;
}

void request_let_go(struct request *r)
{
	store_relaxed(&r->outcome, REQUEST_SETTLED);
	r->kept.state = REQUEST_DONE;
}

#define LEFT UINT32_MAX /* in place of a number of waiters: there will be none */

bool request_await(struct request **waits_for, struct request *r)
{
	uint32_t n = load_relaxed(&r->n_waiter);

	do
		if (n == LEFT)
			return false;
	while (!compare_swap(&r->n_waiter, &n, n + 1));
	*waits_for = r;
	return true;
}

bool request_leave(struct request *r)
{
	uint32_t none = 0;

	return compare_swap(&r->n_waiter, &none, LEFT);
}

void request_await_no_more(struct request **waits_for)
{
	if (*waits_for)
		(void)is_last_release(&(*waits_for)->n_waiter); /* who reaps it comes behind what was read of it */
	*waits_for = NULL;
}

void request_wipe(struct request *r, uint32_t n_ctx)
{
	uint32_t n_token =
		max_u32(r->kept.n_token, r->kept.n_prompt) + REQUEST_DRAFT_MAX; /* guesses lie behind the tokens */

	explicit_bzero(r->token, min_u32(n_token, n_ctx) * sizeof(*r->token));
	explicit_bzero(&r->kept.hold, sizeof(r->kept.hold));
	explicit_bzero(r->kept.sampling.bias, r->kept.sampling.n_bias * sizeof(r->kept.sampling.bias[0]));
	explicit_bzero(r->kept.sampling.stop, r->kept.sampling.n_stop * sizeof(r->kept.sampling.stop[0]));
	explicit_bzero(&r->kept.why, sizeof(r->kept.why));
}

int request_explain(struct request *r, int res, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	words_vset(&r->kept.why, fmt, ap);
	va_end(ap);
	r->kept.why_res = res;
	return res;
}

uint32_t request_prompt_rows(const struct request *r)
{
	return r->kept.n_prompt > r->kept.n_past ? r->kept.n_prompt - r->kept.n_past : 0;
}

uint32_t request_rows(const struct request *r)
{
	return r->kept.state >= REQUEST_ENDED || !r->op->rows ? 0 : r->op->rows(r);
}

uint32_t request_rows_left(const struct request *r)
{
	uint32_t n = r->kept.n_token - r->kept.n_past;

	return r->op->leaves_last && n ? n - 1 : n;
}
