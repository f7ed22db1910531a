#include "daemon/intake/grant.h"
#include "daemon/flow/grant.h"
#include "daemon/session/session.h"
#include "daemon/util/minmax.h"
#include "shm/atomic.h"
#include "shm/clock.h"

#define SCORED_MAX 256u /* of a step's logit rows there are no more */

/* Completions for n_token tokens of r in all, or as many as there are; at least for one. */
static void promise(struct request *r, uint32_t n_token)
{
	uint32_t n_piece = r->session->n_piece, most = grant_for(n_piece, n_token) - r->grant;

	lock_take(&r->session->lock);
	r->grant += session_promise(r->session, most, r->grant ? 1 : most);
	lock_drop(&r->session->lock);
	r->n_room = grant_tokens(n_piece, r->grant);
}

/* Tokens that a step may give it: the next with guesses, or what is compared of its prompt. */
static uint32_t most_tokens(const struct request *r)
{
	uint32_t n_drawn = r->op->is_drawn ? 1 + r->session->served->n_draft : 1, n_compared;

	if (!r->op->wants_logits || r->kept.state > REQUEST_RUNNING)
		return n_drawn;
	n_compared = op_span_overlap(r->op->wants_logits(r), r->kept.n_past, r->kept.n_token);
	return max_u32(n_drawn, min_u32(n_compared, SCORED_MAX));
}

void grant_space(struct queue *q)
{
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];

		__builtin_prefetch(r->op);                /* sched asks it next */
		if (load_acquire(&r->session->is_gone)) { /* pairs with roster_drop */
			if (r->kept.state < REQUEST_KEPT)
				meter_end(&q->meter, r, true, clock_ns());
			request_let_go(r);
			continue;
		}
		if (r->kept.state == REQUEST_KEPT && load_relaxed(&r->served->state) == SERVED_LEAVING)
			request_let_go(r);
		if (r->kept.state >= REQUEST_KEPT)
			continue;
		promise(r, 1);
	}
	/* Last, so that nobody pauses for another's guesses. */
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];

		if (r->grant && most_tokens(r) > 1)
			promise(r, most_tokens(r));
	}
}

void grant_take_back(struct queue *q)
{
	for (uint32_t i = 0; i < q->n_live; i++) {
		struct request *r = q->live[i];

		if (!r->grant)
			continue;
		lock_take(&r->session->lock);
		session_unpromise(r->session, r->grant);
		lock_drop(&r->session->lock);
		r->grant = 0;
	}
}
