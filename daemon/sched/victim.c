#include "daemon/sched/victim.h"
#include "daemon/sched/blocks.h"

static struct sched_hold *hold_of(struct sched_user *u, bool is_slot)
{
	return is_slot ? &u->slot : &u->block;
}

/* The user furthest above its limit, other than `but`. */
static struct sched_user *find_richest(struct sched *s, const struct sched_user *but, bool is_slot)
{
	struct sched_user *best = NULL;
	uint32_t most = 0;

	for (uint32_t i = 0; i < s->n_who; i++) {
		struct sched_user *u = &s->user[s->who[i].item];
		const struct sched_hold *h = hold_of(u, is_slot);

		if (u == but || h->n <= h->n_limit || h->n - h->n_limit <= most)
			continue;
		best = u;
		most = h->n - h->n_limit;
	}
	return best;
}

/* Which of a user's requests give: those that come after `key`. What their last block is to be for that. */
enum use {
	USE_SOLE,  /* nobody else's: it is free then */
	USE_LATER, /* of others that come after `key` as well: it is free once they have given it */
	USE_ANY,
	USE_MAX
};

struct taker {
	const struct request *request; /* NULL: of another user */
	uint64_t key;
	bool is_slot;
};

/* Does anybody hold block i of `giver` who does not give? Who shares a block has it in the same place. */
static bool is_kept(const struct sched *s, const struct queue *q, const struct taker *t, const struct request *giver,
		    uint32_t i)
{
	uint32_t n_gives = 0;

	if (i < t->request->kept.n_block && t->request->block[i] == giver->block[i])
		return true;
	for (uint32_t j = 0; j < q->n_live; j++) {
		const struct request *r = q->live[j];

		if (r->user == giver->user && is_eligible(r) && r->kept.n_gone <= i && i < r->kept.n_block &&
		    r->block[i] == giver->block[i])
			n_gives += !r->grant || block_key(s, r) > t->key;
	}
	return n_gives < kv_n_user_hold(s->kv, giver->block[i]);
}

static bool can_give(const struct sched *s, const struct queue *q, const struct taker *t, const struct request *r,
		     enum use use)
{
	if (t->is_slot)
		return r->kept.has_slot;
	if (!blocks_held(r))
		return false;
	if (use == USE_SOLE)
		return kv_n_user_hold(s->kv, r->block[r->kept.n_block - 1]) == 1;
	return use == USE_ANY || !is_kept(s, q, t, r, r->kept.n_block - 1);
}

/* Of a user's requests that give: a paused holder (it makes no progress with them), or else the last. */
static struct request *find_giver(const struct sched *s, const struct queue *q, const struct sched_user *u,
				  const struct taker *t, enum use use)
{
	struct request *last = NULL;

	for (uint32_t i = q->n_live; i-- > 0;) {
		struct request *r = q->live[i];

		if (&s->user[r->user->index] != u || !is_eligible(r))
			continue;
		if (r->grant && (block_key(s, r) <= t->key || (last && block_key(s, r) < block_key(s, last))))
			continue;
		if (!can_give(s, q, t, r, use))
			continue;
		if (!r->grant)
			return r;
		last = r;
	}
	return last;
}

/* Who would give up for nothing what others hold as well comes behind those whose block is free then. A user that has too much gives that,
 * too; within a user nobody does. */
static struct request *find_last(const struct sched *s, const struct queue *q, const struct sched_user *u,
				 const struct taker *t)
{
	struct request *last = NULL;

	for (enum use use = 0; use < USE_MAX && !last; use++)
		if (use != (t->request ? USE_ANY : USE_LATER))
			last = find_giver(s, q, u, t, use);
	return last;
}

struct request *victim_find(struct sched *s, const struct queue *q, const struct request *r, bool is_slot)
{
	struct sched_user *u = &s->user[r->user->index];
	const struct sched_hold *h = hold_of(u, is_slot);
	struct sched_user *other = h->n < h->n_limit ? find_richest(s, u, is_slot) : NULL;
	struct request *victim = other ? find_last(s, q, other, &(struct taker){ NULL, 0, is_slot }) : NULL;

	return victim ? victim : find_last(s, q, u, &(struct taker){ r, block_key(s, r), is_slot });
}
