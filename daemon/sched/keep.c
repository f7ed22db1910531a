#include "daemon/sched/keep.h"
#include "daemon/sched/blocks.h"
#include "daemon/sched/claim.h"
#include "daemon/util/minmax.h"

bool keep_is_over(const struct sched *s, const struct request *r)
{
	return request_is_cancelled(r) || s->now_ns >= r->kept.keep_end_ns;
}

enum give { GIVE_SLOT, GIVE_BLOCK, GIVE_SOLE_BLOCK };

/* A block that others hold as well is free only once these have given it, too. */
static bool has_something(const struct sched *s, const struct request *r, enum give what)
{
	if (r->kept.state != REQUEST_KEPT || request_is_pinned(r))
		return false;
	if (what == GIVE_SLOT)
		return r->kept.has_slot;
	return blocks_held(r) && (what == GIVE_BLOCK || kv_n_user_hold(s->kv, r->block[r->kept.n_block - 1]) == 1);
}

/* Of the user that keeps most, the one that came first. */
static struct request *find_giver(const struct sched *s, const struct queue *q, enum give what)
{
	struct request *best = NULL;

	for (uint32_t i = 0; s->n_kept && i < q->n_live; i++) {
		struct request *r = q->live[i];

		if (has_something(s, r, what) &&
		    (!best || s->user[r->user->index].n_kept > s->user[best->user->index].n_kept))
			best = r;
	}
	return best;
}

static void give_all(struct sched *s, struct request *r)
{
	uint32_t n = blocks_held(r) + r->kept.has_slot;

	blocks_release(s, r);
	s->user[r->user->index].n_kept -= n;
	s->n_kept -= n;
}

bool keep_give_block(struct sched *s, const struct queue *q)
{
	struct request *r = find_giver(s, q, GIVE_SOLE_BLOCK);

	if (!r)
		r = find_giver(s, q, GIVE_BLOCK);
	if (!r)
		return false;
	if (r->kept.has_slot || s->o.window) { /* what is left could not be gone on from */
		give_all(s, r);
		return true;
	}
	blocks_drop_last(s, r);
	s->user[r->user->index].n_kept--;
	s->n_kept--;
	return true;
}

bool keep_give_slot(struct sched *s, const struct queue *q)
{
	struct request *r = find_giver(s, q, GIVE_SLOT);

	if (r)
		give_all(s, r);
	return r;
}

void keep_give_claims(struct sched *s, const struct queue *q, const struct user *u)
{
	for (uint32_t i = 0; s->n_kept && i < q->n_live; i++) {
		struct request *r = q->live[i];

		if (r->user != u || r->kept.state != REQUEST_KEPT || request_is_pinned(r))
			continue;
		give_all(s, r);
		claim_drop(r);
	}
}
