#include "daemon/sched/fork.h"
#include "daemon/flow/fit.h"
#include "daemon/sched/blocks.h"

#include <errno.h>
#include <string.h>

/* How many of the source's tokens it begins with. */
static uint32_t fork_tokens(const struct request *r, const struct request *source)
{
	if (r->kept.split == GYRE_FORK_PROMPT)
		return source->kept.n_prompt;
	return r->kept.split ? r->kept.split : source->kept.n_token;
}

/* Where the source still computes what it would have to, it waits for it. */
static bool must_wait(const struct request *r)
{
	const struct request *source = r->source;

	if (!source->is_live || source->kept.state < REQUEST_WAITING)
		return true;
	return is_eligible(source) && source->kept.n_past + 1 < fork_tokens(r, source);
}

static int refuse_failed(struct request *r, const struct request *source)
{
	return request_explain(
		r, -ECANCELED,
		"the request with the user_data %llu, which it was to go on from, ended with errno %d: its "
		"own completion says why",
		(unsigned long long)source->kept.user_data, -source->kept.res);
}

static int refuse_split(struct request *r, const struct request *source)
{
	return request_explain(
		r, -EINVAL,
		"split is %u, and the request with the user_data %llu has %u tokens, of which %u are its "
		"prompt: give fewer, 0 (all) or GYRE_FORK_PROMPT",
		r->kept.split, (unsigned long long)source->kept.user_data, source->kept.n_token, source->kept.n_prompt);
}

/* The source's first n tokens, then its own. */
static int take_tokens(struct request *r, const struct request *source, uint32_t n)
{
	uint32_t n_own = r->kept.n_prompt;
	int res;

	r->kept.n_prompt += n;
	res = fit_context(r);
	if (res == 0)
		res = fit_pool(r);
	if (res == 0)
		res = fit_claim(r);
	if (res == 0)
		res = fit_pin(r);
	if (res < 0)
		return res;
	memmove(r->token + n, r->token, n_own * sizeof(*r->token));
	memcpy(r->token, source->token, n * sizeof(*r->token));
	r->kept.n_token = r->kept.n_prompt;
	if (r->kept.flags & GYRE_SQE_ECHO) /* its own are told, and the source's last precedes them */
		r->kept.n_scored = n - 1;
	return 0;
}

static int begin(struct sched *s, struct request *r)
{
	const struct request *source = r->source;
	uint32_t n = fork_tokens(r, source);
	int res;

	if (source->kept.state != REQUEST_KEPT && source->kept.res < 0)
		return refuse_failed(r, source);
	if (n > source->kept.n_token)
		return refuse_split(r, source);
	res = take_tokens(r, source, n);
	if (res < 0)
		return res;
	r->kept.state = REQUEST_WAITING;
	blocks_share(s, r, source, n);
	return 0;
}

void fork_begin_all(struct sched *s, const struct queue *q)
{
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];
		int res;

		if (r->kept.state != REQUEST_FORK || must_wait(r))
			continue;
		res = begin(s, r);
		if (res < 0)
			request_end(r, res);
		request_await_no_more(&r->source);
	}
}
