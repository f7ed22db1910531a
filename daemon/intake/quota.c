#include "daemon/intake/quota.h"
#include "daemon/flow/fit.h"
#include "shm/atomic.h"
#include "shm/clock.h"

#include <errno.h>

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

int quota_claim(struct request *r)
{
	uint32_t rate = load_relaxed(&r->session->limits.tokens_a_second);
	int res = 0;

	r->n_claim_max = load_relaxed(&r->session->limits.n_position);
	r->n_pin_max = load_relaxed(&r->session->limits.n_pinned);
	if (!r->n_pin_max)
		r->n_pin_max = served_pin_default(&r->served->geometry);
	if (!r->source) /* else it has more tokens when it begins */
		res = fit_claim(r);
	if (res == 0 && !r->source)
		res = fit_pin(r);
	if (res == 0 && rate)
		user_charge(r->user, rate, r->kept.n_prompt, clock_ns());
	return res;
}
