#include "daemon/intake/quota.h"
#include "daemon/util/minmax.h"
#include "shm/atomic.h"
#include "shm/clock.h"

#include <errno.h>
#include <stdio.h>

static int check_rate(const struct session *s, struct words *w)
{
	uint32_t rate = load_relaxed(&s->limits.tokens_a_second);
	uint64_t wait_ns = rate ? user_wait_ns(s->user, clock_ns()) : 0;

	if (!wait_ns)
		return 0;
	return words_set(w, -EAGAIN,
			 "uid %u has read and generated more than its %u tokens a second over %u s "
			 "(max-tokens-per-second): submit again in %.1f s",
			 s->user->uid, rate, USER_RATE_SECONDS, (double)(wait_ns + 99999999) * 1e-9);
}

int quota_check(const struct session *s, uint16_t priority, bool has_rows, struct words *w)
{
	uint32_t first = load_relaxed(&s->limits.priority), most = load_relaxed(&s->limits.n_request),
		 n = load_relaxed(&s->user->n_request);

	if (priority < first)
		return words_set(w, -EPERM,
				 "priority is %u, and uid %u may have %u (later) to 255 (max-priority): submit with "
				 "one of these",
				 priority, s->user->uid, first);
	if (most && n >= most)
		return words_set(w, -EMLINK,
				 "uid %u has %u requests under way, and may have %u (max-requests): submit again when "
				 "one has ended",
				 s->user->uid, n, most);
	return has_rows ? check_rate(s, w) : 0;
}

/* Positions that r holds at its end, at most, and what its state counts as; 0 tokens asked for: up to the context. */
static uint32_t most_positions(const struct request *r)
{
	const struct geometry *g = &r->session->served->geometry;
	uint64_t n = r->kept.n_prompt;

	if (r->op->is_drawn)
		n += r->kept.max_tokens ? r->kept.max_tokens : g->n_ctx;
	n = n < g->n_ctx ? n : g->n_ctx;
	return (g->n_held ? min_u32((uint32_t)n, g->n_held) : (uint32_t)n) + g->n_state;
}

int quota_claim(struct request *r)
{
	uint32_t rate = load_relaxed(&r->session->limits.tokens_a_second), n = most_positions(r),
		 limit = load_relaxed(&r->session->limits.n_position);
	uint32_t n_state = r->session->served->geometry.n_state;
	char state[48] = "";
	bool is_open = r->op->is_drawn && !r->kept.max_tokens; /* it takes what there is, and its prompt has to fit */

	if (n_state)
		snprintf(state, sizeof(state), ", and %u for its state", n_state);
	r->n_claim = limit ? min_u32(n, limit) : n;
	r->n_claim_max = limit;
	if (limit && n > limit && (!is_open || r->kept.n_prompt + (uint64_t)n_state >= limit))
		return request_explain(r, -EFBIG,
				       "it would hold up to %u positions (a prompt of %u and its answer%s), and all "
				       "requests of uid %u may hold %u (max-positions): shorten the prompt, or ask for "
				       "fewer tokens",
				       n, r->kept.n_prompt, state, r->user->uid, limit);
	if (rate)
		user_charge(r->user, rate, r->kept.n_prompt, clock_ns());
	return 0;
}
