#include "daemon/sched/claim.h"
#include "daemon/flow/fit.h"
#include "daemon/sched/blocks.h"
#include "daemon/sched/keep.h"
#include "daemon/util/minmax.h"
#include "shm/atomic.h"

#include <errno.h>
#include <stdio.h>

static bool is_claimant(const struct request *r)
{
	return is_eligible(r) && !r->has_claim;
}

static bool is_before(const struct request *a, const struct request *b)
{
	return a->kept.priority != b->kept.priority ? a->kept.priority < b->kept.priority : a->arrival < b->arrival;
}

/* Leaders of other engines may be at the same count. */
static bool try_claim(struct request *r)
{
	uint32_t n = load_relaxed(&r->user->n_position);

	do {
		if (n && n + (uint64_t)r->n_claim > r->n_claim_max)
			return false;
	} while (!compare_swap(&r->user->n_position, &n, n + r->n_claim));
	return r->has_claim = true;
}

/* What its user has kept here gives way. */
static void claim_or_clear(struct sched *s, const struct queue *q, struct request *r)
{
	if (try_claim(r))
		return;
	keep_give_claims(s, q, r->user);
	(void)try_claim(r);
}

/* Of each user the first in its order; those behind it wait with it. */
static void take_limited(struct sched *s, const struct queue *q)
{
	for (uint32_t i = 0; i < q->n_live; i++)
		s->user[q->live[i]->user->index].claimant = NULL;
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i], **first = &s->user[r->user->index].claimant;

		if (is_claimant(r) && (!*first || is_before(r, *first)))
			*first = r;
	}
	for (uint32_t i = 0; i < q->n_live; i++)
		if (s->user[q->live[i]->user->index].claimant == q->live[i])
			claim_or_clear(s, q, q->live[i]);
}

void claim_take_all(struct sched *s, const struct queue *q)
{
	bool is_limited = false;

	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];

		if (!is_claimant(r))
			continue;
		if (r->n_claim_max) {
			is_limited = true;
			continue;
		}
		fetch_add(&r->user->n_position, r->n_claim);
		r->has_claim = true;
	}
	if (is_limited)
		take_limited(s, q);
}

void claim_shrink(const struct sched *s, struct request *r)
{
	uint32_t n = min_u32(blocks_held(r) * s->o.block_len, r->kept.n_past) + r->kept.has_slot * s->o.n_state;

	if (!r->has_claim || n >= r->n_claim)
		return;
	fetch_add(&r->user->n_position, n - r->n_claim);
	r->n_claim = n;
}

void claim_drop(struct request *r)
{
	if (r->has_claim)
		fetch_add(&r->user->n_position, -r->n_claim);
	r->has_claim = false;
	fit_unpin(r);
}

bool claim_is_used_up(const struct sched *s, struct request *r)
{
	char state[48] = "";

	if (s->o.window || !r->n_claim_max || r->kept.n_token + s->o.n_state <= r->n_claim)
		return false;
	if (s->o.n_state)
		snprintf(state, sizeof(state), ", with %u for its state,", s->o.n_state);
	request_explain(r, -EFBIG,
			"the prompt's %u tokens and %u of an answer%s are all %u positions that requests of uid %u may "
			"hold (max-positions): ask for fewer tokens",
			r->kept.n_prompt, r->kept.n_emitted, state, r->n_claim_max, r->user->uid);
	return true;
}
